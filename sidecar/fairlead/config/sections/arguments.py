"""What a policy rule does to single arguments of a tool call."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, Field, PlainSerializer, PlainValidator, StringConstraints
from pydantic_core import PydanticCustomError

from fairlead.config.sections.base import Section, exactly_one
from fairlead.config.violation import Path

_POINTER = re.compile(r"(?:/(?:[^~/]|~[01])*)+")
# Whole numbers beyond this are not exact in JSON as most programs read it.
_EXACT = 1 << 53


def _pointer(value: str) -> str:
    if _POINTER.fullmatch(value) is None:
        raise PydanticCustomError("pointer", "is not a JSON pointer: write /amount or /items/*/price")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise PydanticCustomError("number", "must be a number")
    if not -_EXACT <= value <= _EXACT:
        raise PydanticCustomError("number_range", f"must be between {-_EXACT:,} and {_EXACT:,}")
    return float(value)


def _written(value: float) -> int | float:
    """The one spelling: `10000`, not `10000.0`."""
    return int(value) if value.is_integer() else value


Pointer = Annotated[str, StringConstraints(min_length=1, max_length=256), AfterValidator(_pointer)]
JsonNumber = Annotated[float, PlainValidator(_number), PlainSerializer(_written, return_type=int | float)]


class ArgumentConstraint(Section):
    """What becomes of one argument; one that is not there stays away."""

    pointer: Pointer = Field(description="JSON pointer into the arguments; * stands for every element of a list")
    maximum: JsonNumber | None = Field(default=None, description="a number above it becomes this")
    minimum: JsonNumber | None = Field(default=None, description="a number below it becomes this")
    redact: bool | None = Field(default=None, description="true: replaced by the text [redacted]")
    remove: bool | None = Field(default=None, description="true: removed")

    def rules(self) -> Iterator[tuple[Path, str]]:
        """One change."""
        yield from exactly_one(self, "maximum", "minimum", "redact", "remove")
        for key in ("redact", "remove"):
            if getattr(self, key) is False:
                yield (key,), "must be true: leave it out for the argument to stay"
