"""What can be notified of, and what a receiver selects of it."""

from __future__ import annotations

import pytest

from fairlead.notification.events import KINDS, Selection, event_name, facts_of, kinds_of
from fairlead.v1 import audit_record_pb2
from tests.unit.audit.records import record
from tests.unit.audit.tool_records import decided, ended, voted
from tests.unit.notification.fakes import opened


def test_every_kind_of_record_has_a_name_that_follows_from_its_own() -> None:
    named = {number: event_name(number) for number in audit_record_pb2.EventKind.values() if number}
    assert named[audit_record_pb2.EVENT_KIND_APPROVAL_VOTED] == "approval.voted"
    assert named[audit_record_pb2.EVENT_KIND_TOOL_PENDING] == "approval.opened"
    assert {number for kinds in KINDS.values() for number in kinds} == set(named)
    assert all(name == name.lower() and "_" not in name for name in named.values())
    assert event_name(4711) == "kind.4711"


def test_names_and_beginnings_of_names_are_selected() -> None:
    voted, ended = audit_record_pb2.EVENT_KIND_APPROVAL_VOTED, audit_record_pb2.EVENT_KIND_APPROVAL_ENDED
    assert kinds_of("approval.voted") == {voted}
    assert {voted, ended, audit_record_pb2.EVENT_KIND_TOOL_PENDING} <= kinds_of("approval.*")
    assert kinds_of("*") == set(audit_record_pb2.EventKind.values()) - {0}
    assert kinds_of("tool.pending") == kinds_of("approval") == kinds_of("nothing.*") == frozenset()


def test_facts_are_found_wherever_a_record_has_them() -> None:
    facts = facts_of(record(1, "TOOL_PENDING", tenant="acme", agent="bot", **opened()[1]))
    assert (facts.tenant, facts.agent, facts.tool, facts.run, facts.step) == (
        "acme", "bot", "payments.refund", "r-1", "s-1",
    )  # fmt: skip
    assert facts.tier == "high" and facts.approval.startswith("approvals/apr_")
    after = facts_of(ended(4, "REJECTED", "not ours"))
    assert (after.state, after.reason, after.tool) == ("rejected", "not ours", "payments.refund")
    # What a record does not say is empty, also what the enum does not know.
    unknown = record(5, "APPROVAL_ENDED", approval=audit_record_pb2.ApprovalEvent())
    unknown.approval.state = 99  # type: ignore[assignment]
    assert facts_of(unknown).state == "" and facts_of(record(6, "SIDECAR_STARTED")).tool == ""


@pytest.mark.parametrize(
    ("match", "taken"),
    [
        ({}, True),
        ({"tenant": (), "tool": ("payments.refund",)}, True),
        ({"tool": ("mail.*", "payments.*")}, True),
        ({"tool": ("payments",)}, False),
        ({"tenant": ("acme",), "tier": ("low",)}, False),
        ({"state": ("approved",)}, True),
        # Nothing fits what the record does not say.
        ({"workflow": ("*",)}, False),
    ],
)
def test_a_record_has_to_fit_all_that_is_matched(match: dict[str, tuple[str, ...]], taken: bool) -> None:
    event = voted(2, "asha", 0)
    assert Selection(kinds_of("approval.voted"), match).takes(event, facts_of(event)) is taken


def test_other_kinds_and_the_outboxs_own_records_are_not_taken() -> None:
    everything = Selection(kinds_of("*"), {})
    own = record(1, "CONTROL_CHANGED", control_changed=audit_record_pb2.ControlChanged(subject="notification.dead"))
    other = record(1, "CONTROL_CHANGED", control_changed=audit_record_pb2.ControlChanged(subject="something.else"))
    assert not everything.takes(own, facts_of(own)) and everything.takes(other, facts_of(other))
    granted = decided(1, "AUTHORIZED")
    assert not Selection(kinds_of("approval.*"), {}).takes(granted, facts_of(granted))
