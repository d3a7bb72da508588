"""The chain that people run, OpenAI → Anthropic → a local model through Ollama, under an agent with the OpenAI SDK: a
conversation with tool calls in it goes on with whoever is there, and the agent does not notice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
import pytest

from fairlead.v1 import audit_record_pb2, decision_pb2

from .calls import explained
from .harness import TOKEN, Daemon
from .people import command
from .provider import Provider

CONFIG = """\
apiVersion: fairlead/v1
tenants: [{name: acme, agents: [{name: bot, token: {fromEnv: TEST_BOT_TOKEN}}]}]
providers:
  - {name: openai, kind: openai, baseUrl: "OPENAI", apiKey: {fromEnv: TEST_PROVIDER_KEY}}
  - name: anthropic
    kind: anthropic
    baseUrl: "ANTHROPIC"
    apiKey: {fromEnv: TEST_PROVIDER_KEY}
    breaker: {consecutiveFailures: 1, open: 1h, maxOpen: 1h}
  - {name: local, kind: ollama, baseUrl: "OLLAMA"}
models:
  - {name: gpt, provider: openai, price: {input: 10, output: 20}, maxOutputTokens: 1000}
  - {name: claude, provider: anthropic, price: {input: 10, output: 20}, maxOutputTokens: 1000}
  - {name: llama, provider: local, price: {input: 0, output: 0}, maxOutputTokens: 1000}
routes:
  - name: assistant
    match: {model: assistant}
    targets: [{model: gpt}]
    fallback: {chain: [claude, llama]}
    stickyBy: session
"""
TOOLS: Any = [
    {
        "type": "function",
        "function": {
            "name": "lookup",
            "parameters": {"type": "object", "properties": {"berth": {"type": "string"}}, "required": ["berth"]},
        },
    }
]


@dataclass
class Chain:
    """The sidecar and the three providers behind it."""

    daemon: Daemon
    gpt: Provider
    claude: Provider
    llama: Provider

    def agent(self, session: str) -> openai.OpenAI:
        """An agent that only knows the sidecar's address."""
        return openai.OpenAI(
            base_url=f"http://{self.daemon.endpoints()['agent']}/v1",
            api_key=TOKEN,
            max_retries=0,
            default_headers={"x-fairlead-session": session},
        )

    def asked(self) -> tuple[int, int, int]:
        """How often each provider was."""
        return self.gpt.stats.requests, self.claude.stats.requests, self.llama.stats.requests


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    with ExitStack() as stack:
        gpt, claude, llama = (stack.enter_context(Provider()) for _ in range(3))
        urls = {"OPENAI": gpt.url, "ANTHROPIC": claude.url, "OLLAMA": llama.url.removesuffix("/v1")}
        config = CONFIG
        for name, url in urls.items():
            config = config.replace(f'"{name}"', f'"{url}"')
        yield Chain(stack.enter_context(Daemon(tmp_path, config)), gpt, claude, llama)


class Conversation:
    """One session of an agent: what was said so far, as the SDK gave it."""

    def __init__(self, chain: Chain, session: str) -> None:
        self._daemon = chain.daemon
        self._sdk = chain.agent(session)
        self.messages: list[Any] = [{"role": "user", "content": "which berth is free?"}]
        self.invocation = ""

    def turn(self, **more: Any) -> str:
        """Adds the next answer, and the results of the tools it calls; returns the model that gave it."""
        raw = self._sdk.chat.completions.with_raw_response.create(
            model="assistant", messages=self.messages, tools=TOOLS, max_tokens=50, **more
        )
        answer = raw.parse().choices[0].message
        self.messages.append(answer)
        for call in answer.tool_calls or ():
            json.loads(call.function.arguments)
            self.messages.append({"role": "tool", "tool_call_id": call.id, "content": "berth 7"})
        self.invocation = raw.headers["x-fairlead-invocation"]
        if not answer.tool_calls:
            assert answer.content
            self.messages.append({"role": "user", "content": "and the next?"})
        return raw.headers["x-fairlead-model"]

    def attempts(self) -> list[tuple[str, str, int]]:
        """Model, outcome and status of each attempt of the last turn, as recorded."""
        return attempts(self._daemon, self.invocation)

    def story(self) -> str:
        """What `fairlead explain` says about the last turn."""
        done = command(self._daemon, "explain", self.invocation)
        assert done.returncode == 0, done.stderr
        return " ".join(done.stdout.split())


def attempts(daemon: Daemon, invocation: str) -> list[tuple[str, str, int]]:
    kind = audit_record_pb2.EVENT_KIND_INVOCATION_SETTLED
    (settled,) = [event.record for event in explained(daemon, invocation).events if event.record.kind == kind]
    word = decision_pb2.AttemptOutcome.Name
    return [
        (one.model, word(one.outcome).removeprefix("ATTEMPT_OUTCOME_"), one.status_code)
        for one in settled.settlement.attempts
    ]


