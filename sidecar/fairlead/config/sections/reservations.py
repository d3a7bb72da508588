"""`reservations`: how long holds, granted tool calls and sessions live, and what happens to what nobody ends."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from fairlead.config.quantities import Duration
from fairlead.config.sections.base import Section


class Reservations(Section):
    """Reservations."""

    ttl: Annotated[int, Duration("1s", "24h")] = Field(
        default=600_000, description="how long a hold waits for its settlement"
    )
    on_expiry: Literal["charge", "release"] = Field(
        default="charge",
        description="charge: an expired hold is charged its worst case; a later settlement corrects it",
    )
    tool_ttl: Annotated[int, Duration("1s", "7d")] = Field(
        default=3_600_000, description="how long a granted tool call may stay open; then its outcome is UNKNOWN"
    )
    session_ttl: Annotated[int, Duration("1s", "366d")] = Field(
        default=2_592_000_000, description="how long a session keeps its labels and model after its last use"
    )
