"""Audit record → attributes in Fairlead's namespace. Pure.

Names, ids, hashes, numbers and reasons; never arguments, prompts, answers, results, labels or attributes of agents.
"""

from __future__ import annotations

from collections.abc import Mapping

from fairlead.exporting.otlp.values import Value
from fairlead.notification.events import Facts
from fairlead.v1 import audit_record_pb2, audit_service_pb2


def of_fairlead(event: audit_service_pb2.AuditEvent, facts: Facts) -> dict[str, Value]:
    """What the record, of which these are the facts, says, without what it leaves open."""
    record = event.record
    found: dict[str, Value] = {f"fairlead.{name}": value for name, value in facts.all().items() if value}
    found["fairlead.config.version"] = record.config_version
    match record.WhichOneof("body"):
        case "decision":
            found.update(_decision(record.decision))
        case "settlement":
            found["fairlead.charged.nano_usd"] = record.settlement.charged.nano_usd
            found["fairlead.overdraft"] = record.settlement.overdraft
        case "hold_ended":
            found["fairlead.charged.nano_usd"] = record.hold_ended.charged.nano_usd
        case "budget":
            found["fairlead.budget"] = record.budget.budget
            found["fairlead.budget.instance"] = record.budget.instance
        case "tool":
            found["fairlead.decision.rejection"] = record.tool.rejection
            found["fairlead.decision.rule"] = record.tool.decision.deciding_rule
        case "control_changed":
            found["fairlead.subject"] = record.control_changed.subject
        case "step":
            found["fairlead.step.attempt"] = record.step.attempt
            found["fairlead.failure.code"] = record.step.failure.code
        case "run":
            found["fairlead.failure.code"] = record.run.failure.code
    said = {name: value for name, value in found.items() if value}
    return {**said, **_place(event)}


def _place(event: audit_service_pb2.AuditEvent) -> Mapping[str, Value]:
    """Where the record is in its log; by these a duplicate is recognised, and the chain is checked."""
    return {
        "fairlead.audit.sequence": event.record.sequence,
        "fairlead.audit.record_hash": event.record_hash.hex(),
        "fairlead.audit.prev_hash": event.prev_hash.hex(),
    }


def _decision(decision: audit_record_pb2.DecisionRecord) -> Mapping[str, Value]:
    return {
        "fairlead.decision.route": decision.decision.route,
        "fairlead.decision.rule": decision.decision.deciding_rule,
        "fairlead.decision.rejection": decision.rejection,
        "fairlead.decision.models": tuple(target.model for target in decision.plan),
        "fairlead.reserved.nano_usd": decision.reserved.nano_usd,
    }
