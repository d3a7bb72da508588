"""What a step of a workflow does: a worker's task, a model call, a gate, a wait.

`${…}` in a text is CEL; the native core checks it, because it is the one that evaluates it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, Discriminator, Field, StringConstraints, Tag
from pydantic_core import PydanticCustomError

from fairlead.config.quantities import Duration
from fairlead.config.sections.arguments import JsonNumber
from fairlead.config.sections.base import Listed, ModelName, Name, Section, word_or_mapping
from fairlead.config.sections.json_values import JsonValue
from fairlead.config.violation import Path

# A text that may have `${…}` in it.
Text = Annotated[str, StringConstraints(min_length=1, max_length=65_536)]
ShortText = Annotated[str, StringConstraints(min_length=1, max_length=4_096)]
# What the native core says more about than Python could.
QueueName = Annotated[str, StringConstraints(min_length=1, max_length=64)]
FailureCode = Annotated[str, StringConstraints(min_length=1, max_length=64)]
# Longest that anything in a run may wait.
Wait = Annotated[int, Duration("1ms", "3660d")]


def _temperature(value: float) -> float:
    if not 0 <= value <= 2:
        raise PydanticCustomError("temperature", "must be between 0 and 2")
    return value


Temperature = Annotated[JsonNumber, AfterValidator(_temperature)]


class Message(Section):
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"] = Field(description="who says it: system, user or assistant")
    content: JsonValue = Field(description="what is said: a text, or a list of parts")


Messages = Annotated[
    Annotated[Text, Tag("<word>")] | Annotated[Listed[Message], Field(min_length=1, max_length=256), Tag("<list>")],
    Discriminator(lambda value: "<list>" if isinstance(value, list | tuple) else "<word>"),
]


class ModelCall(Section):
    """A governed model call, which the sidecar makes itself."""

    route: ModelName = Field(description="what the call asks for: a route or a model")
    prompt: Text | None = Field(default=None, description="what the user says; or write messages")
    messages: Messages | None = Field(default=None, description="the conversation; or write prompt")
    system: Text | None = Field(default=None, description="what the system says")
    output: Literal["text", "json"] = Field(default="text", description="what the answer is: text or json")
    max_output_tokens: int | None = Field(default=None, ge=1, le=100_000_000, description="most tokens of the answer")
    temperature: Temperature | None = Field(default=None, description="sampling temperature; default: the model's own")
    workload: Annotated[str, StringConstraints(min_length=1, max_length=256)] | None = Field(
        default=None, description="workload, for routes and budgets"
    )


class Gate(Section):
    """A durable gate: people agree, or the run does not go on."""

    tier: Name = Field(description="approval tier: who has to agree")
    title: ShortText | None = Field(default=None, description="what it is about, in one line")
    show: JsonValue = Field(default=None, description="what people are shown, and agree to")
    on_reject: Literal["fail", "continue"] = Field(
        default="fail", description="what a refusal is: fail (of the run) or continue (a result)"
    )


class Waiting(Section):
    """A time or a signal."""

    for_: Wait | None = Field(default=None, alias="for", description="so long")
    until: ShortText | None = Field(default=None, description="until this time: RFC 3339, such as ${input.due}")
    signal: Name | None = Field(default=None, description="until this signal comes; one that came before is taken")
    timeout: Wait | None = Field(default=None, description="longest wait for the signal; default: not limited")
    on_timeout: Literal["fail", "continue"] | None = Field(
        default=None, description="what becomes of the step then: fail (default) or continue (its result is null)"
    )

    def rules(self) -> Iterator[tuple[Path, str]]:
        """What is said about a timeout is about one."""
        if self.on_timeout is not None and self.timeout is None:
            yield ("onTimeout",), "means nothing without timeout"


class ForEach(Section):
    """Does the step's task for every item of a list."""

    in_: JsonValue = Field(alias="in", description="the list, such as ${input.documents}")
    max_parallel: int = Field(default=16, ge=1, le=1_000_000, description="most items at a time")
    quorum: int | None = Field(
        default=None, ge=1, le=1_000_000, description="items that have to succeed; the rest is cancelled; default: all"
    )


class AskTier(Section):
    """People say what became of an interrupted step."""

    ask: Name = Field(description="approval tier: who says it")


OnUnknownWord = Literal["ask", "retry", "compensate", "fail"]
OnUnknown = Annotated[
    Annotated[OnUnknownWord, Tag("<word>")] | Annotated[AskTier, Tag("<mapping>")], Discriminator(word_or_mapping)
]


class StepBackoff(Section):
    """Waits between attempts; each is twice the one before."""

    initial: Annotated[int, Duration("0s", "1d")] = Field(default=1_000, description="first wait")
    max: Annotated[int, Duration("0s", "30d")] = Field(default=60_000, description="longest wait")


class StepRetry(Section):
    """Attempts at a step."""

    attempts: int = Field(ge=1, le=100, description="most attempts, the first included")
    backoff: StepBackoff = Field(default=StepBackoff(), description="waits between attempts")
    non_retryable: Listed[FailureCode] = Field(
        default=(), max_length=64, description="codes that end the step at once, such as BAD_INPUT"
    )


class StepTimeouts(Section):
    """Times of a step."""

    queue: Wait | None = Field(default=None, description="longest in the queue; default: not limited")
    lease: Annotated[int, Duration("100ms", "1d")] | None = Field(
        default=None, description="a worker that is not heard of for so long has lost the step; default: 30s"
    )
    attempt: Wait | None = Field(
        default=None, description="longest attempt; default: 1h, of a workflow step not limited"
    )
    total: Wait | None = Field(
        default=None, description="longest of all attempts with the waits between them; default: not limited"
    )
