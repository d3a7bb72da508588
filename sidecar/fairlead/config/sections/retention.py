"""`retention`: when what has ended is forgotten. Not set means never."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from fairlead.config.quantities import Duration
from fairlead.config.sections.base import Section


class Retention(Section):
    """How long what has ended is kept; the audit log is not part of it."""

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
