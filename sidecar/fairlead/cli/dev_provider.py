"""`fairlead dev-provider`: a local model provider for development and tests."""

from __future__ import annotations

import argparse
import asyncio
import errno
import re
import signal
import sys

from fairlead.devprovider.faults import Fault, FaultKind
from fairlead.devprovider.server import DevProvider, Latency

_KINDS = ", ".join(kind.value.replace("_", "-") for kind in FaultKind if kind is not FaultKind.STATUS)


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "dev-provider",
        help="run a local model provider with faults on demand",
        description="Speaks OpenAI Chat Completions, OpenAI Responses and Anthropic Messages on 127.0.0.1. Faults: a "
        f"status such as 429 or 429:retry-after=2, {_KINDS}. A request asks for one with the header x-dev-fault, and "
        'they can be armed while it runs: POST /_dev/faults {"fault": "429", "times": 3}. What it says '
        'can be set as well: POST /_dev/say {"text": "…"}.',
    )
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 picks a free one and prints it")
    parser.add_argument("--seed", type=int, default=0, help="seed of latency and of faults drawn by share")
    parser.add_argument(
        "--latency", type=_range, default=(0.0, 0.0), metavar="20ms[-80ms]", help="time before an answer"
    )
    parser.add_argument(
        "--event-gap", type=_seconds, default=0.0, metavar="5ms", help="time between events of a stream"
    )
    parser.add_argument(
        "--fault", type=_share, action="append", default=[], metavar="FAULT=SHARE", help="such as 429=0.1 or cut=0.05"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serves until SIGINT or SIGTERM."""
    return asyncio.run(_serve(arguments))


async def _serve(arguments: argparse.Namespace) -> int:
    low, high = arguments.latency
    latency = Latency(low, high, between_events=arguments.event_gap, seed=arguments.seed)
    provider = DevProvider(latency, arguments.seed)
    for fault, share in arguments.fault:
        provider.faults.share(fault, share)
    try:
        port = await provider.start(port=arguments.port)
    except OSError as error:
        why = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be bound: {error.strerror}"
        print(f"fairlead dev-provider: 127.0.0.1:{arguments.port} {why}", file=sys.stderr)
        return 1
    print(f"dev-provider listening on http://127.0.0.1:{port}/v1", flush=True)
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await stopped.wait()
    await provider.close()
    return 0


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s)", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"`{text}` is not a time: write 20ms or 1.5s")
    return float(match[1]) * (0.001 if match[2] == "ms" else 1.0)


def _range(text: str) -> tuple[float, float]:
    low, _, high = text.partition("-")
    return _seconds(low), _seconds(high or low)


def _share(text: str) -> tuple[Fault, float]:
    fault, _, share = text.rpartition("=")
    try:
        return Fault.parse(fault), float(share)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{error}; write FAULT=SHARE such as 429=0.1") from None
