"""Model calls and tool calls → spans. Pure.

| span | from | to |
|---|---|---|
| `chat MODEL` | the call is admitted, or people are asked | it is settled, released, expired or refused |
| `decide`, in it | | a moment: the decision and its rules |
| `attempt MODEL`, in it | its delay after the admission or the attempt before | as long as its latency |
| `execute_tool TOOL` | the call is granted, or people are asked | its outcome is reported, or it is refused |

Tokens are on `chat`, which is what the conventions call an inference; attempts have theirs under names of Fairlead, so
that nobody counts them twice. What agents and models said is in no span, whatever `audit.content` says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from opentelemetry.proto.trace.v1 import trace_pb2

from fairlead.exporting.otlp.genai import input_tokens, output_tokens, usage_facts
from fairlead.exporting.otlp.values import Value
from fairlead.tracing import identity
from fairlead.tracing.identity import Context
from fairlead.tracing.spans import CLIENT, span
from fairlead.v1 import approval_service_pb2, decision_pb2, gate_service_pb2
from fairlead.v1 import audit_record_pb2 as pb

_ENDED = frozenset(
    (
        pb.EVENT_KIND_INVOCATION_REJECTED,
        pb.EVENT_KIND_INVOCATION_SETTLED,
        pb.EVENT_KIND_INVOCATION_RELEASED,
        pb.EVENT_KIND_INVOCATION_EXPIRED,
        pb.EVENT_KIND_TOOL_REJECTED,
        pb.EVENT_KIND_TOOL_COMPLETED,
    )
)
# An approval that ends so is the end of its call: nobody may come back with it.
_REFUSED = frozenset(
    (
        approval_service_pb2.APPROVAL_STATE_REJECTED,
        approval_service_pb2.APPROVAL_STATE_EXPIRED,
        approval_service_pb2.APPROVAL_STATE_WITHDRAWN,
    )
)


def is_end(record: pb.AuditRecord) -> bool:
    """Whether a call can end with this record; the first such record of a call is its end, later ones correct it."""
    if record.kind == pb.EVENT_KIND_APPROVAL_ENDED:
        return record.approval.state in _REFUSED
    if record.kind == pb.EVENT_KIND_INVOCATION_ADMITTED:
        # Nothing is held and nothing follows.
        return record.decision.cached
    return record.kind in _ENDED


def spans_of_call(
    records: Sequence[pb.AuditRecord], own: Context, parent: bytes, link: Context | None
) -> Iterator[trace_pb2.Span]:
    """The spans of a call that ended with the last of its records; `link` is a step that it belongs to in another
    trace."""
    first = records[0]
    links = [] if link is None else [link]
    # A call whose beginning is missing in the log is nobody's: `fairlead audit verify` tells.
    if first.HasField("tool"):
        yield _tool(records, own, parent, links)
    elif first.HasField("decision"):
        yield _chat(records, own, parent, links)
        yield from _inside(records, own)


def correction_of(record: pb.AuditRecord, own: Context) -> Iterator[trace_pb2.Span]:
    """What was told of a call after its end, such as a late settlement: a moment inside the span that is exported."""
    at, context = record.time_unix_nanos, _inner(own, "correction", record.sequence)
    if record.kind == pb.EVENT_KIND_INVOCATION_SETTLED:
        facts = {**usage_facts(record.settlement.attempts), "fairlead.late": record.settlement.late}
        yield span("settle late", context, own.span_id, at, at, {**common(record), **facts, **_charged(record)})
    elif record.kind == pb.EVENT_KIND_TOOL_COMPLETED:
        facts = {"fairlead.tool.outcome": outcome_of(record)}
        yield span("outcome corrected", context, own.span_id, at, at, {**common(record), **facts})


def replay_of(record: pb.AuditRecord, own: Context, parent: bytes) -> trace_pb2.Span:
    """A tool call that was answered with the result of an earlier one: a moment, with a link to that one."""
    inputs, at = record.tool.inputs, record.time_unix_nanos
    earlier = Context(own.trace_id, identity.span_id("call", inputs.earlier_call or record.invocation))
    context = Context(own.trace_id, identity.span_id("replay", record.invocation, record.sequence))
    facts: dict[str, Value] = {**_tool_facts(record), "fairlead.tool.replayed": True}
    return span(f"execute_tool {inputs.tool}", context, parent, at, at, facts, links=[earlier])


def common(record: pb.AuditRecord) -> dict[str, Value]:
    """What every span has of the record that it ended with."""
    return {
        "fairlead.tenant": record.tenant,
        "gen_ai.agent.name": record.agent,
        "fairlead.config.version": record.config_version,
        "fairlead.audit.sequence": record.sequence,
    }


# Model calls ---------------------------------------------------------------------------------------------------------


def _chat(records: Sequence[pb.AuditRecord], own: Context, parent: bytes, links: Sequence[Context]) -> trace_pb2.Span:
    decision, last = _decision(records), records[-1]
    inputs = decision.decision.inputs
    settled = last.settlement if last.HasField("settlement") else None
    model = (settled.model if settled is not None else "") or (inputs.cached_model if decision.decision.cached else "")
    planned = {target.model: target for target in decision.decision.plan}
    target = planned.get(model) or (
        decision.decision.plan[0] if decision.decision.plan else decision_pb2.PlannedTarget()
    )
    facts: dict[str, Value] = {
        **common(last),
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": target.provider,
        "gen_ai.request.model": inputs.model or target.model,
        "gen_ai.response.model": (target.upstream_model or model) if model else "",
        "gen_ai.conversation.id": inputs.session,
        "fairlead.invocation": last.invocation,
        "fairlead.model": model,
        "fairlead.run": inputs.run,
        "fairlead.step": inputs.step,
        "fairlead.cached": decision.decision.cached,
        "fairlead.decision.route": decision.decision.decision.route,
        "fairlead.decision.rule": decision.decision.decision.deciding_rule,
        **_charged(last),
    }
    if inputs.stream:
        facts["gen_ai.request.stream"] = True
    if decision.decision.max_output_tokens:
        facts["gen_ai.request.max_tokens"] = decision.decision.max_output_tokens
    if settled is not None:
        facts.update(usage_facts(settled.attempts))
    named = inputs.model or target.model
    begins, ends = records[0].time_unix_nanos, last.time_unix_nanos
    return span(f"chat {named}".strip(), own, parent, begins, ends, facts, error=_why_not(last), links=links)


def _inside(records: Sequence[pb.AuditRecord], own: Context) -> Iterator[trace_pb2.Span]:
    """Decisions and attempts."""
    ended_at = records[0].time_unix_nanos
    for record in records:
        if record.HasField("decision"):
            ended_at = record.time_unix_nanos
            yield _decided(record, own)
    last = records[-1]
    plan = {target.model: target for target in _decision(records).decision.plan}
    ends = last.time_unix_nanos
    for number, attempt in enumerate(last.settlement.attempts if last.HasField("settlement") else (), 1):
        # By durations, which a clock that is set cannot turn around. Whoever reports attempts may leave out the delays.
        begins = min(ends, ended_at + attempt.delay.ToNanoseconds())
        ended_at = min(ends, begins + attempt.latency.ToNanoseconds())
        target = plan.get(attempt.model, decision_pb2.PlannedTarget())
        outcome = decision_pb2.AttemptOutcome.Name(attempt.outcome).removeprefix("ATTEMPT_OUTCOME_").lower()
        facts: dict[str, Value] = {
            "gen_ai.provider.name": target.provider,
            "fairlead.model": attempt.model,
            "fairlead.attempt.upstream_model": target.upstream_model,
            "fairlead.attempt.number": number,
            "fairlead.attempt.outcome": outcome,
            "fairlead.attempt.input_tokens": input_tokens(attempt.usage),
            "fairlead.attempt.output_tokens": output_tokens(attempt.usage),
        }
        if attempt.status_code:
            facts["http.response.status_code"] = attempt.status_code
        failed = "" if attempt.outcome == decision_pb2.ATTEMPT_OUTCOME_SUCCEEDED else outcome
        context = _inner(own, "attempt", number)
        yield span(f"attempt {attempt.model}", context, own.span_id, begins, ended_at, facts, error=failed, kind=CLIENT)


def _decided(record: pb.AuditRecord, own: Context) -> trace_pb2.Span:
    decision, at = record.decision, record.time_unix_nanos
    facts: dict[str, Value] = {
        **common(record),
        "fairlead.decision.route": decision.decision.route,
        "fairlead.decision.rule": decision.decision.deciding_rule,
        "fairlead.decision.rules": tuple(decision.decision.rules),
        "fairlead.decision.models": tuple(target.model for target in decision.plan),
        "fairlead.decision.dropped": tuple(dropped.model for dropped in decision.dropped),
        "fairlead.decision.downgraded_to": decision.downgraded_to,
        "fairlead.reserved.nano_usd": decision.reserved.nano_usd,
        "fairlead.approval": decision.approval,
    }
    context = _inner(own, "decision", record.sequence)
    return span("decide", context, own.span_id, at, at, facts, error=decision.rejection)


def _decision(records: Sequence[pb.AuditRecord]) -> pb.AuditRecord:
    """The last decision: the one that let the call go, if there was one before people were asked."""
    return next(record for record in reversed(records) if record.HasField("decision"))


def _charged(record: pb.AuditRecord) -> Mapping[str, Value]:
    if record.HasField("settlement"):
        return {"fairlead.charged.nano_usd": record.settlement.charged.nano_usd}
    return {"fairlead.charged.nano_usd": record.hold_ended.charged.nano_usd} if record.HasField("hold_ended") else {}


# Tool calls ----------------------------------------------------------------------------------------------------------


def _tool(records: Sequence[pb.AuditRecord], own: Context, parent: bytes, links: Sequence[Context]) -> trace_pb2.Span:
    first, last = records[0], records[-1]
    facts = _tool_facts(next(record for record in reversed(records) if record.HasField("tool")))
    facts["fairlead.audit.sequence"] = last.sequence
    if last.HasField("tool_completed"):
        facts["fairlead.tool.outcome"] = outcome_of(last)
    begins, ends = first.time_unix_nanos, last.time_unix_nanos
    name = f"execute_tool {first.tool.inputs.tool}"
    return span(name, own, parent, begins, ends, facts, error=_why_not(last), links=links)


def _tool_facts(record: pb.AuditRecord) -> dict[str, Value]:
    inputs = record.tool.inputs
    return {
        **common(record),
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": inputs.tool,
        "gen_ai.tool.call.id": record.invocation,
        "gen_ai.conversation.id": inputs.session,
        "fairlead.run": inputs.run,
        "fairlead.step": inputs.step,
        "fairlead.approval": inputs.approval or record.tool.approval,
        "fairlead.decision.rule": record.tool.decision.deciding_rule,
        "fairlead.decision.rules": tuple(record.tool.decision.rules),
    }


def outcome_of(record: pb.AuditRecord) -> str:
    """`succeeded`, `failed` or `unknown`."""
    return gate_service_pb2.ToolOutcome.Name(record.tool_completed.outcome).removeprefix("TOOL_OUTCOME_").lower()


# Both ----------------------------------------------------------------------------------------------------------------


def _why_not(record: pb.AuditRecord) -> str:
    """The reason of a call that did not come to a good end; empty when it did."""
    match record.WhichOneof("body"):
        case "decision":
            return record.decision.rejection
        case "tool":
            return record.tool.rejection
        case "tool_completed":
            outcome = outcome_of(record)
            return "" if outcome == "succeeded" else outcome
        case "hold_ended" if record.kind == pb.EVENT_KIND_INVOCATION_EXPIRED:
            return "expired"
        case "approval":
            state = approval_service_pb2.ApprovalState.Name(record.approval.state).removeprefix("APPROVAL_STATE_")
            return f"approval_{state.lower()}"
        case "settlement" if not record.settlement.model:
            return "TARGETS_EXHAUSTED" if record.settlement.attempts else ""
    return ""


def _inner(own: Context, *names: str | int) -> Context:
    return Context(own.trace_id, identity.span_id(own.span_id.hex(), *names))
