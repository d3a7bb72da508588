"""Starts what is measured: the daemon, the provider, the echo servers, the load client."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from bench import configuration

ROOT = Path(__file__).parents[1]
LOAD = ROOT / "target/release/fairlead-load"
FAIRLEAD = Path(sys.executable).with_name("fairlead")
TURNS = 5


def build() -> None:
    """Builds the load client."""
    subprocess.run(
        ["cargo", "build", "--locked", "--release", "--quiet", "--package", "fairlead-load"], cwd=ROOT, check=True
    )


@contextmanager
def running(command: list[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A process that ends with the block."""
    process = subprocess.Popen(command, text=True, **options)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def printing_its_address(command: list[str]) -> Iterator[str]:
    """A server that prints its address as the last word of its first line."""
    with running(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield process.stdout.readline().split()[-1].removeprefix("http://").removesuffix("/v1")


def load(*arguments: object) -> dict[str, float]:
    """One run of the load client."""
    done = subprocess.run([LOAD, *map(str, arguments)], check=True, capture_output=True, text=True)
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def in_turns(*measurements: Callable[[], dict[str, float]]) -> list[dict[str, float]]:
    """Runs the measurements alternately; the median of every figure for each of them."""
    rows: list[list[dict[str, float]]] = [[] for _ in measurements]
    for _ in range(TURNS):
        for number, measurement in enumerate(measurements):
            rows[number].append(measurement())
    return [{key: statistics.median(row[key] for row in runs) for key in runs[0]} for runs in rows]


class Sidecar:
    """A real daemon on a data directory, with the configuration `text`."""

    def __init__(self, directory: Path, text: str) -> None:
        self.data = directory / "data"
        self.config = directory / "fairlead.yaml"
        self.config.write_text(text)
        self._log = (directory / "daemon.log").open("a")
        self.process: subprocess.Popen[str] | None = None
        self.seconds_to_serving = 0.0

    def start(self) -> None:
        """Starts it and waits until its health is SERVING."""
        endpoints = self.data / "endpoints.json"
        endpoints.unlink(missing_ok=True)
        began = time.perf_counter()
        listen = ["--agent-listen", "127.0.0.1:0", "--health-listen", "127.0.0.1:0"]
        self.process = subprocess.Popen(
            [FAIRLEAD, "serve", "--config", self.config, "--data", self.data, *listen],
            env={**os.environ, configuration.TOKEN_VARIABLE: configuration.TOKEN},
            stderr=self._log,
            text=True,
        )
        while not endpoints.exists():
            if self.process.poll() is not None:
                raise RuntimeError(f"the daemon ended: see {self._log.name}")
            time.sleep(0.005)
        self.address = json.loads(endpoints.read_text())["agent"]
        with grpc.insecure_channel(self.address) as channel:
            health = health_pb2_grpc.HealthStub(channel)
            for answer in health.Watch(health_pb2.HealthCheckRequest(), timeout=600):
                if answer.status == health_pb2.HealthCheckResponse.SERVING:
                    break
        self.seconds_to_serving = time.perf_counter() - began

    def resident_megabytes(self) -> float:
        """Resident memory now."""
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024

    def stop(self) -> None:
        """Ends it as an operator does: what is in memory is written and synced."""
        assert self.process is not None
        self.process.terminate()
        self.process.wait()
        self.process = None

    def kill(self) -> None:
        """kill -9."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
