"""Errors of the client, one class per kind of refusal.

FairleadError
├── BudgetExhausted          BUDGET_EXHAUSTED: metadata names budget, limit, spent, reserved, requested
├── RateLimited              RATE_LIMITED: `retry_after` says when
├── QueueFull                QUEUE_FULL: too much is waiting
├── PolicyDenied             POLICY_DENIED: metadata names the rule
│   ├── ApprovalRejected     people refused, and why
│   └── ApprovalExpired      nobody decided, or nobody came back with the ticket, in time
├── CredentialRefused        CREDENTIAL_MISSING, CREDENTIAL_INVALID
├── NotFound                 NOT_FOUND: not there, or not yours
├── NoRoute                  NO_ROUTE: no route or model fits
├── ApprovalPending          APPROVAL_PENDING: people have to agree first; metadata names approval and ticket
├── TargetsExhausted         TARGETS_EXHAUSTED: every model of the plan failed
├── InvalidState             INVALID_STATE: already settled, released, …
├── LeaseLost                LEASE_LOST: the attempt at a step is not the current one any more
├── InvalidArgument          INVALID_ARGUMENT: `violations` lists every bad field
├── PayloadTooLarge          PAYLOAD_TOO_LARGE
├── TemporarilyUnavailable   DRAINING, NOT_READY, STORE_UNAVAILABLE: was retried until the deadline
├── DeadlineExceeded         the call's deadline passed; the outcome is unknown, the same request_id is safe
└── ConnectionFailed         no answer from the sidecar; the outcome is unknown, the same request_id is safe
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import cast

import grpc
from google.rpc import error_details_pb2, status_pb2

DOMAIN = "fairlead"
_STATUS_DETAILS = "grpc-status-details-bin"


class FairleadError(Exception):
    """A call that did not succeed.

    `reason` is stable and made for programs, `message` is made for people. `retry_after` is in seconds.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str,
        metadata: Mapping[str, str] | None = None,
        retry_after: float | None = None,
        violations: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.metadata = dict(metadata or {})
        self.retry_after = retry_after
        self.violations = list(violations)

    def __str__(self) -> str:
        return f"{self.message} ({self.reason})"


class BudgetExhausted(FairleadError):
    """A hard budget cannot hold the call's worst case."""


class RateLimited(FairleadError):
    """A rate limit refuses the call for now."""


class QueueFull(FairleadError):
    """A bound of the sidecar is reached."""


class PolicyDenied(FairleadError):
    """A policy rule denies the call."""


class CredentialRefused(FairleadError):
    """The token is missing or wrong."""


class NotFound(FairleadError):
    """The named thing does not exist, or belongs to somebody else."""


class NoRoute(FairleadError):
    """No route or model fits the call."""


class ApprovalPending(FairleadError):
    """People have to agree first, and have not yet. `metadata["ticket"]` is to be given with the same call again once
    they have; `retry_after` says when to ask."""


class ApprovalRejected(PolicyDenied):
    """People refused."""


class ApprovalExpired(PolicyDenied):
    """Nobody decided in time, nobody came back with the ticket, or people are not asked any more."""


class TargetsExhausted(FairleadError):
    """Every model of the plan failed."""


class InvalidState(FairleadError):
    """The invocation is not in a state that allows this."""


class LeaseLost(FairleadError):
    """The attempt at a step is not the current one any more; whatever is said about it changes nothing."""


class InvalidArgument(FairleadError):
    """A field is not acceptable; `violations` lists all of them."""


class PayloadTooLarge(FairleadError):
    """The request is larger than the sidecar takes; never worth a retry."""


class TemporarilyUnavailable(FairleadError):
    """The sidecar cannot take calls at the moment."""


class DeadlineExceeded(FairleadError):
    """The deadline passed before the answer came."""


class ConnectionFailed(FairleadError):
    """The sidecar did not answer."""


_BY_REASON: dict[str, type[FairleadError]] = {
    "BUDGET_EXHAUSTED": BudgetExhausted,
    "RATE_LIMITED": RateLimited,
    "QUEUE_FULL": QueueFull,
    "POLICY_DENIED": PolicyDenied,
    "APPROVAL_PENDING": ApprovalPending,
    "CREDENTIAL_MISSING": CredentialRefused,
    "CREDENTIAL_INVALID": CredentialRefused,
    "NOT_FOUND": NotFound,
    "NO_ROUTE": NoRoute,
    "TARGETS_EXHAUSTED": TargetsExhausted,
    "INVALID_STATE": InvalidState,
    "LEASE_LOST": LeaseLost,
    "INVALID_ARGUMENT": InvalidArgument,
    "PAYLOAD_TOO_LARGE": PayloadTooLarge,
    "DRAINING": TemporarilyUnavailable,
    "NOT_READY": TemporarilyUnavailable,
    "STORE_UNAVAILABLE": TemporarilyUnavailable,
}

# POLICY_DENIED because of what became of an approval, by its state.
_BY_APPROVAL_STATE: dict[str, type[FairleadError]] = {"REJECTED": ApprovalRejected, "EXPIRED": ApprovalExpired}


def from_rpc_error(error: grpc.RpcError) -> FairleadError:
    """Turns an error of a gRPC call into the client's, by its `ErrorInfo.reason`.

    The status code alone is not enough: gRPC itself answers RESOURCE_EXHAUSTED for oversize messages.
    """
    code, details = error.code(), error.details() or ""
    info, retry_after, violations = _details(cast(Iterable[tuple[str, str | bytes]], error.trailing_metadata() or ()))
    if info is not None:
        kind = _kind_of(info.reason, info.metadata)
        return kind(details, reason=info.reason, metadata=info.metadata, retry_after=retry_after, violations=violations)
    if code == grpc.StatusCode.DEADLINE_EXCEEDED:
        return DeadlineExceeded(details or "deadline exceeded", reason="DEADLINE_EXCEEDED")
    if code == grpc.StatusCode.UNAVAILABLE:
        return ConnectionFailed(details or "the sidecar did not answer", reason="CONNECTION_FAILED")
    return FairleadError(details or code.name.lower(), reason=code.name)


def from_outcome(reason: str, message: str, metadata: Mapping[str, str]) -> FairleadError:
    """The error of one part of a call that succeeded as a whole."""
    return _kind_of(reason, metadata)(message, reason=reason, metadata=metadata)


def _kind_of(reason: str, metadata: Mapping[str, str]) -> type[FairleadError]:
    kind = _BY_REASON.get(reason, FairleadError)
    if kind is PolicyDenied and metadata.get("cause") == "approval":
        return _BY_APPROVAL_STATE.get(metadata.get("state", ""), PolicyDenied)
    return kind


def _details(
    metadata: Iterable[tuple[str, str | bytes]],
) -> tuple[error_details_pb2.ErrorInfo | None, float | None, list[tuple[str, str]]]:
    info: error_details_pb2.ErrorInfo | None = None
    retry_after: float | None = None
    violations: list[tuple[str, str]] = []
    for key, value in metadata:
        if key != _STATUS_DETAILS or not isinstance(value, bytes):
            continue
        for detail in status_pb2.Status.FromString(value).details:
            if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
                candidate = error_details_pb2.ErrorInfo()
                detail.Unpack(candidate)
                info = candidate if candidate.domain == DOMAIN else info
            elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
                retry = error_details_pb2.RetryInfo()
                detail.Unpack(retry)
                retry_after = retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9
            elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
                bad = error_details_pb2.BadRequest()
                detail.Unpack(bad)
                violations = [(v.field, v.description) for v in bad.field_violations]
    return info, retry_after, violations
