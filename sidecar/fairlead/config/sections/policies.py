"""`policies`: rules on calls. deny (invariant first) > constrain (all of them together) > allow > `defaults`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from fairlead.config.sections.base import (
    Expression,
    Listed,
    ModelName,
    Name,
    Section,
    Unavailable,
    exactly_one,
    no_repeats,
    word_or_mapping,
)
from fairlead.config.sections.matching import Match
from fairlead.config.violation import Path


def _served(value: Any) -> Any:
    if value == "tool.call":
        raise PydanticCustomError("unavailable", "tool.call is not available in this version: only model.call is")
    return value


def _served_effect(value: Any) -> Any:
    if value in ("requireApproval", "throttle"):
        raise PydanticCustomError("unavailable", f"{value} is not available in this version")
    return value


class Constrain(Section):
    """Lets a call through, with less."""

    max_output_tokens: int | None = Field(default=None, ge=1, le=100_000_000, description="most output tokens")
    allowed_models: Annotated[Listed[ModelName], AfterValidator(no_repeats)] | None = Field(
        default=None, min_length=1, description="the only models that may be used"
    )

    def rules(self) -> Iterator[tuple[Path, str]]:
        """A constraint constrains something."""
        if self.max_output_tokens is None and self.allowed_models is None:
            yield (), "constrains nothing: write maxOutputTokens or allowedModels"


class EffectMapping(Section):
    """An effect that has parameters."""

    constrain: Constrain | None = Field(default=None, description="constraints of the call")
    require_approval: Unavailable = Field(default=None, description="approval tier", exclude=True)
    throttle: Unavailable = Field(default=None, description="rate", exclude=True)

    def rules(self) -> Iterator[tuple[Path, str]]:
        """One effect."""
        return exactly_one(self, "constrain")


EffectWord = Annotated[Literal["allow", "deny"], BeforeValidator(_served_effect)]
Effect = Annotated[
    Annotated[EffectWord, Tag("<word>")] | Annotated[EffectMapping, Tag("<mapping>")], Discriminator(word_or_mapping)
]


class Policy(Section):
    """A policy rule."""

    name: Name = Field(description="unique name; a denial names it")
    on: Annotated[Literal["model.call"], BeforeValidator(_served)] = Field(description="event: model.call")
    match: Match = Field(default=Match(), description="literal conditions")
    when: Expression | None = Field(
        default=None, description="CEL condition; an error while it is evaluated denies the call"
    )
    effect: Effect = Field(description="allow, deny or {constrain: {maxOutputTokens, allowedModels}}")
    invariant: bool = Field(default=False, description="true: a deny that is checked first and that nothing overrides")

    def rules(self) -> Iterator[tuple[Path, str]]:
        """Only a deny can be an invariant."""
        if self.invariant and self.effect != "deny":
            yield ("invariant",), "is for effect: deny only"
