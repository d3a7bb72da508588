"""A span as OTLP has it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from opentelemetry.proto.trace.v1 import trace_pb2

from fairlead.exporting.otlp.values import Value, put
from fairlead.tracing.identity import Context

INTERNAL = trace_pb2.Span.SPAN_KIND_INTERNAL
CLIENT = trace_pb2.Span.SPAN_KIND_CLIENT
_HAS_SPAN_FLAGS = 1


def span(
    name: str,
    context: Context,
    parent: bytes,
    begins: int,
    ends: int,
    attributes: Mapping[str, Value],
    *,
    error: str = "",
    kind: trace_pb2.Span.SpanKind.ValueType = INTERNAL,
    links: Iterable[Context] = (),
    events: Iterable[trace_pb2.Span.Event] = (),
) -> trace_pb2.Span:
    """One span, from `begins` to `ends` in Unix nanoseconds; `parent` is empty at the root of a trace.

    `error` is the reason of a failure, of a closed set: sentences may have the words of people in them.
    """
    found = trace_pb2.Span(
        trace_id=context.trace_id,
        span_id=context.span_id,
        parent_span_id=parent,
        flags=_HAS_SPAN_FLAGS,
        name=name,
        kind=kind,
        start_time_unix_nano=min(begins, ends),
        end_time_unix_nano=ends,
        links=[trace_pb2.Span.Link(trace_id=link.trace_id, span_id=link.span_id) for link in links],
        events=events,
    )
    put(found.attributes, _said({**attributes, "error.type": error}))
    if error:
        found.status.code, found.status.message = trace_pb2.Status.STATUS_CODE_ERROR, error
    return found


def event(name: str, at: int, attributes: Mapping[str, Value]) -> trace_pb2.Span.Event:
    """Something that happened inside a span, at a time in Unix nanoseconds."""
    found = trace_pb2.Span.Event(name=name, time_unix_nano=at)
    put(found.attributes, _said(attributes))
    return found


def _said(values: Mapping[str, Value]) -> dict[str, Value]:
    """What is empty was not said."""
    return {name: value for name, value in values.items() if value not in ("", ())}
