"""Makes a data directory with runs in every state that waits, as an archive that later versions have to open.

    python -m tests.golden.runs.make tests/golden/runs/NAME.tar.gz

`contents.json` in it says what somebody outside holds: names, leases, approvals. `test_run_format.py` goes on from
there. An archive is never made anew; a version that changes the layout of runs adds one of the last version before it.
"""

from __future__ import annotations

import io
import json
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from fairlead.approval.store import Approvals
from fairlead.internal.v1 import command_pb2, workflow_pb2
from fairlead.store import keys
from fairlead.v1 import run_pb2, worker_service_pb2, workflow_service_pb2
from fairlead.workflow.store import Runs
from tests.property.simulation.mortal import Sidecar
from tests.unit.workflow.life import config_of, step, workflow

# Somewhere in 2025, in nanoseconds: whoever opens it must not think that the clock was set back.
NOW = 1_750_000_000 * 10**9
BOT = command_pb2.Caller(tenant="acme", agent="bot")
LARGE = "x" * 300_000
ACTS = run_pb2.STEP_EFFECT_SIDE_EFFECT


def definitions() -> list[workflow_pb2.WorkflowDefinition]:
    """One workflow for each kind of waiting."""
    each = step("each", "items", input='{"item":"${item}"}')
    each.for_each.items = '"${input.list}"'
    again = workflow_pb2.StepRetry(attempts=3, initial_millis=3_600_000, max_millis=3_600_000)
    return [
        workflow("gate", step("look", "a"), step("review", needs=("look",), approval=gate_of("look"))),
        workflow("signal", step("go", wait=workflow_pb2.WaitTask(signal="go")), step("then", "a", ("go",))),
        workflow("act", step("act", "acting", effect=ACTS)),
        workflow("pay", step("pay", "payer", effect=ACTS, idempotency_key='"pay/${input.n}"')),
        workflow("parent", step("sub", workflow=workflow_pb2.ChildTask(workflow="kid"))),
        workflow("kid", step("work", "kids")),
        workflow("items", each),
        workflow("again", step("flaky", "flaky", retry=again)),
        workflow("later", step("pause", wait=workflow_pb2.WaitTask(for_millis=3_600_000))),
    ]


def gate_of(needed: str) -> workflow_pb2.ApprovalTask:
    """People are shown the size of what comes before."""
    return workflow_pb2.ApprovalTask(tier="one", show=f'{{"size":"${{size(steps.{needed}.output)}}"}}')


def start(sidecar: Sidecar, name: str, request_id: str, now: int = NOW, **given: Any) -> str:
    """Starts a run, and looks its keys up as the front does; its name."""
    request = workflow_service_pb2.StartRunRequest(
        request_id=request_id, workflow=name, input=json.dumps(given).encode()
    )
    run = sidecar.apply(now, BOT, start_run=request).run.name
    for one in definitions():
        for place in one.steps if one.name == name and one.steps[0].task.idempotency_key else ():
            asked = command_pb2.ResolveStepKey(tenant="acme", run=run.removeprefix("runs/"), step=place.id)
            sidecar.apply(now, resolve_step_key=asked)
    return run


def lease(sidecar: Sidecar, queue: str, now: int = NOW) -> worker_service_pb2.StepLease:
    """The next step of a queue."""
    wish = worker_service_pb2.LeaseWish(worker="w-1", queues=[queue])
    [found] = sidecar.apply(now, BOT, lease_steps=worker_service_pb2.LeaseStepsRequest(wish=wish)).leased.leases
    return found


def attempt_of(lease: worker_service_pb2.StepLease) -> worker_service_pb2.AttemptRef:
    """Names the attempt."""
    return worker_service_pb2.AttemptRef(run=lease.run, step=lease.step, epoch=lease.epoch, lease=lease.lease)


def complete(sidecar: Sidecar, attempt: worker_service_pb2.AttemptRef, output: Any, now: int = NOW) -> None:
    """Ends an attempt with a result."""
    request = worker_service_pb2.CompleteStepRequest(attempt=attempt, output=json.dumps(output).encode())
    sidecar.apply(now, BOT, complete_step=request)


def fill(sidecar: Sidecar) -> dict[str, Any]:
    """Runs up to where they wait; what somebody outside knows of them."""
    runs = {"gate": start(sidecar, "gate", "gate")}
    complete(sidecar, attempt_of(lease(sidecar, "a")), LARGE)
    runs["signal"] = start(sidecar, "signal", "signal")
    early = workflow_service_pb2.SignalRunRequest(request_id="s-1", name=runs["signal"], signal="other", payload=b"1")
    sidecar.apply(NOW, BOT, signal_run=early)
    runs["act"] = start(sidecar, "act", "act")
    acting = attempt_of(lease(sidecar, "acting"))
    runs["pay"] = start(sidecar, "pay", "pay", n=1)
    complete(sidecar, attempt_of(lease(sidecar, "payer")), {"paid": 7})
    runs["parent"] = start(sidecar, "parent", "parent")
    runs["items"] = start(sidecar, "items", "items", list=[1, 2, 3])
    complete(sidecar, attempt_of(lease(sidecar, "items")), "first")
    runs["again"] = start(sidecar, "again", "again")
    failed = worker_service_pb2.FailStepRequest(attempt=attempt_of(lease(sidecar, "flaky")), code="FLAKY")
    sidecar.apply(NOW, BOT, fail_step=failed)
    runs["later"] = start(sidecar, "later", "later")
    runs["paused"] = start(sidecar, "act", "paused")
    pause = workflow_service_pb2.PauseRunRequest(request_id="p-1", name=runs["paused"])
    sidecar.apply(NOW, BOT, pause_run=pause)
    [approval] = Approvals(sidecar.store).open_ids("acme")
    return {
        "runs": runs,
        "acting": {"epoch": acting.epoch, "lease": acting.lease},
        "approval": f"apr_{approval.hex()}",
        "sequence": sum(len(Runs(sidecar.store).events("acme", run_id(name))) for name in runs.values()),
    }


def run_id(name: str) -> bytes:
    """The 16 bytes of a run's name."""
    id = keys.run_id_bytes(name.removeprefix("runs/"))
    assert id is not None, name
    return id


def main() -> None:
    """See the module."""
    with tempfile.TemporaryDirectory() as directory:
        sidecar = Sidecar(Path(directory), config_of(*definitions()))
        sidecar.begin(NOW)
        contents = json.dumps(fill(sidecar), indent=1).encode()
        sidecar.end(power=False)
        with tarfile.open(sys.argv[1], "w:gz") as archive:
            archive.add(Path(directory) / "life-2", "data", filter=_plain)
            entry = tarfile.TarInfo("contents.json")
            entry.size = len(contents)
            archive.addfile(entry, io.BytesIO(contents))


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Without what is of the machine that it was made on, and without RocksDB's own log."""
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    return None if Path(entry.name).name.startswith("LOG") else entry


if __name__ == "__main__":
    main()
