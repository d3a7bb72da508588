"""What people are told about a tool call and its approval."""

from __future__ import annotations

from fairlead.audit.explain import explain
from fairlead.audit.listing import Listing
from fairlead.audit.store import AuditLog, Invocations
from fairlead.audit.summary import summarize
from fairlead.audit.tool_narrative import narrate_tool_call, order_of_permission
from fairlead.store import Family, keys
from fairlead.v1 import audit_record_pb2, audit_service_pb2
from tests.unit.audit.fakes import FakeStore
from tests.unit.audit.tool_records import (
    APPROVAL,
    CALL,
    OPEN,
    PENDING,
    SUCCEEDED,
    UNKNOWN,
    approved_call,
    completed,
    decided,
    edited,
    ended,
    stored,
    voted,
)


def test_a_call_that_two_people_agreed_to() -> None:
    question = (
        "agent support-bot of tenant acme asked to call tool payments.refund (session s-1, run r-1, key refund/4711, "
        "45 bytes of arguments, their digest abababababab)."
    )
    catalogue = "Catalogue: side effect, high risk; the caller claimed read."
    rules = "Policy rules that matched: ask, cap; ask decided. Outcome: finance has to agree."
    assert narrate_tool_call(approved_call(), SUCCEEDED) == [
        f"2026-11-18 11:06:42.000 UTC: {question}",
        catalogue,
        "Decided with configuration 3fa2b1c09d1e.",
        rules,
        f"Waits for people: approval approvals/{APPROVAL}, tier high.",
        f"2026-11-18 11:06:43.000 UTC: asha (finance) approved approvals/{APPROVAL}: lost in the mail; still missing: "
        "1 of finance.",
        f"2026-11-18 11:06:44.000 UTC: ben (finance) approved approvals/{APPROVAL}: lost in the mail.",
        f"2026-11-18 11:06:45.000 UTC: {question}",
        catalogue,
        "Labels of the session before the call: read_private, saw_untrusted.",
        f"It came with approval {APPROVAL}, approved: asha (finance) approved; ben (finance) approved.",
        "Decided with configuration 3fa2b1c09d1e.",
        rules,
        "Granted until 2026-11-18 12:06:40.000 UTC; rules changed /amount, digest as granted cdcdcdcdcdcd.",
        "The call gave its session the labels can_egress.",
        f"2026-11-18 11:06:46.000 UTC: approval approvals/{APPROVAL} is consumed.",
        "2026-11-18 11:06:47.000 UTC: completed: it happened; result of 12 bytes, kept for later callers with the same "
        "key.",
        "Order: votes in records 3, 4, granted in record 5, outcome reported in record 7.",
    ]


def test_a_call_that_people_edited() -> None:
    changed = {"approval": f"approvals/{APPROVAL}", "tier": "high", "changed": ["/amount"]}
    agreed = {"approval": APPROVAL, "agreed_digest": bytes.fromhex("ef" * 32), "edited": True}
    records = [
        decided(2, "PENDING", granted_digest=bytes.fromhex("cd" * 32), **changed),
        edited(3, "ben"),
        decided(4, "AUTHORIZED", agreed),
    ]
    told = narrate_tool_call(records, OPEN)
    assert (
        f"Waits for people: approval approvals/{APPROVAL}, tier high; rules changed /amount, digest as asked about "
        "cdcdcdcdcdcd." in told
    )
    assert (
        f"2026-11-18 11:06:43.000 UTC: ben (finance) edited approvals/{APPROVAL}: too much; its digest was "
        "aaaaaaaaaaaa and is bbbbbbbbbbbb, votes begin anew; still missing: 2 of finance." in told
    )
    assert "That approval is of arguments that people had changed, their digest efefefefefef." in told
    assert "Granted, with the arguments that people agreed to." in told
    assert summarize(records[1]) == "payments.refund: ben edited, pending, missing 2 of finance"


def test_an_approval_that_was_passed_on() -> None:
    passed_on = ended(2, "PENDING", "nobody decided in time")
    passed_on.kind = audit_record_pb2.EVENT_KIND_APPROVAL_ESCALATED
    passed_on.approval.previous_tier, passed_on.approval.tier = "high", "ceo"
    assert narrate_tool_call([passed_on], PENDING)[0] == (
        f"2026-11-18 11:06:42.000 UTC: approval approvals/{APPROVAL} was passed on from tier high to ceo "
        "(nobody decided in time)."
    )
    assert summarize(passed_on) == "payments.refund: tier ceo is asked, pending"


def test_a_refused_call() -> None:
    refused = decided(2, "REJECTED", rejection="POLICY_DENIED", rejection_metadata={"rule": "ask"})
    told = narrate_tool_call([refused], audit_record_pb2.TOOL_CALL_STATE_REJECTED)
    assert told[-2:] == ["Refused: POLICY_DENIED (rule=ask).", "Order: the call has not been granted."]


