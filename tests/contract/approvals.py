"""ApprovalService and ApprovalTicketService over one core, as the tests of both call them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc

from fairlead.approval.service import ApprovalDeskService
from fairlead.approval.tickets import TicketService
from fairlead.approval.votes import Votes
from fairlead.approval.watch import ApprovalWatchService
from fairlead.control.access import AGENT, FRONT_KEY, TENANT, FrontDoor, OperatorCredential, OperatorDoor, Operators
from fairlead.control.approval_service import ApprovalServicer, ApprovalTicketServicer
from fairlead.store import CommitFeed
from fairlead.v1 import approval_service_pb2 as pb
from fairlead.v1 import approval_service_pb2_grpc
from tests.contract.control import KEY
from tests.unit.approval.fakes import DIGEST, ROLES, ApprovalCore, approval

INVALID = (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT")
ONE = approval(1)
AS_OTHER_AGENT = ((FRONT_KEY, KEY), (TENANT, "acme"), (AGENT, "other-bot"))
AS_OTHER_TENANT = ((FRONT_KEY, KEY), (TENANT, "globex"), (AGENT, "support-bot"))


def as_operator(name: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {name}-token"),)


class Sidecar:
    """Both services over one core, on the endpoints that they have in a daemon."""

    def __init__(self, *approvals: pb.Approval, max_watchers: int = 2, **bounds: Any) -> None:
        self.core = ApprovalCore(*approvals)
        votes = Votes()
        self.tickets = TicketService(self.core.store, votes, lambda: self.core.now, **bounds)
        self.desk = ApprovalDeskService(self.core, self.core.store, votes, lambda: self.core.now)
        self.core.feed = CommitFeed(asyncio.get_running_loop())
        self.core.feed.publish(len(self.core.records))
        self.watching = ApprovalWatchService(self.core.store, self.core.feed, lambda: self.core.now, max_watchers)
        self.operator: Any = None
        self.agent: Any = None
        self.deciding_as_agent: Any = None

    @asynccontextmanager
    async def served(self, directory: Path) -> AsyncIterator[Sidecar]:
        operators = Operators()
        operators.replace(OperatorCredential.of(name, roles, f"{name}-token") for name, roles in ROLES.items())
        for_operators = grpc.aio.server(interceptors=(OperatorDoor(operators, token_required=False),))
        approval_service_pb2_grpc.add_ApprovalServiceServicer_to_server(
            ApprovalServicer(self.desk, self.watching), for_operators
        )
        for_agents = grpc.aio.server(interceptors=(FrontDoor(KEY),))
        approval_service_pb2_grpc.add_ApprovalTicketServiceServicer_to_server(
            ApprovalTicketServicer(self.tickets), for_agents
        )
        addresses = [f"unix:{directory}/{name}.sock" for name in ("operators", "agents")]
        options = [("grpc.default_authority", "localhost")]
        for server, address in zip((for_operators, for_agents), addresses, strict=True):
            server.add_insecure_port(address)
            await server.start()
        try:
            async with (
                grpc.aio.insecure_channel(addresses[0], options=options) as operators_channel,
                grpc.aio.insecure_channel(addresses[1], options=options) as agents_channel,
            ):
                self.operator = approval_service_pb2_grpc.ApprovalServiceStub(operators_channel)
                self.agent = approval_service_pb2_grpc.ApprovalTicketServiceStub(agents_channel)
                self.deciding_as_agent = approval_service_pb2_grpc.ApprovalServiceStub(agents_channel)
                yield self
        finally:
            await for_operators.stop(None)
            await for_agents.stop(None)

    async def vote(self, who: str, request_id: str = "v-1", **fields: Any) -> pb.DecideApprovalResponse:
        answer: pb.DecideApprovalResponse = await self.operator.DecideApproval(
            vote(request_id, **fields), metadata=as_operator(who)
        )
        return answer


def vote(request_id: str = "v-1", **fields: Any) -> pb.DecideApprovalRequest:
    given: dict[str, Any] = {
        "name": ONE.name,
        "decision": pb.APPROVAL_DECISION_APPROVE,
        "reason": "the order was lost",
        "digest": DIGEST,
    }
    return pb.DecideApprovalRequest(request_id=request_id, **{**given, **fields})


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await test()

    asyncio.run(bounded())


def scenario(
    directory: Path, test: Callable[[Sidecar], Coroutine[Any, Any, None]], *approvals: pb.Approval, **bounds: Any
) -> None:
    async def served() -> None:
        async with Sidecar(*approvals, **bounds).served(directory) as sidecar:
            await test(sidecar)

    run(served)
