"""Puts the records of one run into sentences for people, from the log alone. Pure.

An attempt is told in one sentence, where it ended. Of a forEach with many items the ones that went well are counted,
and those with trouble are told.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from fairlead.audit import approval_narrative, sentences, wording
from fairlead.audit.run_summary import failure
from fairlead.audit.wording import visible
from fairlead.budget.model import count, format_amount
from fairlead.v1 import audit_record_pb2 as pb
from fairlead.v1 import run_pb2

# Items of a forEach that are told one by one when all went well, and sentences about those with trouble.
ITEMS_TOLD = 5
TROUBLE_TOLD = 20
# Code of a failure that somebody wanted, as the core has it.
_CANCELLED = "CANCELLED"
_ITEM = re.compile(r"(?P<step>.+)\[\d+\]")
_OUTCOMES = {
    pb.EVENT_KIND_STEP_SUCCEEDED,
    pb.EVENT_KIND_STEP_RETRIED,
    pb.EVENT_KIND_STEP_FAILED,
    pb.EVENT_KIND_STEP_UNKNOWN,
    pb.EVENT_KIND_STEP_COMPENSATED,
}
_TROUBLE = {
    pb.EVENT_KIND_STEP_RETRIED,
    pb.EVENT_KIND_STEP_FAILED,
    pb.EVENT_KIND_STEP_UNKNOWN,
    pb.EVENT_KIND_STEP_RESOLVED,
}
_ENDED = (
    run_pb2.RUN_STATE_SUCCEEDED,
    run_pb2.RUN_STATE_FAILED,
    run_pb2.RUN_STATE_CANCELLED,
    run_pb2.RUN_STATE_COMPENSATED,
)


def narrate_run(records: Iterable[pb.AuditRecord], state: run_pb2.RunState) -> list[str]:
    """The story of a run whose records, and those of its approvals and calls, are given in sequence order."""
    teller = _Teller()
    story = [sentence for record in records for sentence in teller.tell(record)]
    story += teller.rest()
    if state not in _ENDED:
        story.append(f"The run {wording.run_state(state)}.")
    return story


@dataclass
class _Items:
    """What the items of one forEach did that is not told one by one."""

    names: set[str] = field(default_factory=set)
    workers: set[str] = field(default_factory=set)
    quiet: int = 0
    trouble: int = 0
    silent_trouble: int = 0
    first_unix_nanos: int = 0
    last_unix_nanos: int = 0


class _Teller:
    def __init__(self) -> None:
        # The record of the lease of the attempt that a step is in.
        self._leases: dict[str, pb.AuditRecord] = {}
        self._items: dict[str, _Items] = {}

    def tell(self, record: pb.AuditRecord) -> Iterator[str]:
        """The sentences about one record."""
        body = record.WhichOneof("body")
        at = wording.utc(record.time_unix_nanos)
        if body == "run":
            yield from _run(at, record)
        elif body == "step":
            yield from self._step(at, record)
        elif body == "approval":
            yield _approval(record)
        elif body in ("decision", "settlement", "hold_ended"):
            yield f"{at}: model call {visible(record.invocation)}{_of_step(record)}: {_model_call(record)}."
        elif body in ("tool", "tool_completed"):
            yield f"{at}: tool call {visible(record.invocation)}{_of_step(record)}: {_tool_call(record)}."

    def rest(self) -> Iterator[str]:
        """What has no end in the records."""
        for step in list(self._items):
            yield from self._items_of(step)
        for record in self._leases.values():
            yield f"{_attempt(record, record.step)} began at {wording.utc(record.time_unix_nanos)} and has not ended."

    def _step(self, at: str, record: pb.AuditRecord) -> Iterator[str]:
        event = record.step
        item = _ITEM.fullmatch(event.step)
        if item is None:
            yield from self._items_of(event.step) if record.kind in _OUTCOMES else ()
        elif self._is_counted(item["step"], record):
            self._leases.pop(event.step, None)
            return
        if record.kind == pb.EVENT_KIND_STEP_LEASED:
            self._leases[event.step] = record
        elif record.kind in _OUTCOMES:
            yield _outcome(at, record, self._leases.pop(event.step, None))
        else:
            yield _event(at, record)

    def _is_counted(self, step: str, record: pb.AuditRecord) -> bool:
        """True when an item's record goes into the sums instead of being told."""
        items = self._items.setdefault(step, _Items(first_unix_nanos=record.time_unix_nanos))
        items.last_unix_nanos = record.time_unix_nanos
        items.names.add(record.step.step)
        if record.step.worker:
            items.workers.add(record.step.worker)
        if record.kind in _TROUBLE:
            items.trouble += 1
            items.silent_trouble += items.trouble > TROUBLE_TOLD
            return items.trouble > TROUBLE_TOLD
        if len(items.names) <= ITEMS_TOLD or record.kind == pb.EVENT_KIND_STEP_LEASED:
            # A lease is told with its outcome; whether that one is told is seen then.
            return False
        items.quiet += record.kind == pb.EVENT_KIND_STEP_SUCCEEDED
        return True

    def _items_of(self, step: str) -> Iterator[str]:
        items = self._items.pop(step, None)
        if items is None or not (items.quiet or items.silent_trouble):
            return
        took = wording.between(items.first_unix_nanos, items.last_unix_nanos)
        by = f" by {count(len(items.workers), 'worker')}" if items.workers else ""
        said = f"Items of step {visible(step)}: {items.quiet:,} more succeeded without trouble{by}"
        if items.silent_trouble:
            said += (
                f", and {count(items.silent_trouble, 'more record')} of trouble (fairlead audit tail --run has them)"
            )
        yield f"{said}; all {len(items.names):,} took {took}."


