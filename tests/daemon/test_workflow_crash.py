"""INVARIANT (W1): whatever is killed at any instant, daemon or workers, every run that was acknowledged ends as if
nobody had been killed: what acts on the world acts once, and a step that has succeeded never runs again.

FAIRLEAD_KILLS sets how often something is killed (50 by default; thousands for a long run), FAIRLEAD_SEED the moments.
"""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from fairlead.client import FairleadError, PayloadTooLarge
from fairlead.client._errors import from_rpc_error
from fairlead.v1 import (
    approval_service_pb2,
    audit_record_pb2,
    budget_service_pb2,
    budget_service_pb2_grpc,
    run_pb2,
    worker_service_pb2,
    worker_service_pb2_grpc,
)
from fairlead.worker import Worker

from . import people
from .harness import TOKEN, Daemon
from .workflows import HEAD, Office, Workers, free_port
from .world import World, expected

KILLS = int(os.environ.get("FAIRLEAD_KILLS", "50"))
SEED = int(os.environ.get("FAIRLEAD_SEED", "20261121"))
WORKERS = 3
IN_FLIGHT = 24
# Between two kills at most this many acts are waited for.
ACTS = 16
PAUSE_SECONDS = 0.05
WAITING = 5_000
KIND = audit_record_pb2.EventKind
OK, FAILED = run_pb2.RUN_STATE_SUCCEEDED, run_pb2.RUN_STATE_FAILED
CHAIN = (
    HEAD
    + """\
budgets:
  - {name: tenant-life, scope: [tenant], limit: {usd: 1000, requests: 1000000}, window: lifetime}
workflows:
  - name: chain
    unknownTier: high
    budget: {usd: 1, requests: 100}
    steps:
      - id: look
        agent: look
        effect: read
        input: {n: "${input.n}"}
        retry: &again {attempts: 100, backoff: {initial: 10ms, max: 50ms}}
        timeouts: &soon {lease: 1s}
      - id: count
        needs: [look]
        agent: count
        effect: pure
        input: "${steps.look.output}"
        retry: *again
        timeouts: *soon
      - id: note
        needs: [count]
        agent: note
        effect: write
        idempotencyKey: "note/${input.n}"
        input: {n: "${input.n}", total: "${steps.count.output.total}"}
        retry: *again
        timeouts: *soon
      # Two runs each pay the same invoice: the second one gets the first one's result.
      - id: pay
        needs: [note]
        agent: pay
        effect: side_effect
        idempotencyKey: "pay/${input.invoice}"
        onUnknown: ask
        input: {invoice: "${input.invoice}"}
        retry: *again
        timeouts: *soon
      - {id: review, needs: [pay], approval: {tier: high, show: {paid: "${steps.pay.output}"}}}
    output:
      value:
        total: "${steps.count.output.total}"
        note: "${steps.note.output.note}"
        payment: "${steps.pay.output.payment}"
"""
)
GATE = (
    HEAD
    + """\
workflows:
  - name: gate
    steps:
      - {id: review, approval: {tier: high, title: "Number ${input.n}", show: {n: "${input.n}"}}}
    output: {value: "${input.n}"}
"""
)
LARGE = (
    HEAD
    + """\
workflows:
  - name: large
    steps:
      - {id: only, agent: large, effect: pure, retry: {attempts: 3, backoff: {initial: 10ms, max: 10ms}}}
    output: {value: "${steps.only.output}"}
"""
)


@pytest.mark.timeout(120 + 6 * KILLS)
def test_every_run_ends_as_if_nobody_had_been_killed(tmp_path: Path) -> None:
    print(f"FAIRLEAD_SEED={SEED} FAIRLEAD_KILLS={KILLS}")
    facts = World(tmp_path / "world.jsonl")
    with Daemon(tmp_path, CHAIN, "--agent-listen", f"127.0.0.1:{free_port()}") as daemon:
        office = Office(daemon, facts)
        workers = Workers(daemon, tmp_path / "world.jsonl", WORKERS)
        try:
            with ThreadPoolExecutor(4) as threads:
                stop = threading.Event()
                try:
                    jobs = [threads.submit(keep_starting, office, stop), threads.submit(office.decide_all)]
                    kill_again_and_again(daemon, workers, facts, jobs)
                    stop.set()
                    jobs[0].result(60)
                    runs = office.ends(list(office.started), 60)
                finally:
                    stop.set()
                    office.close()
                jobs[1].result(60)
            check_runs(office, runs)
            check_records(office, facts)
            check_books(office)
            verified = people.command(daemon, "audit", "verify")
            assert verified.returncode == 0, verified.stderr
            said = Counter(office.decided.values())
            print(f"{len(runs)} runs, {len(facts.acts())} acts, {dict(said)}")
        finally:
            workers.close()
            office.disconnect()


