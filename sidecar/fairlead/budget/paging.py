"""Page tokens of budget lists: after which name the next page begins, for one parent and budget."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass

from fairlead.budget.model import BudgetName

_VERSION = b"\x42"


class InvalidToken(ValueError):
    """The token was not made by this service."""


@dataclass(frozen=True, slots=True)
class PageToken:
    """The last name of a page, and what the list was asked for."""

    after: BudgetName
    digest: bytes

    def encode(self) -> str:
        """As a page token."""
        parts = (part.encode() for part in (self.after.tenant, self.after.budget, self.after.instance))
        return base64.urlsafe_b64encode(_VERSION + self.digest + b"\0".join(parts)).rstrip(b"=").decode("ascii")

    @classmethod
    def decode(cls, token: str) -> PageToken:
        """Reads a page token; raises `InvalidToken`."""
        try:
            raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
            tenant, budget, instance = (part.decode() for part in raw[9:].split(b"\0"))
        except (ValueError, binascii.Error) as error:
            raise InvalidToken("not a page token of a budget list") from error
        read = cls(BudgetName(tenant, budget, instance), raw[1:9])
        if raw[:1] != _VERSION or read.encode() != token:
            raise InvalidToken("not a page token of a budget list")
        return read


def list_digest(tenant: str, budget: str) -> bytes:
    """Tells whether two pages are of the same list."""
    return hashlib.sha256(b"\0".join((tenant.encode(), budget.encode()))).digest()[:8]
