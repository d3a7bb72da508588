"""Records of runs and steps in one line, for lists. The whole story of a run is in `run_narrative`."""

from __future__ import annotations

from fairlead.audit import wording
from fairlead.audit.wording import visible
from fairlead.budget.model import count, format_amount
from fairlead.v1 import audit_record_pb2, run_pb2
from fairlead.workflow.model import state_name

_Record = audit_record_pb2.AuditRecord


def of_run(record: _Record) -> str:
    """What happened to a run: `run_0197… loan-approval: failed, BAD_INPUT in parse`."""
    event = record.run
    return f"{visible(event.run)} {visible(event.workflow)}: {_run(record.kind, event)}"


def of_step(record: _Record) -> str:
    """What happened to a step: `run_0197… parse: attempt 2 by w-1`."""
    event = record.step
    return f"{visible(event.run)} {visible(event.step)}: {_step(record.kind, event)}"


def failure(why: run_pb2.Failure) -> str:
    """Why something did not go well: `BAD_INPUT: no income`."""
    return ": ".join(visible(part) for part in (why.code, why.message) if part) or "no reason given"


def _run(kind: int, event: audit_record_pb2.RunEvent) -> str:
    if kind == audit_record_pb2.EVENT_KIND_RUN_STARTED:
        if event.rerun_of:
            return f"started, a repetition of {visible(event.rerun_of)}"
        return f"started as a child of {visible(event.parent)}" if event.parent else "started"
    if kind == audit_record_pb2.EVENT_KIND_RUN_SIGNALLED:
        return f"signal {visible(event.signal)}, {count(event.content_bytes, 'byte')}"
    said = "winding down" if kind == audit_record_pb2.EVENT_KIND_RUN_CANCELLING else state_name(event.state)
    if kind == audit_record_pb2.EVENT_KIND_RUN_REPAIRED:
        said = "repaired"
    if kind == audit_record_pb2.EVENT_KIND_RUN_ENDED and event.HasField("failure"):
        said += f", {failure(event.failure)}"
    if kind == audit_record_pb2.EVENT_KIND_RUN_ENDED and event.spent.ByteSize():
        said += f", spent {format_amount(event.spent)}"
    return said + (f" ({visible(event.reason)})" if event.reason else "")


def _step(kind: int, event: audit_record_pb2.StepEvent) -> str:
    attempt = f"attempt {event.attempt}" if event.attempt else "it"
    if event.compensation:
        attempt = f"taking back, {attempt}"
    until = f", until {wording.utc(event.due_at_unix_nanos)}" if event.due_at_unix_nanos else ""
    if kind == audit_record_pb2.EVENT_KIND_STEP_LEASED:
        return f"{attempt} by {visible(event.worker) or 'the sidecar'}"
    if kind == audit_record_pb2.EVENT_KIND_STEP_SUCCEEDED:
        return f"succeeded, result of {count(event.content_bytes, 'byte')}"
    if kind == audit_record_pb2.EVENT_KIND_STEP_RETRIED:
        again = f", again at {wording.utc(event.due_at_unix_nanos)}" if event.due_at_unix_nanos else ""
        return f"{attempt} went wrong, {failure(event.failure)}{again}"
    if kind == audit_record_pb2.EVENT_KIND_STEP_FAILED:
        return f"failed, {failure(event.failure)}"
    if kind == audit_record_pb2.EVENT_KIND_STEP_UNKNOWN:
        return f"nobody knows whether {attempt} happened, {failure(event.failure)}"
    if kind == audit_record_pb2.EVENT_KIND_STEP_RESOLVED:
        return f"people said: {visible(event.resolution)}"
    if kind == audit_record_pb2.EVENT_KIND_STEP_SKIPPED:
        return f"skipped, {failure(event.failure)}"
    if kind == audit_record_pb2.EVENT_KIND_STEP_WAITING:
        return f"waits for {visible(event.waits_for) or 'a time'}{until}"
    if kind == audit_record_pb2.EVENT_KIND_STEP_COMPENSATED:
        return "its result was taken back"
    if kind == audit_record_pb2.EVENT_KIND_STEP_REPLAYED:
        return f"got the result that {visible(event.replayed_from)} had recorded under the same key"
    return "something this version does not know"
