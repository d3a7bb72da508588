"""`approvals`: tiers of people who must agree to what a policy rule does not let through by itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from fairlead.config.quantities import Duration
from fairlead.config.sections.base import Listed, Name, Section, word_or_mapping
from fairlead.config.violation import Path

# Most people that one tier may ask for, as in native/plan.
PEOPLE_MAX = 64


def _never_approve(value: Any) -> Any:
    if value == "approve":
        raise PydanticCustomError("approve", "must not be approve: what nobody agreed to does not happen; write deny")
    if value == "escalateTo":
        raise PydanticCustomError("tier", "escalateTo needs a tier: write {escalateTo: TIER}")
    return value


class Quorum(Section):
    """A number of different people with a role; everybody counts for one role."""

    role: Name = Field(description="role, as operators have it")
    count: int = Field(default=1, ge=1, le=PEOPLE_MAX, description="different people with this role")


class OnExpireMapping(Section):
    """What happens when nobody decided in time, when it has a parameter."""

    escalate_to: Name = Field(description="tier that is asked instead, with its own expiresAfter; votes go on counting")


OnExpireWord = Annotated[Literal["deny"], BeforeValidator(_never_approve)]
OnExpire = Annotated[
    Annotated[OnExpireWord, Tag("<word>")] | Annotated[OnExpireMapping, Tag("<mapping>")],
    Discriminator(word_or_mapping),
]


class Tier(Section):
    """A tier."""

    name: Name = Field(description="unique name, for effect: {requireApproval: NAME}")
    require: Listed[Quorum] = Field(min_length=1, max_length=16, description="who must agree: all of these")
    expires_after: Annotated[int, Duration("1s", "366d")] = Field(
        default=259_200_000, description="how long there is to decide"
    )
    on_expire: OnExpire = Field(
        default="deny", description="what happens when nobody decided in time: deny or {escalateTo: TIER}"
    )

    def rules(self) -> Iterator[tuple[Path, str]]:
        """A role is asked for once, and the people are not too many."""
        for index, quorum in enumerate(self.require):
            if any(quorum.role == other.role for other in self.require[:index]):
                yield ("require", index, "role"), f"the role {quorum.role!r} is asked for twice: add up the counts"
        if sum(quorum.count for quorum in self.require) > PEOPLE_MAX:
            yield ("require",), f"asks for more than {PEOPLE_MAX} people"


class Approvals(Section):
    """Approvals."""

    tiers: Listed[Tier] = Field(default=(), max_length=1_000, description="approval tiers")
