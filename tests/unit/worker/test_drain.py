"""A worker that is told to stop leases nothing more, lets functions end, and tells how the others stand."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import grpc
import pytest

from fairlead.worker import Worker
from fairlead.worker import _session as session
from tests.unit.client.sidecar import Refusal
from tests.unit.worker.service import (
    PURE,
    READ,
    RUN,
    SIDE_EFFECT,
    UNAVAILABLE,
    WRITE,
    Service,
    running,
    until_draining,
    worker_of,
)

Sidecar = tuple[Service, str]
SOURCES = Path(__file__).parents[3] / "sidecar"
EFFECTS = pytest.mark.parametrize(
    ("fields", "unknown"),
    [
        ({"effect": PURE}, False),
        ({"effect": READ}, False),
        ({"effect": WRITE, "idempotency_key": "k"}, False),
        ({"effect": WRITE}, True),
        ({"effect": WRITE, "idempotency_key": f"{RUN.removeprefix('runs/')}/s1"}, True),
        ({"effect": SIDE_EFFECT, "idempotency_key": "k"}, True),
        ({"effect": 0}, True),
    ],
)


class Held:
    """A function that runs until the test lets it go on."""

    def __init__(self) -> None:
        self.begun, self.go_on, self.ended = threading.Event(), threading.Event(), threading.Event()

    def __call__(self, value: Any) -> Any:
        self.begun.set()
        assert self.go_on.wait(20)
        self.ended.set()
        return value


def test_what_runs_may_end_within_the_grace_and_nothing_more_begins(sidecar: Sidecar) -> None:
    service, address = sidecar
    first, later = service.add(1), service.add(2)
    held = Held()
    worker = worker_of(address, concurrency=1)
    worker.step("q")(held)
    with running(worker) as thread:
        assert held.begun.wait(20)
        worker.request_stop()
        service.note("stopping")
        held.go_on.set()
        thread.join(20)
        assert not thread.is_alive()
    assert set(service.completed) == {first} and not service.failed
    assert [lease.lease for lease in service.ready] == [later]
    (request,) = service.of("CompleteStep")
    assert not request.HasField("next")


def test_a_step_that_comes_while_it_stops_goes_back_without_having_begun(sidecar: Sidecar) -> None:
    """The request that waits is not cancelled: its answer may be on its way, and would be lost."""
    service, address = sidecar
    calls: list[int] = []
    worker = worker_of(address, poll=20.0)
    worker.step("q")(calls.append)
    with running(worker):
        service.wait(lambda: service.waiting_wishes)
        worker.request_stop()
        until_draining(worker)
        lease = service.add(1)
        service.ended(lease)
    assert service.failed[lease].returned and service.failed[lease].code == "WORKER_STOPPED"
    assert not calls


@EFFECTS
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_what_still_runs_after_the_grace_is_told_by_its_effect(
    sidecar: Sidecar, kind: str, fields: dict[str, Any], unknown: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "INTERRUPT_SECONDS", 0.1)
    service, address = sidecar
    lease = service.add(1, **fields)
    held = Held()
    begun = threading.Event()
    worker = worker_of(address, grace=0.0)

    async def wait(_: Any) -> None:
        begun.set()
        await asyncio.get_running_loop().create_future()

    worker.step("q")(held if kind == "sync" else wait)
    with running(worker) as thread:
        assert (held.begun if kind == "sync" else begun).wait(20)
        worker.request_stop()
        thread.join(20)
        assert not thread.is_alive()
        # A function that did not stop ends later; what it says then does not count, and nothing breaks.
        held.go_on.set()
    failed = service.failed[lease]
    assert (failed.code, failed.outcome_unknown, failed.non_retryable, failed.returned) == (
        "WORKER_STOPPED",
        unknown,
        False,
        False,
    )
    assert lease not in service.completed


def test_a_function_that_ends_when_it_is_interrupted_says_itself_how(sidecar: Sidecar) -> None:
    service, address = sidecar
    lease = service.add(1, effect=SIDE_EFFECT)
    worker = worker_of(address, grace=0.0)
    begun = threading.Event()

    @worker.step("q")
    async def pay(_: Any) -> str:
        begun.set()
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            return "paid already"
        raise AssertionError

    with running(worker):
        assert begun.wait(20)
    assert service.completed[lease] == b'"paid already"'


def test_leases_are_kept_while_it_stops(sidecar: Sidecar) -> None:
    service, address = sidecar
    lease = service.add(1, extension=0.3)
    worker = worker_of(address)
    begun = threading.Event()

    @worker.step("q")
    def block(_: Any) -> str:
        begun.set()
        until_draining(worker)
        beats = len(service.beats(lease))
        service.wait(lambda: len(service.beats(lease)) >= beats + 3)
        return "done"

    with running(worker):
        assert begun.wait(20)
        worker.request_stop()
        service.ended(lease)
    assert lease in service.completed


def test_a_result_that_is_not_taken_until_the_end_is_given_up_with_a_line_in_the_log(
    sidecar: Sidecar, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("INTERRUPT_SECONDS", "REPORT_SECONDS"):
        monkeypatch.setattr(session, name, 0.1)
    service, address = sidecar
    service.script["CompleteStep"] = [UNAVAILABLE] * 1000
    service.add(1)
    worker = worker_of(address, grace=0.1)
    worker.step("q")(lambda value: value)
    with running(worker):
        service.wait(lambda: len(service.of("CompleteStep")) >= 2)
    assert "its end could not be reported before the worker had to stop" in caplog.text


def test_a_keyboard_interrupt_in_a_function_stops_the_worker(sidecar: Sidecar) -> None:
    service, address = sidecar
    lease = service.add(1, effect=SIDE_EFFECT)
    worker = worker_of(address)

    @worker.step("q")
    async def interrupted(_: Any) -> None:
        raise KeyboardInterrupt

    with running(worker) as thread:
        service.ended(lease)
        thread.join(20)
        assert not thread.is_alive()
    assert (service.failed[lease].code, service.failed[lease].outcome_unknown) == ("WORKER_STOPPED", True)


# In a loop of the caller's --------------------------------------------------------------------------------------------


def test_it_serves_and_stops_in_a_loop_that_runs_already(sidecar: Sidecar) -> None:
    service, address = sidecar
    lease = service.add(1)
    worker = worker_of(address)
    worker.step("q")(lambda value: value)

    async def scenario() -> None:
        for _ in range(2):  # and again
            serving = asyncio.ensure_future(worker.serve())
            await asyncio.to_thread(service.ended, lease)
            with pytest.raises(RuntimeError, match="runs already"):
                await worker.serve()
            await worker.stop()
            await serving
        await worker.stop()

    asyncio.run(scenario())
    assert set(service.completed) == {lease}


def test_cancelling_serve_still_reports_what_ran(sidecar: Sidecar) -> None:
    service, address = sidecar
    lease = service.add(1, effect=SIDE_EFFECT)
    worker = worker_of(address, grace=600.0)
    begun = threading.Event()

    @worker.step("q")
    async def wait(_: Any) -> None:
        begun.set()
        await asyncio.get_running_loop().create_future()

    async def scenario() -> None:
        serving = asyncio.ensure_future(worker.serve())
        await asyncio.to_thread(begun.wait, 20)
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving

    asyncio.run(scenario())
    assert (service.failed[lease].code, service.failed[lease].outcome_unknown) == ("WORKER_STOPPED", True)


def test_a_worker_without_functions_does_not_start() -> None:
    with pytest.raises(ValueError, match="has no function"):
        Worker("127.0.0.1:9").run()


# As a process ---------------------------------------------------------------------------------------------------------

PROGRAM = """\
import logging, sys, threading
from fairlead.worker import Worker
logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
worker = Worker(sys.argv[1], token="t", concurrency=2, poll=0.2, grace=float(sys.argv[2]))
@worker.step("q")
def hold(value, step):
    print("begun", flush=True)
    assert sys.stdin.readline()
    return value
