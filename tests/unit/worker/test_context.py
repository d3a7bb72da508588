"""What a function gets to see, and that its calls carry its run."""

from __future__ import annotations

import json
import threading
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from fairlead.client import _requests as requests
from fairlead.v1 import approval_service_pb2, gate_service_pb2, model_service_pb2
from fairlead.v1 import worker_service_pb2 as pb
from fairlead.worker import AsyncStepContext, StepContext, StepEffect, ToolPending, Worker
from fairlead.worker import _facts as facts
from tests.unit.client.sidecar import Refusal
from tests.unit.worker.service import RUN, SIDE_EFFECT, WRITE, Service, outputs, running, worker_of

Sidecar = tuple[Service, str]
DEADLINE = 4_000_000_000


def run_one(sidecar: Sidecar, register: Callable[[Worker], Any], **fields: Any) -> Any:
    """What is reported of one step: the result, or the failure."""
    service, address = sidecar
    lease = service.add({"amount": 20}, **fields)
    worker = worker_of(address)
    register(worker)
    with running(worker):
        service.ended(lease)
    return service.failed[lease] if lease in service.failed else outputs(service, [lease])[0]


def of_kind(service: Service, kind: type[Any]) -> list[Any]:
    return [request for request in service.requests if isinstance(request, kind)]


def granted(arguments: bytes = b'{"amount": 20}') -> gate_service_pb2.AuthorizeToolResponse:
    constraints = gate_service_pb2.ToolConstraints(arguments=arguments)
    return gate_service_pb2.AuthorizeToolResponse(
        granted=gate_service_pb2.ToolGranted(grant="grt_1", idempotency_key="k", constraints=constraints)
    )


def pending(ticket: str = "tkt_1") -> gate_service_pb2.AuthorizeToolResponse:
    answer = gate_service_pb2.ToolPending(ticket=ticket, approval="approvals/apr_1", expires_at=Timestamp(seconds=9))
    answer.poll_after.FromSeconds(2)
    return gate_service_pb2.AuthorizeToolResponse(pending=answer)


def ticket(state: str) -> approval_service_pb2.Ticket:
    return approval_service_pb2.Ticket(
        ticket="tkt_1",
        approval="approvals/apr_1",
        state=approval_service_pb2.ApprovalState.Value(f"APPROVAL_STATE_{state}"),
        reason="ben said no",
        expire_time=Timestamp(seconds=9),
    )


def test_the_facts_of_an_attempt() -> None:
    seen: dict[str, Any] = {}
    lease = pb.StepLease(
        run=RUN,
        step="score[17]",
        epoch=3,
        attempt=2,
        queue="scorer",
        workflow="loan",
        session="s-4",
        labels={"tier": "free"},
        idempotency_key="offer/7",
        effect=SIDE_EFFECT,
        compensation=True,
        compensates=b'{"id": 7}',
        attempt_expire_time=Timestamp(seconds=DEADLINE),
    )
    step = facts.StepFacts(FakeAttempt(lease))  # type: ignore[arg-type]
    for name in ("run", "step", "epoch", "attempt", "queue", "workflow", "session", "labels", "idempotency_key"):
        seen[name] = getattr(step, name)
    assert seen == {
        "run": RUN,
        "step": "score[17]",
        "epoch": 3,
        "attempt": 2,
        "queue": "scorer",
        "workflow": "loan",
        "session": "s-4",
        "labels": {"tier": "free"},
        "idempotency_key": "offer/7",
    }
    assert (step.effect, step.compensation, step.result) == (StepEffect.SIDE_EFFECT, True, {"id": 7})
    assert step.deadline == datetime.fromtimestamp(DEADLINE, UTC)
    headers = {"x-fairlead-run": RUN, "x-fairlead-step": "score[17]", "x-fairlead-session": "s-4"}
    assert step.headers == step.openai_headers() == headers


def test_what_a_lease_leaves_open() -> None:
    step = facts.StepFacts(FakeAttempt(pb.StepLease(run=RUN, step="s")))  # type: ignore[arg-type]
    assert (step.effect, step.result, step.deadline) == (StepEffect.SIDE_EFFECT, None, None)
    assert step.headers == {"x-fairlead-run": RUN, "x-fairlead-step": "s"}


class FakeAttempt:
    """As much of an attempt as the facts look at."""

    def __init__(self, lease: pb.StepLease) -> None:
        self.lease, self.cancelled, self.progress = lease, threading.Event(), ""


# Compensation ---------------------------------------------------------------------------------------------------------


def test_a_compensation_goes_to_its_function_and_sees_what_it_takes_back(sidecar: Sidecar) -> None:
    def register(worker: Worker) -> None:
        worker.step("offer")(lambda value: "made")

        @worker.compensation("offer")
        def retract(value: Any, step: StepContext) -> Any:
            return [value, step.result, step.compensation]

    taken_back = run_one(sidecar, register, queue="offer", compensation=True, compensates=b'{"id": 7}')
    assert taken_back == [{"amount": 20}, {"id": 7}, True]
    assert run_one(sidecar, register, queue="offer") == "made"


