"""Events of a log that was made for tests, and exporters that run over it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any

from fairlead.audit.consumers.model import ConsumerLimits
from fairlead.audit.consumers.service import Consumers
from fairlead.audit.model import StoredRecord, event_of
from fairlead.audit.store import AuditLog
from fairlead.audit.transparency.checkpoint import SignedCheckpoint
from fairlead.audit.transparency.store import Seals
from fairlead.exporting.destination import TAKEN, Destination, Outcome, Source
from fairlead.exporting.lane import Readable
from fairlead.exporting.service import Exporting
from fairlead.exporting.settings import Exporter
from fairlead.notification.model import Retry
from fairlead.store import CommitFeed, Family
from fairlead.v1 import audit_service_pb2
from tests.unit.audit.fakes import FakeCore, FakeStore
from tests.unit.audit.records import T0, log

LOG = log(60)
EVENTS = [event_of(stored, LOG[index - 1].record_hash if index else bytes(32)) for index, stored in enumerate(LOG)]
HASHES = {stored.sequence: stored.record_hash for stored in LOG}
SOURCE = Source(LOG[0].record_hash.hex()[:32], HASHES.get)
QUICK = Retry(1, 10, 20)


def sequences(events: Sequence[audit_service_pb2.AuditEvent]) -> list[int]:
    return [event.record.sequence for event in events]


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await test()

    asyncio.run(bounded())


class Desk:
    """A destination that keeps what it takes and answers as it is told."""

    def __init__(self) -> None:
        self.taken: list[int] = []
        self.attempts: list[list[int]] = []
        self.answer: Callable[[list[int]], Outcome] = lambda asked: TAKEN
        self.signed: list[int] = []
        # Checkpoints that came before their records.
        self.early: list[int] = []
        self.answer_signed: Callable[[int], Outcome] = lambda size: TAKEN
        self.stalled: asyncio.Event | None = None
        self.closed = 0
        self._changed = asyncio.Event()

    async def deliver(self, events: Sequence[audit_service_pb2.AuditEvent], source: Source) -> Outcome:
        asked = sequences(events)
        self.attempts.append(asked)
        self._changed.set()
        if self.stalled is not None:
            await self.stalled.wait()
        outcome = self.answer(asked)
        if outcome.taken:
            self.taken += asked
        self._changed.set()
        return outcome

    async def publish(self, checkpoint: SignedCheckpoint, source: Source) -> Outcome:
        size = checkpoint.checkpoint.size
        if size > max(self.taken, default=0):
            self.early.append(size)
        outcome = self.answer_signed(size)
        if outcome.taken:
            self.signed.append(size)
        self._changed.set()
        return outcome

    async def close(self) -> None:
        self.closed += 1

    async def until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            self._changed.clear()
            await self._changed.wait()


class Unsealed:
    """Nobody signs."""

    last: SignedCheckpoint | None = None

    async def wait_newer(self, size: int) -> None:
        await asyncio.Event().wait()


class Life:
    """One life of a sidecar's exporters over a store."""

    def __init__(
        self,
        desk: Destination | Callable[[Exporter], Destination],
        store: FakeStore | None = None,
        records: Sequence[StoredRecord] = LOG,
    ) -> None:
        self.records = records
        self.store = store or FakeStore()
        self.core = FakeCore(self.store)
        self.feed = CommitFeed(asyncio.get_running_loop())
        self.limits = ConsumerLimits(consumers=8, lag=20, stall_seconds=60)
        self.consumers = Consumers(self.core, self.store, self.feed, lambda: T0, lambda: self.limits)
        self.committed = len(self.store.families.get(Family.AUDIT, {}))
        self.feed.publish(self.committed)
        self.made: list[Exporter] = []

        def make(exporter: Exporter) -> Destination:
            self.made.append(exporter)
            return desk(exporter) if callable(desk) else desk

        readable = Readable(self.consumers, AuditLog(self.store), self.feed, Seals(self.store), Unsealed())
        self.exporting = Exporting(readable, make, lambda: 0.0, pace_seconds=0)

    def commit(self, count: int) -> None:
        self.store.append(self.records[self.committed : self.committed + count])
        self.committed += count
        self.feed.publish(self.committed)

    def start(self, **facts: Any) -> Exporter:
        exporter = replace(Exporter("desk", "stdout", retry=QUICK, batch_records=4), **facts)
        self.exporting.configure([exporter])
        self.exporting.start()
        return exporter

    async def acknowledged(self, sequence: int) -> None:
        """Returns when everything up to there is."""
        while next((one.position.sequence for one in self.consumers.loaded()), 0) < sequence:
            await asyncio.sleep(0)
