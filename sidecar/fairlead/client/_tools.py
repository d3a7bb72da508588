"""Tool calls as both clients see them: answers, outcomes, and what a call that has begun is reported as. No I/O."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from fairlead.client import _requests
from fairlead.client._errors import ApprovalExpired, ApprovalPending, ApprovalRejected, InvalidState
from fairlead.v1 import approval_service_pb2, decision_pb2, gate_service_pb2, tool_pb2

# What one WaitTicket lasts at most, as the sidecar has it, and what its answer may take on top.
WAIT_SECONDS = 60.0
ANSWER_SECONDS = 10.0


class ToolEffect(Enum):
    """What the caller believes that a call does. Recorded; what counts is the word of the sidecar's catalogue."""

    READ = tool_pb2.TOOL_EFFECT_READ
    WRITE = tool_pb2.TOOL_EFFECT_WRITE
    SIDE_EFFECT = tool_pb2.TOOL_EFFECT_SIDE_EFFECT


class ToolOutcome(Enum):
    """How a call ended: it happened, it did not happen, or nobody knows."""

    SUCCEEDED = gate_service_pb2.TOOL_OUTCOME_SUCCEEDED
    FAILED = gate_service_pb2.TOOL_OUTCOME_FAILED
    UNKNOWN = gate_service_pb2.TOOL_OUTCOME_UNKNOWN


class TicketState(Enum):
    """State of an approval."""

    PENDING = approval_service_pb2.APPROVAL_STATE_PENDING
    APPROVED = approval_service_pb2.APPROVAL_STATE_APPROVED
    REJECTED = approval_service_pb2.APPROVAL_STATE_REJECTED
    EXPIRED = approval_service_pb2.APPROVAL_STATE_EXPIRED
    CONSUMED = approval_service_pb2.APPROVAL_STATE_CONSUMED
    WITHDRAWN = approval_service_pb2.APPROVAL_STATE_WITHDRAWN


class ToolNotCalled(Exception):
    """Raised in the block of a tool call: it did not happen, whatever went wrong. Goes on to the caller."""


@dataclass(frozen=True, slots=True)
class Granted:
    """The call may be made once, with `arguments`. They are as requested unless `differs`: then rules changed what
    `changed` points to, or the people who agreed put theirs in the place."""

    grant: str
    idempotency_key: str
    arguments: dict[str, Any]
    changed: tuple[str, ...]
    expires_at: datetime
    decision: decision_pb2.Decision
    differs: bool = False


@dataclass(frozen=True, slots=True)
class Pending:
    """People have to agree first. `poll_after` is in seconds."""

    ticket: str
    approval: str
    expires_at: datetime
    poll_after: float
    decision: decision_pb2.Decision


@dataclass(frozen=True, slots=True)
class Replayed:
    """An earlier call with the same key has succeeded: do not call again. `result` is its result, None when it reported
    none or one that was too large to keep."""

    grant: str
    result: Any
    decision: decision_pb2.Decision


ToolAnswer = Granted | Pending | Replayed


@dataclass(frozen=True, slots=True)
class Ticket:
    """What an agent sees of an approval; `reason` is the one of a refusal."""

    ticket: str
    approval: str
    state: TicketState
    reason: str
    expires_at: datetime


def answer_of(response: gate_service_pb2.AuthorizeToolResponse) -> ToolAnswer:
    """The typed answer."""
    match response.WhichOneof("outcome"):
        case "granted":
            granted = response.granted
            return Granted(
                granted.grant,
                granted.idempotency_key,
                json.loads(granted.constraints.arguments or b"{}"),
                tuple(granted.constraints.changed),
                _time(granted.expires_at),
                response.decision,
                bool(granted.arguments),
            )
        case "pending":
            pending = response.pending
            return Pending(
                pending.ticket,
                pending.approval,
                _time(pending.expires_at),
                pending.poll_after.seconds + pending.poll_after.nanos / 1e9,
                response.decision,
            )
        case "replayed":
            replayed = response.replayed
            result = json.loads(replayed.result) if replayed.result else None
            return Replayed(replayed.grant, result, response.decision)
    raise InvalidState("the sidecar gave an answer that this client does not know", reason="UNKNOWN_ANSWER")


def ticket_of(message: approval_service_pb2.Ticket) -> Ticket:
    """The typed ticket."""
    state = TicketState(message.state)
    return Ticket(message.ticket, message.approval, state, message.reason, _time(message.expire_time))


def settled(pending: Pending, ticket: Ticket) -> None:
    """Returns when the call may be asked for again; raises what the ticket says otherwise."""
    facts = {"cause": "approval", "approval": ticket.approval, "state": ticket.state.name, "reason": ticket.reason}
    if ticket.state is TicketState.PENDING:
        raise pending_error(pending)
    if ticket.state is TicketState.REJECTED:
        raise ApprovalRejected(f"people refused: {ticket.reason}", reason="POLICY_DENIED", metadata=facts)
    if ticket.state in (TicketState.EXPIRED, TicketState.WITHDRAWN):
        why = "nobody decided in time" if ticket.state is TicketState.EXPIRED else "people are not asked any more"
        raise ApprovalExpired(why, reason="POLICY_DENIED", metadata=facts)


