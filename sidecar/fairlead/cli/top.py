"""`fairlead top`: what a running sidecar does right now."""

from __future__ import annotations

import argparse
import http.client
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from fairlead.cli import operator

if TYPE_CHECKING:
    from fairlead.top.frame import Look

_TIMEOUT_SECONDS = 5.0
# Addresses that mean every interface: the sidecar is reached on the loopback one.
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}


class _Unseen(Exception):
    """The sidecar cannot be looked at now."""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "top",
        help="live view of calls, models, breakers and budgets",
        description="Shows calls, refusals, models with their latencies and breakers, and the budgets nearest to their "
        "limit. It reads the metrics page. q quits.",
    )
    parser.add_argument("--health", metavar="HOST:PORT", help="health endpoint (default: as DIR/endpoints.json says)")
    parser.add_argument(
        "--interval", type=_interval, default=1.0, metavar="TIME", help="time between looks (default: 1s)"
    )
    parser.add_argument("--once", action="store_true", help="print one look as text and end")
    parser.add_argument("--json", action="store_true", help="print one look as JSON and end")
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(os.environ.get("FAIRLEAD_DATA") or operator.DEFAULT_DATA),
        metavar="DIR",
        help="data directory of the running sidecar (default: $FAIRLEAD_DATA or ./data)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Shows what is there until q; once with --once or --json."""
    if arguments.once or arguments.json:
        return _once(arguments)
    if not sys.stdin.isatty() or not sys.stdout.isatty():
        print("fairlead top: needs a terminal; use --once or --json", file=sys.stderr)
        return 2
    return _live(arguments)


def _once(arguments: argparse.Namespace) -> int:
    from fairlead.top import drawing
    from fairlead.top.frame import frame

    try:
        look = _look(arguments)
    except _Unseen as reason:
        print(f"fairlead: {reason}", file=sys.stderr)
        return 1
    shown = frame(look)
    print(json.dumps(shown.as_json(), indent=2) if arguments.json else "\n".join(drawing.lines(shown)))
    return 0


def _live(arguments: argparse.Namespace) -> int:
    from fairlead.top import drawing, terminal
    from fairlead.top.frame import frame

    before: Look | None = None
    with terminal.taken() as screen:
        while True:
            try:
                now = _look(arguments)
            except _Unseen as reason:
                # It may be on its way down or up: what it counted is gone either way.
                before, lines = None, [f"fairlead: {reason}", "waiting for it; q quits"]
            else:
                lines, before = drawing.lines(frame(now, before)), now
            due = time.monotonic() + arguments.interval
            while True:
                screen.draw(lines)
                if "q" in screen.wait(max(0.0, due - time.monotonic())).lower():
                    return 0
                if time.monotonic() >= due:
                    break


def _look(arguments: argparse.Namespace) -> Look:
    """Looks once; raises `_Unseen`."""
    from fairlead.top import metrics
    from fairlead.top.frame import Look

    address = arguments.health or _health(arguments.data)
    host, _, port = address.rpartition(":")
    try:
        connection = http.client.HTTPConnection(_ANYWHERE.get(host, host), int(port), timeout=_TIMEOUT_SECONDS)
        try:
            connection.request("GET", "/metrics")
            response = connection.getresponse()
            text = response.read(metrics.PAGE_MAX_BYTES).decode("utf-8", "replace")
        finally:
            connection.close()
    except (OSError, ValueError, http.client.HTTPException):
        raise _Unseen(f"no sidecar answers on {address}") from None
    if response.status != 200:
        raise _Unseen(f"{address} answers {response.status}: it is not a sidecar's health endpoint")
    return Look(time.monotonic(), metrics.read(text))


def _health(data: Path) -> str:
    try:
        return str(json.loads((data / "endpoints.json").read_text(encoding="utf-8"))["health"])
    except (OSError, ValueError, KeyError, TypeError):
        raise _Unseen(f"no sidecar runs in {data}: start it, or name its data directory with --data") from None


def _interval(text: str) -> float:
    from fairlead.config.quantities import parse_duration

    try:
        seconds = parse_duration(text) / 1000
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"`{text}` is not a time: write 500ms or 2s") from error
    if not 0.1 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"`{text}` must be between 100ms and 1h")
    return seconds
