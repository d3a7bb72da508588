"""Page tokens of lists of checkpoints: behind which one the next page begins, for one filter."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from fairlead.v1 import checkpoint_service_pb2 as pb

_VERSION = b"\x43"
_DIGEST_BYTES = 8


class InvalidToken(ValueError):
    """The token was not made by this service."""


@dataclass(frozen=True, slots=True)
class PageToken:
    """The last checkpoint that was looked at, and what the list was asked for."""

    thread: str
    checkpoint: str
    namespace: str
    digest: bytes

    def encode(self) -> str:
        """As a page token."""
        place = pb.Checkpoint(thread=self.thread, checkpoint=self.checkpoint, namespace=self.namespace)
        packed = _VERSION + self.digest + place.SerializeToString(deterministic=True)
        return base64.urlsafe_b64encode(packed).rstrip(b"=").decode("ascii")

    @classmethod
    def decode(cls, token: str) -> PageToken:
        """Reads a page token; raises `InvalidToken`."""
        try:
            raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
            place = pb.Checkpoint.FromString(raw[1 + _DIGEST_BYTES :])
        # The parser has an exception of its own, which is no ValueError in every build of it.
        except (ValueError, binascii.Error, DecodeError) as error:
            raise InvalidToken("not a page token of a list of checkpoints") from error
        read = cls(place.thread, place.checkpoint, place.namespace, raw[1 : 1 + _DIGEST_BYTES])
        if raw[:1] != _VERSION or read.encode() != token:
            raise InvalidToken("not a page token of a list of checkpoints")
        return read


def list_digest(request: pb.ListCheckpointsRequest) -> bytes:
    """Tells whether two pages are of the same list."""
    asked = pb.ListCheckpointsRequest()
    asked.CopyFrom(request)
    asked.ClearField("page_size")
    asked.ClearField("page_token")
    return hashlib.sha256(asked.SerializeToString(deterministic=True)).digest()[:_DIGEST_BYTES]
