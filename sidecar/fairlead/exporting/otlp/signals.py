"""What is sent to a collector: logs or traces. The collectors over gRPC and HTTP send either."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import grpc
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from fairlead.audit.erasure.model import revealed
from fairlead.audit.transparency.checkpoint import SignedCheckpoint
from fairlead.exporting.destination import TAKEN, Outcome, Source
from fairlead.exporting.otlp import answer, mapping
from fairlead.tracing import request as tracing_request
from fairlead.tracing.tracing import Tracing
from fairlead.v1 import audit_service_pb2


class Signal(Protocol):
    """One of OpenTelemetry's signals. One message is made at a time."""

    path: str
    """Path of the specification for HTTP."""

    def message(self, events: Sequence[audit_service_pb2.AuditEvent], source: Source) -> Message | None:
        """What is sent of some records; None when nothing is. May block for reads of the store."""
        ...

    def checkpoint(self, checkpoint: SignedCheckpoint, source: Source) -> Message | None:
        """What is sent of a signed checkpoint; None when nothing is."""
        ...

    def export(self, channel: grpc.aio.Channel) -> Callable[..., Any]:
        """The method of the collector."""
        ...

    def outcome(self, response: Message | bytes, records: int) -> Outcome:
        """What the answer to a message of so many records means; raises `DecodeError`."""
        ...


class Logs:
    """Every record is a log record."""

    path = "/v1/logs"

    def __init__(self, program_version: str, *, include_record: bool) -> None:
        self._program_version = program_version
        self._include_record = include_record

    def message(self, events: Sequence[audit_service_pb2.AuditEvent], source: Source) -> Message | None:
        """All of them."""
        return mapping.request(events, source.identity, self._program_version, include_record=self._include_record)

    def checkpoint(self, checkpoint: SignedCheckpoint, source: Source) -> Message | None:
        """A log record."""
        return mapping.checkpoint_request(checkpoint, source.identity, self._program_version)

    def export(self, channel: grpc.aio.Channel) -> Callable[..., Any]:
        """`LogsService.Export`."""
        generated: Any = logs_service_pb2_grpc
        return generated.LogsServiceStub(channel).Export  # type: ignore[no-any-return]

    def outcome(self, response: Message | bytes, records: int) -> Outcome:
        """A partial success counts records."""
        if isinstance(response, bytes):
            response = logs_service_pb2.ExportLogsServiceResponse.FromString(response)
        assert isinstance(response, logs_service_pb2.ExportLogsServiceResponse)
        return answer.outcome_of(response, records)


class Traces:
    """What ends with a record is a span."""

    path = "/v1/traces"

    def __init__(self, program_version: str, tracing: Tracing) -> None:
        self._program_version = program_version
        self._tracing = tracing

    def message(self, events: Sequence[audit_service_pb2.AuditEvent], source: Source) -> Message | None:
        """The spans that end with the records; most records end none."""
        spans = self._tracing.spans(revealed(event) for event in events)
        return tracing_request.request(spans, source.identity, self._program_version) if spans else None

    def checkpoint(self, checkpoint: SignedCheckpoint, source: Source) -> Message | None:
        """None: nothing has ended."""
        return None

    def export(self, channel: grpc.aio.Channel) -> Callable[..., Any]:
        """`TraceService.Export`."""
        generated: Any = trace_service_pb2_grpc
        return generated.TraceServiceStub(channel).Export  # type: ignore[no-any-return]

    def outcome(self, response: Message | bytes, records: int) -> Outcome:
        """A partial success counts spans; of that more than there were records cannot be told."""
        if isinstance(response, bytes):
            response = trace_service_pb2.ExportTraceServiceResponse.FromString(response)
        assert isinstance(response, trace_service_pb2.ExportTraceServiceResponse)
        refused = min(max(0, response.partial_success.rejected_spans), records)
        if not refused:
            return TAKEN
        return Outcome(True, "partial success: the collector has refused some spans", refused=refused)
