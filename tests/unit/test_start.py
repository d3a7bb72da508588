"""Steps of a start that have to wait or to be refused, and the order of a stop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from fairlead import endpoints
from fairlead.control.errors import Refusal
from fairlead.daemon import Daemon, Options
from fairlead.startup import CannotStart, ExitCode, private_directory, until_taken, write_endpoints
from fairlead.store import StoreUnavailable

BEHIND = Refusal("NOT_READY", "the clock is 60 s behind", {"cause": "clock_set_back", "behind_millis": "60000"})


def step(*faults: Exception) -> Callable[[], Awaitable[None]]:
    """Fails in these ways, then no more."""
    left = list(faults)

    async def take() -> None:
        if left:
            raise left.pop(0)

    return take


def test_a_step_of_the_start_waits_for_what_passes_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    full = Refusal("STORE_UNAVAILABLE", "no space left on device")
    faults = (full, full, StoreUnavailable("closed"), BEHIND, BEHIND, Refusal("QUEUE_FULL", "full"))
    assert asyncio.run(until_taken(step(*faults), asyncio.Event(), 0))
    assert [record.reason for record in caplog.records] == ["STORE_UNAVAILABLE", "NOT_READY", "QUEUE_FULL"]  # type: ignore[attr-defined]
    assert caplog.records[1].behind_millis == "60000"  # type: ignore[attr-defined]


def test_a_step_of_the_start_is_not_repeated_for_what_stays() -> None:
    for fault in (Refusal("INVALID_ARGUMENT", "wrong"), RuntimeError("a bug")):
        with pytest.raises(type(fault)):
            asyncio.run(until_taken(step(fault), asyncio.Event(), 0))


def test_a_stop_ends_the_waiting() -> None:
    stopping = asyncio.Event()

    async def told_to_stop() -> None:
        stopping.set()
        raise BEHIND

    assert not asyncio.run(until_taken(told_to_stop, stopping, 3600))


def test_what_cannot_be_written_is_the_data_directorys_fault(tmp_path: Path) -> None:
    (tmp_path / endpoints.NAME).mkdir()
    (tmp_path / "run").write_text("in the way")
    reached = endpoints.Endpoints("127.0.0.1:1", "127.0.0.1:2", "unix:/x", 7)
    for refused in (lambda: write_endpoints(reached, tmp_path), lambda: private_directory(tmp_path / "run")):
        with pytest.raises(CannotStart, match=str(tmp_path)) as caught:
            refused()
        assert caught.value.code == ExitCode.DATA_DIRECTORY
    assert sorted(path.name for path in tmp_path.iterdir()) == [endpoints.NAME, "run"]


class Recorder:
    """Stands for a part of the daemon and remembers in which order it was told what."""

    def __init__(self, told: list[str]) -> None:
        self._told = told

    def __getattr__(self, name: str) -> Callable[..., bool]:
        def method(*arguments: Any) -> bool:
            self._told.append(name)
            return True

        return method


def test_a_stop_ends_the_watching_first_and_lets_no_command_wait_for_ever(tmp_path: Path) -> None:
    told: list[str] = []

    async def watch(begun: asyncio.Event) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            told.append("not watching")

    async def stop() -> None:
        daemon: Any = Daemon(Options(config=None, data=tmp_path))
        daemon._core = Recorder(told)
        daemon._writer = Recorder(told)
        begun = asyncio.Event()
        daemon._watching = asyncio.create_task(watch(begun))
        await begun.wait()
        await daemon._stop()

    logging.disable(logging.INFO)
    try:
        asyncio.run(stop())
    finally:
        logging.disable(logging.NOTSET)
    assert told == ["not watching", "set_serving", "shutdown", "stop", "fail_store"]
