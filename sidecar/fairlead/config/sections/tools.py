"""`tools`: what is known about tools. What is not in the catalogue counts as destructive, whatever a caller claims."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from fairlead.config.sections.base import LabelName, Listed, Section, no_repeats

# Of one schema, as JSON.
SCHEMA_MAX_BYTES = 64 << 10


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


def _bounded(value: dict[str, Any]) -> dict[str, Any]:
    if len(json.dumps(value, separators=(",", ":")).encode()) > SCHEMA_MAX_BYTES:
        raise PydanticCustomError("schema_size", f"is larger than {SCHEMA_MAX_BYTES >> 10}KiB")
    return value


# The native core checks that it is a schema, because it is the one that applies it.
JsonSchema = Annotated[dict[str, Any], BeforeValidator(_json), AfterValidator(_bounded)]
ToolPattern = Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9][A-Za-z0-9._:/-]{0,127}\*?|\*)$")]


class ToolArguments(Section):
    """Arguments of a tool."""

    schema_: JsonSchema = Field(alias="schema", description="JSON Schema (2020-12) that the arguments have to meet")


class Tool(Section):
    """An entry of the catalogue; the first one whose name fits a call counts."""

    name: ToolPattern = Field(description="name such as payments.refund, or a prefix that ends in *")
    effect: Literal["read", "write", "side_effect"] = Field(
        description="what a call does at most: read, write (can be undone or repeated) or side_effect"
    )
    risk: Literal["low", "medium", "high", "destructive"] = Field(
        description="how bad a wrong call can be: low, medium, high or destructive"
    )
    arguments: ToolArguments | None = Field(default=None, description="arguments; left out: any object")
    labels: Annotated[Listed[LabelName], AfterValidator(no_repeats)] = Field(
        default=(), max_length=16, description="labels that the session has from a granted call on, as saw_untrusted"
    )
