"""Quantities as people write them, kept as integers: durations, sizes, money, ratios.

Money and ratios are read from the text of the YAML scalar as `Decimal` and never pass through a float. A number with
more digits than the integer can represent is refused, not rounded. Serialisation is canonical: the same quantity has
one spelling, whichever one was read (`60s` and `1m` are both `1m`), so that it does not change the version.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Protocol

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

NANO_PER_USD = 1_000_000_000
# USD per million tokens times 1,000,000 = pico-USD per token.
PICO_PER_TOKEN_PER_USD_PER_MILLION = 1_000_000
USD_MAX = 1_000_000_000
USD_PER_MILLION_MAX = 1_000_000

_DURATION = re.compile(r"(\d{1,12})(ms|s|m|h|d)", re.ASCII)
_MILLIS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_SIZE = re.compile(r"(\d{1,15})(B|KiB|MiB|GiB)", re.ASCII)
_BYTES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_DECIMAL = re.compile(r"(\d{1,18})(?:\.(\d{1,18}))?", re.ASCII)
# A Decimal beyond this many digits is not spelled out: `1e999999999` must not become a gigabyte of zeros.
_DECIMAL_MAX_DIGITS = 40


class _Quantity(Protocol):
    """An annotation of an int field: how it is read and how it is written."""

    def read(self, value: Any, /) -> int:
        """The integer; raises `PydanticCustomError`."""
        ...

    def write(self, count: int, /) -> str:
        """The one spelling."""
        ...


def _schema(quantity: _Quantity) -> CoreSchema:
    return core_schema.no_info_plain_validator_function(
        quantity.read, serialization=core_schema.plain_serializer_function_ser_schema(quantity.write)
    )


@dataclass(frozen=True, slots=True)
class Duration:
    """A duration in milliseconds between two bounds, inclusive: `Annotated[int, Duration("1s", "24h")]`."""

    least: str
    most: str

    def read(self, value: Any) -> int:
        """The milliseconds; raises `PydanticCustomError`."""
        millis = _parse(_DURATION, _MILLIS, value)
        if millis is None:
            raise PydanticCustomError(
                "duration", "is not a duration: write a whole number and a unit, such as 200ms, 3s, 5m, 1h or 7d"
            )
        if not parse_duration(self.least) <= millis <= parse_duration(self.most):
            raise PydanticCustomError("duration_range", f"must be between {self.least} and {self.most}")
        return millis

    def write(self, count: int) -> str:
        """The one spelling."""
        return format_duration(count)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return _schema(self)


@dataclass(frozen=True, slots=True)
class Size:
    """A size in bytes between two bounds, inclusive: `Annotated[int, Size("1KiB", "8MiB")]`."""

    least: str
    most: str

    def read(self, value: Any) -> int:
        """The bytes; raises `PydanticCustomError`."""
        count = _parse(_SIZE, _BYTES, value)
        if count is None:
            raise PydanticCustomError(
                "size", "is not a size: write a whole number and a unit, such as 512KiB, 8MiB or 1GiB"
            )
        if not (_parse(_SIZE, _BYTES, self.least) or 0) <= count <= (_parse(_SIZE, _BYTES, self.most) or 0):
            raise PydanticCustomError("size_range", f"must be between {self.least} and {self.most}")
        return count

    def write(self, count: int) -> str:
        """The one spelling."""
        return format_size(count)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return _schema(self)


@dataclass(frozen=True, slots=True)
class Scaled:
    """A decimal number that is kept as an integer number of 1/scale; scale is a power of ten."""

    what: str
    scale: int
    least: int
    most: int
    bounds: str

    def read(self, value: Any) -> int:
        """The scaled integer, exactly; raises `PydanticCustomError`."""
        match = _DECIMAL.fullmatch(_decimal_text(value))
        if match is None:
            raise PydanticCustomError("decimal", f"is not {self.what}: write a plain decimal number such as 2.50")
        digits = len(str(self.scale)) - 1
        fraction = (match[2] or "").rstrip("0")
        if len(fraction) > digits:
            raise PydanticCustomError("decimal_digits", f"has more than {digits} digits after the point")
        count = int(match[1]) * self.scale + int(fraction.ljust(digits, "0"))
        if not self.least <= count <= self.most:
            raise PydanticCustomError("decimal_range", f"must be {self.bounds}")
        return count

    def write(self, count: int) -> str:
        """The one spelling: the number without trailing zeros, as a string so that no reader makes it a float."""
        whole, rest = divmod(count, self.scale)
        fraction = f"{rest:0{len(str(self.scale)) - 1}d}".rstrip("0")
        return f"{whole}.{fraction}" if fraction else str(whole)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return _schema(self)


NanoUsd = Annotated[
    int,
    Scaled("an amount of USD", NANO_PER_USD, 1, USD_MAX * NANO_PER_USD, f"more than 0 and at most {USD_MAX:,} USD"),
]
PicoUsdPerToken = Annotated[
    int,
    Scaled(
        "a price in USD per million tokens",
        PICO_PER_TOKEN_PER_USD_PER_MILLION,
        0,
        USD_PER_MILLION_MAX * PICO_PER_TOKEN_PER_USD_PER_MILLION,
        f"between 0 and {USD_PER_MILLION_MAX:,} USD per million tokens",
    ),
]
PerMille = Annotated[int, Scaled("a number between 0 and 1", 1000, 0, 1000, "between 0 and 1")]
PositivePerMille = Annotated[int, Scaled("a number between 0 and 1", 1000, 1, 1000, "more than 0 and at most 1")]


def format_duration(millis: int) -> str:
    """The one spelling of a duration: the largest unit that divides it."""
    for unit in ("d", "h", "m", "s"):
        if millis and millis % _MILLIS[unit] == 0:
            return f"{millis // _MILLIS[unit]}{unit}"
    return f"{millis}ms" if millis else "0s"


def format_size(count: int) -> str:
    """The one spelling of a size: the largest unit that divides it."""
    for unit in ("GiB", "MiB", "KiB"):
        if count and count % _BYTES[unit] == 0:
            return f"{count // _BYTES[unit]}{unit}"
    return f"{count}B"


def parse_duration(text: str) -> int:
    """Milliseconds of a duration such as `5m`; raises ValueError."""
    millis = _parse(_DURATION, _MILLIS, text)
    if millis is None:
        raise ValueError(f"`{text}` is not a duration: write 200ms, 3s, 5m, 1h or 7d")
    return millis


def _parse(pattern: re.Pattern[str], units: Mapping[str, int], value: Any) -> int | None:
    match = pattern.fullmatch(value) if isinstance(value, str) else None
    return int(match[1]) * units[match[2]] if match else None


def _decimal_text(value: Any) -> str:
    """The digits that were written; empty for anything that is not a number."""
    if isinstance(value, Decimal):
        sized = value.is_finite() and len(value.as_tuple().digits) + abs(value.adjusted()) <= _DECIMAL_MAX_DIGITS
        return f"{value:f}" if sized else ""
    if isinstance(value, bool):
        return ""
    return str(value) if isinstance(value, int | str) else ""
