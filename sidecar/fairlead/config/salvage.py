"""What is left of a broken document when the broken parts are taken out.

The native core finds what only it can find (expressions that do not type-check, unreachable routes), but it needs a
whole configuration. So that one typing error does not hide those findings, broken entries of lists and broken sections
are left out and the rest is checked; a table of the entries' original indexes leads findings back to the document.

A workflow is worth more: of one whose graph and expressions stay what they are, only the broken values are left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from fairlead.config.paths import fits
from fairlead.config.schema import Config
from fairlead.config.violation import Path

# Values without which a workflow is still the same graph with the same expressions in the rest of it, so that the core
# finds nothing that is not so. An unknown key is not among them: it may be a misspelled `needs`.
_SPARABLE = tuple(
    f"workflows[*].{key}"
    for key in (
        *("tenants", "timeout", "keepFor", "onFailure", "budget", "input", "output"),
        *(f"steps[*].{key}" for key in ("when", "input", "inputSchema", "output", "retry", "timeouts")),
        *(f"steps[*].forEach.{key}" for key in ("maxParallel", "quorum")),
        *(f"steps[*].model.{key}" for key in ("system", "output", "maxOutputTokens", "temperature", "workload")),
        *(f"steps[*].approval.{key}" for key in ("title", "show", "onReject")),
        *(f"steps[*].wait.{key}" for key in ("timeout", "onTimeout")),
    )
)


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
    document, broken = _mended(document, broken)
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


def _mended(document: dict[str, Any], broken: Iterable[Path]) -> tuple[dict[str, Any], list[Path]]:
    """The document without broken values that workflows can do without, and what is broken in it besides."""
    rest: list[Path] = []
    for path in broken:
        spared = next((end for end in range(1, len(path) + 1) if _is_sparable(path[:end])), None)
        if spared is None:
            rest.append(path)
        else:
            document = _without(document, path[:spared])
    return document, rest


def _is_sparable(path: Path) -> bool:
    return any(fits(path, pattern) for pattern in _SPARABLE)


def _without(value: Any, path: Path) -> Any:
    """A copy without the key at a path, which may be gone already."""
    part, below = path[0], path[1:]
    if isinstance(value, list) and isinstance(part, int) and part < len(value):
        return [*value[:part], _without(value[part], below), *value[part + 1 :]]
    if isinstance(value, dict) and part in value:
        rest = {key: item for key, item in value.items() if key != part}
        return {**rest, part: _without(value[part], below)} if below else rest
    return value
