"""One attempt at one step, from its lease to the end of its function.

| asked by | sync function | async function |
|---|---|---|
| the run is cancelled | `cancelled` is set | the same, and interrupted where that does no harm |
| the lease is lost | `cancelled` is set | the same, and interrupted; nothing is reported |
| the worker stops, its grace is over | `cancelled` is set | the same, and interrupted |

The slot stays taken until the function has ended: a function that does not stop still runs.
"""

from __future__ import annotations

import asyncio
import threading

from fairlead.v1 import worker_service_pb2
from fairlead.worker import _outcome
from fairlead.worker._functions import StepFunction


class Attempt:
    """Everything but `cancelled` belongs to the thread of the event loop."""

    def __init__(
        self, lease: worker_service_pb2.StepLease, function: StepFunction, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.lease = lease
        self.function = function
        self.ref = worker_service_pb2.AttemptRef(run=lease.run, step=lease.step, epoch=lease.epoch, lease=lease.lease)
        # Set from the thread of the heartbeats, too, so that a sync function learns of it while the loop is busy.
        self.cancelled = threading.Event()
        self.progress = ""
        self.asked_to_stop: str | None = None
        self.is_lost = False
        self.outcome: asyncio.Future[_outcome.Outcome] = loop.create_future()
        self._task: asyncio.Task[None] | None = None

    def __str__(self) -> str:
        return f"step {self.lease.step} of {self.lease.run} (attempt {self.lease.attempt}, epoch {self.lease.epoch})"

    def begins(self, task: asyncio.Task[None] | None) -> bool:
        """False when it was asked to stop before its first line. `task` is None for a sync function."""
        self._task = task
        return not self.cancelled.is_set()

    def ends(self, outcome: _outcome.Outcome) -> None:
        """The function has ended; what an abandoned one says later does not count."""
        if not self.outcome.done():
            self.outcome.set_result(_outcome.Dropped() if self.is_lost else outcome)

    def cancel(self) -> None:
        """The run is being cancelled. Every heartbeat says so; a function is interrupted once and may then clean up."""
        if self.asked_to_stop is not None:
            return
        self._ask(_outcome.CANCELLED, interrupt=self.function.is_interrupted(self.lease))

    def stop(self) -> None:
        """The worker stops and waits no longer."""
        self._ask(_outcome.WORKER_STOPPED, interrupt=True)

    def lose(self) -> None:
        """Somebody else has the step now, or nobody may have it."""
        if not self.outcome.done():
            self.is_lost = True
            self._ask(_outcome.CANCELLED, interrupt=True)

    def abandon(self) -> None:
        """Waits for the function no longer, though it runs."""
        self.ends(_outcome.stopped(self.lease, _outcome.WORKER_STOPPED))

    def _ask(self, why: str, *, interrupt: bool) -> None:
        if self.outcome.done():
            return
        self.asked_to_stop = self.asked_to_stop or why
        self.cancelled.set()
        if interrupt and self._task is not None:
            self._task.cancel()
