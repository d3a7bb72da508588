"""`make bench`: measures in one run on one machine, prints a table and writes bench/results.json.

Figures that are compared are measured in turns, A B A B, and the median of each is used, so that a machine whose speed
drifts does not favour one of them. Policy (100 rules), routing, three budgets, a rate limit and the durable audit log
are on in every figure of Fairlead.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from bench import audit, clients, configuration, datapath, exporters, native
from bench.durable import run as durable
from bench.processes import FAIRLEAD, LOAD, ROOT, Sidecar, build, in_turns, load, printing_its_address
from bench.results import Result, at_most, table, write

CALLS_FOR_MEMORY = 100_000


def admission(sidecar: Sidecar) -> list[Result]:
    """Admit against a bare tonic echo and a bare grpc.aio echo."""
    token = configuration.TOKEN
    with (
        printing_its_address([str(LOAD), "echo"]) as echo,
        printing_its_address([sys.executable, "-m", "bench.aio_echo"]) as aio,
    ):
        one_echo, one = in_turns(
            lambda: load("admit", echo, token, 1, 1, 2), lambda: load("admit", sidecar.address, token, 1, 1, 2)
        )
        many_echo, many, many_aio = in_turns(
            lambda: load("admit", echo, token, 4, 16, 2),
            lambda: load("admit", sidecar.address, token, 4, 16, 2),
            lambda: load("admit", aio, token, 4, 16, 2),
        )
    latency = one["p50"] / one_echo["p50"]
    share, gain = many["rate"] / many_echo["rate"], many["rate"] / many_aio["rate"]
    return [
        Result("Admit p50, 1 client", one["p50"], "us", "tonic echo", latency, "<= 4.5 x", latency <= 4.5),
        Result("Admit p99, 1 client", one["p99"], "us", "tonic echo", one["p99"] / one_echo["p99"]),
        Result("tonic echo p50, 1 client", one_echo["p50"], "us"),
        Result("Admit throughput, 64 concurrent", many["rate"], "1/s", "tonic echo", share, ">= 0.35 x", share >= 0.35),
        Result("Admit throughput, 64 concurrent", many["rate"], "1/s", "grpc.aio echo", gain, ">= 10 x", gain >= 10),
        Result("Admit p50, 64 concurrent", many["p50"], "us", "tonic echo", many["p50"] / many_echo["p50"]),
        Result("tonic echo throughput, 64 concurrent", many_echo["rate"], "1/s"),
        Result("grpc.aio echo throughput, 64 concurrent", many_aio["rate"], "1/s"),
    ]


def while_python_is_busy(sidecar: Sidecar, upstream: str) -> list[Result]:
    """p99 of Admit at a moderate load while configurations are applied and the log is read."""
    stop = threading.Event()
    counts = {"applied": 0, "queried": 0}

    def apply() -> None:
        while not stop.is_set():
            counts["applied"] += 1
            sidecar.config.write_text(configuration.text(upstream, upstream, note=f"n{counts['applied']}"))
            command = [FAIRLEAD, "config", "apply", sidecar.config, "--data", sidecar.data]
            subprocess.run(command, check=True, capture_output=True)

    def query() -> None:
        while not stop.is_set():
            for question in (("audit", "tail"), ("audit", "verify"), ("budget", "list")):
                subprocess.run([FAIRLEAD, *question, "--data", sidecar.data], check=True, capture_output=True)
                counts["queried"] += 1

    quiet = load("admit", sidecar.address, configuration.TOKEN, 1, 4, 4)
    threads = [threading.Thread(target=work) for work in (apply, query)]
    for thread in threads:
        thread.start()
    busy = load("admit", sidecar.address, configuration.TOKEN, 1, 4, 8)
    stop.set()
    for thread in threads:
        thread.join()
    note = f"{counts['applied']} reloads, {counts['queried']} queries"
    return [
        Result("Admit p99, 4 concurrent, quiet", quiet["p99"] / 1000, "ms"),
        at_most(f"Admit p99, 4 concurrent, Python busy ({note})", busy["p99"] / 1000, "ms", 5.0),
    ]


def memory_and_start(directory: Path, upstream: str) -> list[Result]:
    """Resident memory, start and recovery, on a data directory of its own."""
    sidecar = Sidecar(directory, configuration.text(upstream, upstream))
    try:
        sidecar.start()
        results = [at_most("start to SERVING", sidecar.seconds_to_serving, "s", 1.0)]
        idle = sidecar.resident_megabytes()
        results.append(at_most("resident memory, idle", idle, "MB", 90))
        load("settle", sidecar.address, configuration.TOKEN, CALLS_FOR_MEMORY)
        first = sidecar.resident_megabytes()
        load("settle", sidecar.address, configuration.TOKEN, CALLS_FOR_MEMORY)
        second = sidecar.resident_megabytes()
        growth = second / first
        results += [
            Result(f"resident memory, {CALLS_FOR_MEMORY:,} calls settled", first, "MB", "idle", first / idle),
            Result("the same, after as many again", second, "MB", "first", growth, "<= 1.05 x", growth <= 1.05),
        ]
        load("hold", sidecar.address, configuration.TOKEN, 100_000)
        sidecar.kill()
        sidecar.start()
        results.append(Result("recovery with 100,000 open holds, start to SERVING", sidecar.seconds_to_serving, "s"))
        return results
    finally:
        sidecar.kill()


def main() -> None:
    """Measures everything."""
    build()
    clients.build()
    results = native.engine_decision() + native.output_rules() + native.translation()
    slowly = str(datapath.INTERVAL_MILLISECONDS)
    with (
        tempfile.TemporaryDirectory(prefix="fairlead-bench-") as name,
        printing_its_address([str(LOAD), "provider", "0"]) as upstream,
        printing_its_address([str(LOAD), "provider", slowly]) as slow,
    ):
        sidecar = Sidecar(Path(name), configuration.text(upstream, slow))
        sidecar.start()
        try:
            results += datapath.latency(sidecar, upstream)
            results += datapath.throughput(sidecar, upstream)
            results += datapath.held_streams(sidecar, slow)
            results += admission(sidecar)
            results += audit.measured(sidecar)
            results += while_python_is_busy(sidecar, upstream)
        finally:
            sidecar.kill()
        (Path(name) / "memory").mkdir()
        results += memory_and_start(Path(name) / "memory", upstream)
        (Path(name) / "exporters").mkdir()
        results += exporters.measured(Path(name) / "exporters", upstream)
    results += durable.measured()
    results += clients.measured()
    print(table(results))
    write(results, ROOT / "bench/results.json")


if __name__ == "__main__":
    main()
