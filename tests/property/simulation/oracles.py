"""What has to hold whatever happened.

| oracle | when |
|---|---|
| acknowledged ⇒ durable | after every restart |
| the books: what is held is under the limit, queues and timers are what the runs say | after every restart |
| an effect is done once per key, or as often as it was taken back and once more | at the end |
| a step that has succeeded is not leased again, and a run ends once | at the end, from the log |
| nothing is held any more, and what is spent is what the log tells | at the end |
| an interrupted run has the result of one that nobody interrupted | at the end |
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from fairlead.approval.store import Approvals
from fairlead.audit.model import parse_record
from fairlead.audit.store import AuditLog
from fairlead.audit.verification import verify_store
from fairlead.internal.v1 import command_pb2, workflow_pb2
from fairlead.store import keys
from fairlead.v1 import audit_record_pb2, run_pb2
from tests.property.simulation.ground import Ground, step_name

KIND = audit_record_pb2.EventKind
_State = run_pb2
_FAILED = (_State.RUN_STATE_FAILED, _State.RUN_STATE_COMPENSATED)


def what_was_acknowledged_is_there(world: Ground) -> None:
    """Called after every restart."""
    runs, store, told = world.runs, world.sidecar.store, world.told
    ids = {name: run_id(name) for name in told.runs.values()}
    for name, id in ids.items():
        assert runs.record("acme", id) is not None, f"{name} was acknowledged and is gone"
    for (name, request), id in [(one, run_id(one[0])) for one in told.signals]:
        record = runs.record("acme", id)
        assert record is not None and request in record.signal_requests, f"{request} of {name} is gone"
    steps: dict[str, dict[str, workflow_pb2.StepRecord]] = {}
    for name, step in (*told.results, *told.acting, *told.leased):
        if name not in steps:
            steps[name] = steps_of(world, name)
        assert step in steps[name], f"{step} of {name} is gone"
    for (name, step), output in told.results.items():
        found = steps[name][step]
        assert found.output.json == output, f"the acknowledged result of {step} of {name} is {found.output.json!r}"
    for (name, step), epoch in (*told.acting.items(), *told.leased.items()):
        assert steps[name][step].epoch >= epoch, f"epoch {epoch} of {step} of {name} may be given again"
    for approval, operator in told.votes:
        stored = Approvals(store).get(keys.approval_id_bytes(approval) or b"")
        assert stored is not None and operator in {vote.operator for vote in stored.approval.votes}, approval


def the_books_are_right(world: Ground) -> None:
    """Called after every restart."""
    assert world.sidecar.apply(world.clock, reconcile=command_pb2.Reconcile()).repaired == 0, "something was repaired"
    for view in budgets(world):
        for unit in ("nano_usd", "tokens", "requests"):
            limit, used = getattr(view.limit, unit), getattr(view.spent, unit) + getattr(view.reserved, unit)
            assert not limit or used <= limit, view


def everything_ended_well(world: Ground) -> None:
    """Called when no run is open any more. The runs ended, and what acts on the world acted once."""
    verified = verify_store(world.sidecar.store)
    assert verified.valid, verified.problem
    started = {found.record.run for found in world.runs.newest("acme") if not found.record.parent}
    assert {f"runs/{run}" for run in started} == set(world.told.runs.values()), (
        "a request was done twice, or not at all"
    )
    for key, times in world.effects.items():
        assert times <= 1 + world.undone[key], f"`{key}` was done {times} times, taken back {world.undone[key]} times"
    for found in world.runs.newest("acme"):
        if found.record.state != _State.RUN_STATE_SUCCEEDED:
            continue
        definition = world.workflows[found.record.workflow]
        for step in world.runs.steps("acme", found.run):
            task = definition.steps[step.step].task
            acted = step.state == _State.STEP_STATE_SUCCEEDED and task.effect == _State.STEP_EFFECT_SIDE_EFFECT
            if acted:
                key = step.idempotency_key or f"{found.record.run}/{step_name(definition, step)}"
                assert world.effects[key] == 1, f"`{key}` has a result and was done {world.effects[key]} times"


def the_log_tells_the_same(world: Ground) -> None:
    """Called when no run is open any more. From the log alone."""
    succeeded: set[tuple[str, str]] = set()
    ended: Counter[str] = Counter()
    signals: Counter[tuple[str, str]] = Counter()
    # A settlement after the end of a hold takes its place.
    charged: dict[str, int] = {}
    for record in log(world):
        assert record.kind != KIND.EVENT_KIND_RUN_REPAIRED, record
        step = (record.step.run, record.step.step)
        if record.kind == KIND.EVENT_KIND_STEP_LEASED and not record.step.compensation:
            assert step not in succeeded, f"it ran again after its success: {record}"
        elif record.kind == KIND.EVENT_KIND_STEP_SUCCEEDED:
            assert step not in succeeded, f"it succeeded twice: {record}"
            succeeded.add(step)
        elif record.kind == KIND.EVENT_KIND_RUN_ENDED:
            ended[record.run.run] += 1
        elif record.kind == KIND.EVENT_KIND_RUN_SIGNALLED:
            signals[record.run.run, record.run.signal] += 1
        elif record.kind == KIND.EVENT_KIND_INVOCATION_SETTLED:
            charged[record.invocation] = record.settlement.charged.nano_usd
        elif record.kind in (KIND.EVENT_KIND_INVOCATION_EXPIRED, KIND.EVENT_KIND_INVOCATION_RELEASED):
            charged[record.invocation] = record.hold_ended.charged.nano_usd
    assert set(ended.values()) <= {1} and len(ended) == sum(1 for _ in world.runs.newest("acme"))
    assert set(signals.values()) <= {1}, "a repeated signal counted twice"
    for view in budgets(world):
        assert (view.reserved.nano_usd, view.reserved.tokens, view.reserved.requests) == (0, 0, 0), view
        if view.budget == "tenant":
            assert view.spent.nano_usd == sum(charged.values()), "the budget is not what the log tells"


def same_as_uninterrupted(world: Ground, reference: Ground) -> None:
    """The runs of both have the same results. Those that somebody cancelled are left out, and those that failed may
    have been at different places then."""
    for request, name in world.told.runs.items():
        if name in world.cancelled:
            continue
        ours, theirs = result_of(world, name), result_of(reference, reference.told.runs[request])
        assert ours == theirs, f"{name} ({request}) has {ours}, uninterrupted {theirs}"


def result_of(world: Ground, name: str) -> tuple[str, bytes]:
    """How a run ended, and its output."""
    record = world.runs.record("acme", run_id(name))
    assert record is not None
    if record.state in _FAILED:
        return "failed", b""
    return _State.RunState.Name(record.state), world.runs.payload("acme", record.output)


def steps_of(world: Ground, name: str) -> dict[str, workflow_pb2.StepRecord]:
    """The stored steps of a run by name."""
    record = world.runs.record("acme", run_id(name))
    assert record is not None, f"{name} is gone"
    definition = world.workflows[record.workflow]
    return {step_name(definition, step): step for step in world.runs.steps("acme", run_id(name))}


def run_id(name: str) -> bytes:
    """The 16 bytes of a run's name."""
    id = keys.run_id_bytes(name.removeprefix("runs/"))
    assert id is not None, name
    return id


def budgets(world: Ground) -> list[command_pb2.BudgetView]:
    """All budget instances."""
    query = command_pb2.SnapshotQuery(limit=1000).SerializeToString()
    return list(command_pb2.Snapshot.FromString(world.sidecar.core.snapshot(query)).budgets)


def log(world: Ground) -> Iterator[audit_record_pb2.AuditRecord]:
    """The audit log."""
    stored, sequence = AuditLog(world.sidecar.store), 0
    while records := stored.after(sequence, 512, 1 << 20):
        for one in records:
            sequence = one.sequence
            yield parse_record(one.record_bytes)
