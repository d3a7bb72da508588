"""What only Messages can say, through the official SDK to a provider of that dialect: prompt caching and thinking."""

from __future__ import annotations

from typing import Any

import anthropic
import pytest

from . import tools
from .conftest import TOKEN, Sidecar
from .recorder import Recorder

LONG: Any = [{"type": "text", "text": "Rules of the house. " * 200, "cache_control": {"type": "ephemeral"}}]
QUESTION: Any = {"role": "user", "content": "weather in Paris"}
THINKING: Any = {"type": "enabled", "budget_tokens": 1024}


@pytest.fixture
def client(daemon: Sidecar) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=daemon.url, api_key=TOKEN, max_retries=0)


def test_cache_marks_reach_the_provider_and_cached_tokens_the_settlement(
    client: anthropic.Anthropic, daemon: Sidecar, recorder: Recorder
) -> None:
    history: Any = [QUESTION]
    written = client.messages.create(model="thinker", system=LONG, messages=history, max_tokens=100)
    assert recorder.bodies[-1]["system"] == LONG
    assert written.usage.cache_creation_input_tokens and not written.usage.cache_read_input_tokens
    history += [{"role": "assistant", "content": written.content}, {"role": "user", "content": "and tomorrow?"}]
    raw = client.messages.with_raw_response.create(model="thinker", system=LONG, messages=history, max_tokens=100)
    read = raw.parse().usage
    assert read.cache_read_input_tokens == written.usage.cache_creation_input_tokens
    settlement = daemon.settlement(raw.headers["x-fairlead-invocation"])
    assert settlement["attempts"][0]["usage"] == {
        "input": str(read.input_tokens),
        "cached_input": str(read.cache_read_input_tokens),
        "output": str(read.output_tokens),
    }
    # USD 3, 0.3 and 15 per million tokens, in nano-USD.
    cost = 3_000 * read.input_tokens + 300 * (read.cache_read_input_tokens or 0) + 15_000 * read.output_tokens
    assert settlement["charged"]["nano_usd"] == str(cost)


@pytest.mark.parametrize("stream", [False, True])
def test_thinking_comes_back_as_it_was_in_a_conversation_with_tools(
    client: anthropic.Anthropic, recorder: Recorder, stream: bool
) -> None:
    """Anthropic refuses a tool's result whose call lost its thinking, or whose thinking lost its signature."""

    def ask(history: Any) -> anthropic.types.Message:
        asked: Any = {"model": "thinker", "messages": history, "tools": tools.MESSAGES, "thinking": THINKING}
        if not stream:
            return client.messages.create(**asked, max_tokens=2048)
        with client.messages.stream(**asked, max_tokens=2048) as events:
            return events.get_final_message()

    history: Any = [QUESTION]
    asked = ask(history)
    thought, call = asked.content
    assert thought.type == "thinking" and thought.thinking and thought.signature
    assert call.type == "tool_use" and asked.stop_reason == "tool_use"
    result = {"type": "tool_result", "tool_use_id": call.id, "content": tools.get_weather("Paris")}
    history += [{"role": "assistant", "content": asked.content}, {"role": "user", "content": [result]}]
    told = ask(history)
    sent = recorder.bodies[-1]
    assert sent["thinking"] == THINKING
    assert sent["messages"][1]["content"][0] == {
        "type": "thinking",
        "thinking": thought.thinking,
        "signature": thought.signature,
    }
    assert sent["messages"][1]["content"][1]["id"] == sent["messages"][2]["content"][0]["tool_use_id"] == call.id
    assert told.stop_reason == "end_turn" and told.content[-1].type == "text"


def test_beta_headers_reach_a_provider_of_the_same_dialect(client: anthropic.Anthropic, recorder: Recorder) -> None:
    client.beta.messages.create(
        model="thinker", messages=[QUESTION], max_tokens=50, betas=["interleaved-thinking-2025-05-14"]
    )
    sent = recorder.headers[-1]
    assert sent["anthropic-beta"] == "interleaved-thinking-2025-05-14"
    assert sent["x-api-key"] == "sk-compat-provider" and "authorization" not in sent
