"""Patterns of paths, such as `routes[*].targets[*].model`, and the values of a document that fit them.

Checks that work on the document instead of the models see everything that was written, also when something else next
to it is wrong; that is how all violations come at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from fairlead.config.violation import Path

# `*` as a list's index, `.*` as any key.
_PART = re.compile(r"\[\*\]|[^.\[\]]+")


@cache
def _parts(pattern: str) -> tuple[str, ...]:
    return tuple(_PART.findall(pattern))


def select(document: Any, pattern: str) -> Iterator[tuple[Path, Any]]:
    """Every value that fits, with its path, in document order."""
    return _select(document, _parts(pattern), ())


def fits(path: Path, pattern: str) -> bool:
    """Whether the path fits the pattern."""
    parts = _parts(pattern)
    return len(path) == len(parts) and all(
        isinstance(here, int) if part == "[*]" else part in ("*", here) for here, part in zip(path, parts, strict=True)
    )


def _select(value: Any, parts: tuple[str, ...], path: Path) -> Iterator[tuple[Path, Any]]:
    if not parts:
        yield path, value
        return
    part, rest = parts[0], parts[1:]
    if part == "[*]":
        if isinstance(value, list):
            for index, item in enumerate(value):
                yield from _select(item, rest, (*path, index))
    elif isinstance(value, dict):
        for key in value if part == "*" else (part,):
            if key in value:
                yield from _select(value[key], rest, (*path, key))