def pending_error(pending: Pending) -> ApprovalPending:
    """For callers that cannot go on without a grant."""
    facts = {"approval": pending.approval, "ticket": pending.ticket}
    return ApprovalPending(
        f"people have to agree first: {pending.approval}",
        reason="APPROVAL_PENDING",
        metadata=facts,
        retry_after=pending.poll_after,
    )


class BegunCall:
    """A tool call in a `with` block: its answer, and what it will be reported as.

    | the block ends | reported |
    |---|---|
    | normally | SUCCEEDED, with the result given to `succeeded` |
    | after `failed()`, or with `ToolNotCalled` or one of `not_called` | FAILED: it did not happen |
    | with any other exception, a cancellation too | UNKNOWN: a time-out may come after the money went |

    A call whose `effect` is READ is FAILED instead of UNKNOWN: reading again does no harm. Nothing is reported of a
    replayed call.
    """

    def __init__(
        self,
        request: gate_service_pb2.AuthorizeToolRequest,
        not_called: tuple[type[BaseException], ...],
    ) -> None:
        self._request = request
        self._not_called: tuple[type[BaseException], ...] = (ToolNotCalled, *not_called)
        self._answer: ToolAnswer | None = None
        self._said: ToolOutcome | None = None
        self._result: Any = None
        self._encoded = b""
        self.session_labels: tuple[str, ...] = ()

    @property
    def replayed(self) -> bool:
        """True: an earlier call has succeeded, `result` is what it returned, and nothing must be called."""
        return isinstance(self._answer, Replayed)

    @property
    def result(self) -> Any:
        """The result: of the earlier call, or as given to `succeeded`."""
        return self._answer.result if isinstance(self._answer, Replayed) else self._result

    @property
    def granted(self) -> Granted:
        """The grant. Raises InvalidState for a replayed call, so that it is not made again by mistake."""
        if isinstance(self._answer, Granted):
            return self._answer
        raise InvalidState("the call has succeeded before: take its result", reason="ALREADY_SUCCEEDED")

    @property
    def arguments(self) -> dict[str, Any]:
        """What the call has to be made with."""
        return self.granted.arguments

    def succeeded(self, result: Any = None) -> None:
        """It happened; `result` is a JSON value, kept for later callers with the same key."""
        self._said = ToolOutcome.SUCCEEDED
        # What is not JSON is said here and now: it happened all the same.
        self._encoded = _requests.encode_result(result)
        self._result = result

    def failed(self) -> None:
        """It did not happen; the key may be granted again."""
        self._said, self._result, self._encoded = ToolOutcome.FAILED, None, b""

    def completion(self, error: BaseException | None) -> gate_service_pb2.CompleteToolRequest | None:
        """What to report when the block ends with `error`; None when there is nothing to report."""
        if not isinstance(self._answer, Granted):
            return None
        return _requests.complete_tool(self._answer.grant, self._outcome(error).value, self._encoded)

    def _outcome(self, error: BaseException | None) -> ToolOutcome:
        if self._said is not None:
            return self._said
        if error is None:
            return ToolOutcome.SUCCEEDED
        if isinstance(error, self._not_called) or self._request.effect == ToolEffect.READ.value:
            return ToolOutcome.FAILED
        return ToolOutcome.UNKNOWN


def request_of(
    tool: str, arguments: Mapping[str, Any] | bytes, effect: ToolEffect | None, facts: Mapping[str, Any]
) -> gate_service_pb2.AuthorizeToolRequest:
    """A request to call a tool."""
    claimed = tool_pb2.TOOL_EFFECT_UNSPECIFIED if effect is None else effect.value
    return _requests.authorize_tool(tool, arguments, claimed, **facts)


def ask_again(request: gate_service_pb2.AuthorizeToolRequest, ticket: str) -> None:
    """Makes the request the same call once more, now that people have agreed."""
    request.request_id, request.ticket = _requests.new_request_id(), ticket


def nothing_happened(
    response: gate_service_pb2.AuthorizeToolResponse,
) -> gate_service_pb2.CompleteToolRequest | None:
    """What to report of a grant that nobody got to use; None when there was none."""
    grant = response.granted.grant
    return _requests.complete_tool(grant, ToolOutcome.FAILED.value, b"") if grant else None


def note(error: BaseException, failure: Exception) -> None:
    """Says on the exception of a block that its outcome could not be reported, without hiding it."""
    error.add_note(f"fairlead: the outcome was not reported and becomes UNKNOWN when the grant expires: {failure}")


def _time(timestamp: Timestamp) -> datetime:
    return timestamp.ToDatetime(tzinfo=UTC)
