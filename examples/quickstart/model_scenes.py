"""Model calls: dialects, the chain across vendors, splits, the cache and budgets."""

from __future__ import annotations

import collections
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anthropic
import openai
from show import MESSAGES, Show
from stage import TOKENS

from fairlead.client import BudgetExhausted
from fairlead.v1 import budget_service_pb2

WEATHER: dict[str, Any] = {"type": "object", "required": ["port"], "properties": {"port": {"type": "string"}}}


def normal_call(show: Show) -> None:
    show.scene("A call with the OpenAI SDK: only base_url and api_key are Fairlead's")
    with show.sdk() as client:
        answer = show.ask(client).parse()
        show.check("the provider answered", bool(answer.choices[0].message.content), answer.choices[0].message.content)
        stream = client.chat.completions.create(model="chat", messages=MESSAGES, max_tokens=16, stream=True)
        words = [chunk.choices[0].delta.content for chunk in stream if chunk.choices]
        show.check("and streams", len([word for word in words if word]) == 12, f"{len(words)} chunks")


def weighted_split(show: Show) -> None:
    show.scene("Weighted split 70/30, the same session always on the same model")
    with show.sdk() as client, ThreadPoolExecutor(16) as pool:

        def model_of(session: str) -> str:
            return str(show.ask(client, workload="classification", session=session).headers["x-fairlead-model"])

        sessions = [f"session-{number}" for number in range(300)]
        first, again = list(pool.map(model_of, sessions)), list(pool.map(model_of, sessions))
    share = first.count("dev-large") / len(first)
    show.check("about 70 % of 300 sessions on dev-large", 0.62 < share < 0.78, f"{share:.0%}")
    show.check("every session stayed on its model", first == again)


def chain(show: Show) -> None:
    show.scene("OpenAI, then Anthropic, then a local model, within one conversation with tool calls")
    tool: Any = {"type": "function", "function": {"name": "weather", "parameters": WEATHER}}
    conversation: list[Any] = [{"role": "user", "content": "Can I moor in Bergen tonight?"}]
    with show.sdk() as client:
        first = ask_again(client, conversation, tool)
        message = first.parse().choices[0].message
        call = message.tool_calls[0]
        show.check(
            f"{first.headers['x-fairlead-model']} (OpenAI) calls a tool", call.function.name == "weather", call.id
        )
        conversation += [message, {"role": "tool", "tool_call_id": call.id, "content": "gale from the west"}]

        show.stage.arm("primary", fault="500", times=1)
        second = ask_again(client, conversation, tool)
        answer = second.parse().choices[0].message
        show.check(
            "OpenAI fails: dev-small (Anthropic) reads the result and goes on",
            second.headers["x-fairlead-model"] == "dev-small" and bool(answer.content),
        )
        conversation += [answer, {"role": "user", "content": "And tomorrow?"}]

        show.stage.arm("primary", fault="500", times=1)
        show.stage.arm("secondary", fault="529", times=1)
        third = ask_again(client, conversation, tool)
        show.check(
            "both fail: dev-local (Ollama) goes on",
            third.headers["x-fairlead-model"] == "dev-local",
            "the agent is an unmodified OpenAI SDK and saw three answers",
        )
        show.chain_invocation = third.headers["x-fairlead-invocation"]


def ask_again(client: openai.OpenAI, conversation: list[Any], tool: Any) -> Any:
    """One turn of an agent that offers a tool."""
    completions = client.chat.completions.with_raw_response
    return completions.create(model="chat", messages=conversation, tools=[tool], max_tokens=64)


def anthropic_sdk(show: Show) -> None:
    show.scene("The Anthropic SDK, answered by a provider that speaks OpenAI")
    url, token = f"http://{show.stage.address}", TOKENS["ACME_SUPPORT_TOKEN"]
    tool: Any = {"name": "weather", "input_schema": WEATHER}
    with anthropic.Anthropic(base_url=url, api_key=token, max_retries=0) as client:
        raw = client.messages.with_raw_response.create(
            model="dev-large", max_tokens=64, messages=MESSAGES, tools=[tool], system="You are a pilot."
        )
        said = raw.parse()
        use = next((block for block in said.content if block.type == "tool_use"), None)
        show.check(
            "a tool call is a tool_use block", said.stop_reason == "tool_use" and use is not None, use and use.input
        )
        with client.messages.stream(model="dev-large", max_tokens=64, messages=MESSAGES) as stream:
            text = "".join(stream.text_stream)
            usage = stream.get_final_message().usage
        show.check("streams are translated as they come", bool(text), f"{usage.output_tokens} output tokens")


def cache(show: Show) -> None:
    show.scene("The same question again: answered from the cache, and it costs nothing")
    with show.sdk() as client:
        before = spent(show)
        show.ask(client, workload="faq")
        between = spent(show)
        again = show.ask(client, workload="faq")
        after = spent(show)
    show.check("the first call was paid for", between > before, f"{between - before} nano-USD")
    show.check("the second was a hit", again.headers.get("x-fairlead-cache") == "hit")
    show.check("and cost nothing", after == between)


def spent(show: Show) -> int:
    """Nano-USD that the tenant has spent this month."""
    with show.client() as client:
        return next((b.spent.nano_usd for b in client.budgets() if "/tenant-month/" in b.name), 0)


def budget(show: Show) -> None:
    show.scene("A run budget, 32 agents at once: zero overshoot")
    gate = threading.Barrier(32)

    def agent(_: int) -> str:
        tokens = {"input_tokens": 200, "max_output_tokens": 200, "min_output_tokens": 200}
        with show.client() as client:
            gate.wait()
            try:
                with client.invocation(model="chat", run="demo-run", **tokens) as call, call.attempt() as attempt:
                    attempt.used(input=200, output=200)
                return "admitted"
            except BudgetExhausted as refusal:
                return refusal.reason

    with ThreadPoolExecutor(32) as pool:
        outcomes = collections.Counter(pool.map(agent, range(32)))
    after = run_budget(show, "demo-run")
    both = outcomes.keys() == {"admitted", "BUDGET_EXHAUSTED"}
    show.check("some were admitted, the others refused", both, dict(outcomes))
    fits = after.limit.tokens // 400
    show.check("exactly as many as fit", outcomes["admitted"] == fits, f"{fits} x 400 tokens in {after.limit.tokens}")
    within = after.spent.tokens <= after.limit.tokens
    show.check("spent <= limit, nothing left on hold", within and not after.reserved.tokens)


def run_budget(show: Show, run: str) -> budget_service_pb2.Budget:
    """The run's budget instance."""
    with show.client() as client:
        return next(b for b in client.budgets() if b.scope.get("run") == run)


def policy(show: Show) -> None:
    show.scene("Policy is asked before anything happens")
    claim = "a call with secret data is denied"
    with show.sdk() as client:
        try:
            show.ask(client, labels="data=secret")
            show.check(claim, False)
        except openai.PermissionDeniedError as error:
            reason = error.response.headers["x-fairlead-reason"]
            show.check(claim, reason == "POLICY_DENIED", error.body["message"] if isinstance(error.body, dict) else "")
