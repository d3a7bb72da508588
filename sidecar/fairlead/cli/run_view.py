"""A run as text for people: its facts, and how each step fares, those that it needs above it. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from fairlead.audit import wording
from fairlead.audit.rendering import message_to_dict
from fairlead.audit.run_summary import failure
from fairlead.audit.wording import visible
from fairlead.budget.model import count, format_amount
from fairlead.cli.table import table
from fairlead.v1 import run_pb2
from fairlead.workflow.graph.model import graph_of
from fairlead.workflow.graph.states import look
from fairlead.workflow.model import state_name, step_state_name

# Items of a forEach that are shown by themselves: those that are not over, or did not go well.
ITEMS_SHOWN = 10
_BAR_CELLS = 20
_QUIET = (run_pb2.STEP_STATE_SUCCEEDED, run_pb2.STEP_STATE_BLOCKED, run_pb2.STEP_STATE_SKIPPED)


def facts(run: run_pb2.Run) -> Iterator[str]:
    """What there is to say about the run as a whole, one line each."""
    told = {
        "name": visible(run.name),
        "state": state_name(run.state),
        "failure": f"{_at_step(run.failure)}{failure(run.failure)}" if run.HasField("failure") else "",
        "workflow": f"{visible(run.workflow)}, version {visible(run.workflow_version[:12])}",
        "tenant": visible(run.tenant),
        "started by": f"agent {visible(run.agent)}" if run.agent else f"operator {visible(run.operator)}",
        "labels": ", ".join(f"{visible(name)}={visible(run.labels[name])}" for name in sorted(run.labels)),
        "priority": str(run.priority) if run.priority else "",
        "child of": f"{visible(run.parent)}, step {visible(run.parent_step)}" if run.parent else "",
        "repeats": _repeats(run) if run.rerun_of else "",
        "created": _time(run.create_time),
        "begins": _time(run.start_time) if run.HasField("start_time") else "",
        "ended": _ended(run) if run.HasField("end_time") else "",
        "steps": f"{run.steps_ended:,} of {run.steps_total:,} have ended",
        "spent": format_amount(run.spent),
    }
    for label, fact in told.items():
        if fact:
            yield f"{label:<10} {fact}"


def steps(run: run_pb2.Run, now_unix_nanos: int) -> list[str]:
    """How each step fares, one line each."""
    items: dict[str, list[run_pb2.Step]] = {}
    for step in run.steps:
        owner, bracket, _ = step.id.partition("[")
        if bracket:
            items.setdefault(owner, []).append(step)
    rows = []
    by_id = {step.id: step for step in run.steps}
    for node in graph_of(run).in_order():
        step, of_step = by_id[node.id], items.get(node.id, [])
        rows.append(_row(step, of_step, now_unix_nanos))
        loud = [item for item in of_step if item.state not in _QUIET]
        rows += [_row(item, [], now_unix_nanos, indent="  ") for item in loud[:ITEMS_SHOWN]]
        if len(loud) > ITEMS_SHOWN:
            rows.append((f"    … {count(len(loud) - ITEMS_SHOWN, 'more item')}", "", "", "", "", ""))
    return table(("  STEP", "KIND", "STATE", "ATTEMPTS", "SPENT", "WHAT"), rows, "<<<>><")


def as_json(run: run_pb2.Run) -> dict[str, Any]:
    """The run as plain values; inputs and outputs as the JSON that they are, and not in base64."""
    shown = message_to_dict(run)
    for message, fields in ((run, shown), *zip(run.steps, shown.get("steps", ()), strict=True)):
        for name in ("input", "output"):
            if name in fields:
                fields[name] = payload(getattr(message, name))
    return shown


def payload(content: bytes) -> Any:
    """A payload's value; its text when it is no JSON."""
    try:
        return json.loads(content)
    except ValueError:
        return content.decode("utf-8", "replace")