def _run(at: str, record: pb.AuditRecord) -> Iterator[str]:
    event = record.run
    why = f": {visible(event.reason)}" if event.reason else ""
    if record.kind == pb.EVENT_KIND_RUN_STARTED:
        yield from _started(at, record)
    elif record.kind == pb.EVENT_KIND_RUN_PAUSED:
        yield f"{at}: {sentences.caller(record)} paused the run{why}."
    elif record.kind == pb.EVENT_KIND_RUN_RESUMED:
        yield f"{at}: {sentences.caller(record)} resumed the run."
    elif record.kind == pb.EVENT_KIND_RUN_CANCELLING:
        if event.failure.code == _CANCELLED:
            yield f"{at}: {sentences.caller(record)} cancelled the run{why}."
            return
        cause = f", because of {_where(event.failure)}{failure(event.failure)}" if event.HasField("failure") else ""
        yield f"{at}: the run began to wind down{why}{cause}."
    elif record.kind == pb.EVENT_KIND_RUN_SIGNALLED:
        content = _content("payload", event.content_bytes, event.content_digest)
        yield f"{at}: {sentences.caller(record)} sent signal {visible(event.signal)}, {content}."
    elif record.kind == pb.EVENT_KIND_RUN_REPAIRED:
        yield f"{at}: the run was not as it has to be and was repaired{why}."
    elif record.kind == pb.EVENT_KIND_RUN_ENDED:
        cause = f": {_where(event.failure)}{failure(event.failure)}" if event.HasField("failure") else ""
        result = f", {_content('output', event.content_bytes, event.content_digest)}" if event.content_bytes else ""
        spent = format_amount(event.spent)
        yield f"{at}: the run {wording.run_state(event.state)}{cause}{result}; spent in it: {spent}."


def _started(at: str, record: pb.AuditRecord) -> Iterator[str]:
    event = record.run
    content = _content("input", event.content_bytes, event.content_digest)
    yield f"{at}: {sentences.caller(record)} started a run of workflow {visible(event.workflow)}, {content}."
    yield (
        f"It keeps to version {wording.version(event.workflow_version)} of the workflow; configuration in force "
        f"{wording.version(record.config_version)}."
    )
    if event.parent:
        yield f"It is the child of runs/{visible(event.parent)}, step {visible(event.parent_step)}."
    if event.rerun_of:
        first = f" from step {visible(event.rerun_from)} on" if event.rerun_from else ""
        avoided = f"; results worth {format_amount(event.cost_avoided)} were not paid again"
        yield f"It repeats runs/{visible(event.rerun_of)}{first}{avoided}."


def _outcome(at: str, record: pb.AuditRecord, lease: pb.AuditRecord | None) -> str:
    """How an attempt ended, or a step that has none, such as an approval."""
    event = record.step
    if lease is None:
        return f"{at}: step {visible(event.step)} {_ended(record)}."
    took = wording.between(lease.time_unix_nanos, record.time_unix_nanos)
    began = wording.utc(lease.time_unix_nanos)
    return f"{at}: {_attempt(lease, event)}, leased at {began}, after {took}: it {_ended(record)}."


