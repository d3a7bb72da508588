"""Workers and runs against a real daemon: workers in threads of the test, and one as a process that can be frozen."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Queue
from types import TracebackType
from typing import Any, Self

from fairlead.v1 import run_pb2, workflow_service_pb2_grpc
from fairlead.v1 import workflow_service_pb2 as pb
from fairlead.worker import Worker

from .harness import ROOT, TIMEOUT_SECONDS, TOKEN, Daemon, bearer

ENDED = (
    run_pb2.RUN_STATE_SUCCEEDED,
    run_pb2.RUN_STATE_FAILED,
    run_pb2.RUN_STATE_CANCELLED,
    run_pb2.RUN_STATE_COMPENSATED,
)


def start(daemon: Daemon, workflow: str, value: Any = None, **fields: Any) -> str:
    """Starts a run; returns its name."""
    request = pb.StartRunRequest(
        request_id=str(uuid.uuid4()), workflow=workflow, input=json.dumps(value or {}).encode(), **fields
    )
    started = runs(daemon).StartRun(request, metadata=bearer(), timeout=TIMEOUT_SECONDS)
    name: str = started.run.name
    return name


def ended(daemon: Daemon, name: str) -> run_pb2.Run:
    """The run with its steps, once it has ended."""
    stream = runs(daemon).WatchRun(pb.WatchRunRequest(name=name), metadata=bearer(), timeout=TIMEOUT_SECONDS)
    for message in stream:
        if message.WhichOneof("what") == "run" and message.run.state in ENDED:
            stream.cancel()
            return shown(daemon, name)
    raise AssertionError(f"the stream of {name} ended before the run")


def shown(daemon: Daemon, name: str) -> run_pb2.Run:
    """The run with its steps."""
    found = runs(daemon).GetRun(pb.GetRunRequest(name=name), metadata=bearer(), timeout=TIMEOUT_SECONDS)
    run: run_pb2.Run = found.run
    return run


def until(daemon: Daemon, name: str, step: str, state: str) -> run_pb2.Step:
    """The step, once it is in this state."""
    wanted = run_pb2.StepState.Value(f"STEP_STATE_{state}")
    stream = runs(daemon).WatchRun(pb.WatchRunRequest(name=name), metadata=bearer(), timeout=TIMEOUT_SECONDS)
    for _ in stream:
        found = next(found for found in shown(daemon, name).steps if found.id == step)
        if found.state == wanted:
            stream.cancel()
            return found
    raise AssertionError(f"step {step} of {name} was never {state}")


def cancel(daemon: Daemon, name: str) -> None:
    """Cancels a run."""
    request = pb.CancelRunRequest(request_id=str(uuid.uuid4()), name=name, reason="a test")
    runs(daemon).CancelRun(request, metadata=bearer(), timeout=TIMEOUT_SECONDS)


def runs(daemon: Daemon) -> Any:
    """The stub of the agent endpoint."""
    return workflow_service_pb2_grpc.WorkflowServiceStub(daemon.agent())


def steps(run: run_pb2.Run) -> dict[str, run_pb2.Step]:
    """The steps by their ids."""
    return {step.id: step for step in run.steps}


def worker_of(daemon: Daemon, **settings: Any) -> Worker:
    """A worker that stops soon when it has nothing to do."""
    return Worker(daemon.endpoints()["agent"], **{"token": TOKEN, "poll": 0.5, "grace": TIMEOUT_SECONDS, **settings})


@contextmanager
def running(*workers: Worker) -> Iterator[None]:
    """Runs workers, each in a thread of its own; ends them as asked. What made one end by itself is raised."""
    failures: list[BaseException] = []

    def run(worker: Worker) -> None:
        try:
            worker.run()
        except BaseException as error:
            failures.append(error)

    threads = {threading.Thread(target=run, args=(worker,)): worker for worker in workers}
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for thread, worker in threads.items():
            while thread.is_alive():
                worker.request_stop()
                thread.join(0.1)
    if failures:
        raise failures[0]


# Step functions of the process. It says what happens on stdout, and does what it is told on stdin.
_PROGRAM = """\
import logging, sys
from fairlead.worker import Worker
logging.basicConfig(level=logging.INFO, format="log %(message)s", stream=sys.stdout)
worker = Worker(sys.argv[1], token=sys.argv[2], name="process", concurrency=1, poll=0.5, grace=float(sys.argv[3]))
@worker.step("hold")
def hold(value, step):
    print("begun", flush=True)
    said = sys.stdin.readline()
    print("ends", flush=True)
    return {"by": "process", "attempt": step.attempt}
worker.run()
print("stopped", flush=True)
"""


class WorkerProcess:
    """A worker of the queue `hold` that can be frozen and killed."""

    def __init__(self, daemon: Daemon, grace: float = TIMEOUT_SECONDS) -> None:
        paths = [str(ROOT / "sidecar"), *filter(None, [os.environ.get("PYTHONPATH")])]
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, daemon.endpoints()["agent"], TOKEN, str(grace)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._lines: Queue[str] = Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join(TIMEOUT_SECONDS)
        assert self._process.stdin is not None
        self._process.stdin.close()

    def said(self, part: str) -> str:
        """The next line that has this in it."""
        while True:
            line = self._lines.get(timeout=TIMEOUT_SECONDS)
            if part in line:
                return line

    def goes_on(self) -> None:
        """Lets the function end."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def freeze(self) -> None:
        """SIGSTOP."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """kill -9."""
        self._process.kill()
        self._process.wait()

    def terminate(self) -> None:
        """SIGTERM; does not wait."""
        self._process.terminate()

    def wait(self) -> int:
        """Its exit code."""
        return self._process.wait(TIMEOUT_SECONDS)

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as stream:
            for line in stream:
                self._lines.put(line)
