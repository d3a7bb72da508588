"""Values of attributes as OTLP has them, of records and of spans. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf.internal.containers import RepeatedCompositeFieldContainer
from opentelemetry.proto.common.v1 import common_pb2

Value = str | int | float | bool | bytes | tuple[str, ...]


def put(attributes: RepeatedCompositeFieldContainer[common_pb2.KeyValue], values: Mapping[str, Value]) -> None:
    """Adds attributes in the order of the mapping. In place: a message that is put into another one is copied."""
    for name, value in values.items():
        target = attributes.add(key=name).value
        # A truth value is a number to Python: it comes first.
        match value:
            case str():
                target.string_value = value
            case bool():
                target.bool_value = value
            case int():
                target.int_value = value
            case float():
                target.double_value = value
            case bytes():
                target.bytes_value = value
            case tuple():
                array = target.array_value.values
                target.array_value.SetInParent()
                for item in value:
                    array.add(string_value=item)
