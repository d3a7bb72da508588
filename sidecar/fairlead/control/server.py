"""The two control servers: one behind the front for agents, one for operators.

What an agent must not do is not registered on its server at all: approving, configuring and reading the log are
UNIMPLEMENTED there, whatever a request says.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from fairlead.control import audit_service
from fairlead.control.access import FrontDoor, Interceptor, OperatorDoor, Operators
from fairlead.control.metrics_service import MetricsService
from fairlead.control.store_service import StoreService
from fairlead.v1 import (
    approval_service_pb2,
    approval_service_pb2_grpc,
    audit_service_pb2,
    audit_service_pb2_grpc,
    backup_service_pb2,
    backup_service_pb2_grpc,
    budget_service_pb2,
    budget_service_pb2_grpc,
    checkpoint_service_pb2_grpc,
    config_service_pb2,
    config_service_pb2_grpc,
    notification_service_pb2,
    notification_service_pb2_grpc,
    workflow_service_pb2,
    workflow_service_pb2_grpc,
)

# As the front's own bound on forwarded calls, so that overload shows in one place.
MAX_CONCURRENT_CALLS = 1024
# Fixed, because they have nothing to do with what agents may send: however small `limits.requestBytes` is, a
# configuration of 1 MiB is taken, and a page of records, a kept answer (`keptAnswerBytes`, at most 16 MiB) or a step
# with its input and its output (16 MiB each) is given.
RECEIVE_MAX_BYTES = 4 << 20
SEND_MAX_BYTES = 40 << 20
# An operator may start a run with an input that is as large as a payload may be.
OPERATOR_RECEIVE_MAX_BYTES = 17 << 20
# sockaddr_un holds 107 bytes and a zero.
_SOCKET_PATH_MAX_BYTES = 107
_SERVICES = (
    approval_service_pb2.DESCRIPTOR.services_by_name["ApprovalService"].full_name,
    audit_service_pb2.DESCRIPTOR.services_by_name["AuditService"].full_name,
    backup_service_pb2.DESCRIPTOR.services_by_name["BackupService"].full_name,
    budget_service_pb2.DESCRIPTOR.services_by_name["BudgetService"].full_name,
    config_service_pb2.DESCRIPTOR.services_by_name["ConfigService"].full_name,
    workflow_service_pb2.DESCRIPTOR.services_by_name["WorkflowService"].full_name,
    notification_service_pb2.DESCRIPTOR.services_by_name["NotificationService"].full_name,
)


class SocketInUse(Exception):
    """Somebody serves on the socket."""


class SocketUnusable(Exception):
    """The socket's path cannot be bound."""


@dataclass(frozen=True)
class Servicers:
    """What the control services are."""

    approval: approval_service_pb2_grpc.ApprovalServiceServicer
    ticket: approval_service_pb2_grpc.ApprovalTicketServiceServicer
    audit: audit_service_pb2_grpc.AuditServiceServicer
    backup: backup_service_pb2_grpc.BackupServiceServicer
    budget: budget_service_pb2_grpc.BudgetServiceServicer
    checkpoint: checkpoint_service_pb2_grpc.CheckpointServiceServicer
    config: config_service_pb2_grpc.ConfigServiceServicer
    workflow: workflow_service_pb2_grpc.WorkflowServiceServicer
    notification: notification_service_pb2_grpc.NotificationServiceServicer
    store: StoreService
    metrics: MetricsService


@dataclass(frozen=True)
class OperatorTcp:
    """The optional TCP endpoint for operators: never without TLS, never without a token."""

    address: str
    certificate_chain: bytes
    private_key: bytes


async def start_control_server(path: Path, key: str, servicers: Servicers) -> grpc.aio.Server:
    """Serves what agents may reach, and the front's own questions, on a private unix socket."""
    server = _server(FrontDoor(key), RECEIVE_MAX_BYTES)
    approval_service_pb2_grpc.add_ApprovalTicketServiceServicer_to_server(servicers.ticket, server)
    budget_service_pb2_grpc.add_BudgetServiceServicer_to_server(servicers.budget, server)
    workflow_service_pb2_grpc.add_WorkflowServiceServicer_to_server(servicers.workflow, server)
    checkpoint_service_pb2_grpc.add_CheckpointServiceServicer_to_server(servicers.checkpoint, server)
    server.add_generic_rpc_handlers((servicers.store.handler(), servicers.metrics.handler()))
    _bind_unix(server, path)
    await server.start()
    return server


