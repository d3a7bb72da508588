"""`NotificationService` on the wire: for operators."""

from __future__ import annotations

from typing import Any

import grpc

from fairlead.control.errors import answer
from fairlead.control.identity import current
from fairlead.notification.desk import NotificationDeskService
from fairlead.v1 import notification_service_pb2 as pb
from fairlead.v1 import notification_service_pb2_grpc

_Context = grpc.aio.ServicerContext[Any, Any]


class NotificationServicer(notification_service_pb2_grpc.NotificationServiceServicer):
    """Translates; `NotificationDeskService` decides. Registered on the operator endpoint only."""

    def __init__(self, service: NotificationDeskService) -> None:
        self._service = service

    @answer
    async def ListDeliveries(self, request: pb.ListDeliveriesRequest, context: _Context) -> pb.ListDeliveriesResponse:
        return await self._service.page(request)

    @answer
    async def RetryDeliveries(
        self, request: pb.RetryDeliveriesRequest, context: _Context
    ) -> pb.RetryDeliveriesResponse:
        return await self._service.retry(request, current().operator)

    @answer
    async def DropDelivery(self, request: pb.DropDeliveryRequest, context: _Context) -> pb.DropDeliveryResponse:
        return await self._service.drop(request, current().operator)

    @answer
    async def TestReceiver(self, request: pb.TestReceiverRequest, context: _Context) -> pb.TestReceiverResponse:
        return await self._service.test(request)
