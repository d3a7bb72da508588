"""`CheckpointService` on the wire: for agents only."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc

from fairlead.checkpoint.service import CheckpointService
from fairlead.control.errors import Refusal, answer
from fairlead.control.identity import Identity, current
from fairlead.v1 import checkpoint_service_pb2 as pb
from fairlead.v1 import checkpoint_service_pb2_grpc

_Context = grpc.aio.ServicerContext[Any, Any]


class CheckpointServicer(checkpoint_service_pb2_grpc.CheckpointServiceServicer):
    """Translates; `CheckpointService` decides. Registered on the agent endpoint only."""

    def __init__(self, service: CheckpointService) -> None:
        self._service = service

    @answer
    async def PutCheckpoint(self, request: pb.PutCheckpointRequest, context: _Context) -> pb.PutCheckpointResponse:
        return await self._service.put(request, _agent())

    @answer
    async def PutWrites(self, request: pb.PutWritesRequest, context: _Context) -> pb.PutWritesResponse:
        return await self._service.put_writes(request, _agent())

    @answer
    async def PutLarge(self, request: AsyncIterator[pb.PutLargeRequest], context: _Context) -> pb.PutLargeResponse:
        return await self._service.put_large(request, _agent())

    @answer
    async def GetCheckpoint(self, request: pb.GetCheckpointRequest, context: _Context) -> pb.GetCheckpointResponse:
        return await self._service.get(request, _agent())

    @answer
    async def ListCheckpoints(
        self, request: pb.ListCheckpointsRequest, context: _Context
    ) -> pb.ListCheckpointsResponse:
        return await self._service.page(request, _agent())

    @answer
    async def ListAncestors(self, request: pb.ListAncestorsRequest, context: _Context) -> pb.ListAncestorsResponse:
        return await self._service.ancestors(request, _agent())

    @answer
    async def ReadPayload(self, request: pb.ReadPayloadRequest, context: _Context) -> pb.ReadPayloadResponse:
        return await self._service.piece(request, _agent())

    @answer
    async def DeleteThread(self, request: pb.DeleteThreadRequest, context: _Context) -> pb.DeleteThreadResponse:
        return await self._service.delete(request, _agent())

    @answer
    async def DeleteForRuns(self, request: pb.DeleteForRunsRequest, context: _Context) -> pb.DeleteForRunsResponse:
        return await self._service.delete_for_runs(request, _agent())

    @answer
    async def CopyThread(self, request: pb.CopyThreadRequest, context: _Context) -> pb.CopyThreadResponse:
        return await self._service.copy(request, _agent())

    @answer
    async def PruneThreads(self, request: pb.PruneThreadsRequest, context: _Context) -> pb.PruneThreadsResponse:
        return await self._service.prune(request, _agent())


def _agent() -> Identity:
    identity = current()
    if not identity.tenant:
        raise Refusal("CREDENTIAL_MISSING", "the call carries no identity")
    return identity
