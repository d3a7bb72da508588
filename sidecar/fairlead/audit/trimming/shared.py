"""Values that a trimmed record shares: with an approval or a run, which show it for as long as they are kept, and with
later records, which copy it from those. Such a value goes in two steps.

| a record that commits to it was trimmed, and | the value |
|---|---|
| an approval or a run that it is about is there | stays |
| none is there any more | nothing new can commit to it: it stays for the records that are in the log by now |
| those were trimmed, too | goes |
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from fairlead.audit.store import Reader
from fairlead.internal.v1 import state_pb2
from fairlead.store import Family, keys
from fairlead.v1 import audit_record_pb2

Write = tuple[int, bytes, bytes | None]
_APPROVAL = re.compile(rb"apr_[0-9a-f]{32}")
# Bodies of records whose texts an approval or a run may have.
_OF_APPROVALS, _OF_RUNS = ("decision", "tool", "approval"), ("run", "step")


@dataclass(frozen=True, slots=True)
class Shared:
    """A value, and the approvals and runs that may have it: each a key behind its family, one byte."""

    digest: bytes
    subjects: frozenset[bytes]

    def writes(self, reader: Reader) -> Iterator[Write]:
        """What remembers that the value stays; nothing when it was erased. Only between two batches of the commit
        writer."""
        if reader.get(Family.SEALS, keys.erasable_value(self.digest)) is None:
            return
        key = keys.trimmed_value(self.digest)
        known = _parsed(reader.get(Family.SEALS, key) or b"")
        if known.last_sequence and not _is_there(reader, self.subjects):
            # That they are gone was noticed before.
            return
        merged = state_pb2.TrimmedValueRecord(subjects=sorted(self.subjects | set(known.subjects)))
        yield Family.SEALS, key, merged.SerializeToString(deterministic=True)


def subjects_of(record: audit_record_pb2.AuditRecord, record_bytes: bytes) -> frozenset[bytes] | None:
    """The approvals, or the run, that may have the values of a record; None when its values are its own."""
    body = record.WhichOneof("body")
    if body in _OF_APPROVALS:
        names = {name.decode() for name in _APPROVAL.findall(record_bytes)}
        ids = (keys.approval_id_bytes(name) for name in names)
        return frozenset(bytes([Family.APPROVALS]) + keys.approval(one) for one in ids if one is not None)
    if body in _OF_RUNS:
        run = keys.run_id_bytes(record.run.run or record.step.run)
        return frozenset() if run is None else frozenset((bytes([Family.RUNS]) + keys.run(record.tenant, run),))
    return None


def settled(reader: Reader, beginning_size: int, head: int, after: bytes, most: int) -> tuple[list[Write], bytes]:
    """The next steps of at most so many values behind a key, of a log that begins behind a record and ends with `head`;
    and the last key that was looked at, empty when there was none. Blocks for as long as it reads."""
    writes: list[Write] = []
    last = b""
    start = after + b"\0" if after else b""
    for key, value in reader.scan(Family.SEALS, prefix=keys.SEAL_TRIMMED_VALUE, start=start, limit=most):
        last = key
        stored = _parsed(value)
        if _is_there(reader, stored.subjects):
            continue
        if stored.subjects or not stored.last_sequence:
            stored = state_pb2.TrimmedValueRecord(last_sequence=head)
            writes.append((Family.SEALS, key, stored.SerializeToString(deterministic=True)))
        elif stored.last_sequence <= beginning_size:
            digest = key.removeprefix(keys.SEAL_TRIMMED_VALUE)
            writes += [(Family.SEALS, keys.erasable_value(digest), None), (Family.SEALS, key, None)]
    return writes, last


def _is_there(reader: Reader, subjects: Iterable[bytes]) -> bool:
    return any(reader.get(Family(subject[0]), subject[1:]) is not None for subject in subjects)


def _parsed(value: bytes) -> state_pb2.TrimmedValueRecord:
    return state_pb2.TrimmedValueRecord.FromString(value)
