"""A back end for traces on loopback."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.trace.v1 import trace_pb2

from .harness import TIMEOUT_SECONDS

Span = trace_pb2.Span


class Backend:
    """Keeps every span that it is sent, over gRPC; its port stays the same while it is down."""

    def __init__(self) -> None:
        self.sent: list[Span] = []
        # Not set: it answers nobody, and keeps what it was sent nevertheless.
        self.answers = threading.Event()
        self.answers.set()
        self.port = 0
        self._changed = threading.Condition()
        self._server: grpc.Server | None = None

    def __enter__(self) -> Self:
        self._server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
        generated: Any = trace_service_pb2_grpc
        generated.add_TraceServiceServicer_to_server(self, self._server)
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.answers.set()
        if self._server is not None:
            self._server.stop(None).wait(TIMEOUT_SECONDS)

    def Export(self, request: Any, context: grpc.ServicerContext) -> Any:
        with self._changed:
            self.sent += [one for whole in request.resource_spans for scope in whole.scope_spans for one in scope.spans]
            self._changed.notify_all()
        self.answers.wait(TIMEOUT_SECONDS)
        return trace_service_pb2.ExportTraceServiceResponse()

    def wait_for(self, enough: Callable[[list[Span]], bool]) -> list[Span]:
        """What it was sent, as soon as that is enough."""
        with self._changed:
            reached = self._changed.wait_for(lambda: enough(self.sent), TIMEOUT_SECONDS)
            assert reached, [one.name for one in self.sent]
            return list(self.sent)

    def named(self, *names: str) -> dict[str, Span]:
        """The spans of these names, once there is one of each."""
        spans = self.wait_for(lambda sent: {one.name for one in sent} >= set(names))
        return {one.name: one for one in spans if one.name in names}


def said(span: Span) -> dict[str, Any]:
    """Its attributes."""
    found: dict[str, Any] = {}
    for pair in span.attributes:
        kind = pair.value.WhichOneof("value")
        assert kind is not None
        value = getattr(pair.value, kind)
        found[pair.key] = [one.string_value for one in value.values] if kind == "array_value" else value
    return found
