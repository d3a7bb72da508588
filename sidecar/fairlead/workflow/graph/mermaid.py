"""The Mermaid flowchart: kinds are shapes, conditions stand on edges, a forEach is a subgraph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fairlead.workflow.graph.model import Drawable, Node, graph_of, printable
from fairlead.workflow.graph.states import LOOKS, States, StepView, view

# Kind → what opens and closes the shape.
_SHAPES: Mapping[str, tuple[str, str]] = {
    "agent": ("[", "]"),
    "model": ("{{", "}}"),
    "approval": ("[/", "\\]"),
    "wait": ("([", "])"),
    "workflow": ("[[", "]]"),
    "forEach": ("[", "]"),
}
_TEXT_MAX_CHARACTERS = 120


def mermaid(definition: Drawable, states: States | None = None) -> str:
    """The flowchart of a workflow; with `states` of one of its runs as colours."""
    graph = graph_of(definition)
    nodes = {node.id: node for node in graph.nodes}
    edges = graph.edges()
    sources = {node.id: [before for before, after in edges if after == node.id] for node in graph.nodes}
    lines = ["---", f"title: {_quoted(graph.name)}", "---", "flowchart TB"]
    for node in graph.nodes:
        # A condition that stands on one edge need not stand on the step as well.
        lines.extend(f"  {line}" for line in _node(node, view(states, node.id), on_edge=len(sources[node.id]) == 1))
    for before, after in edges:
        when = nodes[after].when
        condition = f'-. "{_escaped(when)}" .->' if when and len(sources[after]) == 1 else "-.->" if when else "-->"
        lines.append(f"  {_end(nodes[before])} {condition} {_end(nodes[after])}")
    if states is not None:
        lines.extend(f"  {line}" for line in _classes({node.id: view(states, node.id) for node in graph.nodes}))
    return "\n".join(lines) + "\n"


def _node(node: Node, fares: StepView | None, *, on_edge: bool) -> Iterator[str]:
    opening, closing = _SHAPES[node.kind]
    parts = [f"<b>{_escaped(node.id)}</b>", *([_escaped(node.subject)] if node.subject else ())]
    if node.effect in ("write", "side effect"):
        parts.append(node.effect)
    if node.when and not on_edge:
        parts.append(f"<i>when {_escaped(node.when)}</i>")
    if fares is not None:
        parts.append(
            f"{LOOKS[fares.state].sign if fares.state in LOOKS else ''} {fares.state.replace('_', ' ')}".strip()
        )
        if fares.remark:
            parts.append(_escaped(fares.remark))
    drawn = f'{_name(node.id)}{opening}"{"<br/>".join(parts)}"{closing}'
    if not node.items:
        yield drawn
        return
    yield f'subgraph {_end(node)} ["for each {_escaped(node.items)} · {_escaped(node.spread)}"]'
    yield f"  {drawn}"
    yield "end"


def _classes(views: Mapping[str, StepView | None]) -> Iterator[str]:
    by_state: dict[str, list[str]] = {}
    for step, fares in views.items():
        if fares is not None:
            by_state.setdefault(fares.state if fares.state in LOOKS else "blocked", []).append(step)
    for state, steps in sorted(by_state.items()):
        yield f"classDef {state} stroke:{LOOKS[state].light},stroke-width:2px"
        yield f"class {','.join(_name(step) for step in steps)} {state}"


def _name(step: str) -> str:
    """Ids of our own: `end` and others are words of Mermaid, and `--` is a line. Ids of steps have no capitals."""
    return "s_" + "".join(
        character if character.isascii() and (character.isalnum() or character == "_") else f"X{ord(character):X}"
        for character in step
    )


def _end(node: Node) -> str:
    """What an edge begins or ends at: of a forEach the whole subgraph."""
    return f"{_name(node.id)}_items" if node.items else _name(node.id)


def _quoted(text: str) -> str:
    return '"' + printable(text).replace("\\", "").replace('"', "'") + '"'


def _escaped(text: str) -> str:
    """What Mermaid shows as this text, whatever it says."""
    line = printable(text)
    line = line if len(line) <= _TEXT_MAX_CHARACTERS else line[: _TEXT_MAX_CHARACTERS - 1] + "…"
    return "".join(f"#{ord(character)};" if character in '"#&<>`\\*_~|[]{}()' else character for character in line)
