"""Sentences that the stories of model calls and of tool calls share. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from fairlead.audit.wording import visible
from fairlead.v1 import audit_record_pb2, decision_pb2


def caller(record: audit_record_pb2.AuditRecord) -> str:
    """Who caused a record: `agent support-bot of tenant acme`."""
    if record.agent:
        return f"agent {visible(record.agent)} of tenant {visible(record.tenant)}"
    if record.operator:
        return f"operator {visible(record.operator)}"
    return f"tenant {visible(record.tenant)}" if record.tenant else "the sidecar"


def rules(decision: decision_pb2.Decision) -> str:
    """Which rules matched, which one decided, and what came of it."""
    matched = ", ".join(map(visible, decision.rules))
    said = f"Policy rules that matched: {matched}" if matched else "No policy rule matched"
    said += f"; {visible(decision.deciding_rule)} decided" if decision.deciding_rule else "; the default counts"
    reason = visible(decision.reason).rstrip(".")
    # The reason is the decision's as a whole: besides rules, the route, a budget or the request itself.
    return f"{said}. Outcome: {reason}." if reason else f"{said}."


def refused(rejection: str, metadata: Mapping[str, str]) -> str:
    """The error that the caller got."""
    facts = ", ".join(f"{visible(key)}={visible(value)}" for key, value in sorted(metadata.items()))
    return f"Refused: {visible(rejection)}{f' ({facts})' if facts else ''}."
