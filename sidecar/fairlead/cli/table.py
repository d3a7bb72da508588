"""Aligned columns for people, in plain text."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence

# Running text is read best when its lines are neither short nor long.
_MIN_TEXT_WIDTH, _MAX_TEXT_WIDTH = 40, 110


def table(header: Sequence[str], rows: Iterable[Sequence[str]], align: str) -> list[str]:
    """Lines with every column as wide as it needs to be; `align` has one sign for each column,
    `<` for left and `>` for right, where numbers belong."""
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


def wrapped(sentence: str, bullet: str) -> list[str]:
    """A sentence behind a bullet, in lines that fit the terminal; in one line when the output is not a terminal."""
    if not sys.stdout.isatty():
        return [bullet + sentence]
    width = max(_MIN_TEXT_WIDTH, min(shutil.get_terminal_size().columns, _MAX_TEXT_WIDTH))
    indent = " " * len(bullet)
    return textwrap.wrap(sentence, width, initial_indent=bullet, subsequent_indent=indent, break_on_hyphens=False)
