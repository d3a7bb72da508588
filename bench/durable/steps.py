"""Time, rate and bytes of durable steps, with a lean client and with a program of the Python SDK."""

from __future__ import annotations

import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.configuration import TOKEN
from bench.durable import configuration
from bench.processes import ROOT, Sidecar, in_turns, load
from bench.results import Result, at_most

PAYLOAD_BYTES = 256
"""Of the input and of every step's result."""
CONCURRENT = 64
RUNS_ONE, RUNS_MANY = 200, 3200
STEP_MILLISECONDS = 1.5
"""Target of one step with one run at a time."""
SIZES = (256, 1024, 4096)
RUNS_FOR_DISK = 2000
TIMES_PAYLOAD = 3
SYNCS, SYNCED_BYTES = 200, 1024


def lean(sidecar: Sidecar, concurrent: int, runs: int, size: int = PAYLOAD_BYTES) -> dict[str, float]:
    """Starter and worker as one Rust program that does nothing beside the calls."""
    return load("chains", sidecar.address, TOKEN, configuration.CHAIN, concurrent, runs, size)


def python(sidecar: Sidecar, concurrent: int, runs: int) -> dict[str, float]:
    """Starter and worker as one Python program with the SDK."""
    command = [sys.executable, "-m", "bench.durable.program", sidecar.address, TOKEN]
    done = subprocess.run(
        [*command, str(concurrent), str(runs), str(PAYLOAD_BYTES)], cwd=ROOT, check=True, capture_output=True, text=True
    )
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def speed(sidecar: Sidecar) -> list[Result]:
    """One run at a time, and many at once."""
    sync, one, sdk_one, many, sdk_many = in_turns(
        lambda: synced(sidecar.data),
        lambda: lean(sidecar, 1, RUNS_ONE),
        lambda: python(sidecar, 1, RUNS_ONE),
        lambda: lean(sidecar, CONCURRENT, RUNS_MANY),
        lambda: python(sidecar, CONCURRENT, RUNS_MANY // 4),
    )
    results = [Result(f"fdatasync of {SYNCED_BYTES:,} bytes p50", sync["p50"] / 1000, "ms")]
    for client, row in (("lean client", one), ("Python SDK", sdk_one)):
        whole = row["run_p50"] / configuration.STEPS / 1000
        results += [
            at_most(f"durable step p50, one run, {client}", row["step_p50"] / 1000, "ms", STEP_MILLISECONDS),
            Result(f"durable step p99, one run, {client}", row["step_p99"] / 1000, "ms"),
            at_most(f"durable run of 5 steps / 5, p50, {client}", whole, "ms", STEP_MILLISECONDS),
            Result(f"start to first step p50, one run, {client}", row["first_p50"] / 1000, "ms"),
        ]
    for client, row in (("lean client", many), ("Python SDK", sdk_many)):
        results += [
            Result(f"durable steps, {CONCURRENT} runs at once, {client}", row["rate"], "1/s"),
            Result(f"start to first step p50, {CONCURRENT} runs at once, {client}", row["first_p50"] / 1000, "ms"),
        ]
    return results


def size_bytes(directory: Path) -> int:
    """What the files take."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def disk_bytes(size: int, runs: int = RUNS_FOR_DISK) -> float:
    """Bytes on the disk for a step with a result of `size` bytes, the write-ahead log turned into tables."""
    with tempfile.TemporaryDirectory(prefix="fairlead-bench-") as name:
        sidecar = Sidecar(Path(name), configuration.text())

        def restarted() -> int:
            sidecar.start()
            sidecar.stop()
            return size_bytes(sidecar.data / "db")

        restarted()
        empty = restarted()
        sidecar.start()
        try:
            lean(sidecar, CONCURRENT, runs, size)
            sidecar.stop()
            restarted()
            return (restarted() - empty) / (runs * configuration.STEPS)
        finally:
            sidecar.kill()


def payload_bytes(size: int) -> float:
    """What a program hands over for each step: a run of five has its input and five results of `size` bytes."""
    return size * (configuration.STEPS + 1) / configuration.STEPS


def disk() -> list[Result]:
    """Bytes of a step against its payload."""
    results = []
    for size in SIZES:
        taken, payload = disk_bytes(size), payload_bytes(size)
        ratio, target = taken / payload, f"<= {TIMES_PAYLOAD} x"
        name = f"on the disk per step, results of {size:,} bytes"
        against = f"payload ({payload:,.0f} bytes)"
        results.append(Result(name, taken, "bytes", against, ratio, target, ratio <= TIMES_PAYLOAD))
    return results


def synced(directory: Path) -> dict[str, float]:
    """What the disk takes for it at that moment: `fdatasync` of an appended block, in microseconds."""
    took = []
    with (directory / "synced").open("ab", buffering=0) as file:
        for _ in range(SYNCS):
            file.write(secrets.token_bytes(SYNCED_BYTES))
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append((time.perf_counter() - began) * 1e6)
    return {"p50": statistics.median(took)}
