"""Results on their way to the sidecar: few calls at a time, which take along whatever has come before they begin.

A result that comes alone is one round trip, and the next steps come with it. When many functions end at the same time
their results share calls and commits, as writes share them in a group commit.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from fairlead.client import FairleadError
from fairlead.v1 import worker_service_pb2 as pb
from fairlead.worker._report import Reports, Result
from fairlead.worker._slots import BATCH_MAX, Slots

# Under way at once: while one waits for its commit another one is taken in, and only what comes then waits.
CALLS = 2
# Of the results of one call, so that the next one does not wait long; a larger one goes alone.
CALL_BYTES = 1 << 20


class Completions:
    """`wish` makes the request for so many steps, `take_on` begins those that came in so many slots, and `spawn` runs
    something as a task of the worker. Belongs to one event loop."""

    def __init__(
        self,
        reports: Reports,
        slots: Slots,
        wish: Callable[[int], pb.LeaseWish],
        take_on: Callable[[Sequence[pb.StepLease], int], None],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._reports, self._slots, self._wish = reports, slots, wish
        self._take_on, self._spawn = take_on, spawn
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[Result, asyncio.Future[FairleadError | bool]]] = deque()
        self._calls = 0
        self._takes_steps = True

    def close(self) -> None:
        """From now on no steps are asked for."""
        self._takes_steps = False

    async def report(self, result: Result) -> FairleadError | bool:
        """Reports a result: True when it was taken, its refusal, or False when there was no answer. With an answer the
        slot of its step has gone on to the next one."""
        answered: asyncio.Future[FairleadError | bool] = self._loop.create_future()
        self._waiting.append((result, answered))
        if self._calls < CALLS:
            self._calls += 1
            self._spawn(self._send())
        return await answered

    async def _send(self) -> None:
        try:
            while self._waiting:
                await self._send_some()
        finally:
            self._calls -= 1

    async def _send_some(self) -> None:
        results, answered = zip(*self._some(), strict=True)
        # The slots of these steps are free with the answer; others that are free are used at once, too.
        others = self._slots.take() if self._takes_steps else 0
        wish = self._wish(min(len(results) + others, BATCH_MAX)) if self._takes_steps else None
        answer = None
        try:
            answer = await self._reports.complete(results, wish)
        finally:
            if answer is None:
                self._slots.give(others)
                _resolve(answered, [False] * len(results))
        if answer is not None:
            self._take_on(answer.leases, len(results) + others)
            _resolve(answered, [refusal or True for refusal in answer.refusals])

    def _some(self) -> list[tuple[Result, asyncio.Future[FairleadError | bool]]]:
        """The next results of one call, at least one."""
        some = [self._waiting.popleft()]
        size = len(some[0][0].output)
        most = BATCH_MAX if self._reports.takes_several else 1
        while self._waiting and len(some) < most:
            size += len(self._waiting[0][0].output)
            if size > CALL_BYTES:
                break
            some.append(self._waiting.popleft())
        return some


def _resolve(
    answered: Sequence[asyncio.Future[FairleadError | bool]], outcomes: Sequence[FairleadError | bool]
) -> None:
    for one, outcome in zip(answered, outcomes, strict=True):
        if not one.done():
            one.set_result(outcome)
