"""The SVG picture: cards, lines between them, a title and a legend.

It has its own ground, and colours for light and dark surroundings, so that it can be read wherever it is shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape, quoteattr

from fairlead.workflow.graph import card as sizes
from fairlead.workflow.graph.card import Card, card, fitted, text_width
from fairlead.workflow.graph.icons import KIND_LOOKS, icon
from fairlead.workflow.graph.layout import Layout, Point, layout
from fairlead.workflow.graph.model import KINDS, Drawable, graph_of, printable
from fairlead.workflow.graph.states import LOOKS, States, look, view

_MARGIN = 28.0
_TITLE_HEIGHT = 58.0
_LEGEND_HEIGHT = 44.0
_MIN_WIDTH = 360.0
_SANS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_CODE = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
# Class → (property, colour on light ground, colour on dark ground).
_COLOURS = (
    ("ground", "fill", "#f6f8fa", "#0d1117"),
    ("card", "fill", "#ffffff", "#161b22"),
    ("card", "stroke", "#d0d7de", "#30363d"),
    ("strong", "fill", "#1f2328", "#e6edf3"),
    ("soft", "fill", "#59636e", "#9198a1"),
    ("line", "stroke", "#8c959f", "#6e7681"),
    ("head", "fill", "#8c959f", "#6e7681"),
    ("rule", "stroke", "#e6eaef", "#21262d"),
    ("warn", "fill", "#fff1e5", "#3d2410"),
    ("warned", "fill", "#953800", "#f0a06b"),
)


def draw_svg(definition: Drawable, states: States | None = None) -> str:
    """The picture of a workflow; with `states` of one of its runs. Size in pixels as wide as it needs to be."""
    graph = graph_of(definition)
    name, summary = printable(graph.name), printable(graph.summary)
    cards = {node.id: card(node, view(states, node.id)) for node in graph.nodes}
    edges = graph.edges()
    placed = layout({key: _outer(drawn) for key, drawn in cards.items()}, edges)
    legend = _legend([drawn.view.state if drawn.view else drawn.node.kind for drawn in cards.values()], states is None)
    legend_width = sum(width for _, width in legend)
    title_width = max(text_width(name, 17.0, bold=True), text_width(summary, 12.0))
    inner = max(placed.width, min(max(legend_width, title_width), 640.0), _MIN_WIDTH)
    width, height = inner + 2 * _MARGIN, placed.height + _TITLE_HEIGHT + _LEGEND_HEIGHT + 2 * _MARGIN
    offset = (_MARGIN + (inner - placed.width) / 2, _MARGIN + _TITLE_HEIGHT)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label={quoteattr(f"workflow {name}")}>',
        _style(sorted({drawn.view.state for drawn in cards.values() if drawn.view})),
        '<defs><marker id="end" viewBox="0 0 10 10" refX="8.5" refY="5" markerWidth="7" markerHeight="7" orient="auto">'
        '<path class="head" d="M0 0.8 L9.5 5 L0 9.2 L2.6 5 Z"/></marker></defs>',
        f'<rect class="ground" width="{width:.0f}" height="{height:.0f}" rx="14"/>',
        f'<text class="strong" x="{_MARGIN:.0f}" y="{_MARGIN + 16:.0f}" font-size="17" font-weight="650">'
        f"{escape(fitted(name, inner, 17.0, bold=True))}</text>",
        f'<text class="soft" x="{_MARGIN:.0f}" y="{_MARGIN + 36:.0f}" font-size="12">'
        f"{escape(fitted(summary, inner, 12.0))}</text>",
        f'<g transform="translate({offset[0]:.1f} {offset[1]:.1f})">',
        *_lines(placed, edges, cards),
        *(part for key, drawn in cards.items() for part in _card(drawn, placed.centres[key])),
        "</g>",
        *_legend_drawn(legend, _MARGIN, height - _MARGIN - 6.0),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _outer(drawn: Card) -> Point:
    """Of the card with the pile below it, if it is one."""
    pile = sizes.PILE if drawn.node.items or drawn.node.kind == "forEach" else 0.0
    return drawn.width + pile, drawn.height + pile


def _style(states: Sequence[str]) -> str:
    looks = [(f"s-{state}", look(state).light, look(state).dark) for state in states]
    colours = [
        *_COLOURS,
        *((name, "fill", light, dark) for name, light, dark in looks),
        *((f"{name}-line", "stroke", light, dark) for name, light, dark in looks),
    ]
    light = "".join(f".{name}{{{what}:{bright}}}" for name, what, bright, _ in colours)
    dark = "".join(f".{name}{{{what}:{dim}}}" for name, what, _, dim in colours)
    return (
        f"<style>text{{font-family:{_SANS}}}.code{{font-family:{_CODE}}}.line{{fill:none;stroke-width:1.5}}{light}"
        f"@media (prefers-color-scheme:dark){{{dark}}}</style>"
    )


def _lines(placed: Layout, edges: Sequence[tuple[str, str]], cards: dict[str, Card]) -> Iterator[str]:
    ends = _ends(placed, edges, cards)
    for before, after in edges:
        points = list(placed.lines[before, after])
        leave, meet = ends[before, after]
        points[:2] = [(points[0][0] + leave, points[0][1]), (points[1][0] + leave, points[1][1])]
        points[-1] = (points[-1][0] + meet, points[-1][1])
        conditional = bool(cards[after].node.when)
        view_after = cards[after].view
        if view_after is not None:
            conditional = view_after.state in ("skipped", "blocked", "cancelled")
        dashes = ' stroke-dasharray="5 4"' if conditional else ""
        yield f'<path class="line"{dashes} marker-end="url(#end)" d="{_curve(points)}"/>'


def _ends(
    placed: Layout, edges: Sequence[tuple[str, str]], cards: dict[str, Card]
) -> dict[tuple[str, str], tuple[float, float]]:
    """How far from the middle each line leaves its upper and meets its lower card: lines side by side neither begin nor
    end in one point."""
    found = {edge: [0.0, 0.0] for edge in edges}
    for key, drawn in cards.items():
        # The first point behind the one end, the last before the other: lines keep the order that these have.
        for end, neighbour in ((0, 2), (1, -2)):
            mine = sorted(
                (edge for edge in edges if edge[end] == key), key=lambda edge: placed.lines[edge][neighbour][0]
            )
            room = min(26.0 if end else 18.0, drawn.width * 0.6 / max(len(mine), 1))
            for index, edge in enumerate(mine):
                found[edge][end] = (index - (len(mine) - 1) / 2) * room
    return {edge: (leave, meet) for edge, (leave, meet) in found.items()}


def _curve(points: Sequence[Point]) -> str:
    """Leaves and meets every layer vertically; straight where it passes one."""
    path = [f"M{points[0][0]:.1f} {points[0][1]:.1f}"]
    for index in range(1, len(points)):
        (x0, y0), (x1, y1) = points[index - 1], points[index]
        if abs(x0 - x1) < 0.5:
            path.append(f"L{x1:.1f} {y1:.1f}")
        else:
            bend = (y1 - y0) * 0.55
            path.append(f"C{x0:.1f} {y0 + bend:.1f} {x1:.1f} {y1 - bend:.1f} {x1:.1f} {y1:.1f}")
    return " ".join(path)


def _card(drawn: Card, centre: Point) -> Iterator[str]:
    node, width, height = drawn.node, drawn.width, drawn.height
    outer = _outer(drawn)
    left, top = centre[0] - outer[0] / 2, centre[1] - outer[1] / 2
    state = drawn.view.state if drawn.view else ""
    border = f" s-{state}-line" if state and state != "blocked" else ""
    dashed = ' stroke-dasharray="5 4"' if state in ("skipped", "blocked") else ""
    yield f'<g transform="translate({left:.1f} {top:.1f})"><title>{escape(_told(drawn))}</title>'
    shape = f'rx="10" width="{width:.1f}" height="{height:.1f}"'
    if outer[0] > width:
        for depth in (sizes.PILE, sizes.PILE / 2):
            yield f'<rect class="card{border}" x="{depth:.1f}" y="{depth:.1f}" {shape}/>'
    weight = 1.8 if border else 1.2
    yield f'<rect class="card{border}" stroke-width="{weight}"{dashed} {shape}/>'
    yield from icon(node.kind, sizes.PADDING, (sizes.HEAD_HEIGHT - sizes.ICON) / 2, sizes.ICON)
    x = sizes.PADDING + sizes.ICON + 10.0
    y = 25.0 if drawn.subject else 33.0
    yield _text(drawn.title, x, y, sizes.TITLE_SIZE, "strong", weight=600)
    if drawn.subject:
        yield _text(drawn.subject, x, 42.0, sizes.SUBJECT_SIZE, "soft")
    yield from _badge(drawn)
    if drawn.rows:
        y = sizes.HEAD_HEIGHT
        yield f'<path class="rule" d="M{sizes.PADDING:.1f} {y - 3:.1f} H{width - sizes.PADDING:.1f}"/>'
    y = sizes.HEAD_HEIGHT + 12.0
    for row in drawn.rows:
        if row.label:
            yield _text(row.label, sizes.PADDING, y, sizes.ROW_SIZE, "soft")
        x = sizes.PADDING + (sizes.LABEL_WIDTH if row.label else 0.0)
        for line in row.lines:
            yield _text(line, x, y, sizes.ROW_SIZE, "strong code" if row.is_code else "strong")
            y += sizes.ROW_HEIGHT
    yield "</g>"


def _badge(drawn: Card) -> Iterator[str]:
    if not drawn.badge:
        return
    width, x = drawn.badge_width, drawn.width - sizes.PADDING - drawn.badge_width
    if drawn.view is None:
        ground, ink = "warn", "warned"
        yield f'<rect class="{ground}" x="{x:.1f}" y="12.5" width="{width:.1f}" height="17" rx="8.5"/>'
    else:
        ink = f"s-{drawn.view.state}"
        yield f'<rect class="{ink}" opacity="0.14" x="{x:.1f}" y="12.5" width="{width:.1f}" height="17" rx="8.5"/>'
    yield _text(drawn.badge, x + width / 2, 24.5, sizes.BADGE_SIZE, ink, weight=600, anchor="middle")


def _text(text: str, x: float, y: float, size: float, style: str, *, weight: int = 400, anchor: str = "") -> str:
    bold = f' font-weight="{weight}"' if weight != 400 else ""
    aligned = f' text-anchor="{anchor}"' if anchor else ""
    return f'<text class="{style}" x="{x:.1f}" y="{y:.1f}" font-size="{size:g}"{bold}{aligned}>{escape(text)}</text>'


def _told(drawn: Card) -> str:
    """What a pointer over the card shows: everything, uncut."""
    node = drawn.node
    told = [printable(f"{node.id}: {node.kind}{f', {node.subject}' if node.subject else ''}")]
    if drawn.view is not None:
        told.append(drawn.view.state.replace("_", " "))
    elif node.effect:
        told.append(f"effect {node.effect}")
    told.extend(f"{row.label} {row.text}".strip() for row in drawn.rows)
    return "\n".join(told)


def _legend(shown: Sequence[str], of_kinds: bool) -> list[tuple[str, float]]:
    """The kinds or states that are in the picture, with the width of each entry."""
    known = KINDS if of_kinds else tuple(LOOKS)
    tile = 22.0 if of_kinds else 16.0
    return [(name, tile + text_width(name, 11.0) + 16.0) for name in known if name in shown]


def _legend_drawn(legend: Sequence[tuple[str, float]], x: float, y: float) -> Iterator[str]:
    for name, width in legend:
        if name in KIND_LOOKS:
            tile = 22.0
            yield from icon(name, x, y - 12.0, 16.0)
        else:
            tile = 16.0
            yield f'<circle class="s-{name}" cx="{x + 5:.1f}" cy="{y - 4:.1f}" r="5"/>'
        yield _text(name.replace("_", " "), x + tile, y, 11.0, "soft")
        x += width
