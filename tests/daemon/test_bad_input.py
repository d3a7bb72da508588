"""Bad input gets the documented error with its reason, and changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from fairlead.v1 import (
    approval_service_pb2,
    approval_service_pb2_grpc,
    audit_record_pb2,
    budget_service_pb2,
    budget_service_pb2_grpc,
    config_service_pb2,
    config_service_pb2_grpc,
)

from .calls import Agent, Refused, budgets, events, explained, post, refused
from .harness import CONFIG, OTHER_TOKEN, TOKEN, Daemon, bearer
from .provider import Provider, routed

INVALID = grpc.StatusCode.INVALID_ARGUMENT
SESSIONS = """\
budgets:
  - {name: per-session, scope: [session], limit: {tokens: 1000}, window: {rolling: 1h}}
policies:
  - {name: divides, on: model.call, match: {workload: divide}, when: '10 / int(attributes.zero) > 1', effect: deny}
limits: {budgetInstances: 30000, requestBytes: 1MiB}
"""


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider


@pytest.fixture(scope="module")
def daemon(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    config = routed(provider.url, provider.url, SESSIONS)
    with Daemon(tmp_path_factory.mktemp("bad-input"), config) as daemon:
        yield daemon


@pytest.fixture
def agent(daemon: Daemon) -> Agent:
    return Agent(daemon)


def test_an_unknown_model_has_no_route(agent: Agent) -> None:
    refusal = refused(lambda: agent.admit("unknown-model", model="gpt-17"))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "NO_ROUTE")
    assert "gpt-17" in refusal.message


@pytest.mark.parametrize(
    ("token", "reason"),
    [("", "CREDENTIAL_MISSING"), ("nobody", "CREDENTIAL_INVALID"), (TOKEN + "x", "CREDENTIAL_INVALID")],
)
def test_a_wrong_credential_is_refused_without_being_repeated(daemon: Daemon, token: str, reason: str) -> None:
    refusal = refused(lambda: Agent(daemon, token).admit("no-credential"))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAUTHENTICATED, reason)
    assert not token or token not in f"{refusal}{daemon.log_text()}"


def test_anothers_invocation_and_a_missing_one_look_the_same(daemon: Daemon, agent: Agent) -> None:
    mine = agent.admit("mine").invocation
    other = Agent(daemon, OTHER_TOKEN)
    foreign = refused(lambda: other.settle("foreign", mine))
    missing = refused(lambda: other.settle("missing", "inv_" + "0" * 32))
    assert foreign.reason == missing.reason == "NOT_FOUND"
    assert foreign.code == missing.code == grpc.StatusCode.NOT_FOUND
    assert foreign.message.replace(mine, "") == missing.message.replace("inv_" + "0" * 32, "")
    assert agent.release("mine-release", mine).released.requests == 1


def test_the_agent_endpoint_has_no_operator_services(daemon: Daemon) -> None:
    config: Any = config_service_pb2_grpc.ConfigServiceStub(daemon.agent())
    with pytest.raises(grpc.RpcError) as caught:
        config.GetConfig(config_service_pb2.GetConfigRequest(), metadata=bearer(), timeout=10)
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
    stub: Any = budget_service_pb2_grpc.BudgetServiceStub(daemon.agent())
    with pytest.raises(grpc.RpcError) as caught:
        request = budget_service_pb2.AdjustBudgetRequest(request_id="x", name="tenants/acme/budgets/x/instances/-")
        stub.AdjustBudget(request, metadata=bearer(), timeout=10)
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
    approvals: Any = approval_service_pb2_grpc.ApprovalServiceStub(daemon.agent())
    with pytest.raises(grpc.RpcError) as caught:
        vote = approval_service_pb2.DecideApprovalRequest(request_id="x", name="approvals/apr_" + "0" * 32)
        approvals.DecideApproval(vote, metadata=bearer(), timeout=10)
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_a_ticket_that_is_not_there_is_looked_for_through_the_front(daemon: Daemon) -> None:
    tickets: Any = approval_service_pb2_grpc.ApprovalTicketServiceStub(daemon.agent())
    get = approval_service_pb2.GetTicketRequest(ticket="tkt_" + "0" * 32)
    assert refused(lambda: tickets.GetTicket(get, metadata=bearer(), timeout=10)).reason == "NOT_FOUND"
    wait = approval_service_pb2.WaitTicketRequest(ticket="x")
    assert refused(lambda: tickets.WaitTicket(wait, metadata=bearer(), timeout=10)).fields == ["ticket"]


def test_an_agent_sees_no_budget_of_another_tenant(daemon: Daemon, agent: Agent) -> None:
    agent.release("budget-release", agent.admit("budget-admit", session="private").invocation)
    name = budgets(daemon)["per-session/session=private"].name
    stub: Any = budget_service_pb2_grpc.BudgetServiceStub(daemon.agent())
    request = budget_service_pb2.GetBudgetRequest(name=name)
    assert stub.GetBudget(request, metadata=bearer(), timeout=10).budget.name == name
    refusal = refused(lambda: stub.GetBudget(request, metadata=bearer(OTHER_TOKEN), timeout=10))
    assert refusal.reason == "NOT_FOUND"
    listed = stub.ListBudgets(budget_service_pb2.ListBudgetsRequest(), metadata=bearer(OTHER_TOKEN), timeout=10)
    assert not [budget for budget in listed.budgets if "acme" in budget.name]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"input_tokens": -1}, ["input_tokens"]),
        ({"input_tokens": 10**15}, ["input_tokens"]),
        ({"max_output_tokens": -5, "min_output_tokens": -1}, ["max_output_tokens", "min_output_tokens"]),
        ({"min_quality": 1.5}, ["min_quality"]),
        ({"labels": {"": "x"}}, ["labels"]),
        ({"session": "s" * 10_000}, ["session"]),
    ],
)
def test_every_bad_field_is_named_at_once(agent: Agent, fields: dict[str, Any], named: list[str]) -> None:
    refusal = refused(lambda: agent.admit("bad-fields", **fields))
    assert (refusal.code, refusal.reason) == (INVALID, "INVALID_ARGUMENT")
    assert [field.partition("[")[0] for field in refusal.fields] == named


def test_a_missing_request_id_is_named(agent: Agent) -> None:
    assert refused(lambda: agent.admit("")).fields == ["request_id"]
    assert refused(lambda: agent.admit("x" * 129)).fields == ["request_id"]


def test_negative_usage_and_a_model_outside_the_plan_are_refused(agent: Agent) -> None:
    invocation = agent.admit("negative-usage").invocation
    refusal = refused(lambda: agent.settle("negative", invocation, input=-1))
    assert refusal.reason == "INVALID_ARGUMENT" and refusal.fields == ["attempts[0].usage.input"]
    refusal = refused(lambda: agent.settle("foreign-model", invocation, model="large"))
    assert refusal.reason == "INVALID_ARGUMENT" and refusal.fields == ["attempts[0].model"]
    assert agent.settle("right", invocation).charged.tokens == 30


def test_the_same_request_id_gets_the_first_answer(daemon: Daemon, agent: Agent) -> None:
    first = agent.admit("twice", session="twice")
    assert agent.admit("twice", session="twice") == first
    assert budgets(daemon)["per-session/session=twice"].reserved.requests == 1
    settled = agent.settle("twice-settle", first.invocation)
    assert agent.settle("twice-settle", first.invocation) == settled
    assert agent.admit("twice", session="twice") == first, "also after it was settled"
    assert budgets(daemon)["per-session/session=twice"].spent.tokens == 30


def test_the_same_request_id_with_another_body_is_refused(agent: Agent) -> None:
    first = agent.admit("reused")
    refusal = refused(lambda: agent.admit("reused", input_tokens=11))
    assert (refusal.reason, refusal.fields) == ("INVALID_ARGUMENT", ["request_id"])
    agent.settle("reused-settle", first.invocation)
    refusal = refused(lambda: agent.settle("reused-settle", first.invocation, output=21))
    assert (refusal.reason, refusal.fields) == ("INVALID_ARGUMENT", ["request_id"])


def test_what_has_ended_cannot_end_again(agent: Agent) -> None:
    settled = agent.admit("ends-settled").invocation
    agent.settle("e1", settled)
    twice = refused(lambda: agent.settle("e2", settled))
    released_after = refused(lambda: agent.release("e3", settled))
    assert (twice.reason, twice.code) == ("INVALID_STATE", grpc.StatusCode.FAILED_PRECONDITION)
    assert twice.metadata["state"] == released_after.metadata["state"] == "SETTLED"
    released = agent.admit("ends-released").invocation
    agent.release("e4", released)
    assert refused(lambda: agent.settle("e5", released)).metadata["state"] == "RELEASED"


def test_ten_thousand_sessions_each_have_their_own_budget(daemon: Daemon, agent: Agent) -> None:
    before = budgets(daemon)
    for number in range(10_000):
        agent.release(f"many-r-{number}", agent.admit(f"many-{number}", session=f"many-{number}").invocation)
    after = budgets(daemon)
    assert len(after) - len(before) == 10_000
    assert not any(budget.reserved.tokens for name, budget in after.items() if "=many-" in name)


def test_an_expression_that_fails_denies_and_says_so(agent: Agent) -> None:
    refusal = refused(lambda: agent.admit("divide", workload="divide", attributes={"zero": 0}))
    assert (refusal.reason, refusal.metadata["rule"]) == ("POLICY_DENIED", "divides")
    assert refusal.metadata["cause"] == "expression_failed"
    assert "zero" in refusal.metadata["error"]


@pytest.mark.parametrize(
    ("body", "fragment"),
    [
        (b"not json", "JSON"),
        (b"[1, 2]", "object"),
        (b'{"messages": []}', "model"),
        (b'{"model": 5, "messages": []}', "model"),
        (b'{"model": "chat"}', "messages"),
        (b'{"model": "chat", "messages": [], "max_tokens": -3}', "max_tokens"),
        (b'{"model": "chat", "model": "large", "messages": []}', "model"),
        (b'{"model": "chat", "messages": ' + b"[" * 5000 + b"]" * 5000 + b"}", "deep"),
    ],
)
def test_a_bad_body_is_refused_before_the_provider_sees_it(
    daemon: Daemon, provider: Provider, body: bytes, fragment: str
) -> None:
    before = provider.stats.requests
    status, headers, answer = post(daemon, body)
    assert (status, headers["x-fairlead-reason"]) == (400, "INVALID_ARGUMENT")
    assert fragment in json.loads(answer)["error"]["message"]
    assert provider.stats.requests == before


def test_a_body_of_twenty_megabytes_is_too_large(daemon: Daemon) -> None:
    body = b'{"model": "chat", "messages": [{"role": "user", "content": "' + b"x" * (20 << 20) + b'"}]}'
    status, headers, answer = post(daemon, body)
    assert (status, headers["x-fairlead-reason"]) == (413, "PAYLOAD_TOO_LARGE")
    assert "requestBytes" in json.loads(answer)["error"]["message"]


def test_a_large_grpc_message_is_too_large(agent: Agent) -> None:
    refusal = refused(lambda: agent.admit("too-large", labels={f"l{n}": "x" * 1000 for n in range(3000)}))
    assert (refusal.code, refusal.reason) == (INVALID, "PAYLOAD_TOO_LARGE")


def test_fields_nobody_knows_pass_through_untouched(daemon: Daemon, provider: Provider) -> None:
    # Spaces, digits and escapes as no serializer would write them.
    messages = '[{"role": "user" , "content": "\\u00e9 é", "x_new": {"a": 1.10}}]'
    body = f'{{"model": "chat", "x_future": [1,  null], "messages": {messages}}}'.encode()
    status, headers, answer = post(daemon, body)
    assert status == 200
    assert json.loads(answer)["choices"][0]["logprobs"] is None
    received = provider.body
    assert f'"messages": {messages}'.encode() in received
    assert b'"x_future": [1,  null]' in received
    assert json.loads(received) == {**json.loads(body), "model": "dev-large", "max_tokens": 1000}
    assert explained(daemon, headers["x-fairlead-invocation"]).state == audit_record_pb2.INVOCATION_STATE_SETTLED


def test_an_idempotency_key_returns_the_first_answer_without_paying_twice(daemon: Daemon, provider: Provider) -> None:
    body = {"model": "chat", "messages": [{"role": "user", "content": "once"}]}
    first = post(daemon, body, idempotency_key="once-1")
    requests = provider.stats.requests
    again = post(daemon, body, idempotency_key="once-1")
    assert (again[0], again[2]) == (200, first[2])
    assert again[1]["x-fairlead-invocation"] == first[1]["x-fairlead-invocation"]
    assert provider.stats.requests == requests
    other = post(daemon, {**body, "max_tokens": 3}, idempotency_key="once-1")
    assert (other[0], other[1]["x-fairlead-reason"]) == (400, "INVALID_ARGUMENT")


@pytest.mark.parametrize(
    ("change", "fragment"),
    [
        (("price: {input: 1, output: 2}, ", ""), "price"),
        (("kind: openai-compatible", "kind: teapot"), "kind"),
        (("limit: {usd: 1000}", "limit: {usd: -1}"), "usd"),
        (("limit: {usd: 1000}", "limitt: {usd: 1000}"), "limitt"),
    ],
)
def test_a_configuration_that_cannot_be_right_is_refused_at_load(
    tmp_path: Path, change: tuple[str, str], fragment: str
) -> None:
    daemon = Daemon(tmp_path, CONFIG.replace(*change, 1))
    try:
        assert daemon.run_to_the_end() == 2
        assert fragment in daemon.log_text()
    finally:
        daemon.close()


@pytest.mark.parametrize(
    ("when", "fragment"),
    [
        ("request.inptTokens > 1", "inptTokens"),
        ("attributes.a.all(x, attributes.b.all(y, attributes.c.all(z, x == z)))", "nest"),
        ("(" * 60 + "true" + ")" * 60, "deep"),
        (" && ".join(["labels.a == 'b'"] * 400), "4,096 characters"),
    ],
)
def test_an_expression_that_is_wrong_or_slow_is_refused_at_load(tmp_path: Path, when: str, fragment: str) -> None:
    rule = f"policies: [{{name: bad, on: model.call, effect: deny, when: {json.dumps(when)}}}]\n"
    daemon = Daemon(tmp_path, CONFIG + rule)
    try:
        assert daemon.run_to_the_end() == 2
        assert "policies[0].when" in daemon.log_text()
        assert fragment in daemon.log_text()
    finally:
        daemon.close()


def test_a_refusal_can_be_explained(daemon: Daemon, agent: Agent) -> None:
    refusal: Refused = refused(lambda: agent.admit("explained", model="gpt-18"))
    rejected = events(daemon, audit_record_pb2.EventKind.EVENT_KIND_INVOCATION_REJECTED)
    record = next(record for record in rejected if record.decision.inputs.model == "gpt-18")
    story = explained(daemon, record.invocation)
    assert story.state == audit_record_pb2.INVOCATION_STATE_REJECTED
    assert refusal.reason in "\n".join(story.narrative)
