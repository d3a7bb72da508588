"""Records in words are exactly what protobuf's own JSON mapping says, for every message of the API."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from fairlead.audit.json_mapping import to_json, to_json_values
from fairlead.internal.v1 import command_pb2
from fairlead.v1 import audit_record_pb2, audit_service_pb2, workflow_service_pb2

FILES = (audit_record_pb2, audit_service_pb2, workflow_service_pb2, command_pb2)
TYPES = [kind for file in FILES for kind in file.DESCRIPTOR.message_types_by_name.values()]


def filled(kind: Descriptor, chance: random.Random, depth: int = 0) -> Message:
    """A message with values in most of its fields."""
    message = message_factory.GetMessageClass(kind)()
    if kind.full_name == "google.protobuf.Struct":
        message.update({"a": 1.5, "b": [None, True, "x"], "c": {}})  # type: ignore[attr-defined]
        return message
    if kind.full_name.startswith("google.protobuf."):
        return message
    for field in kind.fields:
        if chance.random() < 0.3 or depth > 5:
            continue
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            of_value = field.message_type.fields_by_name["value"]
            for key in ("b", "", "a\u2028"):
                if of_value.message_type is None:
                    getattr(message, field.name)[key] = value_of(of_value, chance, depth)
                else:
                    getattr(message, field.name)[key].CopyFrom(value_of(of_value, chance, depth))
        elif field.is_repeated:
            getattr(message, field.name).extend(value_of(field, chance, depth) for _ in range(chance.randrange(3)))
        elif field.message_type is not None:
            getattr(message, field.name).CopyFrom(value_of(field, chance, depth))
        else:
            setattr(message, field.name, value_of(field, chance, depth))
    return message


def value_of(field: FieldDescriptor, chance: random.Random, depth: int) -> Any:
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_MESSAGE:
            assert field.message_type is not None
            return filled(field.message_type, chance, depth + 1)
        case FieldDescriptor.CPPTYPE_ENUM:
            # Also one that this version does not know.
            return chance.choice((0, 1, 2, 4711))
        case FieldDescriptor.CPPTYPE_BOOL:
            return chance.random() < 0.5
        case FieldDescriptor.CPPTYPE_DOUBLE | FieldDescriptor.CPPTYPE_FLOAT:
            return chance.choice((0.0, -1.5, 1e300, float("inf"), float("-inf"), float("nan"), 3.0))
        case FieldDescriptor.CPPTYPE_STRING if field.type == FieldDescriptor.TYPE_BYTES:
            return chance.randbytes(chance.randrange(5))
        case FieldDescriptor.CPPTYPE_STRING:
            return chance.choice(("", "plain", 'quo"te\n', "é\u2028😀"))
    return chance.choice((0, 1, 2**31 - 1))


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.full_name)
def test_every_message_is_spelled_as_the_library_does(kind: Descriptor) -> None:
    for seed in range(4):
        message = filled(kind, random.Random(seed))
        wanted = json_format.MessageToDict(message, preserving_proto_field_name=True)
        found = to_json_values(message)
        # Through text, because NaN is like nothing, not even itself; and in the same order.
        text = json.dumps(wanted, ensure_ascii=False, separators=(",", ":"))
        assert to_json(found) == text
