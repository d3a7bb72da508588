"""`BudgetService` on the wire: for operators all of it, for agents their own tenant, reading only."""

from __future__ import annotations

from typing import Any

import grpc

from fairlead.budget.service import BudgetLedgerService
from fairlead.control.errors import Refusal, answer
from fairlead.control.identity import current
from fairlead.v1 import budget_service_pb2 as pb
from fairlead.v1 import budget_service_pb2_grpc

_Context = grpc.aio.ServicerContext[Any, Any]


class BudgetServicer(budget_service_pb2_grpc.BudgetServiceServicer):
    """Translates; `BudgetLedgerService` decides. Registered on both endpoints: who calls makes the difference."""

    def __init__(self, service: BudgetLedgerService) -> None:
        self._service = service

    @answer
    async def ListBudgets(self, request: pb.ListBudgetsRequest, context: _Context) -> pb.ListBudgetsResponse:
        return await self._service.page(request, _tenant())

    @answer
    async def GetBudget(self, request: pb.GetBudgetRequest, context: _Context) -> pb.GetBudgetResponse:
        return await self._service.get(request, _tenant())

    @answer
    async def AdjustBudget(self, request: pb.AdjustBudgetRequest, context: _Context) -> pb.AdjustBudgetResponse:
        operator = current().operator
        if not operator:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "AdjustBudget does not exist on the agent endpoint")
        return await self._service.adjust(request, operator)


def _tenant() -> str:
    """The only tenant that the caller may see; empty for an operator. Nobody in particular sees nothing."""
    identity = current()
    if identity.operator:
        return ""
    if not identity.tenant:
        raise Refusal("CREDENTIAL_MISSING", "the call carries no identity")
    return identity.tenant
