"""The official SDKs read every translated answer and stream of the vectors, with all fields that their types require.

The vectors' ``told`` is what the Rust tests of ``native/dialect`` compare with, so this proves what clients get.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from anthropic import Anthropic
from anthropic.types import Message, RawMessageStreamEvent
from openai import OpenAI
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

VECTORS = Path(__file__).parent / "dialects"
CHAT, RESPONSES, MESSAGES = "openai-chat", "openai-responses", "anthropic-messages"


def vectors(folder: str) -> Iterator[Any]:
    """Each vector with each dialect that it is told in."""
    for path in sorted((VECTORS / folder).glob("*.json")):
        told = json.loads(path.read_text())["told"]
        for dialect in (CHAT, RESPONSES, MESSAGES):
            if dialect in told:
                yield pytest.param(dialect, told[dialect], id=f"{path.stem}-{dialect}")


def transport(body: bytes, content_type: str) -> httpx.Client:
    def answer(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=body, headers={"content-type": content_type})

    return httpx.Client(transport=httpx.MockTransport(answer))


def openai(body: bytes, content_type: str = "application/json") -> OpenAI:
    return OpenAI(api_key="key", base_url="http://sidecar/v1", http_client=transport(body, content_type), max_retries=0)


def anthropic(body: bytes, content_type: str = "application/json") -> Anthropic:
    return Anthropic(api_key="key", base_url="http://sidecar", http_client=transport(body, content_type), max_retries=0)


def stream(events: list[Any]) -> bytes:
    frames: list[str] = []
    for event in events:
        if isinstance(event, str):
            frames.append(f"data: {event}\n\n")
            continue
        name = f"event: {event['type']}\n" if "type" in event else ""
        frames.append(f"{name}data: {json.dumps(event)}\n\n")
    return "".join(frames).encode()


@pytest.mark.parametrize(("dialect", "body"), list(vectors("answers")))
def test_a_translated_answer_has_every_field_of_its_type(dialect: str, body: dict[str, Any]) -> None:
    types: dict[str, type[ChatCompletion | Response | Message]] = {
        CHAT: ChatCompletion,
        RESPONSES: Response,
        MESSAGES: Message,
    }
    types[dialect].model_validate(body)


@pytest.mark.parametrize(("dialect", "events"), list(vectors("streams")))
def test_a_translated_event_has_every_field_of_its_type(dialect: str, events: list[Any]) -> None:
    types: dict[str, TypeAdapter[Any]] = {
        CHAT: TypeAdapter(ChatCompletionChunk),
        RESPONSES: TypeAdapter(ResponseStreamEvent),
        MESSAGES: TypeAdapter(RawMessageStreamEvent),
    }
    for event in events:
        if event != "[DONE]":
            types[dialect].validate_python(event)


def told_by(vector: str, dialect: str) -> bytes:
    events = json.loads((VECTORS / "streams" / f"{vector}.json").read_text())["told"][dialect]
    return stream(events)


def test_the_openai_sdk_puts_a_chat_stream_together() -> None:
    body = told_by("anthropic-thinking-text-and-calls", CHAT)
    client = openai(body, "text/event-stream")
    with client.chat.completions.stream(model="m", messages=[{"role": "user", "content": "x"}]) as events:
        completion = events.get_final_completion()
    message = completion.choices[0].message
    assert message.content == "Okay, let's see."
    assert [(call.id, call.function.arguments) for call in message.tool_calls or []] == [
        ("toolu_01T1x1fJ34qAmk2tNTrN7Up6", '{"city": "Paris"}'),
        ("toolu_02", "{}"),
    ]
    assert completion.choices[0].finish_reason == "tool_calls"
    assert completion.usage is not None
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (1512, 89)


@pytest.mark.parametrize(
    ("vector", "text", "calls"),
    [
        (
            "anthropic-thinking-text-and-calls",
            "Okay, let's see.",
            [("toolu_01T1x1fJ34qAmk2tNTrN7Up6", '{"city": "Paris"}'), ("toolu_02", "{}")],
        ),
        (
            "chat-interleaved-calls",
            "",
            [("call_a", '{"city":"Paris"}'), ("call_b", "{}"), ("call_c", '{"q":1}')],
        ),
    ],
)
def test_the_openai_sdk_puts_a_responses_stream_together(vector: str, text: str, calls: list[tuple[str, str]]) -> None:
    client = openai(told_by(vector, RESPONSES), "text/event-stream")
    with client.responses.stream(model="m", input="x") as events:
        response = events.get_final_response()
    assert response.output_text == text
    assert [(item.call_id, item.arguments) for item in response.output if item.type == "function_call"] == calls
    assert response.status == "completed"


@pytest.mark.parametrize(
    ("vector", "content", "reason"),
    [
        (
            "chat-interleaved-calls",
            [("call_a", {"city": "Paris"}), ("call_b", {}), ("call_c", {"q": 1})],
            "tool_use",
        ),
        (
            "responses-reasoning-text-and-call",
            ["Greet.", "Hi there.", ("call_1", {"city": "Paris"})],
            "tool_use",
        ),
        ("chat-thinking-then-text-without-marker", ["Easy.", "42 \U0001f600"], "end_turn"),
        ("responses-refusal-incomplete", ["I can't help with that."], "refusal"),
    ],
)
def test_the_anthropic_sdk_puts_a_stream_together(vector: str, content: list[object], reason: str) -> None:
    client = anthropic(told_by(vector, MESSAGES), "text/event-stream")
    with client.messages.stream(model="m", max_tokens=9, messages=[{"role": "user", "content": "x"}]) as events:
        message = events.get_final_message()
    told: list[object] = []
    for block in message.content:
        if block.type == "text":
            told.append(block.text)
        elif block.type == "thinking":
            told.append(block.thinking)
        elif block.type == "tool_use":
            told.append((block.id, block.input))
    assert told == content
    assert message.stop_reason == reason
    assert message.usage.output_tokens > 0
