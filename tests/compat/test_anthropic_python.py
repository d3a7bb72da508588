"""The official Anthropic SDK for Python: messages, streams, tools, whatever the provider speaks."""

from __future__ import annotations

from typing import Any

import anthropic
import pytest

from . import tools
from .conftest import MODELS, TOKEN

GREETING: Any = [{"role": "user", "content": "hello"}]
ANSWER = "Hello! How can I help you today?"


@pytest.fixture
def client(sidecar: str) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=sidecar, api_key=TOKEN, max_retries=0)


@pytest.mark.parametrize("model", MODELS)
def test_messages(client: anthropic.Anthropic, model: str) -> None:
    raw = client.messages.with_raw_response.create(model=model, system="Be brief.", messages=GREETING, max_tokens=100)
    answer = raw.parse()
    assert [block.text for block in answer.content if block.type == "text"] == [ANSWER]
    assert (answer.type, answer.role, answer.stop_reason) == ("message", "assistant", "end_turn")
    assert answer.usage.input_tokens > 0 and answer.usage.output_tokens > 0
    assert raw.headers["x-fairlead-model"] == ("claude" if model == "chain" else model)


@pytest.mark.parametrize("model", MODELS)
def test_stream(client: anthropic.Anthropic, model: str) -> None:
    with client.messages.stream(model=model, messages=GREETING, max_tokens=100) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == ANSWER
    assert (final.stop_reason, final.content[0].type) == ("end_turn", "text")
    assert final.usage.output_tokens > 0


@pytest.mark.parametrize("model", MODELS)
def test_tools_go_there_and_back(client: anthropic.Anthropic, model: str) -> None:
    history: Any = [{"role": "user", "content": "weather in Paris"}]
    asked = client.messages.create(model=model, messages=history, tools=tools.MESSAGES, max_tokens=100)
    (call,) = [block for block in asked.content if block.type == "tool_use"]
    assert (asked.stop_reason, call.name, call.input) == ("tool_use", "get_weather", {"city": "Paris"})
    history += [
        {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in asked.content]},
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": call.id, "content": tools.get_weather("Paris")}],
        },
    ]
    told = client.messages.create(model=model, messages=history, tools=tools.MESSAGES, max_tokens=100)
    assert [block.text for block in told.content if block.type == "text"] == ["It is sunny in Paris."]


@pytest.mark.parametrize("model", MODELS)
def test_parallel_tools_in_a_stream(client: anthropic.Anthropic, model: str) -> None:
    history: Any = [{"role": "user", "content": "weather in two cities"}]
    with client.messages.stream(model=model, messages=history, tools=tools.MESSAGES, max_tokens=100) as stream:
        final = stream.get_final_message()
    calls = [block for block in final.content if block.type == "tool_use"]
    assert [call.input for call in calls] == [{"city": "Paris"}, {"city": "Rome"}]
    assert len({call.id for call in calls}) == 2
    assert final.stop_reason == "tool_use"


def test_models_are_listed(client: anthropic.Anthropic) -> None:
    assert {"gpt", "claude", "llama", "chain"} <= {model.id for model in client.models.list()}


def test_errors_are_what_the_sdk_expects(client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.PermissionDeniedError) as denied:
        client.messages.create(
            model="gpt", messages=GREETING, max_tokens=10, extra_headers={"x-fairlead-labels": "data=secret"}
        )
    assert denied.value.response.headers["x-fairlead-reason"] == "POLICY_DENIED"
    with pytest.raises(anthropic.RateLimitError) as spent:
        client.messages.create(model="gpt", messages=GREETING, max_tokens=10, extra_headers={"x-fairlead-run": "r"})
    assert spent.value.response.headers["x-should-retry"] == "false"
    with pytest.raises(anthropic.NotFoundError):
        client.messages.create(model="no-such-model", messages=GREETING, max_tokens=10)
    with pytest.raises(anthropic.AuthenticationError):
        client.with_options(api_key="wrong").messages.create(model="gpt", messages=GREETING, max_tokens=10)
