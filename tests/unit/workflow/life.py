"""One life of a sidecar without its process: the native core, its writer and a store on disk, and the services over it.

The lease of a step is asked for as the front does, through the same command.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fairlead.approval.service import ApprovalDeskService
from fairlead.approval.votes import Votes
from fairlead.audit.consumers.service import Consumers
from fairlead.audit.service import AuditLogService
from fairlead.audit.transparency.sealing import Sealing
from fairlead.config.service import Running
from fairlead.control.commands import apply
from fairlead.control.identity import Identity
from fairlead.internal.v1 import command_pb2, engine_config_pb2, workflow_pb2
from fairlead.native import Core
from fairlead.store import CommitFeed, open_store, recovery
from fairlead.store.writer import CommitWriter
from fairlead.v1 import approval_service_pb2, run_pb2, worker_service_pb2
from fairlead.v1 import workflow_service_pb2 as pb
from fairlead.workflow.catalogue import WorkflowCatalogue
from fairlead.workflow.desk import WorkflowDesk
from fairlead.workflow.store import Runs
from tests.property.core import configuration

BOT = Identity(tenant="acme", agent="bot")
STRANGER = Identity(tenant="globex", agent="bot")
ASHA = Identity(operator="asha")
_CALLER = command_pb2.Caller(tenant="acme", agent="bot")


def step(id: str, queue: str = "", needs: tuple[str, ...] = (), **task: Any) -> workflow_pb2.StepDefinition:
    """A step that a worker does, or what `task` says it is."""
    if queue:
        task = {"agent": workflow_pb2.AgentTask(queue=queue), "effect": run_pb2.STEP_EFFECT_READ, **task}
    return workflow_pb2.StepDefinition(id=id, needs=needs, task=workflow_pb2.StepTask(**task))


def workflow(name: str, *steps: workflow_pb2.StepDefinition, **fields: Any) -> workflow_pb2.WorkflowDefinition:
    """A definition; equal ones have equal versions."""

    made = workflow_pb2.WorkflowDefinition(name=name, steps=steps, unknown_tier="one", canonical="{}", **fields)
    made.version = hashlib.sha256(made.SerializeToString(deterministic=True)).hexdigest()
    return made


def config_of(*workflows: workflow_pb2.WorkflowDefinition) -> engine_config_pb2.EngineConfig:
    """Two tenants, an operator who can approve alone, and these workflows."""
    config = configuration(10**12, 10**9)
    config.tenants.add(name="globex", agents=[engine_config_pb2.Agent(name="bot")])
    config.operators.add(name="asha", roles=["finance"])
    tier = config.approval_tiers.add(name="one", expires_after_millis=3_600_000)
    tier.require.add(role="finance", count=1)
    config.limits.open_approvals = 1000
    config.workflows.extend(workflows)
    return config


class Life:
    """See the module."""

    def __init__(self, directory: Path, config: engine_config_pb2.EngineConfig) -> None:
        self.store = open_store(directory)
        self.core = Core(config.SerializeToString(), engine_config_pb2.Secrets().SerializeToString())
        self.feed = CommitFeed(asyncio.get_running_loop())
        self.feed.publish(recovery.recover(self.core, self.store, time.time_ns()).sequence)
        self._faults: list[BaseException] = []
        # How far the services are ahead of the core: time passes without waiting for it.
        self.ahead_nanos = 0
        self._writer = CommitWriter(
            self.core, self.store, committed=self.feed.publish, available=lambda *_: None, fault=self._faults.append
        )
        self._writer.start()

        def running() -> Running:
            raise AssertionError("the definitions come from the test")

        self.desk = WorkflowDesk(self.core, self.store, self.feed, running, self._clock)
        self.desk.catalogue = WorkflowCatalogue(lambda: config.workflows, Runs(self.store), self._clock)
        consumers = Consumers(self.core, self.store, self.feed, time.time_ns)
        sealing = Sealing(self.core, self.store, self.feed, time.time_ns)
        self.audit = AuditLogService(self.store, self.feed, consumers, sealing)
        self.approvals = ApprovalDeskService(self.core, self.store, Votes(), time.time_ns)

    def _clock(self) -> int:
        return time.time_ns() + self.ahead_nanos

    async def end(self) -> None:
        """Writes what is decided, and gives the directory back."""
        await self.desk.drain()
        await asyncio.to_thread(self._writer.stop)
        self.core.fail_store("the test is over")
        self.store.close()
        assert not self._faults

    async def command(self, **kind: Any) -> command_pb2.CommandResult:
        """A command of the agent's, as the front gives it."""
        return await apply(self.core, command_pb2.Command(caller=_CALLER, **kind))

    async def start(self, name: str, request_id: str = "s-1", caller: Identity = BOT, **fields: Any) -> str:
        """Starts a run; its name."""
        request = pb.StartRunRequest(request_id=request_id, workflow=name, **fields)
        return (await self.desk.steering.start(request, caller)).run.name

    async def lease(self, queue: str, most: int = 1) -> list[worker_service_pb2.StepLease]:
        """Steps of a queue, perhaps none."""
        wish = worker_service_pb2.LeaseWish(worker="w-1", queues=[queue], max_steps=most)
        result = await self.command(lease_steps=worker_service_pb2.LeaseStepsRequest(wish=wish))
        return list(result.leased.leases)

    async def complete(self, lease: worker_service_pb2.StepLease, output: Any = None) -> None:
        """Ends an attempt with a result."""
        request = worker_service_pb2.CompleteStepRequest(attempt=_attempt(lease), output=json.dumps(output).encode())
        await self.command(complete_step=request)

    async def fail(self, lease: worker_service_pb2.StepLease, code: str) -> None:
        """Ends an attempt, and the step, without a result."""
        request = worker_service_pb2.FailStepRequest(attempt=_attempt(lease), code=code, non_retryable=True)
        await self.command(fail_step=request)

    async def do(self, queue: str, output: Any = None) -> worker_service_pb2.StepLease:
        """Leases the one step of a queue and completes it."""
        (lease,) = await self.lease(queue)
        await self.complete(lease, output)
        return lease

    async def run(self, name: str, caller: Identity = ASHA, **fields: Any) -> run_pb2.Run:
        """A run."""
        return (await self.desk.reading.get(pb.GetRunRequest(name=name, **fields), caller)).run

    async def vote(self, approval: str, **fields: Any) -> None:
        """Asha agrees."""
        seen = (await self.approvals.get(approval_service_pb2.GetApprovalRequest(name=approval))).approval
        request = approval_service_pb2.DecideApprovalRequest(
            request_id=approval,
            name=approval,
            decision=approval_service_pb2.APPROVAL_DECISION_APPROVE,
            reason="all there",
            digest=seen.digest,
            **fields,
        )
        await self.approvals.decide(request, "asha")


@asynccontextmanager
async def living(directory: Path, *workflows: workflow_pb2.WorkflowDefinition) -> AsyncIterator[Life]:
    """A life; another one on the same directory is a restart."""
    life = Life(directory, config_of(*workflows))
    try:
        yield life
    finally:
        await life.end()


def _attempt(lease: worker_service_pb2.StepLease) -> worker_service_pb2.AttemptRef:
    return worker_service_pb2.AttemptRef(run=lease.run, step=lease.step, epoch=lease.epoch, lease=lease.lease)
