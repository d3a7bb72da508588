"""What receivers are told, and what they never are."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf import struct_pb2
from google.protobuf.descriptor import FieldDescriptor

from fairlead.notification import chat
from fairlead.notification.document import (
    ARGUMENTS_MAX_BYTES,
    DOCUMENT_MAX_BYTES,
    Occurrence,
    document,
    encoded,
    plain,
    trial,
)
from fairlead.v1 import amount_pb2, approval_service_pb2, audit_record_pb2, gate_service_pb2, run_pb2
from tests.unit.approval.fakes import HOUR, approval, at
from tests.unit.audit.records import T0, admitted, record, settled
from tests.unit.audit.tool_records import completed, decided, ended, voted
from tests.unit.notification.fakes import opened

HASH = b"\x07" * 32


def told(occurrence: Occurrence, link: str | None = None, *, arguments: bool = False) -> Any:
    return json.loads(encoded(document(occurrence, link=link, include_arguments=arguments)))


def waiting(**fields: Any) -> Occurrence:
    one, body = opened()
    one.MergeFrom(approval_service_pb2.Approval(**fields))
    for name in fields.keys() & {"run", "tool"}:
        setattr(body["tool"].inputs, name, fields[name])
    return Occurrence(record(7, "TOOL_PENDING", tenant="acme", agent="support-bot", **body), HASH, one)


def test_an_approval_that_was_opened() -> None:
    made = told(waiting())
    assert (made["type"], made["timestamp"]) == ("approval.opened", "2026-11-18T11:06:47.000000Z")
    data = made["data"]
    assert {name: data[name] for name in ("sequence", "tenant", "agent", "tool", "run", "step", "tier", "rule")} == {
        "sequence": 7,
        "tenant": "acme",
        "agent": "support-bot",
        "tool": "payments.refund",
        "run": "r-1",
        "step": "s-1",
        "tier": "high",
        "rule": "refunds-need-finance",
    }
    assert data["record_hash"] == HASH.hex() and "link" not in data
    assert data["summary"] == (
        "acme/support-bot asks for approval of payments.refund (tier high; 2 of finance; until 2026-11-21 11:06 UTC)"
    )
    people = data["approval"]
    assert people["missing"] == people["require"] == [{"role": "finance", "count": 2}]
    assert (people["state"], people["risk"]) == ("APPROVAL_STATE_PENDING", "TOOL_RISK_HIGH")
    assert people["expire_time"] == "2026-11-21T11:06:40Z" and people["digest"] == "d1" * 32


def test_arguments_are_told_only_when_that_is_asked_for_and_not_when_they_are_long() -> None:
    for text in (
        json.dumps(told(waiting())),
        encoded(document(waiting(), link=None, include_arguments=False)).decode(),
    ):
        for canary in ("20000", "arguments", "canary-in-the-record", "canary-label"):
            assert canary not in text
    included = told(waiting(), arguments=True)["data"]["approval"]
    assert json.loads(included["arguments"])["amount"] == 20000
    long = told(waiting(arguments=b"x" * (ARGUMENTS_MAX_BYTES + 1)), arguments=True)["data"]["approval"]
    assert long["arguments_bytes"] == ARGUMENTS_MAX_BYTES + 1 and "arguments" not in long


def test_a_vote_and_an_end() -> None:
    one = approval(1)
    vote = told(Occurrence(voted(3, "asha", 1), HASH, one))["data"]
    assert vote["summary"] == (
        "asha approved payments.refund of acme/support-bot (missing 1 of finance; lost in the mail)"
    )
    assert (vote["operator"], vote["details"]["vote"]["operator"]) == ("asha", "asha")
    assert vote["details"]["missing"] == [{"role": "finance", "count": 1}]
    end = told(Occurrence(ended(4, "REJECTED", "not ours"), HASH, one))["data"]
    assert end["summary"] == "approval of payments.refund of acme/support-bot: rejected (not ours)"
    assert (end["state"], end["reason"]) == ("rejected", "not ours")


def event(kind: str, **fields: Any) -> Occurrence:
    said: dict[str, Any] = {"approval": approval(1).name, "tool": "payments.refund", "tier": "high"}
    happened = audit_record_pb2.ApprovalEvent(**{**said, **fields})
    return Occurrence(record(5, kind, tenant="acme", agent="support-bot", approval=happened), HASH, approval(1))


def test_an_edit_an_escalation_and_what_it_costs() -> None:
    missing = [approval_service_pb2.ApprovalQuorum(role="cfo", count=1)]
    vote = approval_service_pb2.ApprovalVote(operator="ben", decision=approval_service_pb2.APPROVAL_DECISION_EDIT)
    vote.reason = "half of it"
    edited = told(event("APPROVAL_EDITED", vote=vote, missing=missing))
    assert edited["data"]["summary"] == (
        "ben edited payments.refund of acme/support-bot (missing 1 of cfo; half of it)"
    )
    escalated = told(event("APPROVAL_ESCALATED", tier="top", previous_tier="high", missing=missing))
    assert (escalated["type"], escalated["data"]["tier"]) == ("approval.escalated", "top")
    assert escalated["data"]["summary"] == (
        "approval of payments.refund of acme/support-bot goes to tier top "
        "(nobody of tier high decided in time; missing 1 of cfo)"
    )
    priced = waiting(price=amount_pb2.Amount(nano_usd=2_500_000_000), requested_arguments=b"canary-requested")
    data = told(priced)["data"]
    assert "at most $2.50;" in data["summary"] and data["approval"]["price"] == {"nano_usd": "2500000000"}
    assert "canary-requested" not in json.dumps(told(priced, arguments=True))


def test_a_step_of_a_run_that_an_operator_started() -> None:
    happened = audit_record_pb2.ApprovalEvent(approval=approval(1).name, tool="Offer", run="run_1", step="review")
    asked = approval(1, requested_by_operator="carla", tool="Offer")
    asked.agent = ""
    made = told(Occurrence(record(5, "APPROVAL_OPENED", tenant="acme", approval=happened), HASH, asked))
    assert made["type"] == "approval.opened"
    assert made["data"]["summary"].startswith("acme (operator carla) asks for approval of Offer (tier high")
    assert (made["data"]["run"], made["data"]["step"]) == ("run_1", "review")


def test_runs_and_steps() -> None:
    failure = run_pb2.Failure(code="BAD_INPUT", message="canary: what the worker said", step="parse")
    happened = audit_record_pb2.RunEvent(run="run_1", workflow="loan", state=run_pb2.RUN_STATE_FAILED, failure=failure)
    ended = told(Occurrence(record(5, "RUN_ENDED", tenant="acme", agent="bot", run=happened), HASH))
    assert ended["data"]["summary"] == (
        "run.ended (tenant acme; agent bot; workflow loan; run run_1; state failed; failure BAD_INPUT)"
    )
    assert ended["data"]["details"]["failure"] == {"code": "BAD_INPUT", "step": "parse"}
    step = audit_record_pb2.StepEvent(run="run_1", step="offer", state=run_pb2.STEP_STATE_UNKNOWN, attempt=2)
    unknown = told(Occurrence(record(6, "STEP_UNKNOWN", tenant="acme", step=step), HASH, workflow="loan"))
    assert {name: unknown["data"][name] for name in ("workflow", "run", "step", "state")} == {
        "workflow": "loan", "run": "run_1", "step": "offer", "state": "unknown",
    }  # fmt: skip
    assert "canary" not in json.dumps([ended, unknown])


@pytest.mark.parametrize("one", [admitted(1), settled(2), decided(3, "AUTHORIZED"), completed(4)])
def test_any_other_record_is_told_without_what_was_asked_or_answered(one: audit_record_pb2.AuditRecord) -> None:
    made = told(Occurrence(one, HASH))
    assert made["data"]["tenant"] == "acme" and made["data"]["details"]
    assert "inputs" not in made["data"]["details"] and "digest" not in json.dumps(made)


def test_a_record_of_a_kind_that_this_version_does_not_know() -> None:
    unknown = audit_record_pb2.AuditRecord(sequence=9, time_unix_nanos=T0, tenant="acme")
    unknown.kind = 4711  # type: ignore[assignment]
    made = told(Occurrence(unknown, HASH))
    assert made["type"] == "kind.4711" and made["data"]["summary"] == "kind.4711 (tenant acme)"


def test_no_message_of_the_log_can_tell_bytes_maps_or_free_json() -> None:
    # INVARIANT (N2), over every message that a record may have.
    def fields(message: Any) -> list[FieldDescriptor]:
        seen, left = set(), [message.DESCRIPTOR]
        while left:
            kind = left.pop()
            if kind.full_name not in seen and not kind.full_name.startswith("google."):
                seen.add(kind.full_name)
                left += [field.message_type for field in kind.fields if field.message_type is not None]
        return [field for kind in map(pool.FindMessageTypeByName, seen) for field in kind.fields]

    pool = audit_record_pb2.DESCRIPTOR.pool
    content = [
        field
        for message in (audit_record_pb2.AuditRecord, approval_service_pb2.Approval)
        for field in fields(message)
        if field.type == FieldDescriptor.TYPE_BYTES
        or (field.message_type and field.message_type.GetOptions().map_entry)
    ]
    assert {"arguments", "arguments_digest", "labels", "rejection_metadata"} <= {field.name for field in content}
    filled = audit_record_pb2.ControlChanged(subject="x")
    filled.detail.update({"canary": "canary"})
    assert plain(filled) == {"subject": "x"}
    inputs = audit_record_pb2.ToolInputs(tool="t", arguments=b"canary", labels={"canary": "canary"})
    assert plain(inputs) == {"tool": "t"}
    decision = audit_record_pb2.DecisionInputs(model="m", attributes=struct_pb2.Struct())
    decision.attributes.update({"canary": 1})
    assert plain(decision) == {"model": "m"}


def test_details_that_are_too_large_are_left_out() -> None:
    large = completed(4, reason="x" * DOCUMENT_MAX_BYTES)
    made = told(Occurrence(large, HASH))
    assert "details" not in made["data"] and made["data"]["sequence"] == 4


def test_numbers_are_told_exactly() -> None:
    counted = audit_record_pb2.ToolCompletionRecord(result_bytes=2**53 + 1, result_kept=True)
    counted.outcome = gate_service_pb2.TOOL_OUTCOME_SUCCEEDED
    assert plain(counted) == {
        "result_bytes": "9007199254740993",
        "result_kept": True,
        "outcome": "TOOL_OUTCOME_SUCCEEDED",
    }


def test_links_are_filled_in_quoted_and_left_out_when_they_would_lead_nowhere() -> None:
    link = "https://desk.example/{tenant}/{approval}?run={run}&n={sequence}"
    hostile = told(waiting(run="r/1?x=y&{tenant}"), link)["data"]
    assert hostile["link"] == (
        "https://desk.example/acme/apr_00000000000000000000000000000001?run=r%2F1%3Fx%3Dy%26%7Btenant%7D&n=7"
    )
    assert "link" not in told(Occurrence(settled(2), HASH), link)["data"]
    assert told(Occurrence(settled(2), HASH), "https://desk.example/{event}")["data"]["link"].endswith(
        "/invocation.settled"
    )


def test_a_chat_message_says_who_asks_what_is_missing_and_where_to_go() -> None:
    made = chat.message(document(waiting(), link="https://desk.example/{approval}?a=1&b=2", include_arguments=False))
    text = made["text"]
    for part in (
        "*acme/support-bot asks for approval of payments.refund",
        "tier: `high`",
        "missing: `2 of finance`",
        f"digest: `{'d1' * 32}`",
        "approval: `approvals/apr_",
        "<https://desk.example/apr_00000000000000000000000000000001?a=1&amp;b=2|open>",
    ):
        assert part in text
    assert made["blocks"] == [{"type": "section", "text": {"type": "mrkdwn", "text": text}}]
    assert "20000" not in json.dumps(made)


def test_a_chat_message_does_not_do_what_agents_write() -> None:
    hostile = waiting(
        run="r <!channel> @here [click](http://evil.example) *bold* `code`\nsecond line \u202e",
        expire_time=at(T0 + 72 * HOUR),
    )
    text = chat.message(document(hostile, link=None, include_arguments=False))["text"]
    (line,) = [line for line in text.splitlines() if line.startswith("run: ")]
    assert "<!" not in text and "@here" not in text and "](" not in text and "\u202e" not in text
    assert line.count("`") == 2 and "second line" in line and text.count("*") == 2
    long = chat.message(document(waiting(run="x" * 5000, tool="y" * 5000), link=None, include_arguments=False))
    assert len(long["text"]) <= 3000


def test_a_test_says_that_it_is_one() -> None:
    assert trial("desk", T0)["type"] == "notification.test" and "desk" in trial("desk", T0)["data"]["summary"]
    assert "desk" in chat.message(trial("desk", T0))["text"]
