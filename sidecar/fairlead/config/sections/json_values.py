"""JSON inside the configuration: schemas, templates. Numbers are as JSON has them, sizes are bounded."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator
from pydantic_core import PydanticCustomError

# Of one schema or template, as JSON.
JSON_MAX_BYTES = 64 << 10


def _json(value: Any) -> Any:
    """Numbers as JSON has them; the reader of the YAML keeps them as decimals, digit for digit."""
    if isinstance(value, dict):
        return {key: _json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise PydanticCustomError("number", "has a number that is larger than JSON can say")
    return value


def _bounded(value: Any) -> Any:
    if len(json.dumps(value, separators=(",", ":")).encode()) > JSON_MAX_BYTES:
        raise PydanticCustomError("json_size", f"is larger than {JSON_MAX_BYTES >> 10}KiB")
    return value


# The native core checks that it is a schema, because it is the one that applies it.
JsonSchema = Annotated[dict[str, Any], BeforeValidator(_json), AfterValidator(_bounded)]
JsonValue = Annotated[Any, BeforeValidator(_json), AfterValidator(_bounded)]
