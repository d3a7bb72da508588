"""Audit records as JSON: the protobuf mapping with the field names of the .proto files."""

from __future__ import annotations

import base64
import math
from typing import Any

from google.protobuf import json_format, struct_pb2
from google.protobuf.message import Message

from fairlead.audit.json_mapping import to_json, to_json_values
from fairlead.v1 import audit_service_pb2


def message_to_dict(message: Message) -> dict[str, Any]:
    """A message as JSON-ready values.

    `attributes` come from agents and may hold NaN or infinities, which JSON has no word for: they become the strings
    `NaN`, `Infinity` and `-Infinity`, as elsewhere in the protobuf mapping, so that one odd call cannot stop an export.
    """
    try:
        return to_json_values(message)
    except (json_format.SerializeToJsonError, ValueError):
        copy = type(message)()
        copy.CopyFrom(message)
        _spell_non_finite(copy)
        return to_json_values(copy)


def event_to_dict(event: audit_service_pb2.AuditEvent) -> dict[str, Any]:
    """An event with everything an outside verifier needs; the format of `fairlead audit export`."""
    fields = {
        "sequence": event.record.sequence,
        "record_hash": event.record_hash.hex(),
        "prev_hash": event.prev_hash.hex(),
        "record_bytes": base64.b64encode(event.record_bytes).decode("ascii"),
        "record": message_to_dict(event.record),
    }
    if event.values:
        fields["values"] = [
            {"digest": one.digest.hex(), "salt": one.salt.hex(), "value": one.value} for one in event.values
        ]
    return fields


def event_to_line(event: audit_service_pb2.AuditEvent) -> str:
    """An event as one line of JSON, without the line end."""
    return to_json(event_to_dict(event))


def checkpoint_to_dict(note: str) -> dict[str, str]:
    """A signed checkpoint beside the events of an export."""
    return {"checkpoint": note}


def checkpoint_to_line(note: str) -> str:
    """A signed checkpoint as one line of JSON, without the line end."""
    return to_json(checkpoint_to_dict(note))


def _spell_non_finite(message: Message) -> None:
    """Replaces every number in a `Struct` below `message` that JSON cannot write."""
    if isinstance(message, struct_pb2.Value):
        number = message.number_value
        if message.WhichOneof("kind") == "number_value" and not math.isfinite(number):
            message.string_value = "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"
            return
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            if field.message_type.fields_by_name["value"].message_type is not None:
                for key in list(value):
                    _spell_non_finite(value[key])
        elif isinstance(value, Message):
            _spell_non_finite(value)
        else:
            for item in value:
                _spell_non_finite(item)
