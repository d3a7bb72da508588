"""Runs of a workflow against a real daemon, with a worker that does what a test tells it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration

from fairlead.v1 import worker_service_pb2 as work_pb
from fairlead.v1 import worker_service_pb2_grpc, workflow_service_pb2_grpc
from fairlead.v1 import workflow_service_pb2 as pb

from .harness import OTHER_TOKEN, TIMEOUT_SECONDS, TOKEN, Daemon, bearer
from .people import CONFIG as PEOPLE
from .people import ENVIRONMENT

LOAN = """\
name: loan
unknownTier: high
steps:
  - {id: parse, agent: parser, effect: read, input: {document: "${input.document}"}, retry: {attempts: 2}}
  - id: score
    needs: [parse]
    forEach: {in: "${steps.parse.output.parts}", maxParallel: 4}
    agent: scorer
    effect: pure
    input: {part: "${item}"}
  - id: review
    needs: [score]
    approval: {tier: high, title: "is this loan good?", show: {scores: "${steps.score.output}"}}
  - {id: paid, needs: [review], wait: {signal: payment}}
  - id: offer
    needs: [paid]
    agent: mailer
    effect: side_effect
    idempotencyKey: "offer/${input.id}"
    compensate: retract
    input: {id: "${input.id}"}
"""
SHORT = """\
name: short
steps:
  - {id: only, agent: parser, effect: read}
"""
BRIEF = SHORT.replace("name: short", "name: brief\nkeepFor: 1ms")
NESTED = """\
name: nested
steps:
  - {id: sub, workflow: brief}
  - {id: last, needs: [sub], agent: parser, effect: read}
"""


@contextmanager
def running(directory: Path, *arguments: str) -> Iterator[Daemon]:
    """A daemon with the workflows of this module, two tenants, and people who approve."""
    for name, text in (("loan", LOAN), ("short", SHORT), ("brief", BRIEF), ("nested", NESTED)):
        (directory / f"{name}.yaml").write_text(text)
    config = PEOPLE + "workflows: [{file: loan.yaml}, {file: short.yaml}, {file: brief.yaml}, {file: nested.yaml}]\n"
    with Daemon(directory, config, *arguments, environment=ENVIRONMENT) as daemon:
        yield daemon


class Agent:
    """An agent that starts runs and does their steps."""

    def __init__(self, daemon: Daemon, token: str = TOKEN) -> None:
        channel = daemon.agent()
        self._runs: Any = workflow_service_pb2_grpc.WorkflowServiceStub(channel)
        self._work: Any = worker_service_pb2_grpc.WorkerServiceStub(channel)
        self._metadata = bearer(token)

    def call(self, method: str, **fields: Any) -> Any:
        """One call of `WorkflowService`."""
        request = getattr(pb, f"{method}Request")(**fields)
        return getattr(self._runs, method)(request, metadata=self._metadata, timeout=TIMEOUT_SECONDS)

    def start(self, workflow: str = "loan", request_id: str = "s-1", **input: Any) -> str:
        """Starts a run; its name."""
        given = {"document": "d", "id": 7, **input}
        answer = self.call("StartRun", request_id=request_id, workflow=workflow, input=json.dumps(given).encode())
        name: str = answer.run.name
        return name

    def lease(self, queue: str, most: int = 1, seconds: int = 20) -> list[work_pb.StepLease]:
        """Steps of a queue, as soon as there is one."""
        wish = work_pb.LeaseWish(worker="w-1", queues=[queue], max_steps=most)
        request = work_pb.LeaseStepsRequest(wish=wish, timeout=Duration(seconds=seconds))
        return list(self._work.LeaseSteps(request, metadata=self._metadata, timeout=TIMEOUT_SECONDS).leases)

    def complete(self, lease: work_pb.StepLease, output: Any = None) -> None:
        """Ends an attempt with a result."""
        attempt = work_pb.AttemptRef(run=lease.run, step=lease.step, epoch=lease.epoch, lease=lease.lease)
        request = work_pb.CompleteStepRequest(attempt=attempt, output=json.dumps(output).encode())
        self._work.CompleteStep(request, metadata=self._metadata, timeout=TIMEOUT_SECONDS)

    def fail(self, lease: work_pb.StepLease, code: str, *, final: bool = False, message: str = "no") -> None:
        """Ends an attempt without a result."""
        attempt = work_pb.AttemptRef(run=lease.run, step=lease.step, epoch=lease.epoch, lease=lease.lease)
        request = work_pb.FailStepRequest(attempt=attempt, code=code, message=message, non_retryable=final)
        self._work.FailStep(request, metadata=self._metadata, timeout=TIMEOUT_SECONDS)

    def do(self, queue: str, output: Any = None) -> work_pb.StepLease:
        """Leases one step of a queue and completes it."""
        (lease,) = self.lease(queue)
        self.complete(lease, output)
        return lease

    def watch(self, name: str, after_sequence: int = 0) -> Any:
        """A stream of a run; a context manager that cancels it would hide how it ends."""
        request = pb.WatchRunRequest(name=name, after_sequence=after_sequence)
        return self._runs.WatchRun(request, metadata=self._metadata, timeout=TIMEOUT_SECONDS)


class Desk:
    """An operator."""

    def __init__(self, daemon: Daemon) -> None:
        self._runs: Any = workflow_service_pb2_grpc.WorkflowServiceStub(daemon.operator())

    def call(self, method: str, **fields: Any) -> Any:
        """One call of `WorkflowService`."""
        return getattr(self._runs, method)(getattr(pb, f"{method}Request")(**fields), timeout=TIMEOUT_SECONDS)

    def run(self, name: str, **fields: Any) -> Any:
        """A run."""
        return self.call("GetRun", name=name, **fields).run

    def states(self, name: str) -> dict[str, str]:
        """The states of its steps."""
        from fairlead.workflow.model import step_state_name

        return {step.id: step_state_name(step.state) for step in self.run(name).steps}


def refusal(call: Any, *arguments: Any, **fields: Any) -> str:
    """The reason that a call is refused with."""
    from fairlead.client._errors import from_rpc_error

    try:
        answer = call(*arguments, **fields)
        if hasattr(answer, "code"):
            next(answer)
    except grpc.RpcError as error:
        return from_rpc_error(error).reason
    raise AssertionError("the call was not refused")


def approval_of(desk: Desk, name: str, step: str = "review") -> str:
    """The approval that a step waits for."""
    found: str = next(one.approval for one in desk.run(name).steps if one.id == step)
    assert found
    return found


STRANGER = OTHER_TOKEN
