"""Runs in the process whose plug is pulled: what it acknowledges about them, and what has to be found of it afterwards.

Everything that is told about a run is durable before it is told (`power`). Its names, here and there:

| name | acknowledged |
|---|---|
| `start/RUN` | the run is there |
| `result/RUN/STEP/DIGEST` | the step has this result, and what it unlocks |
| `act/RUN/STEP/EPOCH` | a worker may act: the attempt is not given again |
| `vote/APPROVAL/OPERATOR` | the vote counts |
| `signal/RUN/SIGNAL` | the signal is taken, or waits |
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any

from fairlead.approval.store import Approvals
from fairlead.internal.v1 import command_pb2, workflow_pb2
from fairlead.store import Family, Store, keys
from fairlead.v1 import (
    approval_service_pb2,
    audit_record_pb2,
    run_pb2,
    worker_service_pb2,
    workflow_service_pb2,
)
from fairlead.workflow.store import Runs
from tests.property.core import CALLER
from tests.unit.workflow.life import step, workflow

ASHA = command_pb2.Caller(operator="asha")
KIND = audit_record_pb2.EventKind
Apply = Callable[..., command_pb2.CommandResult]
Say = Callable[[int, str], None]


def chain(number: int) -> workflow_pb2.WorkflowDefinition:
    """Every kind of step that waits for somebody; each number has its own queue."""
    gate = workflow_pb2.ApprovalTask(tier="one", show='{"of":"${steps.look.output}"}')
    return workflow(
        f"chain-{number}",
        step("look", f"q-{number}", input='{"n":"${input.n}"}'),
        step("review", needs=("look",), approval=gate),
        step("go", needs=("review",), wait=workflow_pb2.WaitTask(signal="go")),
        step("act", f"q-{number}", ("go",), effect=run_pb2.STEP_EFFECT_SIDE_EFFECT, input='"${steps.look.output}"'),
    )


def runs(apply: Apply, say: Say, store: Store, seed: int, number: int) -> None:
    """One run after the other, for ever, each left open at another place."""
    turn = 0
    while True:
        turn += 1
        start = workflow_service_pb2.StartRunRequest(
            request_id=f"run-{seed}-{number}-{turn}", workflow=f"chain-{number}", input=json.dumps({"n": turn}).encode()
        )
        result = apply(start_run=start)
        run = result.run.name.removeprefix("runs/")
        say(result.sequence, f"start/{run}")
        if turn % 5 > 0:
            work(apply, say, number, json.dumps("x" * (turn % 7 * 500)).encode())
        if turn % 5 > 1:
            vote(apply, say, store, run)
        if turn % 5 > 2:
            signal = workflow_service_pb2.SignalRunRequest(request_id=f"{run}-go", name=f"runs/{run}", signal="go")
            say(apply(signal_run=signal).sequence, f"signal/{run}/go")
        if turn % 5 > 3:
            work(apply, say, number, b"true")


def work(apply: Apply, say: Say, number: int, output: bytes) -> None:
    """Leases the next step of the queue and completes it."""
    wish = worker_service_pb2.LeaseWish(worker="w-1", queues=[f"q-{number}"])
    leased = apply(lease_steps=worker_service_pb2.LeaseStepsRequest(wish=wish))
    for lease in leased.leased.leases:
        run = lease.run.removeprefix("runs/")
        if lease.effect == run_pb2.STEP_EFFECT_SIDE_EFFECT:
            say(leased.sequence, f"act/{run}/{lease.step}/{lease.epoch}")
        attempt = worker_service_pb2.AttemptRef(run=lease.run, step=lease.step, epoch=lease.epoch, lease=lease.lease)
        done = apply(complete_step=worker_service_pb2.CompleteStepRequest(attempt=attempt, output=output))
        say(done.sequence, f"result/{run}/{lease.step}/{hashlib.sha256(output).hexdigest()}")


def vote(apply: Apply, say: Say, store: Store, run: str) -> None:
    """Asha agrees to what the run asks, as soon as it does."""
    for asked in list(open_questions(store, run)):
        vote = command_pb2.DecideApproval(
            approval=asked.name.removeprefix("approvals/"),
            decision=approval_service_pb2.APPROVAL_DECISION_APPROVE,
            reason="all there",
            digest=asked.digest,
        )
        say(apply(caller=ASHA, decide_approval=vote).sequence, f"vote/{vote.approval}/asha")


def open_questions(store: Store, run: str) -> Iterator[approval_service_pb2.Approval]:
    """The open approvals of a run."""
    for approval in Approvals(store).open_ids(CALLER.tenant):
        record = Approvals(store).get(approval)
        if record is not None and record.approval.run.removeprefix("runs/") == run:
            yield record.approval


def told(store: Store, record: audit_record_pb2.AuditRecord) -> str | None:
    """The name of what a record of the log tells about a run, or None; what was written with it has to be there."""
    kind = record.kind
    if kind == KIND.EVENT_KIND_RUN_STARTED:
        assert _run(store, record.run.run).workflow == record.run.workflow
        assert store.get(Family.RUNS, keys.definition(record.run.workflow_version)) is not None
        return f"start/{record.run.run}"
    if kind == KIND.EVENT_KIND_RUN_SIGNALLED:
        assert f"{record.run.run}-go" in _run(store, record.run.run).signal_requests
        return f"signal/{record.run.run}/{record.run.signal}"
    if kind == KIND.EVENT_KIND_APPROVAL_VOTED:
        id, operator = record.approval.approval.removeprefix("approvals/"), record.approval.vote.operator
        stored = Approvals(store).get(keys.approval_id_bytes(id) or b"")
        assert stored is not None, f"{id} is in the log, and not there"
        assert operator in {one.operator for one in stored.approval.votes}
        return f"vote/{id}/{operator}"
    said = record.step
    if kind == KIND.EVENT_KIND_STEP_LEASED:
        assert _step(store, said.run, said.step).epoch >= said.epoch
        return f"act/{said.run}/{said.step}/{said.epoch}"
    if kind == KIND.EVENT_KIND_STEP_SUCCEEDED and said.worker:
        output = _step(store, said.run, said.step).output
        assert output.digest == said.content_digest
        return f"result/{said.run}/{said.step}/{output.digest.hex()}"
    return None


def _run(store: Store, run: str) -> workflow_pb2.RunRecord:
    record = Runs(store).record(CALLER.tenant, _id(run))
    assert record is not None, f"{run} is in the log, and not there"
    return record


def _step(store: Store, run: str, name: str) -> workflow_pb2.StepRecord:
    definition: Any = Runs(store).definition(_run(store, run).workflow_version)
    place = [one.id for one in definition.steps].index(name)
    return next(one for one in Runs(store).steps(CALLER.tenant, _id(run)) if one.step == place)


def _id(run: str) -> bytes:
    id = keys.run_id_bytes(run)
    assert id is not None, run
    return id
