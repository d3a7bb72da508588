"""The durable part of `make bench-peers`: the same chain of five steps, in turns, in one run on one machine.

| | what makes a step durable | runs at once |
|---|---|---|
| Fairlead | fsync of its log before the worker's answer | tasks of the worker SDK and the starter, one process |
| LangGraph | SQLite `synchronous=FULL`, `durability="sync"` | threads or tasks, whichever is faster, one process |
| DBOS | SQLite `synchronous=FULL`, rollback journal, as it sets it up | threads, one process |
| Restate | fsync of its log, as it sets it up | threads that call its ingress; the service is its own process |

All of them are used from Python. A peer that is not installed or fails is named, and leaves its rows out.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.durable import configuration, steps
from bench.durable.configuration import STEPS
from bench.durable.steps import CONCURRENT, PAYLOAD_BYTES, STEP_MILLISECONDS
from bench.processes import ROOT, Sidecar, build
from bench.results import Result, at_most, table, write

HERE = Path(__file__).parent
TURNS = 3
TIMEOUT_SECONDS = 300
TIMES_BEST = 3
US, LEAN = "Fairlead", "Fairlead, lean client"
# Runs of one turn: one at a time, and at once. Each takes some seconds.
PEERS = {
    "LangGraph 1.2.22": ("langgraph", "langgraph_chain.py", 100, 320),
    "DBOS 3.4.0": ("dbos", "dbos_chain.py", 30, 128),
    "Restate 1.7.12": ("restate", "restate_chain.py", 100, 640),
}
Figures = dict[str, Any]


def peer(name: str, concurrent: int) -> Figures:
    """One turn of a peer on a fresh directory; empty when there is none, and it is said why."""
    environment, program, one, many = PEERS[name]
    runs = one if concurrent == 1 else many
    with tempfile.TemporaryDirectory(prefix="fairlead-peers-") as directory:
        command = [str(ROOT / f".venv-peers/{environment}/bin/python"), str(HERE / program), directory]
        numbers = [str(concurrent), str(runs), str(PAYLOAD_BYTES)]
        try:
            done = subprocess.run(
                [*command, *numbers], cwd=HERE, check=True, capture_output=True, text=True, timeout=TIMEOUT_SECONDS
            )
        except (OSError, subprocess.SubprocessError) as error:
            why = str(getattr(error, "stderr", "") or error).strip().splitlines()[-1]
            print(f"{name} is missing with {concurrent} at once: {why}")
            return {}
        figures: Figures = json.loads(done.stdout.splitlines()[-1])
        return figures


def in_turns(concurrent: int, sidecar: Sidecar) -> dict[str, Figures]:
    """The median of every figure of everybody."""
    runs = steps.RUNS_ONE if concurrent == 1 else steps.RUNS_MANY // 4
    everybody: dict[str, Callable[[], Figures]] = {
        US: lambda: steps.python(sidecar, concurrent, runs),
        LEAN: lambda: steps.lean(sidecar, concurrent, runs),
        **{name: lambda name=name: peer(name, concurrent) for name in PEERS},  # type: ignore[misc]
    }
    turns: dict[str, list[Figures]] = {name: [] for name in everybody}
    for _ in range(TURNS):
        for name, measure in everybody.items():
            if figures := measure():
                turns[name].append(figures)
    return {
        name: {
            key: value if isinstance(value, str) else statistics.median(turn[key] for turn in of_one)
            for key, value in of_one[0].items()
        }
        for name, of_one in turns.items()
        if of_one
    }


def compare(one: dict[str, Figures], many: dict[str, Figures], ours_bytes: float) -> list[Result]:
    """Everybody's figures, and ours against the best of the others."""
    results = []
    for name in (US, LEAN, *PEERS):
        if name in one:
            step = one[name]["run_p50"] / STEPS / 1000
            how = f" ({one[name]['synced']})" if "synced" in one[name] else ""
            results.append(Result(f"{name}: one run, p50 of a run / 5{how}", step, "ms"))
        if name in many:
            results.append(Result(f"{name}: steps, {CONCURRENT} runs at once", many[name]["rate"], "1/s"))
        taken = ours_bytes if name == US else many.get(name, {}).get("bytes")
        if taken is not None:
            row = f"{name}: on the disk per step, results of {PAYLOAD_BYTES} bytes"
            results.append(Result(row, taken, "bytes", "payload", taken / steps.payload_bytes(PAYLOAD_BYTES)))
    between = one[US]["step_p50"] / 1000
    results.append(at_most(f"{US}: one run, p50 from step to step", between, "ms", STEP_MILLISECONDS))
    if fastest := min((one[name]["run_p50"] for name in PEERS if name in one), default=None):
        ours = one[US]["run_p50"]
        results.append(
            Result(f"{US}: p50 of a run / 5", ours / STEPS / 1000, "ms", "the fastest of the others", ours / fastest)
        )
    if best := max((many[name]["rate"] for name in PEERS if name in many), default=None):
        for name in (US, LEAN):
            gain = many[name]["rate"] / best
            row = f"{name}: steps, {CONCURRENT} runs at once"
            target = f">= {TIMES_BEST} x"
            results.append(
                Result(row, many[name]["rate"], "1/s", "the best of the others", gain, target, gain >= TIMES_BEST)
            )
    return results


def main() -> None:
    """Measures everything."""
    build()
    with tempfile.TemporaryDirectory(prefix="fairlead-bench-") as name:
        sidecar = Sidecar(Path(name), configuration.text())
        sidecar.start()
        try:
            one, many = in_turns(1, sidecar), in_turns(CONCURRENT, sidecar)
        finally:
            sidecar.kill()
    results = compare(one, many, steps.disk_bytes(PAYLOAD_BYTES))
    print(table(results))
    write(results, ROOT / "bench/results-peers-durable.json")


if __name__ == "__main__":
    main()
