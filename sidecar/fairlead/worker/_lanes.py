"""Does leased steps, as many at once as there are slots.

Each step has a slot: its function runs, and how it ended is reported. With the answer to a result the slot goes on to
the step that came with it; when none came it is free.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import json
import logging
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from fairlead.client import FairleadError
from fairlead.v1 import worker_service_pb2 as pb
from fairlead.worker import _outcome
from fairlead.worker._attempt import Attempt
from fairlead.worker._clients import Clients
from fairlead.worker._completions import Completions
from fairlead.worker._context import AsyncStepContext, StepContext
from fairlead.worker._functions import Functions
from fairlead.worker._heartbeat import Heartbeats
from fairlead.worker._outcome import Completed, Dropped, Failed, Outcome
from fairlead.worker._report import Reports, Result
from fairlead.worker._slots import Slots
from fairlead.worker._threads import StepThreads

logger = logging.getLogger("fairlead.worker")

_RETURNED = Failed(_outcome.WORKER_STOPPED, "the worker has stopped before it began the step", returned=True)
_NO_FUNCTION = Failed("NO_FUNCTION", "the worker has no function for this queue", returned=True)


class Lanes:
    """`wish` makes the request for so many steps, `interrupted` is called when a function raised KeyboardInterrupt, and
    `broken` when a task of ours ended with an exception."""

    def __init__(
        self,
        functions: Functions,
        slots: Slots,
        heartbeats: Heartbeats,
        reports: Reports,
        clients: Clients,
        threads: StepThreads,
        wish: Callable[[int], pb.LeaseWish],
        interrupted: Callable[[], None],
        broken: Callable[[BaseException], None],
    ) -> None:
        self._functions, self._slots, self._heartbeats = functions, slots, heartbeats
        self._reports, self._clients, self._threads = reports, clients, threads
        self._interrupted, self._broken = interrupted, broken
        self._completions = Completions(reports, slots, wish, self.take_on, self.spawn)
        self._loop = asyncio.get_running_loop()
        self._takes_steps = True
        self.attempts: set[Attempt] = set()
        self.tasks: set[asyncio.Task[None]] = set()

    def close(self) -> None:
        """From now on no step begins; those that come are given back."""
        self._takes_steps = False
        self._completions.close()

    def take_on(self, leases: Sequence[pb.StepLease], slots: int) -> None:
        """Begins the steps, one in each of the `slots` that were taken for them; slots that are left are free."""
        # More than was asked for cannot begin at once; they go back without having begun.
        for lease in leases[slots:]:
            self.spawn(self._give_back(lease, _RETURNED))
        for lease in leases[:slots]:
            self.spawn(self._step(lease))
        if (left := slots - len(leases)) > 0:
            self._slots.give(left)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs it as one of `tasks`."""
        task = self._loop.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self._has_ended)

    def _has_ended(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._broken(error)

    async def _step(self, lease: pb.StepLease) -> None:
        """Does one step."""
        has_slot = True
        try:
            has_slot = await self._do(lease)
        finally:
            if has_slot:
                self._slots.give(1)

    async def _do(self, lease: pb.StepLease) -> bool:
        """Does one step; False when its slot has gone on to another one."""
        function = self._functions.of(lease)
        if function is None:
            logger.error("step %s of %s came for queue `%s`, which has no function", lease.step, lease.run, lease.queue)
        if function is None or not self._takes_steps:
            await self._give_back(lease, _NO_FUNCTION if function is None else _RETURNED)
            return True
        attempt = Attempt(lease, function, self._loop)
        self.attempts.add(attempt)
        self._heartbeats.add(attempt)
        try:
            if function.is_async:
                self._loop.create_task(self._on_loop(attempt))
            else:
                in_context = contextvars.copy_context().run
                self._threads.submit(partial(in_context, self._in_thread, attempt))
            outcome = await attempt.outcome
            return await self._ended(attempt, outcome)
        finally:
            self._heartbeats.remove(attempt)
            self.attempts.discard(attempt)

    async def _on_loop(self, attempt: Attempt) -> None:
        """The task of one async function: its own, so that what it does to its task and its context ends with it."""
        outcome: Outcome = _RETURNED
        if attempt.begins(asyncio.current_task()):
            try:
                step = AsyncStepContext(attempt, self._clients.on_loop)
                outcome = Completed(_outcome.encode(await _call(attempt, step)))
            except BaseException as error:
                outcome = self._of_error(attempt, error)
        attempt.ends(outcome)

    def _in_thread(self, attempt: Attempt) -> None:
        outcome: Outcome = _RETURNED
        if attempt.begins(None):
            try:
                step = StepContext(attempt, self._clients.blocking)
                outcome = Completed(_outcome.encode(_call(attempt, step)))
            except BaseException as error:
                outcome = self._of_error(attempt, error)
        # The loop is gone when the worker has given the function up.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(attempt.ends, outcome)

    def _of_error(self, attempt: Attempt, error: BaseException) -> Outcome:
        if isinstance(error, KeyboardInterrupt):
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._interrupted)
        try:
            return _outcome.of_error(error, attempt.lease, attempt.asked_to_stop)
        except Exception:  # an exception class with surprises of its own must not leave the attempt without an end
            return Failed(_outcome.EXCEPTION, type(error).__name__, error=error)

    async def _ended(self, attempt: Attempt, outcome: Outcome) -> bool:
        match outcome:
            case Completed(output):
                return await self._complete(attempt, output)
            case Failed():
                await self._reports.fail(attempt.ref, str(attempt), outcome)
            case Dropped():
                logger.warning("%s: its lease was lost while it ran; how it ended is not reported", attempt)
        return True

    async def _complete(self, attempt: Attempt, output: bytes) -> bool:
        match await self._completions.report(Result(attempt, output)):
            case False:
                await self._reports.complete_later(attempt, output)
                return True
            case FairleadError() as refusal:
                await self._reports.refused(attempt, refusal)
        return False

    async def _give_back(self, lease: pb.StepLease, why: Failed) -> None:
        attempt = pb.AttemptRef(run=lease.run, step=lease.step, epoch=lease.epoch, lease=lease.lease)
        await self._reports.fail(attempt, f"step {lease.step} of {lease.run}", why)


def _call(attempt: Attempt, step: StepContext | AsyncStepContext) -> Any:
    """Calls the function: its result, or the awaitable of an async one."""
    function, lease = attempt.function, attempt.lease
    value = json.loads(lease.input) if lease.input else None
    return function.function(*function.arguments(value, step))
