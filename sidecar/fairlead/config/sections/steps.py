"""`steps` of a workflow: one node each, of exactly one kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from fairlead.config.sections.base import Expression, Listed, Name, Section, exactly_one
from fairlead.config.sections.json_values import JsonSchema, JsonValue
from fairlead.config.sections.step_tasks import (
    ForEach,
    Gate,
    ModelCall,
    OnUnknown,
    QueueName,
    ShortText,
    StepRetry,
    StepTimeouts,
    Waiting,
)
from fairlead.config.violation import Path

# The native core says what an id may look like, and checks the graph that ids make.
StepId = Annotated[str, StringConstraints(min_length=1, max_length=64)]
KINDS = ("agent", "model", "approval", "wait", "workflow")
# Keys that the core does not get to see where they mean nothing → the kinds that have them.
_KINDS_OF: Mapping[str, tuple[str, ...]] = {
    "on_unknown": ("agent", "model"),
    "timeouts": ("agent", "model", "workflow"),
}


def _condition(value: Any) -> Any:
    """A condition is CEL; it may be written as one `${…}` like everywhere else, which means the same."""
    if not isinstance(value, str) or not value.lstrip().startswith("${"):
        return value
    text = value.strip()
    if _end(text) != len(text):
        raise PydanticCustomError("condition", "must be one expression: a condition is CEL, not a text with ${…} in it")
    return text[2:-1].strip()


def _end(text: str) -> int:
    """Where the expression that begins with `${` ends; 0 when it does not. Braces in CEL's strings do not count."""
    depth, quote, at = 0, "", 1
    while at < len(text):
        character = text[at]
        if quote:
            if character == "\\":
                at += 1
            elif character == quote:
                quote = ""
        elif character in "'\"":
            quote = character
        elif character == "{":
            depth += 1
        elif character == "}":
            depth -= 1
            if depth == 0:
                return at + 1
        at += 1
    return 0


class StepOutput(Section):
    """What a step's result looks like."""

    schema_: JsonSchema = Field(alias="schema", description="JSON Schema (2020-12) that the result has to meet")


class Step(Section):
    """One step."""

    id: StepId = Field(description="unique in the workflow; expressions say steps.ID.output")
    needs: Listed[StepId] = Field(default=(), max_length=1_000, description="steps that have to end before")
    when: Annotated[Expression, BeforeValidator(_condition)] | None = Field(
        default=None, description="CEL condition, such as steps.risk.output.score > 0.3; false: the step is skipped"
    )
    for_each: ForEach | None = Field(default=None, description="does it for every item of a list")
    agent: QueueName | None = Field(default=None, description="a worker's task: the queue that workers lease it from")
    model: ModelCall | None = Field(default=None, description="a model call by the sidecar")
    approval: Gate | None = Field(default=None, description="people have to agree")
    wait: Waiting | None = Field(default=None, description="a time or a signal has to come")
    workflow: Name | None = Field(default=None, description="a child run of this workflow")
    effect: Literal["pure", "read", "write", "side_effect"] | None = Field(
        default=None,
        description="what doing it does: pure, read, write or side_effect; default: side_effect, of a model step read",
    )
    input: JsonValue = Field(default=None, description="what a worker or child gets: JSON with ${…} in its texts")
    input_schema: JsonSchema | None = Field(default=None, description="JSON Schema (2020-12) that it has to meet")
    output: StepOutput | None = Field(default=None, description="what the result looks like")
    idempotency_key: ShortText | None = Field(
        default=None, description="key under which it acts once, such as offer/${input.application_id}"
    )
    on_unknown: OnUnknown | None = Field(
        default=None,
        description="when nobody knows whether it has happened: ask (default), {ask: TIER}, retry, compensate or fail",
    )
    compensate: QueueName | None = Field(default=None, description="queue of the workers that take its result back")
    retry: StepRetry | None = Field(default=None, description="attempts; default: one")
    timeouts: StepTimeouts | None = Field(default=None, description="times")

    @property
    def kind(self) -> str:
        """What it is; empty for a step that breaks the rule that it has one."""
        return next((kind for kind in KINDS if getattr(self, kind) is not None), "")

    def rules(self) -> Iterator[tuple[Path, str]]:
        """One kind, and only keys that it has."""
        broken = list(exactly_one(self, *KINDS))
        yield from broken
        for name, kinds in _KINDS_OF.items():
            if not broken and getattr(self, name) is not None and self.kind not in kinds:
                yield (to_camel(name),), f"means nothing for kind {self.kind}: it is for {', '.join(kinds)}"
