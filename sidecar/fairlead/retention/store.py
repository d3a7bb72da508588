"""What is old enough to go, and how it goes: found in pages beside everything else, removed between two batches.

| | found by | goes with |
|---|---|---|
| invocation | the time in its id: one range of keys for each tenant | nothing |
| tool call | its end | the key that names it, and its approvals |

INVARIANT (T1) of the engine, an idempotency key never has two calls that succeeded or may have, holds as long as a key
is remembered. So a key goes in the same batch as the call that it names, it stays when it names a later one, and calls
whose outcome nobody knows stay with it. What is looked at between two batches cannot change before it is removed, and
what the engine has decided meanwhile is written behind it. Approvals go with their call, because a ticket leads to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from fairlead.audit.model import parse_record
from fairlead.audit.store import AuditLog, Reader, tenants
from fairlead.internal.v1 import state_pb2
from fairlead.retention.model import NANOS_PER_MILLI
from fairlead.store import Family, keys
from fairlead.v1 import audit_record_pb2

# Of one pause between two batches: about a millisecond.
SLICE_CALLS = 64
SLICE_TENANTS = 256
_ENDED = b"c"
_GOES = (
    audit_record_pb2.TOOL_CALL_STATE_SUCCEEDED,
    audit_record_pb2.TOOL_CALL_STATE_FAILED,
    audit_record_pb2.TOOL_CALL_STATE_REJECTED,
    audit_record_pb2.TOOL_CALL_STATE_EXPIRED,
)

Range = tuple[Family, bytes, bytes]
"""A family, a first key and the key behind the last."""


class Deleting(Reader, Protocol):
    """What is needed of the store on the writer's thread."""

    def write(self, writes: list[tuple[int, bytes, bytes | None]], /) -> None:
        """Writes all or nothing; no value deletes."""
        ...

    def delete_ranges(self, ranges: list[Range], /) -> None:
        """Deletes keys from the first on, up to but without the second."""
        ...


def old_invocations(reader: Reader, before_unix_nanos: int) -> Iterator[Range]:
    """Ranges of invocations that were admitted before a time, one for each tenant that has any.

    Blocks for a read each.
    """
    time = (before_unix_nanos // NANOS_PER_MILLI).to_bytes(6, "big")
    for prefix in tenants(reader, Family.INVOCATIONS):
        end = prefix + time
        if next(reader.scan(Family.INVOCATIONS, start=prefix, end=end, limit=1), None) is not None:
            yield Family.INVOCATIONS, prefix, end


@dataclass(frozen=True, slots=True)
class OldCall:
    """A tool call that may go."""

    tenant: str
    call: str
    idempotency_key: str
    approvals: frozenset[str]
    """Ids; the last one, and those that it took the place of."""


def old_calls(reader: Reader, before_unix_nanos: int) -> Iterator[OldCall]:
    """Tool calls that ended before a time, and whose outcome is known. Blocks for the length of a page at times."""
    time = (before_unix_nanos // NANOS_PER_MILLI).to_bytes(6, "big")
    for prefix in tenants(reader, Family.TOOLS):
        # None can have ended before it was asked for, which is the time in its id.
        for _, value in reader.scan(Family.TOOLS, start=prefix + _ENDED, end=prefix + _ENDED + time):
            record = state_pb2.ToolCallRecord.FromString(value)
            if record.state in _GOES and record.end_time_unix_nanos < before_unix_nanos:
                approvals = _approvals(reader, record)
                yield OldCall(record.tenant, record.call, record.idempotency_key, approvals)


def _approvals(reader: Reader, call: state_pb2.ToolCallRecord) -> frozenset[str]:
    """The approvals that a call ever waited for, by what the audit log tells of it; of a call whose records were
    trimmed, by looking at all approvals that were asked for in its time."""
    log, found = AuditLog(reader), {call.approval}
    for sequence in call.sequences:
        stored = log.record(sequence)
        if stored is not None:
            found.add(parse_record(stored.record_bytes).tool.approval.removeprefix("approvals/"))
    if call.approval and min(call.sequences, default=0) < log.beginning().first_sequence:
        start, end = (
            (nanos // NANOS_PER_MILLI).to_bytes(6, "big")
            for nanos in (call.create_time_unix_nanos, call.end_time_unix_nanos + NANOS_PER_MILLI)
        )
        for _, value in reader.scan(Family.APPROVALS, start=start, end=end):
            asked = state_pb2.ApprovalRecord.FromString(value)
            if asked.call == call.call:
                found.add(asked.approval.name.removeprefix("approvals/"))
    return frozenset(found - {""})


def remove_calls(store: Deleting, calls: list[OldCall]) -> None:
    """Removes calls with their keys and approvals, in one batch. Only between two batches of the commit writer."""
    writes: list[tuple[int, bytes, bytes | None]] = []
    for old in calls:
        call = keys.tool_call_id_bytes(old.call)
        if call is None:
            continue
        writes.append((Family.TOOLS, keys.tool_call(old.tenant, call), None))
        key = keys.tool_key(old.tenant, old.idempotency_key)
        named = store.get(Family.TOOLS, key)
        if named is not None and state_pb2.ToolKeyRecord.FromString(named).call == old.call:
            writes.append((Family.TOOLS, key, None))
        approvals = filter(None, map(keys.approval_id_bytes, old.approvals))
        writes += [(Family.APPROVALS, keys.approval(approval), None) for approval in approvals]
    store.write(writes)
