"""What every program of this directory measures, with the standard library alone: they share no environment."""

from __future__ import annotations

import json
import secrets
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

STEPS = 5


def arguments() -> tuple[Path, int, int, int]:
    """Directory, runs at once, runs, and bytes of a step's result."""
    directory, *numbers = sys.argv[1:]
    concurrent, runs, size = map(int, numbers)
    return Path(directory), concurrent, runs, size


def text(size: int) -> str:
    """Random characters, different for every step."""
    return secrets.token_urlsafe(size // 4 * 3)


def size_bytes(directory: Path) -> int:
    """What the files take."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def chains(run: Callable[[], object], concurrent: int, runs: int) -> dict[str, float]:
    """Calls `run` so often, from so many threads: p50 and p99 of a call in microseconds, and steps per second."""
    run()
    took: list[float] = []

    def one_after_the_other(_: int) -> None:
        for _ in range(runs // concurrent):
            began = time.perf_counter()
            run()
            took.append(time.perf_counter() - began)

    began = time.perf_counter()
    with ThreadPoolExecutor(concurrent) as threads:
        list(threads.map(one_after_the_other, range(concurrent)))
    return measured(took, time.perf_counter() - began)


def measured(took: list[float], seconds: float) -> dict[str, float]:
    """The figures of runs that took so long each, and so long together."""
    ordered = sorted(took)
    return {
        "run_p50": statistics.median(ordered) * 1e6,
        "run_p99": ordered[int(len(ordered) * 0.99)] * 1e6,
        "rate": len(took) * STEPS / seconds,
        "runs": len(took),
    }


def say(figures: dict[str, float | str]) -> None:
    """Prints them for the benchmark."""
    print(json.dumps(figures))