def test_a_replayed_call() -> None:
    earlier = {"earlier_call": "grt_1", "earlier_state": SUCCEEDED}
    told = narrate_tool_call([decided(2, "REPLAYED", earlier)], SUCCEEDED)
    assert "An earlier call of another agent with this key, grt_1: happened." in told
    assert "The recorded result of the earlier call was given again; nothing was granted." in told


def test_what_is_not_over_says_so() -> None:
    granted = decided(2, "AUTHORIZED")
    assert narrate_tool_call([granted], OPEN)[-3:] == [
        "Granted, with the arguments as requested.",
        "The grant is still open: no outcome has been reported.",
        "Order: granted in record 2; no outcome has been reported.",
    ]
    pending = narrate_tool_call([decided(2, "PENDING"), ended(3, "EXPIRED", "nobody decided in time")], PENDING)
    assert pending[-3:-1] == [
        f"2026-11-18 11:06:43.000 UTC: approval approvals/{APPROVAL} is expired (nobody decided in time).",
        "Still waiting for people.",
    ]
    unknown = narrate_tool_call([granted, completed(3, "UNKNOWN", reason="the grant expired")], UNKNOWN)
    assert unknown[-3] == (
        "2026-11-18 11:06:43.000 UTC: completed: nobody knows whether it happened (the grant expired)."
    )
    corrected = narrate_tool_call([granted, completed(3, "FAILED", before=UNKNOWN)], SUCCEEDED)
    assert corrected[-2] == "2026-11-18 11:06:43.000 UTC: corrected: it did not happen."


def test_the_order_is_read_from_the_sequences() -> None:
    assert order_of_permission([completed(3)]).startswith("Order: VIOLATED: an outcome is reported in record 3")
    late = [decided(2, "AUTHORIZED"), voted(3, "asha", 0)]
    assert order_of_permission(late) == "Order: VIOLATED: granted in record 2, but votes are in records 3."
    early = [completed(1), decided(2, "AUTHORIZED")]
    assert order_of_permission(early) == (
        "Order: VIOLATED: granted in record 2, but the outcome is reported in record 1."
    )


def test_summaries_are_one_line() -> None:
    pending, asha, ben, granted, consumed, over = approved_call()
    assert [summarize(one) for one in (pending, asha, ben, granted, consumed, over)] == [
        "payments.refund: waits for high, rule ask",
        "payments.refund: asha approved, pending, missing 1 of finance",
        "payments.refund: ben approved, approved",
        "payments.refund: granted, changed /amount, rule ask",
        "payments.refund: consumed",
        "payments.refund: it happened",
    ]
    assert summarize(decided(2, "REJECTED", rejection="POLICY_DENIED")) == "payments.refund: POLICY_DENIED, rule ask"


def test_text_from_agents_cannot_act_on_a_terminal() -> None:
    told = narrate_tool_call([decided(2, "AUTHORIZED", {"session": "a\x1b[2J\nOrder: faked"})], OPEN)
    assert all(sentence.isprintable() for sentence in told)


def test_a_call_is_explained_by_its_grant_or_its_approval_while_it_is_open_and_afterwards() -> None:
    for is_open, state in ((True, OPEN), (False, SUCCEEDED)):
        store = stored(is_open=is_open)
        for name in (CALL, f"approvals/{APPROVAL}"):
            explained = explain(AuditLog(store), Invocations(store), name)
            assert explained is not None
            assert (explained.invocation, explained.tool_call_state, explained.state) == (CALL, state, 0)
            assert [event.record.sequence for event in explained.events] == [2, 3, 4, 5, 6, 7]
            assert explained.narrative[-1].startswith("Order: votes in records 3, 4")
    assert explain(AuditLog(FakeStore()), Invocations(FakeStore()), CALL) is None


def test_the_records_of_a_call_are_listed() -> None:
    store = stored(is_open=False)
    request = audit_service_pb2.ListEventsRequest(
        filter=audit_service_pb2.EventFilter(invocation=CALL), descending=True
    )
    page = Listing(AuditLog(store), Invocations(store)).page(request, None)
    assert [event.record.sequence for event in page.events] == [7, 6, 5, 4, 3, 2]


def test_a_missing_record_is_said_in_the_story() -> None:
    store = stored(is_open=False)
    store.put(Family.AUDIT, keys.audit(4), None)
    explained = explain(AuditLog(store), Invocations(store), CALL)
    assert explained is not None
    assert explained.narrative[-1] == (
        "Record 4 of this invocation is missing from the log: run fairlead audit verify."
    )
