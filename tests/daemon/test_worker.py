"""Workers and the real daemon: every step is done once, whatever happens to either of them."""

from __future__ import annotations

import json
import socket
import threading
from collections import Counter
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from fairlead.client import CredentialRefused
from fairlead.v1 import run_pb2
from fairlead.worker import AsyncStepContext, NonRetryable, OutcomeUnknown, Retry, StepContext, ToolPending

from . import people
from .harness import TIMEOUT_SECONDS, Daemon
from .people import vote
from .provider import Provider, routed
from .workers import WorkerProcess, cancel, ended, running, shown, start, steps, until, worker_of

WORKFLOWS = """\
workflows:
  - name: chain
    steps:
      - {id: a, agent: add, effect: pure, input: {n: "${input.n}"}}
      - {id: b, needs: [a], agent: add, effect: pure, input: {n: "${steps.a.output.n}"}}
      - {id: c, needs: [b], agent: add-async, effect: pure, input: {n: "${steps.b.output.n}"}}
    output: {value: "${steps.c.output.n}"}
  - name: read
    steps:
      - id: only
        agent: hold
        effect: read
        retry: {attempts: 3, backoff: {initial: 10ms, max: 10ms}}
        timeouts: {lease: 1s}
  - name: send
    unknownTier: high
    steps:
      - {id: only, agent: hold, effect: side_effect, timeouts: {lease: 1s}}
  - name: send-at-leisure
    unknownTier: high
    steps:
      - {id: only, agent: hold, effect: side_effect, timeouts: {lease: 4s}}
  - name: send-or-fail
    steps:
      - {id: only, agent: hold, effect: side_effect, onUnknown: fail, timeouts: {lease: 1s}}
  - name: tries
    steps:
      - id: only
        agent: tries
        effect: pure
        input: {raise: "${input.raise}"}
        output: {schema: {type: object}}
        retry: {attempts: 3, backoff: {initial: 10ms, max: 10ms}}
  - name: offer
    unknownTier: high
    steps:
      - {id: offer, agent: offer, effect: write, idempotencyKey: "offer/${input.id}", compensate: offer}
      - {id: wait, agent: wait, needs: [offer], effect: pure, timeouts: {lease: 1s}}
  - name: pay
    unknownTier: high
    steps:
      - id: pay
        agent: pay
        effect: side_effect
        idempotencyKey: "pay/${input.id}"
        input: {amount: "${input.amount}"}
  - name: pause
    steps:
      - {id: pause, wait: {for: 6s}}
  - name: patient
    steps:
      - {id: only, agent: hold, effect: read}
"""
ASK = """\
workflows:
  - name: ask
    steps:
      - {id: ask, agent: ask, effect: read}
"""
OK, FAILED = run_pb2.RUN_STATE_SUCCEEDED, run_pb2.RUN_STATE_FAILED


def daemon_of(directory: Path, *arguments: str) -> Daemon:
    """A daemon with workflows, tools and people."""
    return Daemon(directory, people.CONFIG + WORKFLOWS, *arguments, environment=people.ENVIRONMENT)


def output_of(run: run_pb2.Run, step: str) -> Any:
    return json.loads(steps(run)[step].output)


def test_many_runs_are_done_by_several_workers_and_every_step_once(tmp_path: Path) -> None:
    done: Counter[tuple[str, str]] = Counter()
    lock = threading.Lock()

    def add(value: Any, step: StepContext) -> Any:
        with lock:
            done[step.run, step.step] += 1
        return {"n": value["n"] + 1}

    async def add_on_loop(value: Any, step: AsyncStepContext) -> Any:
        done[step.run, step.step] += 1
        return {"n": value["n"] + 1}

    with daemon_of(tmp_path) as daemon:
        workers = [worker_of(daemon, name=f"w-{number}", concurrency=4) for number in range(2)]
        for worker in workers:
            worker.step("add")(add)
            worker.step("add-async")(add_on_loop)
        names = [start(daemon, "chain", {"n": number}) for number in range(30)]
        with running(*workers):
            for number, name in enumerate(names):
                run = ended(daemon, name)
                assert (run.state, json.loads(run.output)) == (OK, number + 3)
    assert done == {(name, step): 1 for name in names for step in "abc"}


# Workers that are lost -----------------------------------------------------------------------------------------------


