"""The view for terminals: one line for each step, those that it needs above it."""

from __future__ import annotations

from collections.abc import Sequence

from fairlead.budget.model import format_usd
from fairlead.workflow.graph.model import Drawable, Node, graph_of, plural, printable
from fairlead.workflow.graph.states import States, StepView, look, view


def text(definition: Drawable, states: States | None = None) -> str:
    """The steps of a workflow and what they need; with `states` how those of a run fare: state, attempts, cost and what
    they wait for."""
    graph = graph_of(definition)
    rows = []
    for node in graph.in_order():
        fares = view(states, node.id)
        rows.append(_defined(node) if fares is None else _fares(node, fares))
    head = " · ".join(part for part in (graph.name, graph.summary) if part)
    return "\n".join((printable(head), *_aligned(rows))) + "\n"


def _defined(node: Node) -> tuple[str, ...]:
    needs = f"← {', '.join(node.needs)}" if node.needs else ""
    items = f"for each {node.items} ({node.spread})" if node.items else ""
    when = f"when {node.when}" if node.when else ""
    effect = node.effect if node.effect in ("write", "side effect") else ""
    said = " · ".join(part for part in (effect, items, when) if part)
    return (node.id, node.kind, node.subject, needs, said)


def _fares(node: Node, fares: StepView) -> tuple[str, ...]:
    return (
        f"{look(fares.state).sign} {node.id}",
        " ".join(part for part in (node.kind, node.subject) if part),
        fares.state.replace("_", " "),
        plural(fares.attempts, "attempt") if fares.attempts else "",
        format_usd(fares.cost_nano_usd) if fares.cost_nano_usd else "",
        fares.note or fares.wait,
    )


def _aligned(steps: Sequence[tuple[str, ...]]) -> list[str]:
    rows = [tuple(map(printable, cells)) for cells in steps]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True) if width).rstrip()
        for row in rows
    ]
