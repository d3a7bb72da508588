"""Everybody who has to do with runs, and what goes wrong for them, all by one seed.

Workers, people and programs keep to the documentation: a worker acts only as long as it believes in its lease, whoever
got no answer asks again with the same request id, and people who are asked what became of a step know the truth. The
time of the world passes for all of them; the sidecar's clock may be ahead of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from fairlead.control.errors import Refusal
from fairlead.v1 import workflow_service_pb2
from tests.property.reference import TTL_NANOS
from tests.property.simulation import shapes
from tests.property.simulation.ground import BOT, MINUTE
from tests.property.simulation.people import People
from tests.property.simulation.workers import Workers

# Rounds after which a run that is still open is stuck.
PATIENCE = 400


class World(Workers, People):
    """See the module."""

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
