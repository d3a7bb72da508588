"""A pod is deleted while holds, leases and approvals are open: with a claim all of it comes back in the next pod, with
an emptyDir it is gone and a copy of the log elsewhere has what was. And what probes in the container are told."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from fairlead.client import NotFound, ToolOutcome
from fairlead.v1 import run_pb2, worker_service_pb2

from . import people, runs
from .calls import Agent, budgets, refused
from .harness import MODELS, ROOT, Daemon
from .people import client, command, granted, pending, refund, vote

CONFIG = (
    people.CONFIG
    + MODELS
    + """\
budgets:
  - {name: tenant-life, scope: [tenant], limit: {usd: 1000}, window: lifetime}
workflows:
  - name: job
    unknownTier: high
    steps: [{id: only, agent: parser, effect: side_effect, timeouts: {lease: 10m}}]
"""
)


@dataclass(frozen=True)
class Open:
    """What is open when the pod is deleted."""

    invocation: str
    ticket: str
    approval: str
    run: str
    lease: worker_service_pb2.StepLease


@contextmanager
def pod(directory: Path) -> Iterator[Daemon]:
    with Daemon(directory, CONFIG, "--grace", "5s", environment=people.ENVIRONMENT) as daemon:
        yield daemon


def leave_open(daemon: Daemon) -> Open:
    invocation = Agent(daemon).admit("open").invocation
    with client(daemon) as agent:
        asked = pending(refund(agent, "refund/1"))
    worker = runs.Agent(daemon)
    run = worker.start("job")
    (lease,) = worker.lease("parser")
    return Open(invocation, asked.ticket, asked.approval, run, lease)


def money(daemon: Daemon) -> tuple[int, int]:
    """Spent and reserved, in nano-dollars."""
    budget = budgets(daemon)["tenant-life/-"]
    return budget.spent.nano_usd, budget.reserved.nano_usd


def test_with_a_claim_everything_that_was_open_comes_back_and_ends_as_usual(tmp_path: Path) -> None:
    with pod(tmp_path) as daemon:
        left = leave_open(daemon)
        before = money(daemon)
        assert before[1] > 0
        assert daemon.terminate() == 0
        daemon.start()
        assert money(daemon) == before
        Agent(daemon).settle("settled", left.invocation)
        assert money(daemon)[1] == 0 < money(daemon)[0]
        for who in ("asha", "ben"):
            vote(daemon, who, "approve", left.approval)
        with client(daemon) as agent:
            grant = granted(refund(agent, "refund/1", ticket=left.ticket))
            agent.complete_tool(grant.grant, ToolOutcome.SUCCEEDED, {"refund": "r-1"})
        # The worker that was in the same pod has gone; one elsewhere, or its own next life, may still hold the lease.
        runs.Agent(daemon).complete(left.lease, {"parsed": True})
        assert runs.Desk(daemon).run(left.run).state == run_pb2.RUN_STATE_SUCCEEDED
        assert command(daemon, "audit", "verify").returncode == 0


def test_with_an_emptydir_it_is_gone_and_a_copy_of_the_log_shows_what_was(tmp_path: Path) -> None:
    copied = tmp_path / "collected.jsonl"
    with pod(tmp_path) as daemon:
        left = leave_open(daemon)
        copied.write_text(command(daemon, "audit", "export").stdout)
        assert daemon.terminate() == 0
        # The next pod has a directory of its own.
        daemon.data.rename(tmp_path / "deleted-with-the-pod")
        daemon.start()
        assert budgets(daemon) == {} or money(daemon) == (0, 0)
        assert refused(lambda: Agent(daemon).settle("settled", left.invocation)).reason == "NOT_FOUND"
        with client(daemon) as agent:
            with pytest.raises(NotFound):
                agent.get_ticket(left.ticket)
            # The same key is asked for again: nobody knows that it was.
            assert pending(refund(agent, "refund/1")).approval != left.approval
        lost = refused(lambda: runs.Agent(daemon).complete(left.lease, {"parsed": True}))
        assert (lost.code, lost.reason) in (
            (grpc.StatusCode.ABORTED, "LEASE_LOST"),
            (grpc.StatusCode.NOT_FOUND, "NOT_FOUND"),
        )
    text = copied.read_text()
    for trace in (left.invocation, left.run.removeprefix("runs/"), left.approval.removeprefix("approvals/")):
        assert trace in text
    verified = subprocess.run(
        [sys.executable, "-m", "fairlead.cli.main", "audit", "verify", "--file", str(copied)],
        env=daemon.environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert verified.returncode == 0, verified.stderr


def health(daemon: Daemon, *arguments: str) -> tuple[int, str]:
    """`fairlead health` as a probe in the container runs it."""
    done = command(daemon, "health", *arguments)
    return done.returncode, (done.stdout + done.stderr).strip()


def test_probes_in_the_container_see_what_the_kubelet_would(tmp_path: Path) -> None:
    with pod(tmp_path) as daemon:
        assert health(daemon) == (0, "ready")
        assert health(daemon, "--live") == (0, "alive")
        daemon.send_signal(signal.SIGSTOP)
        code, said = health(daemon, "--timeout", "0.2")
        assert code == 1 and "does not answer" in said
        daemon.send_signal(signal.SIGCONT)
        assert daemon.terminate() == 0
        assert health(daemon) == (1, f"fairlead health: no sidecar serves from {daemon.data}")
        (daemon.data / "endpoints.json").write_text("{")
        code, said = health(daemon)
        assert code == 1 and "endpoints.json cannot be read" in said


def test_a_sidecar_whose_disk_is_full_is_alive_and_not_ready(tmp_path: Path) -> None:
    with pod(tmp_path) as daemon:
        mark = daemon.mark()
        daemon.limit_file_size(0)
        refused(lambda: Agent(daemon).admit("full"))
        daemon.wait_log("store failed", after=mark)
        code, said = health(daemon)
        assert code == 1 and "/readyz says 503" in said
        assert json.loads(said[said.index("{") :])["store_available"] is False
        assert health(daemon, "--live") == (0, "alive")
        daemon.limit_file_size(None)
        daemon.wait_log("store recovered", after=mark)
        assert health(daemon) == (0, "ready")
