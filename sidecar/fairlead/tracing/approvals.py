"""What people were asked → a span, from the question until the first end: agreed, refused, too late or not wanted any
more. Votes are events in it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from opentelemetry.proto.trace.v1 import trace_pb2

from fairlead.exporting.otlp.values import Value
from fairlead.tracing import identity
from fairlead.tracing.calls import common
from fairlead.tracing.identity import Context
from fairlead.tracing.spans import event, span
from fairlead.v1 import approval_service_pb2
from fairlead.v1 import audit_record_pb2 as pb

_TOLD = {
    pb.EVENT_KIND_APPROVAL_VOTED: "voted",
    pb.EVENT_KIND_APPROVAL_EDITED: "edited",
    pb.EVENT_KIND_APPROVAL_ESCALATED: "escalated",
}
_AGREED = frozenset(
    (approval_service_pb2.APPROVAL_STATE_APPROVED, approval_service_pb2.APPROVAL_STATE_CONSUMED),
)


def own_context(approval: str, about: Context) -> Context:
    """The span of an approval that is about another span."""
    return Context(about.trace_id, identity.span_id("approval", approval))


def span_of_approval(records: Sequence[pb.AuditRecord], about: Context) -> trace_pb2.Span:
    """The span of an approval that ended with the last of its records. Why people said what they did is not in it."""
    first, last = records[0], records[-1]
    approval = last.approval
    state = approval_service_pb2.ApprovalState.Name(approval.state).removeprefix("APPROVAL_STATE_").lower()
    facts: dict[str, Value] = {
        **common(last),
        "fairlead.approval": approval.approval,
        "fairlead.approval.state": state,
        "fairlead.approval.tier": approval.tier,
        "fairlead.decision.rule": approval.rule,
        "fairlead.run": approval.run,
        "fairlead.step": approval.step,
    }
    return span(
        f"approval {approval.tier}".strip(),
        own_context(approval.approval, about),
        about.span_id,
        first.time_unix_nanos,
        last.time_unix_nanos,
        facts,
        error="" if approval.state in _AGREED else state,
        events=_events(records),
    )


def _events(records: Sequence[pb.AuditRecord]) -> Iterator[trace_pb2.Span.Event]:
    for record in records:
        told = _TOLD.get(record.kind)
        if told is None:
            continue
        vote = record.approval.vote
        said = approval_service_pb2.ApprovalDecision.Name(vote.decision).removeprefix("APPROVAL_DECISION_").lower()
        facts: dict[str, Value] = {
            "fairlead.operator": vote.operator,
            "fairlead.approval.decision": said if vote.operator else "",
            "fairlead.approval.tier": record.approval.tier,
        }
        yield event(told, record.time_unix_nanos, facts)
