"""Spans of a log that is in the store: what belongs to what, and what came late, was corrected or is elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opentelemetry.proto.trace.v1 import trace_pb2

from fairlead.audit.model import parse_record
from fairlead.internal.v1 import workflow_pb2
from fairlead.store import Family, keys
from fairlead.tracing import identity, runs
from fairlead.tracing.stories import Stories
from fairlead.tracing.tracing import Tracing
from fairlead.v1 import approval_service_pb2, run_pb2
from fairlead.v1 import audit_record_pb2 as pb
from tests.unit.audit import records, run_records, tool_records
from tests.unit.audit.fakes import FakeStore
from tests.unit.audit.records import INVOCATION, T0, chain, started
from tests.unit.audit.run_records import NAME, RUN

Span = trace_pb2.Span
AGENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
ELSEWHERE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
PARENT = "run_0197a0b0c0d070008000000000000020"


def told(store: FakeStore, upto: int | None = None, again: bool = False) -> list[Span]:
    """The spans of the whole log, record by record or, again, by a life that has seen nothing before the last ones."""
    log = [parse_record(value[32:]) for _, value in sorted(store.families[Family.AUDIT].items())]
    tracing = Tracing(Stories(store))
    return [span for record in log[:upto] for span in (Tracing(Stories(store)) if again else tracing).spans([record])]


def named(spans: Sequence[Span], name: str) -> Span:
    (found,) = [span for span in spans if span.name == name]
    return found


def facts(span: Span) -> dict[str, Any]:
    found = {}
    for pair in span.attributes:
        kind = pair.value.WhichOneof("value")
        assert kind is not None
        found[pair.key] = getattr(pair.value, kind)
    return found


def is_in(span: Span, parent: Span) -> bool:
    return (span.trace_id, span.parent_span_id) == (parent.trace_id, parent.span_id)


def seconds(nanos: int) -> float:
    return (nanos - T0) / 1e9


# Calls ----------------------------------------------------------------------------------------------------------------


def with_call(*made: pb.AuditRecord) -> FakeStore:
    store = FakeStore()
    store.append(chain([started(1), *made]))
    store.put_invocation(records.ended(sequences=[one.sequence for one in made]))
    return store


def test_a_settlement_behind_the_end_is_a_moment_in_the_span_that_was_sent() -> None:
    expired = records.record(
        3,
        "INVOCATION_EXPIRED",
        tenant="acme",
        agent="support-bot",
        invocation=INVOCATION,
        hold_ended=pb.HoldEnded(charged=records.usd(0.0125)),
    )
    store = with_call(records.admitted(2), expired, records.settled(9, late=True))
    before, after = told(store, upto=3), told(store)
    assert after[: len(before)] == before, "an ended span does not change"
    (late,) = after[len(before) :]
    chat = named(before, "chat chat")
    assert facts(chat)["error.type"] == "expired" and seconds(chat.end_time_unix_nano) == 3
    assert late.name == "settle late" and is_in(late, chat) and late.span_id != chat.span_id
    assert late.start_time_unix_nano == late.end_time_unix_nano == T0 + 9_000_000_000
    assert facts(late)["fairlead.late"] is True and facts(late)["gen_ai.usage.input_tokens"] == 300
    assert facts(late)["fairlead.charged.nano_usd"] == 2_700_000
    assert "error.type" not in facts(late)


def test_a_corrected_outcome_is_a_moment_in_the_span_that_was_sent() -> None:
    store = tool_records.stored(is_open=False)
    first = [parse_record(value[32:]) for _, value in sorted(store.families[Family.AUDIT].items())][:-1]
    unknown = tool_records.completed(7, "UNKNOWN", before=tool_records.OPEN, reason="nobody reported it")
    right = tool_records.completed(8, "SUCCEEDED", before=tool_records.UNKNOWN)
    store.append(chain([*first, unknown, right]))
    _index_call(store, [2, 5, 7, 8])
    spans = told(store)
    call, moment = named(spans, "execute_tool payments.refund"), named(spans, "outcome corrected")
    assert facts(call)["fairlead.tool.outcome"] == "unknown" and facts(call)["error.type"] == "unknown"
    assert is_in(moment, call) and facts(moment)["fairlead.tool.outcome"] == "succeeded"
    assert (seconds(moment.start_time_unix_nano), seconds(moment.end_time_unix_nano)) == (8, 8)
    # A second correction is another moment.
    store.append(
        chain([*first, unknown, right, tool_records.completed(9, "FAILED", before=tool_records.SUCCEEDED)])[-1:]
    )
    _index_call(store, [2, 5, 7, 8, 9])
    corrections = [span for span in told(store) if span.name == "outcome corrected"]
    assert [facts(span)["fairlead.tool.outcome"] for span in corrections] == ["succeeded", "failed"]
    assert len({span.span_id for span in corrections}) == 2


def _index_call(store: FakeStore, sequences: Sequence[int]) -> None:
    key = keys.tool_call("acme", keys.tool_call_id_bytes(tool_records.CALL) or b"")
    call = tool_records.state_pb2.ToolCallRecord.FromString(store.get(Family.TOOLS, key) or b"")
    del call.sequences[:]
    call.sequences.extend(sequences)
    store.put(Family.TOOLS, key, call.SerializeToString())


def test_an_approval_lies_in_the_tool_call_that_asked_for_it() -> None:
    spans = told(tool_records.stored(is_open=False))
    call, approval = named(spans, "execute_tool payments.refund"), named(spans, "approval high")
    assert is_in(approval, call) and call.start_time_unix_nano == approval.start_time_unix_nano
    assert [event.name for event in approval.events] == ["voted", "voted"]
    assert facts(approval)["fairlead.approval.state"] == "consumed" and approval.status.code == 0
    assert "lost in the mail" not in repr(spans)


# Runs -----------------------------------------------------------------------------------------------------------------


def put_run(store: FakeStore, name: str = RUN, **more: Any) -> None:
    """Changes what the store has of a run, or adds one."""
    key = keys.run("acme", keys.run_id_bytes(name) or b"")
    known = store.get(Family.RUNS, key)
    run = workflow_pb2.RunRecord.FromString(known) if known else workflow_pb2.RunRecord(run=name, tenant="acme")
    run.MergeFrom(workflow_pb2.RunRecord(**more))
    store.put(Family.RUNS, key, run.SerializeToString())


def whole_run() -> FakeStore:
    """The run, with the states and epochs of its steps as the engine tells them."""
    store, log, epochs = run_records.stored(), [started(1), *run_records.story()], dict[str, int]()
    for record in log:
        if record.kind == pb.EVENT_KIND_STEP_LEASED:
            epochs[record.step.step] = record.step.epoch
        elif record.HasField("step") and record.kind != pb.EVENT_KIND_STEP_RESOLVED:
            record.step.epoch = epochs.get(record.step.step, 0)
        if record.kind == pb.EVENT_KIND_STEP_SUCCEEDED:
            record.step.state = run_pb2.STEP_STATE_SUCCEEDED
    store.append(chain(log))
    return store


def test_a_run_has_all_that_happened_in_it_also_for_a_life_that_saw_only_its_end() -> None:
    store = whole_run()
    spans = told(store)
    run = named(spans, "invoke_workflow loan-approval")
    assert run.parent_span_id == b"" and run.trace_id == identity.trace_id(RUN)
    assert {span.trace_id for span in spans} == {run.trace_id}
    steps = [span for span in spans if span.name.startswith("step ")]
    assert [span.name for span in steps] == ["step parse", "step review", "step offer"]
    assert all(is_in(span, run) for span in steps)
    first, second = (span for span in spans if span.name == "attempt parse")
    assert is_in(first, steps[0]) and is_in(second, steps[0])
    assert [(seconds(one.start_time_unix_nano), seconds(one.end_time_unix_nano)) for one in (first, second)] == [
        (3, 6),
        (7, 8),
    ]
    assert facts(first)["error.type"] == "LEASE_EXPIRED" and second.status.code == 0
    assert (seconds(steps[0].start_time_unix_nano), seconds(steps[0].end_time_unix_nano)) == (3, 8)
    # The approval that the run waited for is in its step, with its vote.
    approval = named(spans, "approval high")
    assert is_in(approval, steps[1]) and [event.name for event in approval.events] == ["voted"]
    assert (seconds(approval.start_time_unix_nano), seconds(approval.end_time_unix_nano)) == (10, 13)
    assert facts(approval)["fairlead.run"] == RUN and facts(approval)["fairlead.step"] == "review"
    assert is_in(named(spans, "chat chat"), steps[0])
    assert is_in(named(spans, "execute_tool payments.refund"), steps[2])
    # People said what became of the unknown attempt: that is no other one, and no change of the one that was sent.
    unknown = named(spans, "attempt offer")
    assert (seconds(unknown.end_time_unix_nano), facts(unknown)["error.type"]) == (17, "LEASE_EXPIRED")
    assert seconds(steps[2].end_time_unix_nano) == 19 and len({span.span_id for span in spans}) == len(spans)
    undone = named(spans, "compensate offer")
    assert is_in(undone, steps[2]) and facts(undone)["fairlead.compensation"] is True
    assert facts(run)["error.type"] == "CANCELLED" and facts(run)["fairlead.run.state"] == "compensated"
    # What was remembered before a restart is found in the log: the same spans, wherever it goes on.
    assert told(store, again=True) == spans
    log = [parse_record(value[32:]) for _, value in sorted(store.families[Family.AUDIT].items())]
    for first in range(1, len(log)):
        rest = Tracing(Stories(store)).spans(log[first:])
        assert rest == spans[len(spans) - len(rest) :], first


def test_a_child_run_is_in_the_step_that_started_it_and_in_its_trace() -> None:
    store = run_records.stored()
    put_run(store, parent=PARENT, parent_step="fan-out", root=PARENT)
    put_run(store, PARENT, root=PARENT)
    spans = told(store)
    run = named(spans, "invoke_workflow loan-approval")
    assert run.trace_id == identity.trace_id(PARENT) and run.parent_span_id == runs.step_span(PARENT, "fan-out")
    assert {span.trace_id for span in spans} == {run.trace_id}
    # With the agent's trace, which the child has from its parent, it stays in that step.
    put_run(store, traceparent=AGENT)
    run = named(told(store), "invoke_workflow loan-approval")
    assert run.trace_id.hex() == AGENT[3:35] and run.parent_span_id == runs.step_span(PARENT, "fan-out")


def test_a_rerun_has_a_link_to_the_run_that_it_repeats() -> None:
    store = run_records.stored()
    put_run(store, rerun_of=PARENT)
    put_run(store, PARENT, root=PARENT, traceparent=ELSEWHERE)
    (link,) = named(told(store), "invoke_workflow loan-approval").links
    assert link.trace_id.hex() == ELSEWHERE[3:35] and link.span_id == identity.span_id("run", PARENT)
    # One that retention has removed is no link.
    store.put(Family.RUNS, keys.run("acme", keys.run_id_bytes(PARENT) or b""), None)
    assert not named(told(store), "invoke_workflow loan-approval").links


def test_a_call_with_a_span_of_its_agent_is_in_that_trace_with_a_link_to_the_step() -> None:
    def store_of(call_trace: str, run_trace: str) -> FakeStore:
        made = records.admitted(2)
        made.decision.inputs.run, made.decision.inputs.step, made.traceparent = NAME, "parse", call_trace
        store = with_call(made, records.settled(3))
        put_run(store, RUN, root=RUN, traceparent=run_trace)
        return store

    step = runs.step_span(RUN, "parse")
    # In another trace than the run.
    chat = named(told(store_of(ELSEWHERE, AGENT)), "chat chat")
    assert (chat.trace_id.hex(), chat.parent_span_id.hex()) == (ELSEWHERE[3:35], ELSEWHERE[36:52])
    (link,) = chat.links
    assert (link.trace_id.hex(), link.span_id) == (AGENT[3:35], step)
    # In the run's trace, but with a span of its agent around it.
    between = AGENT[:36] + "1111111111111111-01"
    chat = named(told(store_of(between, AGENT)), "chat chat")
    assert chat.parent_span_id.hex() == "1111111111111111" and chat.links[0].span_id == step
    # Nobody made a span in between: it is in the step itself.
    for trace in (AGENT, ""):
        chat = named(told(store_of(trace, AGENT)), "chat chat")
        assert (chat.trace_id.hex(), chat.parent_span_id) == (AGENT[3:35], step) and not chat.links
    # A run that is not known is nobody's step.
    chat = named(told(with_call(_in_unknown_run(), records.settled(3))), "chat chat")
    assert chat.parent_span_id == b"" and chat.trace_id == identity.trace_id(INVOCATION)


def _in_unknown_run() -> pb.AuditRecord:
    made = records.admitted(2)
    made.decision.inputs.run, made.decision.inputs.step = NAME, "parse"
    return made


def test_an_approval_that_nobody_gave_ends_its_span_with_an_error_and_what_comes_behind_is_not_another() -> None:
    state = approval_service_pb2.APPROVAL_STATE_EXPIRED
    made = [run_records.approval(2, "OPENED"), run_records.approval(3, "ENDED", state=state)]
    again = run_records.approval(4, "ENDED", state=approval_service_pb2.APPROVAL_STATE_WITHDRAWN)
    store = FakeStore()
    store.append(chain([started(1), *made, again]))
    put_run(store, RUN, root=RUN)
    people = tool_records.state_pb2.ApprovalRecord(
        approval=approval_service_pb2.Approval(name=f"approvals/{run_records.APPROVAL}", tenant="acme"),
        sequences=[2, 3, 4],
    )
    key = keys.approval(keys.approval_id_bytes(run_records.APPROVAL) or b"")
    store.put(Family.APPROVALS, key, people.SerializeToString())
    (span,) = told(store)
    assert span.name == "approval high" and facts(span)["error.type"] == "expired"
    assert span.parent_span_id == runs.step_span(RUN, "review") and not span.events
    # Its run is gone: nothing can be told.
    store.put(Family.RUNS, keys.run("acme", keys.run_id_bytes(RUN) or b""), None)
    assert told(store) == []
