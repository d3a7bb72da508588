"""The development provider speaks the dialect well enough for the official SDK, and fails exactly as told."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import openai
import pytest

from fairlead.devprovider.faults import Fault, FaultKind, FaultPlan
from fairlead.devprovider.server import DevProvider

MESSAGES: Any = [{"role": "user", "content": "hello"}]


@asynccontextmanager
async def provider() -> AsyncIterator[tuple[DevProvider, openai.AsyncOpenAI]]:
    server = DevProvider(seed=1)
    port = await server.start()
    client = openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="unused", max_retries=0)
    try:
        yield server, client
    finally:
        await client.close()
        await server.close()


def run(scenario: Callable[[DevProvider, openai.AsyncOpenAI], Awaitable[None]]) -> None:
    async def main() -> None:
        async with provider() as (server, client):
            await scenario(server, client)

    asyncio.run(main())


def test_the_official_sdk_gets_an_answer_with_usage() -> None:
    async def scenario(server: DevProvider, client: openai.AsyncOpenAI) -> None:
        answer = await client.chat.completions.create(model="dev-large", messages=MESSAGES, max_tokens=5)
        assert answer.usage is not None
        assert answer.usage.completion_tokens == 5
        assert len((answer.choices[0].message.content or "").split()) == 5
        assert server.stats.completion_tokens == 5

    run(scenario)


def test_a_stream_ends_with_usage_only_when_it_was_asked_for() -> None:
    async def scenario(_: DevProvider, client: openai.AsyncOpenAI) -> None:
        for include in (True, False):
            stream = await client.chat.completions.create(
                model="dev-large", messages=MESSAGES, stream=True, stream_options={"include_usage": include}
            )
            usages = [chunk.usage async for chunk in stream]
            assert (usages[-1] is not None) is include

    run(scenario)


def test_a_tool_is_called_until_its_result_is_in_the_conversation() -> None:
    async def scenario(_: DevProvider, client: openai.AsyncOpenAI) -> None:
        tools: Any = [{"type": "function", "function": {"name": "lookup", "parameters": {"type": "object"}}}]
        first = await client.chat.completions.create(model="dev-large", messages=MESSAGES, tools=tools)
        calls = first.choices[0].message.tool_calls
        assert calls and calls[0].function.name == "lookup"
        history = [*MESSAGES, first.choices[0].message, {"role": "tool", "tool_call_id": calls[0].id, "content": "42"}]
        second = await client.chat.completions.create(model="dev-large", messages=history, tools=tools)
        assert second.choices[0].finish_reason == "stop"

    run(scenario)


def test_an_armed_status_is_shown_as_often_as_it_was_armed() -> None:
    async def scenario(server: DevProvider, client: openai.AsyncOpenAI) -> None:
        server.faults.arm(Fault.parse("429:retry-after=7"), times=1)
        with pytest.raises(openai.RateLimitError) as caught:
            await client.chat.completions.create(model="dev-large", messages=MESSAGES)
        assert caught.value.response.headers["retry-after"] == "7"
        assert await client.chat.completions.create(model="dev-large", messages=MESSAGES)

    run(scenario)


def test_a_cut_stream_ends_without_done() -> None:
    async def scenario(server: DevProvider, client: openai.AsyncOpenAI) -> None:
        server.faults.arm(Fault(FaultKind.CUT, after_events=2), times=1)
        stream = await client.chat.completions.create(model="dev-large", messages=MESSAGES, stream=True)
        with pytest.raises(Exception, match=r"(?i)peer closed|incomplete|connection"):
            async for _ in stream:
                pass

    run(scenario)


def test_faults_are_armed_over_http_and_bad_commands_are_explained() -> None:
    async def scenario(server: DevProvider, client: openai.AsyncOpenAI) -> None:
        def post(command: object) -> int:
            url = str(client.base_url).replace("/v1/", "/_dev/faults")
            request = urllib.request.Request(url, json.dumps(command).encode(), method="POST")
            with urllib.request.urlopen(request, timeout=5) as response:
                return int(response.status)

        assert await asyncio.to_thread(post, {"fault": "503", "times": 2}) == 200
        assert server.faults.next() == Fault(FaultKind.STATUS, status=503)
        with pytest.raises(urllib.error.HTTPError) as caught:
            await asyncio.to_thread(post, {"fault": "explode"})
        assert b"unknown fault `explode`" in caught.value.read()
        caught.value.close()

    run(scenario)


def test_shares_are_drawn_from_the_seed() -> None:
    def draws(seed: int) -> list[bool]:
        plan = FaultPlan(seed)
        plan.share(Fault.parse("500"), 0.3)
        return [plan.next() is not None for _ in range(200)]

    assert draws(4) == draws(4)
    assert draws(4) != draws(5)
    assert 30 < sum(draws(4)) < 90


def test_what_it_says_is_set_over_http_and_streams_word_by_word() -> None:
    async def scenario(server: DevProvider, client: openai.AsyncOpenAI) -> None:
        def post(command: object) -> int:
            url = str(client.base_url).replace("/v1/", "/_dev/say")
            request = urllib.request.Request(url, json.dumps(command).encode(), method="POST")
            with urllib.request.urlopen(request, timeout=5) as response:
                return int(response.status)

        assert await asyncio.to_thread(post, {"text": "as it was told"}) == 200
        answer = await client.chat.completions.create(model="dev-large", messages=MESSAGES, max_tokens=2)
        assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == ("as it was told", "stop")
        assert answer.usage is not None and answer.usage.completion_tokens == 4
        stream = await client.chat.completions.create(model="dev-large", messages=MESSAGES, stream=True)
        words = [chunk.choices[0].delta.content async for chunk in stream if chunk.choices]
        assert [word for word in words if word] == ["as", " it", " was", " told"]
        with pytest.raises(urllib.error.HTTPError) as caught:
            await asyncio.to_thread(post, ["as it was told"])
        assert b"write" in caught.value.read()
        caught.value.close()
        assert await asyncio.to_thread(post, {"text": None}) == 200
        answer = await client.chat.completions.create(model="dev-large", messages=MESSAGES, max_tokens=2)
        assert answer.choices[0].message.content == "steady line"

    run(scenario)
