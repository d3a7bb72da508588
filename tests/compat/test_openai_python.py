"""The official OpenAI SDK for Python: chat, responses, async, streams, tools, whatever the provider speaks."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import openai
import pytest

from . import tools
from .conftest import MODELS, TOKEN, Mock

GREETING: Any = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello"}]
ANSWER = "Hello! How can I help you today?"


@pytest.fixture
def client(sidecar: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{sidecar}/v1", api_key=TOKEN, max_retries=0)


@pytest.mark.parametrize("model", MODELS)
def test_chat(client: openai.OpenAI, model: str) -> None:
    raw = client.chat.completions.with_raw_response.create(model=model, messages=GREETING, max_tokens=100)
    answer = raw.parse()
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == (ANSWER, "stop")
    assert answer.usage is not None and answer.usage.prompt_tokens > 0 and answer.usage.completion_tokens > 0
    assert raw.headers["x-fairlead-model"] == ("claude" if model == "chain" else model)


@pytest.mark.parametrize("model", MODELS)
def test_chat_stream(client: openai.OpenAI, model: str) -> None:
    options: Any = {"include_usage": True}
    chunks = list(
        client.chat.completions.create(
            model=model, messages=GREETING, max_tokens=100, stream=True, stream_options=options
        )
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    ends = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices and chunk.choices[0].finish_reason]
    assert (text, ends) == (ANSWER, ["stop"])
    assert chunks[-1].usage is not None and chunks[-1].usage.completion_tokens > 0


@pytest.mark.parametrize("model", MODELS)
def test_chat_tools_go_there_and_back(client: openai.OpenAI, model: str) -> None:
    messages: Any = [{"role": "user", "content": "weather in Paris"}]
    asked = client.chat.completions.create(model=model, messages=messages, tools=tools.CHAT, max_tokens=100)
    assert asked.choices[0].finish_reason == "tool_calls"
    calls = asked.choices[0].message.tool_calls
    assert calls is not None and len(calls) == 1 and calls[0].type == "function"
    assert (calls[0].function.name, json.loads(calls[0].function.arguments)) == ("get_weather", {"city": "Paris"})
    messages += [
        asked.choices[0].message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": calls[0].id, "content": tools.get_weather("Paris")},
    ]
    told = client.chat.completions.create(model=model, messages=messages, tools=tools.CHAT, max_tokens=100)
    assert told.choices[0].message.content == "It is sunny in Paris."


@pytest.mark.parametrize("model", MODELS)
def test_parallel_tools_in_a_stream(client: openai.OpenAI, model: str) -> None:
    messages: Any = [{"role": "user", "content": "weather in two cities"}]
    calls: dict[int, dict[str, str]] = {}
    with client.chat.completions.create(
        model=model, messages=messages, tools=tools.CHAT, max_tokens=100, stream=True
    ) as stream:
        for chunk in stream:
            for call in (chunk.choices[0].delta.tool_calls or []) if chunk.choices else []:
                assert call.function is not None
                known = calls.setdefault(call.index, {"id": "", "name": "", "arguments": ""})
                known["id"] += call.id or ""
                known["name"] += call.function.name or ""
                known["arguments"] += call.function.arguments or ""
    assert [(one["name"], json.loads(one["arguments"])) for _, one in sorted(calls.items())] == [
        ("get_weather", {"city": "Paris"}),
        ("get_weather", {"city": "Rome"}),
    ]
    assert len({one["id"] for one in calls.values()}) == 2


@pytest.mark.parametrize("model", MODELS)
def test_structured_output(client: openai.OpenAI, model: str) -> None:
    schema = {**tools.PARAMETERS, "properties": {"city": {"type": "string"}, "degrees": {"type": "integer"}}}
    form: Any = {"type": "json_schema", "json_schema": {"name": "weather", "schema": schema}}
    messages: Any = [{"role": "user", "content": "as json"}]
    answer = client.chat.completions.create(model=model, messages=messages, response_format=form, max_tokens=100)
    assert json.loads(answer.choices[0].message.content or "") == {"city": "Paris", "degrees": 21}


@pytest.mark.parametrize("model", MODELS)
def test_responses(client: openai.OpenAI, model: str) -> None:
    answer = client.responses.create(model=model, instructions="Be brief.", input="hello", max_output_tokens=100)
    assert (answer.output_text, answer.status) == (ANSWER, "completed")
    assert answer.usage is not None and answer.usage.output_tokens > 0


@pytest.mark.parametrize("model", MODELS)
def test_responses_stream(client: openai.OpenAI, model: str) -> None:
    with client.responses.stream(model=model, input="hello", max_output_tokens=100) as stream:
        kinds, text = [], ""
        for event in stream:
            kinds.append(event.type)
            if event.type == "response.output_text.delta":
                text += event.delta
        final = stream.get_final_response()
    assert kinds[0] == "response.created" and kinds[-1] == "response.completed"
    assert text == final.output_text == ANSWER


@pytest.mark.parametrize("model", MODELS)
def test_responses_tools_go_there_and_back(client: openai.OpenAI, model: str) -> None:
    history: Any = [{"role": "user", "content": "weather in Paris"}]
    asked = client.responses.create(model=model, input=history, tools=tools.RESPONSES, max_output_tokens=100)
    (call,) = [item for item in asked.output if item.type == "function_call"]
    assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Paris"})
    history += [
        {"type": "function_call", "call_id": call.call_id, "name": call.name, "arguments": call.arguments},
        {"type": "function_call_output", "call_id": call.call_id, "output": tools.get_weather("Paris")},
    ]
    told = client.responses.create(model=model, input=history, tools=tools.RESPONSES, max_output_tokens=100)
    assert told.output_text == "It is sunny in Paris."


def test_async_calls_side_by_side(sidecar: str) -> None:
    async def call(client: openai.AsyncOpenAI, model: str) -> str | None:
        answer = await client.chat.completions.create(model=model, messages=GREETING, max_tokens=100)
        return answer.choices[0].message.content

    async def all_of_them() -> list[str | None]:
        async with openai.AsyncOpenAI(base_url=f"{sidecar}/v1", api_key=TOKEN, max_retries=0) as client:
            return await asyncio.gather(*(call(client, model) for model in MODELS * 4))

    assert set(asyncio.run(all_of_them())) == {ANSWER}


def test_models_are_listed(client: openai.OpenAI) -> None:
    assert {"gpt", "claude", "llama", "chain"} <= {model.id for model in client.models.list()}


def test_a_denial_and_an_empty_budget_are_what_the_sdk_expects(client: openai.OpenAI) -> None:
    with pytest.raises(openai.PermissionDeniedError) as denied:
        client.chat.completions.create(
            model="claude", messages=GREETING, extra_headers={"x-fairlead-labels": "data=secret"}
        )
    assert denied.value.response.headers["x-fairlead-reason"] == "POLICY_DENIED"
    with pytest.raises(openai.RateLimitError) as spent:
        client.chat.completions.create(model="claude", messages=GREETING, extra_headers={"x-fairlead-run": "r"})
    assert (spent.value.code, spent.value.response.headers["x-should-retry"]) == ("insufficient_quota", "false")


def test_the_provider_is_called_in_its_own_dialect(client: openai.OpenAI, mock: Mock) -> None:
    for model, path in (
        ("gpt", "/v1/chat/completions"),
        ("claude", "/v1/messages"),
        ("gpt-responses", "/v1/responses"),
    ):
        client.chat.completions.create(model=model, messages=GREETING, max_tokens=100)
        assert mock.paths()[-1] == path
