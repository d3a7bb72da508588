"""The example client in Python: the reference that the clients in other languages are compared with.

It goes through the scenes of examples/clients/README.md and prints one JSON line for each. The SDK does what it has,
and the stubs that come with it do the rest. A worker of your own would be a `fairlead.worker.Worker`.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from itertools import islice, pairwise
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2

from fairlead.client import Client, FairleadError, Granted, Pending, Replayed, ToolOutcome
from fairlead.v1 import (
    approval_service_pb2,
    approval_service_pb2_grpc,
    audit_record_pb2,
    audit_service_pb2,
    audit_service_pb2_grpc,
    decision_pb2,
    gate_service_pb2,
    run_pb2,
    worker_service_pb2,
    worker_service_pb2_grpc,
    workflow_service_pb2,
    workflow_service_pb2_grpc,
)

TIMEOUT_SECONDS = 30.0
REFUND = b'{"amount":250}'
Line = dict[str, Any]


class Scenario:
    """One pass through the scenes, against one sidecar."""

    def __init__(self) -> None:
        self._target, token = os.environ["FAIRLEAD_ENDPOINT"], os.environ["FAIRLEAD_TOKEN"]
        self._client = Client(self._target, token=token, timeout=TIMEOUT_SECONDS)
        self._metadata = (("authorization", f"Bearer {token}"),)
        channel = grpc.insecure_channel(self._target)
        self._tickets: Any = approval_service_pb2_grpc.ApprovalTicketServiceStub(channel)
        self._runs: Any = workflow_service_pb2_grpc.WorkflowServiceStub(channel)
        self._work: Any = worker_service_pb2_grpc.WorkerServiceStub(channel)
        operator = grpc.insecure_channel("unix:" + os.environ["FAIRLEAD_OPERATOR_SOCKET"])
        self._audit: Any = audit_service_pb2_grpc.AuditServiceStub(operator)

    def play(self) -> None:
        """All scenes, in order."""
        self.refusals(self.settle(self.admit()))
        self.tool()
        self.events(self.run())
        self.deadline()
        self.reconnect()

    # Model calls that the agent makes itself -----------------------------------------------------------------------

    def admit(self) -> str:
        first = self._client.admit(admission("admit-1"))
        again = self._client.admit(admission("admit-1"))
        held = first.reservation.amount
        say(
            "admit",
            invocation=first.invocation,
            again=again.invocation,
            model=first.plan[0].model,
            max_output_tokens=first.max_output_tokens,
            held=amount(held),
        )
        return first.invocation

    def settle(self, invocation: str) -> str:
        attempt = decision_pb2.Attempt(model="small", outcome=decision_pb2.ATTEMPT_OUTCOME_SUCCEEDED, status_code=200)
        attempt.usage.input, attempt.usage.output = 100, 20
        done = self._client.settle(
            gate_service_pb2.SettleRequest(request_id="settle-1", invocation=invocation, attempts=[attempt])
        )
        say("settle", charged=amount(done.charged), released=amount(done.released), late=done.late)
        return invocation

    def refusals(self, settled: str) -> None:
        def limited() -> None:
            for number in (1, 2):
                self._client.admit(admission(f"paced-{number}", labels={"pace": "slow"}))

        def settle_again() -> None:
            self._client.settle(gate_service_pb2.SettleRequest(request_id="settle-2", invocation=settled))

        def stranger() -> None:
            with Client(self._target, token="wrong", timeout=TIMEOUT_SECONDS) as client:
                client.admit(admission("stranger"))

        def nowhere() -> None:
            self._client.settle(gate_service_pb2.SettleRequest(request_id="nowhere", invocation="inv_" + "0" * 32))

        say(
            "refusals",
            budget=refusal(lambda: self._client.admit(admission("tiny", labels={"tier": "tiny"}))),
            policy=refusal(lambda: self._client.admit(admission("forbidden", workload="forbidden"))),
            rate=refusal(limited),
            state=refusal(settle_again),
            argument=refusal(lambda: self._client.admit(gate_service_pb2.AdmitRequest(model="small"))),
            credential=refusal(stranger),
            missing=refusal(nowhere),
        )

    # Tools ---------------------------------------------------------------------------------------------------------

    def tool(self) -> None:
        def ask(request_id: str, ticket: str = "") -> Any:
            return self._client.authorize_tool(
                "payments.refund", REFUND, idempotency_key="refund/4711", request_id=request_id, ticket=ticket
            )

        pending = ask("refund-1")
        assert isinstance(pending, Pending)
        please("approve", approval=pending.approval)
        ticket = self._client.wait_ticket(pending.ticket, timeout=TIMEOUT_SECONDS)
        granted = ask("refund-2", pending.ticket)
        assert isinstance(granted, Granted)
        self._client.complete_tool(granted.grant, ToolOutcome.SUCCEEDED, {"paid": 250}, request_id="refund-3")
        replayed = ask("refund-4")
        assert isinstance(replayed, Replayed)
        say(
            "tool",
            approval=pending.approval,
            ticket=f"APPROVAL_STATE_{ticket.state.name}",
            grant=granted.grant,
            arguments=granted.arguments,
            key=granted.idempotency_key,
            replayed=replayed.result,
            replayed_grant=replayed.grant,
        )

    # Runs and their steps ------------------------------------------------------------------------------------------

    def run(self) -> str:
        request = workflow_service_pb2.StartRunRequest(
            request_id="start-1", workflow="two-steps", input=b'{"document":"d-1"}', labels={"team": "desk"}
        )
        run = self._call(self._runs.StartRun, request).run
        again = self._call(self._runs.StartRun, request).run
        say("run", run=run.name, again=again.name, state=state(run_pb2.RunState, run.state))
        watch = self._watch(run.name, 0)
        first = next(watch)
        self.work()
        messages = [first, *watch]
        rest = list(self._watch(run.name, messages[2].sequence))
        say("watch_run", seen=[told(one) for one in messages], resumed=[told(one) for one in rest])
        return str(run.name)

    def work(self) -> None:
        parse = self._lease("parser")
        beat = self._call(
            self._work.HeartbeatStep,
            worker_service_pb2.HeartbeatStepRequest(attempt=attempt_of(parse), progress="half of it"),
        )
        complete = worker_service_pb2.CompleteStepRequest(
            attempt=attempt_of(parse),
            output=b'{"pages":3}',
            next=worker_service_pb2.LeaseWish(worker="w-1", queues=["scorer"], max_steps=1),
        )
        completed = self._call(self._work.CompleteStep, complete)
        (score,) = completed.leases
        stale = refusal(
            lambda: self._call(
                self._work.FailStep, worker_service_pb2.FailStepRequest(attempt=attempt_of(parse), code="TOO_LATE")
            )
        )
        failed = self._call(
            self._work.FailStep,
            worker_service_pb2.FailStepRequest(
                attempt=attempt_of(score), code="BAD_INPUT", message="no income", non_retryable=True
            ),
        )
        say(
            "work",
            leased=lease(parse),
            extended=beat.expire_time.ToNanoseconds() >= parse.expire_time.ToNanoseconds(),
            cancel_requested=beat.cancel_requested,
            next=lease(score),
            stale=stale,
            step_state=state(run_pb2.StepState, failed.step_state),
            run_state=state(run_pb2.RunState, failed.run_state),
        )

    def _lease(self, queue: str) -> worker_service_pb2.StepLease:
        request = worker_service_pb2.LeaseStepsRequest(
            wish=worker_service_pb2.LeaseWish(worker="w-1", queues=[queue], max_steps=1), timeout=Duration(seconds=20)
        )
        found: list[worker_service_pb2.StepLease] = list(self._call(self._work.LeaseSteps, request).leases)
        return found[0]

    def _watch(self, run: str, after: int) -> Any:
        request = workflow_service_pb2.WatchRunRequest(name=run, after_sequence=after)
        return self._runs.WatchRun(request, metadata=self._metadata, timeout=TIMEOUT_SECONDS)

    # The audit log -------------------------------------------------------------------------------------------------

    def events(self, run: str) -> None:
        start = audit_service_pb2.WatchEventsRequest(from_start=True)
        start.filter.run = run
        before = self._events(start, 3)
        token = before[-1].resume_token
        go_on = audit_service_pb2.WatchEventsRequest(resume_token=token)
        go_on.filter.run = run
        after = self._events(go_on, 3)
        acknowledge = audit_service_pb2.AcknowledgeEventsRequest(
            request_id="acknowledge-1", subscriber="archive", resume_token=token
        )
        kept = self._audit.AcknowledgeEvents(acknowledge, timeout=TIMEOUT_SECONDS)
        named = audit_service_pb2.WatchEventsRequest(subscriber="archive")
        named.filter.run = run
        (next_one,) = self._events(named, 1)
        records = [answer.event.record for answer in (*before, *after)]
        say(
            "events",
            kinds=[kind(record) for record in records],
            rising=all(one.sequence < other.sequence for one, other in pairwise(records)),
            acknowledged=kept.resume_token == token,
            next=kind(next_one.event.record),
        )

    def _events(self, request: audit_service_pb2.WatchEventsRequest, count: int) -> list[Any]:
        stream = self._audit.WatchEvents(request, timeout=TIMEOUT_SECONDS)
        try:
            return list(islice(stream, count))
        finally:
            stream.cancel()

    # What goes wrong -----------------------------------------------------------------------------------------------

    def deadline(self) -> None:
        pending = self._client.authorize_tool("payments.refund", REFUND, request_id="slow-1")
        assert isinstance(pending, Pending)
        wait = approval_service_pb2.WaitTicketRequest(ticket=pending.ticket, timeout=Duration(seconds=60))
        try:
            self._tickets.WaitTicket(wait, metadata=self._metadata, timeout=0.3)
            code = 0
        except grpc.RpcError as error:
            code = error.code().value[0]
        say("deadline", code=code, ticket=f"APPROVAL_STATE_{self._client.get_ticket(pending.ticket).state.name}")

    def reconnect(self) -> None:
        """The sidecar is killed, and comes back on the same address: the channel finds it by itself."""
        before = self._client.admit(admission("reconnect-1")).invocation
        please("kill")
        sys.stdin.readline()
        while_down = refusal(lambda: self._client.admit(admission("reconnect-1")))
        please("start")
        after = self._until_answered(lambda: self._client.admit(admission("reconnect-1")).invocation)
        say("reconnect", before=before, while_down=while_down["code"], after=after)

    def _until_answered(self, call: Callable[[], str]) -> str:
        """UNAVAILABLE is repeated with the same request id; everything else is an answer."""
        until = time.monotonic() + TIMEOUT_SECONDS
        while True:
            try:
                return call()
            except FairleadError as error:
                if rpc_error(error).code() is not grpc.StatusCode.UNAVAILABLE or time.monotonic() > until:
                    raise
            time.sleep(0.1)

    def bench(self, count: int) -> None:
        """Round trips of Admit, one after the other; what was held is given back outside of the measurement."""
        took = []
        for number in range(-count // 10, count):
            began = time.perf_counter_ns()
            admitted = self._client.admit(admission(f"bench-{number}"))
            if number >= 0:
                took.append((time.perf_counter_ns() - began) / 1000)
            release = gate_service_pb2.ReleaseRequest(request_id=f"free-{number}", invocation=admitted.invocation)
            self._client.release(release)
        took.sort()
        say("bench", count=count, p50_us=statistics.median_high(took), p99_us=took[count * 99 // 100])

    def _call(self, method: Any, request: Any) -> Any:
        return method(request, metadata=self._metadata, timeout=TIMEOUT_SECONDS)


def admission(request_id: str, **facts: Any) -> gate_service_pb2.AdmitRequest:
    return gate_service_pb2.AdmitRequest(
        request_id=request_id, model="small", input_tokens=100, max_output_tokens=50, **facts
    )


def refusal(call: Callable[[], Any]) -> Line:
    """What a refused call says: its code, and the details that programs look at."""
    try:
        call()
    except (FairleadError, grpc.RpcError) as error:
        failed = rpc_error(error)
    else:
        raise AssertionError("the call was not refused")
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    retry = False
    trailers: dict[str, Any] = dict(failed.trailing_metadata() or ())
    for detail in status_pb2.Status.FromString(trailers.get("grpc-status-details-bin", b"")).details:
        retry = retry or detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR)
        _ = detail.Unpack(info) or detail.Unpack(bad)
    return {
        "code": failed.code().value[0],
        "reason": info.reason,
        "metadata": dict(info.metadata),
        "fields": sorted(violation.field for violation in bad.field_violations),
        "retry": retry,
    }


def rpc_error(error: Exception) -> Any:
    """The error of gRPC behind one of the SDK, which has its details already and hides it."""
    return error if isinstance(error, grpc.RpcError) else error.__context__


def attempt_of(leased: worker_service_pb2.StepLease) -> worker_service_pb2.AttemptRef:
    return worker_service_pb2.AttemptRef(run=leased.run, step=leased.step, epoch=leased.epoch, lease=leased.lease)


def lease(leased: worker_service_pb2.StepLease) -> Line:
    return {
        "run": leased.run,
        "step": leased.step,
        "epoch": leased.epoch,
        "attempt": leased.attempt,
        "queue": leased.queue,
        "input": json.loads(leased.input),
        "effect": run_pb2.StepEffect.Name(leased.effect),
        "labels": dict(leased.labels),
    }


def told(message: workflow_service_pb2.WatchRunResponse) -> str:
    """The run, or the audit record, in one word."""
    if message.WhichOneof("what") == "run":
        return state(run_pb2.RunState, message.run.state)
    return kind(message.event)


def kind(record: audit_record_pb2.AuditRecord) -> str:
    return state(audit_record_pb2.EventKind, record.kind)


def state(names: Any, number: int) -> str:
    """The name of an enum's value; of one that this client does not know yet, its number."""
    return str(names.Name(number)) if number in names.values() else str(number)


def amount(value: Any) -> Line:
    return {"nano_usd": value.nano_usd, "tokens": value.tokens, "requests": value.requests}


def say(scene: str, **facts: Any) -> None:
    print(json.dumps({"scene": scene, **facts}), flush=True)


def please(what: str, **facts: Any) -> None:
    """Asks whoever runs the example to do what a client cannot."""
    print(json.dumps({"please": what, **facts}), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--bench"]:
        Scenario().bench(int(sys.argv[2]))
    else:
        Scenario().play()
