"""OpenAI Responses. Nothing is kept: `previous_response_id` is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fairlead.devprovider import chat
from fairlead.devprovider.answers import Answer, Asked, Tool, Usage, chosen, listed, mapping, number, size

Event = tuple[str | None, dict[str, Any] | str]


class NotKept(ValueError):
    """The request goes on from a response that is not kept."""


def read(request: dict[str, Any]) -> Asked:
    """What a request asks for; raises `NotKept`."""
    if request.get("previous_response_id"):
        raise NotKept("Previous response not found: the development provider keeps none")
    given = request.get("input")
    answered = any(mapping(item).get("type") == "function_call_output" for item in listed(given))
    choice = request.get("tool_choice")
    functions = [tool for tool in listed(request.get("tools")) if mapping(tool).get("type") == "function"]
    tools = [Tool(str(one.get("name", "")), mapping(one.get("parameters"))) for one in functions]
    form = mapping(mapping(request.get("text")).get("format"))
    schema = {"json_object": {}, "json_schema": mapping(form.get("schema"))}
    return Asked(
        model=str(request.get("model", "")),
        stream=bool(request.get("stream")),
        limit=number(request.get("max_output_tokens")),
        wanted=number(request.get("seed")),
        prompt_bytes=sum(size(part) for part in (request.get("instructions"), given) if part),
        tools=()
        if answered or choice == "none"
        else chosen(tools, mapping(choice).get("name"), every=request.get("parallel_tool_calls") is True),
        json_schema=schema.get(str(form.get("type"))),
        thinks=bool(mapping(request.get("reasoning")).get("effort")),
    )


def whole(answer: Answer) -> dict[str, Any]:
    """A `response` object."""
    return _response(answer, "incomplete" if answer.truncated else "completed", _items(answer), answer.usage)


def events(answer: Answer, *, usage: bool) -> Iterator[Event]:
    """The events of a stream, numbered."""
    count = 0

    def event(kind: str, **fields: Any) -> Event:
        nonlocal count
        count += 1
        return kind, {"type": kind, "sequence_number": count - 1, **fields}

    for kind in ("response.created", "response.in_progress"):
        yield event(kind, response=_response(answer, "in_progress", [], None))
    items = _items(answer)
    for index, item in enumerate(items):
        yield event("response.output_item.added", output_index=index, item=_begun(item))
        for kind, fields in _filled(item, answer):
            yield event(kind, item_id=item["id"], output_index=index, **fields)
        yield event("response.output_item.done", output_index=index, item=item)
    state = "incomplete" if answer.truncated else "completed"
    yield event(f"response.{state}", response=_response(answer, state, items, answer.usage if usage else None))


def error(status: int, message: str) -> dict[str, Any]:
    """The body of an error: as of Chat Completions."""
    return chat.error(status, message)


def error_event() -> Event:
    """An error inside a stream."""
    fields = {"code": "server_error", "message": "overloaded", "param": None, "sequence_number": 0}
    return "error", {"type": "error", **fields}


def _items(answer: Answer) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    if answer.thought:
        summary = [{"type": "summary_text", "text": answer.thought}]
        items.append({"id": f"rs_{answer.digest[:32]}", "type": "reasoning", "summary": summary})
    if answer.text is not None:
        part = {"type": "output_text", "text": answer.text, "annotations": [], "logprobs": []}
        state = "incomplete" if answer.truncated else "completed"
        message = {"id": f"msg_{answer.digest[:32]}", "type": "message", "role": "assistant", "status": state}
        items.append({**message, "content": [part]})
    items.extend(
        {
            "id": f"fc_{answer.digest[:30]}{call.number:02d}",
            "type": "function_call",
            "status": "completed",
            "call_id": f"call_{answer.digest[:18]}{call.number:02d}",
            "name": call.name,
            "arguments": call.arguments,
        }
        for call in answer.calls
    )
    return items


def _begun(item: dict[str, Any]) -> dict[str, Any]:
    """An item as it is when its first event comes."""
    match item["type"]:
        case "message":
            return {**item, "status": "in_progress", "content": []}
        case "function_call":
            return {**item, "status": "in_progress", "arguments": ""}
        case _:
            return {**item, "summary": []}


def _filled(item: dict[str, Any], answer: Answer) -> Iterator[tuple[str, dict[str, Any]]]:
    """What is added to an item."""
    match item["type"]:
        case "message":
            part = item["content"][0]
            yield "response.content_part.added", {"content_index": 0, "part": {**part, "text": ""}}
            for word in answer.words():
                yield "response.output_text.delta", {"content_index": 0, "delta": word, "logprobs": []}
            yield "response.output_text.done", {"content_index": 0, "text": part["text"], "logprobs": []}
            yield "response.content_part.done", {"content_index": 0, "part": part}
        case "function_call":
            arguments: str = item["arguments"]
            half = len(arguments) // 2
            for delta in (arguments[:half], arguments[half:]):
                yield "response.function_call_arguments.delta", {"delta": delta}
            yield "response.function_call_arguments.done", {"name": item["name"], "arguments": arguments}
        case _:
            part = item["summary"][0]
            yield "response.reasoning_summary_part.added", {"summary_index": 0, "part": {**part, "text": ""}}
            yield "response.reasoning_summary_text.delta", {"summary_index": 0, "delta": part["text"]}
            yield "response.reasoning_summary_text.done", {"summary_index": 0, "text": part["text"]}
            yield "response.reasoning_summary_part.done", {"summary_index": 0, "part": part}


def _response(answer: Answer, status: str, output: list[dict[str, Any]], usage: Usage | None) -> dict[str, Any]:
    return {
        "id": f"resp_{answer.digest[:48]}",
        "object": "response",
        "created_at": 1,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
        "instructions": None,
        "max_output_tokens": None,
        "metadata": {},
        "model": answer.model,
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "default",
        "store": False,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": _usage(usage) if usage else None,
        "user": None,
    }


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.input,
        "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": usage.written},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.input + usage.output,
    }
