"""Page tokens of lists of runs: behind which run the next page begins, for one filter."""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from dataclasses import dataclass

from fairlead.v1 import workflow_service_pb2 as pb

_TOKEN = struct.Struct(">B8s16s")
_VERSION = 0x52


class InvalidToken(ValueError):
    """The token was not made by this service."""


@dataclass(frozen=True, slots=True)
class PageToken:
    """The last run that was looked at, and what the list was asked for."""

    before: bytes
    digest: bytes

    def encode(self) -> str:
        """As a page token."""
        packed = _TOKEN.pack(_VERSION, self.digest, self.before)
        return base64.urlsafe_b64encode(packed).rstrip(b"=").decode("ascii")

    @classmethod
    def decode(cls, token: str) -> PageToken:
        """Reads a page token; raises `InvalidToken`."""
        try:
            version, digest, before = _TOKEN.unpack(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        except (ValueError, binascii.Error, struct.error) as error:
            raise InvalidToken("not a page token of a list of runs") from error
        read = cls(before, digest)
        # One token, one spelling: the decoder above ignores characters it does not know.
        if version != _VERSION or read.encode() != token:
            raise InvalidToken("not a page token of a list of runs")
        return read


def list_digest(request: pb.ListRunsRequest) -> bytes:
    """Tells whether two pages are of the same list, whatever their sizes."""
    asked = pb.ListRunsRequest()
    asked.CopyFrom(request)
    asked.ClearField("page_size")
    asked.ClearField("page_token")
    return hashlib.sha256(asked.SerializeToString(deterministic=True)).digest()[:8]
