"""What everybody stands on: the sidecar with its faults, the time, and what was said to be so."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fairlead.control.errors import Refusal
from fairlead.internal.v1 import command_pb2, workflow_pb2
from fairlead.v1 import (
    worker_service_pb2,
)
from fairlead.workflow.store import Runs
from tests.property.simulation import shapes
from tests.property.simulation.mortal import Died, Moment, Sidecar

SECOND, MINUTE, HOUR = 10**9, 60 * 10**9, 3600 * 10**9
BEGINNING = 1_800_000_000 * SECOND
LEASE_NANOS = shapes.LEASE_MILLIS * 10**6
BOT = command_pb2.Caller(tenant="acme", agent="bot")


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


class Ground:
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
        self.on_restart: list[Callable[[Ground], None]] = []
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
