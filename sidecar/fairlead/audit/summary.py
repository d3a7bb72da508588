"""One record in one line, for lists. The whole story of an invocation is in `narrative`."""

from __future__ import annotations

from typing import Any, cast

from fairlead.approval.model import quorums, state_name
from fairlead.audit import run_summary, wording
from fairlead.audit.wording import visible
from fairlead.budget.model import count, format_amount, format_usd
from fairlead.v1 import audit_record_pb2

_KIND_PREFIX = "EVENT_KIND_"


def kind_name(kind: int) -> str:
    """A kind as people read and type it: `invocation-admitted`."""
    try:
        name = audit_record_pb2.EventKind.Name(cast(audit_record_pb2.EventKind, kind))
    except ValueError:
        return f"kind-{kind}"
    return name.removeprefix(_KIND_PREFIX).lower().replace("_", "-")


def kind_of(name: str) -> audit_record_pb2.EventKind:
    """The kind that people call so; raises `ValueError`."""
    number = audit_record_pb2.EventKind.Value(_KIND_PREFIX + name.upper().replace("-", "_"))
    return cast(audit_record_pb2.EventKind, number)


def kind_names() -> list[str]:
    """All kinds but the unspecified one."""
    return [kind_name(kind) for kind in audit_record_pb2.EventKind.values() if kind]


def who(record: audit_record_pb2.AuditRecord) -> str:
    """Who caused a record: `acme/support-bot`, `operator asha`, `-` for the sidecar itself."""
    if record.operator:
        return f"operator {visible(record.operator)}"
    return "/".join(visible(part) for part in (record.tenant, record.agent) if part) or "-"


def summarize(record: audit_record_pb2.AuditRecord) -> str:
    """What a record says, short; without time, kind, caller and invocation."""
    body = record.WhichOneof("body")
    if body == "decision":
        return _decision(record.decision)
    if body == "settlement":
        settled = record.settlement
        marks = [mark for mark, on in (("late", settled.late), ("overdraft", settled.overdraft)) if on]
        model = visible(settled.model) or "no model answered"
        said = [model, count(len(settled.attempts), "attempt"), f"charged {format_amount(settled.charged)}", *marks]
        return ", ".join(said)
    if body == "hold_ended":
        ended = record.hold_ended
        why = f" ({visible(ended.reason)})" if ended.reason else ""
        return f"held {format_amount(ended.held)}, charged {format_amount(ended.charged)}{why}"
    if body == "budget":
        event = record.budget
        place = f"{visible(event.budget)} ({visible(event.instance)})"
        alert = f" passed {event.threshold_percent} %" if event.threshold_percent else ""
        amount = f" by {format_amount(event.amount)}" if event.HasField("amount") else ""
        return f"{place}{alert}{amount}, {format_amount(event.spent)} spent of {format_amount(event.limit)}"
    if body in ("tool", "tool_completed", "approval"):
        return _tool_call(record)
    if body == "run":
        return run_summary.of_run(record)
    if body == "step":
        return run_summary.of_step(record)
    return _of_the_sidecar(record)


def _tool_call(record: audit_record_pb2.AuditRecord) -> str:
    if record.HasField("approval"):
        event = record.approval
        vote = f"{visible(event.vote.operator)} {wording.decision_word(event.vote.decision)}, "
        said = f"{visible(event.tool)}: {vote if event.HasField('vote') else ''}"
        said += f"tier {visible(event.tier)} is asked, " if event.previous_tier else ""
        said += state_name(event.state)
        return said + (f", missing {visible(quorums(event.missing))}" if event.missing else "")
    if record.HasField("tool_completed"):
        ended = record.tool_completed
        why = f" ({visible(ended.reason)})" if ended.reason else ""
        return f"{visible(ended.tool)}: {wording.tool_outcome(ended.outcome)}{why}"
    decided = record.tool
    rule = f", rule {visible(decided.decision.deciding_rule)}" if decided.decision.deciding_rule else ""
    if decided.rejection:
        answer = visible(decided.rejection)
    elif record.kind == audit_record_pb2.EVENT_KIND_TOOL_PENDING:
        answer = f"waits for {visible(decided.tier)}"
    elif record.kind == audit_record_pb2.EVENT_KIND_TOOL_REPLAYED:
        answer = "recorded result given again"
    else:
        answer = "granted" + (f", changed {', '.join(map(visible, decided.changed))}" if decided.changed else "")
    return f"{visible(decided.inputs.tool)}: {answer}{rule}"


def _decision(decided: audit_record_pb2.DecisionRecord) -> str:
    if decided.rejection:
        rule = decided.decision.deciding_rule
        return visible(decided.rejection) + (f", rule {visible(rule)}" if rule else "")
    route = visible(decided.decision.route) or "no route"
    if decided.cached:
        return f"{route}: answered from the cache"
    if decided.approval:
        return f"{route}: waits for {visible(decided.tier)}, holds {format_usd(decided.reserved.nano_usd)}"
    plan = " > ".join(visible(target.model) for target in decided.plan)
    clamp = f", clamped to {decided.max_output_tokens:,} output tokens" if decided.clamped else ""
    return f"{route}: {plan}, held {format_usd(decided.reserved.nano_usd)}{clamp}"


def _of_the_sidecar(record: audit_record_pb2.AuditRecord) -> str:
    if record.HasField("sidecar_started"):
        started = record.sidecar_started
        return (
            f"fairlead {visible(started.program_version)}, {count(started.open_reservations, 'open hold')}, "
            f"{count(started.budget_instances, 'budget instance')}"
        )
    if record.HasField("config_applied"):
        return f"{wording.version(record.config_version)} from {visible(record.config_applied.source)}"
    if record.HasField("config_rejected"):
        refused = record.config_rejected
        problems = count(refused.violations, "violation")
        return f"{visible(refused.source)}: {problems}, first: {visible(refused.first_violation)}"
    changed = record.control_changed
    facts = ", ".join(f"{visible(name)} {_fact(changed.detail[name])}" for name in sorted(changed.detail.fields))
    return visible(changed.subject) + (f": {facts}" if facts else "")


def _fact(value: Any) -> str:
    """A value of a record's detail; numbers are whole there, but a Struct has floats only."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return visible(str(value))
