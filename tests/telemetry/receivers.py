"""Programs that receive telemetry, as their users run them, on loopback; each ends with its block."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

ROOT = Path(__file__).parents[2]
PHOENIX = ROOT / ".venv-telemetry/bin/phoenix"
RULES = ROOT / "deploy/prometheus/rules.yaml"
LIMIT_SECONDS = 300.0
# Between two looks at a program that nobody can wait for.
LOOK_SECONDS = 0.25
T = TypeVar("T")


def free_port() -> int:
    """A port that was free just now."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
    return port


def asked(url: str, **question: Any) -> Any:
    """What an API answers, as JSON."""
    query = urllib.parse.urlencode(question, doseq=True)
    with urllib.request.urlopen(f"{url}?{query}" if query else url, timeout=30) as answer:
        return json.load(answer)


def until(look: Callable[[], T | None]) -> T:
    """The first thing that is seen; looks again and again."""
    deadline, idle = time.monotonic() + LIMIT_SECONDS, threading.Event()
    while (found := look()) is None:
        assert time.monotonic() < deadline, "it was never seen"
        idle.wait(LOOK_SECONDS)
    return found


@contextmanager
def program(log: Path, ready: str, *command: str, **environment: str) -> Iterator[None]:
    """A program, once a URL of it answers 200."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        try:

            def answers() -> bool | None:
                assert process.poll() is None, log.read_text()
                try:
                    with urllib.request.urlopen(ready, timeout=5) as answer:
                        return answer.status == 200 or None
                except (urllib.error.URLError, OSError):
                    return None

            until(answers)
            yield
        finally:
            process.terminate()
            process.wait(60)


@contextmanager
def phoenix(directory: Path) -> Iterator[tuple[str, str]]:
    """Arize Phoenix; its URLs for HTTP and for gRPC."""
    assert PHOENIX.exists(), "Phoenix is missing: run make test-telemetry"
    http, grpc = free_port(), free_port()
    settings = {
        "PHOENIX_WORKING_DIR": str(directory),
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": str(http),
        "PHOENIX_GRPC_PORT": str(grpc),
        "PHOENIX_TELEMETRY_ENABLED": "false",
    }
    url = f"http://127.0.0.1:{http}"
    with program(directory / "phoenix.log", f"{url}/healthz", str(PHOENIX), "serve", **settings):
        yield url, f"http://127.0.0.1:{grpc}"


@contextmanager
def prometheus(directory: Path, target: str) -> Iterator[str]:
    """Prometheus, which scrapes a target every second and evaluates the rules as often; its API."""
    command = shutil.which("prometheus")
    if command is None:
        pytest.fail("prometheus is missing: install it (Debian: apt-get install prometheus)")
    configuration = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "scrape_configs": [{"job_name": "fairlead", "static_configs": [{"targets": [target]}]}],
        "rule_files": [str(RULES)],
    }
    # YAML is a superset of JSON.
    (directory / "prometheus.yml").write_text(json.dumps(configuration))
    url = f"http://127.0.0.1:{free_port()}"
    arguments = (
        f"--config.file={directory}/prometheus.yml",
        f"--storage.tsdb.path={directory}/tsdb",
        f"--web.listen-address={url.removeprefix('http://')}",
    )
    with program(directory / "prometheus.log", f"{url}/-/ready", command, *arguments):
        yield f"{url}/api/v1"
