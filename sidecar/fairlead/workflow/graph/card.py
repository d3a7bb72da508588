"""The card of a step: what is written on it, and how large it is. There is no font here: widths are those of common
sans-serif faces with a margin, so that a text stays on its card whichever face draws it."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace

from fairlead.workflow.graph.model import Node, printable
from fairlead.workflow.graph.states import StepView

MIN_WIDTH, MAX_WIDTH = 190.0, 330.0
PADDING = 14.0
ICON = 28.0
TITLE_SIZE, SUBJECT_SIZE, ROW_SIZE, BADGE_SIZE = 14.0, 12.0, 11.0, 10.0
HEAD_HEIGHT, ROW_HEIGHT = 56.0, 18.0
LABEL_WIDTH = 68.0
# Depth of the pile that a forEach is drawn as.
PILE = 10.0
_ICON_GAP = 10.0
_BADGE_PADDING = 7.0
_NARROW, _WIDE = "iljtfrI.,:;'|!()[]{}/\\ \"`-·", "mwMW@%—…→"
_MONO = 0.61
_LINES_MAX = 4


@dataclass(frozen=True, slots=True)
class Row:
    """Below the head: a label, which a remark does not have, and a text in the lines that it takes, of which the last
    may have been cut."""

    label: str
    text: str
    is_code: bool
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Card:
    """What is written on a card, cut to its width."""

    node: Node
    width: float
    height: float
    title: str
    subject: str
    badge: str
    rows: tuple[Row, ...]
    view: StepView | None

    @property
    def lines(self) -> int:
        """Lines below the head."""
        return sum(len(row.lines) for row in self.rows)

    @property
    def badge_width(self) -> float:
        """Of the badge with its padding; 0 when there is none."""
        return text_width(self.badge, BADGE_SIZE, bold=True) + 2 * _BADGE_PADDING if self.badge else 0.0


def card(node: Node, view: StepView | None) -> Card:
    """The card of a step, as it is defined or as it fares in a run."""
    subject = printable(node.subject)
    rows = [replace(row, text=printable(row.text)) for row in _rows(node, view)]
    badge = view.state.replace("_", " ") if view else node.effect if node.effect in ("write", "side effect") else ""
    head = PADDING + ICON + _ICON_GAP
    badge_width = text_width(badge, BADGE_SIZE, bold=True) + 2 * _BADGE_PADDING + _ICON_GAP if badge else 0.0
    wanted = max(
        head + text_width(node.id, TITLE_SIZE, bold=True) + badge_width + PADDING,
        head + text_width(subject, SUBJECT_SIZE) + PADDING,
        *(2 * PADDING + _indent(row) + text_width(row.text, ROW_SIZE, is_code=row.is_code) for row in rows),
    )
    width = min(max(wanted, MIN_WIDTH), MAX_WIDTH)
    written = tuple(
        replace(row, lines=tuple(_wrapped(row.text, width - 2 * PADDING - _indent(row), row.is_code))) for row in rows
    )
    lines = sum(len(row.lines) for row in written)
    return Card(
        node,
        width,
        HEAD_HEIGHT + (lines * ROW_HEIGHT + 6.0 if lines else 0.0),
        fitted(node.id, width - head - badge_width - PADDING, TITLE_SIZE, bold=True),
        fitted(subject, width - head - PADDING, SUBJECT_SIZE),
        badge,
        written,
        view,
    )


def text_width(text: str, size: float, *, bold: bool = False, is_code: bool = False) -> float:
    """About how wide a text is, in pixels."""
    if is_code:
        return sum(_cells(character) for character in text) * _MONO * size
    ems = 0.0
    for character in text:
        if _cells(character) == 2:
            ems += 1.0
        elif character in _NARROW:
            ems += 0.34
        elif character in _WIDE:
            ems += 0.95
        else:
            ems += 0.72 if character.isupper() else 0.6
    return ems * size * (1.07 if bold else 1.0)


def fitted(text: str, width: float, size: float, *, bold: bool = False, is_code: bool = False) -> str:
    """The text, cut with an ellipsis where it is wider."""
    # Widths are estimates: a card that is as wide as its text needs no more than that.
    if text_width(text, size, bold=bold, is_code=is_code) <= width + 0.5:
        return text
    while text and text_width(text + "…", size, bold=bold, is_code=is_code) > width:
        text = text[:-1]
    return text.rstrip() + "…"


def _wrapped(text: str, width: float, is_code: bool) -> Iterator[str]:
    """The text in at most four lines, broken between words where that is possible."""
    words = text.split(" ")
    for line in range(_LINES_MAX):
        if line == _LINES_MAX - 1:
            yield fitted(" ".join(words), width, ROW_SIZE, is_code=is_code)
            return
        taken = 1
        while taken < len(words) and text_width(" ".join(words[: taken + 1]), ROW_SIZE, is_code=is_code) <= width:
            taken += 1
        first, words = " ".join(words[:taken]), words[taken:]
        whole = fitted(first, width, ROW_SIZE, is_code=is_code)
        if whole == first:
            yield first
        else:
            # A word that no line can hold is broken wherever the line ends.
            cut = len(whole) - 1
            yield first[:cut]
            words = [first[cut:], *words]
        if not words:
            return


def _rows(node: Node, view: StepView | None) -> list[Row]:
    found: list[Row] = []
    if node.items:
        found += [Row("for each", node.items, True), Row("at most", node.spread, False)]
    if node.when:
        found.append(Row("when", node.when, True))
    if view is not None:
        # How it fares matters more than how it is defined.
        return [*found, Row("", view.remark, False)] if view.remark else found
    if node.key:
        found.append(Row("key", node.key, True))
    if node.compensate:
        found.append(Row("undone by", f"queue {node.compensate}", False))
    return found


def _indent(row: Row) -> float:
    return LABEL_WIDTH if row.label else 0.0


def _cells(character: str) -> int:
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
