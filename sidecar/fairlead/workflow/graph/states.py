"""How a step fares, as pictures show it: the words of `StepState`, with a sign and colours for each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

from fairlead.audit.wording import between
from fairlead.budget.model import format_usd
from fairlead.v1 import run_pb2
from fairlead.workflow.graph.model import plural


class StepView(NamedTuple):
    """A step of a run. `state` is a word such as `succeeded`; a `note` replaces what the other fields say."""

    state: str
    note: str = ""
    attempts: int = 0
    cost_nano_usd: int = 0
    # What it waits for, or why it failed.
    wait: str = ""

    @property
    def remark(self) -> str:
        """The note, or what the fields say, in one line."""
        return self.note or " · ".join(
            part
            for part in (
                plural(self.attempts, "attempt") if self.attempts > 1 else "",
                format_usd(self.cost_nano_usd) if self.cost_nano_usd else "",
                self.wait,
            )
            if part
        )


# Step → how it fares; (state, note) is enough.
States: TypeAlias = "Mapping[str, StepView] | Mapping[str, tuple[str, str]]"


class Look(NamedTuple):
    """How a state looks: a sign, and a colour on light and on dark ground."""

    sign: str
    light: str
    dark: str


LOOKS: Mapping[str, Look] = {
    "blocked": Look("·", "#8c959f", "#6e7681"),
    "ready": Look("○", "#57606a", "#9198a1"),
    "leased": Look("▶", "#0969da", "#4493f8"),
    "waiting_approval": Look("?", "#9a6700", "#d29922"),
    "waiting": Look("…", "#9a6700", "#d29922"),
    "retry_wait": Look("↻", "#bc4c00", "#f0883e"),
    "unknown": Look("!", "#8250df", "#bc8cff"),
    "succeeded": Look("✓", "#1a7f37", "#3fb950"),
    "failed": Look("✗", "#cf222e", "#f85149"),
    "skipped": Look("-", "#8c959f", "#6e7681"),
    "cancelled": Look("⊘", "#57606a", "#9198a1"),
    "compensated": Look("↩", "#1b7c83", "#39c5cf"),
}
_PREFIX = "STEP_STATE_"


def look(state: str) -> Look:
    """How a state looks, known or not."""
    return LOOKS.get(state, LOOKS["blocked"])


def view(states: States | None, step: str) -> StepView | None:
    """How a step fares; None for a picture without states, blocked for a step that is not mentioned."""
    if states is None:
        return None
    found = states.get(step)
    return StepView("blocked") if found is None else StepView(*found)


def views_of(run: run_pb2.Run, now_unix_nanos: int) -> dict[str, StepView]:
    """How the steps of a run fare at a time. Attempts and cost of the items of a forEach are counted at theirs."""
    items: dict[str, list[run_pb2.Step]] = {}
    for step in run.steps:
        owner, bracket, _ = step.id.partition("[")
        if bracket:
            items.setdefault(owner, []).append(step)
    return {step.id: _view(step, items.get(step.id, []), now_unix_nanos) for step in run.steps if "[" not in step.id}


def _view(step: run_pb2.Step, items: list[run_pb2.Step], now_unix_nanos: int) -> StepView:
    state = run_pb2.StepState.Name(step.state).removeprefix(_PREFIX).lower()
    attempts = step.attempts + sum(item.attempts for item in items)
    cost = step.spent.nano_usd or sum(item.spent.nano_usd for item in items)
    waits: list[str] = []
    if step.items_total:
        waits.append(f"{step.items_succeeded:,} of {plural(step.items_total, 'item')}")
    if state == "waiting" and step.signal:
        waits.append(f"signal {step.signal}")
    if state == "waiting" and step.child:
        waits.append(step.child)
    if state == "waiting_approval" and step.approval:
        waits.append(step.approval)
    if state == "leased" and step.worker:
        waits.append(f"worker {step.worker}")
    if step.HasField("due_time") and state in ("waiting", "waiting_approval", "retry_wait", "ready", "leased"):
        due = step.due_time.ToNanoseconds()
        waits.append(f"{between(now_unix_nanos, due)} left" if due > now_unix_nanos else "due")
    if step.failure.code and state not in ("succeeded", "skipped"):
        waits.append(step.failure.code)
    if step.replayed:
        waits.append("replayed")
    return StepView(state, "", attempts, cost, " · ".join(waits))
