"""Opaque tokens of the audit service: where a stream or a list goes on.

A resume token names a record by its sequence and the first bytes of its hash. A token of another log, or of a record
that a power loss took away before it was flushed, is therefore recognised instead of silently skipping or repeating.
Tokens begin with a version; an unknown one is refused, so that the form can change.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from dataclasses import dataclass

from fairlead.audit.model import StoredRecord
from fairlead.v1 import audit_service_pb2

# Of a record's hash, in a resume token.
FINGERPRINT_BYTES = 8
_POSITION = struct.Struct(">BQ8s")
_POSITION_VERSION = 1
_PAGE = struct.Struct(">BQ?8s")
_PAGE_VERSION = 0x41


class InvalidToken(ValueError):
    """The token was not made by this service."""


@dataclass(frozen=True, slots=True)
class Position:
    """After which record a stream goes on; sequence 0 is before the first record."""

    sequence: int
    fingerprint: bytes

    @classmethod
    def after(cls, record: StoredRecord) -> Position:
        """The position after a record."""
        return cls(record.sequence, record.record_hash[:FINGERPRINT_BYTES])

    def encode(self) -> str:
        """As a resume token."""
        return _encode(self.packed())

    def packed(self) -> bytes:
        """As stored for a subscriber."""
        return _POSITION.pack(_POSITION_VERSION, self.sequence, self.fingerprint)

    @classmethod
    def unpack(cls, packed: bytes) -> Position:
        """Reads `packed()`; raises `InvalidToken`."""
        try:
            version, sequence, fingerprint = _POSITION.unpack(packed)
        except struct.error as error:
            raise InvalidToken("not a position in the audit log") from error
        if version != _POSITION_VERSION:
            raise InvalidToken(f"version {version} of resume tokens is not known")
        return cls(sequence, fingerprint)

    @classmethod
    def decode(cls, token: str) -> Position:
        """Reads a resume token; raises `InvalidToken`."""
        return cls.unpack(_decode(token))


START = Position(0, bytes(FINGERPRINT_BYTES))


@dataclass(frozen=True, slots=True)
class PageToken:
    """Where a list goes on: the next sequence to look at, for one filter and direction."""

    sequence: int
    descending: bool
    filter_digest: bytes

    def encode(self) -> str:
        """As a page token."""
        return _encode(_PAGE.pack(_PAGE_VERSION, self.sequence, self.descending, self.filter_digest))

    @classmethod
    def decode(cls, token: str) -> PageToken:
        """Reads a page token; raises `InvalidToken`."""
        try:
            version, sequence, descending, digest = _PAGE.unpack(_decode(token))
        except struct.error as error:
            raise InvalidToken("not a page token of the audit log") from error
        if version != _PAGE_VERSION:
            raise InvalidToken(f"version {version} of page tokens is not known")
        return cls(sequence, descending, digest)


def filter_digest(filter: audit_service_pb2.EventFilter) -> bytes:
    """Tells whether two pages were asked for with the same filter."""
    return hashlib.sha256(filter.SerializeToString(deterministic=True)).digest()[:8]


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _decode(token: str) -> bytes:
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (ValueError, binascii.Error) as error:
        raise InvalidToken("not a token") from error
    # One token, one spelling: the decoder above ignores characters it does not know.
    if _encode(raw) != token:
        raise InvalidToken("not a token")
    return raw
