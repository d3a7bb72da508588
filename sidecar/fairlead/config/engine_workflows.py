"""Workflows as the native core takes them: one task for each step, templates as JSON, times in milliseconds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fairlead.config.canonical import canonical_text, version_of
from fairlead.config.sections.step_tasks import AskTier, ForEach, Gate, ModelCall, StepTimeouts, Waiting
from fairlead.config.sections.steps import Step
from fairlead.config.sections.workflows import Workflow
from fairlead.internal.v1 import workflow_pb2 as pb
from fairlead.v1 import amount_pb2, run_pb2

_EFFECTS: Mapping[str, run_pb2.StepEffect] = {
    "pure": run_pb2.STEP_EFFECT_PURE,
    "read": run_pb2.STEP_EFFECT_READ,
    "write": run_pb2.STEP_EFFECT_WRITE,
    "side_effect": run_pb2.STEP_EFFECT_SIDE_EFFECT,
}
# What a step does whose `effect` is not given. A worker's task is taken for the worst: nobody knows what it does.
_EFFECT_OF_KIND: Mapping[str, run_pb2.StepEffect] = {
    "agent": run_pb2.STEP_EFFECT_SIDE_EFFECT,
    "model": run_pb2.STEP_EFFECT_READ,
}
# Of a step whose times are not given: a worker that says nothing has lost it soon, and none has it for ever.
_LEASE_MILLIS, _ATTEMPT_MILLIS = 30_000, 3_600_000
_ON_UNKNOWN: Mapping[str, pb.OnUnknown] = {
    "ask": pb.ON_UNKNOWN_ASK,
    "retry": pb.ON_UNKNOWN_RETRY,
    "compensate": pb.ON_UNKNOWN_COMPENSATE,
    "fail": pb.ON_UNKNOWN_FAIL,
}


def workflow(entry: Workflow) -> pb.WorkflowDefinition:
    """A workflow; its version is the SHA-256 of its canonical text."""
    canonical = canonical_text(entry)
    budget, output = entry.budget, entry.output
    return pb.WorkflowDefinition(
        name=entry.name,
        version=version_of(canonical),
        input_schema=_json(entry.input.schema_) if entry.input else "",
        output=_json(output.value) if output else "",
        output_schema=_json(output.schema_) if output else "",
        budget=amount_pb2.Amount(nano_usd=budget.usd, tokens=budget.tokens, requests=budget.requests)
        if budget
        else None,
        steps=[_step(step) for step in entry.steps],
        unknown_tier=entry.unknown_tier or "",
        keep_for_millis=entry.keep_for or 0,
        timeout_millis=entry.timeout or 0,
        compensate_on_failure=entry.on_failure == "compensate",
        tenants=entry.tenants,
        canonical=canonical,
    )


def _step(step: Step) -> pb.StepDefinition:
    return pb.StepDefinition(
        id=step.id,
        needs=step.needs,
        when=step.when or "",
        task=_task(step),
        for_each=_for_each(step.for_each) if step.for_each is not None else None,
        compensate=step.compensate or "",
    )


def _task(step: Step) -> pb.StepTask:
    on_unknown, retry = step.on_unknown, step.retry
    task = pb.StepTask(
        agent=pb.AgentTask(queue=step.agent) if step.agent is not None else None,
        input=_json(step.input),
        input_schema=_json(step.input_schema),
        output_schema=_json(step.output.schema_) if step.output else "",
        effect=_EFFECTS[step.effect] if step.effect else _EFFECT_OF_KIND.get(step.kind),
        idempotency_key=_json(step.idempotency_key),
    )
    if step.model is not None:
        task.model.CopyFrom(_model(step.model))
    if step.approval is not None:
        task.approval.CopyFrom(_approval(step.approval))
    if step.wait is not None:
        task.wait.CopyFrom(_wait(step.wait))
    if step.workflow is not None:
        task.workflow.workflow = step.workflow
    if isinstance(on_unknown, AskTier):
        task.on_unknown, task.unknown_tier = pb.ON_UNKNOWN_ASK, on_unknown.ask
    elif on_unknown is not None:
        task.on_unknown = _ON_UNKNOWN[on_unknown]
    if retry is not None:
        task.retry.attempts = retry.attempts
        task.retry.initial_millis = retry.backoff.initial
        task.retry.max_millis = retry.backoff.max
        task.retry.non_retryable.extend(retry.non_retryable)
    is_leased = step.kind in _EFFECT_OF_KIND
    if step.timeouts is not None or is_leased:
        task.timeouts.CopyFrom(_timeouts(step.timeouts or StepTimeouts(), is_leased=is_leased))
    return task


def _timeouts(timeouts: StepTimeouts, *, is_leased: bool) -> pb.StepTimeouts:
    return pb.StepTimeouts(
        queue_millis=timeouts.queue or 0,
        lease_millis=timeouts.lease or (_LEASE_MILLIS if is_leased else 0),
        attempt_millis=timeouts.attempt or (_ATTEMPT_MILLIS if is_leased else 0),
        total_millis=timeouts.total or 0,
    )


def _model(call: ModelCall) -> pb.ModelTask:
    messages = call.messages
    if isinstance(messages, tuple):
        messages_template = _json([{"role": message.role, "content": message.content} for message in messages])
    else:
        messages_template = _json(messages)
    return pb.ModelTask(
        model=call.route,
        prompt=_json(call.prompt),
        messages=messages_template,
        system=_json(call.system),
        json_output=call.output == "json",
        max_output_tokens=call.max_output_tokens or 0,
        temperature="" if call.temperature is None else _number(call.temperature),
        workload=call.workload or "",
    )


def _approval(gate: Gate) -> pb.ApprovalTask:
    return pb.ApprovalTask(
        tier=gate.tier,
        show=_json(gate.show),
        continue_on_reject=gate.on_reject == "continue",
        title=_json(gate.title),
    )


def _wait(waiting: Waiting) -> pb.WaitTask:
    return pb.WaitTask(
        for_millis=waiting.for_ or 0,
        until=_json(waiting.until),
        signal=waiting.signal or "",
        timeout_millis=waiting.timeout or 0,
        continue_on_timeout=waiting.on_timeout == "continue",
    )


def _for_each(items: ForEach) -> pb.ForEach:
    return pb.ForEach(items=_json(items.in_), max_parallel=items.max_parallel, quorum=items.quorum or 0)


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() else json.dumps(value)


def _json(value: Any) -> str:
    """A template or schema; empty for one that is not given."""
    return "" if value is None else json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
