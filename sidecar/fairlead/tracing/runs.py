"""Runs and their steps → spans. Pure.

| span | from | to |
|---|---|---|
| `invoke_workflow WORKFLOW` | the run is started | it has ended |
| `step STEP`, in it | its first attempt begins, or it begins to wait | it has ended |
| `attempt STEP`, in that | the attempt is leased | it has ended |

A run that takes days is one span of days, which is there when the run has ended; its steps are there before it.
"""

from __future__ import annotations

from opentelemetry.proto.trace.v1 import trace_pb2

from fairlead.exporting.otlp.values import Value
from fairlead.internal.v1 import workflow_pb2
from fairlead.tracing import identity
from fairlead.tracing.calls import common
from fairlead.tracing.identity import Context
from fairlead.tracing.spans import span
from fairlead.v1 import audit_record_pb2 as pb
from fairlead.v1 import run_pb2

ATTEMPT_ENDED = {
    pb.EVENT_KIND_STEP_SUCCEEDED: "",
    pb.EVENT_KIND_STEP_COMPENSATED: "",
    pb.EVENT_KIND_STEP_RETRIED: "retried",
    pb.EVENT_KIND_STEP_FAILED: "failed",
    pb.EVENT_KIND_STEP_UNKNOWN: "unknown",
}
_STEP_ENDED = {
    run_pb2.STEP_STATE_SUCCEEDED: "",
    run_pb2.STEP_STATE_SKIPPED: "",
    run_pb2.STEP_STATE_FAILED: "failed",
    run_pb2.STEP_STATE_CANCELLED: "cancelled",
}
BEGINS = frozenset((pb.EVENT_KIND_STEP_LEASED, pb.EVENT_KIND_STEP_WAITING))


def context_of_run(run: workflow_pb2.RunRecord) -> Context:
    """The span of a run. Child runs are in the trace of the run at the root."""
    caller = identity.given(run.traceparent)
    trace = caller.trace_id if caller is not None else identity.trace_id(run.root or run.run)
    return Context(trace, identity.span_id("run", run.run), caller.sampled if caller is not None else None)


def context_of_step(run: workflow_pb2.RunRecord, step: str) -> Context:
    """The span of a step of a run; the run's own when there is no step."""
    whole = context_of_run(run)
    return Context(whole.trace_id, step_span(run.run, step), whole.sampled) if step else whole


def step_span(run: str, step: str) -> bytes:
    """The span of a step."""
    return identity.span_id("step", run, step)


def span_of_run(
    record: pb.AuditRecord, run: workflow_pb2.RunRecord, rerun_of: workflow_pb2.RunRecord | None
) -> trace_pb2.Span:
    """The span of a run that has ended with this record; `rerun_of` is the run that it repeats."""
    event, own, caller = record.run, context_of_run(run), identity.given(run.traceparent)
    state = run_pb2.RunState.Name(event.state).removeprefix("RUN_STATE_").lower()
    parent = caller.span_id if caller is not None else b""
    if run.parent:
        parent = step_span(run.parent, run.parent_step)
    facts: dict[str, Value] = {
        **common(record),
        "gen_ai.operation.name": "invoke_workflow",
        "gen_ai.workflow.name": event.workflow,
        "fairlead.run": event.run,
        "fairlead.run.state": state,
        "fairlead.workflow.version": event.workflow_version,
        "fairlead.spent.nano_usd": event.spent.nano_usd,
    }
    return span(
        f"invoke_workflow {event.workflow}",
        own,
        parent,
        run.create_time_unix_nanos,
        record.time_unix_nanos,
        facts,
        error="" if event.state == run_pb2.RUN_STATE_SUCCEEDED else event.failure.code or state,
        links=[] if rerun_of is None else [context_of_run(rerun_of)],
    )


def span_of_attempt(record: pb.AuditRecord, run: workflow_pb2.RunRecord, began_at: int) -> trace_pb2.Span:
    """The span of an attempt at a step, that began at a time in Unix nanoseconds and ended with this record."""
    event, outcome = record.step, ATTEMPT_ENDED[record.kind]
    around = context_of_step(run, event.step)
    own = Context(around.trace_id, identity.span_id("attempt", event.run, event.step, event.epoch))
    facts: dict[str, Value] = {
        **_of_step(record, run),
        "fairlead.step.attempt": event.attempt,
        "fairlead.step.epoch": event.epoch,
        "fairlead.queue": event.queue,
        "fairlead.worker": event.worker,
        "fairlead.compensation": event.compensation,
    }
    name = f"{'compensate' if event.compensation else 'attempt'} {event.step}"
    error = event.failure.code or outcome if outcome else ""
    return span(name, own, around.span_id, began_at, record.time_unix_nanos, facts, error=error)


def span_of_step(record: pb.AuditRecord, run: workflow_pb2.RunRecord, began_at: int) -> trace_pb2.Span | None:
    """The span of a step that ended with this record; None when it did not."""
    event, ended = record.step, _STEP_ENDED.get(record.step.state)
    if ended is None or event.compensation or record.kind == pb.EVENT_KIND_STEP_COMPENSATED:
        return None
    whole, own = context_of_run(run), context_of_step(run, event.step)
    state = run_pb2.StepState.Name(event.state).removeprefix("STEP_STATE_").lower()
    facts: dict[str, Value] = {
        **_of_step(record, run),
        "fairlead.step.state": state,
        "fairlead.step.attempts": event.attempt,
        "fairlead.step.resolution": event.resolution,
        "fairlead.step.replayed_from": event.replayed_from,
    }
    error = event.failure.code or ended if ended else ""
    return span(f"step {event.step}", own, whole.span_id, began_at, record.time_unix_nanos, facts, error=error)


def _of_step(record: pb.AuditRecord, run: workflow_pb2.RunRecord) -> dict[str, Value]:
    return {
        **common(record),
        "gen_ai.agent.name": record.step.worker_agent or record.agent,
        "gen_ai.workflow.name": run.workflow,
        "fairlead.run": record.step.run,
        "fairlead.step": record.step.step,
    }
