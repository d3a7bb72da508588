"""The development provider speaks every dialect well enough for the official SDKs, streams and tools included."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anthropic
import openai
import pytest

from fairlead.devprovider.server import DevProvider

QUESTION: Any = [{"role": "user", "content": "hello"}]
SCHEMA = {"type": "object", "required": ["city"], "properties": {"city": {"type": "string"}, "days": {}}}
MESSAGES_TOOLS: Any = [
    {"name": "lookup", "input_schema": SCHEMA},
    {"name": "book", "input_schema": {"type": "object"}},
]
RESPONSES_TOOLS: Any = [
    {"type": "function", "name": "lookup", "parameters": SCHEMA, "strict": False},
    {"type": "function", "name": "book", "parameters": {"type": "object"}, "strict": False},
]


@asynccontextmanager
async def provider() -> AsyncIterator[tuple[DevProvider, openai.AsyncOpenAI, anthropic.AsyncAnthropic]]:
    server = DevProvider(seed=1)
    root = f"http://127.0.0.1:{await server.start()}"
    async with openai.AsyncOpenAI(base_url=f"{root}/v1", api_key="unused", max_retries=0) as first:
        async with anthropic.AsyncAnthropic(base_url=root, api_key="unused", max_retries=0) as second:
            yield server, first, second
    await server.close()


def with_openai(scenario: Callable[[DevProvider, openai.AsyncOpenAI], Awaitable[None]]) -> None:
    async def main() -> None:
        async with provider() as (server, client, _):
            await scenario(server, client)

    asyncio.run(main())


def with_anthropic(scenario: Callable[[DevProvider, anthropic.AsyncAnthropic], Awaitable[None]]) -> None:
    async def main() -> None:
        async with provider() as (server, _, client):
            await scenario(server, client)

    asyncio.run(main())


# Anthropic Messages --------------------------------------------------------------------------------------------------


def test_messages_answers_with_usage_and_says_when_it_stopped_for_length() -> None:
    async def scenario(server: DevProvider, client: anthropic.AsyncAnthropic) -> None:
        answer = await client.messages.create(model="dev-large", messages=QUESTION, max_tokens=5)
        (block,) = answer.content
        assert block.type == "text" and len(block.text.split()) == 5
        assert (answer.stop_reason, answer.usage.output_tokens) == ("end_turn", 5)
        assert server.stats.completion_tokens == 5
        cut = await client.messages.create(model="dev-large", messages=QUESTION, max_tokens=5, extra_body={"seed": 9})
        assert cut.stop_reason == "max_tokens"

    with_anthropic(scenario)


def test_messages_streams_the_same_answer_as_it_gives_whole() -> None:
    async def scenario(_: DevProvider, client: anthropic.AsyncAnthropic) -> None:
        whole = await client.messages.create(model="dev-large", messages=QUESTION, max_tokens=50)
        async with client.messages.stream(model="dev-large", messages=QUESTION, max_tokens=50) as stream:
            kinds = [event.type async for event in stream]
            final = await stream.get_final_message()
        assert kinds[0] == "message_start" and kinds[-1] == "message_stop"
        assert [block.model_dump() for block in final.content] == [block.model_dump() for block in whole.content]
        assert (final.stop_reason, final.usage.output_tokens) == (whole.stop_reason, whole.usage.output_tokens)

    with_anthropic(scenario)


def test_messages_calls_a_tool_with_arguments_of_its_schema_until_the_result_is_there() -> None:
    async def scenario(_: DevProvider, client: anthropic.AsyncAnthropic) -> None:
        asked: Any = {"model": "dev-large", "max_tokens": 50, "tools": MESSAGES_TOOLS}
        async with client.messages.stream(messages=QUESTION, **asked) as stream:
            first = await stream.get_final_message()
        (call,) = first.content
        assert call.type == "tool_use" and (call.name, call.input) == ("lookup", {"city": "steady"})
        assert first.stop_reason == "tool_use"
        result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "42"}]}
        history: Any = [*QUESTION, {"role": "assistant", "content": first.content}, result]
        assert (await client.messages.create(messages=history, **asked)).stop_reason == "end_turn"
        named = await client.messages.create(messages=QUESTION, tool_choice={"type": "tool", "name": "book"}, **asked)
        both = await client.messages.create(
            messages=QUESTION, tool_choice={"type": "any", "disable_parallel_tool_use": False}, **asked
        )
        assert [[block.name for block in one.content if block.type == "tool_use"] for one in (named, both)] == [
            ["book"],
            ["lookup", "book"],
        ]

    with_anthropic(scenario)


def test_messages_reports_what_a_prompt_cache_wrote_and_then_read() -> None:
    async def scenario(_: DevProvider, client: anthropic.AsyncAnthropic) -> None:
        system: Any = [{"type": "text", "text": "long " * 100, "cache_control": {"type": "ephemeral"}}]
        first = await client.messages.create(model="m", messages=QUESTION, max_tokens=5, system=system)
        assert (first.usage.cache_creation_input_tokens or 0) > 100 and first.usage.cache_read_input_tokens == 0
        later: Any = [*QUESTION, {"role": "assistant", "content": "yes?"}, *QUESTION]
        second = await client.messages.create(model="m", messages=later, max_tokens=5, system=system)
        assert second.usage.cache_read_input_tokens == first.usage.cache_creation_input_tokens
        assert second.usage.cache_creation_input_tokens == 0 and second.usage.input_tokens > 0

    with_anthropic(scenario)


def test_messages_thinks_when_asked_to_and_signs_it() -> None:
    async def scenario(_: DevProvider, client: anthropic.AsyncAnthropic) -> None:
        thinking: Any = {"type": "enabled", "budget_tokens": 1024}
        async with client.messages.stream(model="m", messages=QUESTION, max_tokens=2000, thinking=thinking) as stream:
            final = await stream.get_final_message()
        thought, text = final.content
        assert thought.type == "thinking" and thought.thinking and thought.signature and text.type == "text"

    with_anthropic(scenario)


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (401, anthropic.AuthenticationError, "authentication_error"),
        (403, anthropic.PermissionDeniedError, "permission_error"),
        (404, anthropic.NotFoundError, "not_found_error"),
        (413, anthropic.RequestTooLargeError, "request_too_large"),
        (429, anthropic.RateLimitError, "rate_limit_error"),
        (500, anthropic.InternalServerError, "api_error"),
        (529, anthropic.OverloadedError, "overloaded_error"),
    ],
)
def test_messages_fails_with_its_own_errors(status: int, error: type[anthropic.APIStatusError], kind: str) -> None:
    async def scenario(_: DevProvider, client: anthropic.AsyncAnthropic) -> None:
        with pytest.raises(error) as caught:
            await client.messages.create(
                model="m", messages=QUESTION, max_tokens=5, extra_headers={"x-dev-fault": f"{status}:retry-after=7"}
            )
        assert (caught.value.status_code, caught.value.type) == (status, kind)
        assert caught.value.response.headers["retry-after"] == "7"

    with_anthropic(scenario)


# OpenAI Responses ----------------------------------------------------------------------------------------------------


def test_responses_answers_with_usage_and_says_when_it_stopped_for_length() -> None:
    async def scenario(_: DevProvider, client: openai.AsyncOpenAI) -> None:
        answer = await client.responses.create(model="dev-large", input="hello", max_output_tokens=5)
        assert len(answer.output_text.split()) == 5
        assert answer.usage is not None
        assert (answer.status, answer.usage.output_tokens) == ("completed", 5)
        assert answer.usage.total_tokens == answer.usage.input_tokens + 5
        cut = await client.responses.create(model="m", input="hello", max_output_tokens=5, extra_body={"seed": 9})
        assert cut.status == "incomplete"
        assert cut.incomplete_details and cut.incomplete_details.reason == "max_output_tokens"

    with_openai(scenario)


def test_responses_streams_the_same_answer_as_it_gives_whole() -> None:
    async def scenario(_: DevProvider, client: openai.AsyncOpenAI) -> None:
        whole = await client.responses.create(model="dev-large", input="hello")
        async with client.responses.stream(model="dev-large", input="hello") as stream:
            events = [event async for event in stream]
            final = await stream.get_final_response()
        assert [event.sequence_number for event in events] == list(range(len(events)))
        assert (events[0].type, events[-1].type) == ("response.created", "response.completed")
        assert (final.output_text, final.usage) == (whole.output_text, whole.usage)

    with_openai(scenario)


def test_responses_calls_functions_until_their_results_are_there() -> None:
    async def scenario(_: DevProvider, client: openai.AsyncOpenAI) -> None:
        async with client.responses.stream(
            model="m", input="hello", tools=RESPONSES_TOOLS, parallel_tool_calls=True
        ) as stream:
            first = await stream.get_final_response()
        calls = [item for item in first.output if item.type == "function_call"]
        assert [call.name for call in calls] == ["lookup", "book"]
        assert json.loads(calls[0].arguments) == {"city": "steady"}
        history: Any = [
            {"role": "user", "content": "hello"},
            *(call.model_dump(exclude={"parsed_arguments"}) for call in calls),
            *({"type": "function_call_output", "call_id": call.call_id, "output": "42"} for call in calls),
        ]
        second = await client.responses.create(model="m", input=history, tools=RESPONSES_TOOLS)
        assert second.output_text

    with_openai(scenario)


def test_responses_keeps_nothing_and_says_so() -> None:
    async def scenario(_: DevProvider, client: openai.AsyncOpenAI) -> None:
        with pytest.raises(openai.BadRequestError, match="keeps none"):
            await client.responses.create(model="m", input="hello", previous_response_id="resp_1")

    with_openai(scenario)


def test_json_that_is_asked_for_is_json_in_every_dialect() -> None:
    async def main() -> None:
        async with provider() as (_, first, second):
            form: Any = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}
            chat = await first.chat.completions.create(model="m", messages=QUESTION, response_format=form)
            responses = await first.responses.create(
                model="m", input="hi", text={"format": {"type": "json_schema", "name": "x", "schema": SCHEMA}}
            )
            config: Any = {"format": {"type": "json_schema", "schema": SCHEMA}}
            messages = await second.messages.create(
                model="m", messages=QUESTION, max_tokens=50, extra_body={"output_config": config}
            )
        (block,) = messages.content
        assert block.type == "text"
        texts = (chat.choices[0].message.content or "", responses.output_text, block.text)
        assert [json.loads(text) for text in texts] == [{"city": "steady"}] * 3

    asyncio.run(main())


def test_azures_paths_lead_to_the_same_model() -> None:
    async def scenario(server: DevProvider, client: openai.AsyncOpenAI) -> None:
        root = str(client.base_url).removesuffix("/v1/")
        azure = openai.AsyncAzureOpenAI(azure_endpoint=root, api_key="unused", api_version="2024-10-21")
        async with azure:
            answer = await azure.chat.completions.create(model="my-deployment", messages=QUESTION)
        assert answer.model == "my-deployment"
        assert server.received is not None
        assert server.received.path == "/openai/deployments/my-deployment/chat/completions?api-version=2024-10-21"
        assert server.received.headers["api-key"] == "unused"

    with_openai(scenario)
