"""Everything about one invocation or tool call, from its records in the log alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from google.protobuf.timestamp_pb2 import Timestamp

from fairlead.audit.approval_narrative import narrate_approval
from fairlead.audit.erasure.model import revealed
from fairlead.audit.narrative import narrate
from fairlead.audit.store import AuditLog, Invocations
from fairlead.audit.tool_narrative import narrate_tool_call
from fairlead.audit.wording import visible
from fairlead.internal.v1 import state_pb2
from fairlead.v1 import audit_record_pb2, audit_service_pb2
from fairlead.workflow.model import full_name


def explain(
    log: AuditLog, invocations: Invocations, invocation: str
) -> audit_service_pb2.ExplainInvocationResponse | None:
    """The records of an invocation or of a tool call, with their approval, or of an approval of a step, in order, and
    their story; None when there is no such thing.

    A record that is missing does not hide the others: the story says so in its place.
    """
    approval = invocations.find_approval(invocation)
    name = approval.call if approval is not None else invocation
    known = invocations.find(name)
    if known is not None:
        return _explain_invocation(log, known, invocations.sequences_of(known))
    call = invocations.find_tool_call(name)
    if call is not None:
        return _explain_tool_call(log, call, invocations.sequences_of(call))
    return None if approval is None else _explain_approval(log, approval)


def _explain_invocation(
    log: AuditLog, known: state_pb2.InvocationRecord, sequences: Sequence[int]
) -> audit_service_pb2.ExplainInvocationResponse:
    response = audit_service_pb2.ExplainInvocationResponse(
        invocation=known.invocation, state=known.state, create_time=_timestamp(known.create_time_unix_nanos)
    )
    missing, whole = _add_events(response, log, sequences)
    response.narrative.extend(narrate(_records(response), known.state, whole=whole))
    response.narrative.extend(missing)
    return response


def _explain_tool_call(
    log: AuditLog, call: state_pb2.ToolCallRecord, sequences: Sequence[int]
) -> audit_service_pb2.ExplainInvocationResponse:
    response = audit_service_pb2.ExplainInvocationResponse(
        invocation=call.call, tool_call_state=call.state, create_time=_timestamp(call.create_time_unix_nanos)
    )
    missing, whole = _add_events(response, log, sequences)
    response.narrative.extend(narrate_tool_call(_records(response), call.state, whole=whole))
    response.narrative.extend(missing)
    return response


def _explain_approval(log: AuditLog, asked: state_pb2.ApprovalRecord) -> audit_service_pb2.ExplainInvocationResponse:
    """An approval that is about something else than a tool call, such as a step of a run."""
    approval = asked.approval
    response = audit_service_pb2.ExplainInvocationResponse(invocation=approval.name, create_time=approval.create_time)
    missing, _ = _add_events(response, log, asked.sequences)
    response.narrative.extend(narrate_approval(_records(response)))
    if approval.run:
        step = f"step {visible(approval.step)} of " if approval.step else ""
        run = visible(full_name(approval.run))
        response.narrative.append(f"It is about {step}{run}: fairlead explain {run} tells the rest.")
    response.narrative.extend(missing)
    return response


def _add_events(
    response: audit_service_pb2.ExplainInvocationResponse, log: AuditLog, sequences: Iterable[int]
) -> tuple[list[str], bool]:
    """Adds the records; what is missing is said, and false when the first ones were trimmed."""
    missing, trimmed = [], 0
    first = log.beginning().first_sequence
    for sequence in sorted(sequences):
        if sequence < first:
            trimmed += 1
            continue
        stored = log.record(sequence)
        if stored is None:
            missing.append(f"Record {sequence} of this invocation is missing from the log: run fairlead audit verify.")
            continue
        event = log.event(stored, log.hash_before(sequence))
        # A unit may hold records of budgets, which belong to no invocation, but never another one's are told.
        if event.record.invocation in ("", response.invocation):
            response.events.append(event)
    if trimmed:
        are = "record was" if trimmed == 1 else "records were"
        begins = f"the log, which begins with record {first} (retention.audit)"
        missing.append(f"{trimmed:,} earlier {are} trimmed from {begins}.")
    return missing, not trimmed


def _records(response: audit_service_pb2.ExplainInvocationResponse) -> list[audit_record_pb2.AuditRecord]:
    return [revealed(event) for event in response.events]


def _timestamp(unix_nanos: int) -> Timestamp:
    created = Timestamp()
    created.FromNanoseconds(unix_nanos)
    return created
