"""Restate: its server with its defaults on a fresh directory, the service beside it, and callers over HTTP.

A caller is a thread with one kept connection to the ingress, which answers when the run has ended.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from clock import STEPS, arguments, chains, say, size_bytes, text

HERE = Path(__file__).parent
START_SECONDS = 120
SERVER = next((HERE.parent / "node/node_modules/@restatedev").glob("restate-server-*/bin/restate-server"))


def free_port() -> int:
    """A port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


@contextmanager
def running(command: list[str], log: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is ended as an operator does."""
    with log.open("w") as lines:
        process = subprocess.Popen(command, cwd=HERE, stdout=lines, stderr=lines, env={**os.environ, **environment})
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def insist(url: str, body: Any = None) -> bytes:
    """The answer, as soon as somebody gives a good one."""
    until = time.monotonic() + START_SECONDS
    data = None if body is None else json.dumps(body).encode()
    while True:
        try:
            request = urllib.request.Request(url, data, {"content-type": "application/json"})
            with urllib.request.urlopen(request, timeout=30) as response:
                answer: bytes = response.read()
                return answer
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


class Callers:
    """One kept connection for each thread."""

    def __init__(self, port: int, size: int) -> None:
        self._port, self._size, self._mine = port, size, threading.local()

    def call(self) -> None:
        """One run, to its end."""
        if not hasattr(self._mine, "connection"):
            self._mine.connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=120)
            self._mine.connection.connect()
            self._mine.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        body = json.dumps(text(self._size))
        self._mine.connection.request("POST", "/Chain/run", body, {"content-type": "application/json"})
        response = self._mine.connection.getresponse()
        answer = response.read()
        if response.status != 200:
            raise RuntimeError(f"the ingress answered {response.status}: {answer[:200]!r}")


def main() -> None:
    """Measures once."""
    directory, concurrent, runs, size = arguments()
    ingress, admin, node, service = (free_port() for _ in range(4))
    base = directory / "restate"
    with ExitStack() as stack:
        binds = {
            "RESTATE_INGRESS__BIND_ADDRESS": f"127.0.0.1:{ingress}",
            "RESTATE_ADMIN__BIND_ADDRESS": f"127.0.0.1:{admin}",
            "RESTATE_BIND_ADDRESS": f"127.0.0.1:{node}",
            "RESTATE_ADVERTISED_ADDRESS": f"http://127.0.0.1:{node}",
            "RESTATE_DISABLE_TELEMETRY": "true",
            "RUST_LOG": "error",
        }
        server = [str(SERVER), "--base-dir", str(base), "--node-name", "bench"]
        stack.enter_context(running(server, directory / "server.log", **binds))
        serve = [sys.executable, "-m", "hypercorn", "--bind", f"127.0.0.1:{service}", "restate_service:app"]
        stack.enter_context(running(serve, directory / "service.log", CHAIN_BYTES=str(size)))
        insist(f"http://127.0.0.1:{admin}/deployments", {"uri": f"http://127.0.0.1:{service}"})
        insist(f"http://127.0.0.1:{ingress}/Chain/run", "first")
        before = size_bytes(base)
        figures = chains(Callers(ingress, size).call, concurrent, runs)
    steps = (figures["runs"] + 1) * STEPS
    say({**figures, "bytes": (size_bytes(base) - before) / steps, "synced": "fsync of its log, the server's default"})
    shutil.rmtree(base)


if __name__ == "__main__":
    main()
