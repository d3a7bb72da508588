"""Trims the log: at each checkpoint what is more than `retention.audit.size`, and hourly what is older than
`retention.audit.age`.

A trim is one commit unit, the audit record `retention.audit_trimmed` and the new beginning, and then the removal of
what lies before, slice by slice. A life that ends in between leaves a log that begins where it says; the next one
removes the rest. What consumers and receivers of notifications have still to read stays, as far as
`limits.consumerLag`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Protocol

from google.protobuf.timestamp_pb2 import Timestamp

from fairlead.audit.consumers.service import Consumers
from fairlead.audit.model import Undecodable
from fairlead.audit.store import AuditLog
from fairlead.audit.transparency.sealing import Sealing
from fairlead.audit.trimming.beginning import Beginning
from fairlead.audit.trimming.choice import Choosing, Cut, Sealed, kept_bytes
from fairlead.audit.trimming.removal import Removing, Slice, proofs, slices
from fairlead.audit.trimming.shared import settled
from fairlead.config.sections.retention import AuditRetention
from fairlead.control.commands import Core, apply, to_the_end
from fairlead.control.errors import Refusal
from fairlead.internal.v1 import command_pb2
from fairlead.retention.model import cutoff
from fairlead.retention.service import INTERVAL_SECONDS, PAUSE_SECONDS, Writer
from fairlead.store import StoreUnavailable
from fairlead.v1 import audit_record_pb2

TRIMMED = "retention.audit_trimmed"
RETRY_SECONDS = 10.0
# Values of one look, and of one pause between two batches.
SETTLED_AT_ONCE = 256
# Consumers that a record names of those that it was not waited for.
_MOST_NAMED = 16

_log = logging.getLogger(__name__)


class Deleting(Removing, Protocol):
    """What is needed of the store on the writer's thread."""

    def close_log(self) -> None:
        """Has what is in memory written into files: what was removed gives back its space only then."""
        ...


class Receivers(Protocol):
    """What is needed of whoever reads the log for receivers of notifications."""

    @property
    def changing(self) -> asyncio.Lock:
        """Held while cursors change."""
        ...

    def read_up_to(self, lag: int) -> int:
        """The last record that all of them have passed, who is more than `lag` behind left out."""
        ...

    def put_cursors(self) -> Sequence[command_pb2.Write]:
        """Writes that remember how far each has come."""
        ...


