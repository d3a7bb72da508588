"""Runs that an earlier version left in every state that waits: this one takes each of them to its end.

`runs/make.py` made the archives, `format-1.tar.gz` the first version that had runs. What somebody outside holds, the
lease of a worker, a ticket, the request id of a start, counts after the upgrade as it did before.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fairlead.approval.store import Approvals
from fairlead.audit.verification import verify_store
from fairlead.internal.v1 import command_pb2
from fairlead.store import keys, open_store
from fairlead.v1 import approval_service_pb2, run_pb2, worker_service_pb2, workflow_service_pb2
from fairlead.workflow.store import Runs
from tests.golden.runs.make import BOT, LARGE, NOW, attempt_of, complete, definitions, lease, run_id, start
from tests.property.simulation.mortal import Sidecar
from tests.unit.workflow.life import config_of

ARCHIVES = sorted((Path(__file__).parent / "runs").glob("*.tar.gz"))
SECOND, HOUR = 10**9, 3600 * 10**9
OK = run_pb2.RUN_STATE_SUCCEEDED


@pytest.fixture(params=ARCHIVES, ids=lambda path: path.name)
def written(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    """The data directory of an archive, and what is in it."""
    with tarfile.open(request.param) as archive:
        archive.extractall(tmp_path, filter="data")
    (tmp_path / "data").rename(tmp_path / "life-1")
    return tmp_path, json.loads((tmp_path / "contents.json").read_text())


@pytest.fixture
def upgraded(written: tuple[Path, dict[str, Any]]) -> Iterator[tuple[Sidecar, dict[str, Any]]]:
    """A sidecar of this version, a moment later, on the data of the other one."""
    directory, contents = written
    sidecar = Sidecar(directory, config_of(*definitions()))
    sidecar.begin(NOW + SECOND)
    yield sidecar, contents
    sidecar.end(power=False)


def test_what_waited_goes_on_and_ends(upgraded: tuple[Sidecar, dict[str, Any]]) -> None:
    sidecar, contents = upgraded
    runs, now = contents["runs"], NOW + SECOND
    assert sidecar.apply(now, reconcile=command_pb2.Reconcile()).repaired == 0
    [asked] = [Approvals(sidecar.store).get(one) for one in Approvals(sidecar.store).open_ids("acme")]
    assert asked is not None and asked.approval.name == f"approvals/{contents['approval']}"
    assert json.loads(asked.approval.arguments) == {"size": len(LARGE)}
    vote = command_pb2.DecideApproval(
        approval=contents["approval"],
        decision=approval_service_pb2.APPROVAL_DECISION_APPROVE,
        reason="all there",
        digest=asked.approval.digest,
    )
    sidecar.apply(now, command_pb2.Caller(operator="asha"), decide_approval=vote)
    signal = workflow_service_pb2.SignalRunRequest(request_id="s-2", name=runs["signal"], signal="go", payload=b"2")
    sidecar.apply(now, BOT, signal_run=signal)
    complete(sidecar, attempt_of(lease(sidecar, "a", now)), "then", now)
    # The worker that had the lease before has it still.
    kept = worker_service_pb2.AttemptRef(run=runs["act"], step="act", **contents["acting"])
    complete(sidecar, kept, "acted", now)
    complete(sidecar, attempt_of(lease(sidecar, "kids", now)), "grown", now)
    for output in ("second", "third"):
        complete(sidecar, attempt_of(lease(sidecar, "items", now)), output, now)
    resume = workflow_service_pb2.ResumeRunRequest(request_id="p-2", name=runs["paused"])
    sidecar.apply(now, BOT, resume_run=resume)
    complete(sidecar, attempt_of(lease(sidecar, "acting", now)), "resumed", now)
    now = NOW + HOUR
    assert sidecar.apply(now, expire=command_pb2.Expire()).expired
    flaky = lease(sidecar, "flaky", now)
    assert (flaky.attempt, flaky.epoch) == (2, 2)
    complete(sidecar, attempt_of(flaky), "better", now)
    stored = Runs(sidecar.store)
    outputs = {}
    for name, run in runs.items():
        record = stored.record("acme", run_id(run))
        assert record is not None and record.state == OK, f"{name}: {record}"
        outputs[name] = json.loads(stored.payload("acme", record.output))
    document = {"approved": True, "by": ["asha"], "document": {"size": len(LARGE)}}
    assert outputs == {
        "gate": {"review": document},
        "signal": {"then": "then"},
        "act": {"act": "acted"},
        "pay": {"pay": {"paid": 7}},
        "parent": {"sub": {"work": "grown"}},
        "items": {"each": ["first", "second", "third"]},
        "again": {"flaky": "better"},
        "later": {"pause": None},
        "paused": {"act": "resumed"},
    }
    assert command_pb2.Snapshot.FromString(sidecar.core.snapshot()).open_runs == 0
    assert verify_store(sidecar.store).valid


def test_what_was_done_is_not_done_again(upgraded: tuple[Sidecar, dict[str, Any]]) -> None:
    sidecar, contents = upgraded
    runs, now = contents["runs"], NOW + SECOND
    # The same request is the same run, and the same key the same payment.
    assert start(sidecar, "pay", "pay", now, n=1) == runs["pay"]
    again = start(sidecar, "pay", "pay-again", now, n=1)
    [step] = Runs(sidecar.store).steps("acme", run_id(again))
    assert (step.state, step.replayed, json.loads(step.output.json)) == (
        run_pb2.STEP_STATE_SUCCEEDED,
        True,
        {"paid": 7},
    )


def test_without_a_daemon_it_is_read_as_it_is(written: tuple[Path, dict[str, Any]]) -> None:
    directory, contents = written
    (directory / "life-1" / "daemon.lock").touch()
    with open_store(directory / "life-1", read_only=True) as store:
        assert verify_store(store).valid
        runs = Runs(store)
        found = {f"runs/{one.record.run}" for one in runs.newest("acme") if not one.record.parent}
        assert found == set(contents["runs"].values())
        assert sum(len(runs.events("acme", run_id(name))) for name in found) == contents["sequence"]
        large = next(iter(runs.steps("acme", run_id(contents["runs"]["gate"]))))
        assert json.loads(runs.payload("acme", large.output)) == LARGE
        assert keys.run_id_bytes(large.output.run) == run_id(contents["runs"]["gate"])