def test_a_worker_that_was_frozen_past_its_lease_changes_nothing_when_it_goes_on(tmp_path: Path) -> None:
    with daemon_of(tmp_path) as daemon, WorkerProcess(daemon) as frozen:
        name = start(daemon, "read")
        frozen.said("begun")
        frozen.freeze()
        other = worker_of(daemon, name="other")
        other.step("hold")(lambda value, step: {"by": "other", "attempt": step.attempt})
        with running(other):
            run = ended(daemon, name)
        assert run.state == OK
        assert output_of(run, "only") == {"by": "other", "attempt": 2}
        assert (steps(run)["only"].attempts, steps(run)["only"].worker) == (2, "other")
        frozen.thaw()
        frozen.goes_on()
        frozen.said("ends")
        frozen.said("its lease was lost")
        assert output_of(shown(daemon, name), "only") == {"by": "other", "attempt": 2}
        # It works on.
        again = start(daemon, "read")
        frozen.said("begun")
        frozen.goes_on()
        assert output_of(ended(daemon, again), "only")["by"] == "process"


def test_what_a_lost_worker_did_to_the_world_is_unknown_and_not_done_again(tmp_path: Path) -> None:
    with daemon_of(tmp_path) as daemon, WorkerProcess(daemon) as lost:
        name = start(daemon, "send")
        lost.said("begun")
        lost.kill()
        until(daemon, name, "only", "UNKNOWN")


def test_a_worker_keeps_its_lease_as_long_as_it_lives(tmp_path: Path) -> None:
    """The lease lasts four seconds, by the same clock as the six seconds of the other run."""
    with daemon_of(tmp_path) as daemon, WorkerProcess(daemon) as worker:
        name = start(daemon, "send-at-leisure")
        worker.said("begun")
        assert ended(daemon, start(daemon, "pause")).state == OK
        worker.goes_on()
        run = ended(daemon, name)
    assert (run.state, steps(run)["only"].attempts) == (OK, 1)


# A daemon that is lost -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["kill", "restart"])
def test_a_result_outlives_the_daemon(tmp_path: Path, how: str) -> None:
    calls: list[int] = []
    begun, go_on = threading.Event(), threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    # Its workers look for it where it was.
    with daemon_of(tmp_path, "--agent-listen", f"127.0.0.1:{port}") as daemon:
        worker = worker_of(daemon)

        @worker.step("hold")
        def hold(_: Any, step: StepContext) -> int:
            calls.append(step.attempt)
            begun.set()
            assert go_on.wait(TIMEOUT_SECONDS)
            return 7

        with running(worker):
            name = start(daemon, "patient")
            assert begun.wait(TIMEOUT_SECONDS)
            if how == "kill":
                daemon.kill()
            else:
                assert daemon.terminate() == 0
            go_on.set()
            daemon.start()
            run = ended(daemon, name)
    assert (run.state, output_of(run, "only")) == (OK, 7)
    assert calls == [1]


# What functions say --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "state", "code", "attempts"),
    [
        (NonRetryable("BAD_INPUT", "no documents"), FAILED, "BAD_INPUT", 1),
        (Retry("BUSY", "later", after=0.01), FAILED, "BUSY", 3),
        (ValueError("broken"), FAILED, "EXCEPTION", 3),
        (None, FAILED, "OUTPUT_INVALID", 3),
        ({1, 2}, FAILED, "BAD_OUTPUT", 1),
        ("x" * (17 << 20), FAILED, "PAYLOAD_TOO_LARGE", 1),
    ],
    ids=["final", "retry", "exception", "schema", "not JSON", "too large"],
)
def test_failures_are_told_and_tried_again_as_the_workflow_says(
    tmp_path: Path, error: Any, state: int, code: str, attempts: int
) -> None:
    with daemon_of(tmp_path) as daemon:
        worker = worker_of(daemon)

        @worker.step("tries")
        def tries(_: Any) -> Any:
            if isinstance(error, Exception):
                raise error
            return "not an object" if error is None else error

        with running(worker):
            run = ended(daemon, start(daemon, "tries", {"raise": True}))
    step = steps(run)["only"]
    assert (run.state, step.failure.code, step.attempts) == (state, code, attempts)


def test_an_unknown_outcome_is_decided_as_the_workflow_says(tmp_path: Path) -> None:
    with daemon_of(tmp_path) as daemon:
        worker = worker_of(daemon)

        @worker.step("hold")
        async def hold(_: Any) -> None:
            raise OutcomeUnknown("the bank did not answer")

        with running(worker):
            run = ended(daemon, start(daemon, "send-or-fail"))
            asked = until(daemon, start(daemon, "send"), "only", "UNKNOWN")
    assert (run.state, steps(run)["only"].attempts) == (FAILED, 1)
    assert asked.failure.code == "OUTCOME_UNKNOWN"


# Cancellation, compensation, drain -----------------------------------------------------------------------------------


