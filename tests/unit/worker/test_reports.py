"""How an attempt ended is told in the sidecar's words, without secrets, and until the sidecar has it."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from typing import Any

import grpc
import pytest

from fairlead.client import ApprovalRejected, BudgetExhausted, PayloadTooLarge, PolicyDenied, RateLimited
from fairlead.v1 import worker_service_pb2 as pb
from fairlead.worker import NonRetryable, OutcomeUnknown, Retry, StepCancelled, StepError
from tests.unit.client.sidecar import Refusal
from tests.unit.worker.service import LOST, SIDE_EFFECT, UNAVAILABLE, Service, outputs, running, worker_of

Sidecar = tuple[Service, str]
SECRET = "sk-canary-0001"


@dataclasses.dataclass
class Income:
    amount: int
    parts: list[Any]


class Model:
    """As pydantic's, as far as the worker looks at it."""

    def model_dump(self, mode: str) -> dict[str, str]:
        return {"mode": mode}


def raising(service: Service, address: str, error: BaseException, kind: str = "sync") -> pb.FailStepRequest:
    """What is reported of a function that raises this."""
    lease = service.add(effect=SIDE_EFFECT)
    worker = worker_of(address)

    def work(_: Any) -> None:
        raise error

    async def work_on_loop(_: Any) -> None:
        raise error

    worker.step("q")(work if kind == "sync" else work_on_loop)
    with running(worker):
        service.ended(lease)
    assert lease not in service.completed
    return service.failed[lease]


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize(
    ("error", "code", "message", "flags"),
    [
        (NonRetryable("BAD_INPUT", "no documents"), "BAD_INPUT", "no documents", "non_retryable"),
        (Retry("BUSY", "later"), "BUSY", "later", ""),
        (Retry("BUSY", "later", after=1.5), "BUSY", "later", "retry_after=1.5"),
        (Retry("BUSY", "for ever", after=float("inf")), "BUSY", "for ever", f"retry_after={30 * 86400.0}"),
        (OutcomeUnknown("timed out after the transfer"), "OUTCOME_UNKNOWN", "timed out after the transfer", "unknown"),
        (StepCancelled("asked"), "CANCELLED", "the step stopped as it was asked to, and nothing happened", ""),
        (StepError("odd code!", "x"), "ODD_CODE_", "x", ""),
        (ValueError("amount is 3"), "EXCEPTION", "ValueError: amount is 3", ""),
        (KeyError(), "EXCEPTION", "KeyError", ""),
        (SystemExit(2), "EXCEPTION", "SystemExit: 2", ""),
        (BudgetExhausted("run is out", reason="BUDGET_EXHAUSTED"), "BUDGET_EXHAUSTED", "run is out", ""),
        (RateLimited("slow", reason="RATE_LIMITED", retry_after=2.0), "RATE_LIMITED", "slow", "retry_after=2.0"),
        (PolicyDenied("no", reason="POLICY_DENIED"), "POLICY_DENIED", "no", "non_retryable"),
        (ApprovalRejected("ben said no", reason="POLICY_DENIED"), "POLICY_DENIED", "ben said no", "non_retryable"),
        (PayloadTooLarge("big", reason="PAYLOAD_TOO_LARGE"), "PAYLOAD_TOO_LARGE", "big", "non_retryable"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_what_a_function_raises_is_told(
    sidecar: Sidecar, kind: str, error: BaseException, code: str, message: str, flags: str
) -> None:
    failed = raising(*sidecar, error, kind)
    told = "non_retryable" if failed.non_retryable else "unknown" if failed.outcome_unknown else ""
    if failed.HasField("retry_after"):
        told += f"retry_after={failed.retry_after.ToMilliseconds() / 1000}"
    assert (failed.code, failed.message, told) == (code, message, flags)
    assert not failed.returned


def test_no_traceback_no_cause_and_no_token_leaves_the_process(sidecar: Sidecar) -> None:
    try:
        password = SECRET
        try:
            raise ValueError(f"wrong password {password}")
        except ValueError as cause:
            raise RuntimeError("login failed for secret-token " + "x" * 5000) from cause
    except RuntimeError as raised:
        raised.add_note(SECRET)
        error = raised
    failed = raising(*sidecar, error)
    assert failed.message.startswith("RuntimeError: login failed for [secret] xxx")
    assert len(failed.message) == 2048 and failed.message.endswith("…")
    for forbidden in (SECRET, "secret-token", "Traceback", __file__):
        assert forbidden not in str(failed)


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError(SECRET)


class WithoutCode(NonRetryable):
    def __init__(self) -> None:
        pass


def test_an_exception_that_is_not_what_it_should_be_still_ends_the_attempt(sidecar: Sidecar) -> None:
    failed = raising(*sidecar, WithoutCode())
    assert (failed.code, failed.message) == ("EXCEPTION", "WithoutCode")


def test_an_exception_without_text_and_odd_characters_do_no_harm(sidecar: Sidecar) -> None:
    assert raising(*sidecar, Unprintable()).message == "Unprintable"
    assert raising(*sidecar, ValueError("half \ud83d of it")).message == "ValueError: half ? of it"


def test_an_argument_parser_in_a_step_does_not_end_the_worker(sidecar: Sidecar) -> None:
    service, address = sidecar
    first, second = service.add(["--nonsense"]), service.add([])
    worker = worker_of(address, concurrency=1)
    worker.step("q")(lambda arguments: vars(argparse.ArgumentParser().parse_args(arguments)))
    with running(worker):
        service.ended(first, second)
    assert service.failed[first].code == "EXCEPTION" and second in service.completed


@pytest.mark.parametrize(
    ("value", "output"),
    [
        (None, None),
        ({"a": [1, 2.5, "ä", True]}, {"a": [1, 2.5, "ä", True]}),
        (Model(), {"mode": "json"}),
        (Income(3, [Model(), Income(1, [])]), {"amount": 3, "parts": [{"mode": "json"}, {"amount": 1, "parts": []}]}),
        ([Model()], [{"mode": "json"}]),
    ],
)
def test_results_are_json(sidecar: Sidecar, value: Any, output: Any) -> None:
    service, address = sidecar
    lease = service.add()
    worker = worker_of(address)
    worker.step("q")(lambda _: value)
    with running(worker):
        service.ended(lease)
    assert outputs(service, [lease]) == [output]


async def never_awaited() -> None:
    pass


class BrokenModel:
    def model_dump(self, mode: str) -> Any:
        raise KeyError(SECRET)


CYCLE: list[Any] = []
CYCLE.append(CYCLE)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: {SECRET}, "an object of type set"),
        (lambda: object(), "an object of type object"),
        (lambda: Income, "the class Income"),
        (lambda: [BrokenModel()], "model_dump() of BrokenModel raised KeyError"),
        (lambda: float("nan"), "not JSON"),
        (lambda: {(1, 2): 3}, "keys must be"),
        (lambda: CYCLE, "Circular"),
        (lambda: "\ud83d", "surrogates"),
        (never_awaited, "returned a coroutine"),
    ],
)
def test_a_result_that_is_not_json_is_said_once_and_for_all(sidecar: Sidecar, make: Any, named: str) -> None:
    service, address = sidecar
    lease = service.add()
    worker = worker_of(address)
    worker.step("q")(lambda _: make())
    with running(worker):
        service.ended(lease)
    failed = service.failed[lease]
    assert (failed.code, failed.non_retryable) == ("BAD_OUTPUT", True)
    assert named in failed.message and SECRET not in failed.message


