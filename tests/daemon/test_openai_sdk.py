"""The official OpenAI SDK against the sidecar, unmodified: only base_url and api_key are Fairlead's."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from .harness import OTHER_TOKEN, TOKEN, Daemon
from .provider import Provider, routed

MESSAGES: Any = [{"role": "user", "content": "hello"}]
TOOLS: Any = [{"type": "function", "function": {"name": "lookup", "parameters": {"type": "object"}}}]
POLICIES = """\
policies:
  - {name: no-secrets, on: model.call, match: {labels: {data: secret}}, effect: deny}
budgets:
  - {name: run, scope: [run], limit: {tokens: 600}, window: lifetime}
rateLimits:
  - {name: slow-session, scope: [session], match: {labels: {pace: slow}}, requestsPerMinute: 1}
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Daemon, Provider, Provider]]:
    with Provider() as first, Provider() as second:
        config = routed(first.url, second.url, POLICIES)
        with Daemon(tmp_path_factory.mktemp("sdk"), config) as daemon:
            yield daemon, first, second


@pytest.fixture
def sdk(served: tuple[Daemon, Provider, Provider]) -> Iterator[openai.OpenAI]:
    with connect(served[0]) as client:
        yield client


def base_url(daemon: Daemon) -> str:
    return f"http://{daemon.endpoints()['agent']}/v1"


def connect(daemon: Daemon, token: str = TOKEN) -> openai.OpenAI:
    return openai.OpenAI(base_url=base_url(daemon), api_key=token, max_retries=0)


def context(**headers: str) -> dict[str, str]:
    return {f"x-fairlead-{name}": value for name, value in headers.items()}


def test_a_call_is_answered_and_its_headers_name_the_decision(sdk: openai.OpenAI) -> None:
    raw = sdk.chat.completions.with_raw_response.create(model="chat", messages=MESSAGES, max_tokens=5)
    answer = raw.parse()
    assert len((answer.choices[0].message.content or "").split()) == 5
    assert answer.usage is not None and answer.usage.completion_tokens == 5
    assert raw.headers["x-fairlead-model"] == "large"
    assert raw.headers["x-fairlead-invocation"].startswith("inv_")
    assert len(raw.headers["x-fairlead-config-version"]) == 64


def test_a_stream_arrives_in_parts_and_hides_the_usage_nobody_asked_for(sdk: openai.OpenAI) -> None:
    chunks = list(sdk.chat.completions.create(model="chat", messages=MESSAGES, max_tokens=6, stream=True))
    words = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
    assert len(words) == 6
    assert all(chunk.choices for chunk in chunks), "the usage chunk was for Fairlead only"


def test_a_stream_shows_usage_when_the_agent_asked_for_it(sdk: openai.OpenAI) -> None:
    stream = sdk.chat.completions.create(
        model="chat", messages=MESSAGES, max_tokens=6, stream=True, stream_options={"include_usage": True}
    )
    usage = [chunk.usage for chunk in stream if chunk.usage]
    assert [u.completion_tokens for u in usage] == [6]


def test_tools_pass_through_in_both_directions(sdk: openai.OpenAI) -> None:
    first = sdk.chat.completions.create(model="chat", messages=MESSAGES, tools=TOOLS)
    calls = first.choices[0].message.tool_calls
    assert calls and calls[0].function.name == "lookup"
    history = [*MESSAGES, first.choices[0].message, {"role": "tool", "tool_call_id": calls[0].id, "content": "42"}]
    second = sdk.chat.completions.create(model="chat", messages=history, tools=TOOLS)
    assert second.choices[0].finish_reason == "stop"


def test_the_async_client_works_too(served: tuple[Daemon, Provider, Provider]) -> None:
    async def scenario() -> None:
        async with openai.AsyncOpenAI(base_url=base_url(served[0]), api_key=TOKEN, max_retries=0) as client:
            calls = [client.chat.completions.create(model="chat", messages=MESSAGES, max_tokens=3) for _ in range(16)]
            answers = await asyncio.gather(*calls)
            assert all(answer.choices[0].message.content for answer in answers)
            stream = await client.chat.completions.create(model="chat", messages=MESSAGES, max_tokens=3, stream=True)
            chunks = [chunk async for chunk in stream]
            assert chunks[-1].choices[0].finish_reason == "stop"

    asyncio.run(scenario())


def test_models_lists_what_the_agent_may_name(sdk: openai.OpenAI) -> None:
    assert {model.id for model in sdk.models.list()} >= {"chat", "large", "small"}


