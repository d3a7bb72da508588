"""`ApprovalService` and `ApprovalTicketService` on the wire: the one for operators, the other for agents.

They are two services on two endpoints, so that no credential of an agent can reach a method that decides.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any

import grpc

from fairlead.approval.service import ApprovalDeskService
from fairlead.approval.tickets import TicketService
from fairlead.approval.watch import ApprovalWatchService
from fairlead.control.errors import Refusal, abort, answer
from fairlead.control.identity import Identity, current
from fairlead.v1 import approval_service_pb2 as pb
from fairlead.v1 import approval_service_pb2_grpc

_log = logging.getLogger(__name__)

_Context = grpc.aio.ServicerContext[Any, Any]


class ApprovalServicer(approval_service_pb2_grpc.ApprovalServiceServicer):
    """Translates; `ApprovalDeskService` decides, `ApprovalWatchService` streams. Registered on the operator endpoint
    only."""

    def __init__(self, service: ApprovalDeskService, watching: ApprovalWatchService) -> None:
        self._service = service
        self._watching = watching

    @answer
    async def ListApprovals(self, request: pb.ListApprovalsRequest, context: _Context) -> pb.ListApprovalsResponse:
        return await self._service.page(request)

    @answer
    async def GetApproval(self, request: pb.GetApprovalRequest, context: _Context) -> pb.GetApprovalResponse:
        return await self._service.get(request)

    @answer
    async def DecideApproval(self, request: pb.DecideApprovalRequest, context: _Context) -> pb.DecideApprovalResponse:
        return await self._service.decide(request, current().operator)

    async def WatchApprovals(
        self, request: pb.WatchApprovalsRequest, context: _Context
    ) -> AsyncIterator[pb.WatchApprovalsResponse]:
        try:
            async with self._watching.subscribed(request) as responses:
                # Tells the client that its position is fixed, before there is anything to send.
                await context.send_initial_metadata(())
                async for response in responses:
                    yield response
        except Refusal as refusal:
            await abort(context, refusal)
        except grpc.aio.AbortError:
            raise
        except Exception:
            _log.exception("stream of approvals failed")
            await abort(context, Refusal("INTERNAL", "the sidecar failed to go on; its log has the details"))


class ApprovalTicketServicer(approval_service_pb2_grpc.ApprovalTicketServiceServicer):
    """Translates; `TicketService` decides. Registered on the agent endpoint only."""

    def __init__(self, service: TicketService) -> None:
        self._service = service

    @answer
    async def GetTicket(self, request: pb.GetTicketRequest, context: _Context) -> pb.GetTicketResponse:
        return await self._service.get(request, _agent())

    @answer
    async def WaitTicket(self, request: pb.WaitTicketRequest, context: _Context) -> pb.WaitTicketResponse:
        return await self._service.wait(request, _agent())


def _agent() -> Identity:
    identity = current()
    if not identity.tenant:
        raise Refusal("CREDENTIAL_MISSING", "the call carries no identity")
    return identity