def test_a_step_function_gets_compensations_where_there_is_no_other(sidecar: Sidecar) -> None:
    def register(worker: Worker) -> None:
        worker.step("offer")(lambda value, step: [step.compensation, step.result])

    assert run_one(sidecar, register, queue="offer", compensation=True, compensates=b"7") == [True, 7]


# Calls ----------------------------------------------------------------------------------------------------------------


def test_model_calls_carry_the_run(sidecar: Sidecar) -> None:
    service, _ = sidecar
    body = {"model": "chat", "messages": []}

    def register(worker: Worker) -> None:
        @worker.step("q")
        def ask(_: Any, step: StepContext) -> Any:
            step.generate(body)
            step.client.generate(body, workload="w", step="mine")
            step.admit(requests.admit(input_bytes=1, session="other"))
            with step.invocation(input_bytes=10):
                pass
            return next(part.start.invocation for part in step.stream_generate(body))

    assert run_one(sidecar, register) == "inv_2"
    contexts = [request.context for request in of_kind(service, model_service_pb2.GenerateRequest)]
    assert [(c.run, c.step, c.session, c.workload) for c in contexts] == [
        (RUN, "s1", "s-4", ""),
        (RUN, "mine", "s-4", "w"),
    ]
    admissions = of_kind(service, gate_service_pb2.AdmitRequest)
    assert [(a.run, a.step, a.session) for a in admissions] == [(RUN, "s1", "other"), (RUN, "s1", "s-4")]
    (streamed,) = of_kind(service, model_service_pb2.StreamGenerateRequest)
    assert (streamed.context.run, streamed.context.step, streamed.context.session) == (RUN, "s1", "s-4")


def test_model_calls_of_async_functions_carry_the_run(sidecar: Sidecar) -> None:
    service, _ = sidecar
    body = {"model": "chat", "messages": []}

    def register(worker: Worker) -> None:
        @worker.step("q")
        async def ask(_: Any, step: AsyncStepContext) -> Any:
            await step.generate(body)
            await step.admit(requests.admit(input_bytes=1))
            async with step.invocation(input_bytes=10):
                pass
            async for part in step.stream_generate(body):
                return part.start.invocation

    assert run_one(sidecar, register) == "inv_2"
    for kind in (model_service_pb2.GenerateRequest, model_service_pb2.StreamGenerateRequest):
        (request,) = of_kind(service, kind)
        assert (request.context.run, request.context.step, request.context.session) == (RUN, "s1", "s-4")
    assert {(a.run, a.step) for a in of_kind(service, gate_service_pb2.AdmitRequest)} == {(RUN, "s1")}


def calls_tool(worker: Worker, kind: str, called: list[Any], **how: Any) -> None:
    """A step that calls one tool."""

    def refund(arguments: dict[str, Any]) -> Any:
        called.append(arguments)
        return "refunded"

    async def refund_on_loop(arguments: dict[str, Any]) -> Any:
        return refund(arguments)

    def step(value: Any, step: StepContext) -> Any:
        return step.call_tool("payments.refund", value, refund, **how)

    async def step_on_loop(value: Any, step: AsyncStepContext) -> Any:
        return await step.call_tool("payments.refund", value, refund_on_loop, **how)

    worker.step("q")(step if kind == "sync" else step_on_loop)


KINDS = pytest.mark.parametrize("kind", ["sync", "async"])


@KINDS
def test_tool_calls_carry_the_run_and_the_same_key_in_every_attempt(sidecar: Sidecar, kind: str) -> None:
    service, _ = sidecar
    service.tools = [granted(b'{"amount": 19}')]
    called: list[Any] = []
    for attempt in (1, 2):
        again = {"attempt": attempt, "epoch": attempt, "step": "pay", "idempotency_key": "offer/7", "effect": WRITE}
        assert run_one(sidecar, lambda worker: calls_tool(worker, kind, called), **again) == "refunded"
    assert called == [{"amount": 19}] * 2
    first, second = of_kind(service, gate_service_pb2.AuthorizeToolRequest)
    assert (first.run, first.step, first.session, first.tool) == (RUN, "pay", "s-4", "payments.refund")
    assert first.idempotency_key == second.idempotency_key
    assert first.idempotency_key.startswith("offer/7/payments.refund/")
    assert first.request_id != second.request_id


@KINDS
def test_a_key_of_the_function_itself_wins(sidecar: Sidecar, kind: str) -> None:
    service, _ = sidecar
    service.tools = [granted()]
    run_one(sidecar, lambda worker: calls_tool(worker, kind, [], idempotency_key="refund/4711", session="s-9"))
    (asked,) = of_kind(service, gate_service_pb2.AuthorizeToolRequest)
    assert (asked.idempotency_key, asked.session) == ("refund/4711", "s-9")


