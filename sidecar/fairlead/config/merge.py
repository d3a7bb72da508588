"""Several documents → one: mappings are merged, lists are concatenated, contradicting scalars are a violation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fairlead.config.document import Document
from fairlead.config.violation import Path


def merge(documents: Iterable[Document]) -> Document:
    """Merges in the given order. Places and faults move to where their values are in the whole."""
    whole = Document()
    for part in documents:
        whole.places.setdefault((), part.place(()))
        moved: dict[Path, Path] = {(): ()}
        _merge_mapping(whole, whole.value, part, part.value, (), moved)
        for path, place in part.places.items():
            if path in moved:
                whole.places.setdefault(moved[path], place)
        whole.faults.extend((_moved(path, moved), place, message) for path, place, message in part.faults)
    return whole


def _merge_mapping(
    whole: Document, into: dict[str, Any], part: Document, values: dict[str, Any], path: Path, moved: dict[Path, Path]
) -> None:
    for key, value in values.items():
        here = (*path, key)
        if key not in into:
            into[key] = value
            _record(value, here, here, moved)
            continue
        moved[here] = here
        present = into[key]
        if isinstance(present, dict) and isinstance(value, dict):
            _merge_mapping(whole, present, part, value, here, moved)
        elif isinstance(present, list) and isinstance(value, list):
            for index, item in enumerate(value):
                _record(item, (*here, index), (*here, len(present)), moved)
                present.append(item)
        elif type(present) is not type(value) or present != value:
            file, line = whole.place(here)
            whole.faults.append((here, part.place(here), f"contradicts {file or 'an earlier document'}:{line}"))


def _record(value: Any, source: Path, target: Path, moved: dict[Path, Path]) -> None:
    moved[source] = target
    if isinstance(value, dict):
        for key, item in value.items():
            _record(item, (*source, key), (*target, key), moved)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _record(item, (*source, index), (*target, index), moved)


def _moved(path: Path, moved: dict[Path, Path]) -> Path:
    """Where a path of the part is in the whole; parts that have no value stay behind their moved container."""
    for end in range(len(path), -1, -1):
        if path[:end] in moved:
            return (*moved[path[:end]], *path[end:])
    return path
