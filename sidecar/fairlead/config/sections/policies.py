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
from fairlead.config.sections.output import OutputCheck
from fairlead.config.violation import Path

_MODEL, _TOOL, _OUTPUT = "model.call", "tool.call", "model.output"
_OUTPUT_EFFECTS = frozenset(("redact", "reject", "flag"))


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


EffectWord = Annotated[Literal["allow", "deny", "redact", "reject", "flag"], BeforeValidator(_served_effect)]
Effect = Annotated[
    Annotated[EffectWord, Tag("<word>")] | Annotated[EffectMapping, Tag("<mapping>")], Discriminator(word_or_mapping)
]


class Policy(Section):
    """A policy rule."""

    name: Name = Field(description="unique name; a denial names it")
    on: Literal["model.call", "tool.call", "model.output"] = Field(
        description="event: model.call, tool.call or model.output"
    )
    match: PolicyMatch = Field(default=PolicyMatch(), description="literal conditions")
    when: Expression | None = Field(
        default=None, description="CEL condition; an error while it is evaluated denies the call"
    )
    check: OutputCheck | None = Field(default=None, description="model.output: what is looked for in the answer")
    effect: Effect = Field(
        description="allow, deny, {constrain: {…}} or {requireApproval: TIER}; for model.output redact, reject or flag"
    )
    invariant: bool = Field(default=False, description="true: a deny that is checked first and that nothing overrides")

    def rules(self) -> Iterator[tuple[Path, str]]:
        """Only a deny can be an invariant, and every event has its own conditions and effects."""
        if self.invariant and self.effect != "deny":
            yield ("invariant",), "is for effect: deny only"
        for event, present in (
            (_TOOL, {("match", "tool"): self.match.tool}),
            (_MODEL, {("match", "model"): self.match.model, ("match", "workload"): self.match.workload}),
            (_OUTPUT, {("check",): self.check}),
        ):
            # The answer of a call is matched like the call.
            if self.on != event and not (event == _MODEL and self.on == _OUTPUT):
                yield from ((path, f"is for on: {event} only") for path, value in present.items() if value)
        yield from self._output_rules()
        if isinstance(self.effect, EffectMapping):
            yield from self._effect_rules(self.effect)

    def _output_rules(self) -> Iterator[tuple[Path, str]]:
        if self.on != _OUTPUT:
            if self.effect in _OUTPUT_EFFECTS:
                yield ("effect",), f"is for on: {_OUTPUT} only: write allow, deny or a mapping"
            return
        if self.effect not in _OUTPUT_EFFECTS:
            yield ("effect",), f"is not for on: {_OUTPUT}: write redact, reject or flag"
        if self.check is None:
            yield ("check",), "is missing: write what is looked for"
        elif self.effect == "redact":
            for key in self.check.of_the_whole_text():
                yield ("check", key), "is about the whole text, of which no part can be redacted: write reject or flag"

    def _effect_rules(self, effect: EffectMapping) -> Iterator[tuple[Path, str]]:
        if effect.require_approval is not None and self.on == _OUTPUT:
            yield ("effect", "requireApproval"), f"is for on: {_MODEL} and {_TOOL} only"
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
