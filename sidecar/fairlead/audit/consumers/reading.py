"""How a part of the sidecar itself, such as an exporter, reads the log as a named consumer.

    consumer = await LogConsumer.open(consumers, log, feed, "otlp")
    while True:
        batch = await consumer.read()
        ...                                 # deliver; on failure read nothing more and try the same batch again
        await consumer.acknowledge(batch)

At-least-once: what was read and not acknowledged is read again after a restart. Nothing is queued: the log is the
queue, so a destination that is away costs one batch of memory, however long it is away. When the log was trimmed
meanwhile, because it was away for longer than is waited for, it goes on at the first record there is; what it misses is
counted and recorded.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from fairlead.audit.consumers.model import EXPORT_PREFIX
from fairlead.audit.consumers.service import Consumers
from fairlead.audit.store import AuditLog
from fairlead.audit.tokens import Position
from fairlead.audit.trimming.beginning import LogTrimmed
from fairlead.audit.watch import CHUNK_BYTES, CHUNK_RECORDS, Feed, LogReader
from fairlead.v1 import audit_service_pb2


@dataclass(frozen=True, slots=True)
class Batch:
    """Some records in order, never none, and the position after the last of them."""

    events: list[audit_service_pb2.AuditEvent]
    position: Position


class LogConsumer:
    """One named consumer inside the sidecar. Belongs to one event loop and one task."""

    def __init__(self, consumers: Consumers, name: str, log: AuditLog, feed: Feed, start: Position) -> None:
        """Use `open`."""
        self._consumers = consumers
        self.name = name
        self._log = log
        self._feed = feed
        self._reader = LogReader(log, feed, start)

    @classmethod
    async def open(
        cls, consumers: Consumers, log: AuditLog, feed: Feed, exporter: str, *, from_start: bool = True
    ) -> LogConsumer:
        """The consumer `export:EXPORTER`, where it acknowledged last; a new one at the first record, or the next one.

        Raises `Refusal`: QUEUE_FULL when there are too many consumers, STORE_UNAVAILABLE.
        """
        name = EXPORT_PREFIX + exporter
        start = await asyncio.to_thread(log.begin_position if from_start else log.head_position)
        consumer = await consumers.register(name, start)
        return cls(consumers, name, log, feed, consumer.position)

    @property
    def position(self) -> Position:
        """After the last record that was read."""
        return self._reader.position

    @property
    def lag(self) -> int:
        """Records that were not read yet."""
        return max(0, self._consumers.head - self.position.sequence)

    async def read(self, max_records: int = CHUNK_RECORDS, max_bytes: int = CHUNK_BYTES) -> Batch:
        """The next records, as soon as there is one; at most so many, and more than so many bytes only when one alone
        is larger. Cancel it to stop waiting: nothing is lost. Raises `LogDamaged`, `StoreUnavailable`, and `Refusal`
        when it cannot be recorded that records are missed."""
        while True:
            try:
                while not (events := await self._reader.chunk(max_records, max_bytes)):
                    await self._reader.more()
                return Batch(events, self._reader.position)
            except LogTrimmed as error:
                await self._consumers.miss(self.name, error.beginning)
                self._reader = LogReader(self._log, self._feed, error.beginning.position)

    @property
    def acknowledged(self) -> int:
        """Sequence of the last record that was acknowledged, or that an operator has passed over."""
        return self._consumers.sequence(self.name)

    def pass_over(self) -> None:
        """Goes on behind what an operator has passed over, if that is further than what was read."""
        known = next(one for one in self._consumers.loaded() if one.name == self.name)
        if known.position.sequence > self.position.sequence:
            self._reader = LogReader(self._log, self._feed, known.position)

    async def acknowledge(self, batch: Batch) -> None:
        """Remembers durably that everything up to the end of the batch was delivered. Raises `Refusal`."""
        await self._consumers.advance(self.name, batch.position)
