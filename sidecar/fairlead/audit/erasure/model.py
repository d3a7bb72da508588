"""Commitments to values that can be erased.

A record has, in the place of a text that people or agents wrote,

    erasable:sha256:<hex of SHA-256(salt ‖ text)>            salt: 16 random bytes, text: UTF-8

and salt and text are kept beside it, under the digest. Whoever has both can check them against the record. When they
are gone the record says nothing about the text: without the salt, guesses cannot be tried. The bytes of the record, and
with them the chain, the tree and every proof, stay what they are. A sentence of the sidecar may quote a text, such as
why a run failed because of its step: then the commitment stands in the sentence. Approvals, runs and steps have the
same commitments as their records.

The native core commits to what comes with its commands. Golden vectors, shared with Rust: `tests/golden/erasable.json`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator

from google.protobuf.message import DecodeError, Message

from fairlead.internal.v1 import command_pb2, state_pb2
from fairlead.store import Family, keys
from fairlead.v1 import audit_record_pb2, audit_service_pb2

SALT_BYTES = 16
MARK = "erasable:sha256:"
_COMMITMENT = re.compile(rf"(?<!\w){MARK}([0-9a-f]{{64}})(?!\w)")
_MARK_BYTES = MARK.encode()
ERASED = "(erased)"
# Which fields of a record have free text, by its body. All others are declared not to have any, in the contract tests.
ERASABLE: dict[str, tuple[str, ...]] = {
    "decision": ("inputs.agreed.votes.reason", "rejection_metadata"),
    "settlement": ("attempts.detail",),
    "hold_ended": ("reason",),
    "budget": ("reason",),
    "tool": ("inputs.votes.reason", "rejection_metadata"),
    "approval": ("tool", "vote.reason", "reason"),
    "run": ("failure.message", "reason"),
    "step": ("failure.message",),
}
# The one field in which the sidecar quotes: in all others a text is a commitment as a whole, or none.
_QUOTING = "message"

Values = Callable[[bytes], str | None]
"""Gives the text of a digest, or None when it was erased."""


def commitment(value: str, salt: bytes) -> tuple[str, command_pb2.Write]:
    """What the record says, and the write that keeps the value beside it: both belong into one unit."""
    digest = digest_of(value, salt)
    kept = state_pb2.ErasableValueRecord(salt=salt, value=value).SerializeToString(deterministic=True)
    return MARK + digest.hex(), command_pb2.Write(family=Family.SEALS, key=keys.erasable_value(digest), value=kept)


def digest_of(value: str, salt: bytes) -> bytes:
    """What is committed to."""
    return hashlib.sha256(salt + value.encode()).digest()


def digests(record: audit_record_pb2.AuditRecord, record_bytes: bytes) -> Iterator[bytes]:
    """The commitments of a record: of the fields that may have one, and no others, whatever their text looks like. Each
    comes once."""
    # Cheap: most records have none.
    if may_have_any(record_bytes):
        found = (digest for message, field in _places(record) for digest in _digests_in(message, field))
        yield from dict.fromkeys(found)


def may_have_any(record_bytes: bytes) -> bool:
    """False when a record has no commitment; costs little."""
    return _MARK_BYTES in record_bytes


def digests_in(text: str, *, quoted: bool = False) -> Iterator[bytes]:
    """The commitment that a text is; with `quoted` those that are in it."""
    if MARK in text:
        yield from (bytes.fromhex(match[1]) for match in _COMMITMENT.finditer(text) if quoted or match[0] == text)


def readable(text: str, values: Values, *, quoted: bool = False) -> str:
    """A text as people read it: with the value in the place of its commitment (`quoted`: of those that are in it), or
    that it was erased."""
    if MARK not in text:
        return text

    def value(match: re.Match[str]) -> str:
        if not quoted and match[0] != text:
            return match[0]
        known = values(bytes.fromhex(match[1]))
        return ERASED if known is None else known

    return _COMMITMENT.sub(value, text)


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
    if not may_have_any(event.record_bytes):
        return event.record
    values = {one.digest: one.value for one in event.values}
    return revealed_record(event.record, values.get)


def revealed_record(record: audit_record_pb2.AuditRecord, values: Values) -> audit_record_pb2.AuditRecord:
    """The same for a record whose values are elsewhere; the record itself stays as it is."""
    shown = audit_record_pb2.AuditRecord()
    shown.CopyFrom(record)
    for message, field in _places(shown):
        told = getattr(message, field)
        if isinstance(told, str):
            setattr(message, field, readable(told, values, quoted=field == _QUOTING))
        else:
            for key in list(told):
                told[key] = readable(told[key], values)
    return shown


def _places(record: audit_record_pb2.AuditRecord) -> Iterator[tuple[Message, str]]:
    """Where free text may be: messages, and the names of their fields, which are texts or maps to texts."""
    body = record.WhichOneof("body")
    if body is not None:
        for path in ERASABLE.get(body, ()):
            yield from _at(getattr(record, body), path.split("."))


def _at(message: Message, path: list[str]) -> Iterator[tuple[Message, str]]:
    name, *rest = path
    if not rest:
        yield message, name
        return
    inner = getattr(message, name)
    if isinstance(inner, Message):
        # What is not set must not become so by being looked at.
        yield from _at(inner, rest) if message.HasField(name) else ()
        return
    for one in inner:
        yield from _at(one, rest)


def _digests_in(message: Message, field: str) -> Iterator[bytes]:
    told = getattr(message, field)
    for text in (told,) if isinstance(told, str) else told.values():
        yield from digests_in(text, quoted=field == _QUOTING)
