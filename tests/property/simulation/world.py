"""Everybody who has to do with runs, and what goes wrong for them, all by one seed.

Workers, people and programs keep to the documentation: a worker acts only as long as it believes in its lease, whoever
got no answer asks again with the same request id, and people who are asked what became of a step know the truth. The
time of the world passes for all of them; the sidecar's clock may be ahead of it.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fairlead.approval.store import Approvals
from fairlead.control.errors import Refusal
from fairlead.internal.v1 import command_pb2, workflow_pb2
from fairlead.v1 import (
    approval_service_pb2,
    decision_pb2,
    gate_service_pb2,
    run_pb2,
    worker_service_pb2,
    workflow_service_pb2,
)
from fairlead.workflow.store import Runs
from tests.property.reference import TTL_NANOS
from tests.property.simulation import shapes
from tests.property.simulation.mortal import Died, Moment, Sidecar

SECOND, MINUTE, HOUR = 10**9, 60 * 10**9, 3600 * 10**9
BEGINNING = 1_800_000_000 * SECOND
LEASE_NANOS = shapes.LEASE_MILLIS * 10**6
BOT = command_pb2.Caller(tenant="acme", agent="bot")
# Rounds after which a run that is still open is stuck.
PATIENCE = 400
_Decision = approval_service_pb2


@dataclass
class Work:
    """What a worker has in hand."""

    lease: worker_service_pb2.StepLease
    expires: int
    """When the worker believes that its lease ends, in the time of the world."""
    acted: bool = False
    gone: bool = False
    """Reported, or given up."""
    invocation: str = ""


@dataclass
class Told:
    """What the sidecar has said is so."""

    runs: dict[str, str] = field(default_factory=dict)
    """Request id of a start → name of its run."""
    results: dict[tuple[str, str], bytes] = field(default_factory=dict)
    """Run and step → output."""
    votes: set[tuple[str, str]] = field(default_factory=set)
    """Approval and operator."""
    signals: set[tuple[str, str]] = field(default_factory=set)
    """Run and request id."""
    acting: dict[tuple[str, str], int] = field(default_factory=dict)
    """Run and step that may have acted → epoch of the attempt."""
    leased: dict[tuple[str, str], int] = field(default_factory=dict)
    """The same of steps that only read: a power cut may take that."""


class World:
    """See the module."""

    def __init__(self, directory: Path, seed: int, *, faults: bool) -> None:
        self.chance = random.Random(seed)
        self.workflows = {one.name: one for one in shapes.workflows_of(self.chance)}
        self.sidecar = Sidecar(directory, shapes.config_of(list(self.workflows.values())))
        self.faults = faults
        self.now, self.ahead = BEGINNING, 0
        self.works: list[Work] = []
        # How often something was done under a key, and taken back.
        self.effects: Counter[str] = Counter()
        self.undone: Counter[str] = Counter()
        self.told = Told()
        # What to start and to signal, until the answer is there.
        self.to_start: list[int] = []
        self.to_signal: list[tuple[str, str]] = []
        self.cancelled: set[str] = set()
        self.on_restart: list[Callable[[World], None]] = []
        self.deaths: Counter[str] = Counter()
        self.refused_late = self.calls = 0
        self.sidecar.begin(self.clock)

    @property
    def clock(self) -> int:
        """The sidecar's time."""
        return self.now + self.ahead

    @property
    def runs(self) -> Runs:
        """What is stored about runs."""
        return Runs(self.sidecar.store)

    # The sidecar, with its faults.

    def apply(self, caller: command_pb2.Caller | None = None, **kind: Any) -> command_pb2.CommandResult | None:
        """A command; None when its answer never came. Raises the refusal."""
        if self.faults and self.chance.random() < 0.05:
            self.sidecar.die_at(self.chance.choice(list(Moment)))
        try:
            return self.sidecar.apply(self.clock, caller, **kind)
        except Died:
            self.restart()
            return None

    def ask(self, caller: command_pb2.Caller | None = None, **kind: Any) -> command_pb2.CommandResult | None:
        """A command that may be said twice, because the first answer was lost or the network repeats it."""
        answer = self.apply(caller, **kind)
        if self.faults and self.chance.random() < 0.1:
            again = self.apply(caller, **kind)
            return again if answer is None else answer
        return answer

    def restart(self) -> None:
        """The life ends, and others begin until one of them lasts."""
        while True:
            power = self.chance.random() < 0.5
            where = self.sidecar.store.moment if self.sidecar.store.dead else None
            self.deaths[f"{where.name if where else 'BETWEEN'}{' power' if power else ''}"] += 1
            self.sidecar.end(power=power)
            if power:
                self.told.leased.clear()
            # Clocks are set while nobody looks.
            behind = HOUR if self.chance.random() < 0.2 else 0
            self.sidecar.begin(self.clock - behind)
            for check in self.on_restart:
                check(self)
            if self.chance.random() > 0.15:
                return

    # Programs.

    def start(self) -> None:
        """Starts a run, or asks again for one whose answer was lost."""
        number = self.to_start[-1]
        request = workflow_service_pb2.StartRunRequest(
            request_id=f"start-{number}",
            workflow=f"w{number % shapes.WORKFLOWS}",
            input=json.dumps(shapes.input_of(number)).encode(),
        )
        answer = self.ask(BOT, start_run=request)
        if answer is None:
            return
        name = answer.run.name
        assert self.told.runs.setdefault(request.request_id, name) == name, "a request id started two runs"
        self.to_start.pop()
        steps = self.workflows[request.workflow].steps
        self.to_signal += [(name, step.id) for step in steps if step.task.wait.signal]

    def signal(self) -> None:
        """Sends a signal once, whether or not anybody waits for it yet; but perhaps more often than once."""
        run, step = self.chance.choice(self.to_signal)
        request = workflow_service_pb2.SignalRunRequest(
            request_id=f"signal-{step}", name=run, signal=f"go-{step}", payload=json.dumps({"for": step}).encode()
        )
        try:
            if self.ask(BOT, signal_run=request) is None:
                return
            self.told.signals.add((run, request.request_id))
        except Refusal as refusal:
            # It has ended meanwhile.
            assert refusal.reason in ("NOT_FOUND", "INVALID_STATE"), refusal
        self.to_signal.remove((run, step))

    def steer(self) -> None:
        """Pauses, resumes, and seldom cancels."""
        names = list(self.told.runs.values())
        if not names:
            return
        name, dice = self.chance.choice(names), self.chance.randrange(8)
        request: Any
        try:
            if dice == 0:
                # Whether or not the answer comes.
                self.cancelled.add(name)
                request = workflow_service_pb2.CancelRunRequest(request_id=f"cancel-{self.now}", name=name)
                self.ask(BOT, cancel_run=request)
            elif dice < 3:
                request = workflow_service_pb2.PauseRunRequest(request_id=f"pause-{self.now}", name=name)
                self.ask(BOT, pause_run=request)
            else:
                self.resume(name)
        except Refusal as refusal:
            assert refusal.reason in ("NOT_FOUND", "INVALID_STATE"), refusal

    def resume(self, name: str) -> None:
        """Goes on."""
        request = workflow_service_pb2.ResumeRunRequest(request_id=f"resume-{self.now}", name=name)
        self.ask(BOT, resume_run=request)

    # Workers.

    def lease(self) -> None:
        """Takes some steps."""
        self.look_up_keys()
        queues = [*shapes.QUEUES, shapes.UNDO] if self.chance.random() < 0.5 else [self.chance.choice(shapes.QUEUES)]
        wish = worker_service_pb2.LeaseWish(worker="w-1", queues=queues, max_steps=self.chance.randint(1, 3))
        answer = self.apply(BOT, lease_steps=worker_service_pb2.LeaseStepsRequest(wish=wish))
        if answer is not None:
            self.take(answer.leased.leases)

    def take(self, leases: Any) -> None:
        """What a worker got."""
        for lease in leases:
            place = (lease.run, lease.step)
            done = place in self.told.results
            assert lease.compensation or not done, f"W1: {place} has its result and is leased again"
            power = lease.effect not in (run_pb2.STEP_EFFECT_PURE, run_pb2.STEP_EFFECT_READ)
            (self.told.acting if power else self.told.leased)[place] = lease.epoch
            self.works.append(Work(lease, self.now + LEASE_NANOS))

    def look_up_keys(self) -> None:
        """As the front does: before a step with an idempotency key may be leased."""
        for definition, record, step in list(self.open_steps()):
            is_ready = step.state == run_pb2.STEP_STATE_READY
            if is_ready and step.key_state == workflow_pb2.KEY_STATE_UNRESOLVED:
                name = step_name(definition, step)
                asked = command_pb2.ResolveStepKey(tenant=record.tenant, run=record.run, step=name)
                self.apply(resolve_step_key=asked)

    def work(self) -> None:
        """A worker does what its step is about, as long as it believes in its lease; perhaps it makes a call for it."""
        work = self.any_work(lambda one: not one.acted and not one.gone)
        if work is None:
            return
        lease = work.lease
        if self.now >= work.expires:
            work.gone = True
            return
        if self.chance.random() < 0.3:
            self.call(work)
        work.acted = True
        key = lease.idempotency_key
        if lease.compensation:
            self.undone[key.removesuffix("/compensate")] = 1
        elif lease.effect == run_pb2.STEP_EFFECT_SIDE_EFFECT:
            # Where the outcome is never asked for, whoever is paid knows the key.
            is_known = self.task(lease).on_unknown == workflow_pb2.ON_UNKNOWN_RETRY
            self.effects[key] = 1 if is_known else self.effects[key] + 1

    def call(self, work: Work) -> None:
        """Admits a model call inside the step; it is settled with the report, if that is ever made."""
        lease = work.lease
        self.calls += 1
        request = gate_service_pb2.AdmitRequest(
            request_id=f"call-{self.calls}", run=lease.run, step=lease.step, input_tokens=10, max_output_tokens=10
        )
        try:
            answer = self.ask(BOT, admit=request)
            work.invocation = "" if answer is None else answer.admitted.invocation
        except Refusal as refusal:
            assert refusal.reason in ("BUDGET_EXHAUSTED", "INVALID_STATE"), refusal

    def settle(self, work: Work) -> None:
        """Says what a call has used."""
        attempt = decision_pb2.Attempt(model="model", outcome=decision_pb2.ATTEMPT_OUTCOME_SUCCEEDED, status_code=200)
        attempt.usage.input, attempt.usage.output = 10, self.chance.randint(1, 10)
        request = gate_service_pb2.SettleRequest(
            request_id=f"end-{work.invocation}", invocation=work.invocation, attempts=[attempt]
        )
        try:
            self.ask(BOT, settle=request)
        except Refusal as refusal:
            # The hold of a lost admission, or one that ended by itself.
            assert refusal.reason in ("NOT_FOUND", "INVALID_STATE"), refusal

    def report(self) -> None:
        """Says what came out; perhaps long after the lease, perhaps again."""
        work = self.any_work(lambda one: one.acted and not one.gone)
        if work is None:
            return
        if work.invocation:
            self.settle(work)
            work.invocation = ""
        lease = work.lease
        output = b"null" if lease.compensation else shapes.outcome(lease.step, lease.input)
        request: Any
        try:
            if output is None:
                request = worker_service_pb2.FailStepRequest(attempt=attempt_of(lease), code="BAD_INPUT")
                answer = self.apply(BOT, fail_step=request)
            else:
                request = worker_service_pb2.CompleteStepRequest(attempt=attempt_of(lease), output=output)
                if self.chance.random() < 0.3:
                    request.next.worker, request.next.max_steps = "w-1", 1
                    request.next.queues.extend(shapes.QUEUES)
                answer = self.ask(BOT, complete_step=request)
        except Refusal as refusal:
            assert refusal.reason == "LEASE_LOST", refusal
            self.refused_late += 1
            work.gone = True
            return
        if answer is None:
            # It says so another time.
            return
        work.gone = True
        if output is not None:
            if not lease.compensation:
                self.told.results[lease.run, lease.step] = output
            self.take(answer.step_completed.leases)

    def give_up(self) -> None:
        """Fails without having done anything, or gives the step back."""
        work = self.any_work(lambda one: not one.acted and not one.gone)
        if work is None:
            return
        work.gone = True
        request = worker_service_pb2.FailStepRequest(
            attempt=attempt_of(work.lease), code="FLAKY", returned=self.chance.random() < 0.5
        )
        try:
            self.apply(BOT, fail_step=request)
        except Refusal as refusal:
            assert refusal.reason == "LEASE_LOST", refusal

    def heartbeat(self) -> None:
        """Says that it is still there."""
        work = self.any_work(lambda one: not one.gone)
        if work is None:
            return
        try:
            request = worker_service_pb2.HeartbeatStepRequest(attempt=attempt_of(work.lease))
            if self.apply(BOT, heartbeat_step=request) is not None:
                work.expires = self.now + LEASE_NANOS
        except Refusal as refusal:
            assert refusal.reason == "LEASE_LOST", refusal
            work.gone = True

    def any_work(self, fits: Callable[[Work], bool]) -> Work | None:
        """One of those that fit."""
        fitting = [work for work in self.works if fits(work)]
        return self.chance.choice(fitting) if fitting else None

    # People.

    def decide(self) -> None:
        """Somebody votes; perhaps twice, because the answer was lost."""
        approvals = Approvals(self.sidecar.store)
        pending = [record.approval for one in approvals.open_ids("acme") if (record := approvals.get(one)) is not None]
        pending = [one for one in pending if one.state == _Decision.APPROVAL_STATE_PENDING]
        if not pending:
            return
        asked = self.chance.choice(pending)
        id = asked.name.removeprefix("approvals/")
        vote = command_pb2.DecideApproval(approval=id, reason="looked at it", digest=asked.digest)
        vote.decision = _Decision.APPROVAL_DECISION_APPROVE
        if asked.subject == _Decision.APPROVAL_SUBJECT_UNKNOWN_STEP:
            if not self.say_what_became_of(asked, vote):
                return
        elif not shapes.is_agreed(asked.arguments):
            vote.decision = _Decision.APPROVAL_DECISION_REJECT
        people = ["asha", "ben"] if shapes.first_voter(asked.arguments) == "asha" else ["ben", "asha"]
        voted = {one.operator for one in asked.votes}
        operator = next(one for one in people if one not in voted)
        try:
            if self.apply(command_pb2.Caller(operator=operator), decide_approval=vote) is not None:
                self.told.votes.add((id, operator))
        except Refusal as refusal:
            assert refusal.reason in ("NOT_FOUND", "INVALID_STATE", "POLICY_DENIED"), refusal

    def say_what_became_of(self, asked: approval_service_pb2.Approval, vote: command_pb2.DecideApproval) -> bool:
        """Whether the truth is known: not while a worker may still act."""
        run = f"runs/{asked.run.removeprefix('runs/')}"
        for work in self.works:
            is_it = (work.lease.run, work.lease.step) == (run, asked.step)
            if is_it and not work.acted and not work.gone and work.expires > self.now:
                return False
        key = asked.idempotency_key or f"{run.removeprefix('runs/')}/{asked.step}"
        if self.effects[key] > 0:
            vote.resolution.outcome = _Decision.RESOLUTION_OUTCOME_HAPPENED
            vote.resolution.result = shapes.outcome(asked.step, asked.arguments) or b"null"
        else:
            vote.resolution.outcome = _Decision.RESOLUTION_OUTCOME_DID_NOT_HAPPEN
        return True

    # Time.

    def pass_time(self) -> None:
        """Some seconds, or a jump of the clock; then what is due happens."""
        dice = self.chance.randrange(24)
        if self.faults and dice == 0:
            self.ahead += HOUR
        elif self.faults and dice == 1:
            self.refuses_a_clock_that_was_set_back()
        self.now += MINUTE if dice in (2, 3, 4) else SECOND * self.chance.randint(1, 12)
        self.tick()

    def tick(self) -> None:
        """What is due happens."""
        while (answer := self.apply(expire=command_pb2.Expire())) is None or answer.expired:
            pass

    def refuses_a_clock_that_was_set_back(self) -> None:
        """An hour back: nothing is decided, because nobody knows what has run out; and nothing is changed by that."""
        before = self.sidecar.core.snapshot()
        try:
            self.sidecar.apply(self.clock - HOUR, expire=command_pb2.Expire())
        except Refusal as refusal:
            assert (refusal.reason, refusal.metadata["cause"]) == ("NOT_READY", "clock_set_back"), refusal
        else:
            raise AssertionError("the clock was set back, and it decided")
        assert command_pb2.Snapshot.FromString(before).sequence == self.snapshot().sequence

    def snapshot(self) -> command_pb2.Snapshot:
        """The core in numbers."""
        return command_pb2.Snapshot.FromString(self.sidecar.core.snapshot())

    # Stories.

    def chaos(self, turns: int, runs: int) -> None:
        """Everything at random; the runs are started in the middle of it."""
        self.to_start = list(range(runs))[::-1]
        acts: list[tuple[int, Callable[[], None]]] = [
            (5, self.lease),
            (5, self.work),
            (4, self.report),
            (1, self.give_up),
            (1, self.heartbeat),
            (3, self.decide),
            (1, self.steer),
            (3, self.pass_time),
        ]
        weights, doing = [weight for weight, _ in acts], [act for _, act in acts]
        for _ in range(turns):
            if self.to_start and self.chance.random() < 0.15:
                self.start()
            elif self.to_signal and self.chance.random() < 0.1:
                self.signal()
            elif self.chance.random() < 0.01:
                self.restart()
            else:
                self.chance.choices(doing, weights)[0]()

    def calm(self) -> None:
        """From here on everything works, and everybody does what is asked of them: every run has to end."""
        self.faults = False
        self.sidecar.store.moment = None
        while self.to_start:
            self.start()
        while self.to_signal:
            self.signal()
        # A frozen worker never comes back; the others report.
        for work in self.works:
            work.gone = work.gone or self.chance.random() < 0.5
        for name in self.told.runs.values():
            try:
                self.resume(name)
            except Refusal as refusal:
                assert refusal.reason in ("NOT_FOUND", "INVALID_STATE"), refusal
        for _ in range(PATIENCE):
            if self.snapshot().open_runs == 0:
                # Nobody settles what is still held: it ends by itself.
                self.now += 2 * TTL_NANOS
                return self.tick()
            for _ in range(8):
                self.lease()
                self.work()
                self.report()
                self.decide()
            self.now += MINUTE
            self.tick()
        raise AssertionError("stuck:\n" + "\n".join(f"{record}{step}" for _, record, step in self.open_steps()))

    def open_steps(
        self,
    ) -> Iterator[tuple[workflow_pb2.WorkflowDefinition, workflow_pb2.RunRecord, workflow_pb2.StepRecord]]:
        """All steps of all open runs, as they are stored."""
        for found in self.runs.newest("acme", open_only=True):
            for step in self.runs.steps("acme", found.run):
                yield self.workflows[found.record.workflow], found.record, step

    def task(self, lease: worker_service_pb2.StepLease) -> workflow_pb2.StepTask:
        """What a leased step is."""
        id = lease.step.partition("[")[0]
        return next(step.task for step in self.workflows[lease.workflow].steps if step.id == id)


def step_name(definition: workflow_pb2.WorkflowDefinition, step: workflow_pb2.StepRecord) -> str:
    """The name of a step or item."""
    id = definition.steps[step.step].id
    return f"{id}[{step.item - 1}]" if step.item else id


def attempt_of(lease: worker_service_pb2.StepLease) -> worker_service_pb2.AttemptRef:
    """Names the attempt."""
    return worker_service_pb2.AttemptRef(run=lease.run, step=lease.step, epoch=lease.epoch, lease=lease.lease)
