"""Spans → an OTLP request. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.resource.v1 import resource_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

from fairlead.tracing.spans import resource

SCOPE = "fairlead.tracing"


def request(
    spans: Iterable[trace_pb2.Span], identity: str, program_version: str
) -> trace_service_pb2.ExportTraceServiceRequest:
    """The request for some spans; `identity` is that of the log that they are from."""
    told = {"service.name": "fairlead", "service.version": program_version, "service.instance.id": identity}
    scope = trace_pb2.ScopeSpans(
        scope=common_pb2.InstrumentationScope(name=SCOPE, version=program_version), spans=list(spans)
    )
    whole = trace_pb2.ResourceSpans(resource=resource_pb2.Resource(attributes=resource(told)), scope_spans=[scope])
    return trace_service_pb2.ExportTraceServiceRequest(resource_spans=[whole])
