"""Where the boxes and lines of a directed graph go: Sugiyama's layered method, in its plain form.

K. Sugiyama, S. Tagawa, M. Toda: Methods for Visual Understanding of Hierarchical System Structures, IEEE SMC-11 (1981).

1. Layers: every node lies below all that come before it (longest path). A line that passes layers gets a bend in each.
2. Order: sweeps down and up sort each layer by the mean place of its neighbours (barycentres); the order with the
   fewest crossings is kept.
3. Places: sweeps move each layer as near to its neighbours as the gaps allow. That is least squares under an order,
   which pooling adjacent violators solves exactly (isotonic regression); lines over several layers pull hard and become
   straight.

Everything is deterministic: ties stay in the order of the input.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

Point = tuple[float, float]

_ORDER_SWEEPS = 12
_PLACE_SWEEPS = 100
# How much a line pulls: between two bends, at one bend, and between two boxes (Gansner et al., 1993).
_PULL = (1.0, 2.0, 8.0)


@dataclass(slots=True)
class Layout:
    """Centres of the nodes, and for each edge the points that it goes through: from the lower side of one node, down
    past its neighbours and through the layers that it passes, to the upper side of the other. (0, 0) is the upper left
    corner."""

    width: float = 0.0
    height: float = 0.0
    centres: dict[str, Point] = field(default_factory=dict)
    lines: dict[tuple[str, str], list[Point]] = field(default_factory=dict)


@dataclass(slots=True)
class _Box:
    """A node, or a bend of a line."""

    key: str
    layer: int
    width: float
    height: float
    is_bend: bool = False
    above: list[_Box] = field(default_factory=list)
    below: list[_Box] = field(default_factory=list)
    place: int = 0
    x: float = 0.0


def layout(
    sizes: Mapping[str, Point],
    edges: Sequence[tuple[str, str]],
    gap: float = 36.0,
    layer_gap: float = 56.0,
    bend_width: float = 12.0,
) -> Layout:
    """Lays out nodes of (width, height) and edges that have no cycle."""
    boxes = {key: _Box(key, 0, *size) for key, size in sizes.items()}
    _assign_layers(boxes, edges)
    chains = {edge: _chain(boxes[edge[0]], boxes[edge[1]], bend_width) for edge in edges}
    layers: list[list[_Box]] = [[] for _ in range(max((box.layer for box in boxes.values()), default=-1) + 1)]
    for box in (*boxes.values(), *(bend for chain in chains.values() for bend in chain[1:-1])):
        layers[box.layer].append(box)
    layers = _ordered(layers)
    _place(layers, gap)
    for chain in chains.values():
        _straighten(chain[1:-1], layers, gap)
    _shift(layers)
    return _drawn(layers, boxes, chains, layer_gap)


def _assign_layers(boxes: Mapping[str, _Box], edges: Sequence[tuple[str, str]]) -> None:
    """The longest way from the top; relaxed at most once for each box, which is enough without cycles."""
    for _ in boxes:
        moved = False
        for before, after in edges:
            least = boxes[before].layer + 1
            if boxes[after].layer < least:
                boxes[after].layer, moved = least, True
        if not moved:
            return


def _chain(before: _Box, after: _Box, bend_width: float) -> list[_Box]:
    """The two ends of a line with its bends between them, linked."""
    bends = [
        _Box(f"{before.key}>{after.key}", layer, bend_width, 0.0, True)
        for layer in range(before.layer + 1, after.layer)
    ]
    chain = [before, *bends, after]
    for upper, lower in pairwise(chain):
        upper.below.append(lower)
        lower.above.append(upper)
    return chain


def _ordered(layers: list[list[_Box]]) -> list[list[_Box]]:
    """The layers with the fewest crossings that the sweeps find."""
    _number(layers)
    best, fewest = [list(layer) for layer in layers], _crossings(layers)
    for sweep in range(_ORDER_SWEEPS):
        if fewest == 0:
            break
        downwards = sweep % 2 == 0
        for layer in layers if downwards else reversed(layers):
            layer.sort(key=lambda box: _barycentre(box.above if downwards else box.below, box.place))
            _number([layer])
        crossings = _crossings(layers)
        if crossings < fewest:
            best, fewest = [list(layer) for layer in layers], crossings
    _number(best)
    return best


def _number(layers: list[list[_Box]]) -> None:
    for layer in layers:
        for place, box in enumerate(layer):
            box.place = place


def _barycentre(neighbours: list[_Box], place: int) -> float:
    return sum(box.place for box in neighbours) / len(neighbours) if neighbours else float(place)


def _crossings(layers: list[list[_Box]]) -> int:
    """Pairs of lines between two layers whose ends are in opposite orders."""
    count = 0
    for layer in layers:
        seen: list[int] = []
        for box in layer:
            for end in sorted(lower.place for lower in box.below):
                count += len(seen) - bisect_right(seen, end)
                insort(seen, end)
    return count


def _place(layers: list[list[_Box]], gap: float) -> None:
    for layer in layers:
        x = 0.0
        for box in layer:
            box.x, x = x + box.width / 2, x + box.width + gap
    for sweep in range(_PLACE_SWEEPS):
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            # The last sweeps look both ways, so that neither end of a line wins.
            sides = "both" if sweep >= _PLACE_SWEEPS - 4 else "above" if sweep % 2 == 0 else "below"
            _settle(layer, [_wish(box, sides) for box in layer], gap)


def _wish(box: _Box, sides: str) -> Point:
    """Where a box would be best, and how much it matters."""
    neighbours = [*(box.above if sides != "below" else ()), *(box.below if sides != "above" else ())]
    pulls = [(_PULL[box.is_bend + other.is_bend], other.x) for other in neighbours]
    total = sum(pull for pull, _ in pulls)
    return (sum(pull * x for pull, x in pulls) / total, total) if pulls else (box.x, 0.1)


def _settle(layer: list[_Box], wishes: list[Point], gap: float) -> None:
    """Least squares of the distances to the wishes, with all gaps kept: pool adjacent violators."""
    offsets: list[float] = []
    for index, box in enumerate(layer):
        before = layer[index - 1]
        offsets.append(offsets[-1] + (before.width + box.width) / 2 + gap if index else 0.0)
    # Blocks of boxes that touch: weighted sum of the wishes, weight, number of boxes.
    blocks: list[tuple[float, float, int]] = []
    for (x, weight), offset in zip(wishes, offsets, strict=True):
        block = ((x - offset) * weight, weight, 1)
        while blocks and blocks[-1][0] / blocks[-1][1] > block[0] / block[1]:
            total, other, count = blocks.pop()
            block = (block[0] + total, block[1] + other, block[2] + count)
        blocks.append(block)
    settled = [total / weight for total, weight, count in blocks for _ in range(count)]
    for box, offset, x in zip(layer, offsets, settled, strict=True):
        box.x = x + offset


def _straighten(bends: list[_Box], layers: list[list[_Box]], gap: float) -> None:
    """Least squares spreads a line's shift over all its bends. Where there is room it is one straight line instead."""
    least, most = float("-inf"), float("inf")
    for bend in bends:
        layer = layers[bend.layer]
        if bend.place > 0:
            left = layer[bend.place - 1]
            least = max(least, left.x + (left.width + bend.width) / 2 + gap)
        if bend.place + 1 < len(layer):
            right = layer[bend.place + 1]
            most = min(most, right.x - (right.width + bend.width) / 2 - gap)
    if bends and least <= most:
        x = min(max(sum(bend.x for bend in bends) / len(bends), least), most)
        for bend in bends:
            bend.x = x


