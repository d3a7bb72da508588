"""An OpenTelemetry collector on loopback: keeps what it gets over gRPC, answers as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc
from opentelemetry.proto.logs.v1 import logs_pb2

Request = logs_service_pb2.ExportLogsServiceRequest
Response = logs_service_pb2.ExportLogsServiceResponse


def log_records(request: Request) -> list[logs_pb2.LogRecord]:
    return [one for logs in request.resource_logs for scope in logs.scope_logs for one in scope.log_records]


def attribute(record: logs_pb2.LogRecord, name: str) -> Any:
    """The value of an attribute, None when it is not there."""
    for pair in record.attributes:
        if pair.key == name:
            kind = pair.value.WhichOneof("value")
            assert kind is not None
            value = getattr(pair.value, kind)
            return [one.string_value for one in value.values] if kind == "array_value" else value
    return None


def sequence_of(record: logs_pb2.LogRecord) -> int:
    value: int = attribute(record, "fairlead.audit.sequence")
    return value


def partial(refused: int) -> Response:
    return Response(
        partial_success=logs_service_pb2.ExportLogsPartialSuccess(rejected_log_records=refused, error_message="canary")
    )


class Refuses(Exception):
    """The collector says no."""

    def __init__(self, code: grpc.StatusCode, message: str = "canary", retry_seconds: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retry_seconds = retry_seconds


class Collector:
    """What it got, and what it says."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.metadata: list[dict[str, Any]] = []
        self.answer: Callable[[Request], Response] = lambda request: Response()
        self.stalled: asyncio.Event | None = None
        self.port = 0

    async def Export(self, request: Request, context: Any) -> Response:
        self.requests.append(request)
        self.metadata.append(dict(context.invocation_metadata()))
        if self.stalled is not None:
            await self.stalled.wait()
        try:
            return self.answer(request)
        except Refuses as refusal:
            status = status_pb2.Status(code=refusal.code.value[0], message=refusal.message)
            if refusal.retry_seconds:
                info = error_details_pb2.RetryInfo()
                info.retry_delay.FromSeconds(refusal.retry_seconds)
                packed = any_pb2.Any()
                packed.Pack(info)
                status.details.append(packed)
            assert status.code != code_pb2.OK
            made = rpc_status.to_status(status)
            context.set_trailing_metadata(made.trailing_metadata)
            await context.abort(refusal.code, refusal.message)
            raise


@asynccontextmanager
async def collecting(
    credentials: grpc.ServerCredentials | None = None, collector: Collector | None = None, **options: int
) -> AsyncIterator[Collector]:
    """The collector, while the block runs; on the port that it had before, if it had one."""
    collector = collector or Collector()
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0), *options.items()])
    generated: Any = logs_service_pb2_grpc
    generated.add_LogsServiceServicer_to_server(collector, server)
    address = f"127.0.0.1:{collector.port}"
    collector.port = (
        server.add_insecure_port(address) if credentials is None else server.add_secure_port(address, credentials)
    )
    await server.start()
    try:
        yield collector
    finally:
        await server.stop(0)