def _attempt(lease: pb.AuditRecord, event: pb.StepEvent) -> str:
    who = lease.step
    agent = f" of agent {visible(who.worker_agent)}" if who.worker_agent else ""
    worker = f"worker {visible(who.worker)}{agent}" if who.worker or agent else "the sidecar"
    number = f"attempt {who.attempt}" if who.attempt else "attempt"
    step = visible(event.step)
    what = f"{number} to take back step {step}" if who.compensation else f"{number} at step {step}"
    key = f", key {visible(who.idempotency_key)}" if who.idempotency_key else ""
    return f"{what} by {worker} (epoch {who.epoch}{key})"


def _ended(record: pb.AuditRecord) -> str:
    event = record.step
    spent = f", settled {format_amount(event.spent)}" if event.spent.ByteSize() else ""
    if record.kind == pb.EVENT_KIND_STEP_SUCCEEDED:
        return f"succeeded, {_content('result', event.content_bytes, event.content_digest)}{spent}"
    if record.kind == pb.EVENT_KIND_STEP_COMPENSATED:
        return f"took the result back{spent}"
    why = failure(event.failure)
    if record.kind == pb.EVENT_KIND_STEP_RETRIED:
        again = f"; again at {wording.utc(event.due_at_unix_nanos)}" if event.due_at_unix_nanos else ""
        return f"went wrong with {why}{again}{spent}"
    if record.kind == pb.EVENT_KIND_STEP_UNKNOWN:
        return f"was interrupted, and nobody knows whether it happened ({why}){spent}"
    return f"failed for good with {why}{spent}"


def _event(at: str, record: pb.AuditRecord) -> str:
    """What happened to a step besides its attempts."""
    event = record.step
    step = f"{at}: step {visible(event.step)}"
    if record.kind == pb.EVENT_KIND_STEP_SKIPPED:
        return f"{step} was skipped: {failure(event.failure)}."
    if record.kind == pb.EVENT_KIND_STEP_RESOLVED:
        return f"{step}: people said what became of it: {visible(event.resolution)}."
    if record.kind == pb.EVENT_KIND_STEP_REPLAYED:
        key = f" under key {visible(event.idempotency_key)}" if event.idempotency_key else ""
        return f"{step} was not done again: it got the result that runs/{visible(event.replayed_from)} has{key}."
    if record.kind == pb.EVENT_KIND_STEP_WAITING:
        until = f", until {wording.utc(event.due_at_unix_nanos)}" if event.due_at_unix_nanos else ""
        return f"{step} waits for {visible(event.waits_for) or 'a time'}{until}."
    return f"{step}: something that this version does not know."


def _approval(record: pb.AuditRecord) -> str:
    return f"{approval_narrative.event(record)} Configuration in force: {wording.version(record.config_version)}."


def _model_call(record: pb.AuditRecord) -> str:
    if record.HasField("hold_ended"):
        return f"its hold ended, charged {format_amount(record.hold_ended.charged)}"
    if record.HasField("settlement"):
        model = visible(record.settlement.model) or "no model"
        return f"{model} answered, charged {format_amount(record.settlement.charged)}"
    decided = record.decision
    if decided.rejection:
        return f"refused, {visible(decided.rejection)}"
    route = f"route {visible(decided.decision.route)}" if decided.decision.route else "no route"
    return f"admitted, {route} (fairlead explain {visible(record.invocation)} has all of it)"


def _tool_call(record: pb.AuditRecord) -> str:
    if record.HasField("tool_completed"):
        ended = record.tool_completed
        return f"{visible(ended.tool)}: {wording.tool_outcome(ended.outcome)}"
    decided = record.tool
    rule = f", rule {visible(decided.decision.deciding_rule)}" if decided.decision.deciding_rule else ""
    answer = {
        pb.EVENT_KIND_TOOL_PENDING: f"waits for {visible(decided.approval)}",
        pb.EVENT_KIND_TOOL_REPLAYED: "the recorded result was given again",
        pb.EVENT_KIND_TOOL_AUTHORIZED: "granted",
    }.get(record.kind, f"refused, {visible(decided.rejection)}")
    return f"{visible(decided.inputs.tool)}: {answer}{rule}"


def _of_step(record: pb.AuditRecord) -> str:
    inputs = record.decision.inputs if record.HasField("decision") else record.tool.inputs
    step = f" for step {visible(inputs.step)}" if inputs.step else ""
    return step + (f" by agent {visible(record.agent)}" if record.agent and step else "")


def _where(why: run_pb2.Failure) -> str:
    return f"step {visible(why.step)}, " if why.step else ""


def _content(what: str, size: int, digest: bytes) -> str:
    """A payload that the log has the digest of: `input of 20 bytes (digest 3fa2…)`."""
    shown = f" (digest {wording.digest(digest)})" if digest else ""
    return f"{what} of {count(size, 'byte')}{shown}"
