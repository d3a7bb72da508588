"""What is asked for and what is answered, whatever the dialect. The same body always gets the same answer."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

WORDS = ("steady", "line", "keeps", "the", "ship", "at", "her", "berth", "while", "tide", "pulls", "on", "each", "rope")
DEFAULT_OUTPUT_TOKENS = 12
ABSURD_OUTPUT_TOKENS = 1_000_000
THOUGHT = "The line holds if nobody pulls alone."
THOUGHT_TOKENS = 8
_SCHEMA_DEPTH_MAX = 16


@dataclass(frozen=True)
class Tool:
    """A tool that is offered, with the JSON Schema of its arguments."""

    name: str
    schema: dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """What a request asks for."""

    model: str
    stream: bool
    limit: int | None
    # The dialect's field `seed` asks for an answer of this many tokens: what a scenario needs to spend a budget.
    wanted: int | None
    prompt_bytes: int
    # Tools to call: none once their results are in the conversation.
    tools: tuple[Tool, ...] = ()
    # The schema of a JSON answer; an empty one for any object.
    json_schema: dict[str, Any] | None = None
    thinks: bool = False
    # Input that a prompt cache is asked to keep, and whether an earlier turn had it written.
    cacheable_bytes: int = 0
    cache_is_warm: bool = False
    # Chat only: streams report usage on request.
    stream_usage: bool = True


@dataclass(frozen=True)
class Usage:
    """Tokens: four bytes of input are one, a word of output is one. Of `input`, `cached` were read from a cache and
    `written` to it; `output` includes `reasoning`."""

    input: int
    output: int
    cached: int = 0
    written: int = 0
    reasoning: int = 0


@dataclass(frozen=True)
class ToolCall:
    """A call of a tool; `number` makes its id."""

    number: int
    name: str
    arguments: str


@dataclass(frozen=True)
class Answer:
    """One answer. `digest` is what ids are made of; without `usage` none is reported."""

    digest: str
    model: str
    text: str | None
    calls: tuple[ToolCall, ...]
    thought: str | None
    truncated: bool
    billed: Usage
    usage: Usage | None = field(default=None)

    def words(self) -> list[str]:
        """The parts of the text as a stream sends them; together they are the text."""
        if not self.text:
            return []
        first, *others = self.text.split(" ")
        return [first, *(f" {word}" for word in others)]


def answer(
    asked: Asked, body: bytes, *, absurd_usage: bool = False, no_usage: bool = False, say: str | None = None
) -> Answer:
    """Answers a request; with `say` the text of the answer is that, however long, unless tools are called."""
    if say is None:
        wanted = asked.wanted or DEFAULT_OUTPUT_TOKENS
        count = max(1, wanted if asked.limit is None else min(asked.limit, wanted))
    else:
        wanted = count = len(say.split(" "))
    calls = tuple(
        ToolCall(number, tool.name, json.dumps(example(tool.schema))) for number, tool in enumerate(asked.tools)
    )
    if calls:
        text = None
    elif say is not None:
        text = say
    elif asked.json_schema is not None:
        text = json.dumps(example(asked.json_schema) or {"answer": WORDS[0]})
    else:
        text = " ".join(WORDS[number % len(WORDS)] for number in range(count))
    reasoning = THOUGHT_TOKENS if asked.thinks else 0
    prompt = max(1, asked.prompt_bytes // 4)
    kept = min(prompt, asked.cacheable_bytes // 4)
    billed = Usage(
        input=prompt,
        output=ABSURD_OUTPUT_TOKENS if absurd_usage else count + reasoning,
        cached=kept if asked.cache_is_warm else 0,
        written=0 if asked.cache_is_warm else kept,
        reasoning=reasoning,
    )
    return Answer(
        digest=hashlib.sha256(body).hexdigest(),
        model=asked.model,
        text=text,
        calls=calls,
        thought=THOUGHT if asked.thinks else None,
        truncated=asked.wanted is not None and text is not None and count < wanted,
        billed=billed,
        usage=None if no_usage else billed,
    )


def example(schema: Any, depth: int = 0) -> Any:
    """The plainest value that fits a JSON Schema of the everyday kind."""
    if not isinstance(schema, dict) or depth > _SCHEMA_DEPTH_MAX:
        return {}
    if "const" in schema:
        return schema["const"]
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return schema["enum"][0]
    kind = schema.get("type")
    match kind[0] if isinstance(kind, list) and kind else kind:
        case "string":
            return WORDS[0]
        case "integer":
            return int(schema.get("minimum", 1))
        case "number":
            return float(schema.get("minimum", 1.5))
        case "boolean":
            return True
        case "null":
            return None
        case "array":
            return [example(schema.get("items"), depth + 1)] if schema.get("minItems") else []
    properties, required = schema.get("properties"), schema.get("required")
    if not isinstance(properties, dict) or not isinstance(required, list):
        return {}
    return {name: example(properties.get(name), depth + 1) for name in required if isinstance(name, str)}


def size(value: Any) -> int:
    """Bytes of a value as JSON."""
    return len(json.dumps(value).encode())


def mapping(value: Any) -> dict[str, Any]:
    """The value, if it is an object; else an empty one."""
    return value if isinstance(value, dict) else {}


def listed(value: Any) -> list[Any]:
    """The value, if it is a list; else an empty one."""
    return value if isinstance(value, list) else []


def number(value: Any) -> int | None:
    """The value, if it is a positive whole number."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def chosen(tools: list[Tool], name: str | None, *, every: bool) -> tuple[Tool, ...]:
    """The tools to call: the one that was asked for, else all of them or the first."""
    named = [tool for tool in tools if name is None or tool.name == name]
    return tuple(named if every else named[:1])
