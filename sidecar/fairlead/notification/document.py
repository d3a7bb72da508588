"""Audit record → the JSON document that receivers get. Pure.

The document is made from fields by their types and names, so that new kinds of records and new fields need no code
here. INVARIANT (N2): no bytes, no maps, no free JSON and nothing named as content gets into it, whatever a message has:
arguments, inputs and results cannot slip in with a new field. `includeArguments` adds the arguments of the approval and
nothing else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from fairlead.notification.events import LINK_PLACEHOLDERS, Facts, body_of, event_name, facts_of
from fairlead.notification.summary import sentence
from fairlead.v1 import approval_service_pb2, audit_record_pb2

# Larger arguments are left out: a receiver that wants them asks the sidecar.
ARGUMENTS_MAX_BYTES = 16 << 10
# Details that would make the document larger are left out.
DOCUMENT_MAX_BYTES = 64 << 10
# What may hold content or what a worker said in its own words, in text fields.
_CONTENT = frozenset(("arguments", "attributes", "inputs", "message", "input", "output", "result", "payload"))
_TIMES = frozenset(("google.protobuf.Timestamp", "google.protobuf.Duration"))
_COLLECTIONS = {"approval": "approvals/", "run": "runs/"}
_PLACEHOLDER = re.compile("{(" + "|".join(LINK_PLACEHOLDERS) + ")}")
_64_BITS = frozenset(
    (
        FieldDescriptor.TYPE_INT64,
        FieldDescriptor.TYPE_UINT64,
        FieldDescriptor.TYPE_SINT64,
        FieldDescriptor.TYPE_FIXED64,
        FieldDescriptor.TYPE_SFIXED64,
    )
)


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A record that is told of, the approval that it is about, if it is about one, as it is by now, and the workflow of
    its run."""

    record: audit_record_pb2.AuditRecord
    record_hash: bytes
    approval: approval_service_pb2.Approval | None = None
    workflow: str = ""

    @property
    def event(self) -> str:
        """Name of the event."""
        return event_name(self.record.kind)

    def facts(self) -> Facts:
        """The facts of the record; those that it leaves open are taken from the approval."""
        facts = facts_of(self.record)
        facts = replace(facts, workflow=facts.workflow or self.workflow)
        if self.approval is None:
            return facts
        known = {name: value or getattr(self.approval, name, "") for name, value in facts.all().items()}
        return Facts(**{**known, "state": facts.state, "reason": facts.reason, "approval": self.approval.name})


def document(occurrence: Occurrence, *, link: str | None, include_arguments: bool) -> dict[str, Any]:
    """The document of an occurrence; `link` is a template."""
    record, facts = occurrence.record, occurrence.facts()
    data: dict[str, Any] = {"summary": sentence(occurrence.event, facts, body_of(record), occurrence.approval)}
    data["sequence"] = record.sequence
    data["record_hash"] = occurrence.record_hash.hex()
    data["config_version"] = record.config_version
    data.update({name: value for name, value in facts.all().items() if value and name != "approval"})
    if occurrence.approval is not None:
        data["approval"] = _approval(occurrence.approval, include_arguments=include_arguments)
    if (url := linked(link, occurrence)) is not None:
        data["link"] = url
    body = body_of(record)
    made = {"type": occurrence.event, "timestamp": _time(record.time_unix_nanos), "data": data}
    details = {} if body is None else plain(body)
    if details:
        with_details = {**made, "data": {**data, "details": details}}
        made = with_details if len(encoded(with_details)) <= DOCUMENT_MAX_BYTES else made
    return made


def encoded(value: Mapping[str, Any]) -> bytes:
    """JSON as it is sent."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def plain(message: Message) -> dict[str, Any]:
    """The fields of a message that may be told (INVARIANT N2), as in protobuf's JSON mapping: names as in the .proto
    files, 64-bit numbers and times as strings, enums by their names."""
    told: dict[str, Any] = {}
    for field, value in message.ListFields():
        if field.name in _CONTENT or not _may_be_told(field):
            continue
        told[field.name] = [_value(field, item) for item in value] if field.is_repeated else _value(field, value)
    return told


def linked(template: str | None, occurrence: Occurrence) -> str | None:
    """The template with its placeholders filled in; None without one, or when the event has not what it names."""
    if template is None:
        return None
    values = placeholders(occurrence)
    if not all(values[name] for name in _PLACEHOLDER.findall(template)):
        return None
    return _PLACEHOLDER.sub(lambda found: quote(values[found[1]], safe=""), template)


def placeholders(occurrence: Occurrence) -> dict[str, str]:
    """Values of the placeholders; an approval and a run go by their ids, without the collection."""
    facts = occurrence.facts()
    found = facts.all() | {"event": occurrence.event, "sequence": str(occurrence.record.sequence)}
    return {name: found[name].removeprefix(_COLLECTIONS.get(name, "")) for name in LINK_PLACEHOLDERS}


def trial(receiver: str, now: int) -> dict[str, Any]:
    """The document that a receiver gets when an operator tests it."""
    data = {"summary": f"test of the receiver {receiver}: it gets notifications of Fairlead"}
    return {"type": "notification.test", "timestamp": _time(now), "data": data}


def _approval(approval: approval_service_pb2.Approval, *, include_arguments: bool) -> dict[str, Any]:
    told = plain(approval)
    if include_arguments:
        if len(approval.arguments) <= ARGUMENTS_MAX_BYTES:
            told["arguments"] = approval.arguments.decode("utf-8", "replace")
        else:
            told["arguments_bytes"] = len(approval.arguments)
    return told


def _may_be_told(field: FieldDescriptor) -> bool:
    if field.type == FieldDescriptor.TYPE_BYTES:
        return False
    kind = field.message_type
    if kind is None:
        return True
    return not kind.GetOptions().map_entry and (
        kind.full_name in _TIMES or not kind.full_name.startswith("google.protobuf.")
    )


def _value(field: FieldDescriptor, value: Any) -> Any:
    if field.message_type is not None:
        return value.ToJsonString() if field.message_type.full_name in _TIMES else plain(value)
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return value if known is None else known.name
    if field.type in (FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT):
        # JSON has no word for infinities.
        return value if value - value == 0 else str(value)
    return str(value) if field.type in _64_BITS else value


def _time(unix_nanos: int) -> str:
    """RFC 3339 with microseconds."""
    seconds, rest = divmod(unix_nanos, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 1000:06d}Z"