@KINDS
def test_a_tool_call_waits_for_people_and_keeps_its_lease(sidecar: Sidecar, kind: str) -> None:
    service, _ = sidecar
    service.tools = [pending(), granted()]
    service.tickets = [ticket("PENDING"), ticket("PENDING"), ticket("APPROVED")]
    called: list[Any] = []
    done = run_one(sidecar, lambda worker: calls_tool(worker, kind, called), extension=0.3)
    assert done == "refunded" and len(called) == 1
    asked = of_kind(service, gate_service_pb2.AuthorizeToolRequest)
    assert [request.ticket for request in asked] == ["", "tkt_1"]
    assert asked[0].idempotency_key == asked[1].idempotency_key


@KINDS
def test_without_waiting_the_step_is_tried_again_later(sidecar: Sidecar, kind: str) -> None:
    service, _ = sidecar
    service.tools = [pending()]
    failed = run_one(sidecar, lambda worker: calls_tool(worker, kind, [], wait=False))
    assert (failed.code, failed.non_retryable, failed.outcome_unknown) == ("APPROVAL_PENDING", False, False)
    assert failed.retry_after.ToSeconds() == 2
    assert not of_kind(service, approval_service_pb2.WaitTicketRequest)


@KINDS
def test_people_who_have_not_decided_in_time_are_a_typed_error(sidecar: Sidecar, kind: str) -> None:
    service, address = sidecar
    service.tools, service.tickets = [pending()], [ticket("PENDING")]
    caught: list[ToolPending] = []
    worker = worker_of(address)
    call_tool: list[Callable[..., Any]] = []
    calls_tool(_Catching(call_tool), kind, [], wait=0.05)  # type: ignore[arg-type]

    def step(value: Any, step: StepContext) -> None:
        try:
            call_tool[0](value, step)
        except ToolPending as error:
            caught.append(error)

    async def step_on_loop(value: Any, step: AsyncStepContext) -> None:
        try:
            await awaitable(call_tool[0](value, step))
        except ToolPending as error:
            caught.append(error)

    worker.step("q")(step if kind == "sync" else step_on_loop)
    lease = service.add({"amount": 20})
    with running(worker):
        service.ended(lease)
    assert [error.ticket for error in caught] == ["tkt_1"]
    assert of_kind(service, approval_service_pb2.WaitTicketRequest)


def awaitable(value: Any) -> Awaitable[Any]:
    found: Awaitable[Any] = value
    return found


class _Catching:
    """Takes a function instead of registering it."""

    def __init__(self, taken: list[Callable[..., Any]]) -> None:
        self._taken = taken

    def step(self, _: str) -> Callable[..., Any]:
        return self._taken.append


@KINDS
def test_people_who_refuse_end_the_step_for_good(sidecar: Sidecar, kind: str) -> None:
    service, _ = sidecar
    service.tools, service.tickets = [pending()], [ticket("REJECTED")]
    refusal = Refusal(grpc.StatusCode.PERMISSION_DENIED, "POLICY_DENIED", {"cause": "approval", "state": "REJECTED"})
    service.script["AuthorizeTool"] = [None, refusal]
    failed = run_one(sidecar, lambda worker: calls_tool(worker, kind, []))
    assert (failed.code, failed.non_retryable) == ("POLICY_DENIED", True)
    assert [request.ticket for request in service.of("AuthorizeTool")] == ["", "tkt_1"]


@KINDS
def test_a_cancelled_run_ends_the_waiting_for_people(
    sidecar: Sidecar, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fairlead.worker._context.WAIT_SLICE_SECONDS", 0.05)
    service, _ = sidecar
    service.tools, service.tickets = [pending()], [ticket("PENDING")]
    service.cancelling.add("lease-1")
    failed = run_one(sidecar, lambda worker: calls_tool(worker, kind, []), extension=0.3, effect=SIDE_EFFECT)
    # Nothing has happened, and that is known.
    assert (failed.code, failed.outcome_unknown) == ("CANCELLED", False)


# Keys -----------------------------------------------------------------------------------------------------------------


def test_keys_of_tool_calls() -> None:
    lease = pb.StepLease(run=RUN, step="pay")
    key = facts.tool_key(lease, "mail.send", {"to": "ä", "n": 1})
    assert key == facts.tool_key(lease, "mail.send", json.dumps({"n": 1, "to": "ä"}).encode())
    assert key.startswith(f"{RUN}/pay/mail.send/")
    others = [
        facts.tool_key(lease, "mail.send", {"to": "b", "n": 1}),
        facts.tool_key(lease, "mail.draft", {"to": "ä", "n": 1}),
        facts.tool_key(pb.StepLease(run=RUN, step="pay[1]"), "mail.send", {"to": "ä", "n": 1}),
        facts.tool_key(pb.StepLease(run=RUN, step="pay", compensation=True), "mail.send", {"to": "ä", "n": 1}),
        facts.tool_key(pb.StepLease(run=RUN, step="pay", idempotency_key="k"), "mail.send", {"to": "ä", "n": 1}),
    ]
    assert len({key, *others}) == 6
    # The sidecar takes 256 characters.
    long = facts.tool_key(pb.StepLease(idempotency_key="k" * 256), "mail.send", {})
    assert len(long) <= 256 and long != facts.tool_key(pb.StepLease(idempotency_key="k" * 255), "mail.send", {})
    assert facts.tool_key(lease, "t", b"") == facts.tool_key(lease, "t", {})
