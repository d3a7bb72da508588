"""A program as users write it, in Python: starts runs of the chain, and does their steps with the worker SDK.

    python -m bench.durable.program ADDRESS TOKEN CONCURRENT RUNS BYTES

Prints one JSON object; times are in microseconds. The worker and whoever starts the runs share one process and one
event loop, as they do in the libraries that this is compared with.

- `step_…`: from one step of a run to the next one, as the functions are called.
- `first_…`: from the call of StartRun to the first step's function.
- `run_…`: from there to the end of the run as a watcher is told; measured with one run at a time only, and the watcher
  comes when the last step has begun, so that it does not disturb the others.
- `rate`: steps per second until all runs have ended. With more than one run the next one begins with the last step of
  the one before it.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import secrets
import statistics
import sys
import time
from collections.abc import Sequence
from typing import Any

import grpc.aio

from bench.durable.configuration import CHAIN, QUEUE, STEPS
from fairlead.v1 import run_pb2, workflow_service_pb2_grpc
from fairlead.v1 import workflow_service_pb2 as pb
from fairlead.worker import AsyncStepContext, Worker


def microseconds(seconds: Sequence[float], share: float) -> float:
    """That share of the values is not above it."""
    ordered = sorted(seconds)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1e6 if ordered else 0.0


class Program:
    """Runs that were started, and when their steps came."""

    def __init__(self, address: str, token: str, size: int) -> None:
        self._channel = grpc.aio.insecure_channel(address)
        self._service: Any = workflow_service_pb2_grpc.WorkflowServiceStub(self._channel)
        self._metadata = (("authorization", f"Bearer {token}"),)
        self._text_bytes = size // 4 * 3
        self._came: dict[str, list[float]] = {}
        self._last: dict[str, asyncio.Event] = {}
        self.first: list[float] = []
        self.between: list[float] = []
        self.whole: list[float] = []

    def text(self) -> str:
        """Random characters, different for every step."""
        return secrets.token_urlsafe(self._text_bytes)

    async def noop(self, given: str, step: AsyncStepContext) -> str:
        """What every step does."""
        came = self._came.setdefault(step.run, [])
        came.append(time.perf_counter())
        if len(came) == STEPS:
            self._last.setdefault(step.run, asyncio.Event()).set()
        return self.text()

    async def run_one_after_the_other(self, name: str, runs: int, *, watched: bool) -> None:
        """Starts the next run when the one before it has ended, or has only its last step left."""
        for number in range(runs):
            request = pb.StartRunRequest(
                request_id=f"{os.getpid()}-{name}-{number}",
                workflow=CHAIN,
                input=json.dumps({"text": self.text()}).encode(),
            )
            began = time.perf_counter()
            run = (await self._service.StartRun(request, metadata=self._metadata)).run.name
            await self._last.setdefault(run, asyncio.Event()).wait()
            if watched:
                await self._end(run)
                self.whole.append(time.perf_counter() - began)
            del self._last[run]
            came = self._came.pop(run)
            self.first.append(came[0] - began)
            self.between += [later - earlier for earlier, later in itertools.pairwise(came)]

    async def all_have_ended(self) -> None:
        """Waits until no run is open."""
        request = pb.ListRunsRequest(page_size=1, states=[run_pb2.RUN_STATE_RUNNING])
        while (await self._service.ListRuns(request, metadata=self._metadata)).runs:
            await asyncio.sleep(0.005)

    async def close(self) -> None:
        """Ends the connection."""
        await self._channel.close(None)

    async def _end(self, run: str) -> None:
        async for message in self._service.WatchRun(pb.WatchRunRequest(name=run), metadata=self._metadata):
            if message.WhichOneof("what") == "run" and message.run.state == run_pb2.RUN_STATE_SUCCEEDED:
                return
        raise RuntimeError(f"the stream of {run} ended before the run")


async def measure(address: str, token: str, concurrent: int, runs: int, size: int) -> dict[str, float]:
    """Everything, once."""
    program = Program(address, token, size)
    worker = Worker(address, token=token, concurrency=concurrent, poll=1.0)
    worker.step(QUEUE)(program.noop)
    serving = asyncio.create_task(worker.serve())
    share = runs // concurrent
    began = time.perf_counter()
    async with asyncio.TaskGroup() as starters:
        for number in range(concurrent):
            starters.create_task(program.run_one_after_the_other(str(number), share, watched=concurrent == 1))
    await program.all_have_ended()
    took = time.perf_counter() - began
    await worker.stop()
    await serving
    await program.close()
    return {
        "rate": share * concurrent * STEPS / took,
        "step_p50": microseconds(program.between, 0.50),
        "step_p99": microseconds(program.between, 0.99),
        "first_p50": microseconds(program.first, 0.50),
        "first_p99": microseconds(program.first, 0.99),
        "run_p50": statistics.median(program.whole) * 1e6 if program.whole else 0.0,
        "run_p99": microseconds(program.whole, 0.99),
    }


def main() -> None:
    """Reads the arguments and prints what was measured."""
    address, token, *numbers = sys.argv[1:]
    concurrent, runs, size = map(int, numbers)
    print(json.dumps(asyncio.run(measure(address, token, concurrent, runs, size))))


if __name__ == "__main__":
    main()
