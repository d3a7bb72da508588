"""`policies`: rules on calls. deny (invariant first) > requireApproval > constrain (all of them together) > allow >
`defaults`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from fairlead.config.sections.arguments import ArgumentConstraint
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
from fairlead.config.sections.matching import PolicyMatch
from fairlead.config.violation import Path

_MODEL, _TOOL = "model.call", "tool.call"


def _served_effect(value: Any) -> Any:
    if value == "throttle":
        raise PydanticCustomError("unavailable", "throttle is not available in this version")
    if value == "requireApproval":
        raise PydanticCustomError("tier", "requireApproval needs a tier: write {requireApproval: TIER}")
    return value


class Constrain(Section):
    """Lets a call through, with less."""

    max_output_tokens: int | None = Field(default=None, ge=1, le=100_000_000, description="most output tokens")
    allowed_models: Annotated[Listed[ModelName], AfterValidator(no_repeats)] | None = Field(
        default=None, min_length=1, description="the only models that may be used"
    )
    arguments: Listed[ArgumentConstraint] | None = Field(
        default=None, min_length=1, max_length=64, description="what becomes of arguments of a tool call"
    )

    def rules(self) -> Iterator[tuple[Path, str]]:
        """A constraint constrains something."""
        if self.max_output_tokens is None and self.allowed_models is None and self.arguments is None:
            yield (), "constrains nothing: write maxOutputTokens or allowedModels, or arguments of a tool call"


class EffectMapping(Section):
    """An effect that has parameters."""

    constrain: Constrain | None = Field(default=None, description="constraints of the call")
    require_approval: Name | None = Field(default=None, description="approval tier: people have to agree first")
    throttle: Unavailable = Field(default=None, description="rate", exclude=True)

    def rules(self) -> Iterator[tuple[Path, str]]:
        """One effect."""
        return exactly_one(self, "constrain", "require_approval")


EffectWord = Annotated[Literal["allow", "deny"], BeforeValidator(_served_effect)]
Effect = Annotated[
    Annotated[EffectWord, Tag("<word>")] | Annotated[EffectMapping, Tag("<mapping>")], Discriminator(word_or_mapping)
]


class Policy(Section):
    """A policy rule."""

    name: Name = Field(description="unique name; a denial names it")
    on: Literal["model.call", "tool.call"] = Field(description="event: model.call or tool.call")
    match: PolicyMatch = Field(default=PolicyMatch(), description="literal conditions")
    when: Expression | None = Field(
        default=None, description="CEL condition; an error while it is evaluated denies the call"
    )
    effect: Effect = Field(description="allow, deny, {constrain: {…}} or, for tool.call, {requireApproval: TIER}")
    invariant: bool = Field(default=False, description="true: a deny that is checked first and that nothing overrides")

    def rules(self) -> Iterator[tuple[Path, str]]:
        """Only a deny can be an invariant, and every event has its own conditions and effects."""
        if self.invariant and self.effect != "deny":
            yield ("invariant",), "is for effect: deny only"
        for event, present in (
            (_TOOL, {("match", "tool"): self.match.tool}),
            (_MODEL, {("match", "model"): self.match.model, ("match", "workload"): self.match.workload}),
        ):
            if self.on != event:
                yield from ((path, f"is for on: {event} only") for path, value in present.items() if value)
        if isinstance(self.effect, EffectMapping):
            yield from self._effect_rules(self.effect)

    def _effect_rules(self, effect: EffectMapping) -> Iterator[tuple[Path, str]]:
        if effect.require_approval is not None and self.on != _TOOL:
            yield ("effect", "requireApproval"), f"is not available in this version on {self.on}: only on {_TOOL}"
        if (constrain := effect.constrain) is None:
            return
        of_event = {
            "maxOutputTokens": (_MODEL, constrain.max_output_tokens),
            "allowedModels": (_MODEL, constrain.allowed_models),
            "arguments": (_TOOL, constrain.arguments),
        }
        for key, (event, value) in of_event.items():
            if value is not None and self.on != event:
                yield ("effect", "constrain", key), f"is for on: {event} only"
