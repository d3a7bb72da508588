"""What a step of a LangGraph graph costs when its checkpoints are kept: on the disk, and in time.

Runs in an environment with LangGraph, its SQLite checkpointer and the daemon at `.venv`, as that of the compatibility
tests with one package more:

    .venv-compat/bin/python -m pip install langgraph-checkpoint-sqlite
    .venv-compat/bin/python -m bench.checkpoints

Every step is on the disk before the next one begins (`durability="sync"`). Of a state of 1 KiB, which is random so that
it cannot be compressed, either all changes in every step or nothing but a counter.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, TypedDict

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "sidecar"))

from langgraph.checkpoint.sqlite import SqliteSaver  # noqa: E402
from langgraph.graph import END, START, StateGraph  # noqa: E402

from fairlead.integrations.langgraph import FairleadSaver  # noqa: E402

STEPS = int(os.environ.get("FAIRLEAD_STEPS", "2000"))
STATE_BYTES = 1024


class State(TypedDict, total=False):
    count: int
    state: bytes


def graph(saver: Any, *, changing: bool) -> Any:
    """Counts to STEPS, one step each."""

    def step(state: State) -> State:
        counted: State = {"count": state["count"] + 1}
        return {**counted, "state": secrets.token_bytes(STATE_BYTES)} if changing else counted

    builder = StateGraph(State)
    builder.add_node("step", step)
    builder.add_edge(START, "step")
    builder.add_conditional_edges("step", lambda state: "step" if state["count"] < STEPS else END)
    return builder.compile(checkpointer=saver)


@contextmanager
def sqlite(directory: Path) -> Iterator[SqliteSaver]:
    """SQLite as its saver sets it up: WAL, synced in every transaction."""
    with contextlib.closing(sqlite3.connect(directory / "checkpoints.db", check_same_thread=False)) as connection:
        yield SqliteSaver(connection)


@contextmanager
def fairlead(directory: Path) -> Iterator[FairleadSaver]:
    """The daemon with its defaults."""
    command = [str(ROOT / ".venv/bin/python"), "-m", "fairlead.cli.main", "serve", "--dev", "--data", str(directory)]
    listen = ["--agent-listen", "127.0.0.1:0", "--health-listen", "127.0.0.1:0"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "sidecar")}
    process = subprocess.Popen([*command, *listen], env=environment, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        next(line for line in process.stderr if '"serving"' in line)
        target = json.loads((directory / "endpoints.json").read_text())["agent"]
        with FairleadSaver(target, token="dev") as saver:
            yield saver
    finally:
        process.terminate()
        process.communicate(timeout=60)


def size_bytes(directory: Path) -> int:
    """What the files take."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def measure(open_saver: Any, *, changing: bool) -> tuple[float, float]:
    """Milliseconds and bytes of a step."""
    with tempfile.TemporaryDirectory(prefix="fairlead-bench-") as name:
        directory = Path(name)
        config: Any = {"configurable": {"thread_id": "t"}, "recursion_limit": STEPS + 10}
        first: AbstractContextManager[Any] = open_saver(directory)
        with first as saver:
            counting = graph(saver, changing=changing)
            began = time.perf_counter()
            counting.invoke({"count": 0, "state": secrets.token_bytes(STATE_BYTES)}, config, durability="sync")
            took = time.perf_counter() - began
        # Opening it again turns the write-ahead log into tables.
        with open_saver(directory) as saver:
            saver.get_tuple(config)
        return took / STEPS * 1000, size_bytes(directory) / STEPS


def main() -> None:
    """Prints a table."""
    print(f"{STEPS} steps, state of {STATE_BYTES} bytes")
    for changing in (True, False):
        for name, saver in (("SqliteSaver", sqlite), ("FairleadSaver", fairlead)):
            millis, size = measure(saver, changing=changing)
            what = "all changes" if changing else "a counter changes"
            print(f"{name:14} {what:18} {size / 1024:6.2f} KiB on disk a step, {millis:6.2f} ms a step")


if __name__ == "__main__":
    main()
