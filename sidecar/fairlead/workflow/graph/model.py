"""What is drawn: the steps of a workflow and what they wait for, taken from a definition or from a run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TypeAlias

from fairlead.audit.wording import between
from fairlead.internal.v1 import workflow_pb2
from fairlead.v1 import run_pb2

Drawable: TypeAlias = "workflow_pb2.WorkflowDefinition | run_pb2.Run | Graph"

KINDS = ("agent", "model", "approval", "wait", "workflow", "forEach")
_RUN_KINDS = {
    run_pb2.STEP_KIND_AGENT: "agent",
    run_pb2.STEP_KIND_MODEL: "model",
    run_pb2.STEP_KIND_APPROVAL: "approval",
    run_pb2.STEP_KIND_WAIT: "wait",
    run_pb2.STEP_KIND_FOR_EACH: "forEach",
    run_pb2.STEP_KIND_WORKFLOW: "workflow",
}
_EFFECTS = {
    run_pb2.STEP_EFFECT_PURE: "pure",
    run_pb2.STEP_EFFECT_READ: "read",
    run_pb2.STEP_EFFECT_WRITE: "write",
    run_pb2.STEP_EFFECT_SIDE_EFFECT: "side effect",
}


@dataclass(frozen=True, slots=True)
class Node:
    """A step. `subject` says what it is about: a queue, a model, a tier, a time. Texts that there are not are empty."""

    id: str
    kind: str
    subject: str = ""
    needs: tuple[str, ...] = ()
    when: str = ""
    # The list of a forEach, and how it is done; `kind` is that of the items then.
    items: str = ""
    spread: str = ""
    effect: str = ""
    key: str = ""
    compensate: str = ""


@dataclass(frozen=True, slots=True)
class Graph:
    """Steps in the order of the definition."""

    name: str
    nodes: tuple[Node, ...]
    # What there is to say about the whole.
    summary: str = ""

    def in_order(self) -> list[Node]:
        """Every step behind those that it needs; else in the order of the definition."""
        left = {node.id: node for node in self.nodes}
        found: list[Node] = []
        while left:
            free = (node for node in left.values() if not any(need in left for need in node.needs if need != node.id))
            # A definition that was checked has no cycle; of one that has, the first step breaks it.
            found.append(left.pop(next(free, next(iter(left.values()))).id))
        return found

    def edges(self) -> list[tuple[str, str]]:
        """(before, after), without those that follow from others: a → c says nothing new beside a → b → c."""
        order = [node.id for node in self.in_order()]
        place = {step: index for index, step in enumerate(order)}
        needs = {
            node.id: [need for need in node.needs if need in place and place[need] < place[node.id]]
            for node in self.nodes
        }
        # All steps before each one.
        before: dict[str, frozenset[str]] = {}
        for step in order:
            before[step] = frozenset(needs[step]).union(*(before[need] for need in needs[step]))
        return [
            (need, node.id)
            for node in self.nodes
            for need in needs[node.id]
            if not any(need in before[other] for other in needs[node.id])
        ]


def graph_of(source: Drawable) -> Graph:
    """The graph of a definition or of a run, whose steps say less."""
    if isinstance(source, Graph):
        return source
    if isinstance(source, workflow_pb2.WorkflowDefinition):
        return Graph(source.name, tuple(_defined(step) for step in source.steps), _summary(source))
    # Items of a forEach are parts of theirs.
    steps = [step for step in source.steps if "[" not in step.id]
    return Graph(source.workflow, tuple(_running(step) for step in steps), source.name)


def printable(text: str) -> str:
    """A text in one line without what a terminal or XML would take for more than text."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())


def plural(count: int, noun: str) -> str:
    """`1 step`, `2 steps`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _summary(definition: workflow_pb2.WorkflowDefinition) -> str:
    budget, parts = definition.budget, [plural(len(definition.steps), "step")]
    limits = [
        *([f"${budget.nano_usd / 1e9:,.2f}"] if budget.nano_usd else ()),
        *([plural(budget.tokens, "token")] if budget.tokens else ()),
        *([plural(budget.requests, "call")] if budget.requests else ()),
    ]
    if limits:
        parts.append(f"at most {' and '.join(limits)}")
    if definition.timeout_millis:
        parts.append(f"ends within {_duration(definition.timeout_millis)}")
    if definition.version:
        parts.append(f"version {definition.version[:12]}")
    return " · ".join(parts)


def _defined(step: workflow_pb2.StepDefinition) -> Node:
    task = step.task
    kind = task.WhichOneof("kind") or "agent"
    items, spread = "", ""
    if step.HasField("for_each"):
        items = _expression(step.for_each.items)
        spread = f"{step.for_each.max_parallel or 16} at once"
        if step.for_each.quorum:
            spread += f" · {step.for_each.quorum} have to succeed"
    return Node(
        step.id,
        kind,
        _subject(task, kind),
        tuple(step.needs),
        step.when,
        items,
        spread,
        _EFFECTS.get(task.effect, "") if kind in ("agent", "model") else "",
        _text(task.idempotency_key),
        step.compensate,
    )


def _subject(task: workflow_pb2.StepTask, kind: str) -> str:
    match kind:
        case "agent":
            return f"queue {task.agent.queue}"
        case "model":
            return f"{task.model.model} → {'json' if task.model.json_output else 'text'}"
        case "approval":
            return f"tier {task.approval.tier}"
        case "workflow":
            return f"run of {task.workflow.workflow}"
    wait = task.wait
    if wait.signal:
        longest = f", at most {_duration(wait.timeout_millis)}" if wait.timeout_millis else ""
        return f"for signal {wait.signal}{longest}"
    return f"for {_duration(wait.for_millis)}" if wait.for_millis else f"until {_expression(wait.until)}"


def _duration(millis: int) -> str:
    return between(0, millis * 1_000_000)


def _running(step: run_pb2.Step) -> Node:
    kind = _RUN_KINDS.get(step.kind, "agent")
    subject = f"queue {step.queue}" if step.queue else f"signal {step.signal}" if step.signal else ""
    return Node(
        step.id,
        kind,
        subject,
        tuple(step.needs),
        effect=_EFFECTS.get(step.effect, "") if step.queue else "",
        key=step.idempotency_key,
    )


def _expression(template: str) -> str:
    """What a template that is one `${…}` says; other templates as they are."""
    text = _text(template)
    return text[2:-1].strip() if text.startswith("${") and text.endswith("}") and text.count("${") == 1 else text


def _text(template: str) -> str:
    """The text of a template, which is JSON."""
    if not template:
        return ""
    try:
        value = json.loads(template)
    except ValueError:
        return template
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
