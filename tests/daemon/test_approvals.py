"""People decide tool calls of the real daemon, on the command line, also across a crash."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from fairlead.client import (
    ApprovalExpired,
    ApprovalRejected,
    InvalidArgument,
    InvalidState,
    NotFound,
    PolicyDenied,
    TicketState,
    ToolOutcome,
)
from fairlead.v1 import approval_service_pb2, approval_service_pb2_grpc, audit_record_pb2

from . import people
from .harness import PROVIDER_KEY, TOKEN, bearer
from .people import client, command, granted, pending, refund, stranger, vote
from .test_tools import daemon_with_people


def test_two_people_agree_with_a_crash_in_between_and_the_call_is_granted_once(tmp_path: Path) -> None:
    with daemon_with_people(tmp_path) as daemon:
        with client(daemon) as agent:
            asked = pending(refund(agent, "refund/1"))
            # Asking again is asking for the same.
            assert pending(refund(agent, "refund/1")).ticket == asked.ticket
        first = vote(daemon, "asha", "approve", asked.approval)
        assert (first["state"], first["missing"]) == ("APPROVAL_STATE_PENDING", [{"role": "finance", "count": 1}])
        # People see what the call will be made with, not what was asked for.
        assert json.loads(first["arguments"]) == {"amount": 500, "card": "[redacted]"}
        assert json.loads(first["requested_arguments"])["amount"] == 1200
        daemon.kill()
        daemon.start()
        # The same person twice is one person.
        again = command(daemon, "approvals", "approve", asked.approval, "--reason", "again", token=people.ASHA_TOKEN)
        assert again.returncode == 1 and "voted already" in again.stderr
        assert vote(daemon, "ben", "approve", asked.approval)["state"] == "APPROVAL_STATE_APPROVED"
        with client(daemon) as agent:
            grant = granted(refund(agent, "refund/1", ticket=asked.ticket))
            assert grant.arguments == {"amount": 500, "card": "[redacted]"}
            assert agent.get_ticket(asked.ticket).state is TicketState.CONSUMED
            with pytest.raises(InvalidState):
                refund(agent, "refund/1", ticket=asked.ticket)
            agent.complete_tool(grant.grant, ToolOutcome.SUCCEEDED, {"refund": "r-1"})
        told = command(daemon, "explain", grant.grant).stdout
        for part in (
            "asked to call tool payments.refund",
            "side effect, high risk",
            "asha (finance) approved",
            "ben (finance, legal) approved",
            "rules changed /amount, /card",
            "with the arguments that people agreed to",
            "it happened",
            "Order: votes in records",
        ):
            assert part in told, told
        assert command(daemon, "explain", asked.approval).stdout == told


def test_arguments_that_differ_are_another_call(tmp_path: Path) -> None:
    with daemon_with_people(tmp_path) as daemon, client(daemon) as agent:
        asked = pending(refund(agent, "refund/1"))
        for who in ("asha", "ben"):
            vote(daemon, who, "approve", asked.approval)
        with pytest.raises(InvalidArgument) as different:
            refund(agent, "refund/1", 1201, ticket=asked.ticket)
        assert [field for field, _ in different.value.violations] == ["arguments"]
        granted(refund(agent, "refund/1", 1200, ticket=asked.ticket))


def test_one_refusal_ends_it_and_the_agent_learns_why_but_not_from_whom(tmp_path: Path) -> None:
    with daemon_with_people(tmp_path) as daemon, client(daemon) as agent:
        asked = pending(refund(agent, "refund/1"))
        vote(daemon, "asha", "approve", asked.approval)
        vote(daemon, "ben", "reject", asked.approval, "not our customer")
        ticket = agent.wait_ticket(asked.ticket, timeout=30)
        assert (ticket.state, ticket.reason) == (TicketState.REJECTED, "not our customer")
        with pytest.raises(ApprovalRejected):
            refund(agent, "refund/1", ticket=asked.ticket)
        over = command(daemon, "approvals", "approve", asked.approval, "--reason", "late", token=people.ASHA_TOKEN)
        assert over.returncode == 1 and "rejected" in over.stderr


def test_what_nobody_decides_in_time_does_not_happen(tmp_path: Path) -> None:
    with daemon_with_people(tmp_path) as daemon, client(daemon) as agent:
        asked = pending(agent.authorize_tool("mail.soon", {}, idempotency_key="m-1", session="s-1"))
        assert agent.wait_ticket(asked.ticket, timeout=30).state is TicketState.EXPIRED
        with pytest.raises(ApprovalExpired):
            agent.authorize_tool("mail.soon", {}, idempotency_key="m-2", session="s-1", wait=30)
        late = command(daemon, "approvals", "approve", asked.approval, "--reason", "late", token=people.BEN_TOKEN)
        assert late.returncode == 1 and "expired" in late.stderr


def test_a_waiting_agent_goes_on_as_soon_as_people_have_decided(tmp_path: Path) -> None:
    made: list[dict[str, Any]] = []

    def pay(arguments: dict[str, Any]) -> str:
        made.append(arguments)
        return "r-1"

    with daemon_with_people(tmp_path) as daemon, client(daemon) as agent, ThreadPoolExecutor(1) as threads:

        def call(key: str) -> Any:
            arguments = {"amount": 1200, "card": "canary-card-4711"}
            return agent.call_tool("payments.refund", arguments, pay, idempotency_key=key, wait=60)

        asked = pending(refund(agent, "refund/1"))
        waiting = threads.submit(call, "refund/1")
        vote(daemon, "asha", "approve", asked.approval)
        assert not waiting.done()
        vote(daemon, "ben", "approve", asked.approval)
        assert waiting.result(30) == call("refund/1") == "r-1"
        assert made == [{"amount": 500, "card": "[redacted]"}]
        refused = pending(refund(agent, "refund/2"))
        waiting = threads.submit(call, "refund/2")
        vote(daemon, "asha", "reject", refused.approval, "not ours")
        with pytest.raises(ApprovalRejected, match="not ours"):
            waiting.result(30)


def test_a_vote_needs_a_token_with_a_role_that_is_asked_for(tmp_path: Path) -> None:
    with daemon_with_people(tmp_path) as daemon, client(daemon) as agent:
        asked = pending(refund(agent, "refund/1"))
        for token in ("", people.CARLA_TOKEN, "guess", TOKEN):
            done = command(daemon, "approvals", "approve", asked.approval, "--reason", "me", token=token)
            assert done.returncode == 1, done.stdout
        other_digest = command(
            daemon, "approvals", "approve", asked.approval, "--reason", "me", "--digest", "00" * 32,
            token=people.ASHA_TOKEN,
        )  # fmt: skip
        assert other_digest.returncode == 2 and "digest" in other_digest.stderr
        assert agent.get_ticket(asked.ticket).state is TicketState.PENDING


def test_an_agent_cannot_decide_and_others_do_not_see_its_ticket(tmp_path: Path) -> None:
    with daemon_with_people(tmp_path) as daemon, client(daemon) as agent:
        asked = pending(refund(agent, "refund/1"))
        stub: Any = approval_service_pb2_grpc.ApprovalServiceStub(daemon.agent())
        decide = approval_service_pb2.DecideApprovalRequest(
            request_id="x", name=asked.approval, decision=approval_service_pb2.APPROVAL_DECISION_APPROVE, reason="me"
        )
        # The agent is known, and the method is not there; a person's token is nobody's on this endpoint.
        for token, code in (
            (TOKEN, grpc.StatusCode.UNIMPLEMENTED),
            (people.ASHA_TOKEN, grpc.StatusCode.UNAUTHENTICATED),
        ):
            with pytest.raises(grpc.RpcError) as refused:
                stub.DecideApproval(decide, metadata=bearer(token), timeout=10)
            assert refused.value.code() is code
        with stranger(daemon) as other, client(daemon, PROVIDER_KEY) as colleague:
            for somebody in (other, colleague):
                with pytest.raises(NotFound):
                    somebody.get_ticket(asked.ticket)
                with pytest.raises(NotFound):
                    somebody.wait_ticket(asked.ticket, timeout=1)


def test_people_edit_across_a_crash_and_the_agent_makes_the_call_that_they_agreed_to(tmp_path: Path) -> None:
    made: list[dict[str, Any]] = []
    with daemon_with_people(tmp_path) as daemon:
        with client(daemon) as agent:
            asked = pending(refund(agent, "refund/1"))
        vote(daemon, "asha", "approve", asked.approval)
        edit = ("approvals", "edit", asked.approval, "--reason", "half", "--set", "/amount=250.50", "--json")
        done = command(daemon, *edit, token=people.BEN_TOKEN)
        assert done.returncode == 0, done.stderr
        edited = json.loads(done.stdout)
        assert edited["missing"] == [{"role": "finance", "count": 2}], "votes begin anew"
        daemon.kill()
        daemon.start()
        blind = command(daemon, "approvals", "approve", asked.approval, "--reason", "x", token=people.ASHA_TOKEN)
        assert blind.returncode == 2 and "ben has edited it" in blind.stderr
        seen = ("approvals", "approve", asked.approval, "--reason", "ok", "--digest", edited["digest"])
        for token in (people.ASHA_TOKEN, people.BEN_TOKEN):
            assert command(daemon, *seen, token=token).returncode == 0
        with client(daemon) as agent:
            grant = granted(refund(agent, "refund/1", ticket=asked.ticket))
            assert (grant.arguments, grant.differs) == ({"amount": 250.50, "card": "[redacted]"}, True)
            made.append(grant.arguments)
            agent.complete_tool(grant.grant, ToolOutcome.SUCCEEDED)
        told = command(daemon, "explain", asked.approval).stdout
        assert "ben (finance, legal) edited" in told and "votes begin anew" in told


def test_an_edit_that_rules_deny_changes_nothing(tmp_path: Path) -> None:
    with daemon_with_people(tmp_path) as daemon, client(daemon) as agent:
        asked = pending(refund(agent, "refund/1"))
        wrong = ("approvals", "edit", asked.approval, "--reason", "x", "--set", "/amount=many")
        done = command(daemon, *wrong, token=people.ASHA_TOKEN)
        assert done.returncode == 2 and "edited_arguments/amount" in done.stderr
        shown = json.loads(command(daemon, "approvals", "show", asked.approval, "--json").stdout)
        assert json.loads(shown["arguments"])["amount"] == 500 and "votes" not in shown


def test_a_stream_of_approvals_goes_on_after_a_restart(tmp_path: Path) -> None:
    with daemon_with_people(tmp_path) as daemon:
        with client(daemon) as agent:
            first = pending(refund(agent, "refund/1"))
            stream: Any = approval_service_pb2_grpc.ApprovalServiceStub(daemon.operator()).WatchApprovals(
                approval_service_pb2.WatchApprovalsRequest(), timeout=30
            )
            opened, complete = next(stream), next(stream)
            assert opened.initial and opened.approval.name == first.approval
            second = pending(refund(agent, "refund/2"))
            assert next(stream).approval.name == second.approval
            stream.cancel()
        daemon.kill()
        daemon.start()
        vote(daemon, "asha", "reject", first.approval)
        again: Any = approval_service_pb2_grpc.ApprovalServiceStub(daemon.operator()).WatchApprovals(
            approval_service_pb2.WatchApprovalsRequest(resume_token=complete.resume_token), timeout=30
        )
        names = {first.approval: None, second.approval: None}
        while names[first.approval] != approval_service_pb2.APPROVAL_STATE_REJECTED:
            response = next(again)
            names[response.approval.name] = response.approval.state
        assert names[second.approval] == approval_service_pb2.APPROVAL_STATE_PENDING
        again.cancel()


def test_what_a_tier_does_not_decide_goes_to_another_and_the_agent_waits_with_the_same_ticket(tmp_path: Path) -> None:
    passed_on = people.CONFIG.replace(
        "{name: soon, require: [{role: legal}], expiresAfter: 1s}",
        "{name: soon, require: [{role: legal}], expiresAfter: 1s, onExpire: {escalateTo: high}}",
    )
    with daemon_with_people(tmp_path, passed_on) as daemon, client(daemon) as agent:
        asked = pending(agent.authorize_tool("mail.soon", {}, idempotency_key="m-1", session="s-1"))
        people.wait_for_record(daemon, audit_record_pb2.EVENT_KIND_APPROVAL_ESCALATED)
        for who in ("asha", "ben"):
            vote(daemon, who, "approve", asked.approval)
        granted(agent.authorize_tool("mail.soon", {}, idempotency_key="m-1", session="s-1", ticket=asked.ticket))
        round_trip = passed_on.replace("expiresAfter: 72h", "onExpire: {escalateTo: soon}")
        daemon.config.write_text(round_trip)
        refused = command(daemon, "config", "apply", str(daemon.config))
        assert refused.returncode != 0 and "escalates in a circle" in refused.stderr + refused.stdout


def test_a_policy_that_became_stricter_counts_when_the_agent_comes_back(tmp_path: Path) -> None:
    with daemon_with_people(tmp_path) as daemon, client(daemon) as agent:
        asked = pending(refund(agent, "refund/1"))
        for who in ("asha", "ben"):
            vote(daemon, who, "approve", asked.approval)
        stricter = people.CONFIG.replace("match: {tool: mail.night}", 'match: {tool: "payments.*"}')
        daemon.config.write_text(stricter)
        assert command(daemon, "config", "apply", str(daemon.config)).returncode == 0
        with pytest.raises(PolicyDenied) as denied:
            refund(agent, "refund/1", ticket=asked.ticket)
        assert denied.value.metadata["rule"] == "no-night-mail"


def test_arguments_and_tokens_are_in_no_log_line_and_not_in_the_audit_log(tmp_path: Path) -> None:
    with daemon_with_people(tmp_path) as daemon:
        with client(daemon) as agent:
            asked = pending(refund(agent, "refund/1"))
            for who in ("asha", "ben"):
                vote(daemon, who, "approve", asked.approval)
            grant = granted(refund(agent, "refund/1", ticket=asked.ticket))
            agent.complete_tool(grant.grant, ToolOutcome.SUCCEEDED, {"secret": "canary-result-4711"})
        exported = command(daemon, "audit", "export").stdout
        verified = command(daemon, "audit", "verify")
        daemon.terminate()
        assert verified.returncode == 0 and "refund/1" in exported
        for text in (daemon.log_text(), exported):
            for canary in ("canary-card-4711", "canary-result-4711", TOKEN, *people.TOKENS.values()):
                assert canary not in text
