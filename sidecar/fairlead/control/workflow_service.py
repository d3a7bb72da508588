"""`WorkflowService` on the wire, on both endpoints: who calls makes the difference."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any

import grpc

from fairlead.control.errors import Refusal, abort, answer
from fairlead.control.identity import current
from fairlead.v1 import workflow_service_pb2 as pb
from fairlead.v1 import workflow_service_pb2_grpc
from fairlead.workflow.desk import WorkflowDesk

_log = logging.getLogger(__name__)
_Context = grpc.aio.ServicerContext[Any, Any]


class WorkflowServicer(workflow_service_pb2_grpc.WorkflowServiceServicer):
    """Translates; the services of `fairlead.workflow` and the core decide."""

    def __init__(self, desk: WorkflowDesk) -> None:
        self._reading = desk.reading
        self._watching = desk.watching
        self._steering = desk.steering
        self._catalogue = desk.catalogue

    @answer
    async def StartRun(self, request: pb.StartRunRequest, context: _Context) -> pb.StartRunResponse:
        return await self._steering.start(request, current())

    @answer
    async def GetRun(self, request: pb.GetRunRequest, context: _Context) -> pb.GetRunResponse:
        return await self._reading.get(request, current())

    @answer
    async def ListRuns(self, request: pb.ListRunsRequest, context: _Context) -> pb.ListRunsResponse:
        return await self._reading.page(request, current())

    async def WatchRun(self, request: pb.WatchRunRequest, context: _Context) -> AsyncIterator[pb.WatchRunResponse]:
        try:
            async with self._watching.subscribed(request, current()) as responses:
                async for response in responses:
                    yield response
        except Refusal as refusal:
            await abort(context, refusal)
        except grpc.aio.AbortError:
            raise
        except Exception:
            _log.exception("stream of a run failed")
            await abort(context, Refusal("INTERNAL", "the sidecar failed to go on; its log has the details"))

    @answer
    async def CancelRun(self, request: pb.CancelRunRequest, context: _Context) -> pb.CancelRunResponse:
        return await self._steering.cancel(request, current())

    @answer
    async def PauseRun(self, request: pb.PauseRunRequest, context: _Context) -> pb.PauseRunResponse:
        return await self._steering.pause(request, current())

    @answer
    async def ResumeRun(self, request: pb.ResumeRunRequest, context: _Context) -> pb.ResumeRunResponse:
        return await self._steering.resume(request, current())

    @answer
    async def RerunRun(self, request: pb.RerunRunRequest, context: _Context) -> pb.RerunRunResponse:
        return await self._steering.rerun(request, current())

    @answer
    async def SignalRun(self, request: pb.SignalRunRequest, context: _Context) -> pb.SignalRunResponse:
        return await self._steering.signal(request, current())

    @answer
    async def ListWorkflows(self, request: pb.ListWorkflowsRequest, context: _Context) -> pb.ListWorkflowsResponse:
        return await self._catalogue.page(request, current())

    @answer
    async def GetWorkflow(self, request: pb.GetWorkflowRequest, context: _Context) -> pb.GetWorkflowResponse:
        return await self._catalogue.get(request, current())
