"""LangGraph with its SQLite checkpointer: a graph of five nodes, every checkpoint stored before the next node begins.

Runs at once are threads with the checkpointer, or tasks of one event loop with the asynchronous one: both are measured,
and the faster one counts.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
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


def in_threads(file: Path, concurrent: int, runs: int, size: int) -> tuple[dict[str, float], int]:
    """The figures, and SQLite's `synchronous`."""
    with contextlib.closing(sqlite3.connect(file, check_same_thread=False)) as connection:
        chain = graph(SqliteSaver(connection), size, asynchronous=False)
        figures = chains(lambda: chain.invoke({"text": text(size)}, thread(), durability="sync"), concurrent, runs)
        return figures, connection.execute("PRAGMA synchronous").fetchone()[0]


async def in_tasks(file: Path, concurrent: int, runs: int, size: int) -> tuple[dict[str, float], int]:
    """The same with tasks."""
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
    ways = [("threads", in_threads(directory / "threads.db", concurrent, runs, size))]
    # Closing the last connection turns the write-ahead log into tables.
    taken = size_bytes(directory) / ((runs // concurrent * concurrent + 1) * STEPS)
    if concurrent > 1:
        ways.append(("tasks", asyncio.run(in_tasks(directory / "tasks.db", concurrent, runs, size))))
    how, (figures, synchronous) = max(ways, key=lambda way: way[1][0]["rate"])
    say({**figures, "bytes": taken, "synced": f"SQLite synchronous={synchronous}", "how": how})


if __name__ == "__main__":
    main()
