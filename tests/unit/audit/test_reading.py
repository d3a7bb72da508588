"""Finding invocations, positions and pages in the store."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.audit import listing
from fairlead.audit.consumers.model import Consumer
from fairlead.audit.consumers.store import ConsumerRecords, put
from fairlead.audit.explain import explain
from fairlead.audit.listing import MAX_PAGE_SIZE, Listing
from fairlead.audit.store import AuditLog, Invocations
from fairlead.audit.tokens import START, PageToken, Position
from fairlead.store import Family, keys
from fairlead.v1 import audit_record_pb2, audit_service_pb2
from tests.unit.audit.fakes import FakeStore
from tests.unit.audit.records import INVOCATION, OTHER, ended, log

LOG = log(30)


def filled() -> FakeStore:
    store = FakeStore()
    store.append(LOG)
    # The sidecar's own keys and other kinds of state stand between those of the tenants.
    store.put(Family.STATE, keys.FORMAT, b"1")
    store.put(Family.STATE, keys.budget_instance("acme", "run", "run=r-1"), b"budget")
    return store


def pages(store: FakeStore, request: audit_service_pb2.ListEventsRequest) -> list[list[int]]:
    listed = Listing(AuditLog(store), Invocations(store))
    token = None
    found = []
    while True:
        page = listed.page(request, token)
        found.append([event.record.sequence for event in page.events])
        if not page.next_page_token:
            return found
        token = PageToken.decode(page.next_page_token)


def sequences(store: FakeStore, request: audit_service_pb2.ListEventsRequest) -> list[int]:
    return [sequence for page in pages(store, request) for sequence in page]


def test_an_invocation_is_found_by_its_id_alone_open_or_ended() -> None:
    store = filled()
    for tenant in ("a", "acme", "globex", "zzz-long-tenant-name", "ümlaut"):
        for number in range(3):
            store.put_invocation(ended(f"inv_{number:032x}", tenant + "x"), is_open=number == 1)
    store.put_invocation(ended(INVOCATION, "acme"), is_open=True)
    store.put_invocation(ended(OTHER, "ümlaut"))
    found = Invocations(store)
    assert [getattr(found.find(name), "tenant", None) for name in (INVOCATION, OTHER)] == ["acme", "ümlaut"]
    for unknown in ("inv_" + "f" * 32, "inv_x", "", INVOCATION.upper(), INVOCATION + "0"):
        assert found.find(unknown) is None


def test_finding_costs_one_seek_for_each_tenant_not_for_each_invocation() -> None:
    class Counting(FakeStore):
        scans = 0

        def scan(self, *args, **bounds):  # type: ignore[no-untyped-def]
            self.scans += 1
            return super().scan(*args, **bounds)

    store = Counting()
    for number in range(300):
        store.put_invocation(ended(f"inv_{number:032x}", f"tenant-{number % 3}"))
    assert Invocations(store).find("inv_" + "f" * 32) is None
    assert store.scans <= 3 + 1 + 1


def test_the_newest_invocations_and_the_acknowledgements_are_witnesses() -> None:
    store = filled()
    assert (Invocations(store).last_sequence(), ConsumerRecords(store).furthest()) == (0, 0)
    store.put_invocation(ended(INVOCATION, "acme", [2, 3]))
    store.put_invocation(ended("inv_" + "f" * 32, "acme", [6, 9]))
    store.put_invocation(ended(OTHER, "globex", [4, 5]))
    assert Invocations(store).last_sequence() == 9
    for name, entry in (("collector", LOG[7]), ("b", LOG[1])):
        write = put(Consumer(name, Position.after(entry)))
        store.put(write.family, write.key, write.value)
    assert [one.name for one in ConsumerRecords(store).all()] == ["b", "collector"]
    # What older programs wrote: the position alone.
    store.put(Family.STATE, keys.subscriber("old"), Position.after(LOG[2]).packed())
    old = Consumer("old", Position.after(LOG[2]))
    assert {one.name: one for one in ConsumerRecords(store).all()}["old"] == old
    store.put(Family.STATE, keys.subscriber("odd"), b"not a position")
    assert ConsumerRecords(store).furthest() == 8


def test_a_position_is_in_the_log_only_with_its_hash() -> None:
    log_ = AuditLog(filled())
    assert log_.contains(START)
    assert log_.contains(Position.after(LOG[4]))
    assert log_.head_position() == Position.after(LOG[-1])
    assert not log_.contains(Position(5, bytes(8)))
    assert not log_.contains(Position(31, LOG[4].record_hash[:8]))
    assert not log_.contains(Position(0, b"12345678"))
    assert AuditLog(FakeStore()).head_position() == START


@given(st.integers(1, 40), st.booleans())
def test_pages_hold_everything_once_in_order(size: int, descending: bool) -> None:
    request = audit_service_pb2.ListEventsRequest(page_size=size, descending=descending)
    found = pages(filled(), request)
    everything = list(range(1, 31))
    assert [sequence for page in found for sequence in page] == (everything[::-1] if descending else everything)
    assert all(len(page) == size for page in found[:-1]) and 0 < len(found[-1]) <= size


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        (audit_service_pb2.EventFilter(tenant="globex"), [n for n in range(2, 31) if n % 4 in (0, 1)]),
        (audit_service_pb2.EventFilter(tenant="nobody"), []),
        (audit_service_pb2.EventFilter(kinds=[audit_record_pb2.EVENT_KIND_INVOCATION_SETTLED]), list(range(3, 31, 2))),
        (audit_service_pb2.EventFilter(invocation=INVOCATION), [2, 3, 6, 7]),
        (audit_service_pb2.EventFilter(invocation=INVOCATION, tenant="globex"), []),
        (audit_service_pb2.EventFilter(invocation=OTHER), []),
    ],
)
def test_filters(filter: audit_service_pb2.EventFilter, expected: list[int], descending: bool) -> None:
    store = filled()
    store.put_invocation(ended(sequences=[2, 3, 6, 7]))
    for size in (1, 3, 100):
        request = audit_service_pb2.ListEventsRequest(page_size=size, filter=filter, descending=descending)
        assert sequences(store, request) == (expected[::-1] if descending else expected)


def test_a_page_gives_up_looking_and_says_where_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MAX_LOOKED_AT", 10)
    filter = audit_service_pb2.EventFilter(kinds=[audit_record_pb2.EVENT_KIND_SIDECAR_STARTED])
    assert pages(filled(), audit_service_pb2.ListEventsRequest(filter=filter)) == [[1], [], []]


def test_a_page_stays_small_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MAX_PAGE_BYTES", 2 * len(LOG[1].record_bytes) + 1)
    found = pages(filled(), audit_service_pb2.ListEventsRequest(page_size=1000))
    assert [sequence for page in found for sequence in page] == list(range(1, 31))
    assert max(len(page) for page in found) <= 2


def test_page_sizes_have_a_default_and_a_maximum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "DEFAULT_PAGE_SIZE", 7)
    monkeypatch.setattr(listing, "MAX_PAGE_SIZE", 20)
    assert MAX_PAGE_SIZE == 1000
    assert len(pages(filled(), audit_service_pb2.ListEventsRequest())[0]) == 7
    assert len(pages(filled(), audit_service_pb2.ListEventsRequest(page_size=5000))[0]) == 20


def test_listed_events_are_linked() -> None:
    store = filled()
    listed = Listing(AuditLog(store), Invocations(store))
    for descending in (False, True):
        page = listed.page(audit_service_pb2.ListEventsRequest(descending=descending), None)
        for event in page.events:
            before = LOG[event.record.sequence - 2].record_hash if event.record.sequence > 1 else bytes(32)
            assert event.prev_hash == before


def test_an_explanation_has_the_records_in_order_and_names_the_missing_one() -> None:
    store = filled()
    store.put_invocation(ended(sequences=[3, 2]))
    known, found = AuditLog(store), Invocations(store)
    explained = explain(known, found, INVOCATION)
    assert explained is not None
    assert [event.record.sequence for event in explained.events] == [2, 3]
    assert explained.state == audit_record_pb2.INVOCATION_STATE_SETTLED
    assert explained.create_time.ToJsonString() == "2026-11-18T11:06:42Z"
    assert explained.narrative[-1].startswith("Order: the budgets were checked")
    store.put(Family.AUDIT, keys.audit(3), None)
    damaged = explain(known, found, INVOCATION)
    assert damaged is not None
    assert damaged.narrative[-1] == ("Record 3 of this invocation is missing from the log: run fairlead audit verify.")
    assert explain(known, found, OTHER) is None


def test_an_explanation_never_tells_another_invocations_records() -> None:
    store = filled()
    store.put_invocation(ended(sequences=[1, 2, 3, 4]))
    explained = explain(AuditLog(store), Invocations(store), INVOCATION)
    assert explained is not None
    assert [event.record.sequence for event in explained.events] == [1, 2, 3]
