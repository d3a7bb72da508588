"""Boxes do not overlap, lines go down and pass no box, and the same graph is drawn the same way."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.workflow.graph.layout import Layout, Point, layout

Sizes = dict[str, Point]
Edges = list[tuple[str, str]]


@st.composite
def graphs(draw: st.DrawFn) -> tuple[Sizes, Edges]:
    names = [f"n{number}" for number in range(draw(st.integers(1, 14)))]
    sizes = {name: (float(draw(st.integers(20, 300))), float(draw(st.integers(20, 150)))) for name in names}
    pairs = list(itertools.combinations(names, 2))
    edges = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=30)) if pairs else []
    return sizes, edges


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_boxes_keep_apart_and_lines_keep_to_themselves(graph: tuple[Sizes, Edges]) -> None:
    sizes, edges = graph
    drawn = layout(sizes, edges, gap=30.0, layer_gap=50.0)
    assert drawn == layout(sizes, edges, gap=30.0, layer_gap=50.0)
    boxes = {
        name: (x - sizes[name][0] / 2, y - sizes[name][1] / 2, x + sizes[name][0] / 2, y + sizes[name][1] / 2)
        for name, (x, y) in drawn.centres.items()
    }
    assert boxes.keys() == sizes.keys() and drawn.lines.keys() == set(edges)
    for left, top, right, bottom in boxes.values():
        assert left > -0.01 and top > -0.01 and right < drawn.width + 0.01 and bottom < drawn.height + 0.01
    for one, other in itertools.combinations(boxes.values(), 2):
        apart = max(one[0] - other[2], other[0] - one[2], one[1] - other[3], other[1] - one[3])
        assert apart > 29.9
    for (before, after), points in drawn.lines.items():
        assert points[0] == (drawn.centres[before][0], boxes[before][3])
        assert points[-1] == (drawn.centres[after][0], boxes[after][1])
        assert all(lower[1] >= upper[1] for upper, lower in itertools.pairwise(points))
        # Where it passes a layer it is a straight line between that layer's boxes.
        for (x, top), (same, bottom) in itertools.pairwise(points[2:-1]):
            if x == same:
                assert all(x < box[0] or x > box[2] or bottom < box[1] or top > box[3] for box in boxes.values()), (
                    before,
                    after,
                )


def crossings(drawn: Layout) -> int:
    def ends(points: list[Point]) -> tuple[float, float]:
        return points[0][0], points[-1][0]

    lines = [ends(points) for points in drawn.lines.values()]
    return sum((one[0] - other[0]) * (one[1] - other[1]) < 0 for one, other in itertools.combinations(lines, 2))


def test_lines_that_need_not_cross_do_not_cross() -> None:
    sizes = {name: (100.0, 40.0) for name in ("a", "b", "c", "z", "y", "x")}
    drawn = layout(sizes, [("a", "x"), ("b", "y"), ("c", "z")])
    assert crossings(drawn) == 0


def test_a_step_stands_in_the_middle_of_those_that_it_needs() -> None:
    sizes = {name: (100.0, 40.0) for name in ("top", "left", "right", "bottom")}
    drawn = layout(sizes, [("top", "left"), ("top", "right"), ("left", "bottom"), ("right", "bottom")])
    middle = (drawn.centres["left"][0] + drawn.centres["right"][0]) / 2
    assert abs(drawn.centres["top"][0] - middle) < 0.5
    assert abs(drawn.centres["bottom"][0] - middle) < 0.5
    assert drawn.centres["left"][1] == drawn.centres["right"][1]


def test_a_line_over_many_layers_is_straight() -> None:
    names = [f"n{number}" for number in range(8)]
    sizes = {name: (120.0, 40.0) for name in names}
    drawn = layout(sizes, [*itertools.pairwise(names), ("n0", "n7")])
    assert len({round(x, 3) for x, _ in drawn.lines["n0", "n7"][2:-1]}) == 1


def test_a_thousand_steps_are_drawn() -> None:
    sizes = {f"n{number}": (200.0, 60.0) for number in range(1000)}
    edges = [(f"n{number}", f"n{number + offset}") for number in range(990) for offset in (3, 7)]
    drawn = layout(sizes, edges)
    assert len(drawn.centres) == 1000


def test_nothing_is_drawn_as_nothing() -> None:
    assert layout({}, []) == Layout()
