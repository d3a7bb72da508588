"""`ConfigService` on the wire. Registered on the operator endpoint only."""

from __future__ import annotations

from typing import Any

import grpc

from fairlead.config.service import ConfigurationService
from fairlead.control.errors import answer
from fairlead.control.identity import current
from fairlead.v1 import config_service_pb2 as pb
from fairlead.v1 import config_service_pb2_grpc

_Context = grpc.aio.ServicerContext[Any, Any]


class ConfigServicer(config_service_pb2_grpc.ConfigServiceServicer):
    """Translates; `ConfigurationService` decides."""

    def __init__(self, service: ConfigurationService) -> None:
        self._service = service

    @answer
    async def ApplyConfig(self, request: pb.ApplyConfigRequest, context: _Context) -> pb.ApplyConfigResponse:
        return await self._service.apply(request, current().operator)

    @answer
    async def GetConfig(self, request: pb.GetConfigRequest, context: _Context) -> pb.GetConfigResponse:
        return await self._service.get(request)

    @answer
    async def ListConfigVersions(
        self, request: pb.ListConfigVersionsRequest, context: _Context
    ) -> pb.ListConfigVersionsResponse:
        return await self._service.list(request)

    @answer
    async def DiffConfig(self, request: pb.DiffConfigRequest, context: _Context) -> pb.DiffConfigResponse:
        return await self._service.diff(request)

    @answer
    async def RollbackConfig(self, request: pb.RollbackConfigRequest, context: _Context) -> pb.RollbackConfigResponse:
        return await self._service.rollback(request, current().operator)
