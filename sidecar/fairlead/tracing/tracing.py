"""A record of the audit log → the spans that end with it. Blocks for some reads of the store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from opentelemetry.proto.trace.v1 import trace_pb2

from fairlead.tracing import approvals, calls, identity, runs
from fairlead.tracing.identity import Context
from fairlead.tracing.stories import Stories
from fairlead.v1 import audit_record_pb2 as pb


class Tracing:
    """Makes spans of records that are given in the order of the log. Belongs to one thread at a time."""

    def __init__(self, stories: Stories, sample: float = 1.0) -> None:
        """`sample` is the share, from 0 to 1, of traces that come without a decision of the agent."""
        self._stories = stories
        self._sample = sample

    def spans(self, records: Iterable[pb.AuditRecord]) -> list[trace_pb2.Span]:
        """The spans that end with some records, in their order; what its agent does not record is left out."""
        return [span for record in records for span in self._of(record)]

    def _of(self, record: pb.AuditRecord) -> Iterator[trace_pb2.Span]:
        self._stories.remember(record)
        match record.WhichOneof("body"):
            case "decision" | "settlement" | "hold_ended" | "tool_completed" if record.invocation:
                yield from self._call(record)
            case "tool" if record.kind == pb.EVENT_KIND_TOOL_REPLAYED:
                own, parent, _ = self._place([record])
                if self._wanted(own):
                    yield calls.replay_of(record, own, parent)
            case "tool":
                yield from self._call(record)
            case "approval" if record.kind == pb.EVENT_KIND_APPROVAL_ENDED:
                yield from self._approval(record)
                if record.invocation:
                    yield from self._call(record)
            case "run" if record.kind == pb.EVENT_KIND_RUN_ENDED:
                yield from self._run(record)
            case "step":
                yield from self._step(record)

    def _call(self, record: pb.AuditRecord) -> Iterator[trace_pb2.Span]:
        if not calls.is_end(record):
            return
        records = self._stories.of_call(record.invocation, record.tenant, record.sequence)
        if not records:
            return
        own, parent, link = self._place(records)
        if not self._wanted(own):
            return
        # An exported span does not change: what comes behind the first end is told beside it.
        if any(calls.is_end(other) for other in records if other.sequence < record.sequence):
            yield from calls.correction_of(record, own)
        else:
            yield from calls.spans_of_call(records, own, parent, link)

    def _approval(self, record: pb.AuditRecord) -> Iterator[trace_pb2.Span]:
        records = self._stories.of_approval(record.approval.approval, record.sequence)
        ends = [other for other in records if other.kind == pb.EVENT_KIND_APPROVAL_ENDED]
        # That what was agreed to was done later is told by the span of what was done.
        if not ends or ends[0].sequence != record.sequence:
            return
        if record.invocation:
            of_call = self._stories.of_call(record.invocation, record.tenant, record.sequence)
            about = self._place(of_call or records)[0]
        else:
            run = self._stories.run(record.tenant, record.approval.run)
            if run is None:
                return
            about = runs.context_of_step(run, record.approval.step)
        if self._wanted(about):
            yield approvals.span_of_approval(records, about)

    def _run(self, record: pb.AuditRecord) -> Iterator[trace_pb2.Span]:
        run = self._stories.run(record.tenant, record.run.run)
        if run is not None and self._wanted(runs.context_of_run(run)):
            before = self._stories.run(record.tenant, run.rerun_of) if run.rerun_of else None
            yield runs.span_of_run(record, run, before)

    def _step(self, record: pb.AuditRecord) -> Iterator[trace_pb2.Span]:
        self._stories.begin(record)
        if record.kind in runs.BEGINS:
            return
        run = self._stories.run(record.tenant, record.step.run)
        if run is None or not self._wanted(runs.context_of_run(run)):
            return
        epoch = record.step.epoch
        if epoch and record.kind in runs.ATTEMPT_ENDED:
            began_at = self._stories.began(record, epoch)
            if began_at is not None:
                yield runs.span_of_attempt(record, run, began_at)
                self._stories.end(record, epoch)
        step = runs.span_of_step(record, run, self._stories.began(record) or record.time_unix_nanos)
        if step is not None:
            yield step
            self._stories.end(record)

    def _place(self, records: list[pb.AuditRecord]) -> tuple[Context, bytes, Context | None]:
        """The span of a call, its parent (empty: none), and a step in another trace that it belongs to."""
        first = records[0]
        inputs = first.tool.inputs if first.HasField("tool") else first.decision.inputs
        caller = identity.given(first.traceparent)
        own = identity.span_id("call", first.invocation)
        run = self._stories.run(first.tenant, inputs.run) if inputs.run else None
        link = None
        if run is not None:
            step = runs.context_of_step(run, inputs.step)
            if caller is None or caller == identity.given(run.traceparent):
                # Nobody made a span between the step and its call.
                return Context(step.trace_id, own, step.sampled), step.span_id, None
            link = step
        if caller is not None:
            return Context(caller.trace_id, own, caller.sampled), caller.span_id, link
        return Context(identity.trace_id(first.invocation), own), b"", link

    def _wanted(self, context: Context) -> bool:
        """Whether a trace is recorded: as its agent says, else a share of them."""
        return identity.is_sampled(context.trace_id, self._sample) if context.sampled is None else context.sampled
