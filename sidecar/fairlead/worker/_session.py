"""One life of a worker, from its first request for steps to its last report.

| phase | ends with |
|---|---|
| leasing: asks for steps whenever a slot is free | `drain` |
| draining: asks for none, gives back what comes, lets functions end | all have ended, the grace is over, or `hurry` |
| interrupting: functions are asked to stop | all have ended, or `INTERRUPT_SECONDS` |
| reporting: what still runs is given up and reported by its effect | all is reported, or `REPORT_SECONDS` |
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from fairlead.client import FairleadError
from fairlead.client import _requests as requests
from fairlead.v1 import worker_service_pb2 as pb
from fairlead.worker._attempt import Attempt
from fairlead.worker._clients import Clients
from fairlead.worker._functions import Functions
from fairlead.worker._heartbeat import Heartbeats
from fairlead.worker._lanes import Lanes
from fairlead.worker._report import Reports
from fairlead.worker._slots import Slots
from fairlead.worker._threads import StepThreads
from fairlead.worker._wire import Wire, delays, heartbeat_channel, is_passing

logger = logging.getLogger("fairlead.worker")

INTERRUPT_SECONDS = 1.0
REPORT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What a worker was made with; times in seconds."""

    target: str | None
    token: str | None
    name: str
    concurrency: int
    grace: float
    poll: float


class Session:
    """Belongs to the event loop that it is made in."""

    def __init__(self, settings: Settings, functions: Functions) -> None:
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._grace = settings.grace
        self._draining, self._hurrying, self.ended = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._failure: BaseException | None = None
        self._slots = Slots(settings.concurrency)
        self._threads = StepThreads(settings.concurrency)
        self._wire = Wire(settings.target, settings.token)
        self._clients = Clients(settings.target, settings.token)
        metadata = requests.credentials(settings.token)
        secret = metadata[0][1].removeprefix("Bearer ") if metadata else None
        self._heartbeats = Heartbeats(
            heartbeat_channel(settings.target), metadata, self._tell(Attempt.cancel), self._tell(Attempt.lose)
        )
        queues = functions.queues()
        self._wish = cache(lambda steps: pb.LeaseWish(worker=settings.name, queues=queues, max_steps=steps))
        self._lanes = Lanes(
            functions,
            self._slots,
            self._heartbeats,
            Reports(self._wire, secret),
            self._clients,
            self._threads,
            self._wish,
            self.drain,
            self._broken,
        )

    def drain(self, grace: float | None = None) -> None:
        """Begins to stop; `grace` replaces the one of the settings."""
        if not self._draining.is_set():
            self._grace = self._grace if grace is None else grace
            self._slots.close()
            self._lanes.close()
            self._draining.set()

    def request_drain(self) -> None:
        """The same from any thread; nothing when it has ended."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self.drain)

    @property
    def is_draining(self) -> bool:
        """True once it was told to stop."""
        return self._draining.is_set()

    def hurry(self) -> None:
        """Stops without grace."""
        self.drain()
        self._hurrying.set()

    async def run(self) -> None:
        """Does steps until it is told to stop; raises what made further steps impossible."""
        self._heartbeats.start()
        self._lanes.spawn(self._poll())
        try:
            await self._draining.wait()
            logger.info("worker %s stops: %d steps run", self._settings.name, len(self._lanes.attempts))
            await self._drain()
        finally:
            await self._close()
        if self._failure is not None:
            raise self._failure

    async def _poll(self) -> None:
        """Asks for steps whenever a slot is free; one request at a time, for all slots that are free then."""
        waits = None
        while await self._slots.wait():
            taken = self._slots.take()
            try:
                response = await self._wire.lease(self._wish(taken), self._settings.poll)
            except FairleadError as error:
                self._slots.give(taken)
                if not is_passing(error):
                    raise
                if waits is None:
                    logger.warning(
                        "worker %s gets no steps at the moment and asks again: %s", self._settings.name, error
                    )
                    waits = delays()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._draining.wait(), max(next(waits), error.retry_after or 0.0))
                continue
            if waits is not None:
                logger.info("worker %s is connected again", self._settings.name)
                waits = None
            self._lanes.take_on(response.leases, taken)

    def _broken(self, error: BaseException) -> None:
        """Further steps are impossible; those that run may end."""
        logger.error("worker %s stops because of %s: %s", self._settings.name, type(error).__name__, error)
        self._failure = self._failure or error
        self.drain()

    async def _drain(self) -> None:
        await self._until_idle(self._grace, self._hurrying)
        if self._lanes.tasks:
            for attempt in tuple(self._lanes.attempts):
                attempt.stop()
            await self._until_idle(INTERRUPT_SECONDS)
            for attempt in tuple(self._lanes.attempts):
                attempt.abandon()
            await self._until_idle(REPORT_SECONDS)

    async def _until_idle(self, seconds: float, or_until: asyncio.Event | None = None) -> None:
        """Waits until nothing runs and everything is reported, at most so long."""
        until = self._loop.time() + seconds
        event = None if or_until is None else self._loop.create_task(or_until.wait())
        while self._lanes.tasks and (left := until - self._loop.time()) > 0:
            waited_for = {*self._lanes.tasks, *([event] if event else [])}
            await asyncio.wait(waited_for, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if event and event.done():
                break
        if event:
            event.cancel()

    async def _close(self) -> None:
        left = tuple(self._lanes.tasks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        self._heartbeats.stop()
        self._threads.close()
        await self._clients.close()
        await self._wire.close()
        self.ended.set()

    def _tell(self, what: Callable[[Attempt], None]) -> Callable[[Attempt], None]:
        """For the thread of the heartbeats: the function learns of it at once, the rest happens on the loop."""

        def tell(attempt: Attempt) -> None:
            attempt.cancelled.set()
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(what, attempt)

        return tell