def test_a_cancelled_run_stops_its_function_and_takes_back_what_was_done(tmp_path: Path) -> None:
    begun = threading.Event()
    seen: list[Any] = []
    with daemon_of(tmp_path) as daemon:
        worker = worker_of(daemon)
        worker.step("offer")(lambda value: {"offer": 7})

        @worker.step("wait")
        def wait(_: Any, step: StepContext) -> None:
            begun.set()
            assert step.cancelled.wait(TIMEOUT_SECONDS)
            step.check_cancelled()

        @worker.compensation("offer")
        def retract(value: Any, step: StepContext) -> None:
            seen.append([step.compensation, step.result])

        with running(worker):
            name = start(daemon, "offer", {"id": "A-1"})
            assert begun.wait(TIMEOUT_SECONDS)
            cancel(daemon, name)
            run = ended(daemon, name)
    assert run.state == run_pb2.RUN_STATE_COMPENSATED
    assert seen == [[True, {"offer": 7}]]
    assert steps(run)["offer"].state == run_pb2.STEP_STATE_COMPENSATED


def test_a_worker_that_is_told_to_stop_hands_its_step_on(tmp_path: Path) -> None:
    with daemon_of(tmp_path) as daemon, WorkerProcess(daemon, grace=0.0) as stopping:
        name = start(daemon, "read")
        stopping.said("begun")
        stopping.terminate()
        stopping.said("WORKER_STOPPED")
        stopping.said("stopped")
        assert stopping.wait() == 0
        other = worker_of(daemon, name="other")
        other.step("hold")(lambda value, step: step.attempt)
        with running(other):
            run = ended(daemon, name)
    assert (run.state, output_of(run, "only")) == (OK, 2)


# Calls of a step -----------------------------------------------------------------------------------------------------


def test_a_tool_call_of_a_step_is_made_once_though_people_and_a_second_attempt_come_in_between(tmp_path: Path) -> None:
    made: list[Any] = []
    asked: Queue[str] = Queue()
    with daemon_of(tmp_path) as daemon:
        worker = worker_of(daemon)

        @worker.step("pay")
        async def pay(value: Any, step: AsyncStepContext) -> Any:
            async def transfer(arguments: dict[str, Any]) -> str:
                made.append(arguments["amount"])
                return "r-1"

            with pytest.raises(ToolPending) as pending:
                await step.call_tool("payments.refund", value, transfer, wait=False)
            asked.put(pending.value.metadata["approval"])
            # Asking again is asking for the same.
            first = await step.call_tool("payments.refund", value, transfer)
            # A later attempt asks with the same key, and gets the recorded result.
            assert await step.call_tool("payments.refund", value, transfer) == first
            return first

        with running(worker):
            name = start(daemon, "pay", {"id": "A-1", "amount": 1200})
            approval = asked.get(timeout=TIMEOUT_SECONDS)
            for who in ("asha", "ben"):
                vote(daemon, who, "approve", approval)
            run = ended(daemon, name)
    assert (run.state, output_of(run, "pay")) == (OK, "r-1")
    # The cap of the policy, and once.
    assert made == [500]


def test_model_calls_of_a_step_are_the_runs(tmp_path: Path) -> None:
    with Provider() as first, Provider() as second:
        with Daemon(tmp_path, routed(first.url, second.url, ASK)) as daemon:
            worker = worker_of(daemon)

            @worker.step("ask")
            def ask(_: Any, step: StepContext) -> Any:
                answer = step.generate({"model": "chat", "messages": [{"role": "user", "content": "hello"}]})
                return json.loads(answer.body)["choices"][0]["message"]["content"]

            with running(worker):
                run = ended(daemon, start(daemon, "ask"))
    step = steps(run)["ask"]
    assert run.state == OK, step.failure
    assert step.invocations and step.spent.nano_usd > 0
    assert run.spent.nano_usd == step.spent.nano_usd


# Who may -------------------------------------------------------------------------------------------------------------


def test_a_worker_sees_the_steps_of_its_own_tenant_only(tmp_path: Path) -> None:
    with daemon_of(tmp_path) as daemon:
        name = start(daemon, "read")
        stranger = worker_of(daemon, token="other-token-0001")
        seen: list[Any] = []
        stranger.step("hold")(seen.append)
        own = worker_of(daemon)
        own.step("hold")(lambda value: "own")
        with running(stranger):
            with running(own):
                assert output_of(ended(daemon, name), "only") == "own"
    assert not seen


def test_a_wrong_token_ends_the_worker(tmp_path: Path) -> None:
    with daemon_of(tmp_path) as daemon:
        worker = worker_of(daemon, token="nobody")
        worker.step("hold")(lambda value: value)
        with pytest.raises(CredentialRefused):
            worker.run()
