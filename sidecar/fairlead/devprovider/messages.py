"""Anthropic Messages."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

from fairlead.devprovider.answers import Answer, Asked, Tool, Usage, chosen, listed, mapping, number, size

Event = tuple[str | None, dict[str, Any] | str]


def read(request: dict[str, Any]) -> Asked:
    """What a request asks for."""
    messages = listed(request.get("messages"))
    blocks = [block for message in messages for block in listed(mapping(message).get("content"))]
    answered = any(mapping(block).get("type") == "tool_result" for block in blocks)
    choice = mapping(request.get("tool_choice"))
    offered = [mapping(tool) for tool in listed(request.get("tools"))]
    tools = [Tool(str(tool.get("name", "")), mapping(tool.get("input_schema"))) for tool in offered]
    form = mapping(mapping(request.get("output_config")).get("format")) or mapping(request.get("output_format"))
    prompt = [request.get("system"), request.get("tools"), messages]
    return Asked(
        model=str(request.get("model", "")),
        stream=bool(request.get("stream")),
        limit=number(request.get("max_tokens")),
        wanted=number(request.get("seed")),
        prompt_bytes=sum(size(part) for part in prompt if part),
        tools=()
        if answered or choice.get("type") == "none"
        else chosen(tools, choice.get("name"), every=choice.get("disable_parallel_tool_use") is False),
        json_schema=mapping(form.get("schema")) if form.get("type") == "json_schema" else None,
        thinks=mapping(request.get("thinking")).get("type") in ("enabled", "adaptive"),
        cacheable_bytes=sum(
            size(part) for part in (request.get("system"), request.get("tools"), blocks) if _kept(part)
        ),
        cache_is_warm=any(mapping(message).get("role") == "assistant" for message in messages),
    )


def whole(answer: Answer) -> dict[str, Any]:
    """A `message` object."""
    return {
        **_message(answer),
        "content": _blocks(answer),
        "stop_reason": _stop_reason(answer),
        **({"usage": _usage(answer.usage)} if answer.usage else {}),
    }


def events(answer: Answer, *, usage: bool) -> Iterator[Event]:
    """The events of a stream: input tokens are reported at the start, output tokens at the end."""

    def event(kind: str, **fields: Any) -> Event:
        return kind, {"type": kind, **fields}

    reported = answer.usage if usage else None
    start = {"usage": {**_usage(reported), "output_tokens": 1}} if reported else {}
    yield event("message_start", message={**_message(answer), "content": [], "stop_reason": None, **start})
    for index, block in enumerate(_blocks(answer)):
        opening, deltas = _opened(block, answer)
        yield event("content_block_start", index=index, content_block=opening)
        if index == 0:
            yield event("ping")
        for delta in deltas:
            yield event("content_block_delta", index=index, delta=delta)
        yield event("content_block_stop", index=index)
    ending = {"stop_reason": _stop_reason(answer), "stop_sequence": None}
    final = {"usage": {"output_tokens": reported.output}} if reported else {}
    yield event("message_delta", delta=ending, **final)
    yield event("message_stop")


def error(status: int, message: str) -> dict[str, Any]:
    """The body of an error."""
    kind = _ERRORS.get(status, "api_error" if status >= 500 else "invalid_request_error")
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_dev"}


def error_event() -> Event:
    """An error inside a stream."""
    return "error", {"type": "error", "error": {"type": "overloaded_error", "message": "overloaded"}}


_ERRORS = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def _message(answer: Answer) -> dict[str, Any]:
    base = {"id": f"msg_{answer.digest[:24]}", "type": "message", "role": "assistant", "model": answer.model}
    return {**base, "stop_sequence": None}


def _blocks(answer: Answer) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if answer.thought:
        signature = base64.b64encode(answer.digest.encode()).decode()
        blocks.append({"type": "thinking", "thinking": answer.thought, "signature": signature})
    if answer.text is not None:
        blocks.append({"type": "text", "text": answer.text, "citations": None})
    blocks.extend(
        {
            "type": "tool_use",
            "id": f"toolu_{answer.digest[:22]}{call.number:02d}",
            "name": call.name,
            "input": json.loads(call.arguments),
        }
        for call in answer.calls
    )
    return blocks


def _opened(block: dict[str, Any], answer: Answer) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A block as it starts, and what is added to it."""
    match block["type"]:
        case "thinking":
            deltas = [
                {"type": "thinking_delta", "thinking": block["thinking"]},
                {"type": "signature_delta", "signature": block["signature"]},
            ]
            return {**block, "thinking": "", "signature": ""}, deltas
        case "tool_use":
            text = json.dumps(block["input"])
            half = len(text) // 2
            parts = ("", text[:half], text[half:])
            return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": part} for part in parts]
        case _:
            return {**block, "text": ""}, [{"type": "text_delta", "text": word} for word in answer.words()]


def _stop_reason(answer: Answer) -> str:
    return "tool_use" if answer.calls else "max_tokens" if answer.truncated else "end_turn"


def _kept(part: Any) -> bool:
    return any("cache_control" in mapping(block) for block in listed(part))


def _usage(usage: Usage) -> dict[str, Any]:
    """`input_tokens` are those that no cache was involved in."""
    return {
        "input_tokens": usage.input - usage.cached - usage.written,
        "cache_creation_input_tokens": usage.written,
        "cache_read_input_tokens": usage.cached,
        "cache_creation": {"ephemeral_5m_input_tokens": usage.written, "ephemeral_1h_input_tokens": 0},
        "output_tokens": usage.output,
        "service_tier": "standard",
    }
