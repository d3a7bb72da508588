"""One exporter while it runs: reads the log as the named consumer `export:NAME`, delivers, acknowledges.

INVARIANT (X2): a record is acknowledged only after its destination has taken it, and nothing overtakes it. A crash in
between delivers it again. While a destination is away the log is the queue: one batch of memory, no disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from fairlead.audit.consumers.model import EXPORT_PREFIX
from fairlead.audit.consumers.reading import Batch, LogConsumer
from fairlead.audit.consumers.service import Consumers
from fairlead.audit.store import AuditLog
from fairlead.audit.tokens import FINGERPRINT_BYTES, Position
from fairlead.audit.transparency.store import Seals
from fairlead.audit.watch import Feed, LogDamaged, Sealed
from fairlead.control.errors import Refusal, temporary
from fairlead.exporting.checkpoints import PAUSE_SECONDS, Checkpoints
from fairlead.exporting.destination import Destination, Outcome, Source
from fairlead.exporting.settings import Exporter
from fairlead.notification.model import RETRY_AFTER_MAX_MILLIS
from fairlead.v1 import audit_service_pb2

# Behind a batch that was not full: what is committed meanwhile goes out, and is acknowledged, together.
PACE_SECONDS = 0.2
# Between tries of what the store or a fault prevents; doubles up to the second one.
FAULT_SECONDS, FAULT_MAX_SECONDS = 1.0, 60.0

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Counted:
    """Since the start, over changes of the exporter's configuration."""

    # Records that the destination has.
    exported: int = 0
    # Records that it took only to refuse them.
    refused: int = 0
    # Attempts, not records.
    failed: int = 0
    # Attempts in a row that failed.
    failing: int = 0
    # Sequence of the record that the destination refuses by itself, 0 when there is none.
    refused_sequence: int = 0
    # Records of the last checkpoint that the destination has.
    checkpoint_size: int = 0
    # Attempts in a row with a checkpoint that failed.
    checkpoint_failing: int = 0


@dataclass(frozen=True, slots=True)
class Readable:
    """What a lane reads from."""

    consumers: Consumers
    log: AuditLog
    feed: Feed
    seals: Seals
    sealed: Sealed


