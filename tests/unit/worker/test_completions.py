"""Results that come while a call is on its way go together with the next one."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

import pytest

from fairlead.client import LeaseLost, TemporarilyUnavailable
from fairlead.v1 import worker_service_pb2 as pb
from fairlead.worker._attempt import Attempt
from fairlead.worker._completions import CALL_BYTES, Completions
from fairlead.worker._functions import step_function
from fairlead.worker._report import Reports, Result
from fairlead.worker._slots import Slots

SLOTS = 8


class Sidecar:
    """Takes calls one after the other, as the test lets it; stands in for the wire."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.wished: list[int] = []
        self.answers: asyncio.Queue[pb.CompleteStepsResponse | Exception] = asyncio.Queue()

    async def complete(self, request: pb.CompleteStepRequest) -> pb.CompleteStepResponse:
        response = await self._answer([request.output], request)
        return pb.CompleteStepResponse(leases=response.leases)

    async def complete_all(self, request: pb.CompleteStepsRequest) -> pb.CompleteStepsResponse:
        return await self._answer([completion.output for completion in request.completions], request)

    async def _answer(self, outputs: Sequence[bytes], request: Any) -> pb.CompleteStepsResponse:
        self.calls.append([len(output) for output in outputs])
        self.wished.append(request.next.max_steps if request.HasField("next") else 0)
        answer = await self.answers.get()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def let(self, number: int, *refused: int, leases: int = 0) -> None:
        """Answers a call with so many results."""
        answer = pb.CompleteStepsResponse(leases=[pb.StepLease(step=f"n{at}") for at in range(leases)])
        for at in range(number):
            answer.outcomes.add(reason="LEASE_LOST" if at in refused else "", message="lost")
        self.answers.put_nowait(answer)


class Bench:
    """Results of functions, and a sidecar."""

    def __init__(self) -> None:
        self.sidecar = Sidecar()
        self.slots = Slots(SLOTS)
        self.begun: list[tuple[int, int]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        reports = Reports(self.sidecar, None)  # type: ignore[arg-type]
        self.completions = Completions(reports, self.slots, self._wish, self._take_on, self._spawn)

    def _wish(self, steps: int) -> pb.LeaseWish:
        return pb.LeaseWish(max_steps=steps)

    def _take_on(self, leases: Sequence[pb.StepLease], slots: int) -> None:
        self.begun.append((len(leases), slots))
        self.slots.give(slots - len(leases))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.add(asyncio.ensure_future(work))

    async def ends(self, *sizes: int) -> list[asyncio.Future[Any]]:
        """Functions end with results of so many bytes; each had a slot. Returns when all wait for their answer."""
        reports = [
            asyncio.ensure_future(self.completions.report(Result(_attempt(size), b"x" * size))) for size in sizes
        ]
        waits = asyncio.Event()
        # Behind everything that is ready to run: twice, because the call is a task of its own.
        asyncio.get_running_loop().call_soon(asyncio.get_running_loop().call_soon, waits.set)
        await waits.wait()
        return reports


def _attempt(number: int) -> Attempt:
    function = step_function("q", lambda value: value, None)
    return Attempt(pb.StepLease(run="runs/run_1", step=f"s{number}"), function, asyncio.get_running_loop())


def run(test: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await test

    asyncio.run(bounded())


def test_two_calls_are_under_way_and_what_comes_meanwhile_goes_together() -> None:
    async def test() -> None:
        bench = Bench()
        bench.slots.take()
        first, second = *await bench.ends(1), *await bench.ends(2)
        others = await bench.ends(3, 4, 5)
        assert bench.sidecar.calls == [[1], [2]]
        bench.sidecar.let(1, leases=1)
        assert await first is True
        bench.sidecar.let(1)
        bench.sidecar.let(3, 1, leases=2)
        assert await second is True
        taken, refused, also = await asyncio.gather(*others)
        assert (taken, also) == (True, True) and isinstance(refused, LeaseLost)
        assert bench.sidecar.calls == [[1], [2], [3, 4, 5]]
        # With its answer each result gives its slot to the next step.
        assert bench.sidecar.wished == [1, 1, 3] and bench.begun == [(1, 1), (0, 1), (2, 3)]
        # The slots of those that got none are free, and are asked for with the next result.
        (last,) = await bench.ends(6)
        bench.sidecar.let(1)
        assert await last is True
        assert bench.sidecar.wished[-1] == 3

    run(test())


def test_without_an_answer_each_is_told_so_and_no_slot_is_lost() -> None:
    async def test() -> None:
        bench = Bench()
        bench.slots.take()
        first, second = *await bench.ends(1), *await bench.ends(2)
        others = await bench.ends(3, 4)
        bench.slots.give(1)
        bench.sidecar.let(1)
        bench.sidecar.answers.put_nowait(TemporarilyUnavailable("away", reason="STORE_UNAVAILABLE"))
        bench.sidecar.let(1)
        assert await asyncio.gather(first, second, *others) == [True, True, False, False]
        # The one that was free before, and those of the two results that were taken.
        assert bench.slots.take() == 3

    run(test())


def test_a_large_result_goes_alone() -> None:
    async def test() -> None:
        bench = Bench()
        bench.slots.take()
        reports = [*await bench.ends(1), *await bench.ends(2, CALL_BYTES, 3)]
        for count in (1, 1, 1, 1):
            bench.sidecar.let(count)
        assert await asyncio.gather(*reports) == [True] * 4
        assert bench.sidecar.calls == [[1], [2], [CALL_BYTES], [3]]

    run(test())


def test_a_worker_that_stops_reports_and_asks_for_nothing() -> None:
    async def test() -> None:
        bench = Bench()
        bench.slots.take()
        bench.completions.close()
        reports = await bench.ends(1)
        bench.sidecar.let(1)
        assert await asyncio.gather(*reports) == [True]
        assert bench.sidecar.wished == [0] and bench.begun == [(0, 1)]

    run(test())


@pytest.mark.parametrize("size", [0, CALL_BYTES * 2])
def test_even_one_beyond_the_bound_is_sent(size: int) -> None:
    async def test() -> None:
        bench = Bench()
        bench.slots.take()
        (report,) = await bench.ends(size)
        bench.sidecar.let(1)
        assert await report is True

    run(test())
