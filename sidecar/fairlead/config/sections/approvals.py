"""`approvals`: tiers of people who must agree. Not served by this version: an empty section is accepted."""

from __future__ import annotations

from pydantic import Field

from fairlead.config.sections.base import Section, UnavailableList


class Approvals(Section):
    """Approvals."""

    tiers: UnavailableList = Field(default=(), description="approval tiers", exclude=True)
