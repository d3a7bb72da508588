"""The client always ends what it began, repeats only what is safe, and raises typed errors."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import grpc
import pytest

from fairlead.client import (
    AsyncClient,
    BudgetExhausted,
    Client,
    ConnectionFailed,
    DeadlineExceeded,
    FairleadError,
    LeaseLost,
    PolicyDenied,
    RateLimited,
    TemporarilyUnavailable,
)
from fairlead.v1 import decision_pb2, gate_service_pb2
from tests.unit.client.sidecar import Gate, Refusal, serving

OUTCOME = decision_pb2.AttemptOutcome


@pytest.fixture
def sidecar() -> Iterator[tuple[Gate, Client]]:
    with serving() as (gate, address), Client(address, token="secret-token", timeout=5) as client:
        yield gate, client


def settled(gate: Gate) -> gate_service_pb2.SettleRequest:
    (request,) = [r for r in gate.requests if isinstance(r, gate_service_pb2.SettleRequest)]
    return request


def test_an_invocation_is_settled_with_every_attempt(
    sidecar: tuple[Gate, Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, client = sidecar
    now = 100.0
    monkeypatch.setattr("fairlead.client._attempt.time.monotonic", lambda: now)
    with client.invocation(model="chat", input_bytes=10) as invocation:
        with invocation.attempt() as first:
            now += 0.25
            first.failed(status_code=429, retry_after=1.5)
        now += 1.5
        with invocation.attempt() as second:
            assert second.upstream_model == "up-second"
            second.used(input=7, output=3)
    attempts = settled(gate).attempts
    assert [(a.model, a.outcome, a.status_code) for a in attempts] == [
        ("first", OUTCOME.ATTEMPT_OUTCOME_FAILED, 429),
        ("second", OUTCOME.ATTEMPT_OUTCOME_SUCCEEDED, 200),
    ]
    assert attempts[0].retry_after.ToMilliseconds() == 1500
    # A trace shows the pause where it was made.
    assert (attempts[0].latency.ToMilliseconds(), attempts[1].delay.ToMilliseconds()) == (250, 1500)
    assert (attempts[1].usage.input, attempts[1].usage.output) == (7, 3)
    assert set(gate.authorizations) == {"Bearer secret-token"}


def test_an_exception_settles_the_attempt_as_failed_and_goes_on(sidecar: tuple[Gate, Client]) -> None:
    gate, client = sidecar
    with pytest.raises(RuntimeError, match="prompt text"), client.invocation(input_bytes=10) as invocation:
        with invocation.attempt():
            raise RuntimeError("prompt text that must not leave the process")
    (attempt,) = settled(gate).attempts
    assert attempt.outcome == OUTCOME.ATTEMPT_OUTCOME_FAILED
    assert attempt.detail == "RuntimeError"


def test_an_invocation_without_attempts_is_released(sidecar: tuple[Gate, Client]) -> None:
    gate, client = sidecar
    with pytest.raises(KeyError), client.invocation(input_bytes=10):
        raise KeyError("before anything was sent")
    assert isinstance(gate.requests[-1], gate_service_pb2.ReleaseRequest)


def test_a_refusal_is_raised_by_its_reason_and_not_repeated(sidecar: tuple[Gate, Client]) -> None:
    gate, client = sidecar
    gate.refusals = [Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "BUDGET_EXHAUSTED", {"budget": "run"})]
    with pytest.raises(BudgetExhausted) as caught, client.invocation(input_bytes=10):
        pass
    assert caught.value.metadata["budget"] == "run"
    assert len(gate.requests) == 1


def test_a_rate_limit_tells_when_to_come_back_and_is_not_repeated(sidecar: tuple[Gate, Client]) -> None:
    gate, client = sidecar
    gate.refusals = [Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED", retry_after=0.25)]
    with pytest.raises(RateLimited) as caught, client.invocation(input_bytes=10):
        pass
    assert caught.value.retry_after == 0.25
    assert len(gate.requests) == 1


def test_not_now_is_repeated_with_the_same_request_id(sidecar: tuple[Gate, Client]) -> None:
    gate, client = sidecar
    gate.refusals = [
        Refusal(grpc.StatusCode.UNAVAILABLE, "NOT_READY"),
        Refusal(grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE", retry_after=0.01),
    ]
    with client.invocation(input_bytes=10):
        pass
    admissions = [r.request_id for r in gate.requests if isinstance(r, gate_service_pb2.AdmitRequest)]
    assert len(admissions) == 3
    assert len(set(admissions)) == 1


def test_repetition_ends_with_the_deadline(sidecar: tuple[Gate, Client]) -> None:
    gate, client = sidecar
    gate.refusals = [Refusal(grpc.StatusCode.UNAVAILABLE, "DRAINING", retry_after=3600)]
    with pytest.raises(TemporarilyUnavailable), client.invocation(input_bytes=10):
        pass
    assert len(gate.requests) == 1


def test_resource_exhausted_without_details_is_not_taken_for_a_budget(sidecar: tuple[Gate, Client]) -> None:
    gate, client = sidecar
    gate.refusals = [Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "")]
    with pytest.raises(FairleadError) as caught, client.invocation(input_bytes=10):
        pass
    assert type(caught.value) is FairleadError
    assert caught.value.reason == "RESOURCE_EXHAUSTED"


def test_no_sidecar_is_a_connection_failure() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with Client(address, token="t", timeout=30) as client, pytest.raises(ConnectionFailed):
            client.admit(gate_service_pb2.AdmitRequest(request_id="r"))


def test_a_stream_is_never_repeated_and_its_end_is_typed(sidecar: tuple[Gate, Client]) -> None:
    gate, client = sidecar
    gate.refusals = [Refusal(grpc.StatusCode.PERMISSION_DENIED, "POLICY_DENIED", {"rule": "no"})]
    parts = []
    with pytest.raises(PolicyDenied):
        for part in client.stream_generate({"messages": []}, workload="w"):
            parts.append(part)
    assert [part.WhichOneof("part") for part in parts] == ["start", "event"]
    assert len(gate.requests) == 1


def test_the_asyncio_client_settles_even_when_its_task_is_cancelled() -> None:
    async def scenario(gate: Gate, address: str) -> None:
        async with AsyncClient(address, token="t", timeout=5) as client:
            sending = asyncio.Event()

            async def agent() -> None:
                async with client.invocation(model="chat", input_tokens=5) as invocation:
                    with invocation.attempt():
                        sending.set()
                        await asyncio.Event().wait()

            task = asyncio.create_task(agent())
            await sending.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        (attempt,) = settled(gate).attempts
        assert attempt.outcome == OUTCOME.ATTEMPT_OUTCOME_CANCELLED

    with serving() as (gate, address):
        asyncio.run(scenario(gate, address))


def test_the_asyncio_client_repeats_not_now_and_raises_refusals() -> None:
    async def scenario(gate: Gate, address: str) -> None:
        async with AsyncClient(address, token="t", timeout=5) as client:
            gate.refusals = [Refusal(grpc.StatusCode.UNAVAILABLE, "NOT_READY")]
            async with client.invocation(input_bytes=1) as invocation:
                assert [target.model for target in invocation.plan] == ["first", "second"]
            gate.refusals = [Refusal(grpc.StatusCode.PERMISSION_DENIED, "POLICY_DENIED")]
            with pytest.raises(PolicyDenied):
                await client.admit(gate_service_pb2.AdmitRequest(request_id="r"))

    with serving() as (gate, address):
        asyncio.run(scenario(gate, address))


def test_an_attempt_nobody_ended_counts_as_answered(sidecar: tuple[Gate, Client]) -> None:
    gate, client = sidecar
    with client.invocation(input_bytes=10) as invocation:
        invocation.attempt()
    (attempt,) = settled(gate).attempts
    assert attempt.outcome == OUTCOME.ATTEMPT_OUTCOME_SUCCEEDED
    assert not attempt.HasField("usage"), "unknown usage is charged as the worst case"


def test_a_hold_whose_answer_came_too_late_is_given_back(sidecar: tuple[Gate, Client]) -> None:
    gate, client = sidecar
    invocation = client.invocation(input_bytes=10)
    gate.refusals = [Refusal(grpc.StatusCode.DEADLINE_EXCEEDED, "")]
    with pytest.raises(DeadlineExceeded), invocation:
        pass
    assert isinstance(gate.requests[-1], gate_service_pb2.ReleaseRequest)


def test_an_admission_that_is_cancelled_is_given_back() -> None:
    async def scenario(gate: Gate, address: str) -> None:
        gate.answering.clear()
        async with AsyncClient(address, token="t", timeout=5) as client:

            async def agent() -> None:
                async with client.invocation(input_bytes=10):
                    raise AssertionError("it was cancelled before it was admitted")

            task = asyncio.create_task(agent())
            await asyncio.to_thread(gate.admitted.wait, 5)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            gate.answering.set()
        first, again, release = gate.requests
        assert isinstance(first, gate_service_pb2.AdmitRequest) and first == again
        assert isinstance(release, gate_service_pb2.ReleaseRequest) and release.invocation == "inv_1"

    with serving() as (gate, address):
        asyncio.run(scenario(gate, address))


def test_the_calls_of_a_bound_client_carry_its_facts(sidecar: tuple[Gate, Client]) -> None:
    gate, client = sidecar
    with client.bound(run="runs/run_1", step="parse", session="s") as bound:
        with bound.invocation(input_bytes=1, session="other"):
            pass
        asked = gate_service_pb2.AdmitRequest(request_id="r", step="mine", input_bytes=1)
        bound.admit(asked)
    # Closing it closed nothing, and the client itself says no more than before.
    with client.invocation(input_bytes=1):
        pass
    admissions = [r for r in gate.requests if isinstance(r, gate_service_pb2.AdmitRequest)]
    assert [(a.run, a.step, a.session) for a in admissions] == [
        ("runs/run_1", "parse", "other"),
        ("runs/run_1", "mine", "s"),
        ("", "", ""),
    ]
    assert asked.run == "", "the message of the caller is not touched"


def test_a_bound_asyncio_client_does_the_same() -> None:
    async def scenario(address: str) -> None:
        async with AsyncClient(address, token="t") as client:
            async with client.bound(run="runs/run_1") as bound, bound.invocation(input_bytes=1):
                pass
            async with client.invocation(input_bytes=1):
                pass

    with serving() as (gate, address):
        asyncio.run(scenario(address))
    admissions = [r for r in gate.requests if isinstance(r, gate_service_pb2.AdmitRequest)]
    assert [a.run for a in admissions] == ["runs/run_1", ""]


def test_a_lost_lease_is_an_error_of_its_own(sidecar: tuple[Gate, Client]) -> None:
    gate, client = sidecar
    gate.refusals = [Refusal(grpc.StatusCode.ABORTED, "LEASE_LOST")]
    with pytest.raises(LeaseLost), client.invocation(input_bytes=1):
        pass
