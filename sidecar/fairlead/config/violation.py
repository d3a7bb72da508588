"""What is wrong with a configuration, and where: every violation names file, line and path."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

# Keys and list indexes from the root, as in ("routes", 2, "targets", 0, "weight").
Path = tuple[str | int, ...]


def render(path: Path) -> str:
    """The path as people write it: `routes[2].targets[0].weight`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


@dataclass(frozen=True, slots=True, order=True)
class Violation:
    """One violation. `line` counts from 1 and is 0 when unknown; `file` is empty for text that came over the API."""

    file: str
    line: int
    path: str
    message: str

    def __str__(self) -> str:
        line = f":{self.line}" if self.line else ""
        return f"{self.file or 'yaml'}{line}: {self.path + ': ' if self.path else ''}{self.message}"


class ConfigError(ValueError):
    """A configuration that is not valid, with every violation, in file and line order."""

    def __init__(self, violations: Iterable[Violation]) -> None:
        self.violations = tuple(sorted(set(violations)))
        super().__init__("\n".join(map(str, self.violations)))
