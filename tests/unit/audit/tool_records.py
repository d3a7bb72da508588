"""Records of tool calls and of their approvals, and a store with one of them."""

from __future__ import annotations

from typing import Any

from fairlead.internal.v1 import state_pb2
from fairlead.store import Family, keys
from fairlead.v1 import approval_service_pb2, audit_record_pb2, decision_pb2, gate_service_pb2, tool_pb2
from tests.unit.audit.fakes import FakeStore
from tests.unit.audit.records import T0, VERSION, chain, record, started

CALL = "grt_" + "0197a0b0c0d07000800000000000000c"
APPROVAL = "apr_" + "0197a0b0c0d07000800000000000000d"
OPEN = audit_record_pb2.TOOL_CALL_STATE_OPEN
SUCCEEDED = audit_record_pb2.TOOL_CALL_STATE_SUCCEEDED
PENDING = audit_record_pb2.TOOL_CALL_STATE_PENDING
UNKNOWN = audit_record_pb2.TOOL_CALL_STATE_UNKNOWN


def decided(sequence: int, kind: str, inputs: dict[str, Any] | None = None, **fields: Any) -> Any:
    asked = audit_record_pb2.ToolInputs(
        tool="payments.refund",
        arguments_digest=bytes.fromhex("ab" * 32),
        arguments_bytes=45,
        claimed_effect=tool_pb2.TOOL_EFFECT_READ,
        effect=tool_pb2.TOOL_EFFECT_SIDE_EFFECT,
        risk=tool_pb2.TOOL_RISK_HIGH,
        idempotency_key="refund/4711",
        session="s-1",
        run="r-1",
    )
    asked.MergeFrom(audit_record_pb2.ToolInputs(**inputs or {}))
    decision = decision_pb2.Decision(
        config_version=VERSION, rules=["ask", "cap"], deciding_rule="ask", reason="finance has to agree."
    )
    body = audit_record_pb2.ToolDecisionRecord(inputs=asked, decision=decision, **fields)
    return record(sequence, f"TOOL_{kind}", tenant="acme", agent="support-bot", invocation=CALL, tool=body)


def voted(sequence: int, who: str, missing: int) -> Any:
    vote = approval_service_pb2.ApprovalVote(
        operator=who,
        roles=["finance"],
        decision=approval_service_pb2.APPROVAL_DECISION_APPROVE,
        reason="lost in the mail",
    )
    state = approval_service_pb2.APPROVAL_STATE_PENDING if missing else approval_service_pb2.APPROVAL_STATE_APPROVED
    left = [approval_service_pb2.ApprovalQuorum(role="finance", count=missing)] if missing else []
    event = audit_record_pb2.ApprovalEvent(
        approval=f"approvals/{APPROVAL}", tool="payments.refund", tier="high", vote=vote, state=state, missing=left
    )
    return record(sequence, "APPROVAL_VOTED", tenant="acme", operator=who, invocation=CALL, approval=event)


def edited(sequence: int, who: str) -> Any:
    vote = approval_service_pb2.ApprovalVote(
        operator=who,
        roles=["finance"],
        decision=approval_service_pb2.APPROVAL_DECISION_EDIT,
        reason="too much",
    )
    event = audit_record_pb2.ApprovalEvent(
        approval=f"approvals/{APPROVAL}",
        tool="payments.refund",
        vote=vote,
        state=approval_service_pb2.APPROVAL_STATE_PENDING,
        missing=[approval_service_pb2.ApprovalQuorum(role="finance", count=2)],
        previous_digest="a" * 64,
        digest="b" * 64,
    )
    return record(sequence, "APPROVAL_EDITED", tenant="acme", operator=who, invocation=CALL, approval=event)


def ended(sequence: int, state: str, reason: str = "") -> Any:
    event = audit_record_pb2.ApprovalEvent(
        approval=f"approvals/{APPROVAL}", tool="payments.refund", tier="high", reason=reason
    )
    event.state = approval_service_pb2.ApprovalState.Value(f"APPROVAL_STATE_{state}")
    return record(sequence, "APPROVAL_ENDED", tenant="acme", invocation=CALL, approval=event)


def completed(sequence: int, outcome: str = "SUCCEEDED", **fields: Any) -> Any:
    body = audit_record_pb2.ToolCompletionRecord(tool="payments.refund", idempotency_key="refund/4711", **fields)
    body.outcome = gate_service_pb2.ToolOutcome.Value(f"TOOL_OUTCOME_{outcome}")
    return record(sequence, "TOOL_COMPLETED", tenant="acme", agent="support-bot", invocation=CALL, tool_completed=body)


def approved_call() -> list[Any]:
    with_votes = {
        "approval": APPROVAL,
        "approval_state": approval_service_pb2.APPROVAL_STATE_APPROVED,
        "votes": [voted(0, "asha", 1).approval.vote, voted(0, "ben", 0).approval.vote],
        "session_labels": ["read_private", "saw_untrusted"],
    }
    granted = {"expires_at_unix_nanos": T0 + 3_600_000_000_000, "changed": ["/amount"], "added_labels": ["can_egress"]}
    return [
        decided(2, "PENDING", approval=f"approvals/{APPROVAL}", tier="high"),
        voted(3, "asha", 1),
        voted(4, "ben", 0),
        decided(5, "AUTHORIZED", with_votes, granted_digest=bytes.fromhex("cd" * 32), **granted),
        ended(6, "CONSUMED"),
        completed(7, result_bytes=12, result_kept=True, before=OPEN),
    ]


def stored(*, is_open: bool) -> FakeStore:
    store = FakeStore()
    store.append(chain([started(1), *approved_call()]))
    raw, approval = keys.tool_call_id_bytes(CALL), keys.approval_id_bytes(APPROVAL)
    assert raw is not None and approval is not None
    call = state_pb2.ToolCallRecord(
        call=CALL,
        tenant="acme",
        state=OPEN if is_open else SUCCEEDED,
        create_time_unix_nanos=T0,
        sequences=[2, 5, 7],
        approval=APPROVAL,
    )
    family = Family.STATE if is_open else Family.TOOLS
    key = keys.open_tool_call("acme", raw) if is_open else keys.tool_call("acme", raw)
    store.put(family, key, call.SerializeToString())
    people = state_pb2.ApprovalRecord(call=CALL, sequences=[2, 3, 4, 6])
    store.put(Family.APPROVALS, keys.approval(approval), people.SerializeToString())
    return store
