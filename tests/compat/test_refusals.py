"""What SDKs tell their users when a call cannot be made as it is, and what `onUntranslatable: drop` changes."""

from __future__ import annotations

from typing import Any

import anthropic
import openai
import pytest

from .conftest import TOKEN

ANSWER = "Hello! How can I help you today?"
CACHED: Any = [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]
GREETING: Any = {"role": "user", "content": "hello"}
THOUGHT: Any = [
    {"role": "user", "content": "good morning"},
    {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "A greeting.", "signature": "c2ln"},
            {"type": "text", "text": "Good morning!"},
        ],
    },
    GREETING,
]


@pytest.fixture
def client(sidecar: str) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=sidecar, api_key=TOKEN, max_retries=0)


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"system": CACHED, "messages": [GREETING]}, "system[0].cache_control"),
        ({"messages": THOUGHT}, "messages[1].content[0]"),
        ({"messages": [GREETING], "extra_body": {"top_k": 5}}, "top_k"),
    ],
)
def test_what_another_dialect_cannot_say_is_named_and_left_out_where_the_route_allows_it(
    client: anthropic.Anthropic, said: Any, field: str
) -> None:
    with pytest.raises(anthropic.BadRequestError) as refused:
        client.messages.create(model="gpt", max_tokens=100, **said)
    assert f"{field}: has no place in openai-chat" in refused.value.message
    assert "onUntranslatable: drop" in refused.value.message
    answer = client.messages.create(model="forgiving", max_tokens=100, **said)
    assert [block.text for block in answer.content if block.type == "text"] == [ANSWER]


def test_a_model_that_answers_fewer_tokens_than_asked_for_is_named(sidecar: str) -> None:
    client = openai.OpenAI(base_url=f"{sidecar}/v1", api_key=TOKEN, max_retries=0)
    with pytest.raises(openai.NotFoundError) as refused:
        client.chat.completions.create(model="gpt", messages=[GREETING], max_tokens=100_000)
    assert "`gpt` is out: answers at most 16384 tokens, 100000 are asked for" in refused.value.message
