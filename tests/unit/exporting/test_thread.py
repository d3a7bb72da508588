"""Turns: exporters compute one after the other, and leave the interpreter to calls while there are some."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from fairlead.exporting.thread import REST_SECONDS, OneAtATime
from tests.unit.exporting.logs import run


class Turns:
    """Work whose rests end when the test says so."""

    def __init__(self) -> None:
        self.head = 0
        self.rests: list[tuple[float, Callable[[], None]]] = []
        self.computing = OneAtATime(lambda: self.head, lambda seconds, end: self.rests.append((seconds, end)))

    def work(self) -> int:
        """A call is recorded meanwhile."""
        self.head += 1
        return self.head


def test_while_calls_go_on_another_turn_comes_after_a_rest_and_the_result_at_once() -> None:
    async def test() -> None:
        turns = Turns()
        assert await turns.computing.run(turns.work) == 1
        second = asyncio.ensure_future(turns.computing.run(turns.work))
        for _ in range(5):
            await asyncio.sleep(0)
        assert turns.head == 1 and not second.done()
        ((seconds, end),) = turns.rests
        assert 0 < seconds <= REST_SECONDS
        end()
        assert await second == 2

    run(test)


def test_a_quiet_log_is_exported_without_rests() -> None:
    async def test() -> None:
        turns = Turns()
        assert await turns.computing.run(lambda: "done") == "done"
        assert [seconds for seconds, _ in turns.rests] == [0.0]
        computing = OneAtATime()
        assert [await computing.run(lambda: number) for number in range(3)] == [0, 1, 2]  # noqa: B023 - awaited

    run(test)


def test_turns_go_on_one_by_one_also_when_work_fails_or_is_given_up() -> None:
    async def test() -> None:
        computing, may_end, busy = OneAtATime(), threading.Event(), threading.Lock()

        def alone() -> None:
            assert busy.acquire(blocking=False)
            may_end.wait(30)
            busy.release()

        def fails() -> None:
            raise ValueError("bad")

        both = [asyncio.ensure_future(computing.run(alone)) for _ in range(2)]
        may_end.set()
        await asyncio.gather(*both)
        with pytest.raises(ValueError, match="bad"):
            await computing.run(fails)
        given_up = asyncio.ensure_future(computing.run(alone))
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.wait({given_up})
        assert await computing.run(lambda: 7) == 7

    run(test)
