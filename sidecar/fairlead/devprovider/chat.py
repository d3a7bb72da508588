"""OpenAI Chat Completions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fairlead.devprovider.answers import Answer, Asked, Tool, Usage, chosen, listed, mapping, number, size

DONE = "[DONE]"
Event = tuple[str | None, dict[str, Any] | str]


def read(request: dict[str, Any]) -> Asked:
    """What a request asks for."""
    messages = listed(request.get("messages"))
    answered = any(mapping(message).get("role") == "tool" for message in messages)
    choice = request.get("tool_choice")
    functions = [mapping(mapping(tool).get("function")) for tool in listed(request.get("tools"))]
    tools = [Tool(str(one.get("name", "")), mapping(one.get("parameters"))) for one in functions]
    form = mapping(request.get("response_format"))
    schema = {"json_object": {}, "json_schema": mapping(mapping(form.get("json_schema")).get("schema"))}
    return Asked(
        model=str(request.get("model", "")),
        stream=bool(request.get("stream")),
        limit=number(request.get("max_completion_tokens")) or number(request.get("max_tokens")),
        wanted=number(request.get("seed")),
        prompt_bytes=size(messages),
        tools=()
        if answered or choice == "none"
        else chosen(
            tools,
            mapping(mapping(choice).get("function")).get("name"),
            every=request.get("parallel_tool_calls") is True,
        ),
        json_schema=schema.get(str(form.get("type"))),
        thinks="reasoning_effort" in request,
        stream_usage=bool(mapping(request.get("stream_options")).get("include_usage")),
    )


def whole(answer: Answer) -> dict[str, Any]:
    """A `chat.completion` object."""
    message: dict[str, Any] = {"role": "assistant", "content": answer.text, "refusal": None}
    if answer.calls:
        message["tool_calls"] = _calls(answer)
    choice = {"index": 0, "message": message, "finish_reason": _finish(answer), "logprobs": None}
    body = {"id": _identifier(answer), "object": "chat.completion", "created": 1, "model": answer.model}
    return {**body, "choices": [choice], **({"usage": _usage(answer.usage)} if answer.usage else {})}


def events(answer: Answer, *, usage: bool) -> Iterator[Event]:
    """The `chat.completion.chunk` objects of a stream; the last one carries the usage when asked for."""
    base = {"id": _identifier(answer), "object": "chat.completion.chunk", "created": 1, "model": answer.model}

    def chunk(delta: dict[str, Any], finish: str | None = None) -> Event:
        return None, {**base, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    yield chunk({"role": "assistant", "content": "" if answer.text else None})
    for index, call in enumerate(_calls(answer)):
        function = call["function"]
        opening = {**call, "function": {**function, "arguments": ""}}
        yield chunk({"tool_calls": [{"index": index, **opening}]})
        yield chunk({"tool_calls": [{"index": index, "function": {"arguments": function["arguments"]}}]})
    for word in answer.words():
        yield chunk({"content": word})
    yield chunk({}, _finish(answer))
    if usage and answer.usage:
        yield None, {**base, "choices": [], "usage": _usage(answer.usage)}
    yield None, DONE


def error(status: int, message: str) -> dict[str, Any]:
    """The body of an error."""
    kind, code = _ERRORS.get(status, ("server_error" if status >= 500 else "invalid_request_error", None))
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def error_event() -> Event:
    """An error inside a stream."""
    return None, {"error": {"message": "overloaded", "type": "server_error", "param": None, "code": "server_error"}}


_ERRORS: dict[int, tuple[str, str | None]] = {
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("invalid_request_error", "unsupported_country_region_territory"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("rate_limit_exceeded", "rate_limit_exceeded"),
}


def _identifier(answer: Answer) -> str:
    return f"chatcmpl-{answer.digest[:24]}"


def _calls(answer: Answer) -> list[dict[str, Any]]:
    return [
        {
            "id": f"call_{answer.digest[:18]}{call.number:02d}",
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for call in answer.calls
    ]


def _finish(answer: Answer) -> str:
    return "tool_calls" if answer.calls else "length" if answer.truncated else "stop"


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