def _row(step: run_pb2.Step, items: Sequence[run_pb2.Step], now: int, indent: str = "") -> tuple[str, ...]:
    spent = [step.spent.nano_usd, *(item.spent.nano_usd for item in items)]
    kind = run_pb2.StepKind.Name(step.kind).removeprefix("STEP_KIND_").lower().replace("for_each", "forEach")
    attempts = step.attempts + sum(item.attempts for item in items)
    return (
        f"{indent}{_sign(step.state)} {visible(step.id)}",
        f"{kind} {visible(step.queue)}".rstrip(),
        step_state_name(step.state),
        str(attempts) if attempts else "-",
        f"${sum(spent) / 1e9:.4f}" if any(spent) else "-",
        ", ".join(part for part in _what(step, now) if part) or "-",
    )


def _sign(state: int) -> str:
    return look(step_state_name(state).replace(" ", "_")).sign


def _what(step: run_pb2.Step, now: int) -> Iterator[str]:
    """What is going on, or what came of it."""
    if step.items_total:
        yield _bar(step)
    if step.state == run_pb2.STEP_STATE_LEASED:
        yield f"by {visible(step.worker) or 'the sidecar'} {_since(step, now)}{_until(step, now, 'lease ends')}"
    elif step.state == run_pb2.STEP_STATE_WAITING_APPROVAL:
        yield f"{visible(step.approval)} {_since(step, now)}{_until(step, now, 'expires')}"
    elif step.state == run_pb2.STEP_STATE_WAITING:
        subject = f"signal {visible(step.signal)}" if step.signal else visible(step.child)
        yield f"{subject} {_since(step, now)}{_until(step, now, 'ends')}".strip()
    elif step.state == run_pb2.STEP_STATE_UNKNOWN:
        yield f"nobody knows whether it happened {visible(step.approval)}".rstrip()
    elif step.state == run_pb2.STEP_STATE_RETRY_WAIT:
        yield _until(step, now, "again").removeprefix(", ")
    elif step.state == run_pb2.STEP_STATE_READY:
        yield _until(step, now, "fails without a worker").removeprefix(", ")
    elif step.state == run_pb2.STEP_STATE_BLOCKED:
        yield f"needs {', '.join(map(visible, step.needs))}" if step.needs else ""
    elif step.HasField("start_time") and step.HasField("end_time"):
        took = wording.between(step.start_time.ToNanoseconds(), step.end_time.ToNanoseconds())
        yield f"took {took}" + (f" by {visible(step.worker)}" if step.worker else "")
    if step.child and step.state != run_pb2.STEP_STATE_WAITING:
        yield visible(step.child)
    if step.replayed:
        yield "result of another run"
    if step.HasField("failure") and step.state != run_pb2.STEP_STATE_SUCCEEDED:
        yield failure(step.failure)


def _bar(step: run_pb2.Step) -> str:
    """How far a forEach is: `[████████░░░░] 6 of 10, 1 failed`."""
    over = step.items_succeeded + step.items_failed
    filled = _BAR_CELLS * over // step.items_total
    failed = f", {step.items_failed:,} failed" if step.items_failed else ""
    return f"[{'█' * filled}{'░' * (_BAR_CELLS - filled)}] {over:,} of {step.items_total:,}{failed}"


def _since(step: run_pb2.Step, now: int) -> str:
    return f"for {wording.between(step.start_time.ToNanoseconds(), now)}" if step.HasField("start_time") else ""


def _until(step: run_pb2.Step, now: int, what: str) -> str:
    if not step.HasField("due_time"):
        return ""
    due = step.due_time.ToNanoseconds()
    return f", {what} in {wording.between(now, due)}" if due > now else f", {what} now"


def _repeats(run: run_pb2.Run) -> str:
    first = f" from step {visible(run.rerun_from)} on" if run.rerun_from else ""
    return f"{visible(run.rerun_of)}{first}, {format_amount(run.cost_avoided)} not paid again"


def _ended(run: run_pb2.Run) -> str:
    took = wording.between(run.create_time.ToNanoseconds(), run.end_time.ToNanoseconds())
    return f"{_time(run.end_time)}, after {took}"


def _at_step(why: run_pb2.Failure) -> str:
    return f"step {visible(why.step)}, " if why.step else ""


def _time(time: Timestamp) -> str:
    return f"{time.ToDatetime(tzinfo=UTC):%Y-%m-%d %H:%M:%S} UTC"
