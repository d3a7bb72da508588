"""Agent frameworks, each with one run that calls a tool: LangGraph, the OpenAI Agents SDK, Pydantic AI."""

from __future__ import annotations

from typing import Any

import agents
import openai
import pytest
from langchain.agents import create_agent
from langchain_anthropic import ChatAnthropic
from langchain_openai import ChatOpenAI
from pydantic import SecretStr
from pydantic_ai import Agent
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider

from . import tools
from .conftest import MODELS, TOKEN

QUESTION = "weather in Paris"
ANSWER = "It is sunny in Paris."


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("model", MODELS)
def test_langgraph_over_chat(sidecar: str, model: str, streaming: bool) -> None:
    chat = ChatOpenAI(
        model=model, base_url=f"{sidecar}/v1", api_key=SecretStr(TOKEN), max_retries=0, streaming=streaming
    )
    result = create_agent(chat, [tools.get_weather]).invoke({"messages": [("user", QUESTION)]})
    assert [message.type for message in result["messages"]] == ["human", "ai", "tool", "ai"]
    assert result["messages"][2].content == "sunny in Paris"
    assert result["messages"][-1].text == ANSWER


@pytest.mark.parametrize("model", MODELS)
def test_langgraph_over_messages(sidecar: str, model: str) -> None:
    chat: Any = ChatAnthropic(
        model_name=model, base_url=sidecar, api_key=SecretStr(TOKEN), max_retries=0, max_tokens_to_sample=100
    )
    result = create_agent(chat, [tools.get_weather]).invoke({"messages": [("user", QUESTION)]})
    assert result["messages"][-1].text == ANSWER


@pytest.mark.parametrize("dialect", ["responses", "chat"])
@pytest.mark.parametrize("model", MODELS)
def test_openai_agents(sidecar: str, model: str, dialect: str) -> None:
    agents.set_tracing_disabled(True)
    client = openai.AsyncOpenAI(base_url=f"{sidecar}/v1", api_key=TOKEN, max_retries=0)
    kind: Any = agents.OpenAIResponsesModel if dialect == "responses" else agents.OpenAIChatCompletionsModel
    agent = agents.Agent(
        name="weather",
        instructions="Use the tool.",
        model=kind(model=model, openai_client=client),
        tools=[agents.function_tool(tools.get_weather)],
    )
    result = agents.Runner.run_sync(agent, QUESTION)
    assert result.final_output == ANSWER
    assert [type(item).__name__ for item in result.new_items] == [
        "ToolCallItem",
        "ToolCallOutputItem",
        "MessageOutputItem",
    ]


@pytest.mark.parametrize("dialect", ["messages", "chat"])
@pytest.mark.parametrize("model", MODELS)
def test_pydantic_ai(sidecar: str, model: str, dialect: str) -> None:
    known: Any = (
        AnthropicModel(model, provider=AnthropicProvider(api_key=TOKEN, base_url=sidecar))
        if dialect == "messages"
        else OpenAIChatModel(model, provider=OpenAIProvider(api_key=TOKEN, base_url=f"{sidecar}/v1"))
    )
    agent = Agent(known, tools=[tools.get_weather])
    assert agent.run_sync(QUESTION).output == ANSWER
