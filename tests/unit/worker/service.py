"""A WorkerService that a test scripts: it hands out the steps it is given, and remembers everything.

It is strict about what the worker must keep to: a worker never has more steps than its capacity, counted with what its
requests could still bring, and nothing is said about a lease after its end.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from contextlib import contextmanager
from typing import Any, TypeVar

import grpc

from fairlead.v1 import (
    approval_service_pb2_grpc,
    gate_service_pb2,
    gate_service_pb2_grpc,
    model_service_pb2,
    model_service_pb2_grpc,
    run_pb2,
    worker_service_pb2_grpc,
)
from fairlead.v1 import worker_service_pb2 as pb
from fairlead.worker import Worker
from tests.unit.client.sidecar import Gate, Refusal, refuse

TIMEOUT_SECONDS = 20.0
RUN = "runs/run_0197a0b0c0d07000800000000000000d"
LOST = Refusal(grpc.StatusCode.ABORTED, "LEASE_LOST")
UNAVAILABLE = Refusal(grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")
PURE, READ = run_pb2.STEP_EFFECT_PURE, run_pb2.STEP_EFFECT_READ
WRITE, SIDE_EFFECT = run_pb2.STEP_EFFECT_WRITE, run_pb2.STEP_EFFECT_SIDE_EFFECT
ANSWER = b'{"choices":[{"message":{"content":"hello"}}]}'
Found = TypeVar("Found")


class Service(Gate, worker_service_pb2_grpc.WorkerServiceServicer):  # type: ignore[misc]
    """Steps, and the rest of what a step may call."""

    def __init__(self) -> None:
        super().__init__()
        self.server: grpc.Server | None = None
        self._changed = threading.Condition()
        self._stopped = False
        self._number = 0
        self.ready: deque[pb.StepLease] = deque()
        self.open: dict[str, pb.StepLease] = {}
        self.asked: list[tuple[str, Any]] = []
        self.completed: dict[str, bytes] = {}
        self.failed: dict[str, pb.FailStepRequest] = {}
        self.script: dict[str, list[Refusal | None]] = {}
        """By method: the refusals of its next calls; None lets one through."""
        self.losing_answers = 0
        """So many completions are done, and their answers are lost."""
        self.lost: set[str] = set()
        self.cancelling: set[str] = set()
        self.surplus = 0
        """How many steps more than asked for the next answer has."""
        self.offers_anything = False
        """True: it hands out steps of queues that nobody asked for."""
        self.waiting_wishes = 0
        self.peak = 0

    # What tests do ------------------------------------------------------------------------------------------------

    def add(self, value: Any = None, queue: str = "q", extension: float = 30.0, **fields: Any) -> str:
        """Makes a step ready; returns its lease."""
        with self._changed:
            self._number += 1
            lease = pb.StepLease(
                **{
                    "run": RUN,
                    "step": f"s{self._number}",
                    "epoch": 1,
                    "attempt": 1,
                    "lease": f"lease-{self._number}",
                    "queue": queue,
                    "input": json.dumps(value).encode(),
                    "effect": PURE,
                    "workflow": "loan",
                    "session": "s-4",
                    **fields,
                }
            )
            lease.extension.FromNanoseconds(int(extension * 1e9))
            if not lease.HasField("attempt_expire_time"):
                lease.attempt_expire_time.FromSeconds(int(time.time()) + 3600)
            self.ready.append(lease)
            self._changed.notify_all()
            return lease.lease

    def wait(self, found: Callable[[], Found]) -> Found:
        """What `found` finds, as soon as it is something."""
        with self._changed:
            assert self._changed.wait_for(found, TIMEOUT_SECONDS), self.asked[-5:]
            return found()

    def ended(self, *leases: str) -> None:
        """Waits until each of these has a result or a failure."""
        self.wait(lambda: all(lease in self.completed or lease in self.failed for lease in leases))

    def of(self, method: str) -> list[Any]:
        """The requests of one method."""
        with self._changed:
            return [request for name, request in self.asked if name == method]

    def results(self) -> list[str]:
        """The leases whose results were sent, in the order in which they came."""
        with self._changed:
            found: list[str] = []
            for name, request in self.asked:
                if name == "CompleteStep":
                    found.append(request.attempt.lease)
                elif name == "CompleteSteps":
                    found += [completion.attempt.lease for completion in request.completions]
            return found

    def beats(self, lease: str) -> list[pb.HeartbeatStepRequest]:
        """The heartbeats of a lease."""
        return [request for request in self.of("HeartbeatStep") if request.attempt.lease == lease]

    def note(self, name: str) -> None:
        """Remembers a moment in the order of the requests."""
        with self._changed:
            self.asked.append((name, None))
            self._changed.notify_all()

    def lose(self, lease: str) -> None:
        """From now on somebody else has it."""
        with self._changed:
            self.lost.add(lease)
            self.open.pop(lease, None)

    def shut_down(self) -> None:
        """Answers whoever waits, and takes no more calls."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        if self.server is not None:
            self.server.stop(None).wait()

    # What workers ask ---------------------------------------------------------------------------------------------

    def LeaseSteps(self, request: pb.LeaseStepsRequest, context: grpc.ServicerContext) -> pb.LeaseStepsResponse:
        self._called("LeaseSteps", request, context)
        until = time.monotonic() + request.timeout.ToNanoseconds() / 1e9
        with self._changed:
            self.waiting_wishes += request.wish.max_steps
            self._count()
            while not (found := self._take(request.wish)) and not self._stopped and context.is_active():
                if not self._changed.wait(max(0.0, until - time.monotonic())):
                    break
            self.waiting_wishes -= request.wish.max_steps
            self._changed.notify_all()
            return pb.LeaseStepsResponse(leases=found)

    def HeartbeatStep(
        self, request: pb.HeartbeatStepRequest, context: grpc.ServicerContext
    ) -> pb.HeartbeatStepResponse:
        self._called("HeartbeatStep", request, context)
        self._held(request.attempt, context)
        return pb.HeartbeatStepResponse(cancel_requested=request.attempt.lease in self.cancelling)

    def CompleteStep(self, request: pb.CompleteStepRequest, context: grpc.ServicerContext) -> pb.CompleteStepResponse:
        self._called("CompleteStep", request, context)
        lease = request.attempt.lease
        if self.completed.get(lease) != request.output:
            self._held(request.attempt, context)
        with self._changed:
            self.open.pop(lease, None)
            self.completed[lease] = request.output
            found = self._take(request.next) if request.HasField("next") else []
            self._count()
            self._changed.notify_all()
            loses = self.losing_answers > 0
            self.losing_answers -= loses
        if loses:
            refuse(Refusal(grpc.StatusCode.UNAVAILABLE, ""), context)
        return pb.CompleteStepResponse(leases=found, run_state=run_pb2.RUN_STATE_RUNNING)

    def CompleteSteps(
        self, request: pb.CompleteStepsRequest, context: grpc.ServicerContext
    ) -> pb.CompleteStepsResponse:
        self._called("CompleteSteps", request, context)
        response = pb.CompleteStepsResponse()
        with self._changed:
            for completion in request.completions:
                lease = completion.attempt.lease
                is_held = lease in self.open and lease not in self.lost
                if is_held or self.completed.get(lease) == completion.output:
                    self.open.pop(lease, None)
                    self.completed[lease] = completion.output
                    response.outcomes.add(run_state=run_pb2.RUN_STATE_RUNNING)
                else:
                    response.outcomes.add(reason="LEASE_LOST", message="the lease is lost")
            if request.HasField("next"):
                response.leases.extend(self._take(request.next))
            self._count()
            self._changed.notify_all()
        return response

    def FailStep(self, request: pb.FailStepRequest, context: grpc.ServicerContext) -> pb.FailStepResponse:
        self._called("FailStep", request, context)
        self._held(request.attempt, context)
        with self._changed:
            self.open.pop(request.attempt.lease, None)
            self.failed[request.attempt.lease] = request
            self._changed.notify_all()
        return pb.FailStepResponse()

    def AuthorizeTool(
        self, request: gate_service_pb2.AuthorizeToolRequest, context: grpc.ServicerContext
    ) -> gate_service_pb2.AuthorizeToolResponse:
        self._called("AuthorizeTool", request, context)
        return super().AuthorizeTool(request, context)

    def Generate(
        self, request: model_service_pb2.GenerateRequest, context: grpc.ServicerContext
    ) -> model_service_pb2.GenerateResponse:
        self._record(request, context)
        return model_service_pb2.GenerateResponse(model="small", body=ANSWER)

    def _called(self, method: str, request: Any, context: grpc.ServicerContext) -> None:
        with self._changed:
            self.asked.append((method, request))
            script = self.script.get(method, [])
            refusal = script.pop(0) if script else None
            self._changed.notify_all()
        self.authorizations.append(str(dict(context.invocation_metadata()).get("authorization", "")))
        if refusal is not None:
            refuse(refusal, context)

    def _held(self, attempt: pb.AttemptRef, context: grpc.ServicerContext) -> None:
        with self._changed:
            is_held = attempt.lease in self.open and attempt.lease not in self.lost
        if not is_held:
            refuse(LOST, context)

    def _take(self, wish: pb.LeaseWish) -> list[pb.StepLease]:
        found = [lease for lease in self.ready if lease.queue in wish.queues or self.offers_anything]
        if found:
            most, self.surplus = max(1, wish.max_steps) + self.surplus, 0
            del found[most:]
        for lease in found:
            self.ready.remove(lease)
            self.open[lease.lease] = lease
        return found

    def _count(self) -> None:
        self.peak = max(self.peak, len(self.open) + self.waiting_wishes)


