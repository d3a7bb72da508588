"""Many runs that wait for a signal: what they take, how the daemon comes back with them, and what others notice."""

from __future__ import annotations

import os
from pathlib import Path

from bench.configuration import TOKEN
from bench.durable import configuration
from bench.durable.steps import RUNS_ONE, lean
from bench.processes import TURNS, Sidecar, load
from bench.results import Result

RUNS = int(os.environ.get("FAIRLEAD_WAITING", "100000"))
"""FAIRLEAD_WAITING sets how many; 0 leaves them out."""
STARTERS = 64
INPUT_BYTES = 64


def measured(directory: Path) -> list[Result]:
    """Everything about them, in a daemon of their own; nothing when there are none."""
    if not RUNS:
        return []
    sidecar = Sidecar(directory, configuration.text())
    sidecar.start()
    try:
        # The first run pays for what is made once.
        lean(sidecar, 1, RUNS_ONE)
        alone, before = step(sidecar), sidecar.resident_megabytes()
        started = load("start", sidecar.address, TOKEN, configuration.WAITING, STARTERS, RUNS, INPUT_BYTES)
        after = sidecar.resident_megabytes()
        beside = step(sidecar)
        sidecar.kill()
        sidecar.start()
        back, came_back = sidecar.resident_megabytes(), sidecar.seconds_to_serving
        again = step(sidecar)
    finally:
        sidecar.kill()
    name = f"{RUNS:,} waiting runs"
    return [
        Result(f"{name}: started", started["rate"], "1/s"),
        Result(f"{name}: resident memory", after, "MB", f"before ({before:.0f} MB)", after / before),
        Result(f"{name}: resident memory, each", (after - before) * 1024 / RUNS, "KiB"),
        Result(f"{name}: kill -9, start to SERVING", came_back, "s"),
        Result(f"{name}: resident memory after the restart", back, "MB"),
        Result(f"{name}: step p50 of another run", beside / 1000, "ms", "without them", beside / alone),
        Result(f"{name}: step p50 of another run after the restart", again / 1000, "ms", "without them", again / alone),
    ]


def step(sidecar: Sidecar) -> float:
    """p50 of a step of one run at a time, the median of several turns, in microseconds."""
    return sorted(lean(sidecar, 1, RUNS_ONE)["step_p50"] for _ in range(TURNS))[TURNS // 2]
