"""Refusals of the control services and how they reach the wire: one table, one place.

A `Refusal` is an expected "no". `answer` wraps the methods of a servicer: it turns a `Refusal` into a
`google.rpc.Status` with exactly one `ErrorInfo` of the domain `fairlead`; anything else that escapes is a fault of the
sidecar, logged with its traceback and answered `INTERNAL` without it.

Details stay under 4 KiB, because gRPC bounds trailers at 8 KiB and drops all of them beyond 16 KiB: violations that do
not fit are left out, and the metadata says how many there are.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from fairlead.internal.v1 import command_pb2
from fairlead.store.errors import StoreUnavailable

DOMAIN = "fairlead"
DETAILS_MAX_BYTES = 4096
# Room for the message, the type URLs and the framing of the details.
_METADATA_MAX_BYTES = 2048
_VALUE_MAX_CHARACTERS = 512
_MESSAGE_MAX_CHARACTERS = 512

# design/03-api.md, "Errors".
CODES: Mapping[str, grpc.StatusCode] = {
    "BUDGET_EXHAUSTED": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "RATE_LIMITED": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "QUEUE_FULL": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "POLICY_DENIED": grpc.StatusCode.PERMISSION_DENIED,
    "CREDENTIAL_MISSING": grpc.StatusCode.UNAUTHENTICATED,
    "CREDENTIAL_INVALID": grpc.StatusCode.UNAUTHENTICATED,
    "NOT_FOUND": grpc.StatusCode.NOT_FOUND,
    "NO_ROUTE": grpc.StatusCode.FAILED_PRECONDITION,
    "TARGETS_EXHAUSTED": grpc.StatusCode.UNAVAILABLE,
    "LEASE_LOST": grpc.StatusCode.ABORTED,
    "ETAG_MISMATCH": grpc.StatusCode.ABORTED,
    "INVALID_STATE": grpc.StatusCode.FAILED_PRECONDITION,
    "INVALID_ARGUMENT": grpc.StatusCode.INVALID_ARGUMENT,
    "PAYLOAD_TOO_LARGE": grpc.StatusCode.INVALID_ARGUMENT,
    "DRAINING": grpc.StatusCode.UNAVAILABLE,
    "NOT_READY": grpc.StatusCode.UNAVAILABLE,
    "STREAM_STALLED": grpc.StatusCode.UNAVAILABLE,
    "EVENTS_TRIMMED": grpc.StatusCode.OUT_OF_RANGE,
    "DEADLINE_EXCEEDED": grpc.StatusCode.DEADLINE_EXCEEDED,
    "STORE_UNAVAILABLE": grpc.StatusCode.UNAVAILABLE,
    "INTERNAL": grpc.StatusCode.INTERNAL,
}

# What passes without a change of the request: a store that fails, a full queue, a clock that was set back.
_TEMPORARY = frozenset(("STORE_UNAVAILABLE", "QUEUE_FULL", "NOT_READY", "DRAINING"))

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One bad field of a request: its path and what is wrong with it."""

    field: str
    description: str


@dataclass(eq=False)
class Refusal(Exception):
    """An expected "no": stable `reason` for programs, `message` for people; lower case, says what to do, no secrets."""

    reason: str
    message: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    violations: Sequence[FieldViolation] = ()
    retry_after_millis: int = 0

    def __str__(self) -> str:
        return f"{self.message} ({self.reason})"

    @classmethod
    def from_rejection(cls, rejection: command_pb2.Rejection) -> Refusal:
        """The refusal of the native core."""
        return cls(
            rejection.reason,
            rejection.message,
            dict(rejection.metadata),
            [FieldViolation(violation.field, violation.description) for violation in rejection.violations],
            rejection.retry_after_millis,
        )


def temporary(error: Exception) -> Refusal | None:
    """The refusal that says what will pass by itself, so that trying again makes sense; None for every other error."""
    if isinstance(error, StoreUnavailable):
        return Refusal("STORE_UNAVAILABLE", str(error))
    return error if isinstance(error, Refusal) and error.reason in _TEMPORARY else None


