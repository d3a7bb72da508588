"""What is left of a broken document when the broken parts are taken out.

The native core finds what only it can find (expressions that do not type-check, unreachable routes), but it needs a
whole configuration. So that one typing error does not hide those findings, broken entries of lists and broken sections
are left out and the rest is checked; a table of the entries' original indexes leads findings back to the document.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from fairlead.config.schema import Config
from fairlead.config.violation import Path


@dataclass(frozen=True, slots=True)
class Salvaged:
    """The configuration that is left, and where its list entries were."""

    config: Config
    indexes: dict[str, list[int]]

    def original(self, path: Path) -> Path:
        """Where a path of the salvaged configuration is in the document."""
        if len(path) >= 2 and isinstance(path[0], str) and isinstance(path[1], int):
            indexes = self.indexes.get(path[0], [])
            if path[1] < len(indexes):
                return (path[0], indexes[path[1]], *path[2:])
        return path


def salvage(document: dict[str, Any], broken: Iterable[Path]) -> Salvaged | None:
    """Leaves out everything that contains a broken path; None when nothing useful is left."""
    entries: set[tuple[str, int]] = set()
    sections: set[str] = set()
    for path in broken:
        if not path:
            return None
        section = str(path[0])
        if len(path) > 1 and isinstance(path[1], int):
            entries.add((section, path[1]))
        else:
            sections.add(section)
    left: dict[str, Any] = {}
    indexes: dict[str, list[int]] = {}
    for section, value in document.items():
        if section in sections:
            continue
        if isinstance(value, list):
            indexes[section] = [index for index in range(len(value)) if (section, index) not in entries]
            value = [value[index] for index in indexes[section]]
        left[section] = value
    left["apiVersion"] = "fairlead/v1"
    try:
        return Salvaged(Config.model_validate(left), indexes)
    except ValidationError:
        return None
