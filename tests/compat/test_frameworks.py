"""Agent frameworks, each with runs that call a tool: LangGraph, the OpenAI Agents SDK, Pydantic AI."""

from __future__ import annotations

import asyncio
from typing import Any

import agents
import openai
import pytest
from langchain.agents import create_agent
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import AIMessageChunk, ToolMessage
from langchain_openai import ChatOpenAI
from pydantic import SecretStr
from pydantic_ai import Agent
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider

from . import tools
from .conftest import MODELS, TOKEN

QUESTION = "weather in Paris"
ANSWER = "It is sunny in Paris."
DIALECTS = ("chat", "responses", "messages")


def langchain_model(sidecar: str, model: str, dialect: str) -> Any:
    key = SecretStr(TOKEN)
    if dialect == "messages":
        return ChatAnthropic(model_name=model, base_url=sidecar, api_key=key, max_retries=0)
    return ChatOpenAI(
        model=model,
        base_url=f"{sidecar}/v1",
        api_key=key,
        max_retries=0,
        use_responses_api=dialect == "responses",
        stream_usage=True,
    )


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("model", MODELS)
def test_langgraph(sidecar: str, model: str, dialect: str) -> None:
    agent = create_agent(langchain_model(sidecar, model, dialect), [tools.get_weather])
    messages = agent.invoke({"messages": [("user", QUESTION)]})["messages"]
    assert [message.type for message in messages] == ["human", "ai", "tool", "ai"]
    assert (messages[2].content, messages[-1].text) == ("sunny in Paris", ANSWER)
    assert messages[-1].usage_metadata["output_tokens"] > 0


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("model", MODELS)
def test_langgraph_streams_a_tool_call(sidecar: str, model: str, dialect: str) -> None:
    agent = create_agent(langchain_model(sidecar, model, dialect), [tools.get_weather])
    parts = [part for part, _ in agent.stream({"messages": [("user", QUESTION)]}, stream_mode="messages")]
    (result,) = [part for part in parts if isinstance(part, ToolMessage)]
    before, after = parts[: parts.index(result)], parts[parts.index(result) + 1 :]
    call = sum(before[1:], start=before[0])
    assert isinstance(call, AIMessageChunk)
    assert [(one["name"], one["args"], one["id"]) for one in call.tool_calls] == [
        ("get_weather", {"city": "Paris"}, result.tool_call_id)
    ]
    assert len(before) > 1 and len(after) > 1, "it came in parts"
    told = sum(after[1:], start=after[0])
    assert isinstance(told, AIMessageChunk) and told.text == ANSWER
    assert told.usage_metadata is not None and told.usage_metadata["output_tokens"] > 0


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("dialect", ["responses", "chat"])
@pytest.mark.parametrize("model", MODELS)
def test_openai_agents(sidecar: str, model: str, dialect: str, streamed: bool) -> None:
    agents.set_tracing_disabled(True)
    client = openai.AsyncOpenAI(base_url=f"{sidecar}/v1", api_key=TOKEN, max_retries=0)
    kind: Any = agents.OpenAIResponsesModel if dialect == "responses" else agents.OpenAIChatCompletionsModel
    agent = agents.Agent(
        name="weather",
        instructions="Use the tool.",
        model=kind(model=model, openai_client=client),
        tools=[agents.function_tool(tools.get_weather)],
    )

    async def run() -> agents.RunResult | agents.RunResultStreaming:
        if not streamed:
            return await agents.Runner.run(agent, QUESTION)
        result = agents.Runner.run_streamed(agent, QUESTION)
        assert len([event async for event in result.stream_events()]) > 3
        return result

    result = asyncio.run(run())
    assert result.final_output == ANSWER
    assert [type(item).__name__ for item in result.new_items] == [
        "ToolCallItem",
        "ToolCallOutputItem",
        "MessageOutputItem",
    ]


@pytest.mark.parametrize("model", MODELS)
def test_openai_agents_keep_a_session_themselves(sidecar: str, model: str) -> None:
    agents.set_tracing_disabled(True)
    client = openai.AsyncOpenAI(base_url=f"{sidecar}/v1", api_key=TOKEN, max_retries=0)
    known = agents.OpenAIResponsesModel(model=model, openai_client=client)
    agent = agents.Agent(name="weather", model=known, tools=[agents.function_tool(tools.get_weather)])
    session = agents.SQLiteSession("weather")

    async def run() -> list[str]:
        return [(await agents.Runner.run(agent, QUESTION, session=session)).final_output for _ in range(2)]

    assert asyncio.run(run()) == [ANSWER, ANSWER]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("model", MODELS)
def test_pydantic_ai(sidecar: str, model: str, dialect: str, streamed: bool) -> None:
    at_openai = OpenAIProvider(api_key=TOKEN, base_url=f"{sidecar}/v1")
    known: Any
    match dialect:
        case "messages":
            known = AnthropicModel(model, provider=AnthropicProvider(api_key=TOKEN, base_url=sidecar))
        case "responses":
            known = OpenAIResponsesModel(model, provider=at_openai)
        case _:
            known = OpenAIChatModel(model, provider=at_openai)
    agent = Agent(known, tools=[tools.get_weather])

    async def run() -> str:
        if not streamed:
            return (await agent.run(QUESTION)).output
        async with agent.run_stream(QUESTION) as result:
            return await result.get_output()

    assert asyncio.run(run()) == ANSWER