@contextmanager
def serving(port: int = 0) -> Iterator[tuple[Service, str]]:
    """Runs the service; yields it and its address."""
    service = Service()
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=32), options=(("grpc.so_reuseport", 0),))
    worker_service_pb2_grpc.add_WorkerServiceServicer_to_server(service, server)
    gate_service_pb2_grpc.add_GateServiceServicer_to_server(service, server)
    approval_service_pb2_grpc.add_ApprovalTicketServiceServicer_to_server(service, server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(service, server)
    address = f"127.0.0.1:{server.add_insecure_port(f'127.0.0.1:{port}')}"
    server.start()
    service.server = server
    try:
        yield service, address
    finally:
        service.shut_down()


def worker_of(address: str, **settings: Any) -> Worker:
    """A worker that stops soon when it has nothing to do."""
    return Worker(address, **{"token": "secret-token", "name": "w-1", "poll": 0.2, "grace": 5.0, **settings})


@contextmanager
def running(worker: Worker) -> Iterator[threading.Thread]:
    """Runs a worker in a thread of its own; ends it as asked. What made it end by itself is raised."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            worker.run()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield thread
    finally:
        while thread.is_alive():
            worker.request_stop()
            thread.join(0.1)
    if failures:
        raise failures[0]


def until_draining(worker: Worker) -> None:
    """Returns when the loop of the worker knows that it is to stop."""
    session = worker._session
    assert session is not None
    assert asyncio.run_coroutine_threadsafe(session._draining.wait(), session._loop).result(TIMEOUT_SECONDS)


def until_a_slot_is_free(worker: Worker) -> None:
    """Returns when a slot is that no request for steps has taken."""
    session = worker._session
    assert session is not None
    assert asyncio.run_coroutine_threadsafe(session._slots.wait(), session._loop).result(TIMEOUT_SECONDS)


def outputs(service: Service, leases: Sequence[str]) -> list[Any]:
    """The results in the order of the leases."""
    return [json.loads(service.completed[lease]) for lease in leases]
