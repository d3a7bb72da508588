"""The difference of two configurations, value by value.

Entries of lists are told apart by their names, not by their positions: a model that is put in front of the others is
one addition, not a change of every model. Where the order of entries means something it is compared as well.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_NOTHING = object()


@dataclass(frozen=True, slots=True, order=True)
class Change:
    """One changed value as JSON; empty before an addition and after a removal."""

    path: str
    before: str
    after: str


def diff(before: dict[str, Any], after: dict[str, Any]) -> list[Change]:
    """Every change, in the order of paths."""
    return sorted(_compare("", before, after))


def _compare(path: str, before: Any, after: Any) -> Iterator[Change]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in before.keys() | after.keys():
            below = f"{path}.{key}" if path else key
            yield from _compare(below, before.get(key, _NOTHING), after.get(key, _NOTHING))
        return
    if isinstance(before, list) and isinstance(after, list):
        old, new = _by_name(before), _by_name(after)
        if old is not None and new is not None:
            for name in old.keys() | new.keys():
                yield from _compare(f"{path}[{name}]", old.get(name, _NOTHING), new.get(name, _NOTHING))
            order_before = [name for name in old if name in new]
            order_after = [name for name in new if name in old]
            if order_before != order_after:
                yield Change(path, _json(order_before), _json(order_after))
            return
    if before != after:
        yield Change(path, _json(before), _json(after))


def _by_name(entries: list[Any]) -> dict[str, Any] | None:
    """The entries by name, by id (steps) or by model (targets); None when they have none of these."""
    for key in ("name", "id", "model"):
        named = {entry[key]: entry for entry in entries if isinstance(entry, dict) and key in entry}
        if len(named) == len(entries):
            return named
    return None


def _json(value: Any) -> str:
    return "" if value is _NOTHING else json.dumps(value, sort_keys=True, ensure_ascii=False)