def invalid_argument(*violations: tuple[str, str]) -> Refusal:
    """INVALID_ARGUMENT that lists every bad field as (path, what is wrong)."""
    listed = [FieldViolation(path, description) for path, description in violations]
    return Refusal(
        "INVALID_ARGUMENT",
        "; ".join(f"{violation.field}: {violation.description}" for violation in listed),
        violations=listed,
    )


def to_status(refusal: Refusal) -> status_pb2.Status:
    """The refusal as it goes over the wire."""
    code = CODES.get(refusal.reason, grpc.StatusCode.UNKNOWN)
    status = status_pb2.Status(code=code.value[0], message=_shortened(refusal.message, _MESSAGE_MAX_CHARACTERS))
    info = error_details_pb2.ErrorInfo(reason=refusal.reason, domain=DOMAIN, metadata=_bounded(refusal.metadata))
    if refusal.violations:
        info.metadata["violations"] = str(len(refusal.violations))
    _append(status, info)
    if refusal.retry_after_millis > 0:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(refusal.retry_after_millis)
        _append(status, retry)
    if refusal.violations:
        _append(status, _bad_request(refusal.violations, DETAILS_MAX_BYTES - status.ByteSize()))
    return status


async def abort(context: Any, refusal: Refusal) -> None:
    """Ends the call with the refusal; never returns, because the context raises."""
    await context.abort_with_status(rpc_status.to_status(to_status(refusal)))


_Servicer = TypeVar("_Servicer")
_Request = TypeVar("_Request")
_Response = TypeVar("_Response")
_Method = Callable[[_Servicer, _Request, Any], Coroutine[Any, Any, _Response]]


def answer(method: _Method[_Servicer, _Request, _Response]) -> _Method[_Servicer, _Request, _Response]:
    """Wraps a unary method of a grpc.aio servicer so that it may simply raise `Refusal`."""

    @functools.wraps(method)
    async def answered(servicer: _Servicer, request: _Request, context: Any) -> _Response:
        try:
            return await method(servicer, request, context)
        except Refusal as refusal:
            await abort(context, refusal)
            raise
        except grpc.aio.AbortError:
            raise
        except Exception as fault:
            _log.exception("control call failed", extra={"method": method.__qualname__})
            await abort(context, Refusal("INTERNAL", "the sidecar failed to answer; its log has the details"))
            raise fault  # unreachable: abort raises

    return answered


def _append(status: status_pb2.Status, detail: Message) -> None:
    packed = any_pb2.Any()
    packed.Pack(detail)
    status.details.append(packed)


def _bounded(metadata: Mapping[str, str]) -> dict[str, str]:
    """As much of the metadata as fits, in order; long values are cut."""
    kept: dict[str, str] = {}
    left = _METADATA_MAX_BYTES
    for key, value in metadata.items():
        value = _shortened(value, _VALUE_MAX_CHARACTERS)
        left -= len(key.encode()) + len(value.encode()) + 8
        if left < 0:
            break
        kept[key] = value
    return kept


def _bad_request(violations: Sequence[FieldViolation], room: int) -> error_details_pb2.BadRequest:
    """The violations that fit into `room` bytes."""
    details = error_details_pb2.BadRequest()
    # Type URL and framing of the packed detail.
    room -= 80
    for violation in violations:
        entry = error_details_pb2.BadRequest.FieldViolation(
            field=_shortened(violation.field, _VALUE_MAX_CHARACTERS),
            description=_shortened(violation.description, _VALUE_MAX_CHARACTERS),
        )
        room -= entry.ByteSize() + 4
        if room < 0:
            break
        details.field_violations.append(entry)
    return details


def _shortened(text: str, characters: int) -> str:
    return text if len(text) <= characters else text[: characters - 1] + "…"