def test_a_conversation_with_tool_calls_goes_on_with_the_next_vendor(chain: Chain) -> None:
    talk = Conversation(chain, "s-1")
    assert talk.turn() == "gpt"
    call = talk.messages[1].tool_calls[0]

    # OpenAI fails: Anthropic reads the same history, with the ids that the client knows.
    chain.gpt.fail("500")
    assert talk.turn() == "claude"
    assert talk.attempts() == [("gpt", "FAILED", 500), ("claude", "SUCCEEDED", 200)]
    history = json.loads(chain.claude.body)["messages"]
    (use,) = [block for block in history[1]["content"] if block["type"] == "tool_use"]
    assert (use["id"], use["name"], use["input"]) == (call.id, "lookup", json.loads(call.function.arguments))
    (result,) = history[2]["content"]
    assert (result["type"], result["tool_use_id"]) == ("tool_result", call.id)

    # Both fail in another conversation that is as far: the local model goes on.
    other = Conversation(chain, "s-2")
    other.turn()
    chain.gpt.fail("503")
    chain.claude.fail("529")
    assert other.turn() == "llama"
    assert other.attempts() == [("gpt", "FAILED", 503), ("claude", "FAILED", 529), ("llama", "SUCCEEDED", 200)]
    answered = json.loads(chain.llama.body)["messages"]
    assert answered[1]["tool_calls"][0]["id"] == answered[2]["tool_call_id"]
    told = other.story()
    assert told.index("gpt") < told.index("claude") < told.rindex("llama")
    assert "503" in told and "529" in told


def test_a_session_keeps_its_model_while_that_is_healthy_and_says_why_it_left(chain: Chain) -> None:
    talk = Conversation(chain, "s-1")
    talk.turn()
    chain.gpt.fail("500")
    assert talk.turn() == "claude"
    # OpenAI is back, and the session stays where its prompt is in the cache.
    before = chain.asked()
    assert [talk.turn(), talk.turn()] == ["claude", "claude"]
    assert chain.asked() == (before[0], before[1] + 2, before[2])
    assert Conversation(chain, "s-2").turn() == "gpt", "it is that session's model only"

    # Claude fails under the session itself: the plan goes on, and the session with it.
    chain.claude.fail("529")
    assert talk.turn() == "gpt"
    assert talk.attempts() == [("claude", "FAILED", 529), ("gpt", "SUCCEEDED", 200)]
    assert talk.turn() == "gpt"
    assert "The session left" not in talk.story()


def test_a_session_whose_model_became_ill_is_planned_anew_and_the_reason_is_recorded(chain: Chain) -> None:
    talk = Conversation(chain, "s-1")
    talk.turn()
    chain.gpt.fail("500")
    assert talk.turn() == "claude"
    # Somebody else finds out that claude is down.
    other = Conversation(chain, "s-2")
    other.turn()
    chain.gpt.fail("500")
    chain.claude.fail("503")
    assert other.turn() == "llama"

    assert talk.turn() == "gpt"
    assert talk.attempts() == [("gpt", "SUCCEEDED", 200)]
    (decided,) = [
        event.record.decision
        for event in explained(chain.daemon, talk.invocation).events
        if event.record.HasField("decision") and event.record.decision.HasField("session_switch")
    ]
    assert decided.session_switch.from_model == "claude"
    assert "The session left claude, which it was pinned to: it is not healthy" in talk.story()
    # What it moved to is what it keeps from now on.
    assert talk.turn() == "gpt"
    assert "The session left" not in talk.story()


def test_a_stream_falls_back_across_vendors_until_the_first_content(chain: Chain) -> None:
    talk = Conversation(chain, "s-1")
    talk.turn()
    # Each opens its stream as it should and breaks off before the first word.
    chain.gpt.fail("cut:after=1")
    chain.claude.fail("cut:after=2")
    with chain.agent("s-2").chat.completions.with_streaming_response.create(
        model="assistant", messages=talk.messages, tools=TOOLS, max_tokens=6, stream=True
    ) as raw:
        assert raw.headers["x-fairlead-model"] == "llama"
        chunks = list(raw.parse())
    assert sum(chunk.choices[0].delta.role is not None for chunk in chunks if chunk.choices) == 1
    assert len({chunk.id for chunk in chunks}) == 1
    words = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
    assert len(words) == 6 and chunks[-1].choices[0].finish_reason is not None
    expected = [("gpt", "CUT", 200), ("claude", "CUT", 200), ("llama", "SUCCEEDED", 200)]
    assert attempts(chain.daemon, raw.headers["x-fairlead-invocation"]) == expected


def test_a_stream_that_breaks_after_its_first_content_stays_broken(chain: Chain) -> None:
    chain.gpt.fail("cut:after=5")
    messages: Any = [{"role": "user", "content": "hello"}]
    with (
        chain.agent("s-1").chat.completions.with_streaming_response.create(
            model="assistant", messages=messages, max_tokens=50, stream=True
        ) as raw,
        pytest.raises(openai.APIError, match="incomplete"),
    ):
        list(raw.parse())
    assert chain.asked() == (1, 0, 0)
    assert attempts(chain.daemon, raw.headers["x-fairlead-invocation"]) == [("gpt", "CUT", 200)]