@worker.step("stuck")
def stuck(value):
    print("begun", flush=True)
    threading.Event().wait()
worker.run()
print("ended", flush=True)
"""


class Process:
    """The program, ended whatever happens."""

    def __init__(self, address: str, grace: float) -> None:
        paths = [str(SOURCES), *filter(None, [os.environ.get("PYTHONPATH")])]
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, address, str(grace)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()

    def said(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def say(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self) -> int:
        return self._process.wait(20)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_functions_end(sidecar: Sidecar, number: signal.Signals) -> None:
    service, address = sidecar
    lease = service.add(1)
    with Process(address, grace=60.0) as process:
        assert process.said() == "begun"
        process.send(number)
        assert "stops" in process.said()
        process.say()
        assert process.said() == "ended"
        assert process.wait() == 0
    assert service.completed[lease] == b"1"


def test_a_second_signal_ends_the_grace_and_a_stuck_thread_does_not_keep_the_process(sidecar: Sidecar) -> None:
    service, address = sidecar
    lease = service.add(1, queue="stuck", effect=SIDE_EFFECT)
    with Process(address, grace=600.0) as process:
        assert process.said() == "begun"
        process.send(signal.SIGTERM)
        assert "stops" in process.said()
        process.send(signal.SIGTERM)
        service.ended(lease)
        assert "WORKER_STOPPED" in process.said()
        assert process.said() == "ended"
        assert process.wait() == 0
    assert service.failed[lease].outcome_unknown


def test_a_sidecar_that_is_gone_does_not_keep_a_worker_from_stopping(sidecar: Sidecar) -> None:
    service, address = sidecar
    service.script["LeaseSteps"] = [Refusal(grpc.StatusCode.UNAVAILABLE, "")] * 1000
    worker = worker_of(address)
    worker.step("q")(lambda value: value)
    with running(worker):
        service.wait(lambda: len(service.of("LeaseSteps")) >= 2)
