"""The worker: what its functions are registered with, and how it is run."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from fairlead.worker._functions import Functions, step_function
from fairlead.worker._session import Session, Settings

Function = TypeVar("Function", bound=Callable[..., Any])
NAME_MAX_CHARACTERS = 128
CONCURRENCY_MAX = 4096
POLL_MAX_SECONDS = 60.0


class Worker:
    """Does steps of the queues that its functions are registered for.

    `target` is the sidecar's agent endpoint (default: $FAIRLEAD_ENDPOINT, else 127.0.0.1:7400), `token` the agent's
    token (default: $FAIRLEAD_TOKEN). `name` is for people (default: host and process). `concurrency` is how many steps
    run at once. `grace` is how long, in seconds, steps that run may go on when the worker is told to stop; it has
    ended at most 6 s after that. `poll` is the longest wait of one request for steps, in seconds; a worker without work
    stops within it.
    """

    def __init__(
        self,
        target: str | None = None,
        *,
        token: str | None = None,
        name: str | None = None,
        concurrency: int = 8,
        grace: float = 20.0,
        poll: float = 5.0,
    ) -> None:
        if not 1 <= concurrency <= CONCURRENCY_MAX:
            raise ValueError(f"concurrency must be 1 to {CONCURRENCY_MAX}, not {concurrency}")
        if not grace >= 0:
            raise ValueError(f"grace must not be negative: {grace}")
        if not 0 < poll <= POLL_MAX_SECONDS:
            raise ValueError(f"poll must be more than 0 and at most {POLL_MAX_SECONDS:g} seconds, not {poll}")
        name = (name or f"{socket.gethostname()}-{os.getpid()}")[:NAME_MAX_CHARACTERS]
        self.settings = Settings(target, token, name, concurrency, grace, poll)
        self._functions = Functions()
        self._session: Session | None = None

    def step(self, queue: str, *, interrupt: bool | None = None) -> Callable[[Function], Function]:
        """Registers a function for a queue: `f(input)` or `f(input, step)`, plain or `async`.

        Plain ones run in threads. What it returns is the step's result: JSON, or an object with `model_dump()`, or a
        dataclass. `interrupt` says whether the cancellation of the run interrupts an async function where it awaits; by
        default it does when the step can be made again without harm (pure, read, write with a key of the business), and
        otherwise only sets `step.cancelled`. A lost lease, or the end of the worker, always interrupts it.
        """
        return self._registers(queue, interrupt, compensation=False)

    def compensation(self, queue: str, *, interrupt: bool | None = None) -> Callable[[Function], Function]:
        """Registers a function that takes steps back: `step.result` is what the step returned. A function that is
        registered with `step` gets compensations, too, where there is none of these; `step.compensation` tells."""
        return self._registers(queue, interrupt, compensation=True)

    def _registers(self, queue: str, interrupt: bool | None, *, compensation: bool) -> Callable[[Function], Function]:
        def register(function: Function) -> Function:
            self._functions.add(step_function(queue, function, interrupt), compensation=compensation)
            return function

        return register

    @property
    def queues(self) -> list[str]:
        """The queues that it serves."""
        return self._functions.queues()

    def run(self) -> None:
        """Does steps until SIGTERM, SIGINT or `request_stop`, then drains; a second signal ends the grace at once.

        Raises what made further steps impossible, such as CredentialRefused. In a thread other than the main one it
        leaves signals alone.
        """
        asyncio.run(self._run())

    async def _run(self) -> None:
        session = self._begin()
        with _signals(session):
            await self._serve(session)

    async def serve(self) -> None:
        """The same for a loop that runs already; without signals. Cancelling it stops the worker without grace."""
        await self._serve(self._begin())

    async def stop(self, *, grace: float | None = None) -> None:
        """Drains, and returns when it has ended; from the loop that serves. `grace` replaces the worker's own."""
        if (session := self._session) is not None:
            session.drain(grace)
            await session.ended.wait()

    def request_stop(self) -> None:
        """Has it drain and does not wait; from any thread."""
        if (session := self._session) is not None:
            session.request_drain()

    def _begin(self) -> Session:
        if not self.queues:
            raise ValueError("the worker has no function: register one with @worker.step(QUEUE)")
        if self._session is not None:
            raise RuntimeError("the worker runs already")
        self._session = Session(self.settings, self._functions)
        return self._session

    async def _serve(self, session: Session) -> None:
        # A task of its own: what runs is still reported when the caller's is cancelled.
        running = asyncio.ensure_future(session.run())
        try:
            await asyncio.shield(running)
        except asyncio.CancelledError:
            session.hurry()
            await asyncio.wait([running])
            raise
        finally:
            running.cancel()
            self._session = None


@contextmanager
def _signals(session: Session) -> Iterator[None]:
    """SIGTERM and SIGINT drain, the second one without grace; the third does what it did before."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.getsignal(number) for number in numbers}

    def restore() -> None:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            # None: it was not installed from Python and cannot be put back.
            if handler is not None:
                signal.signal(number, handler)

    def received() -> None:
        if session.is_draining:
            restore()
            session.hurry()
        else:
            session.drain()

    for number in numbers:
        loop.add_signal_handler(number, received)
    try:
        yield
    finally:
        restore()
