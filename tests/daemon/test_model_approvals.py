"""Model calls of the real daemon that people have to agree to: by a rule, or because a budget has no room."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import openai
import pytest

from fairlead.client import ApprovalPending, ApprovalRejected, BudgetExhausted, Client, InvalidState, TicketState

from .harness import TIMEOUT_SECONDS, TOKEN, Daemon
from .people import command, vote
from .provider import Provider, routed

MESSAGES: Any = [{"role": "user", "content": "canary-prompt-4711"}]
RULES = """\
operators:
  - {name: asha, token: {fromEnv: TEST_ASHA_TOKEN}, roles: [finance]}
policies:
  - {name: dear-models, on: model.call, match: {model: chat}, when: 'request.session == "asked"',
     effect: {requireApproval: one}}
budgets:
  - {name: run, scope: [run], limit: {usd: 0.03}, window: lifetime, onExceed: {requireApproval: one}}
  - {name: agent, scope: [agent], limit: {usd: 1}, window: lifetime}
approvals: {tiers: [{name: one, require: [{role: finance}]}]}
"""


def connect(daemon: Daemon) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"http://{daemon.endpoints()['agent']}/v1", api_key=TOKEN, max_retries=3)


def client(daemon: Daemon) -> Client:
    return Client(daemon.endpoints()["agent"], token=TOKEN, timeout=TIMEOUT_SECONDS)


def ask(sdk: openai.OpenAI, **headers: str) -> Any:
    extra = {"x-fairlead-session": "asked", **headers}
    return sdk.chat.completions.create(model="chat", messages=MESSAGES, max_tokens=20, extra_headers=extra)


def test_an_sdk_repeats_its_call_once_people_have_agreed_also_across_a_crash(tmp_path: Path) -> None:
    with Provider() as first, Provider() as second, Daemon(tmp_path, routed(first.url, second.url, RULES)) as daemon:
        with connect(daemon) as sdk, pytest.raises(openai.PermissionDeniedError) as waits:
            ask(sdk)
        headers = waits.value.response.headers
        assert headers["x-fairlead-reason"] == "APPROVAL_PENDING" and headers["x-should-retry"] == "false"
        ticket = headers["x-fairlead-ticket"]
        with connect(daemon) as sdk, pytest.raises(openai.PermissionDeniedError) as same:
            ask(sdk)
        assert same.value.response.headers["x-fairlead-ticket"] == ticket, "asked once"
        name = ticket.replace("tkt_", "approvals/apr_")
        shown = json.loads(command(daemon, "approvals", "show", name, "--json").stdout)
        assert (shown["subject"], shown["tool"]) == ("APPROVAL_SUBJECT_MODEL_CALL", "chat")
        document = json.loads(shown["arguments"])
        assert (document["models"], document["max_output_tokens"]) == (["large", "small"], 20)
        assert "canary-prompt-4711" not in shown["arguments"]
        daemon.kill()
        daemon.start()
        vote(daemon, "asha", "approve", name)
        assert first.stats.requests == 0
        with connect(daemon) as sdk:
            answer = ask(sdk, **{"x-fairlead-ticket": ticket})
            assert answer.choices[0].message.content
            assert first.stats.requests == 1
            # It is used up: the same call is a new question.
            with pytest.raises(openai.PermissionDeniedError) as anew:
                ask(sdk)
            assert anew.value.response.headers["x-fairlead-ticket"] != ticket
            with pytest.raises(openai.ConflictError):
                ask(sdk, **{"x-fairlead-ticket": ticket})
        told = command(daemon, "explain", name).stdout
        for part in (
            "asked for model chat",
            "Waits for people",
            "asha (finance) approved",
            "Attempt 1: large",
            "settled",
        ):
            assert part in told, told
        assert command(daemon, "audit", "verify").returncode == 0


def test_a_stream_waits_for_people_too_and_a_refusal_is_final(tmp_path: Path) -> None:
    with Provider() as first, Provider() as second, Daemon(tmp_path, routed(first.url, second.url, RULES)) as daemon:
        body = {"model": "chat", "messages": MESSAGES, "max_tokens": 20}
        with client(daemon) as agent:
            with pytest.raises(ApprovalPending) as waits:
                list(agent.stream_generate(body, session="asked"))
            ticket = waits.value.metadata["ticket"]
            assert waits.value.retry_after and int(waits.value.metadata["price_nano_usd"]) > 0
            vote(daemon, "asha", "approve", waits.value.metadata["approval"])
            assert agent.wait_ticket(ticket, timeout=30).state is TicketState.APPROVED
            parts = list(agent.stream_generate(body, session="asked", ticket=ticket))
            assert parts[-1].HasField("end")
            with pytest.raises(ApprovalPending) as refused:
                agent.generate(body, session="asked")
            vote(daemon, "asha", "reject", refused.value.metadata["approval"], "too dear")
            with pytest.raises(ApprovalRejected) as denied:
                agent.generate(body, session="asked", ticket=refused.value.metadata["ticket"])
            assert denied.value.metadata["reason"] == "too dear"


def test_people_let_a_call_go_over_a_budget_once(tmp_path: Path) -> None:
    with Provider() as first, Provider() as second, Daemon(tmp_path, routed(first.url, second.url, RULES)) as daemon:
        with client(daemon) as agent:
            facts: dict[str, Any] = {
                "model": "large",
                "run": "r-1",
                "input_tokens": 1000,
                "max_output_tokens": 1000,
                "min_output_tokens": 1000,
            }
            with agent.invocation(**facts):
                with pytest.raises(ApprovalPending) as waits, agent.invocation(**facts, request_id="over"):
                    pass
                asked = waits.value.metadata
                assert asked["price_nano_usd"] == "30000000"
                vote(daemon, "asha", "approve", asked["approval"])
                with agent.invocation(**facts, ticket=asked["ticket"], request_id="over") as over:
                    assert over.admission is not None and over.admission.invocation == asked["invocation"]
                    with pytest.raises(InvalidState), agent.invocation(**facts, ticket=asked["ticket"]):
                        pass
                # Another budget stays hard, whatever people may let go over this one.
                with pytest.raises(BudgetExhausted), agent.invocation(**{**facts, "input_tokens": 10**6}):
                    pass
        told = command(daemon, "audit", "tail", "--kind", "budget-overdraft", "--json").stdout
        (overdraft,) = (json.loads(line)["record"] for line in told.splitlines())
        assert asked["approval"] in overdraft["budget"]["reason"]
