"""`AuditService` on the wire. Registered on the operator endpoint only."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import grpc

from fairlead.audit.erasure.service import ErasureService
from fairlead.audit.service import AuditLogService
from fairlead.audit.transparency.service import TransparencyService
from fairlead.control.errors import Refusal, abort, answer
from fairlead.control.identity import current
from fairlead.v1 import audit_service_pb2 as pb
from fairlead.v1 import audit_service_pb2_grpc

_log = logging.getLogger(__name__)
_Context = grpc.aio.ServicerContext[Any, Any]
_SERVICE = pb.DESCRIPTOR.services_by_name["AuditService"].full_name


def add_to_server(servicer: audit_service_pb2_grpc.AuditServiceServicer, server: grpc.aio.Server) -> None:
    """As the generated function, but what `WatchEvents` writes may be bytes already."""
    watch = grpc.unary_stream_rpc_method_handler(
        servicer.WatchEvents,
        request_deserializer=pb.WatchEventsRequest.FromString,
        response_serializer=_serialized,
    )
    # Of generic handlers the first that knows a method serves it; of registered ones, where gRPC has them, the last.
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, {"WatchEvents": watch}),))
    audit_service_pb2_grpc.add_AuditServiceServicer_to_server(servicer, server)
    server.add_registered_method_handlers(_SERVICE, {"WatchEvents": watch})  # type: ignore[attr-defined]


def _serialized(response: bytes | pb.WatchEventsResponse) -> bytes:
    return response if isinstance(response, bytes) else response.SerializeToString()


class AuditServicer(audit_service_pb2_grpc.AuditServiceServicer):
    """Translates; the services of the log decide."""

    def __init__(self, service: AuditLogService, transparency: TransparencyService, erasure: ErasureService) -> None:
        self._service = service
        self._erasure = erasure
        self._transparency = transparency

    # Writes instead of yielding: what a stream waits for is then in its own hands.
    async def WatchEvents(self, request: pb.WatchEventsRequest, context: _Context) -> None:
        try:
            async with self._service.subscribed(request) as responses:
                # Tells the client that its position is fixed, before there is anything to send.
                await context.send_initial_metadata(())
                async for response in responses:
                    await self._give(context, response, request.subscriber)
        except Refusal as refusal:
            await abort(context, refusal)
        except grpc.aio.AbortError:
            raise
        except Exception:
            _log.exception("stream of the audit log failed")
            await abort(context, Refusal("INTERNAL", "the sidecar failed to go on; its log has the details"))

    async def _give(self, context: _Context, response: bytes, consumer: str) -> None:
        """Sends a response; ends the stream of whoever takes nothing for too long, so that its place is free again."""
        seconds = self._service.consumers.limits.stall_seconds
        try:
            async with asyncio.timeout(seconds):
                await context.write(response)
        except TimeoutError:
            name = f"consumer {consumer}" if consumer else "the reader"
            raise Refusal(
                "STREAM_STALLED",
                f"{name} has taken nothing for {seconds:g} s: connect again with the last token, "
                "or raise limits.consumerStall",
                {"bound": "consumer_stall"},
            ) from None

    @answer
    async def AcknowledgeEvents(
        self, request: pb.AcknowledgeEventsRequest, context: _Context
    ) -> pb.AcknowledgeEventsResponse:
        return await self._service.acknowledge(request, current().operator)

    @answer
    async def ListConsumers(self, request: pb.ListConsumersRequest, context: _Context) -> pb.ListConsumersResponse:
        return await self._service.consumers.listed()

    @answer
    async def SkipEvents(self, request: pb.SkipEventsRequest, context: _Context) -> pb.SkipEventsResponse:
        return await self._service.consumers.skip(request, current().operator)

    @answer
    async def RemoveConsumer(self, request: pb.RemoveConsumerRequest, context: _Context) -> pb.RemoveConsumerResponse:
        return await self._service.consumers.remove(request, current().operator)

    @answer
    async def ListEvents(self, request: pb.ListEventsRequest, context: _Context) -> pb.ListEventsResponse:
        return await self._service.page(request)

    @answer
    async def ExplainInvocation(
        self, request: pb.ExplainInvocationRequest, context: _Context
    ) -> pb.ExplainInvocationResponse:
        return await self._service.explain(request)

    @answer
    async def ExplainRun(self, request: pb.ExplainRunRequest, context: _Context) -> pb.ExplainRunResponse:
        return await self._service.explain_run(request)

    @answer
    async def VerifyChain(self, request: pb.VerifyChainRequest, context: _Context) -> pb.VerifyChainResponse:
        return await self._service.verify(request)

    @answer
    async def EraseValues(self, request: pb.EraseValuesRequest, context: _Context) -> pb.EraseValuesResponse:
        return await self._erasure.erase(request, current().operator)

    @answer
    async def GetAuditLog(self, request: pb.GetAuditLogRequest, context: _Context) -> pb.GetAuditLogResponse:
        return await self._transparency.identity()

    @answer
    async def GetLogCheckpoint(
        self, request: pb.GetLogCheckpointRequest, context: _Context
    ) -> pb.GetLogCheckpointResponse:
        return await self._transparency.checkpoint(request)

    @answer
    async def ListLogCheckpoints(
        self, request: pb.ListLogCheckpointsRequest, context: _Context
    ) -> pb.ListLogCheckpointsResponse:
        return await self._transparency.page(request)

    @answer
    async def ProveEvents(self, request: pb.ProveEventsRequest, context: _Context) -> pb.ProveEventsResponse:
        return await self._transparency.prove(request)

    @answer
    async def ProveConsistency(
        self, request: pb.ProveConsistencyRequest, context: _Context
    ) -> pb.ProveConsistencyResponse:
        return await self._transparency.consistency(request)