def _shift(layers: list[list[_Box]]) -> None:
    """To where the leftmost box begins at 0."""
    left = min((box.x - box.width / 2 for layer in layers for box in layer), default=0.0)
    for layer in layers:
        for box in layer:
            box.x -= left


def _drawn(
    layers: list[list[_Box]], boxes: Mapping[str, _Box], chains: Mapping[tuple[str, str], list[_Box]], layer_gap: float
) -> Layout:
    result = Layout(width=max((box.x + box.width / 2 for layer in layers for box in layer), default=0.0))
    tops: list[float] = []
    heights = [max(box.height for box in layer) for layer in layers]
    for height in heights:
        tops.append(result.height)
        result.height += height + layer_gap
    result.height = max(result.height - layer_gap, 0.0)
    result.centres = {box.key: (box.x, tops[box.layer] + box.height / 2) for box in boxes.values()}
    for edge, chain in chains.items():
        points: list[Point] = []
        for box in chain:
            top, bottom = tops[box.layer], tops[box.layer] + heights[box.layer]
            if box is chain[0]:
                points.extend(((box.x, top + box.height), (box.x, bottom)))
            elif box is chain[-1]:
                points.append((box.x, top))
            else:
                points.extend(((box.x, top), (box.x, bottom)))
        result.lines[edge] = points
    return result
