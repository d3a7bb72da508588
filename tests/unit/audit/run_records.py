"""Records of one run with all that can happen in one, and a store that has them."""

from __future__ import annotations

from typing import Any

from fairlead.internal.v1 import state_pb2, workflow_pb2
from fairlead.store import Family, keys
from fairlead.v1 import approval_service_pb2, audit_record_pb2, run_pb2
from tests.unit.audit import records, tool_records
from tests.unit.audit.fakes import FakeStore
from tests.unit.audit.records import INVOCATION, T0, chain, record, started, usd
from tests.unit.audit.tool_records import CALL

RUN = "run_0197a0b0c0d07000800000000000000e"
NAME = f"runs/{RUN}"
OTHER_RUN = "run_0197a0b0c0d07000800000000000000f"
APPROVAL = "apr_0197a0b0c0d070008000000000000010"
WORKFLOW_VERSION = "77" * 32


def run(sequence: int, kind: str, state: str = "RUNNING", who: dict[str, str] | None = None, **fields: Any) -> Any:
    event = audit_record_pb2.RunEvent(
        run=RUN,
        workflow="loan-approval",
        workflow_version=WORKFLOW_VERSION,
        state=run_pb2.RunState.Value(f"RUN_STATE_{state}"),
        **fields,
    )
    return record(sequence, f"RUN_{kind}", tenant="acme", run=event, **(who or {"agent": "support-bot"}))


def step(sequence: int, kind: str, name: str = "parse", **fields: Any) -> Any:
    event = audit_record_pb2.StepEvent(run=RUN, step=name, **fields)
    return record(sequence, f"STEP_{kind}", tenant="acme", agent="support-bot", step=event)


def leased(sequence: int, name: str = "parse", attempt: int = 1, worker: str = "w-1", **fields: Any) -> Any:
    given = {"epoch": attempt, "attempt": attempt, "worker": worker, "worker_agent": "doc-bot", **fields}
    return step(sequence, "LEASED", name, **given)


def failure(code: str, message: str = "", at: str = "") -> run_pb2.Failure:
    return run_pb2.Failure(code=code, message=message, step=at)


def approval(sequence: int, kind: str, **fields: Any) -> Any:
    event = audit_record_pb2.ApprovalEvent(
        approval=f"approvals/{APPROVAL}",
        tool="is this loan good?",
        tier="high",
        digest="d1" * 32,
        run=RUN,
        step="review",
    )
    event.MergeFrom(audit_record_pb2.ApprovalEvent(**fields))
    who = {"operator": event.vote.operator} if event.HasField("vote") else {}
    return record(sequence, f"APPROVAL_{kind}", tenant="acme", approval=event, **who)


def vote(who: str) -> approval_service_pb2.ApprovalVote:
    return approval_service_pb2.ApprovalVote(
        operator=who, roles=["finance"], decision=approval_service_pb2.APPROVAL_DECISION_APPROVE, reason="all there"
    )


def admitted(sequence: int) -> Any:
    made = records.admitted(sequence)
    made.decision.inputs.run, made.decision.inputs.step = NAME, "parse"
    return made


def story() -> list[Any]:
    """From the start to the compensation: 2 to 23."""
    document = {"content_digest": bytes.fromhex("ab" * 32), "content_bytes": 20}
    state = approval_service_pb2.APPROVAL_STATE_APPROVED
    return [
        run(2, "STARTED", **document),
        leased(3),
        admitted(4),
        records.settled(5),
        step(6, "RETRIED", attempt=1, failure=failure("LEASE_EXPIRED", "silent"), due_at_unix_nanos=T0 + 7_000_000_000),
        leased(7, attempt=2, worker="w-2"),
        step(8, "SUCCEEDED", spent=usd(0.25), **document),
        step(9, "WAITING", "review", waits_for=f"approvals/{APPROVAL}", due_at_unix_nanos=T0 + 3_600_000_000_000),
        approval(10, "OPENED", rule="loan-approval"),
        approval(11, "VOTED", vote=vote("asha"), state=state),
        step(12, "SUCCEEDED", "review", content_bytes=30),
        approval(13, "ENDED", state=approval_service_pb2.APPROVAL_STATE_CONSUMED),
        leased(14, "offer", worker="m-1", idempotency_key="offer/7"),
        tool_records.decided(15, "AUTHORIZED", {"run": NAME, "step": "offer"}),
        tool_records.completed(16),
        step(17, "UNKNOWN", "offer", attempt=1, failure=failure("LEASE_EXPIRED", "silent")),
        step(18, "RESOLVED", "offer", resolution="happened"),
        step(19, "SUCCEEDED", "offer", content_bytes=2),
        run(
            20,
            "CANCELLING",
            "CANCELLING",
            {"operator": "ben"},
            reason="customer withdrew",
            failure=failure("CANCELLED"),
        ),
        leased(21, "offer", worker="m-2", compensation=True, attempt=2),
        step(22, "COMPENSATED", "offer", compensation=True),
        run(23, "ENDED", "COMPENSATED", {}, failure=failure("CANCELLED", "customer withdrew"), spent=usd(0.2527)),
    ]


def stored() -> FakeStore:
    """The run with its index, its approval, its model call and its tool call."""
    store = FakeStore()
    told = story()
    after = [record(24, "CONFIG_APPLIED", config_applied=audit_record_pb2.ConfigApplied(source="api"))]
    store.append(chain([started(1), *told, *after]))
    raw = keys.run_id_bytes(RUN) or b""
    kept = workflow_pb2.RunRecord(
        run=RUN,
        tenant="acme",
        state=run_pb2.RUN_STATE_COMPENSATED,
        workflow_version=WORKFLOW_VERSION,
        create_time_unix_nanos=T0,
        end_time_unix_nanos=T0 + 23_000_000_000,
    )
    store.put(Family.RUNS, keys.run("acme", raw), kept.SerializeToString())
    for made in told:
        if made.HasField("run") or made.HasField("step"):
            store.put(Family.RUNS, keys.run_event("acme", raw, made.sequence), b"")
    parse = workflow_pb2.StepRecord(step=0, invocations=[INVOCATION])
    store.put(Family.RUNS, keys.step("acme", raw, 0, 0), parse.SerializeToString())
    store.put_invocation(records.ended(sequences=(4, 5)))
    call = state_pb2.ToolCallRecord(call=CALL, tenant="acme", sequences=[15, 16])
    store.put(Family.TOOLS, keys.tool_call("acme", keys.tool_call_id_bytes(CALL) or b""), call.SerializeToString())
    people = state_pb2.ApprovalRecord(
        approval=approval_service_pb2.Approval(name=f"approvals/{APPROVAL}", tenant="acme"), sequences=[10, 11, 13]
    )
    store.put(Family.APPROVALS, keys.approval(keys.approval_id_bytes(APPROVAL) or b""), people.SerializeToString())
    return store
