"""Everything about one invocation, from its records in the log alone."""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp

from fairlead.audit.model import event_of
from fairlead.audit.narrative import narrate
from fairlead.audit.store import AuditLog, Invocations
from fairlead.v1 import audit_service_pb2


def explain(
    log: AuditLog, invocations: Invocations, invocation: str
) -> audit_service_pb2.ExplainInvocationResponse | None:
    """The invocation's records in order and their story; None when there is no such invocation.

    A record that is missing does not hide the others: the story says so in its place.
    """
    known = invocations.find(invocation)
    if known is None:
        return None
    created = Timestamp()
    created.FromNanoseconds(known.create_time_unix_nanos)
    response = audit_service_pb2.ExplainInvocationResponse(
        invocation=invocation, state=known.state, create_time=created
    )
    missing = []
    for sequence in sorted(known.sequences):
        stored = log.record(sequence)
        if stored is None:
            missing.append(f"Record {sequence} of this invocation is missing from the log: run fairlead audit verify.")
            continue
        event = event_of(stored, log.hash_before(sequence))
        # A unit may hold records of budgets, which belong to no invocation, but never another one's are told.
        if event.record.invocation in ("", invocation):
            response.events.append(event)
    response.narrative.extend(narrate([event.record for event in response.events], known.state))
    response.narrative.extend(missing)
    return response
