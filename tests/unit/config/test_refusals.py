"""Refusals reach the wire as one `ErrorInfo` with bounded details."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from google.rpc import code_pb2, error_details_pb2, status_pb2

from fairlead.control.errors import CODES, DETAILS_MAX_BYTES, FieldViolation, Refusal, answer, to_status
from fairlead.internal.v1 import command_pb2


def details(status: status_pb2.Status) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for packed in status.details:
        name = packed.type_url.rpartition(".")[2]
        assert name not in found, "each type of detail at most once"
        message = getattr(error_details_pb2, name)()
        packed.Unpack(message)
        found[name] = message
    return found


@pytest.mark.parametrize("reason", CODES)
def test_every_reason_has_its_code_and_one_error_info(reason: str) -> None:
    status = to_status(Refusal(reason, "why", {"key": "value"}))
    assert code_pb2.Code.Name(status.code) == CODES[reason].name
    info = details(status)["ErrorInfo"]
    assert (info.reason, info.domain, dict(info.metadata)) == (reason, "fairlead", {"key": "value"})


def test_a_rejection_of_the_core_keeps_all_it_says() -> None:
    rejection = command_pb2.Rejection(
        reason="RATE_LIMITED",
        message="too fast",
        metadata={"limit": "per-agent"},
        retry_after_millis=1500,
        violations=[command_pb2.FieldViolation(field="a", description="b")],
    )
    found = details(to_status(Refusal.from_rejection(rejection)))
    assert found["RetryInfo"].retry_delay.ToMilliseconds() == 1500
    assert found["BadRequest"].field_violations[0].field == "a"
    assert found["ErrorInfo"].metadata["limit"] == "per-agent"


def test_details_stay_bounded_and_say_how_many_there_were() -> None:
    violations = [FieldViolation(f"field[{n}]", "x" * 1000) for n in range(500)]
    status = to_status(Refusal("INVALID_ARGUMENT", "m" * 9000, {"k" * n: "v" * 900 for n in range(1, 40)}, violations))
    assert status.ByteSize() <= DETAILS_MAX_BYTES
    found = details(status)
    assert found["ErrorInfo"].metadata["violations"] == "500"
    assert 0 < len(found["BadRequest"].field_violations) < 500


class Context:
    """Records how a call was aborted."""

    status: Any = None

    async def abort_with_status(self, status: Any) -> None:
        self.status = status
        raise grpc.aio.AbortError


def test_a_servicer_may_raise_and_a_fault_says_nothing_about_itself() -> None:
    class Servicer:
        @answer
        async def refuse(self, request: str, context: Any) -> str:
            raise Refusal("NOT_FOUND", "no such thing")

        @answer
        async def break_down(self, request: str, context: Any) -> str:
            raise RuntimeError("internals")

        @answer
        async def work(self, request: str, context: Any) -> str:
            return request

    async def call(method: Any) -> Any:
        context = Context()
        with pytest.raises(grpc.aio.AbortError):
            await method("request", context)
        return context.status

    servicer = Servicer()
    assert asyncio.run(servicer.work("request", Context())) == "request"
    assert asyncio.run(call(servicer.refuse)).code is grpc.StatusCode.NOT_FOUND
    status = asyncio.run(call(servicer.break_down))
    assert status.code is grpc.StatusCode.INTERNAL and "internals" not in status.details
