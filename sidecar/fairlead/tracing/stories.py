"""Which records and runs belong to what has ended, from the store. Blocks for some reads; one thread at a time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from fairlead.audit.model import parse_record
from fairlead.audit.store import AuditLog, Invocations, Reader
from fairlead.internal.v1 import workflow_pb2
from fairlead.tracing.runs import ATTEMPT_ENDED, BEGINS
from fairlead.v1 import audit_record_pb2 as pb
from fairlead.workflow.model import InvalidName, run_id
from fairlead.workflow.store import Runs

# Beginnings of steps that are remembered: what was forgotten, or was before a restart, is looked for in the log.
BEGINNINGS = 50_000
# Records of a run that are looked at for that, and records that one call or approval may have.
MAX_LOOKED_AT = 2_000
MAX_RECORDS = 1_000
# Records that are kept as they came: of a busy log those of the last second.
REMEMBERED = 2_000


class Stories:
    """Reads what is about one thing. A record that is missing is left out: `fairlead audit verify` tells of it."""

    def __init__(self, reader: Reader) -> None:
        self._log = AuditLog(reader)
        self._invocations = Invocations(reader)
        self._runs = Runs(reader)
        self._began: OrderedDict[tuple[str, str, int], int] = OrderedDict()
        self._recent: OrderedDict[int, pb.AuditRecord] = OrderedDict()

    def remember(self, record: pb.AuditRecord) -> None:
        """Keeps a record that is about to be asked for: the beginning of a call is often right before its end."""
        self._recent[record.sequence] = record
        if len(self._recent) > REMEMBERED:
            self._recent.popitem(last=False)

    def of_call(self, call: str, tenant: str, upto: int) -> list[pb.AuditRecord]:
        """The records of a tenant's invocation or tool call and of its approval, in order, those behind `upto` left
        out."""
        records = self._records(self._invocations.sequences(call, tenant), upto)
        return [record for record in records if record.invocation == call]

    def of_approval(self, approval: str, upto: int) -> list[pb.AuditRecord]:
        """The records of an approval, in order."""
        stored = self._invocations.find_approval(approval)
        if stored is None:
            return []
        return [
            record
            for record in self._records(sorted(stored.sequences), upto)
            if approval in (record.approval.approval, record.tool.approval, record.decision.approval)
        ]

    def run(self, tenant: str, name: str) -> workflow_pb2.RunRecord | None:
        """A run of a tenant, by its id with or without `runs/`; None when there is none: agents may name anything."""
        try:
            run = run_id(name if name.startswith("runs/") else f"runs/{name}")
        except InvalidName:
            return None
        return self._runs.record(tenant, run)

    def begin(self, record: pb.AuditRecord) -> None:
        """Remembers when a step, or an attempt at it, began. A later attempt is not the beginning of its step: whoever
        goes on in the middle looks for that when the step has ended."""
        if record.kind in BEGINS:
            self._begin(record, first=record.step.epoch <= 1)

    def _begin(self, record: pb.AuditRecord, *, first: bool) -> None:
        event = record.step
        if first:
            self._began.setdefault((event.run, event.step, 0), record.time_unix_nanos)
        if record.kind == pb.EVENT_KIND_STEP_LEASED:
            self._began[event.run, event.step, event.epoch] = record.time_unix_nanos
        while len(self._began) > BEGINNINGS:
            self._began.popitem(last=False)

    def began(self, record: pb.AuditRecord, epoch: int = 0) -> int | None:
        """When the step of a record began, or one attempt at it; the record's own time when that is not known, None
        when the attempt has ended before: what people say of an unknown one is no attempt."""
        event = record.step
        known = self._began.get((event.run, event.step, epoch))
        if known is None:
            ended = self._look(record)
            if epoch in ended:
                return None
            known = self._began.get((event.run, event.step, epoch))
        return record.time_unix_nanos if known is None else known

    def end(self, record: pb.AuditRecord, epoch: int = 0) -> None:
        """Forgets what has ended."""
        self._began.pop((record.step.run, record.step.step, epoch), None)

    def _look(self, record: pb.AuditRecord) -> set[int]:
        """Reads when the step and its attempts began; the epochs of those that have ended before the record."""
        ended: set[int] = set()
        run = run_id(f"runs/{record.step.run}")
        sequences = [one for one in self._runs.events(record.tenant, run) if one < record.sequence]
        for other in self._records(sequences[-MAX_LOOKED_AT:], record.sequence, MAX_LOOKED_AT):
            if other.HasField("step") and other.step.step == record.step.step:
                if other.kind in BEGINS:
                    # In the order of the log, so the first one counts.
                    self._begin(other, first=True)
                if other.kind in ATTEMPT_ENDED and other.step.epoch:
                    ended.add(other.step.epoch)
                    self.end(other, other.step.epoch)
        return ended

    def _records(self, sequences: list[int], upto: int, most: int = MAX_RECORDS) -> Iterator[pb.AuditRecord]:
        for sequence in sequences[:most]:
            if sequence > upto:
                continue
            recent = self._recent.get(sequence)
            if recent is not None:
                yield recent
            elif (stored := self._log.record(sequence)) is not None:
                yield self._runs.texts.record(parse_record(stored.record_bytes), stored.record_bytes)
