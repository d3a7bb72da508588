"""Every answer and every event of a stream, held against the types of the official SDKs.

The SDKs build their objects without checking them; typed code relies on every field that is not optional.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import openai
import pytest
from openai.types import responses
from pydantic import BaseModel, TypeAdapter

from . import tools
from .conftest import MODELS, TOKEN

QUESTIONS = ("hello", "weather in two cities")
CALLS = [
    (endpoint, model)
    for endpoint in ("chat/completions", "responses", "messages")
    for model in MODELS
    # Passed on as the mock wrote it, and it leaves out what the types of Responses promise.
    if not (endpoint == "responses" and model.startswith("gpt"))
]
EVENTS: dict[str, TypeAdapter[Any]] = {
    "chat/completions": TypeAdapter(openai.types.chat.ChatCompletionChunk),
    "responses": TypeAdapter(responses.ResponseStreamEvent),
    "messages": TypeAdapter(anthropic.types.RawMessageStreamEvent),
}
WHOLE: dict[str, type[BaseModel]] = {
    "chat/completions": openai.types.chat.ChatCompletion,
    "responses": responses.Response,
    "messages": anthropic.types.Message,
}


def request(endpoint: str, model: str, question: str, *, stream: bool) -> dict[str, Any]:
    messages = [{"role": "user", "content": question}]
    match endpoint:
        case "responses":
            said = {"input": messages, "max_output_tokens": 100, "tools": tools.RESPONSES}
        case "messages":
            said = {"messages": messages, "max_tokens": 100, "tools": tools.MESSAGES}
        case _:
            said = {"messages": messages, "max_tokens": 100, "tools": tools.CHAT}
    return {"model": model, "stream": stream, **said}


def events(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        if line.startswith("data: ") and line != "data: [DONE]":
            yield json.loads(line.removeprefix("data: "))


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize(("endpoint", "model"), CALLS)
def test_answers_have_every_field_that_the_types_promise(
    sidecar: str, endpoint: str, model: str, question: str
) -> None:
    headers = {"authorization": f"Bearer {TOKEN}"}
    url = f"{sidecar}/v1/{endpoint}"
    whole = httpx.post(url, headers=headers, json=request(endpoint, model, question, stream=False))
    WHOLE[endpoint].model_validate_json(whole.content)
    streamed = httpx.post(url, headers=headers, json=request(endpoint, model, question, stream=True))
    found = [EVENTS[endpoint].validate_python(event) for event in events(streamed.text)]
    assert len(found) > 2
