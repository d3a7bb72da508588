"""Old runs go whole and in small slices, and whatever cuts the sweep off is made up for by the next one."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.audit.verification import verify_store
from fairlead.control.errors import Refusal
from fairlead.internal.v1 import command_pb2, workflow_pb2
from fairlead.store import Family, keys
from fairlead.v1 import audit_record_pb2, run_pb2
from fairlead.workflow import retention
from fairlead.workflow.retention import DueRuns, RunRetention
from tests.unit.audit.records import T0, record
from tests.unit.workflow.fakes import HOUR, MINUTE, RunCore, definition, id_of, raw, run_record, step_record

SUCCEEDED, RUNNING = run_pb2.RUN_STATE_SUCCEEDED, run_pb2.RUN_STATE_RUNNING
LARGE = b'"' + b"x" * 1000 + b'"'


class Core(RunCore):
    """Counts what goes through it, appends the record of a control write, and can fail at any of them."""

    def __init__(self, *runs: workflow_pb2.RunRecord) -> None:
        super().__init__(*runs)
        self.fails_after: int | None = None
        self.looks = 0
        scan = self.store.scan

        def counted(family: Family, **bounds: object) -> object:
            self.looks += bounds.get("prefix") == keys.RUN
            return scan(family, **bounds)  # type: ignore[arg-type]

        self.store.scan = counted  # type: ignore[method-assign,assignment]

    def apply(self, command: bytes, now_unix_nanos: int | None = None, known: bytes | None = None) -> bytes:
        if self.fails_after is not None:
            self.fails_after -= 1
            if self.fails_after < 0:
                rejection = command_pb2.Rejection(reason="STORE_UNAVAILABLE", message="the disk is full")
                return command_pb2.CommandResult(rejection=rejection).SerializeToString()
        decoded = command_pb2.Command.FromString(command)
        answer = super().apply(command, now_unix_nanos, known)
        if decoded.control_write.HasField("record"):
            change = decoded.control_write.record
            self.append(
                record(len(self.log) + 1, "CONTROL_CHANGED", tenant=decoded.caller.tenant, control_changed=change)
            )
        return answer

    def left(self, run: str, tenant: str = "acme") -> list[bytes]:
        """Keys that belong to a run."""
        return [
            key for key in self.store.families[Family.RUNS] if raw(run) in key and keys.tenant_of_run(key) == tenant
        ]

    def add(self, made: workflow_pb2.RunRecord, *children: str, items: int = 2) -> str:
        """A run with steps, payloads and audit records."""
        steps = [step_record(1, item) for item in range(items)]
        steps += [step_record(5, item, child=child) for item, child in enumerate(children)]
        self.put(made, *steps)
        self.put_payload(made.tenant, made.run, LARGE)
        self.say(made, "RUN_STARTED", "RUN_ENDED")
        return made.run

    def changes(self) -> list[tuple[str, int, str]]:
        """Tenant, number of runs and roots of every sweep on record."""
        wanted = (one for one in self.log if one.kind == audit_record_pb2.EVENT_KIND_CONTROL_CHANGED)
        return [
            (one.tenant, int(one.control_changed.detail["runs"]), str(one.control_changed.detail["roots"]))
            for one in wanted
        ]


def due(number: int, tenant: str = "acme", at: int = T0 + HOUR, **fields: object) -> workflow_pb2.RunRecord:
    return run_record(number, tenant, **{"state": SUCCEEDED, "delete_time_unix_nanos": at, **fields})


def child(number: int, parent: int, root: int, tenant: str = "acme", **fields: object) -> workflow_pb2.RunRecord:
    given = {"parent": id_of(parent), "root": id_of(root), "state": SUCCEEDED, "delete_time_unix_nanos": T0, **fields}
    return run_record(number, tenant, **given)


def sweep(core: Core, **bounds: int) -> int:
    return asyncio.run(RunRetention(core, core.store, lambda: core.now, **bounds).sweep())


def test_what_is_due_goes_with_all_that_belongs_to_it_and_nothing_else_does() -> None:
    core = Core()
    core.now = T0 + 2 * HOUR
    gone = [core.add(due(1)), core.add(due(2, "globex"))]
    kept = [
        core.add(due(3, at=T0 + 3 * HOUR)),
        core.add(due(4, at=0)),
        core.add(run_record(5, state=RUNNING)),
        # The same time, to the nanosecond, of another run.
        core.add(due(6, at=core.now + 1)),
    ]
    before = {run: core.left(run) for run in kept}
    assert sweep(core) == 2
    assert [core.left(run, tenant) for run, tenant in zip(gone, ("acme", "globex"), strict=True)] == [[], []]
    assert {run: core.left(run) for run in kept} == before
    assert sorted(core.changes()) == [("acme", 1, id_of(1)), ("globex", 1, id_of(2))]
    # The definition stays, and the log is whole and still has all that happened.
    assert core.store.get(Family.RUNS, keys.definition("77" * 32)) is not None
    assert verify_store(core.store).valid
    assert sweep(core) == 0 and len(core.changes()) == 2


def test_descendants_go_with_their_root_and_not_before_it() -> None:
    core = Core()
    family = [
        core.add(due(1, at=T0 + 5 * HOUR), id_of(2), id_of(3)),
        core.add(child(2, 1, 1), id_of(4)),
        core.add(child(3, 1, 1)),
        core.add(child(4, 2, 1)),
        # Of an attempt that no step names any more.
        core.add(child(5, 1, 1)),
    ]
    core.now = T0 + 4 * HOUR
    assert sweep(core) == 0
    core.now = T0 + 5 * HOUR
    retention = RunRetention(core, core.store, lambda: core.now)
    assert asyncio.run(retention.sweep()) == 4
    assert [bool(core.left(run)) for run in family] == [False, False, False, False, True]
    assert core.changes() == [("acme", 4, id_of(1))]
    # What its root has left behind is found at the next look.
    assert sweep(core) == 1 and not core.left(family[-1])


def test_a_root_with_a_child_that_has_not_ended_is_looked_at_later() -> None:
    core = Core()
    root = core.add(due(1), id_of(2))
    core.add(child(2, 1, 1, state=RUNNING))
    sweeping = RunRetention(core, core.store, lambda: core.now)
    assert asyncio.run(sweeping.sweep()) == 0
    core.put(child(2, 1, 1))
    assert asyncio.run(sweeping.sweep()) == 0
    core.now += HOUR
    assert asyncio.run(sweeping.sweep()) == 2 and not core.left(root)


def test_a_large_run_goes_in_slices_and_its_record_last() -> None:
    core = Core()
    run = core.add(due(1), items=50)
    assert sweep(core, slice_keys=10) == 1
    writes = [one.control_write for one in core.applied]
    assert [len(write.writes) for write in writes] == [10, 10, 10, 10, 10, 3, 1]
    assert [write.HasField("record") for write in writes] == [False] * 6 + [True]
    assert writes[-1].writes[0].key == keys.run("acme", raw(run)) and not any(write.power for write in writes)


@settings(max_examples=60)
@given(st.lists(st.integers(0, 12), max_size=4), st.integers(1, 8))
def test_a_sweep_that_is_cut_off_anywhere_is_made_up_for(cuts: list[int], slice_keys: int) -> None:
    core = Core()
    family = [
        core.add(due(1), id_of(2), id_of(3)),
        core.add(child(2, 1, 1), id_of(4)),
        core.add(child(3, 1, 1)),
        core.add(child(4, 2, 1)),
        core.add(due(5)),
    ]
    sweeping = RunRetention(core, core.store, lambda: core.now, slice_keys=slice_keys)
    for number, cut in enumerate(cuts):
        core.fails_after = cut
        try:
            asyncio.run(sweeping.sweep())
        except Refusal as refusal:
            assert refusal.reason == "STORE_UNAVAILABLE"
        if number % 2:
            # A restart instead of a store that comes back.
            sweeping = RunRetention(core, core.store, lambda: core.now, slice_keys=slice_keys)
    core.fails_after = None
    asyncio.run(sweeping.sweep())
    assert not any(core.left(run) for run in family)
    assert sorted(root for _, _, roots in core.changes() for root in roots.split()) == [id_of(1), id_of(5)]
    assert verify_store(core.store).valid


def test_all_runs_are_looked_at_only_when_that_can_bring_something() -> None:
    core = Core()
    core.put_definition(definition(version="66" * 32, keep_for_millis=24 * 3_600_000))
    for number in range(10):
        core.add(due(number, at=T0 + (30 + number) * HOUR))
    sweeping = RunRetention(core, core.store, lambda: core.now, max_remembered=4)
    core.now = T0 + 24 * HOUR

    def swept(hours: int) -> tuple[int, int]:
        core.now, looks = T0 + hours * HOUR, core.looks
        return asyncio.run(sweeping.sweep()), core.looks - looks

    assert swept(24) == (0, 1)
    assert swept(25) == (0, 0)
    assert swept(31) == (2, 0)
    # The fifth is due: more than the four that were remembered.
    assert swept(34) == (3, 1)
    # All that are left are known; nothing that has ended since can be due before a day has passed.
    core.add(due(20, at=T0 + 58 * HOUR))
    assert swept(50) == (5, 1)
    assert swept(57) == (0, 0)
    assert swept(75) == (1, 1)
    # A workflow with a shorter retention than all before.
    core.put_definition(definition(version="55" * 32, keep_for_millis=60_000))
    core.add(due(21, at=core.now + MINUTE))
    core.now += MINUTE
    assert asyncio.run(sweeping.sweep()) == 1


def test_a_backlog_does_not_have_everything_looked_at_for_each_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH_ROOTS", 2)
    core = Core(*(due(number) for number in range(20)))
    assert sweep(core) == 20
    assert core.looks <= 2
    assert [count for _, count, _ in core.changes()] == [2] * 10


def test_a_descendant_whose_root_is_not_named_is_kept() -> None:
    damaged = child(2, 1, 1)
    damaged.root = ""
    core = Core(damaged)
    assert DueRuns(core.store).take(core.now, 10) == []


def test_a_failure_is_tried_again_at_the_next_sweep(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        core = Core()
        core.add(due(1))
        core.fails_after = 0
        sweeping = RunRetention(core, core.store, lambda: core.now)
        done = asyncio.Event()
        count = sweeping.sweep

        async def counted() -> int:
            if any(getattr(record, "error", "") == "the disk is full" for record in caplog.records):
                core.fails_after = None
            found = await count()
            done.set()
            return found

        monkeypatch.setattr(sweeping, "sweep", counted)
        task = asyncio.ensure_future(sweeping.run(0.001))
        async with asyncio.timeout(10):
            await done.wait()
        task.cancel()
        assert not core.left(id_of(1))

    asyncio.run(test())
