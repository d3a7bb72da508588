"""How an attempt ended, and what is reported of it. No I/O.

Whether an attempt that was stopped in the middle may simply be made again depends on what the step does:

| effect | stopped in the middle |
|---|---|
| pure, read, write with a key of the business | failed, may be retried |
| side effect, write without such a key | unknown |

This is what the sidecar does when it loses a worker, too.
"""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
import json
import re
from dataclasses import dataclass
from typing import Any

from fairlead.client import FairleadError, InvalidArgument, PayloadTooLarge, PolicyDenied
from fairlead.v1 import run_pb2, worker_service_pb2
from fairlead.worker._errors import NonRetryable, OutcomeUnknown, Retry, StepCancelled, StepError

CANCELLED = "CANCELLED"
WORKER_STOPPED = "WORKER_STOPPED"
BAD_OUTPUT = "BAD_OUTPUT"
EXCEPTION = "EXCEPTION"
# Half of what the sidecar takes: a message is a line for people, not a dump.
MESSAGE_MAX_CHARACTERS = 2048
_CODE_MAX_CHARACTERS = 64
_RETRY_AFTER_MAX_SECONDS = 30 * 86_400.0
_NOT_OF_A_CODE = re.compile(r"[^A-Z0-9_]")
_REPEATABLE = (run_pb2.STEP_EFFECT_PURE, run_pb2.STEP_EFFECT_READ)
# Asking again gets the same answer.
_FINAL = (PolicyDenied, InvalidArgument, PayloadTooLarge)


@dataclass(frozen=True, slots=True)
class Completed:
    """It has a result, JSON."""

    output: bytes


@dataclass(frozen=True, slots=True)
class Failed:
    """It has none. `error` is for the log of this process alone."""

    code: str
    message: str = ""
    non_retryable: bool = False
    outcome_unknown: bool = False
    retry_after: float | None = None
    returned: bool = False
    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class Dropped:
    """The lease is lost: nothing is reported."""


Outcome = Completed | Failed | Dropped


class BadOutput(Exception):
    """What a function returned is not JSON."""


def encode(value: Any) -> bytes:
    """A result as JSON. Objects with `model_dump()` and dataclasses count as their fields. Raises BadOutput."""
    if inspect.iscoroutine(value):
        value.close()
        raise BadOutput("the function returned a coroutine: declare it with `async def`")
    try:
        return _ENCODER.encode(value).encode()
    except BadOutput:
        raise
    except (TypeError, ValueError, RecursionError) as error:
        # The text names a type or a position, never the value.
        raise BadOutput(f"the result is not JSON: {error}") from None


def _fields_of(value: Any) -> Any:
    if isinstance(value, type):
        raise BadOutput(f"the result is not JSON: it has the class {value.__name__} in it")
    if callable(dump := getattr(value, "model_dump", None)):
        try:
            return dump(mode="json")
        except Exception as error:
            # Its text may quote the value.
            raise BadOutput(f"model_dump() of {type(value).__name__} raised {type(error).__name__}") from None
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    raise BadOutput(f"the result is not JSON: it has an object of type {type(value).__name__} in it")


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_fields_of)


def is_repeatable(lease: worker_service_pb2.StepLease) -> bool:
    """True when an attempt that was stopped in the middle does no harm if it is made again."""
    if lease.effect != run_pb2.STEP_EFFECT_WRITE:
        return lease.effect in _REPEATABLE
    # Where the workflow names no key the lease has one that is made of run and step. Nobody else knows it, so whether
    # the function hands it on is anybody's guess.
    made = f"{lease.run.removeprefix('runs/')}/{lease.step}"
    return bool(lease.idempotency_key) and not lease.idempotency_key.startswith(made)


def stopped(lease: worker_service_pb2.StepLease, code: str) -> Failed:
    """Of an attempt that was stopped in the middle."""
    why = "the worker stopped" if code == WORKER_STOPPED else "the run is being cancelled"
    if is_repeatable(lease):
        return Failed(code, f"{why} before the step had ended")
    return Failed(code, f"{why} in the middle of the step, which may have had its effect", outcome_unknown=True)


def of_error(error: BaseException, lease: worker_service_pb2.StepLease, asked_to_stop: str | None) -> Outcome:
    """Of an attempt whose function raised. `asked_to_stop` is CANCELLED or WORKER_STOPPED, None when nobody asked."""
    match error:
        case StepCancelled():
            return Failed(asked_to_stop or CANCELLED, "the step stopped as it was asked to, and nothing happened")
        case asyncio.CancelledError() if asked_to_stop is not None:
            return stopped(lease, asked_to_stop)
        case KeyboardInterrupt():
            return stopped(lease, WORKER_STOPPED)
        case NonRetryable():
            return Failed(code_of(error.code), error.message, non_retryable=True)
        case Retry():
            return Failed(code_of(error.code), error.message, retry_after=error.after)
        case OutcomeUnknown():
            return Failed(error.code, error.message, outcome_unknown=True)
        case StepError():
            return Failed(code_of(error.code), error.message)
        case BadOutput():
            return Failed(BAD_OUTPUT, str(error), non_retryable=True)
        case FairleadError():
            is_final = isinstance(error, _FINAL)
            return Failed(code_of(error.reason), error.message, non_retryable=is_final, retry_after=error.retry_after)
    # INVARIANT (L3): what leaves the process of an unexpected exception is its type and its message, cut; never a
    # traceback, notes or causes, which quote code and values.
    return Failed(EXCEPTION, described(error), error=error)


def described(error: BaseException) -> str:
    """Type and message of an exception."""
    name = type(error).__name__
    try:
        text = str(error)
    except Exception:
        return name
    return f"{name}: {text}" if text else name


def code_of(text: str) -> str:
    """A code as the sidecar takes it. A word in the wrong form is put right: a failure must not lose its meaning."""
    return _NOT_OF_A_CODE.sub("_", text.upper())[:_CODE_MAX_CHARACTERS] or EXCEPTION


def report(
    attempt: worker_service_pb2.AttemptRef, failed: Failed, secret: str | None
) -> worker_service_pb2.FailStepRequest:
    """The failure as it is sent; `secret`, the worker's own token, is cut out of it."""
    message = failed.message
    if secret:
        message = message.replace(secret, "[secret]")
    if len(message) > MESSAGE_MAX_CHARACTERS:
        message = message[: MESSAGE_MAX_CHARACTERS - 1] + "…"
    request = worker_service_pb2.FailStepRequest(
        attempt=attempt,
        code=failed.code,
        # Lone surrogates have no place in protobuf.
        message=message.encode("utf-8", "replace").decode(),
        non_retryable=failed.non_retryable,
        outcome_unknown=failed.outcome_unknown,
        returned=failed.returned,
    )
    if failed.retry_after is not None and failed.retry_after >= 0:
        request.retry_after.FromNanoseconds(int(min(failed.retry_after, _RETRY_AFTER_MAX_SECONDS) * 1e9))
    return request
