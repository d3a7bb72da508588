"""Workers: they lease, act, call models, report, and freeze."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fairlead.control.errors import Refusal
from fairlead.internal.v1 import command_pb2, workflow_pb2
from fairlead.v1 import (
    decision_pb2,
    gate_service_pb2,
    run_pb2,
    worker_service_pb2,
)
from tests.property.simulation import shapes
from tests.property.simulation.ground import BOT, LEASE_NANOS, Ground, Work, attempt_of, step_name


class Workers(Ground):
    """See the module. A worker acts only as long as it believes in its lease."""

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
