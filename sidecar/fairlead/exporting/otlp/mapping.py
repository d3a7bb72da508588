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

from google.protobuf.internal.containers import RepeatedCompositeFieldContainer
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.logs.v1 import logs_pb2

from fairlead.audit.erasure.model import revealed
from fairlead.audit.transparency.checkpoint import SignedCheckpoint
from fairlead.exporting.otlp.attributes import of_fairlead
from fairlead.exporting.otlp.genai import of_generative_ai
from fairlead.exporting.otlp.values import put
from fairlead.notification.events import body_of, event_name, facts_of
from fairlead.notification.summary import sentence
from fairlead.v1 import audit_service_pb2

SCOPE = "fairlead.audit"
_WARNED_OF = frozenset(("rejected", "failed", "unknown", "expired", "overdraft", "alert"))


def request(
    events: Sequence[audit_service_pb2.AuditEvent], identity: str, program_version: str, *, include_record: bool
) -> logs_service_pb2.ExportLogsServiceRequest:
    """The request for some records; `identity` is that of their log."""
    made, records = _begun(identity, program_version)
    for event in events:
        _put_record(records.add(), event, include_record=include_record)
    return made


def checkpoint_request(
    checkpoint: SignedCheckpoint, identity: str, program_version: str
) -> logs_service_pb2.ExportLogsServiceRequest:
    """The request for a signed checkpoint: a log record whose body is the note, which proves itself."""
    one = checkpoint.checkpoint
    made, records = _begun(identity, program_version)
    log = records.add(
        time_unix_nano=one.time,
        observed_time_unix_nano=one.time,
        severity_number=logs_pb2.SEVERITY_NUMBER_INFO,
        severity_text="INFO",
        event_name="fairlead.audit.checkpoint",
    )
    log.body.string_value = checkpoint.note
    put(
        log.attributes,
        {"fairlead.audit.checkpoint.origin": one.origin, "fairlead.audit.checkpoint.size": one.size},
    )
    return made


def log_record(event: audit_service_pb2.AuditEvent, *, include_record: bool = False) -> logs_pb2.LogRecord:
    """One record; `include_record` adds its exact bytes, with everything that is in it."""
    log = logs_pb2.LogRecord()
    _put_record(log, event, include_record=include_record)
    return log


def _begun(
    identity: str, program_version: str
) -> tuple[logs_service_pb2.ExportLogsServiceRequest, RepeatedCompositeFieldContainer[logs_pb2.LogRecord]]:
    """A request, and where its records go."""
    made = logs_service_pb2.ExportLogsServiceRequest()
    logs = made.resource_logs.add()
    resource = {"service.name": "fairlead", "service.version": program_version, "service.instance.id": identity}
    put(logs.resource.attributes, resource)
    scope = logs.scope_logs.add()
    scope.scope.name, scope.scope.version = SCOPE, program_version
    return made, scope.log_records


def _put_record(log: logs_pb2.LogRecord, event: audit_service_pb2.AuditEvent, *, include_record: bool) -> None:
    record = revealed(event)
    name, facts = event_name(record.kind), facts_of(record)
    warned_of = not _WARNED_OF.isdisjoint((name.rpartition(".")[2], facts.state))
    log.time_unix_nano = log.observed_time_unix_nano = record.time_unix_nanos
    log.severity_number = logs_pb2.SEVERITY_NUMBER_WARN if warned_of else logs_pb2.SEVERITY_NUMBER_INFO
    log.severity_text = "WARN" if warned_of else "INFO"
    log.event_name = f"fairlead.{name}"
    log.body.string_value = sentence(name, facts, body_of(record), None)
    put(log.attributes, {**of_fairlead(event, facts), **of_generative_ai(record)})
    if include_record:
        put(log.attributes, {"fairlead.audit.record_bytes": event.record_bytes})
