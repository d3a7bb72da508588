"""A foreign YAML file, read as its own product reads it: YAML 1.1 with anchors and merge keys. Numbers with a point are
kept digit by digit."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

import yaml

FILE_MAX_BYTES = 1 << 20
VALUES_MAX = 100_000
_DEPTH_MAX = 64


class NotReadable(ValueError):
    """The file cannot be used; the message says why and never quotes it."""


class _Loader(yaml.SafeLoader):
    """Plain values only: no tag can run code."""


def _decimal(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> Any:
    text = str(loader.construct_scalar(node)).replace("_", "")
    try:
        number = Decimal(text)
    except InvalidOperation:
        return text
    return number if number.is_finite() and abs(number.adjusted()) < 40 else text


def _text(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> str:
    return str(loader.construct_scalar(node))


_Loader.add_constructor("tag:yaml.org,2002:float", _decimal)
# A day or a time stays the text that it is.
_Loader.add_constructor("tag:yaml.org,2002:timestamp", _text)


def read(text: bytes) -> dict[str, Any]:
    """The mapping that a file holds; raises `NotReadable`."""
    if len(text) > FILE_MAX_BYTES:
        raise NotReadable(f"is larger than {FILE_MAX_BYTES} bytes")
    try:
        value = yaml.load(text, Loader=_Loader)  # a safe loader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise NotReadable(
            f"line {mark.line + 1 if mark else 0}: is not YAML: {error.problem or 'unreadable'}"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError):
        raise NotReadable("is not YAML text that can be read") from None
    _left(value, VALUES_MAX)
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise NotReadable("must be a mapping of sections")
    return value


def _left(value: Any, most: int, depth: int = 0) -> int:
    """How many more values there may be once aliases are written out; raises `NotReadable` when there are too many."""
    if most <= 0 or depth > _DEPTH_MAX:
        raise NotReadable(f"has more than {VALUES_MAX} values once its aliases are written out, or is nested too deep")
    below = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    most -= 1
    for item in below:
        most = _left(item, most, depth + 1)
    return most


def mapping(value: Any) -> dict[str, Any]:
    """The value, if it is a mapping; else an empty one. Keys become text."""
    return {str(key): item for key, item in value.items()} if isinstance(value, dict) else {}


def listed(value: Any) -> list[Any]:
    """The value, if it is a list; a single one as a list; nothing for no value."""
    return value if isinstance(value, list) else [] if value is None else [value]


def number(value: Any) -> Decimal | None:
    """The value, if it is a number, or text that is one."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | Decimal):
        return Decimal(value)
    try:
        found = Decimal(value) if isinstance(value, str) and len(value) < 40 else None
    except InvalidOperation:
        return None
    return found if found is not None and found.is_finite() else None


def count(value: Any, most: int = 1_000_000) -> int | None:
    """The value, if it is a whole number above zero; at most as much as is allowed here."""
    found = number(value)
    return min(int(found), most) if found is not None and found > 0 and found == found.to_integral_value() else None
