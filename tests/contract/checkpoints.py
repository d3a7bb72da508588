"""CheckpointService behind the agents' door, two agents of two tenants, and what is looked at afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc

from fairlead.checkpoint.service import CheckpointService
from fairlead.control.access import AGENT, FRONT_KEY, TENANT
from fairlead.control.checkpoint_service import CheckpointServicer
from fairlead.v1 import checkpoint_service_pb2 as pb
from fairlead.v1 import checkpoint_service_pb2_grpc
from tests.contract.control import AS_AGENT, KEY, served
from tests.unit.audit.fakes import FakeStore
from tests.unit.checkpoint import samples
from tests.unit.checkpoint.samples import SETTINGS

AS_OTHER = ((FRONT_KEY, KEY), (TENANT, "globex"), (AGENT, "support-bot"))


class Sidecar:
    """A store, a core that writes into it at once, and the service over both."""

    def __init__(self) -> None:
        self.store = FakeStore()
        self.core = samples.WritingCore(lambda units: [self.store.put(*unit) for unit in units])
        self.settings = SETTINGS
        self.service = CheckpointService(self.core, self.store, lambda: self.settings)


class Agent:
    """The methods, as an agent of a tenant."""

    def __init__(self, stub: Any, metadata: Any = AS_AGENT) -> None:
        self._stub = stub
        self._metadata = metadata

    def __getattr__(self, method: str) -> Callable[[Any], Any]:
        return lambda request: getattr(self._stub, method)(request, metadata=self._metadata)

    async def get(self, name: str = "", thread: str = "t", namespace: str = "") -> pb.Checkpoint:
        request = pb.GetCheckpointRequest(thread=thread, namespace=namespace, checkpoint=name)
        found: pb.Checkpoint = (await self.GetCheckpoint(request)).checkpoint
        return found

    async def listed(self, **fields: Any) -> list[str]:
        """Ids of all pages."""
        request = pb.ListCheckpointsRequest(**fields)
        found = []
        while True:
            page = await self.ListCheckpoints(request)
            found += [one.checkpoint for one in page.checkpoints]
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token


@asynccontextmanager
async def sidecar(directory: Path) -> AsyncIterator[tuple[Sidecar, Agent, Agent]]:
    life = Sidecar()

    def register(server: grpc.aio.Server) -> None:
        servicer = CheckpointServicer(life.service)
        checkpoint_service_pb2_grpc.add_CheckpointServiceServicer_to_server(servicer, server)

    async with served(directory, register, agents=True) as channel:
        stub = checkpoint_service_pb2_grpc.CheckpointServiceStub(channel)
        yield life, Agent(stub), Agent(stub, AS_OTHER)
    samples.check_whole(life.store, "acme")
    samples.check_whole(life.store, "globex")


def scenario(test: Callable[[Path], Coroutine[Any, Any, None]]) -> Callable[[Path], None]:
    """Runs it on a loop of its own, for as long as it may take."""

    def bounded(tmp_path: Path) -> None:
        async def run() -> None:
            async with asyncio.timeout(30):
                await test(tmp_path)

        asyncio.run(run())

    bounded.__doc__ = test.__doc__
    return bounded


def size(life: Sidecar) -> int:
    return sum(len(key) + len(value) for key, value in life.store.families[10].items())


def changed(before: dict[bytes, bytes], life: Sidecar) -> set[str]:
    """Kinds of the keys whose values differ."""
    after = life.store.families[10]
    prefix = len(samples.keys.text("acme"))
    different = [key for key in before.keys() | after.keys() if before.get(key) != after.get(key)]
    return {chr(key[prefix]) for key in different}
