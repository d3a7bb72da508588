"""Names of deliveries, and page tokens of lists of them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from fairlead.v1 import notification_service_pb2 as pb

_NAME = re.compile(r"receivers/([A-Za-z0-9][A-Za-z0-9._-]{0,62})/deliveries/([1-9][0-9]{0,18})")
_VERSION = "n1"


class InvalidName(ValueError):
    """The text is not the name of a delivery."""


class InvalidToken(ValueError):
    """The token was not made by this service, or for another list."""


def delivery_name(receiver: str, sequence: int) -> str:
    """Resource name of a delivery."""
    return f"receivers/{receiver}/deliveries/{sequence}"


def parse_name(name: str) -> tuple[str, int]:
    """Receiver and audit sequence of a name; raises `InvalidName`."""
    match = _NAME.fullmatch(name)
    if match is None or int(match[2]) >= 1 << 63:
        raise InvalidName("must be receivers/RECEIVER/deliveries/SEQUENCE")
    return match[1], int(match[2])


@dataclass(frozen=True, slots=True)
class PageToken:
    """The last delivery of a page: its state, receiver and sequence."""

    dead: bool
    receiver: str
    sequence: int

    def encode(self, request: pb.ListDeliveriesRequest) -> str:
        """As a page token of this list."""
        parts = (_VERSION, _filter(request), str(int(self.dead)), self.receiver, str(self.sequence))
        return base64.urlsafe_b64encode("\0".join(parts).encode()).rstrip(b"=").decode("ascii")

    @classmethod
    def decode(cls, request: pb.ListDeliveriesRequest) -> PageToken:
        """Reads the token of a request; raises `InvalidToken`."""
        token = request.page_token
        try:
            text = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
            version, filter, dead, receiver, sequence = text.split("\0")
            read = cls(dead == "1", *parse_name(delivery_name(receiver, int(sequence))))
        except (ValueError, binascii.Error) as error:
            raise InvalidToken("not a page token of a list of deliveries") from error
        if version != _VERSION:
            raise InvalidToken("not a page token of a list of deliveries")
        if filter != _filter(request):
            raise InvalidToken("belongs to a list with another filter")
        # One token, one spelling: the decoder ignores characters that it does not know.
        if read.encode(request) != token:
            raise InvalidToken("not a page token of a list of deliveries")
        return read


def _filter(request: pb.ListDeliveriesRequest) -> str:
    return hashlib.sha256(f"{request.state}\0{request.receiver}".encode()).hexdigest()[:16]
