"""Where the log begins: at record 1, or behind the signed checkpoint up to which it was trimmed.

INVARIANT (A3): the beginning is written, in one commit unit with the audit record that says so, before anything is
removed, and only records before it are removed. So a reader that misses a record looks at the beginning again: when
the record lies before it, it was trimmed; else the log is damaged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from google.protobuf.message import DecodeError

from fairlead.audit.model import GENESIS, Undecodable
from fairlead.audit.tokens import FINGERPRINT_BYTES, START, Position
from fairlead.internal.v1 import command_pb2, state_pb2
from fairlead.store import Family, keys


class Reader(Protocol):
    """What is needed of the store."""

    def get(self, family: Family, key: bytes, /) -> bytes | None:
        """The value of a key, or None."""
        ...


@dataclass(frozen=True, slots=True)
class Beginning:
    """Where a log begins; as it is made, at record 1."""

    first_sequence: int = 1
    prev_hash: bytes = GENESIS
    """Hash of the record before the first one."""
    note: str = ""
    """The signed checkpoint of all records before it; empty when there are none."""
    frontier: tuple[bytes, ...] = ()
    """Roots of the perfect subtrees that the checkpoint's tree is made of, the largest first."""
    log_hash: bytes = b""
    """Hash of record 1; empty when that is still there."""
    record_bytes: int = 0
    """Bytes of all records before it, in part an estimate."""

    @property
    def size(self) -> int:
        """Records that were trimmed: those of the checkpoint."""
        return self.first_sequence - 1

    @property
    def position(self) -> Position:
        """The position before the first record."""
        return Position(self.size, self.prev_hash[:FINGERPRINT_BYTES]) if self.size else START

    def write(self) -> command_pb2.Write:
        """The write that remembers it."""
        record = state_pb2.AuditBeginningRecord(
            first_sequence=self.first_sequence,
            prev_hash=self.prev_hash,
            note=self.note,
            frontier=self.frontier,
            log_hash=self.log_hash,
            record_bytes=self.record_bytes,
        )
        value = record.SerializeToString(deterministic=True)
        return command_pb2.Write(family=Family.SEALS, key=keys.SEAL_BEGINNING, value=value)


_WHOLE = Beginning()


def beginning_of(reader: Reader) -> Beginning:
    """Where the log of a store begins; blocks for one read. Raises `Undecodable`."""
    stored = reader.get(Family.SEALS, keys.SEAL_BEGINNING)
    if stored is None:
        return _WHOLE
    try:
        record = state_pb2.AuditBeginningRecord.FromString(stored)
    except DecodeError as error:
        raise Undecodable(f"what is stored of the log's beginning cannot be read: {error}") from error
    return Beginning(
        max(1, record.first_sequence),
        record.prev_hash,
        record.note,
        tuple(record.frontier),
        record.log_hash,
        record.record_bytes,
    )


class LogTrimmed(Exception):
    """A record that was asked for is not in the log any more."""

    def __init__(self, sequence: int, beginning: Beginning) -> None:
        super().__init__(
            f"record {sequence} was trimmed from the audit log (retention.audit), which begins with record "
            f"{beginning.first_sequence}"
        )
        self.sequence = sequence
        self.beginning = beginning
