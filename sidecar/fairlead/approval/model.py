"""Names, states and tickets of approvals. Pure: no I/O, no clock.

The native core owns the life of an approval; what is computed here is only how it is read. INVARIANT (P1): an approval
whose time has passed is expired for everybody who looks, also before the core's sweep has written so; one that another
tier is to be asked about is still pending.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from google.protobuf.timestamp_pb2 import Timestamp

from fairlead.internal.v1 import state_pb2
from fairlead.store import keys
from fairlead.v1 import approval_service_pb2 as pb

COLLECTION = "approvals/"
_APPROVAL, _TICKET = "apr_", "tkt_"
# States that may still change.
OPEN = (pb.APPROVAL_STATE_PENDING, pb.APPROVAL_STATE_APPROVED)


class InvalidName(ValueError):
    """The text is not the name of an approval, or not a ticket."""


def approval_id(name: str) -> bytes:
    """The 16 bytes of `approvals/apr_…`; raises `InvalidName`."""
    raw = keys.approval_id_bytes(name.removeprefix(COLLECTION))
    if raw is None or not name.startswith(COLLECTION + _APPROVAL):
        raise InvalidName("must be approvals/apr_ and 32 lower-case hexadecimal digits")
    return raw


def ticket_id(ticket: str) -> bytes:
    """The 16 bytes of `tkt_…`, which are its approval's; raises `InvalidName`."""
    raw = keys.approval_id_bytes(ticket)
    if raw is None or not ticket.startswith(_TICKET):
        raise InvalidName("must be tkt_ and 32 lower-case hexadecimal digits")
    return raw


def as_of(record: state_pb2.ApprovalRecord, now_unix_nanos: int) -> pb.Approval:
    """The approval as it is at a time."""
    approval = record.approval
    # Whom it is passed on to is the core's to say, which it does as soon as anybody asks it.
    is_passed_on = approval.state == pb.APPROVAL_STATE_PENDING and approval.escalates_to
    if not is_passed_on and approval.state in OPEN and approval.expire_time.ToNanoseconds() <= now_unix_nanos:
        expired = pb.Approval()
        expired.CopyFrom(approval)
        expired.state = pb.APPROVAL_STATE_EXPIRED
        expired.end_time.CopyFrom(approval.expire_time)
        return expired
    return approval


def ticket_of(approval: pb.Approval) -> pb.Ticket:
    """What the agent that asked sees: the state, and why it was refused; not who voted."""
    name = approval.name.removeprefix(COLLECTION + _APPROVAL)
    return pb.Ticket(
        ticket=_TICKET + name,
        approval=approval.name,
        state=approval.state,
        reason=refusal_reason(approval),
        expire_time=Timestamp(seconds=approval.expire_time.seconds, nanos=approval.expire_time.nanos),
    )


def refusal_reason(approval: pb.Approval) -> str:
    """Why somebody refused, as that person wrote it; empty when nobody did."""
    if approval.state != pb.APPROVAL_STATE_REJECTED:
        return ""
    refusals = [vote.reason for vote in approval.votes if vote.decision == pb.APPROVAL_DECISION_REJECT]
    return refusals[-1] if refusals else ""


def state_name(state: int) -> str:
    """A state as people read and type it: `pending`."""
    try:
        return pb.ApprovalState.Name(cast(pb.ApprovalState, state)).removeprefix("APPROVAL_STATE_").lower()
    except ValueError:
        return f"state-{state}"


def state_of(name: str) -> pb.ApprovalState:
    """The state that people call so; raises `ValueError`."""
    return cast(pb.ApprovalState, pb.ApprovalState.Value(f"APPROVAL_STATE_{name.upper()}"))


def state_names() -> list[str]:
    """All states but the unspecified one."""
    return [state_name(state) for state in pb.ApprovalState.values() if state]


def subject_name(subject: int) -> str:
    """What an approval is about, as people read it: `model call`."""
    try:
        name = pb.ApprovalSubject.Name(cast(pb.ApprovalSubject, subject))
    except ValueError:
        return f"subject-{subject}"
    return name.removeprefix("APPROVAL_SUBJECT_").lower().replace("_", " ")


def quorums(wanted: Sequence[pb.ApprovalQuorum]) -> str:
    """People in words: `2 of finance, 1 of legal`."""
    return ", ".join(f"{quorum.count} of {quorum.role}" for quorum in wanted)
