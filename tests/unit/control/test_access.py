"""Who gets through which door, against real servers."""

import asyncio
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2, wrappers_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from fairlead.control.access import OperatorCredential, Operators
from fairlead.control.identity import Identity, current
from fairlead.control.metrics_service import MetricsService
from fairlead.control.server import (
    OperatorServer,
    OperatorTcp,
    Servicers,
    SocketInUse,
    SocketUnusable,
    start_control_server,
)
from fairlead.control.store_service import StoreService
from fairlead.internal.v1 import command_pb2, state_pb2
from fairlead.store import Family, Store, keys, open_store
from fairlead.v1 import (
    approval_service_pb2,
    approval_service_pb2_grpc,
    audit_service_pb2,
    audit_service_pb2_grpc,
    backup_service_pb2_grpc,
    budget_service_pb2,
    budget_service_pb2_grpc,
    checkpoint_service_pb2_grpc,
    config_service_pb2,
    config_service_pb2_grpc,
    notification_service_pb2_grpc,
    workflow_service_pb2_grpc,
)

LIST = "/fairlead.v1.BudgetService/ListBudgets"
KEY = "the-front-key"
Channel = Any


class Seen(budget_service_pb2_grpc.BudgetServiceServicer):
    """Remembers who called."""

    def __init__(self) -> None:
        self.callers: list[Identity] = []

    async def ListBudgets(self, request: Any, context: Any) -> budget_service_pb2.ListBudgetsResponse:
        self.callers.append(current())
        return budget_service_pb2.ListBudgetsResponse()


class Streams(audit_service_pb2_grpc.AuditServiceServicer):
    """A stream that says who called."""

    async def WatchEvents(self, request: Any, context: Any) -> Any:
        yield audit_service_pb2.WatchEventsResponse(resume_token=current().operator)


