"""`routes`: rules that turn a request into an ordered plan of models. The first route that fits wins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from fairlead.config.quantities import Duration
from fairlead.config.sections.base import Expression, Labels, Listed, ModelName, Name, Section, no_repeats
from fairlead.config.sections.matching import Match
from fairlead.config.violation import Path

_WORDS = ("5xx", "timeout", "connect", "cut", "garbled", "rejected")
_TRIGGERS = frozenset((*_WORDS, "408", "429", *map(str, range(500, 600))))


def _trigger(value: Any) -> str:
    """What makes the plan go on with the next model; other client errors would fail there as well."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or text not in _TRIGGERS:
        raise PydanticCustomError(
            "trigger",
            "is not a reason to fall back: write 408, 429, 5xx, a status from 500, timeout, connect, cut, garbled "
            "or rejected",
        )
    return text


Trigger = Annotated[str, BeforeValidator(_trigger)]
Models = Annotated[Listed[ModelName], AfterValidator(no_repeats)]


class Target(Section):
    """A model and its share."""

    model: ModelName = Field(description="name of a model")
    weight: int = Field(default=1, ge=1, le=1_000_000, description="share of the calls, relative to the other targets")


class Fallback(Section):
    """What comes after the chosen model failed."""

    chain: Models = Field(min_length=1, max_length=16, description="models in the order to try them")
    on: Annotated[Listed[Trigger], AfterValidator(no_repeats)] = Field(
        default=("408", "429", "5xx", "timeout", "connect", "cut", "garbled", "rejected"),
        min_length=1,
        description="what falls back",
    )


class Backoff(Section):
    """Exponential backoff with jitter."""

    initial: Annotated[int, Duration("0s", "5m")] = Field(default=200, description="first wait")
    max: Annotated[int, Duration("0s", "1h")] = Field(default=5_000, description="longest wait")

    def rules(self) -> Iterator[tuple[Path, str]]:
        """The first wait is not longer than the longest."""
        if self.initial > self.max:
            yield ("initial",), "must not be longer than max"


class Retry(Section):
    """Attempts at the same model."""

    attempts: int = Field(default=1, ge=1, le=10, description="attempts at one model, the first included")
    backoff: Backoff = Field(default=Backoff(), description="waits between attempts")
    wait_for_retry_after_up_to: Annotated[int, Duration("0s", "5m")] = Field(
        default=3_000,
        description="a Retry-After up to this long is waited for, a longer one goes on with the next model",
    )


class Cache(Section):
    """Answers that are given again for the same request of the same tenant."""

    ttl: Annotated[int, Duration("1s", "30d")] = Field(description="how long an answer may be given again")


class Route(Section):
    """A route: either weighted targets, or a selection among candidates."""

    name: Name = Field(description="unique name")
    match: Match = Field(default=Match(), description="literal conditions")
    when: Expression | None = Field(default=None, description="CEL condition, such as request.minQuality >= 0.85")
    targets: Listed[Target] | None = Field(default=None, min_length=1, max_length=64, description="weighted targets")
    select: Literal["cheapest", "fastest", "best"] | None = Field(
        default=None, description="how to pick among the candidates"
    )
    candidates: Models | None = Field(default=None, min_length=1, max_length=64, description="models to select from")
    sticky_by: Literal["session", "run", "agent", "tenant"] | None = Field(
        default=None,
        description="calls with the same value get the same target; session and run keep the model that answered, "
        "also of a selection, while it is healthy; default: every call is drawn anew",
    )
    fallback: Fallback | None = Field(default=None, description="models to try when the chosen one fails")
    retry: Retry = Field(default=Retry(), description="attempts at the same model")
    timeout: Annotated[int, Duration("1ms", "24h")] | None = Field(
        default=None, description="longest the whole invocation may take"
    )
    max_p99: Annotated[int, Duration("1ms", "1h")] | None = Field(
        default=None, description="longest p99 latency of a model"
    )
    min_output_tokens: int = Field(
        default=64, ge=1, le=100_000_000, description="fewest output tokens a budget may clamp to"
    )
    require_labels: Labels = Field(default={}, description="labels that every model of the plan must have")
    on_untranslatable: Literal["refuse", "drop"] = Field(
        default="refuse",
        description="what a model's dialect has no place for: refuse leaves the model out, drop leaves the field out "
        "unless the request means something else without it",
    )
    cache: Cache | None = Field(default=None, description="response cache; default: none")

    def rules(self) -> Iterator[tuple[Path, str]]:
        """Targets or candidates, not both and not none."""
        if self.targets is not None and (self.candidates is not None or self.select is not None):
            yield (), "has both targets and a selection: write either targets, or select with candidates"
        elif self.targets is None and self.candidates is None:
            yield (), "leads nowhere: write either targets, or select with candidates"
        elif self.targets is None and self.select is None:
            yield (), "has candidates and no select: write select: cheapest, fastest or best"
        if self.targets is not None and len({target.model for target in self.targets}) != len(self.targets):
            yield ("targets",), "names a model twice: add up the weights"
        if self.sticky_by in ("agent", "tenant") and self.targets is None:
            yield ("stickyBy",), "needs targets: a selection is not drawn, only session and run keep its model"
