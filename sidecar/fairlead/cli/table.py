"""Aligned columns for people, in plain text."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Sequence

# Columns of numbers are aligned to the right.
LEFT, RIGHT = "<", ">"


def table(header: Sequence[str], rows: Iterable[Sequence[str]], align: str) -> list[str]:
    """Lines with every column as wide as it needs to be; `align` has one sign for each column."""
    lines = [list(header), *(list(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return [
        "  ".join(f"{cell:{sign}{width}}" for cell, sign, width in zip(line, align, widths, strict=True)).rstrip()
        for line in lines
    ]


def fitting(line: str) -> str:
    """The line, cut to the terminal's width; whole when the output is not a terminal."""
    if not sys.stdout.isatty():
        return line
    width = shutil.get_terminal_size().columns
    return line if len(line) <= width else line[: width - 1] + "…"


def text_width() -> int:
    """How wide running text should be."""
    return max(40, min(shutil.get_terminal_size().columns, 110))
