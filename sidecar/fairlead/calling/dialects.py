"""How each dialect asks a question, and where its answers have their text. For people to read: what is neither text nor
a tool call is not shown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

DIALECTS = ("openai-chat", "openai-responses", "anthropic-messages")
_PATHS = dict(zip(DIALECTS, ("/v1/chat/completions", "/v1/responses", "/v1/messages"), strict=True))
_LIMITS = dict(zip(DIALECTS, ("max_completion_tokens", "max_output_tokens", "max_tokens"), strict=True))
# The one dialect that takes no request without a limit.
_DEFAULT_MESSAGES_TOKENS = 1024


def path(dialect: str) -> str:
    """Where the sidecar takes it."""
    return _PATHS[dialect]


def question(dialect: str, model: str, prompt: str, *, stream: bool, max_output_tokens: int | None) -> dict[str, Any]:
    """A request with one question."""
    if dialect == "openai-responses":
        body: dict[str, Any] = {"model": model, "input": prompt}
    else:
        body = {"model": model, "messages": [{"role": "user", "content": prompt}]}
    if max_output_tokens is None and dialect == "anthropic-messages":
        max_output_tokens = _DEFAULT_MESSAGES_TOKENS
    if max_output_tokens is not None:
        body[_LIMITS[dialect]] = max_output_tokens
    return {**body, "stream": True} if stream else body


def texts(dialect: str, answer: Any) -> Iterator[str]:
    """The text of a whole answer; a tool call is written as `[NAME ARGUMENTS]`."""
    answer = _mapping(answer)
    match dialect:
        case "openai-chat":
            for choice in _listed(answer.get("choices")):
                message = _mapping(_mapping(choice).get("message"))
                yield from _texts(message.get("content"), message.get("refusal"))
                for call in _listed(message.get("tool_calls")):
                    function = _mapping(_mapping(call).get("function"))
                    yield _call(function.get("name"), function.get("arguments"))
        case "openai-responses":
            for item in map(_mapping, _listed(answer.get("output"))):
                for part in _listed(item.get("content")):
                    yield from _texts(_mapping(part).get("text"), _mapping(part).get("refusal"))
                if item.get("type") == "function_call":
                    yield _call(item.get("name"), item.get("arguments"))
        case _:
            for block in map(_mapping, _listed(answer.get("content"))):
                yield from _texts(block.get("text"))
                if block.get("type") == "tool_use":
                    yield _call(block.get("name"), json.dumps(block.get("input")))


def delta(dialect: str, event: Any) -> Iterator[str]:
    """The text that one event of a stream adds; a tool call begins with its name and goes on with its arguments."""
    event = _mapping(event)
    match dialect:
        case "openai-chat":
            for choice in _listed(event.get("choices")):
                added = _mapping(_mapping(choice).get("delta"))
                yield from _texts(added.get("content"), added.get("refusal"))
                for call in _listed(added.get("tool_calls")):
                    function = _mapping(_mapping(call).get("function"))
                    yield from _texts(_begun(function.get("name")), function.get("arguments"))
        case "openai-responses":
            if event.get("type") in ("response.output_text.delta", "response.function_call_arguments.delta"):
                yield from _texts(event.get("delta"))
            elif event.get("type") == "response.output_item.added":
                yield from _texts(_begun(_mapping(event.get("item")).get("name")))
        case _:
            added = _mapping(event.get("delta"))
            yield from _texts(added.get("text"), added.get("partial_json"))
            yield from _texts(_begun(_mapping(event.get("content_block")).get("name")))


def error(answer: Any) -> str | None:
    """The message of an error, whole or as an event; None for anything else."""
    answer = _mapping(answer)
    found = answer.get("error")
    if isinstance(found, dict):
        return str(found.get("message") or found.get("code") or found.get("type") or "it did not say why")
    if answer.get("type") in ("error", "response.failed"):
        nested = _mapping(_mapping(answer.get("response")).get("error"))
        return str(answer.get("message") or nested.get("message") or "it did not say why")
    return None


def _texts(*values: Any) -> Iterator[str]:
    return (value for value in values if isinstance(value, str) and value)


def _begun(name: Any) -> str | None:
    return f"[{name}] " if isinstance(name, str) and name else None


def _call(name: Any, arguments: Any) -> str:
    return f"[{name} {arguments}]"


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
