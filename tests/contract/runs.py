"""`WorkflowService` on both endpoints over runs in memory, as a daemon serves it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import grpc

from fairlead.audit.store import AuditLog
from fairlead.control.access import AGENT, FRONT_KEY, TENANT, FrontDoor, OperatorCredential, OperatorDoor, Operators
from fairlead.control.workflow_service import WorkflowServicer
from fairlead.internal.v1 import workflow_pb2
from fairlead.store import CommitFeed
from fairlead.v1 import workflow_service_pb2_grpc
from fairlead.workflow.catalogue import WorkflowCatalogue
from fairlead.workflow.service import RunService
from fairlead.workflow.steering import RunSteering
from fairlead.workflow.store import Runs
from fairlead.workflow.watch import RunWatchService
from tests.contract.control import KEY
from tests.unit.workflow.fakes import RunCore, definition

INVALID = (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT")
UNKNOWN = (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")
WRONG_STATE = (grpc.StatusCode.FAILED_PRECONDITION, "INVALID_STATE")
AS_GLOBEX = ((FRONT_KEY, KEY), (TENANT, "globex"), (AGENT, "support-bot"))
AS_OTHER_AGENT = ((FRONT_KEY, KEY), (TENANT, "acme"), (AGENT, "other-bot"))
AS_ASHA = (("authorization", "Bearer asha-token"),)


class Sidecar:
    """The service over one core, on the endpoints that it has in a daemon."""

    def __init__(self, core: RunCore, **bounds: Any) -> None:
        self.core = core
        self.in_force: list[workflow_pb2.WorkflowDefinition] = [definition()]
        self.runs = Runs(core.store)
        self.reading = RunService(self.runs, lambda: core.now)
        self._bounds = bounds
        self.operator: Any = None
        self.agent: Any = None

    def servicer(self) -> WorkflowServicer:
        """The service; what is inside is that of a `WorkflowDesk`, with bounds that a test can reach."""
        return WorkflowServicer(cast(Any, self))

    @asynccontextmanager
    async def served(self, directory: Path) -> AsyncIterator[Sidecar]:
        core = self.core
        core.feed = CommitFeed(asyncio.get_running_loop())
        core.publish()
        self.watching = RunWatchService(self.runs, self.reading, AuditLog(core.store), core.feed, **self._bounds)
        self.steering = RunSteering(core, core.store, self.runs, self.reading, lambda: core.now)
        self.catalogue = WorkflowCatalogue(lambda: self.in_force, self.runs, lambda: core.now)
        servicer = self.servicer()
        operators = Operators()
        operators.replace([OperatorCredential.of("asha", ["finance"], "asha-token")])
        options = [("grpc.default_authority", "localhost"), ("grpc.max_receive_message_length", 64 << 20)]
        servers, channels = [], []
        for name, door in (("operators", OperatorDoor(operators, token_required=False)), ("agents", FrontDoor(KEY))):
            server = grpc.aio.server(interceptors=(door,), options=[("grpc.max_send_message_length", 64 << 20)])
            workflow_service_pb2_grpc.add_WorkflowServiceServicer_to_server(servicer, server)
            address = f"unix:{directory}/{name}.sock"
            server.add_insecure_port(address)
            await server.start()
            servers.append(server)
            channels.append(grpc.aio.insecure_channel(address, options=options))
        try:
            self.operator, self.agent = map(workflow_service_pb2_grpc.WorkflowServiceStub, channels)
            yield self
        finally:
            for channel in channels:
                await channel.close()
            for server in servers:
                await server.stop(None)


def scenario(
    directory: Path, test: Callable[[Sidecar], Coroutine[Any, Any, None]], core: RunCore | None = None, **bounds: Any
) -> None:
    async def served() -> None:
        async with asyncio.timeout(30), Sidecar(core or RunCore(), **bounds).served(directory) as sidecar:
            await test(sidecar)

    asyncio.run(served())
