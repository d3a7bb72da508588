"""Where the audit log and the invocations are in the store, and how they are read.

The layout of the keys is that of `fairlead.store.keys`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from fairlead.audit.erasure.model import digests, kept_value
from fairlead.audit.erasure.reading import Texts
from fairlead.audit.model import GENESIS, StoredRecord, Undecodable, event_of
from fairlead.audit.tokens import START, Position
from fairlead.audit.trimming.beginning import Beginning, LogTrimmed, beginning_of
from fairlead.internal.v1 import state_pb2
from fairlead.store import Family, keys
from fairlead.v1 import audit_service_pb2
from fairlead.workflow.store import Runs

# Where open holds and tool calls are behind their tenant.
_OPEN = b"o"
_OPEN_TOOL_CALL, _ENDED_TOOL_CALL = b"t", b"c"


class Reader(Protocol):
    """What is needed of the store."""

    def get(self, family: Family, key: bytes, /) -> bytes | None:
        """The value of a key, or None."""
        ...

    def scan(
        self,
        family: Family,
        /,
        *,
        prefix: bytes = b"",
        start: bytes | None = None,
        end: bytes | None = None,
        reverse: bool = False,
        limit: int | None = None,
    ) -> Iterator[tuple[bytes, bytes]]:
        """The pairs with `start` <= key < `end`, in key order or backwards, at most `limit`."""
        ...


def split_entry(key: bytes, value: bytes) -> StoredRecord:
    """One entry of the audit family; raises `Undecodable`."""
    if len(key) != 8:
        raise Undecodable(f"key {key.hex()} of the audit log has {len(key)} bytes instead of 8")
    try:
        record_hash, record_bytes = keys.split_audit_value(value)
    except ValueError as error:
        raise Undecodable(str(error)) from error
    return StoredRecord(keys.audit_sequence(key), record_hash, record_bytes)


class AuditLog:
    """Reads the log. Every call sees what is committed at that moment; all of them block for the length of some reads.

    What lies before its beginning is not listed, also while it is still being removed.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    @property
    def reader(self) -> Reader:
        """The store that the log is in."""
        return self._reader

    def beginning(self) -> Beginning:
        """Where the log begins; raises `Undecodable`."""
        return beginning_of(self._reader)

    def head(self) -> StoredRecord | None:
        """The last record."""
        for key, value in self._reader.scan(Family.AUDIT, reverse=True, limit=1):
            return split_entry(key, value)
        return None

    def first_hash(self) -> bytes:
        """Hash of record 1, which names the log, also when that was trimmed; empty when there is none yet."""
        first = self.record(1)
        return self.beginning().log_hash if first is None else first.record_hash

    def begin_position(self) -> Position:
        """The position before the first record that is there."""
        return self.beginning().position

    def head_position(self) -> Position:
        """The position after the last record."""
        head = self.head()
        return START if head is None else Position.after(head)

    def record(self, sequence: int) -> StoredRecord | None:
        """One record, or None."""
        if sequence < 1:
            return None
        key = keys.audit(sequence)
        value = self._reader.get(Family.AUDIT, key)
        return None if value is None else split_entry(key, value)

    def hash_before(self, sequence: int) -> bytes:
        """Hash that the record at `sequence` follows; empty when the record before is missing. Raises `LogTrimmed` when
        the record itself was trimmed."""
        if sequence <= 1:
            return GENESIS
        before = self.record(sequence - 1)
        if before is not None:
            return before.record_hash
        beginning = self.beginning()
        if sequence < beginning.first_sequence:
            raise LogTrimmed(sequence, beginning)
        return beginning.prev_hash if beginning.first_sequence == sequence else b""

    def after(self, sequence: int, limit: int, max_bytes: int, last: int = 0) -> list[StoredRecord]:
        """The records after `sequence`, up to `last` (0: the end), oldest first; ends early over `max_bytes`."""
        return _bounded(self._behind(sequence, limit, last), max_bytes)

    def entries_after(
        self, sequence: int, limit: int, max_bytes: int, last: int = 0
    ) -> tuple[list[tuple[bytes, bytes]], bool]:
        """The entries behind `sequence`, up to `last` (0: the end), as they are stored, oldest first, at least one and
        then as many as fit; and whether it was a bound that ended them."""
        entries: list[tuple[bytes, bytes]] = []
        size = 0
        for entry in self._behind(sequence, limit, last):
            size += len(entry[1])
            if entries and size > max_bytes:
                return entries, True
            entries.append(entry)
        return entries, len(entries) == limit

    def _behind(self, sequence: int, limit: int, last: int = 0) -> Iterator[tuple[bytes, bytes]]:
        sequence = max(sequence, self.beginning().size)
        # The zero byte: an entry with a malformed key behind `sequence` has to be met, not skipped.
        start = keys.audit(sequence) + b"\0" if sequence else b""
        end = keys.audit(last) + b"\0" if last else None
        return self._reader.scan(Family.AUDIT, start=start, end=end, limit=limit)

    def before(self, sequence: int, limit: int, max_bytes: int) -> list[StoredRecord]:
        """The records before `sequence`, newest first; ends early over `max_bytes`."""
        start, end = keys.audit(self.beginning().first_sequence), keys.audit(sequence)
        return _bounded(self._reader.scan(Family.AUDIT, start=start, end=end, reverse=True, limit=limit), max_bytes)

    def event(self, stored: StoredRecord, prev_hash: bytes) -> audit_service_pb2.AuditEvent:
        """A record as the API gives it, with the values that it commits to; raises `Undecodable`."""
        event = event_of(stored, prev_hash)
        for digest in digests(event.record, stored.record_bytes):
            kept = self._reader.get(Family.SEALS, keys.erasable_value(digest))
            value = None if kept is None else kept_value(digest, kept)
            if value is not None:
                event.values.append(value)
        return event

    def contains(self, position: Position) -> bool:
        """True when the position is before the first record or after a record that is really in this log; raises
        `LogTrimmed` when it is before a record that was trimmed."""
        record = self.record(position.sequence)
        # Read behind the record: if that is missing because it was trimmed, this says so.
        beginning = self.beginning()
        if position.sequence < beginning.size:
            raise LogTrimmed(position.sequence + 1, beginning)
        if position.sequence == beginning.size:
            return position == beginning.position
        return record is not None and Position.after(record) == position