@pytest.mark.parametrize("fault", ["429:retry-after=30", "503", "refuse", "garbage", "error_event"])
def test_a_provider_that_fails_is_replaced_before_the_agent_notices(tmp_path: Path, fault: str) -> None:
    with Provider() as first, Provider() as second, Daemon(tmp_path, routed(first.url, second.url)) as daemon:
        first.fail(fault)
        with connect(daemon) as client:
            stream = client.chat.completions.with_streaming_response.create(
                model="chat", messages=MESSAGES, max_tokens=4, stream=fault == "error_event"
            )
            with stream as response:
                response.read()
                assert response.headers["x-fairlead-model"] == "small"
        assert (first.stats.requests, second.stats.requests) == (1, 1)


def test_a_refusal_of_policy_is_a_permission_error(sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.PermissionDeniedError) as caught:
        sdk.chat.completions.create(model="chat", messages=MESSAGES, extra_headers=context(labels="data=secret"))
    assert caught.value.response.headers["x-fairlead-reason"] == "POLICY_DENIED"
    assert "no-secrets" in str(caught.value)


def test_an_exhausted_budget_surfaces_instead_of_being_repeated(served: tuple[Daemon, Provider, Provider]) -> None:
    retrying = openai.OpenAI(base_url=base_url(served[0]), api_key=TOKEN, max_retries=3)
    with retrying, pytest.raises(openai.RateLimitError) as caught:
        for _ in range(100):
            retrying.chat.completions.create(
                model="chat", messages=MESSAGES, max_tokens=100, extra_headers=context(run="r-1")
            )
    assert caught.value.code == "insufficient_quota"
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert caught.value.response.headers["x-fairlead-reason"] == "BUDGET_EXHAUSTED"


def test_a_rate_limit_tells_when_to_come_back(sdk: openai.OpenAI) -> None:
    headers = context(labels="pace=slow", session="s-1")
    with pytest.raises(openai.RateLimitError) as caught:
        for _ in range(3):
            sdk.chat.completions.create(model="chat", messages=MESSAGES, extra_headers=headers)
    assert int(caught.value.response.headers["retry-after"]) >= 1
    assert caught.value.response.headers["x-fairlead-reason"] == "RATE_LIMITED"


@pytest.mark.parametrize(("token", "reason"), [("wrong", "CREDENTIAL_INVALID"), ("", "CREDENTIAL_MISSING")])
def test_without_a_right_credential_nothing_is_said(
    served: tuple[Daemon, Provider, Provider], token: str, reason: str
) -> None:
    extra = {"authorization": openai.Omit()} if not token else {}
    with connect(served[0], token or "x") as client, pytest.raises(openai.AuthenticationError) as caught:
        client.chat.completions.create(model="chat", messages=MESSAGES, extra_headers=extra)  # type: ignore[arg-type]
    assert caught.value.response.headers["x-fairlead-reason"] == reason


def test_an_unknown_model_is_not_found_and_named(sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        sdk.chat.completions.create(model="gpt-nonexistent", messages=MESSAGES)
    assert caught.value.code == "model_not_found"
    assert "gpt-nonexistent" in str(caught.value)


def test_a_stream_that_is_cut_ends_with_an_error(tmp_path: Path) -> None:
    with Provider() as first, Provider() as second, Daemon(tmp_path, routed(first.url, second.url)) as daemon:
        first.fail("cut:after=4")
        words = []
        with connect(daemon, TOKEN) as client, pytest.raises(openai.APIError) as caught:
            for chunk in client.chat.completions.create(model="chat", messages=MESSAGES, stream=True):
                words += [choice.delta.content for choice in chunk.choices if choice.delta.content]
        assert words, "what had arrived was delivered"
        assert caught.value.code == "upstream_cut"
        assert second.stats.requests == 0, "after the first word there is no fallback"


def test_all_targets_failing_is_unavailable_and_lists_the_attempts(tmp_path: Path) -> None:
    with Provider() as first, Provider() as second, Daemon(tmp_path, routed(first.url, second.url)) as daemon:
        first.fail("500", None)
        second.fail("503", None)
        with connect(daemon, OTHER_TOKEN) as client, pytest.raises(openai.InternalServerError) as caught:
            client.chat.completions.create(model="chat", messages=MESSAGES)
        assert caught.value.status_code == 503
        assert caught.value.response.headers["x-fairlead-reason"] == "TARGETS_EXHAUSTED"
        assert "large" in str(caught.value) and "small" in str(caught.value)