class Lane:
    """One exporter of the configuration. Belongs to one event loop."""

    def __init__(
        self,
        exporter: Exporter,
        readable: Readable,
        destination: Callable[[Exporter], Destination],
        counted: Counted,
        random: Callable[[], float],
        pace_seconds: float = PACE_SECONDS,
        checkpoint_pause_seconds: float = PAUSE_SECONDS,
    ) -> None:
        """`destination` makes the one of an exporter and may block; `random` gives numbers from 0 to below 1."""
        self.exporter = exporter
        self.counted = counted
        self._readable = readable
        self._make = destination
        self._made: Destination | None = None
        self._random = random
        self._pace_seconds = pace_seconds
        self._checkpoint_pause_seconds = checkpoint_pause_seconds
        self._draining = asyncio.Event()

    def drain(self) -> None:
        """From now on it ends when it has delivered everything, or when an attempt fails."""
        self._draining.set()

    async def run(self) -> None:
        """Exports until it is drained or cancelled, whatever happens: what cannot be done now is tried again."""
        wait, told = FAULT_SECONDS, ""
        try:
            while True:
                acknowledged = self._readable.consumers.sequence(self._consumer)
                try:
                    if self._made is None:
                        self._made = await asyncio.to_thread(self._make, self.exporter)
                    return await self._export(self._made)
                except Exception as error:
                    known = isinstance(error, LogDamaged | Refusal) or temporary(error) is not None
                    if str(error) != told or not known:
                        told, wait = str(error), FAULT_SECONDS
                        fields = {"exporter": self.exporter.name, "error": told}
                        _log.error("the audit log is not exported", extra=fields, exc_info=None if known else error)
                if self._draining.is_set():
                    return
                await self._pause(wait, acknowledged)
                wait = min(2 * wait, FAULT_MAX_SECONDS)
        finally:
            if self._made is not None:
                await self._made.close()

    async def _export(self, destination: Destination) -> None:
        """Exports until it is drained; raises what the log and the store raise."""
        readable, exporter = self._readable, self.exporter
        consumer = await LogConsumer.open(
            readable.consumers, readable.log, readable.feed, exporter.name, from_start=exporter.from_start
        )
        checkpoints = self._checkpoints()
        # While it runs it cannot be removed from the consumers: it would be remembered again, at the start.
        with readable.consumers.streaming(consumer.name):
            source: Source | None = None
            while True:
                batch = await self._next(consumer, checkpoints)
                source = source or await self._source()
                if batch is not None and not await self._deliver(consumer, destination, batch.events, source):
                    return
                if checkpoints is not None:
                    await self._publish(checkpoints, destination, consumer.position.sequence, source)
                if batch is None and self._draining.is_set():
                    return
                if batch is not None and len(batch.events) < exporter.batch_records:
                    await _until(self._draining, self._pace_seconds)

    def _checkpoints(self) -> Checkpoints | None:
        """The checkpoints that it sends, if it sends any."""
        if not self.exporter.checkpoints:
            return None
        clock = asyncio.get_running_loop().time
        return Checkpoints(self._readable.sealed, self._readable.seals, clock, self._checkpoint_pause_seconds)

    async def _source(self) -> Source:
        log = self._readable.log

        def hash_of(sequence: int) -> bytes | None:
            record = log.record(sequence)
            return None if record is None else record.record_hash

        first = await asyncio.to_thread(log.first_hash)
        return Source(first.hex()[:32], hash_of)

    async def _next(self, consumer: LogConsumer, checkpoints: Checkpoints | None) -> Batch | None:
        """The next batch as soon as there is one; None when a checkpoint is due first, or when there is no batch and
        the lane is drained."""
        if not self._draining.is_set():
            reading = asyncio.ensure_future(self._read(consumer))
            others: list[asyncio.Future[Any]] = [asyncio.ensure_future(self._draining.wait())]
            if checkpoints is not None:
                others.append(asyncio.ensure_future(checkpoints.wait(consumer.position.sequence)))
            try:
                await asyncio.wait((reading, *others), return_when=asyncio.FIRST_COMPLETED)
            finally:
                for other in others:
                    other.cancel()
                reading.cancel()
                # What was read meanwhile must not be lost: the position is behind it.
                (found,) = await asyncio.gather(reading, return_exceptions=True)
            if not isinstance(found, asyncio.CancelledError):
                if isinstance(found, BaseException):
                    raise found
                return found
            if not self._draining.is_set():
                return None
        return await self._read(consumer) if consumer.lag else None

    def _read(self, consumer: LogConsumer) -> Coroutine[Any, Any, Batch]:
        return consumer.read(self.exporter.batch_records, self.exporter.batch_bytes)

    async def _deliver(
        self,
        consumer: LogConsumer,
        destination: Destination,
        events: Sequence[audit_service_pb2.AuditEvent],
        source: Source,
    ) -> bool:
        """Delivers all of the records and acknowledges them, but for those that an operator passes over; False when
        the lane was drained before that."""
        most = len(events)
        while events:
            if consumer.acknowledged >= events[0].record.sequence:
                events = self._passed_over(consumer, events)
                continue
            some = events[:most]
            outcome = await destination.deliver(some, source)
            if outcome.taken:
                self._say_taken(outcome, len(some))
                if not await self._acknowledge(consumer, some):
                    return False
                events = events[most:]
            elif (outcome.too_large or outcome.unacceptable) and len(some) > 1:
                most = (len(some) + 1) // 2
            else:
                self._say_failed(outcome, some)
                if self._draining.is_set():
                    return False
                seconds = self._wait_seconds(outcome, self.counted.failing)
                await self._pause(seconds, some[0].record.sequence - 1)
        return True

    def _passed_over(
        self, consumer: LogConsumer, events: Sequence[audit_service_pb2.AuditEvent]
    ) -> Sequence[audit_service_pb2.AuditEvent]:
        """What is left of some records when an operator has moved the position."""
        last = consumer.acknowledged
        fields = {"exporter": self.exporter.name, "first_sequence": events[0].record.sequence, "last_sequence": last}
        _log.warning("an operator has passed over records: the destination does not get them", extra=fields)
        self.counted.refused_sequence = 0
        # Also what was not read yet.
        consumer.pass_over()
        return [event for event in events if event.record.sequence > last]

    async def _pause(self, seconds: float, acknowledged: int) -> None:
        """Waits for so long, but not when the lane is drained or an operator moves its position beyond that."""
        moved = asyncio.ensure_future(self._readable.consumers.skipped(self._consumer, acknowledged))
        draining = asyncio.ensure_future(self._draining.wait())
        try:
            await asyncio.wait((moved, draining), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            moved.cancel()
            draining.cancel()

    @property
    def _consumer(self) -> str:
        return EXPORT_PREFIX + self.exporter.name

    async def _publish(self, checkpoints: Checkpoints, destination: Destination, position: int, source: Source) -> None:
        """Sends the checkpoints that are due behind `position`. One that is not taken holds up no record: the next one
        says more."""
        if not self._draining.is_set() and not checkpoints.is_due(position):
            return
        for checkpoint in await checkpoints.upto(position):
            outcome = await destination.publish(checkpoint, source)
            if not outcome.taken:
                self._say_unpublished(outcome, checkpoint.checkpoint.size)
                checkpoints.failed(self._wait_seconds(outcome, self.counted.checkpoint_failing))
                return
            checkpoints.sent(checkpoint)
            self.counted.checkpoint_size, self.counted.checkpoint_failing = checkpoint.checkpoint.size, 0

    def _wait_seconds(self, outcome: Outcome, failing: int) -> float:
        backoff = self.exporter.retry.wait_millis(failing, self._random())
        return max(backoff, min(outcome.retry_after_millis, RETRY_AFTER_MAX_MILLIS)) / 1000

    async def _acknowledge(self, consumer: LogConsumer, events: Sequence[audit_service_pb2.AuditEvent]) -> bool:
        """Remembers durably what was taken; False when the lane was drained before that could be."""
        last = events[-1]
        position = Position(last.record.sequence, last.record_hash[:FINGERPRINT_BYTES])
        while True:
            try:
                await consumer.acknowledge(Batch(list(events), position))
                return True
            except Exception as error:
                # Without it the same records would be sent again.
                if temporary(error) is None:
                    raise
            if self._draining.is_set():
                return False
            await _until(self._draining, FAULT_SECONDS)

    def _say_taken(self, outcome: Outcome, records: int) -> None:
        fields = {"exporter": self.exporter.name}
        if self.counted.failing:
            _log.info("the destination of an exporter takes records again", extra=fields)
        if outcome.refused:
            told = {**fields, "records": outcome.refused, "problem": outcome.problem}
            _log.error("the destination of an exporter has refused records for good", extra=told)
        self.counted.exported += records - outcome.refused
        self.counted.refused += outcome.refused
        self.counted.failing = self.counted.refused_sequence = 0

    def _say_unpublished(self, outcome: Outcome, size: int) -> None:
        level = logging.DEBUG if self.counted.checkpoint_failing else logging.WARNING
        fields = {"exporter": self.exporter.name, "problem": outcome.problem, "size": size}
        _log.log(
            level, "a checkpoint was not taken by an exporter's destination, a newer one is sent later", extra=fields
        )
        self.counted.failed += 1
        self.counted.checkpoint_failing += 1

    def _say_failed(self, outcome: Outcome, events: Sequence[audit_service_pb2.AuditEvent]) -> None:
        """A destination that fails is a line once, not once for every attempt."""
        level = logging.DEBUG if self.counted.failing else logging.WARNING
        sequences = {"first_sequence": events[0].record.sequence, "last_sequence": events[-1].record.sequence}
        fields = {"exporter": self.exporter.name, "problem": outcome.problem, **sequences}
        refused = events[0].record.sequence if outcome.too_large or outcome.unacceptable else 0
        if refused and refused != self.counted.refused_sequence:
            instead = f"fairlead audit consumers skip {self._consumer} --to {refused} --reason TEXT"
            _log.error(
                "an exporter's destination refuses a record: correct the destination, or pass over the record",
                extra={**fields, "record_hash": events[0].record_hash.hex(), "pass_over_with": instead},
            )
            level = logging.DEBUG
        self.counted.refused_sequence = refused
        _log.log(level, "records were not taken by an exporter's destination, they are sent again", extra=fields)
        self.counted.failed += 1
        self.counted.failing += 1


async def _until(event: asyncio.Event, seconds: float) -> None:
    """Returns when the event is set or the time has passed."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
