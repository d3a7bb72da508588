"""A sidecar that trims its log, in memory, with one clock; it can be killed between any two removals."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import TypeVar

from fairlead.audit.consumers.model import ConsumerLimits
from fairlead.audit.consumers.reading import LogConsumer
from fairlead.audit.consumers.service import Consumers
from fairlead.audit.model import parse_record
from fairlead.audit.store import AuditLog
from fairlead.audit.transparency.bundle import bundle
from fairlead.audit.transparency.checkpoint import SignedCheckpoint
from fairlead.audit.transparency.lines import Line, parse_line
from fairlead.audit.transparency.proofs import Proofs
from fairlead.audit.transparency.store import Seals
from fairlead.audit.trimming.beginning import Beginning
from fairlead.audit.trimming.service import TRIMMED, Trimming
from fairlead.config.sections.retention import AuditRetention
from fairlead.internal.v1 import command_pb2
from fairlead.store import Family, StoreUnavailable, keys
from fairlead.v1 import audit_record_pb2, audit_service_pb2
from tests.unit.audit.fakes import FakeStore
from tests.unit.audit.records import T0
from tests.unit.audit.transparency.logs import Recording, SealedLog

DAY = 86_400 * 10**9
HEAD_BYTES = 40
_Result = TypeVar("_Result")


class Writer:
    """A writer that always stands between two batches; it can be told to break off."""

    def __init__(self) -> None:
        self.breaks_after = 1_000_000

    def between_batches(self, work: Callable[[], _Result]) -> Future[_Result]:
        result: Future[_Result] = Future()
        self.breaks_after -= 1
        if self.breaks_after < 0:
            result.set_exception(StoreUnavailable("killed"))
        else:
            result.set_result(work())
        return result


class Receivers:
    """Who is told of records: how far each is."""

    def __init__(self) -> None:
        self.changing = asyncio.Lock()
        self.cursor: int | None = None

    def read_up_to(self, lag: int) -> int:
        return 1 << 62 if self.cursor is None else self.cursor

    def put_cursors(self) -> Sequence[command_pb2.Write]:
        return []


class Life:
    """One life of a sidecar over a store."""

    def __init__(self, store: FakeStore | None = None, now: int = T0, lag: int = 50) -> None:
        self.now = now
        self.log = SealedLog(store)
        self.store = self.log.store
        self.log.feed.publish(max((one.sequence for one in self.log.records()), default=0))
        self.kept = AuditRetention()
        self.limits = ConsumerLimits(consumers=16, lag=lag, stall_seconds=60)
        core = Recording(self.log)
        self.consumers = Consumers(core, self.store, self.log.feed, lambda: self.now, lambda: self.limits)
        self.writer, self.receivers = Writer(), Receivers()
        self.trimming = Trimming(
            core,
            self.store,
            self.writer,
            lambda: self.kept,
            lambda: self.now,
            self.log.sealing,
            self.consumers,
            self.receivers,
        )

    async def begin(self) -> Life:
        """As a start does."""
        await self.consumers.load()
        await self.log.sealing.load()
        assert not self.log.sealing.problem
        return self

    async def again(self) -> Life:
        """The next life, after a kill."""
        life = Life(self.store, self.now, self.limits.lag)
        life.kept = self.kept
        return await life.begin()

    def commit(self, count: int, size: int = 100, **fields: object) -> None:
        """Records of about so many bytes, of this moment."""
        for _ in range(count):
            self.log.append(
                audit_record_pb2.AuditRecord(
                    tenant="x" * max(1, size - HEAD_BYTES),
                    time_unix_nanos=self.now,
                    **fields,  # type: ignore[arg-type]
                )
            )

    async def sealed(self, *counts: int, size: int = 100) -> Life:
        """So many records, a checkpoint behind each."""
        for count in counts:
            self.commit(count, size)
            await self.log.seal()
        return self

    async def exporter(self, name: str = "otlp", *, from_start: bool = True) -> LogConsumer:
        return await LogConsumer.open(self.consumers, AuditLog(self.store), self.log.feed, name, from_start=from_start)

    @property
    def beginning(self) -> Beginning:
        return AuditLog(self.store).beginning()

    @property
    def head(self) -> int:
        return self.log.feed.sequence

    def sequences(self) -> list[int]:
        """What is really there."""
        return [keys.audit_sequence(key) for key in sorted(self.store.families[Family.AUDIT])]

    def checkpoints(self) -> list[SignedCheckpoint]:
        return [one for one, _ in Seals(self.store).after(0)]

    def changes(self, subject: str = TRIMMED) -> list[dict[str, object]]:
        """What the log says of changes."""
        parsed = (parse_record(record.record_bytes).control_changed for record in self.log.records())
        return [dict(change.detail) for change in parsed if change.subject == subject]

    def bundle(self) -> list[Line]:
        """A bundle as the command line writes it, line by line."""
        proofs = Proofs(self.store)
        ranges = proofs.page(audit_service_pb2.ListLogCheckpointsRequest(page_size=1000)).ranges
        return [parse_line(line) for line in bundle(proofs.identity(), self._events(), ranges)]

    def _events(self) -> Iterator[audit_service_pb2.AuditEvent]:
        log = AuditLog(self.store)
        for record in log.after(0, 1_000_000, 1 << 30):
            yield log.event(record, log.hash_before(record.sequence))
