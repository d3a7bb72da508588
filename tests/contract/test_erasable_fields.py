"""Every text of an audit record can be erased, or is declared not to be free text: a new field has to be decided on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from fairlead.audit.erasure.model import ERASABLE
from fairlead.v1 import audit_record_pb2

# Ids, names from the configuration, codes, digests, and sentences of the sidecar about those. Labels, attributes and
# ids that agents choose are among them: docs/audit.md says so.
_DECLARED = """
tenant agent operator invocation config_version traceparent
sidecar_started.program_version
config_applied.previous_version config_applied.source
config_rejected.source config_rejected.first_violation
control_changed.subject control_changed.detail
decision.inputs.model decision.inputs.workload decision.inputs.session decision.inputs.run decision.inputs.step
decision.inputs.labels decision.inputs.attributes decision.inputs.capabilities decision.inputs.split_key
decision.inputs.estimates.model decision.inputs.budgets.budget decision.inputs.budgets.instance
decision.inputs.health.model decision.inputs.rates.limit decision.inputs.rates.instance decision.inputs.dialect
decision.inputs.untranslatable.dialect decision.inputs.untranslatable.field decision.inputs.pinned_model
decision.inputs.session_labels decision.inputs.cached_model decision.inputs.cached_invocation
decision.inputs.agreed.approval decision.inputs.agreed.votes.operator decision.inputs.agreed.votes.roles
decision.inputs.agreed.votes.digest decision.inputs.agreed.escalated_to decision.inputs.agreed.escalated_from
decision.inputs.agreed.models decision.inputs.agreed.budgets decision.inputs.root_run
decision.inputs.run_budgets.budget decision.inputs.run_budgets.instance
decision.decision.config_version decision.decision.route decision.decision.rules decision.decision.deciding_rule
decision.decision.reason decision.decision.output_rules
decision.plan.model decision.plan.provider decision.plan.upstream_model
decision.dropped.model decision.dropped.detail
decision.charges.budget decision.charges.instance decision.rejection decision.downgraded_to
decision.session_switch.from_model decision.session_switch.detail decision.approval decision.tier decision.over_budgets
settlement.attempts.model settlement.attempts.dropped_fields settlement.attempts.findings.rule
settlement.attempts.findings.detector settlement.charges.budget settlement.charges.instance settlement.model
hold_ended.charges.budget hold_ended.charges.instance
budget.budget budget.instance
tool.inputs.tool tool.inputs.idempotency_key tool.inputs.session tool.inputs.session_labels tool.inputs.run
tool.inputs.step tool.inputs.labels tool.inputs.earlier_call tool.inputs.approval tool.inputs.votes.operator
tool.inputs.votes.roles tool.inputs.votes.digest tool.inputs.escalated_to tool.inputs.escalated_from
tool.decision.config_version tool.decision.route tool.decision.rules tool.decision.deciding_rule tool.decision.reason
tool.decision.output_rules tool.changed tool.added_labels tool.approval tool.tier tool.rejection
tool_completed.tool tool_completed.idempotency_key tool_completed.reason
approval.approval approval.digest approval.rule approval.tier approval.vote.operator approval.vote.roles
approval.vote.digest approval.missing.role approval.run approval.step approval.previous_digest approval.previous_tier
run.run run.workflow run.workflow_version run.failure.code run.failure.step run.parent run.parent_step run.rerun_of
run.rerun_from run.signal
step.run step.step step.queue step.worker step.worker_agent step.failure.code step.failure.step step.idempotency_key
step.waits_for step.replayed_from step.resolution
"""
NOT_FREE_TEXT = _DECLARED.split()


def texts(message: Descriptor, path: str = "") -> Iterator[str]:
    """The paths of all texts in a message and below it; a map or a Struct is one text."""
    for field in message.fields:
        name = f"{path}{field.name}"
        inner = field.message_type
        is_map = inner is not None and inner.GetOptions().map_entry
        is_struct = inner is not None and inner.full_name == "google.protobuf.Struct"
        if field.type == FieldDescriptor.TYPE_STRING or is_map or is_struct:
            yield name
        elif inner is not None:
            yield from texts(inner, name + ".")


def test_every_text_of_a_record_is_erasable_or_declared_not_to_be_free() -> None:
    erasable = [f"{body}.{path}" for body, paths in ERASABLE.items() for path in paths]
    assert sorted(erasable + NOT_FREE_TEXT) == sorted(texts(cast(Descriptor, audit_record_pb2.AuditRecord.DESCRIPTOR)))
