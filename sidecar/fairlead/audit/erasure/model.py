"""Commitments to values that can be erased.

A record has, in the place of the text,

    erasable:sha256:<hex of SHA-256(salt ‖ value)>            salt: 16 random bytes, value: UTF-8

and salt and value are kept beside it, under the digest. Whoever has both can check them against the record. When they
are gone the record says nothing about the value: without the salt, guesses cannot be tried. The bytes of the record,
and with them the chain, the tree and every proof, stay what they are.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

from google.protobuf.message import DecodeError

from fairlead.internal.v1 import command_pb2, state_pb2
from fairlead.store import Family, keys
from fairlead.v1 import audit_record_pb2, audit_service_pb2

SALT_BYTES = 16
_MARK = "erasable:sha256:"
_COMMITMENT = re.compile(rf"{_MARK}([0-9a-f]{{64}})\Z")
ERASED = "(erased)"


def commitment(value: str, salt: bytes) -> tuple[str, command_pb2.Write]:
    """What the record says, and the write that keeps the value beside it: both belong into one unit."""
    digest = digest_of(value, salt)
    kept = state_pb2.ErasableValueRecord(salt=salt, value=value).SerializeToString(deterministic=True)
    return _MARK + digest.hex(), command_pb2.Write(family=Family.SEALS, key=keys.erasable_value(digest), value=kept)


def digest_of(value: str, salt: bytes) -> bytes:
    """What is committed to."""
    return hashlib.sha256(salt + value.encode()).digest()


def digests(record: audit_record_pb2.AuditRecord, record_bytes: bytes) -> Iterator[bytes]:
    """The commitments of a record: of the fields that may be one, and no others, whatever their text looks like."""
    # Cheap: most records have none.
    if _MARK.encode() in record_bytes and (match := _COMMITMENT.match(record.budget.reason)):
        yield bytes.fromhex(match[1])


def kept_value(digest: bytes, stored: bytes) -> audit_service_pb2.ErasableValue | None:
    """The value that is stored beside a record; None when it is not the one that the record commits to."""
    try:
        record = state_pb2.ErasableValueRecord.FromString(stored)
    except DecodeError:
        return None
    if digest_of(record.value, record.salt) != digest:
        return None
    return audit_service_pb2.ErasableValue(digest=digest, salt=record.salt, value=record.value)


def revealed(event: audit_service_pb2.AuditEvent) -> audit_record_pb2.AuditRecord:
    """The record as people read it: with its values in their places, or that they were erased."""
    found = list(digests(event.record, event.record_bytes))
    if not found:
        return event.record
    values = {one.digest: one.value for one in event.values}
    record = audit_record_pb2.AuditRecord()
    record.CopyFrom(event.record)
    record.budget.reason = values.get(found[0], ERASED)
    return record
