"""Lines of files that somebody else may have written: read carefully, refused with a reason."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

Line = dict[str, Any]


class BadLine(ValueError):
    """A line is not what the format says."""


def parse_line(line: str) -> Line:
    """One line; raises `BadLine`."""
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadLine(f"a line is not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise BadLine("a line is not a JSON object")
    return fields


def text_of(fields: Line, name: str) -> str:
    """A text, empty when it is not there; raises `BadLine`."""
    value = fields.get(name, "")
    if not isinstance(value, str):
        raise BadLine(f"{name} is not a text")
    return value


def values_of(fields: Line, name: str) -> bytes:
    """Bytes in base64, none when they are not there; raises `BadLine`."""
    return _decoded(name, text_of(fields, name))


def hashes_of(fields: Line, name: str) -> list[bytes]:
    """A list of bytes in base64; raises `BadLine`."""
    values = fields.get(name)
    if not isinstance(values, list) or not all(isinstance(one, str) for one in values):
        raise BadLine(f"{name} is not a list of texts")
    return [_decoded(name, one) for one in values]


def _decoded(name: str, value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (ValueError, binascii.Error):
        raise BadLine(f"{name} is not base64") from None
