"""Audit records → an OTLP request. Pure.

| field of LogRecord | is |
|---|---|
| `time_unix_nano`, `observed_time_unix_nano` | the record's time |
| `event_name` | `fairlead.` and the event, such as `fairlead.invocation.admitted` |
| `severity_number` | WARN for what was refused, failed, is unknown or over a budget, else INFO |
| `body` | one sentence for people |
| `attributes` | `attributes` and `genai` say |
"""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.resource.v1 import resource_pb2

from fairlead.audit.transparency.checkpoint import SignedCheckpoint
from fairlead.exporting.otlp.attributes import of_fairlead
from fairlead.exporting.otlp.genai import of_generative_ai
from fairlead.exporting.otlp.values import Value, key_values
from fairlead.notification.events import body_of, event_name, facts_of
from fairlead.notification.summary import sentence
from fairlead.v1 import audit_service_pb2

SCOPE = "fairlead.audit"
_WARNED_OF = frozenset(("rejected", "failed", "unknown", "expired", "overdraft", "alert"))


def request(
    events: Sequence[audit_service_pb2.AuditEvent], identity: str, program_version: str, *, include_record: bool
) -> logs_service_pb2.ExportLogsServiceRequest:
    """The request for some records; `identity` is that of their log."""
    return _request([log_record(event, include_record=include_record) for event in events], identity, program_version)


def checkpoint_request(
    checkpoint: SignedCheckpoint, identity: str, program_version: str
) -> logs_service_pb2.ExportLogsServiceRequest:
    """The request for a signed checkpoint: a log record whose body is the note, which proves itself."""
    one = checkpoint.checkpoint
    attributes: dict[str, Value] = {
        "fairlead.audit.checkpoint.origin": one.origin,
        "fairlead.audit.checkpoint.size": one.size,
    }
    record = logs_pb2.LogRecord(
        time_unix_nano=one.time,
        observed_time_unix_nano=one.time,
        severity_number=logs_pb2.SEVERITY_NUMBER_INFO,
        severity_text="INFO",
        event_name="fairlead.audit.checkpoint",
        body=common_pb2.AnyValue(string_value=checkpoint.note),
        attributes=key_values(attributes),
    )
    return _request([record], identity, program_version)


def _request(
    records: Sequence[logs_pb2.LogRecord], identity: str, program_version: str
) -> logs_service_pb2.ExportLogsServiceRequest:
    resource = {"service.name": "fairlead", "service.version": program_version, "service.instance.id": identity}
    scope = logs_pb2.ScopeLogs(
        scope=common_pb2.InstrumentationScope(name=SCOPE, version=program_version),
        log_records=records,
    )
    logs = logs_pb2.ResourceLogs(resource=resource_pb2.Resource(attributes=key_values(resource)), scope_logs=[scope])
    return logs_service_pb2.ExportLogsServiceRequest(resource_logs=[logs])


def log_record(event: audit_service_pb2.AuditEvent, *, include_record: bool = False) -> logs_pb2.LogRecord:
    """One record; `include_record` adds its exact bytes, with everything that is in it."""
    record = event.record
    name, facts = event_name(record.kind), facts_of(record)
    attributes = {**of_fairlead(event), **of_generative_ai(record)}
    if include_record:
        attributes["fairlead.audit.record_bytes"] = event.record_bytes
    warned_of = not _WARNED_OF.isdisjoint((name.rpartition(".")[2], facts.state))
    return logs_pb2.LogRecord(
        time_unix_nano=record.time_unix_nanos,
        observed_time_unix_nano=record.time_unix_nanos,
        severity_number=logs_pb2.SEVERITY_NUMBER_WARN if warned_of else logs_pb2.SEVERITY_NUMBER_INFO,
        severity_text="WARN" if warned_of else "INFO",
        event_name=f"fairlead.{name}",
        body=common_pb2.AnyValue(string_value=sentence(name, facts, body_of(record), None)),
        attributes=key_values(attributes),
    )