class Served:
    """Both servers over one store."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.store: Store = open_store(directory / "data")
        self.seen = Seen()
        self.operators = Operators()
        self.operators.replace([OperatorCredential.of("asha", ["finance"], "asha-token")])
        self.servicers = Servicers(
            approval=approval_service_pb2_grpc.ApprovalServiceServicer(),
            ticket=approval_service_pb2_grpc.ApprovalTicketServiceServicer(),
            audit=Streams(),
            backup=backup_service_pb2_grpc.BackupServiceServicer(),
            budget=self.seen,
            config=config_service_pb2_grpc.ConfigServiceServicer(),
            workflow=workflow_service_pb2_grpc.WorkflowServiceServicer(),
            checkpoint=checkpoint_service_pb2_grpc.CheckpointServiceServicer(),
            notification=notification_service_pb2_grpc.NotificationServiceServicer(),
            store=StoreService(self.store),
            metrics=MetricsService([lambda: "counted 1\n"]),
        )
        self.operator = OperatorServer(self.operators, self.servicers)

    @property
    def admin(self) -> Path:
        return self.directory / "admin.sock"

    @property
    def control(self) -> Path:
        return self.directory / "control.sock"


def with_servers(directory: Path, body: Callable[[Served, Channel, Channel], Awaitable[None]]) -> None:
    async def main() -> None:
        served = Served(directory)
        control = await start_control_server(served.control, KEY, served.servicers)
        await served.operator.start(served.admin)
        options = [("grpc.default_authority", "localhost")]
        try:
            async with (
                grpc.aio.insecure_channel(f"unix:{served.control}", options=options) as agents,
                grpc.aio.insecure_channel(f"unix:{served.admin}", options=options) as operators,
            ):
                await body(served, agents, operators)
        finally:
            await control.stop(0)
            await served.operator.stop(0)
            served.store.close()

    asyncio.run(main())


async def list_budgets(channel: Channel, *metadata: tuple[str, str]) -> None:
    request = budget_service_pb2.ListBudgetsRequest()
    await budget_service_pb2_grpc.BudgetServiceStub(channel).ListBudgets(request, metadata=metadata, timeout=10)


async def code_of(call: Awaitable[object]) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return refused.value.code()


def test_the_local_operator_needs_no_token_but_a_wrong_one_is_refused(tmp_path: Path) -> None:
    async def body(served: Served, agents: Channel, operators: Channel) -> None:
        await list_budgets(operators)
        await list_budgets(operators, ("authorization", "Bearer asha-token"))
        await list_budgets(operators, ("authorization", "bearer asha-token"))
        asha = Identity(operator="asha", roles=frozenset({"finance"}))
        assert served.seen.callers == [Identity(operator="local"), asha, asha]
        for value in ("Bearer wrong", "Bearer ", "asha-token", "Basic asha-token"):
            refused = await code_of(list_budgets(operators, ("authorization", value)))
            assert refused is grpc.StatusCode.UNAUTHENTICATED, value

    with_servers(tmp_path, body)


def test_a_stream_sees_its_operator_too(tmp_path: Path) -> None:
    async def body(served: Served, agents: Channel, operators: Channel) -> None:
        stub = audit_service_pb2_grpc.AuditServiceStub(operators)
        request = audit_service_pb2.WatchEventsRequest()
        first = await anext(aiter(stub.WatchEvents(request, metadata=(("authorization", "Bearer asha-token"),))))
        assert first.resume_token == "asha"
        refused = stub.WatchEvents(request, metadata=(("authorization", "Bearer wrong"),))
        assert await code_of(anext(aiter(refused))) is grpc.StatusCode.UNAUTHENTICATED

    with_servers(tmp_path, body)


def test_only_the_front_gets_through_to_the_control_socket(tmp_path: Path) -> None:
    async def body(served: Served, agents: Channel, operators: Channel) -> None:
        who = (("x-fairlead-tenant", "acme"), ("x-fairlead-agent", "bot"))
        await list_budgets(agents, ("x-fairlead-front-key", KEY), *who)
        assert served.seen.callers == [Identity(tenant="acme", agent="bot")]
        assert await code_of(list_budgets(agents, *who)) is grpc.StatusCode.UNAUTHENTICATED
        wrong = list_budgets(agents, ("x-fairlead-front-key", "guess"), *who)
        assert await code_of(wrong) is grpc.StatusCode.UNAUTHENTICATED

    with_servers(tmp_path, body)


def test_agents_do_not_reach_what_is_not_theirs(tmp_path: Path) -> None:
    async def body(served: Served, agents: Channel, operators: Channel) -> None:
        front = (("x-fairlead-front-key", KEY), ("x-fairlead-tenant", "acme"), ("x-fairlead-agent", "bot"))
        config = config_service_pb2_grpc.ConfigServiceStub(agents)
        get = config.GetConfig(config_service_pb2.GetConfigRequest(), metadata=front)
        assert await code_of(get) is grpc.StatusCode.UNIMPLEMENTED
        audit = audit_service_pb2_grpc.AuditServiceStub(agents)
        verify = audit.VerifyChain(audit_service_pb2.VerifyChainRequest(), metadata=front)
        assert await code_of(verify) is grpc.StatusCode.UNIMPLEMENTED
        approvals = approval_service_pb2_grpc.ApprovalServiceStub(agents)
        decide = approvals.DecideApproval(approval_service_pb2.DecideApprovalRequest(), metadata=front)
        assert await code_of(decide) is grpc.StatusCode.UNIMPLEMENTED
        assert await code_of(read(agents, command_pb2.NeedsRecord(), front)) is grpc.StatusCode.NOT_FOUND
        assert await code_of(counted(agents, front)) is grpc.StatusCode.NOT_FOUND
        assert await code_of(counted(operators, ())) is grpc.StatusCode.UNIMPLEMENTED

    with_servers(tmp_path, body)


def read(channel: Channel, needs: command_pb2.NeedsRecord, metadata: Any) -> Awaitable[command_pb2.Known]:
    call = channel.unary_unary(
        "/fairlead.internal.v1.StoreService/Read",
        request_serializer=command_pb2.NeedsRecord.SerializeToString,
        response_deserializer=command_pb2.Known.FromString,
    )
    answer: Awaitable[command_pb2.Known] = call(needs, metadata=metadata, timeout=10)
    return answer


def counted(channel: Channel, metadata: Any) -> Awaitable[wrappers_pb2.StringValue]:
    call = channel.unary_unary(
        "/fairlead.internal.v1.MetricsService/Read",
        request_serializer=empty_pb2.Empty.SerializeToString,
        response_deserializer=wrappers_pb2.StringValue.FromString,
    )
    answer: Awaitable[wrappers_pb2.StringValue] = call(empty_pb2.Empty(), metadata=metadata, timeout=10)
    return answer


def test_the_front_reads_what_is_counted(tmp_path: Path) -> None:
    async def body(served: Served, agents: Channel, operators: Channel) -> None:
        assert (await counted(agents, (("x-fairlead-front-key", KEY),))).value == "counted 1\n"

    with_servers(tmp_path, body)


def test_the_front_reads_what_an_earlier_request_did(tmp_path: Path) -> None:
    name = "inv_" + "0a" * 16
    invocation_id = keys.invocation_id_bytes(name)
    assert invocation_id is not None
    request = state_pb2.RequestRecord(tenant="acme", digest=b"d", invocation=name)
    ended = state_pb2.InvocationRecord(invocation=name, tenant="acme")
    newer, older = (keys.request(hour, "acme", "bot", "Admit", "r-1") for hour in (480001, 480000))

    async def body(served: Served, agents: Channel, operators: Channel) -> None:
        served.store.write(
            [
                (Family.REQUESTS, older, request.SerializeToString()),
                (Family.BLOBS, older, b"kept"),
                (Family.INVOCATIONS, keys.invocation("acme", invocation_id), ended.SerializeToString()),
            ]
        )
        front = (("x-fairlead-front-key", KEY),)
        known = await read(agents, command_pb2.NeedsRecord(request_keys=[newer, older]), front)
        assert known == command_pb2.Known(
            request=request, request_found=True, invocation=ended, invocation_found=True, answer=b"kept"
        )
        by_name = command_pb2.NeedsRecord(invocation_key=keys.invocation("acme", invocation_id))
        assert await read(agents, by_name, front) == command_pb2.Known(invocation=ended, invocation_found=True)
        other = command_pb2.NeedsRecord(invocation_key=keys.invocation("other", invocation_id), request_keys=[newer])
        assert await read(agents, other, front) == command_pb2.Known()
        assert await code_of(read(agents, by_name, ())) is grpc.StatusCode.UNAUTHENTICATED
        served.store.shut()
        assert await code_of(read(agents, by_name, front)) is grpc.StatusCode.UNAVAILABLE

    with_servers(tmp_path, body)


def test_health_and_reflection_are_for_operators(tmp_path: Path) -> None:
    async def body(served: Served, agents: Channel, operators: Channel) -> None:
        stub = health_pb2_grpc.HealthStub(operators)
        for serving in (True, False):
            await served.operator.set_serving(serving)
            for service in ("", "fairlead.v1.AuditService"):
                checked = await stub.Check(health_pb2.HealthCheckRequest(service=service))
                assert (checked.status == health_pb2.HealthCheckResponse.SERVING) == serving
        request = reflection_pb2.ServerReflectionRequest(list_services="*")
        call = reflection_pb2_grpc.ServerReflectionStub(operators).ServerReflectionInfo(iter([request]))
        answer = await anext(aiter(call))
        names = {service.name for service in answer.list_services_response.service}
        assert {"fairlead.v1.ConfigService", "fairlead.v1.BudgetService", "fairlead.v1.AuditService"} <= names

    with_servers(tmp_path, body)


def test_sockets_are_private_and_stale_ones_are_replaced(tmp_path: Path) -> None:
    async def body(served: Served, agents: Channel, operators: Channel) -> None:
        for path in (served.admin, served.control):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
        beside = OperatorServer(served.operators, served.servicers)
        with pytest.raises(SocketInUse, match=r"another process serves on .*admin\.sock"):
            await beside.start(served.admin)
        file = tmp_path / "file"
        file.write_text("")
        with pytest.raises(SocketUnusable, match="not a socket"):
            await beside.start(file)
        with pytest.raises(SocketUnusable, match="longer than 107 bytes"):
            await beside.start(tmp_path / ("x" * 120))
        stale = tmp_path / "stale.sock"
        import socket

        with socket.socket(socket.AF_UNIX) as gone:
            gone.bind(str(stale))
        await beside.start(stale)
        await beside.stop(0)

    with_servers(tmp_path, body)


def test_over_tcp_an_operator_needs_tls_and_a_token(tmp_path: Path) -> None:
    # A key of these tests, good for nothing else.
    certificate, key = ((Path(__file__).parent / "tls" / name).read_bytes() for name in ("cert.pem", "key.pem"))

    async def body(served: Served, agents: Channel, operators: Channel) -> None:
        remote = OperatorServer(served.operators, served.servicers)
        port = await remote.start(tmp_path / "beside.sock", OperatorTcp("127.0.0.1:0", certificate, key))
        await remote.set_serving(True)
        credentials = grpc.ssl_channel_credentials(certificate)
        async with (
            grpc.aio.secure_channel(f"localhost:{port}", credentials) as secure,
            grpc.aio.insecure_channel(f"127.0.0.1:{port}") as plain,
        ):
            await list_budgets(secure, ("authorization", "Bearer asha-token"))
            assert served.seen.callers[-1].operator == "asha"
            assert await code_of(list_budgets(secure)) is grpc.StatusCode.UNAUTHENTICATED
            refused = await code_of(list_budgets(plain, ("authorization", "Bearer asha-token")))
            assert refused is grpc.StatusCode.UNAVAILABLE
            # Probes have no token.
            checked = await health_pb2_grpc.HealthStub(secure).Check(health_pb2.HealthCheckRequest(), timeout=10)
            assert checked.status == health_pb2.HealthCheckResponse.SERVING
            again = OperatorServer(served.operators, served.servicers)
            with pytest.raises(SocketInUse, match=f"operator address 127.0.0.1:{port} cannot be bound"):
                await again.start(tmp_path / "again.sock", OperatorTcp(f"127.0.0.1:{port}", certificate, key))
        await remote.stop(0)

    with_servers(tmp_path, body)