def test_a_result_that_is_too_large_fails_as_the_sidecar_says(sidecar: Sidecar) -> None:
    service, address = sidecar
    service.script["CompleteStep"] = [Refusal(grpc.StatusCode.INVALID_ARGUMENT, "PAYLOAD_TOO_LARGE")]
    large, small = service.add(), service.add()
    worker = worker_of(address, concurrency=1)
    worker.step("q")(lambda _: "x")
    with running(worker):
        service.ended(large, small)
    assert (service.failed[large].code, service.failed[large].non_retryable) == ("PAYLOAD_TOO_LARGE", True)
    assert small in service.completed


def test_a_result_that_grpc_itself_does_not_take_fails_for_good(sidecar: Sidecar) -> None:
    """The server of the test takes 4 MiB, and answers without a reason of Fairlead's."""
    service, address = sidecar
    lease = service.add()
    worker = worker_of(address)
    worker.step("q")(lambda _: "x" * (5 << 20))
    with running(worker):
        service.ended(lease)
    assert (service.failed[lease].code, service.failed[lease].non_retryable) == ("PAYLOAD_TOO_LARGE", True)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("UNAVAILABLE", ""),
        ("UNAVAILABLE", "DRAINING"),
        ("UNAVAILABLE", "NOT_READY"),
        ("UNAVAILABLE", "STORE_UNAVAILABLE"),
        ("RESOURCE_EXHAUSTED", "QUEUE_FULL"),
        ("UNAUTHENTICATED", "CREDENTIAL_INVALID"),
        ("INTERNAL", "INTERNAL"),
        ("CANCELLED", ""),
        ("DEADLINE_EXCEEDED", ""),
    ],
)
def test_a_result_is_kept_and_sent_again_until_it_is_taken(sidecar: Sidecar, code: str, reason: str) -> None:
    service, address = sidecar
    service.script["CompleteStep"] = [Refusal(grpc.StatusCode[code], reason)] * 3
    lease, other = service.add(1), service.add(2)
    calls: list[int] = []
    worker = worker_of(address, concurrency=1)
    worker.step("q")(calls.append)
    with running(worker):
        service.ended(lease, other)
    assert calls == [1, 2], "the function is not called again for its result"
    first, *again = service.of("CompleteStep")[:4]
    assert [(request.attempt, request.output) for request in again] == [(first.attempt, first.output)] * 3
    # Only the first try asks for more: its answer may have leased steps that nobody knows of.
    assert first.HasField("next") and not any(request.HasField("next") for request in again)


