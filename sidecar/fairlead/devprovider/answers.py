"""Deterministic answers in the OpenAI chat dialect."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

WORDS = ("steady", "line", "keeps", "the", "ship", "at", "her", "berth", "while", "tide", "pulls", "on", "each", "rope")
DEFAULT_OUTPUT_TOKENS = 12


@dataclass(frozen=True)
class Answer:
    """One answer and the tokens it is billed for."""

    identifier: str
    model: str
    content: str | None
    tool_call: dict[str, Any] | None
    usage: dict[str, Any]

    @property
    def finish_reason(self) -> str:
        """`tool_calls` when a tool is called, else `stop`."""
        return "tool_calls" if self.tool_call else "stop"

    def message(self) -> dict[str, Any]:
        """The assistant's message."""
        message: dict[str, Any] = {"role": "assistant", "content": self.content}
        if self.tool_call:
            message["tool_calls"] = [self.tool_call]
        return message

    def completion(self, usage: bool = True) -> dict[str, Any]:
        """A `chat.completion` object."""
        choice = {"index": 0, "message": self.message(), "finish_reason": self.finish_reason, "logprobs": None}
        body = {"id": self.identifier, "object": "chat.completion", "created": 1, "model": self.model}
        return {**body, "choices": [choice], **({"usage": self.usage} if usage else {})}

    def chunks(self, usage: bool) -> Iterator[dict[str, Any]]:
        """The `chat.completion.chunk` objects of a stream; the last one carries the usage when asked for."""
        base = {"id": self.identifier, "object": "chat.completion.chunk", "created": 1, "model": self.model}

        def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
            return {**base, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

        yield chunk({"role": "assistant", "content": "" if self.content else None})
        if self.tool_call:
            yield chunk({"tool_calls": [{"index": 0, **self.tool_call}]})
        for word in (self.content or "").split():
            yield chunk({"content": word + " "})
        yield chunk({}, self.finish_reason)
        if usage:
            yield {**base, "choices": [], "usage": self.usage}


def answer(request: dict[str, Any], body: bytes, absurd_usage: bool = False) -> Answer:
    """Answers a request. The same body always gets the same answer; a token is a word, four bytes of input a token."""
    limit = request.get("max_completion_tokens") or request.get("max_tokens") or DEFAULT_OUTPUT_TOKENS
    # The dialect's `seed` field asks for an answer of this many tokens: what a scenario needs to spend a budget.
    wanted = int(request.get("seed") or DEFAULT_OUTPUT_TOKENS)
    count = max(1, min(int(limit), wanted))
    tool = _tool(request)
    content = None if tool else " ".join(WORDS[i % len(WORDS)] for i in range(count))
    prompt_tokens = max(1, len(json.dumps(request.get("messages", [])).encode()) // 4)
    completion_tokens = 1_000_000 if absurd_usage else count
    usage = {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }
    identifier = "chatcmpl-" + hashlib.sha256(body).hexdigest()[:24]
    return Answer(identifier, str(request.get("model", "")), content, tool, usage)


def _tool(request: dict[str, Any]) -> dict[str, Any] | None:
    """Calls the first tool that is offered, until its result is in the conversation."""
    tools, messages = request.get("tools") or [], request.get("messages") or []
    if not tools or request.get("tool_choice") == "none" or any(m.get("role") == "tool" for m in messages):
        return None
    function = tools[0].get("function", {})
    return {
        "id": "call_" + hashlib.sha256(json.dumps(messages).encode()).hexdigest()[:20],
        "type": "function",
        "function": {"name": function.get("name", ""), "arguments": "{}"},
    }
