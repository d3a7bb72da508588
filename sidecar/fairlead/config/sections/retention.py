"""`retention`: when what has ended is forgotten. Not set means never."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from fairlead.config.quantities import Duration, Size
from fairlead.config.sections.base import Section


class AuditRetention(Section):
    """How much of the audit log is kept; without either all of it."""

    age: Annotated[int, Duration("1d", "3660d")] | None = Field(
        default=None, description="records that are older are trimmed, in whole days"
    )
    size: Annotated[int, Size("1MiB", "16384GiB")] | None = Field(
        default=None,
        description="beyond so many bytes, before compression, the oldest records are trimmed",
    )


class Retention(Section):
    """How long what has ended is kept, and how much of the audit log."""

    # The least is far beyond what may still ask for one: its request id (24 h). Open ones are not among them.
    invocations: Annotated[int, Duration("7d", "3660d")] | None = Field(
        default=None, description="invocations, from their admission on; explain and late settlements need them"
    )
    # Beyond the longest time that a grant may stay open (reservations.toolTtl, at most 7d).
    tool_calls: Annotated[int, Duration("30d", "3660d")] | None = Field(
        default=None,
        description="tool calls, from their end on, with their approvals and their idempotency keys: the same key is "
        "granted again afterwards. Calls whose outcome nobody knows stay",
    )
    audit: AuditRetention = Field(
        default=AuditRetention(), description="when the beginning of the audit log is trimmed"
    )
