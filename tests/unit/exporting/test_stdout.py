"""Standard output: whole lines, and a pipe that nobody reads holds up nobody else."""

from __future__ import annotations

import asyncio
import json
import os

from fairlead.audit.transparency.exported import verify_export
from fairlead.exporting.destination import TAKEN
from fairlead.exporting.stdout import StdoutDestination
from fairlead.exporting.thread import OneAtATime, OwnThread
from tests.unit.exporting.logs import EVENTS, LOG, SOURCE, run


async def read_lines(reading: int, count: int) -> list[str]:
    """So many lines of a pipe. Nobody has to wait for the thread that reads when they never come."""
    thread, found = OwnThread("reader"), bytearray()
    while found.count(b"\n") < count:
        found += await thread.run(lambda: os.read(reading, 1 << 16))
    thread.end()
    os.close(reading)
    return found.decode().splitlines(keepends=True)


def test_lines_are_those_of_an_export_also_when_the_reader_comes_late() -> None:
    async def test() -> None:
        reading, writing = os.pipe()
        destination = StdoutDestination(OneAtATime(), writing)
        # More than a pipe holds: it waits for the reader, the event loop does not.
        delivering = asyncio.ensure_future(destination.deliver(EVENTS * 10, SOURCE))
        lines = await read_lines(reading, len(EVENTS) * 10)
        assert await delivering is TAKEN
        os.close(writing)
        assert verify_export(lines[:60], (60, LOG[59].record_hash)).valid

    run(test)


def test_one_that_is_given_up_in_the_middle_leaves_whole_lines() -> None:
    async def test() -> None:
        reading, writing = os.pipe()
        destination = StdoutDestination(OneAtATime(), writing)
        first = asyncio.ensure_future(destination.deliver(EVENTS * 10, SOURCE))
        begun = await asyncio.to_thread(os.read, reading, 1)
        first.cancel()
        await asyncio.wait({first})
        await destination.close()
        # Its successor shares it, and comes behind.
        second = asyncio.ensure_future(destination.deliver(EVENTS[:1], SOURCE))
        lines = await read_lines(reading, len(EVENTS) * 10 + 1)
        lines[0] = begun.decode() + lines[0]
        assert await second is TAKEN
        os.close(writing)
        assert [json.loads(line)["sequence"] for line in lines] == [*range(1, 61)] * 10 + [1]

    run(test)


def test_an_output_that_is_closed_is_said() -> None:
    async def test() -> None:
        reading, writing = os.pipe()
        os.close(reading)
        destination = StdoutDestination(OneAtATime(), writing)
        outcome = await destination.deliver(EVENTS[:1], SOURCE)
        assert not outcome.taken and outcome.problem == "standard output cannot be written: broken pipe"
        os.close(writing)

    run(test)