def test_a_result_counts_though_the_agent_may_not_lease_from_the_queue_any_more(sidecar: Sidecar) -> None:
    service, address = sidecar
    denied = Refusal(grpc.StatusCode.PERMISSION_DENIED, "POLICY_DENIED", {"queue": "q"})
    service.script["CompleteStep"], service.script["LeaseSteps"] = [denied], [None, denied]
    lease = service.add(1)
    worker = worker_of(address, concurrency=1)
    worker.step("q")(lambda value: value)
    with pytest.raises(PolicyDenied), running(worker) as thread:
        service.ended(lease)
        thread.join(20)
    assert outputs(service, [lease]) == [1] and not service.failed
    assert [request.HasField("next") for request in service.of("CompleteStep")] == [True, False]


def test_an_answer_that_is_lost_does_no_harm(sidecar: Sidecar) -> None:
    service, address = sidecar
    service.losing_answers = 2
    lease = service.add(7)
    worker = worker_of(address)
    worker.step("q")(lambda value: value)
    with running(worker):
        service.wait(lambda: len(service.of("CompleteStep")) == 3)
        service.ended(lease)
    assert outputs(service, [lease]) == [7] and not service.failed


def test_a_lease_that_is_lost_while_its_result_waits_ends_it(sidecar: Sidecar) -> None:
    service, address = sidecar
    service.script["CompleteStep"] = [UNAVAILABLE, UNAVAILABLE, LOST]
    lease, other = service.add(1), service.add(2)
    worker = worker_of(address, concurrency=1)
    worker.step("q")(lambda value: value)
    with running(worker):
        service.ended(other)
    assert lease not in service.completed and not service.failed


def test_a_failure_is_kept_and_sent_again(sidecar: Sidecar) -> None:
    service, address = sidecar
    service.script["FailStep"] = [UNAVAILABLE, Refusal(grpc.StatusCode.UNAVAILABLE, "")]
    assert raising(service, address, NonRetryable("BAD_INPUT", "x")).code == "BAD_INPUT"
    assert len(service.of("FailStep")) == 3


def test_the_traceback_stays_in_the_log_of_the_worker(sidecar: Sidecar, caplog: pytest.LogCaptureFixture) -> None:
    raising(*sidecar, ValueError("amount is 3"))
    (record,) = [record for record in caplog.records if record.exc_info]
    assert "EXCEPTION: ValueError: amount is 3" in record.getMessage()
    assert RUN_IN_LOG in record.getMessage()


RUN_IN_LOG = "step s1 of runs/run_0197a0b0c0d07000800000000000000d (attempt 1, epoch 1)"


def test_input_that_is_deep_is_a_failure_like_any_other(sidecar: Sidecar) -> None:
    service, address = sidecar
    lease = service.add(input=b"[" * (sys.getrecursionlimit() * 20))
    worker = worker_of(address)
    worker.step("q")(lambda value: value)
    with running(worker):
        service.ended(lease)
    assert service.failed[lease].code == "EXCEPTION"