def _bounded(entries: Iterable[tuple[bytes, bytes]], max_bytes: int) -> list[StoredRecord]:
    """At least one record, then as many as fit; a subscriber's memory is bounded by this.

    An entry that is none ends the list, and is raised once it is the first: what comes before it has to be seen.
    """
    records: list[StoredRecord] = []
    size = 0
    for key, value in entries:
        size += len(value)
        if records and size > max_bytes:
            break
        try:
            records.append(split_entry(key, value))
        except Undecodable:
            if records:
                break
            raise
    return records


class Invocations:
    """Finds invocations and tool calls by their id alone: in `state` while they are open, in `invocations` and `tools`
    afterwards.

    All these families begin their keys with the tenant, which an operator's question does not name. The tenants are
    found in the families themselves by skipping from one to the next (one seek each), so the cost grows with the number
    of tenants, not with that of invocations, and a tenant that left the configuration is still found.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def find(self, invocation: str, tenant: str = "") -> state_pb2.InvocationRecord | None:
        """The record of an invocation, or None. `state` is read first: an invocation only moves from there to the other
        family, in one commit unit, so it cannot be missed in between. Who knows the tenant need not look for it."""
        raw_id = keys.invocation_id_bytes(invocation)
        value = self._value(raw_id, tenant, (Family.STATE, _OPEN), (Family.INVOCATIONS, b""))
        return None if value is None else state_pb2.InvocationRecord.FromString(value)

    def find_approval(self, name: str) -> state_pb2.ApprovalRecord | None:
        """The record of an approval, by `approvals/apr_…` or the id alone, or None."""
        approval = keys.approval_id_bytes(name.removeprefix("approvals/"))
        stored = None if approval is None else self._reader.get(Family.APPROVALS, keys.approval(approval))
        if stored is None:
            return None
        record = state_pb2.ApprovalRecord.FromString(stored)
        Texts(self._reader).fill_in(record.approval)
        return record

    def find_tool_call(self, call: str, tenant: str = "") -> state_pb2.ToolCallRecord | None:
        """The record of a tool call, or None."""
        raw_id = keys.tool_call_id_bytes(call)
        value = self._value(raw_id, tenant, (Family.STATE, _OPEN_TOOL_CALL), (Family.TOOLS, _ENDED_TOOL_CALL))
        return None if value is None else state_pb2.ToolCallRecord.FromString(value)

    def sequences(self, name: str, tenant: str = "") -> list[int]:
        """Where the records of an invocation, a tool call or an approval are in the log, in order; of the tenant, when
        it is known."""
        approval = self.find_approval(name)
        name = approval.call if approval is not None else name
        known = self.find(name, tenant) or self.find_tool_call(name, tenant)
        if known is not None:
            return self.sequences_of(known)
        return [] if approval is None else sorted(approval.sequences)

    def sequences_of(self, call: state_pb2.InvocationRecord | state_pb2.ToolCallRecord) -> list[int]:
        """Where the records of an invocation or tool call, and of its approval, are in the log, in order."""
        found = set(call.sequences)
        if (approval := self.find_approval(call.approval)) is not None:
            found.update(approval.sequences)
        return sorted(found)

    def sequences_of_run(self, name: str) -> list[int]:
        """Where the records of a run and of its steps are in the log, in order; `name` is `runs/run_…`."""
        run = keys.run_id_bytes(name.removeprefix("runs/"))
        if run is None:
            return []
        runs = Runs(self._reader)
        record = runs.find(run)
        return [] if record is None else runs.events(record.tenant, run)

    def _value(self, raw_id: bytes | None, tenant: str, *places: tuple[Family, bytes]) -> bytes | None:
        """What is stored under an id, at the first of the places that has it; whichever tenant's it is, when none is
        named."""
        if raw_id is None:
            return None
        for family, marker in places:
            for prefix in (keys.text(tenant),) if tenant else tenants(self._reader, family):
                value = self._reader.get(family, prefix + marker + raw_id)
                if value is not None:
                    return value
        return None

    def last_sequence(self) -> int:
        """The highest sequence that the newest invocation of any tenant names: that record was there once."""
        last = 0
        for prefix in tenants(self._reader, Family.INVOCATIONS):
            for _, value in self._reader.scan(Family.INVOCATIONS, prefix=prefix, reverse=True, limit=1):
                last = max(last, *state_pb2.InvocationRecord.FromString(value).sequences, 0)
        return last


def tenants(reader: Reader, family: Family) -> Iterator[bytes]:
    """Key prefixes of the tenants that have something in a family whose keys begin with the tenant."""
    start: bytes | None = b""
    while start is not None:
        first = next(iter(reader.scan(family, start=start, limit=1)), None)
        if first is None:
            return
        key = first[0]
        prefix = key[: 2 + int.from_bytes(key[:2], "big")]
        if len(prefix) > 2:
            yield prefix
        start = keys.after_prefix(prefix)
