"""A configuration of several files as one text for the API, and the way back from its lines to the files'."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path

from fairlead.config.loader import config_files
from fairlead.config.violation import Violation

# First line of each file in the text, from 1, and the file.
Parts = Sequence[tuple[int, str]]


def joined(path: Path) -> tuple[str, Parts]:
    """The text of a file, or of all files of a directory as documents of one stream. Raises OSError; text that is not
    UTF-8 is passed on with replacements, for the sidecar to refuse by line."""
    lines: list[str] = []
    parts: list[tuple[int, str]] = []
    for file in config_files(path):
        text = file.read_bytes().decode("utf-8-sig", errors="replace")
        if parts:
            lines.append("---")
        parts.append((len(lines) + 1, str(file)))
        lines.extend(text.removesuffix("\n").split("\n"))
    return "\n".join((*lines, "")), parts


def located(parts: Parts, line: int, path: str, message: str) -> Violation:
    """A violation in the joined text, at its place in the files."""
    if not parts or line < 1:
        return Violation(parts[0][1] if parts else "", line, path, message)
    first, file = parts[max(bisect_right(parts, line, key=lambda part: part[0]) - 1, 0)]
    return Violation(file, line - first + 1, path, message)
