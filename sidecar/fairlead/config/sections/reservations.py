"""`reservations`: how long a hold lives in decision mode, and what happens when nobody settles it."""

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