def keep_starting(office: Office, stop: threading.Event) -> None:
    """Some runs are always open, so that every kill meets them in all states."""
    number = 0
    while not stop.is_set():
        ended = len(office.listed(states=[OK]))
        for _ in range(max(0, IN_FLIGHT + ended - number)):
            office.start("chain", number)
            number += 1
        stop.wait(0.1)


def kill_again_and_again(daemon: Daemon, workers: Workers, facts: World, jobs: list[Any]) -> None:
    """Daemon and workers in turn, after some acts and a moment of chance; sometimes the daemon while it comes up."""
    chance, pause = random.Random(SEED), threading.Event()
    for kill in range(KILLS):
        goal, patience = len(facts.acts()) + chance.randrange(ACTS), 100
        while len(facts.acts()) < goal and patience > 0:
            failed = [job for job in jobs if job.done()]
            assert not failed, failed[0].exception()
            patience -= 1
            pause.wait(PAUSE_SECONDS)
        pause.wait(chance.uniform(0.0, PAUSE_SECONDS))
        if kill % 2:
            workers.kill(chance.randrange(WORKERS))
            continue
        daemon.kill()
        if chance.random() < 0.2:
            daemon.spawn()
            pause.wait(chance.uniform(0.0, 1.0))
            daemon.kill()
        daemon.start()


def check_runs(office: Office, runs: list[run_pb2.Run]) -> None:
    """What was acknowledged is there once, has succeeded, and has the output of an undisturbed computation."""
    assert len(runs) >= KILLS
    wrong = {run.name: run for run in runs if run.state != OK}
    assert not wrong, next(iter(wrong.values()))
    assert {run.name: json.loads(run.output) for run in runs} == {
        name: expected(number) for name, number in office.started.items()
    }
    # A request that was made again did not start a second run.
    assert sorted(run.name for run in office.listed()) == sorted(office.started)
    for run in runs:
        assert [step.state for step in run.steps] == [run_pb2.STEP_STATE_SUCCEEDED] * 5, run


def check_records(office: Office, facts: World) -> None:
    """The log and the world agree on what was done, and nothing comes after a success."""
    acts = facts.acts()
    payments = Counter(act["key"] for act in acts if act["step"] == "pay")
    assert payments == {f"pay/{number // 2}": 1 for number in office.started.values()}, "a payment was not made once"
    records = office.records()
    assert [record.sequence for record in records] == list(range(1, len(records) + 1))
    succeeded: dict[tuple[str, str], int] = {}
    for record in records:
        assert record.kind != KIND.EVENT_KIND_RUN_REPAIRED, record
        step = (record.step.run, record.step.step)
        if record.kind == KIND.EVENT_KIND_STEP_LEASED:
            assert step not in succeeded, f"it ran again after its success: {record}"
        elif record.kind == KIND.EVENT_KIND_STEP_SUCCEEDED:
            assert step not in succeeded, f"it succeeded twice: {record}"
            succeeded[step] = record.step.epoch
    assert len(succeeded) == 5 * len(office.started)
    for act in acts:
        step = (act["run"].removeprefix("runs/"), act["step"])
        assert act["epoch"] <= succeeded[step], f"it acted again after its success: {act}"
    ended = Counter(record.run.run for record in records if record.kind == KIND.EVENT_KIND_RUN_ENDED)
    assert ended == {name.removeprefix("runs/"): 1 for name in office.started}


def check_books(office: Office) -> None:
    """Nothing is held for what has ended."""
    budgets: Any = budget_service_pb2_grpc.BudgetServiceStub(office.operator)
    request = budget_service_pb2.ListBudgetsRequest(parent="tenants/acme", page_size=1000)
    for budget in budgets.ListBudgets(request, timeout=30).budgets:
        for amount in (budget.reserved, budget.spent):
            assert (amount.nano_usd, amount.tokens, amount.requests) == (0, 0, 0), budget


