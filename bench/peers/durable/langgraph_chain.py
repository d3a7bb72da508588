"""LangGraph with its SQLite checkpointer: a graph of five nodes, every checkpoint stored before the next node begins.

Runs at once are tasks of one event loop with the asynchronous checkpointer, which was faster than threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import sys
import time
import uuid
from pathlib import Path
from typing import Any, TypedDict

import aiosqlite
from clock import STEPS, arguments, chains, measured, say, size_bytes, text
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph


class State(TypedDict):
    text: str


def graph(saver: Any, size: int, *, asynchronous: bool) -> Any:
    """A chain of nodes that replace the text."""

    def node(state: State) -> State:
        return {"text": text(size)}

    async def async_node(state: State) -> State:
        return {"text": text(size)}

    builder = StateGraph(State)
    for number in range(STEPS):
        builder.add_node(f"s{number}", async_node if asynchronous else node)
    for number in range(STEPS - 1):
        builder.add_edge(f"s{number}", f"s{number + 1}")
    builder.add_edge(START, "s0")
    builder.add_edge(f"s{STEPS - 1}", END)
    return builder.compile(checkpointer=saver)


def thread() -> Any:
    """A run of its own."""
    return {"configurable": {"thread_id": str(uuid.uuid4())}}


def one_at_a_time(file: Path, runs: int, size: int) -> tuple[dict[str, float], int]:
    """The figures, and SQLite's `synchronous`."""
    with contextlib.closing(sqlite3.connect(file, check_same_thread=False)) as connection:
        chain = graph(SqliteSaver(connection), size, asynchronous=False)
        figures = chains(lambda: chain.invoke({"text": text(size)}, thread(), durability="sync"), 1, runs)
        return figures, connection.execute("PRAGMA synchronous").fetchone()[0]


async def at_once(file: Path, concurrent: int, runs: int, size: int) -> tuple[dict[str, float], int]:
    """The same of many."""
    async with aiosqlite.connect(file) as connection:
        chain = graph(AsyncSqliteSaver(connection), size, asynchronous=True)
        took: list[float] = []

        async def one_after_the_other() -> None:
            for _ in range(runs // concurrent):
                began = time.perf_counter()
                await chain.ainvoke({"text": text(size)}, thread(), durability="sync")
                took.append(time.perf_counter() - began)

        await chain.ainvoke({"text": text(size)}, thread(), durability="sync")
        began = time.perf_counter()
        await asyncio.gather(*(one_after_the_other() for _ in range(concurrent)))
        figures = measured(took, time.perf_counter() - began)
        async with connection.execute("PRAGMA synchronous") as cursor:
            row = await cursor.fetchone()
        assert row is not None
        return figures, row[0]


def main() -> None:
    """Measures once."""
    directory, concurrent, runs, size = arguments()
    file = directory / "checkpoints.db"
    if concurrent == 1:
        figures, synchronous = one_at_a_time(file, runs, size)
    else:
        figures, synchronous = asyncio.run(at_once(file, concurrent, runs, size))
    # Closing the last connection turns the write-ahead log into tables.
    steps = (figures["runs"] + 1) * STEPS
    say({**figures, "bytes": size_bytes(directory) / steps, "synced": f"SQLite synchronous={synchronous}"})


if __name__ == "__main__":
    sys.exit(main())
