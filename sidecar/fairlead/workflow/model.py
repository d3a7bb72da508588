"""Names and states of runs, and how stored records become what the API shows. Pure: no I/O, no clock.

The native core owns the life of a run; what is computed here is only how it is read. INVARIANT (R1): a run whose
retention has passed is gone for everybody who looks, also before the sweep has deleted it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from google.protobuf.timestamp_pb2 import Timestamp

from fairlead.internal.v1 import workflow_pb2
from fairlead.store import keys
from fairlead.v1 import run_pb2 as pb

COLLECTION = "runs/"
WORKFLOWS = "workflows/"
APPROVALS = "approvals/"
_RUN = "run_"
# States that may still change.
OPEN = (
    pb.RUN_STATE_PENDING,
    pb.RUN_STATE_RUNNING,
    pb.RUN_STATE_WAITING,
    pb.RUN_STATE_PAUSED,
    pb.RUN_STATE_CANCELLING,
)
ENDED = (pb.RUN_STATE_SUCCEEDED, pb.RUN_STATE_FAILED, pb.RUN_STATE_CANCELLED, pb.RUN_STATE_COMPENSATED)

Payload = Callable[[workflow_pb2.PayloadRecord], bytes]
"""Gives the JSON of a payload, wherever it is stored."""


class InvalidName(ValueError):
    """The text is not the name of a run."""


def run_id(name: str) -> bytes:
    """The 16 bytes of `runs/run_…`; raises `InvalidName`."""
    raw = keys.run_id_bytes(name.removeprefix(COLLECTION))
    if raw is None or not name.startswith(COLLECTION):
        raise InvalidName("must be runs/run_ and 32 lower-case hexadecimal digits")
    return raw


def full_name(text: str) -> str:
    """The resource name that people mean: the id alone will do; empty stays empty."""
    return COLLECTION + text if text.startswith(_RUN) else text


def id_of(raw: bytes) -> str:
    """The id of 16 bytes: `run_…`."""
    return _RUN + raw.hex()


def name_of(run: str) -> str:
    """The resource name of an id; empty for an empty one."""
    return COLLECTION + run if run else ""


def has_ended(record: workflow_pb2.RunRecord) -> bool:
    """True when nothing in the run can change any more."""
    return record.state in ENDED


def is_kept(record: workflow_pb2.RunRecord, now_unix_nanos: int) -> bool:
    """False when the run's retention has passed. A child is kept as long as its root, so its own time says nothing."""
    due = record.delete_time_unix_nanos
    return bool(record.parent) or not 0 < due <= now_unix_nanos


def step_id(step: workflow_pb2.StepDefinition, item: int) -> str:
    """The id of a step, or of one of its items, which count from 1 in records and from 0 in ids: `score[16]`."""
    return f"{step.id}[{item - 1}]" if item else step.id


def kind_of(step: workflow_pb2.StepDefinition, item: int) -> pb.StepKind:
    """The kind of a step, or of one of its items."""
    if step.HasField("for_each") and not item:
        return pb.STEP_KIND_FOR_EACH
    return _KINDS.get(step.task.WhichOneof("kind") or "", pb.STEP_KIND_UNSPECIFIED)


def run_of(record: workflow_pb2.RunRecord) -> pb.Run:
    """The run without its steps and payloads."""
    run = pb.Run(
        name=name_of(record.run),
        tenant=record.tenant,
        agent=record.agent,
        operator=record.operator,
        workflow=record.workflow,
        workflow_version=record.workflow_version,
        state=record.state,
        labels=dict(record.labels),
        priority=record.priority,
        parent=name_of(record.parent),
        parent_step=record.parent_step,
        rerun_of=name_of(record.rerun_of),
        rerun_from=record.rerun_from,
        create_time=timestamp(record.create_time_unix_nanos),
        end_time=timestamp(record.end_time_unix_nanos),
        start_time=timestamp(record.start_time_unix_nanos),
        steps_ended=record.steps_ended,
        steps_total=record.steps_total,
        revision=record.revision,
        spent=record.spent,
        cost_avoided=record.cost_avoided,
    )
    if record.HasField("failure"):
        run.failure.CopyFrom(record.failure)
    return run


def step_of(step: workflow_pb2.StepDefinition, record: workflow_pb2.StepRecord) -> pb.Step:
    """A step, or one of its items, without payloads."""
    leased = record.state == pb.STEP_STATE_LEASED
    task = step.task
    queue = step.compensate if record.compensating else task.agent.queue
    shown = pb.Step(
        id=step_id(step, record.item),
        kind=kind_of(step, record.item),
        state=record.state,
        epoch=record.epoch,
        attempts=record.attempts,
        queue="" if step.HasField("for_each") and not record.item else queue,
        worker=record.worker,
        due_time=timestamp(record.lease_expires_at_unix_nanos if leased else record.due_at_unix_nanos),
        approval=APPROVALS + record.approval if record.approval else "",
        child=name_of(record.child),
        signal=task.wait.signal if record.state == pb.STEP_STATE_WAITING else "",
        idempotency_key=record.idempotency_key,
        spent=record.spent,
        replayed=record.replayed,
        start_time=timestamp(record.start_time_unix_nanos),
        end_time=timestamp(record.end_time_unix_nanos),
        effect=task.effect or _DEFAULT_EFFECTS.get(task.WhichOneof("kind") or "", pb.STEP_EFFECT_UNSPECIFIED),
        needs=() if record.item else step.needs,
        invocations=record.invocations,
        items_total=record.items_total,
        items_succeeded=record.items_succeeded,
        items_failed=record.items_failed,
    )
    if record.HasField("failure"):
        shown.failure.CopyFrom(record.failure)
    return shown


def timestamp(unix_nanos: int) -> Timestamp | None:
    """A time of the API; none for 0."""
    if unix_nanos == 0:
        return None
    time = Timestamp()
    time.FromNanoseconds(unix_nanos)
    return time


def state_name(state: int) -> str:
    """A run's state as people read and type it: `running`."""
    try:
        return pb.RunState.Name(cast(pb.RunState, state)).removeprefix("RUN_STATE_").lower()
    except ValueError:
        return f"state-{state}"


def state_of(name: str) -> pb.RunState:
    """The state that people call so; raises `ValueError`."""
    return cast(pb.RunState, pb.RunState.Value(f"RUN_STATE_{name.upper()}"))


def state_names() -> list[str]:
    """All states of runs but the unspecified one."""
    return [state_name(state) for state in pb.RunState.values() if state]


def step_state_name(state: int) -> str:
    """A step's state as people read it: `waiting approval`."""
    try:
        name = pb.StepState.Name(cast(pb.StepState, state))
    except ValueError:
        return f"state-{state}"
    return name.removeprefix("STEP_STATE_").lower().replace("_", " ")


# What is not declared is the worst, where a worker does it.
_DEFAULT_EFFECTS = {"agent": pb.STEP_EFFECT_SIDE_EFFECT, "model": pb.STEP_EFFECT_READ}
_KINDS = {
    "agent": pb.STEP_KIND_AGENT,
    "model": pb.STEP_KIND_MODEL,
    "approval": pb.STEP_KIND_APPROVAL,
    "wait": pb.STEP_KIND_WAIT,
    "workflow": pb.STEP_KIND_WORKFLOW,
}
