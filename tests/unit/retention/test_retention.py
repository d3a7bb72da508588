"""What is old goes, as a whole and recorded; what protects from a repetition stays as long as it has to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.audit.explain import explain
from fairlead.audit.model import parse_record
from fairlead.audit.store import AuditLog, Invocations
from fairlead.audit.verification import verify_store
from fairlead.config.sections.retention import Retention
from fairlead.control.errors import Refusal
from fairlead.internal.v1 import command_pb2, state_pb2
from fairlead.retention.model import DAY_NANOS, NANOS_PER_MILLI, Cutoffs
from fairlead.retention.service import RetentionService
from fairlead.retention.store import SLICE_CALLS, old_calls, remove_calls
from fairlead.store import Family, StoreUnavailable, keys
from fairlead.v1 import approval_service_pb2, gate_service_pb2
from tests.golden.store.make import Sidecar, fill

DAY_MILLIS = 86_400_000
EVERYTHING = Retention.model_construct(invocations=7 * DAY_MILLIS, tool_calls=30 * DAY_MILLIS)
SUCCEEDED, FAILED, UNKNOWN = (
    gate_service_pb2.TOOL_OUTCOME_SUCCEEDED,
    gate_service_pb2.TOOL_OUTCOME_FAILED,
    gate_service_pb2.TOOL_OUTCOME_UNKNOWN,
)
_Result = TypeVar("_Result")


class AtOnce:
    """A writer that always stands between two batches; it can be told to break off."""

    def __init__(self) -> None:
        self.pauses = 0
        self.breaks_after = 1_000_000

    def between_batches(self, work: Callable[[], _Result]) -> Future[_Result]:
        result: Future[_Result] = Future()
        self.pauses += 1
        if self.pauses > self.breaks_after:
            result.set_exception(StoreUnavailable("no space"))
        else:
            result.set_result(work())
        return result


class Life:
    """A sidecar and its sweeps, with one clock."""

    def __init__(self, data: Path) -> None:
        self.sidecar = Sidecar(data)
        self.store = self.sidecar.store
        self.writer = AtOnce()
        self.unread: int | None = None

    def pass_days(self, days: int) -> None:
        """Time passes; holds, grants and approvals whose time has come end."""
        self.sidecar.now += days * DAY_NANOS
        self.sidecar.result(expire=command_pb2.Expire())

    def sweep(self, kept: Retention = EVERYTHING) -> None:
        """One sweep."""
        service = RetentionService(
            self.sidecar, self.store, self.writer, lambda: kept, lambda: self.sidecar.now, self.unread_since
        )
        asyncio.run(service.sweep())

    async def unread_since(self) -> int | None:
        """Since when a consumer has something to read."""
        return self.unread

    def records(self) -> list[dict[str, Any]]:
        """What the log says about sweeps; the log has to hold."""
        assert verify_store(self.store).valid
        found = []
        for stored in AuditLog(self.store).after(0, 10_000, 1 << 30):
            record = parse_record(stored.record_bytes)
            if record.control_changed.subject == "retention.swept":
                assert (record.tenant, record.operator) == ("", "")
                found.append(dict(record.control_changed.detail))
        return found

    def explained(self, name: str) -> bool:
        """Whether an invocation, a call or an approval is still known."""
        return explain(AuditLog(self.store), Invocations(self.store), name) is not None

    def authorized(self, key: str, amount: int = 10, **fields: Any) -> command_pb2.CommandResult:
        """Asks for a refund, whatever the answer is."""
        request = gate_service_pb2.AuthorizeToolRequest(
            request_id=f"again-{self.sidecar.now}",
            tool="payments.refund",
            arguments=b'{"amount": %d}' % amount,
            idempotency_key=key,
            session="s-1",
            **fields,
        )
        return self.sidecar.result(authorize_tool=request)


@pytest.fixture
def life(tmp_path: Path) -> Any:
    life = Life(tmp_path / "data")
    yield life
    life.store.close()


def test_nothing_goes_unless_the_configuration_says_so(life: Life) -> None:
    contents = fill(life.sidecar)
    life.pass_days(5000)
    life.sweep(Retention())
    assert all(map(life.explained, [*contents["invocations"].values(), *contents["calls"].values()]))
    assert life.records() == [] and life.writer.pauses == 0


def test_old_invocations_go_and_the_log_stays(life: Life) -> None:
    old = fill(life.sidecar)["invocations"]
    life.pass_days(7)
    new = life.sidecar.admit("new")
    life.sidecar.result(release=gate_service_pb2.ReleaseRequest(request_id="new-end", invocation=new))
    # The day has to be over.
    life.sweep()
    assert all(map(life.explained, old.values())) and life.records() == []
    life.pass_days(1)
    life.sweep()
    assert not any(map(life.explained, old.values()))
    assert life.explained(new)
    (swept,) = life.records()
    assert list(swept) == ["invocations_before"] and swept["invocations_before"].endswith("T00:00:00Z")
    # Nothing more to do on that day, and nothing to record.
    life.sweep()
    assert len(life.records()) == 1
    late = gate_service_pb2.ReleaseRequest(request_id="late", invocation=old["open"])
    assert life.sidecar.result(release=late).rejection.reason == "NOT_FOUND"
    budgets = command_pb2.SnapshotQuery(limit=10).SerializeToString()
    spent = {
        view.budget: view.spent for view in command_pb2.Snapshot.FromString(life.sidecar.snapshot(budgets)).budgets
    }
    assert spent["life"].nano_usd > 0, "what was charged stays charged"


def test_what_a_consumer_has_not_read_of_stays(life: Life) -> None:
    contents = fill(life.sidecar)
    life.unread = life.sidecar.now
    life.pass_days(100)
    life.sweep()
    assert all(map(life.explained, [*contents["invocations"].values(), *contents["calls"].values()]))
    assert life.records() == []
    life.unread = None
    life.sweep()
    assert not life.explained(contents["calls"]["succeeded"])


def test_an_open_hold_stays_however_old_it_is(life: Life) -> None:
    opened = life.sidecar.admit("open")
    life.sidecar.now += 100 * DAY_NANOS
    life.sweep()
    assert life.explained(opened)


def test_calls_go_with_their_keys_and_approvals(life: Life) -> None:
    contents = fill(life.sidecar)
    calls, approvals = contents["calls"], contents["approvals"]
    life.pass_days(4)
    life.pass_days(32)
    life.sweep()
    assert [name for name, call in calls.items() if life.explained(call)] == ["unknown", "granted"]
    assert not any(map(life.explained, approvals.values()))
    assert not list(life.store.scan(Family.APPROVALS))
    assert [sorted(swept) for swept in life.records()] == [["invocations_before"], ["tool_calls_before"]]
    # Every key that is left names a call that is there, and the other way round.
    left = list(life.store.scan(Family.TOOLS))
    names = {state_pb2.ToolKeyRecord.FromString(value).call for key, value in left if key[6:7] == b"k"}
    there = {state_pb2.ToolCallRecord.FromString(value).call for key, value in left if key[6:7] == b"c"}
    assert names == there == {calls["unknown"], calls["granted"]}
    # A forgotten key is a new one; what nobody knows is as safe as before.
    assert life.authorized("succeeded").tool_authorized.granted.grant not in ("", calls["succeeded"])
    assert life.authorized("unknown").rejection.reason == "INVALID_STATE"
    assert life.authorized("granted").rejection.reason == "INVALID_STATE", "nobody completed it: UNKNOWN"
    ticket = approvals["consumed"].replace("approvals/apr_", "tkt_")
    assert life.authorized("consumed", 1000, ticket=ticket).rejection.reason == "NOT_FOUND"
    completion = gate_service_pb2.CompleteToolRequest(request_id="late", grant=calls["failed"], outcome=SUCCEEDED)
    assert life.sidecar.result(complete_tool=completion).rejection.reason == "NOT_FOUND"


def test_a_call_is_as_old_as_its_end(life: Life) -> None:
    unknown = life.sidecar.authorize("told-late", 10).granted.grant
    life.sidecar.complete(unknown, UNKNOWN)
    life.pass_days(100)
    life.sidecar.complete(unknown, SUCCEEDED, b"1")
    life.sweep()
    assert life.authorized("told-late").tool_authorized.replayed.grant == unknown
    life.pass_days(32)
    life.sweep()
    assert not life.explained(unknown)


def test_a_key_stays_when_it_names_a_later_call(life: Life) -> None:
    first = life.sidecar.authorize("key", 10).granted.grant
    life.sidecar.complete(first, FAILED)
    life.pass_days(20)
    second = life.sidecar.authorize("key", 10).granted.grant
    life.sidecar.complete(second, SUCCEEDED, b'"second"')
    life.pass_days(12)
    life.sweep()
    assert (life.explained(first), life.explained(second)) == (False, True)
    assert life.authorized("key").tool_authorized.replayed.result == b'"second"'


def test_a_grant_that_is_decided_but_not_yet_written_keeps_its_key(life: Life) -> None:
    """The sweep looks at what is written; what the engine has decided meanwhile is written behind it."""
    failed = life.sidecar.authorize("key", 10).granted.grant
    life.sidecar.complete(failed, FAILED)
    life.pass_days(32)
    old = list(old_calls(life.store, life.sidecar.now - 30 * DAY_NANOS))
    assert [one.call for one in old] == [failed]
    core, written = life.sidecar.core, []
    take = core.next_batch

    class Held:
        """The core, whose batches wait."""

        def __getattr__(self, name: str) -> Any:
            return getattr(core, name)

        def next_batch(self, most: int, patience: int) -> Any:
            batch = take(most, patience)
            if batch is not None:
                written.append(batch)
            return None

    life.sidecar.core = Held()  # type: ignore[assignment]
    granted = life.sidecar.authorize("key", 10).granted.grant
    remove_calls(life.store, old)
    life.sidecar.core = core
    for unit, _, writes in written:
        life.store.write(writes)
        core.acknowledge(unit, unit, 1, 1)
    named = life.store.get(Family.TOOLS, keys.tool_key("acme", "key"))
    assert named is not None and state_pb2.ToolKeyRecord.FromString(named).call == granted
    assert life.authorized("key").rejection.reason == "INVALID_STATE", "it is under way"


def test_all_approvals_of_a_call_go_with_it(life: Life) -> None:
    """One that another took the place of as well: its ticket leads to the call."""
    asked = life.sidecar.authorize("asked", 1000).pending
    call = next(value for key, value in life.store.scan(Family.STATE) if key.startswith(b"\0\4acmet"))
    record = state_pb2.ToolCallRecord.FromString(call)
    life.pass_days(4)
    life.pass_days(32)
    earlier = state_pb2.ApprovalRecord.FromString(next(life.store.scan(Family.APPROVALS))[1])
    assert earlier.approval.state == approval_service_pb2.APPROVAL_STATE_EXPIRED
    # As when the policy has asked for more since: the call names the later one only.
    later = keys.approval_id_bytes("apr_" + "f" * 32)
    call_key = keys.tool_call_id_bytes(record.call)
    assert later is not None and call_key is not None
    ended = state_pb2.ToolCallRecord.FromString(life.store.get(Family.TOOLS, keys.tool_call("acme", call_key)) or b"")
    ended.approval = "apr_" + "f" * 32
    life.store.write(
        [
            (Family.TOOLS, keys.tool_call("acme", call_key), ended.SerializeToString()),
            (Family.APPROVALS, keys.approval(later), earlier.SerializeToString()),
        ]
    )
    life.sweep()
    assert asked.approval and not list(life.store.scan(Family.APPROVALS))


def test_many_calls_go_in_slices_and_a_sweep_that_broke_off_goes_on(life: Life) -> None:
    for number in range(3 * SLICE_CALLS):
        life.sidecar.complete(life.sidecar.authorize(f"key-{number}", 1).granted.grant, FAILED)
    life.pass_days(32)
    life.writer.breaks_after = 2
    with pytest.raises(StoreUnavailable):
        life.sweep(Retention.model_construct(tool_calls=30 * DAY_MILLIS))
    assert len(list(life.store.scan(Family.TOOLS))) == 2 * SLICE_CALLS
    life.writer.breaks_after = 1_000_000
    life.sweep(Retention.model_construct(tool_calls=30 * DAY_MILLIS))
    assert not list(life.store.scan(Family.TOOLS))
    assert len(life.records()) == 2, "each sweep says what it was about to remove"
    assert life.writer.pauses == 3 + 1


def test_nothing_goes_that_cannot_be_recorded(life: Life) -> None:
    released = life.sidecar.admit("old")
    life.sidecar.result(release=gate_service_pb2.ReleaseRequest(request_id="old-end", invocation=released))
    life.pass_days(10)
    # The clock is set back by more than is bridged.
    now, life.sidecar.now = life.sidecar.now, life.sidecar.now - DAY_NANOS
    with pytest.raises(Refusal, match="clock"):
        life.sweep()
    assert life.explained(released) and life.writer.pauses == 0
    life.sidecar.now = now
    life.sweep()
    assert not life.explained(released)


@given(now=st.integers(0, 1 << 62), kept=st.integers(1, 3660 * DAY_MILLIS))
def test_a_cutoff_is_the_beginning_of_a_day_that_is_over(now: int, kept: int) -> None:
    cutoffs = Cutoffs.of(now, kept, None)
    assert cutoffs.tool_calls == 0
    assert cutoffs.invocations % DAY_NANOS == 0
    assert cutoffs.invocations == 0 or 0 <= now - kept * NANOS_PER_MILLI - cutoffs.invocations < DAY_NANOS
