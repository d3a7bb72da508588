"""Spans → an OTLP request. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

from fairlead.exporting.otlp.values import put

SCOPE = "fairlead.tracing"


def request(
    spans: Iterable[trace_pb2.Span], identity: str, program_version: str
) -> trace_service_pb2.ExportTraceServiceRequest:
    """The request for some spans; `identity` is that of the log that they are from."""
    made = trace_service_pb2.ExportTraceServiceRequest()
    whole = made.resource_spans.add()
    put(
        whole.resource.attributes,
        {"service.name": "fairlead", "service.version": program_version, "service.instance.id": identity},
    )
    scope = whole.scope_spans.add()
    scope.scope.name, scope.scope.version = SCOPE, program_version
    scope.spans.extend(spans)
    return made