@pytest.mark.timeout(240)
def test_thousands_of_waiting_runs_survive_a_kill(tmp_path: Path) -> None:
    with Daemon(tmp_path, GATE, "--agent-listen", f"127.0.0.1:{free_port()}") as daemon:
        office = Office(daemon, World(tmp_path / "world.jsonl"))
        try:
            began = time.monotonic()
            with ThreadPoolExecutor(32) as threads:
                names = set(threads.map(lambda number: office.start("gate", number), range(WAITING)))
            started = time.monotonic()
            assert len(names) == WAITING
            daemon.kill()
            back = time.monotonic()
            daemon.start()
            print(f"{WAITING} runs in {started - began:.1f} s; the restart took {time.monotonic() - back:.1f} s")
            waiting = office.listed(states=[run_pb2.RUN_STATE_WAITING])
            assert {run.name for run in waiting} == names
            handful = office.pending(5)
            for approval in handful:
                assert approval.subject == approval_service_pb2.APPROVAL_SUBJECT_STEP
                office.decide(approval)
            of = [f"runs/{approval.run.removeprefix('runs/')}" for approval in handful]
            for run in office.ends(of, 30):
                assert (run.state, json.loads(run.output)) == (OK, office.started[run.name])
            assert len(office.listed(states=[run_pb2.RUN_STATE_WAITING])) == WAITING - len(handful)
        finally:
            office.close()
            office.disconnect()


def test_large_results_come_back_and_too_large_ones_end_the_step(tmp_path: Path) -> None:
    with Daemon(tmp_path, LARGE) as daemon:
        run, refused = with_result(daemon, text(300 << 10))
        assert (run.state, len(json.loads(run.output)), run.steps[0].output) == (OK, 300 << 10, run.output)
        assert refused is None
        # The core itself ends the step, and no worker has to say so.
        for size in (16 << 20, 20 << 20):
            run, refused = with_result(daemon, text(size))
            assert isinstance(refused, PayloadTooLarge)
            assert (run.state, run.failure.code, run.steps[0].attempts) == (FAILED, "PAYLOAD_TOO_LARGE", 1)
        # More than one message may hold: the SDK says so.
        run = by_sdk(daemon, 40 << 20)
        assert (run.state, run.failure.code, run.steps[0].attempts) == (FAILED, "PAYLOAD_TOO_LARGE", 1)


def text(characters: int) -> bytes:
    """JSON of a string with so many characters."""
    return b'"' + b"x" * characters + b'"'


def with_result(daemon: Daemon, result: bytes) -> tuple[run_pb2.Run, FairleadError | None]:
    """A run whose only step has this result, as a program without the SDK says it; and what it was told."""
    refused = None
    office = Office(daemon, World(daemon.directory / "world.jsonl"))
    try:
        name = office.start("large", len(result))
        worker: Any = worker_service_pb2_grpc.WorkerServiceStub(office.agent)
        wish = worker_service_pb2.LeaseWish(worker="plain", queues=["large"])
        [lease] = office.insist(worker.LeaseSteps, worker_service_pb2.LeaseStepsRequest(wish=wish)).leases
        attempt = worker_service_pb2.AttemptRef(run=name, step="only", epoch=lease.epoch, lease=lease.lease)
        try:
            office.insist(worker.CompleteStep, worker_service_pb2.CompleteStepRequest(attempt=attempt, output=result))
        except grpc.RpcError as error:
            refused = from_rpc_error(error)
        return office.ends([name], 30)[0], refused
    finally:
        office.disconnect()


def by_sdk(daemon: Daemon, characters: int) -> run_pb2.Run:
    """The same through a worker of the SDK."""
    office = Office(daemon, World(daemon.directory / "world.jsonl"))
    worker = Worker(daemon.endpoints()["agent"], token=TOKEN, poll=0.5)
    worker.step("large")(lambda given: "x" * characters)
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        return office.ends([office.start("large", characters)], 30)[0]
    finally:
        while thread.is_alive():
            worker.request_stop()
            thread.join(0.1)
        office.disconnect()
