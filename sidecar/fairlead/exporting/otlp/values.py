"""Values of attributes as OTLP has them, of records and of spans. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from opentelemetry.proto.common.v1 import common_pb2

Value = str | int | float | bool | bytes | tuple[str, ...]


def key_values(values: Mapping[str, Value]) -> list[common_pb2.KeyValue]:
    """Attributes in the order of the mapping."""
    return [common_pb2.KeyValue(key=name, value=_any(value)) for name, value in values.items()]


def _any(value: Value) -> common_pb2.AnyValue:
    # A truth value is a number to Python: it comes first.
    match value:
        case bool():
            return common_pb2.AnyValue(bool_value=value)
        case int():
            return common_pb2.AnyValue(int_value=value)
        case float():
            return common_pb2.AnyValue(double_value=value)
        case bytes():
            return common_pb2.AnyValue(bytes_value=value)
        case tuple():
            return common_pb2.AnyValue(array_value=common_pb2.ArrayValue(values=[_any(item) for item in value]))
    return common_pb2.AnyValue(string_value=value)
