"""The hash chain of the audit log, and its verification. Pure: no I/O, no clock.

A log is the records 1, 2, 3, … without gaps. Each has a hash:

    record_hash(n) = SHA-256(record_hash(n - 1) ‖ record_bytes(n))        record_hash(0) = 32 zero bytes

`record_bytes` are the exact bytes that were stored; the record inside repeats its own sequence, so that a record cannot
be moved to another place even together with its hash. INVARIANT (A1): a log verifies only if every record is at its
place, says so itself, and its hash follows from the one before. Whoever keeps (head sequence, head hash) outside the
log can detect any later change to it, the removal of its end included.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from fairlead.v1 import audit_record_pb2, audit_service_pb2

HASH_BYTES = 32
# Hash before the first record.
GENESIS = bytes(HASH_BYTES)


class Undecodable(ValueError):
    """Stored bytes are not what the log stores."""


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """One record as it is in the log: its place, its hash and its exact bytes."""

    sequence: int
    record_hash: bytes
    record_bytes: bytes


def link(prev_hash: bytes, record_bytes: bytes) -> bytes:
    """Hash of a record that follows `prev_hash`."""
    return hashlib.sha256(prev_hash + record_bytes).digest()


def rewritten(sequence: int, found: bytes) -> str:
    """The problem of a record that has another hash than the one that was kept outside the log."""
    return f"record {sequence} has the hash {found.hex()}, not the expected one: the log was written anew"


def parse_record(record_bytes: bytes) -> audit_record_pb2.AuditRecord:
    """Decodes a record; raises `Undecodable`."""
    try:
        return audit_record_pb2.AuditRecord.FromString(record_bytes)
    except DecodeError as error:
        raise Undecodable(f"not an audit record: {error}") from error


def event_of(stored: StoredRecord, prev_hash: bytes) -> audit_service_pb2.AuditEvent:
    """The record with its place in the chain, as the API gives it; raises `Undecodable`."""
    return audit_service_pb2.AuditEvent(
        record=parse_record(stored.record_bytes),
        record_hash=stored.record_hash,
        prev_hash=prev_hash,
        record_bytes=stored.record_bytes,
    )


@dataclass(frozen=True, slots=True)
class Verification:
    """Result of a verification; the fields are those of `VerifyChainResponse`."""

    checked: int
    head_sequence: int
    head_hash: bytes
    first_invalid_sequence: int = 0
    problem: str = ""
    first_sequence: int = 1
    """Where the log begins."""

    @property
    def valid(self) -> bool:
        """True when nothing is missing and every hash matches."""
        return self.first_invalid_sequence == 0

    def response(self) -> audit_service_pb2.VerifyChainResponse:
        """As the API gives it."""
        return audit_service_pb2.VerifyChainResponse(
            valid=self.valid,
            checked=self.checked,
            first_invalid_sequence=self.first_invalid_sequence,
            problem=self.problem,
            head_hash=self.head_hash,
            head_sequence=self.head_sequence,
            first_sequence=self.first_sequence,
        )

    @classmethod
    def from_response(cls, response: audit_service_pb2.VerifyChainResponse) -> Verification:
        """From what the API gave."""
        return cls(
            checked=response.checked,
            head_sequence=response.head_sequence,
            head_hash=response.head_hash,
            first_invalid_sequence=response.first_invalid_sequence,
            problem=response.problem,
            # An older sidecar does not say: it does not trim.
            first_sequence=max(1, response.first_sequence),
        )


class ChainVerifier:
    """Checks records one by one, in the order they are given; keeps one hash and two numbers, whatever the log's size.

    Checking ends at the first problem: what follows a broken link proves nothing.
    """

    def __init__(
        self, first_sequence: int = 1, prev_hash: bytes = GENESIS, expected_head: tuple[int, bytes] | None = None
    ) -> None:
        """Starts before `first_sequence`, whose predecessor has `prev_hash`; `expected_head` is a sequence and its hash
        that were kept outside the log and have to be in it."""
        self._next = first_sequence
        self._head = prev_hash
        self._checked = 0
        self._expected_head = expected_head
        self._problem: tuple[int, str] | None = None

    @property
    def failed(self) -> bool:
        """True once a problem was found; further records are ignored."""
        return self._problem is not None

    @property
    def next_sequence(self) -> int:
        """Sequence that has to come next."""
        return self._next

    @property
    def head_hash(self) -> bytes:
        """Hash that the next record has to follow."""
        return self._head

    def feed(self, record: StoredRecord) -> bool:
        """Checks the next record; False when a problem is known."""
        if self._problem is None:
            problem = self._problem_of(record)
            if problem is None:
                self._next += 1
                self._head = record.record_hash
                self._checked += 1
            else:
                self._problem = (self._next, problem)
        return self._problem is None

    def fail(self, problem: str) -> None:
        """Notes that the next record cannot be read at all."""
        if self._problem is None:
            self._problem = (self._next, problem)

    def finish(self, last_sequence: int = 0) -> Verification:
        """The result; `last_sequence` is the record that has to be there at least (0: none)."""
        if self._expected_head is not None:
            last_sequence = max(last_sequence, self._expected_head[0])
        if last_sequence >= self._next:
            self.fail(f"record {self._next} is missing: the log ends before it, but record {last_sequence} was written")
        first_invalid, problem = self._problem or (0, "")
        # Before the first checked record there is no head of this verification's own.
        head = (self._next - 1, self._head) if self._checked else (0, b"")
        return Verification(self._checked, head[0], head[1], first_invalid, problem)

    def _problem_of(self, record: StoredRecord) -> str | None:
        expected = self._next
        if record.sequence > expected:
            return f"record {expected} is missing: the next one there is {record.sequence}"
        if record.sequence < expected:
            return f"record {record.sequence} is where record {expected} should be"
        try:
            inside = parse_record(record.record_bytes).sequence
        except Undecodable as error:
            return f"record {expected} cannot be decoded: {error}"
        if inside != expected:
            return f"record {expected} says that it is record {inside}"
        computed = link(self._head, record.record_bytes)
        if computed != record.record_hash:
            return (
                f"the hash of record {expected} does not match: stored {record.record_hash.hex()}, "
                f"computed {computed.hex()}"
            )
        if self._expected_head is not None and self._expected_head[0] == expected:
            return None if self._expected_head[1] == computed else rewritten(expected, computed)
        return None
