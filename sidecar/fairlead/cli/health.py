"""`fairlead health`: whether the sidecar of a data directory is well, for probes that run in its container."""

from __future__ import annotations

import argparse
import http.client
import json
import os
import sys
from pathlib import Path

from fairlead import endpoints

_ANSWER_MAX_BYTES = 64 << 10


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "health",
        help="say whether the sidecar is ready, for probes",
        description="Asks the health port of the sidecar that serves from a data directory, on this machine. Exit "
        "code 0 when it is ready (with --live: alive), else 1 with the reason.",
    )
    parser.add_argument(
        "--data",
        type=Path,
        default=os.environ.get("FAIRLEAD_DATA") or "./data",
        metavar="DIR",
        help="its data directory",
    )
    parser.add_argument(
        "--live", action="store_true", help="alive is enough, such as while it starts or its disk is full"
    )
    parser.add_argument(
        "--timeout", type=float, default=5.0, metavar="SECONDS", help="what the answer may take (default: 5)"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Asks; returns the exit code."""
    try:
        address = str(json.loads((arguments.data / endpoints.NAME).read_text(encoding="utf-8"))["health"])
    except FileNotFoundError:
        return _not_well(f"no sidecar serves from {arguments.data}")
    except (OSError, ValueError, KeyError, TypeError):
        return _not_well(f"{arguments.data / endpoints.NAME} cannot be read")
    path = "/healthz" if arguments.live else "/readyz"
    try:
        status, said = _ask(_reachable(address), path, arguments.timeout)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return _not_well(f"{address} does not answer: {getattr(error, 'strerror', None) or type(error).__name__}")
    if status != http.client.OK:
        return _not_well(f"{path} says {status}: {said}")
    print("alive" if arguments.live else "ready")
    return 0


def _ask(address: str, path: str, timeout_seconds: float) -> tuple[int, str]:
    connection = http.client.HTTPConnection(address, timeout=timeout_seconds)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read(_ANSWER_MAX_BYTES).decode("utf-8", "replace").strip()
    finally:
        connection.close()


def _reachable(address: str) -> str:
    """Where to call what listens on every address."""
    host, _, port = address.rpartition(":")
    return f"{ {'0.0.0.0': '127.0.0.1', '[::]': '[::1]'}.get(host, host) }:{port}"


def _not_well(why: str) -> int:
    print(f"fairlead health: {why}", file=sys.stderr)
    return 1