class Trimming:
    """Trims one log. Belongs to one event loop and one task."""

    def __init__(
        self,
        core: Core,
        store: Deleting,
        writer: Writer,
        kept: Callable[[], AuditRetention],
        clock: Callable[[], int],
        sealing: Sealing,
        consumers: Consumers,
        receivers: Receivers,
    ) -> None:
        """`kept` gives what the running configuration says, `clock` Unix nanoseconds."""
        self._core = core
        self._store = store
        self._writer = writer
        self._kept = kept
        self._clock = clock
        self._sealing = sealing
        self._consumers = consumers
        self._receivers = receivers
        self._log = AuditLog(store)
        self._next_by_age = 0
        # Records whose removal was completed since the start.
        self.removed = 0

    @property
    def beginning(self) -> Beginning:
        """Where the log begins, as far as it was read; does not block."""
        return self._consumers.beginning

    @property
    def log_bytes(self) -> int:
        """What the signed part of the log takes, before compression."""
        return kept_bytes(self._sealed(), self.beginning)

    async def run(self) -> None:
        """Trims for ever: first what an earlier life has left, then what is due."""
        while True:
            try:
                size = self._sealing.size
                await self.remove()
                await self.settle()
                while True:
                    await self.trim()
                    size = max(size, self._sealing.size)
                    await self._due(size)
            except (Refusal, StoreUnavailable, Undecodable) as error:
                _log.warning("the audit log is trimmed later", extra={"error": str(error)})
            except Exception:
                _log.exception("the audit log is trimmed later")
            await asyncio.sleep(RETRY_SECONDS)

    async def _due(self, size: int) -> None:
        """Waits for the next checkpoint, at most as long as is between two sweeps."""
        try:
            async with asyncio.timeout(INTERVAL_SECONDS):
                await self._sealing.wait_newer(size)
        except TimeoutError:
            return

    async def trim(self, *, by_age: bool = False) -> bool:
        """Trims what is due now, what is too old when an hour has passed or `by_age` says so; False when there was
        nothing. Raises `Refusal`, `StoreUnavailable`, `Undecodable`."""
        kept, now = self._kept(), self._clock()
        by_age = by_age or now >= self._next_by_age
        too_large = kept.size is not None and self.log_bytes > kept.size
        if self._sealing.problem or not (too_large or (by_age and kept.age is not None)):
            return False
        if by_age:
            self._next_by_age = now + int(INTERVAL_SECONDS * 1e9)
        # Who is not waited for is told of before anything goes.
        await self._consumers.check()
        begun = await to_the_end(self._begin(kept, now, by_age=by_age))
        if begun:
            await self.remove()
        if by_age:
            await self.settle()
        return begun

    async def _begin(self, kept: AuditRetention, now: int, *, by_age: bool) -> bool:
        """Chooses and commits a new beginning, while nobody begins to read before it."""
        async with self._consumers.still(), self._receivers.changing:
            lag = self._consumers.limits.lag
            unread_after = min(self._consumers.read_up_to(lag), self._receivers.read_up_to(lag))
            cut = await asyncio.to_thread(self._choose, kept, now, unread_after, by_age)
            if cut is None:
                return False
            record = self._record(cut)
            writes = [cut.beginning.write(), *self._receivers.put_cursors()]
            change = command_pb2.ControlWrite(writes=writes, record=record, power=True)
            before = self.beginning
            await apply(self._core, command_pb2.Command(control_write=change))
            self._consumers.begins(cut.beginning)
        fields = {"first_sequence": cut.beginning.first_sequence, "why": cut.why}
        _log.info("the audit log is trimmed", extra={**fields, "records": cut.beginning.size - before.size})
        return True

    def _choose(self, kept: AuditRetention, now: int, unread_after: int, by_age: bool) -> Cut | None:
        choosing = Choosing(self._log, self._sealed())
        cuts = []
        if by_age and kept.age is not None and (before := cutoff(now, kept.age)):
            cuts.append(choosing.by_age(before, unread_after))
        if kept.size is not None:
            cuts.append(choosing.by_size(kept.size, unread_after))
        return max((cut for cut in cuts if cut), key=lambda cut: cut.beginning.size, default=None)

    def _record(self, cut: Cut) -> audit_record_pb2.ControlChanged:
        beginning, before = cut.beginning, self.beginning
        behind = [one.name for one in self._consumers.loaded() if one.position.sequence < beginning.size]
        record = audit_record_pb2.ControlChanged(subject=TRIMMED)
        record.detail.update(
            {
                "first_sequence": beginning.first_sequence,
                "records": beginning.size - before.size,
                "bytes": cut.removed_bytes,
                "why": cut.why,
                "checkpoint": beginning.note,
            }
        )
        if behind:
            record.detail["not_waited_for"] = " ".join(behind[:_MOST_NAMED])
        if cut.why == "age":
            record.detail["before"] = _time(cutoff(self._clock(), self._kept().age))
        return record

    async def remove(self) -> None:
        """Removes what lies before the beginning. Raises `StoreUnavailable`, `Undecodable`."""
        beginning = await asyncio.to_thread(self._log.beginning)
        left = slices(self._store, beginning)
        removed = 0
        while (some := await asyncio.to_thread(_next, left)) is not None:
            if not removed:
                await self._between(partial(self._store.delete_ranges, proofs(beginning)))
            await self._between(partial(some.remove, self._store))
            removed += some.records
            self.removed += some.records
            await asyncio.sleep(PAUSE_SECONDS)
        if removed:
            await self._between(self._store.close_log)
            fields = {"records": removed, "first_sequence": beginning.first_sequence}
            _log.info("trimmed records of the audit log removed", extra=fields)

    async def settle(self) -> None:
        """Removes values that trimmed records shared with what is not there any more. Raises `StoreUnavailable`."""
        size, after = self.beginning.size, b""
        while True:
            look = partial(settled, self._store, size, self._consumers.head, after, SETTLED_AT_ONCE)
            writes, after = await asyncio.to_thread(look)
            if writes:
                await self._between(partial(self._store.write, writes))
            if not after:
                return
            await asyncio.sleep(PAUSE_SECONDS)

    async def _between(self, work: Callable[[], None]) -> None:
        await asyncio.wrap_future(self._writer.between_batches(work))

    def _sealed(self) -> Sealed:
        return Sealed(self._sealing.size, self._sealing.record_bytes)


def _next(left: Iterator[Slice]) -> Slice | None:
    return next(left, None)


def _time(unix_nanos: int) -> str:
    stamp = Timestamp()
    stamp.FromNanoseconds(unix_nanos)
    return stamp.ToJsonString()