class OperatorServer:
    """Everything, for operators, on a unix socket and optionally on TCP."""

    def __init__(self, operators: Operators, servicers: Servicers) -> None:
        self._operators = operators
        self._servicers = servicers
        self._health = health.aio.HealthServicer()  # type: ignore[attr-defined]
        self._servers: list[grpc.aio.Server] = []

    async def start(self, path: Path, tcp: OperatorTcp | None = None) -> int | None:
        """Serves; returns the bound TCP port. Raises SocketInUse, SocketUnusable."""
        local = self._made(OperatorDoor(self._operators, token_required=False))
        _bind_unix(local, path)
        port = None
        if tcp is not None:
            remote = self._made(OperatorDoor(self._operators, token_required=True))
            credentials = grpc.ssl_server_credentials([(tcp.private_key, tcp.certificate_chain)])
            try:
                port = remote.add_secure_port(tcp.address, credentials)
            except RuntimeError as error:
                raise SocketInUse(
                    f"operator address {tcp.address} cannot be bound: it is taken, or certificate and key do not fit"
                ) from error
            await remote.start()
            self._servers.append(remote)
        await local.start()
        self._servers.append(local)
        return port

    async def set_serving(self, serving: bool) -> None:
        """What gRPC health says on the operator endpoints."""
        status = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        for service in (*_SERVICES, ""):
            await self._health.set(service, status)

    async def stop(self, grace_seconds: float) -> None:
        """Ends the calls; may be called again."""
        servers, self._servers = self._servers, []
        for server in servers:
            await server.stop(grace_seconds)

    def _made(self, door: OperatorDoor) -> grpc.aio.Server:
        server = _server(door, OPERATOR_RECEIVE_MAX_BYTES)
        approval_service_pb2_grpc.add_ApprovalServiceServicer_to_server(self._servicers.approval, server)
        audit_service.add_to_server(self._servicers.audit, server)
        backup_service_pb2_grpc.add_BackupServiceServicer_to_server(self._servicers.backup, server)
        budget_service_pb2_grpc.add_BudgetServiceServicer_to_server(self._servicers.budget, server)
        config_service_pb2_grpc.add_ConfigServiceServicer_to_server(self._servicers.config, server)
        workflow_service_pb2_grpc.add_WorkflowServiceServicer_to_server(self._servicers.workflow, server)
        notification_service_pb2_grpc.add_NotificationServiceServicer_to_server(self._servicers.notification, server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        reflection.enable_server_reflection((*_SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
        return server


def _server(door: Interceptor, receive_max_bytes: int) -> grpc.aio.Server:
    options: Sequence[tuple[str, Any]] = (
        ("grpc.max_receive_message_length", receive_max_bytes),
        ("grpc.max_send_message_length", SEND_MAX_BYTES),
        ("grpc.max_metadata_size", 16 << 10),
        ("grpc.so_reuseport", 0),
    )
    return grpc.aio.server(interceptors=(door,), options=options, maximum_concurrent_rpcs=MAX_CONCURRENT_CALLS)


def _bind_unix(server: grpc.aio.Server, path: Path) -> None:
    """Binds a socket of mode 0600. gRPC would take a path from whoever serves there, so that is asked first."""
    if len(os.fsencode(path)) > _SOCKET_PATH_MAX_BYTES:
        raise SocketUnusable(
            f"socket {path} is longer than {_SOCKET_PATH_MAX_BYTES} bytes: choose a shorter data directory"
        )
    _unlink_stale(path)
    # The file exists from the bind on: it must not be anybody's even for a moment.
    mask = os.umask(0o177)
    try:
        server.add_insecure_port(f"unix:{path}")
        path.chmod(0o600)
    except (RuntimeError, OSError) as error:
        raise SocketUnusable(f"socket {path} cannot be bound: {error}") from error
    finally:
        os.umask(mask)


def _unlink_stale(path: Path) -> None:
    if not path.is_socket():
        if path.exists():
            raise SocketUnusable(f"{path} is in the way: it is not a socket")
        return
    with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(OSError):
        probe.connect(str(path))
        raise SocketInUse(f"another process serves on {path}")
    path.unlink(missing_ok=True)
