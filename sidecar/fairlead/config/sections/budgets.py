"""`budgets`: hard or soft limits of money, tokens or requests over a window, for every instance of a scope."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag

from fairlead.config.quantities import Duration, NanoUsd
from fairlead.config.sections.base import (
    INT64_MAX,
    Listed,
    ModelName,
    Name,
    Section,
    exactly_one,
    no_repeats,
    word_or_mapping,
)
from fairlead.config.sections.matching import Match
from fairlead.config.sections.scope import Scope
from fairlead.config.violation import Path


class Limit(Section):
    """The limit: one or more of the three units."""

    usd: NanoUsd | None = Field(default=None, description="money in USD, kept as nano-USD")
    tokens: int | None = Field(default=None, ge=1, le=INT64_MAX, description="input, output and reasoning tokens")
    requests: int | None = Field(default=None, ge=1, le=INT64_MAX, description="calls")

    def rules(self) -> Iterator[tuple[Path, str]]:
        """A limit limits something."""
        if self.usd is None and self.tokens is None and self.requests is None:
            yield (), "limits nothing: write usd, tokens or requests"


class Rolling(Section):
    """A window that moves with time."""

    rolling: Annotated[int, Duration("1s", "366d")] = Field(description="length of the window")


class OnExceedMapping(Section):
    """What happens at the limit, when it has a parameter."""

    downgrade_to: ModelName | None = Field(default=None, description="model to plan again with")
    require_approval: Name | None = Field(
        default=None, description="approval tier: its people may let a call go over the limit, once"
    )

    def rules(self) -> Iterator[tuple[Path, str]]:
        """One effect."""
        return exactly_one(self, "downgrade_to", "require_approval")


WindowWord = Literal["lifetime", "hour", "day", "week", "month"]
Window = Annotated[
    Annotated[WindowWord, Tag("<word>")] | Annotated[Rolling, Tag("<mapping>")], Discriminator(word_or_mapping)
]
OnExceedWord = Literal["deny", "alert"]
OnExceed = Annotated[
    Annotated[OnExceedWord, Tag("<word>")] | Annotated[OnExceedMapping, Tag("<mapping>")],
    Discriminator(word_or_mapping),
]
Threshold = Annotated[int, Field(ge=1, le=1000)]


def _in_order(value: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(no_repeats(value)))


class Budget(Section):
    """A budget."""

    name: Name = Field(description="unique name")
    match: Match = Field(default=Match(), description="literal conditions; calls they do not fit are not counted")
    scope: Scope = Field(
        default=("tenant",), min_length=1, description="dimensions of an instance; the tenant is always one"
    )
    limit: Limit = Field(description="limit of every instance")
    window: Window = Field(
        default="lifetime", description="lifetime, hour, day, week, month (UTC) or {rolling: DURATION}"
    )
    on_exceed: OnExceed = Field(
        default="deny", description="deny, alert (soft), {downgradeTo: MODEL} or {requireApproval: TIER}"
    )
    alert_at: Annotated[Listed[Threshold], AfterValidator(_in_order)] = Field(
        default=(), max_length=16, description="percentages of the limit that raise an alert, once per window"
    )
    count_cached: bool = Field(default=True, description="false: cached input does not count towards the token limit")
