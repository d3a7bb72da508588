"""`fairlead serve`: the daemon."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

LEVELS = ("debug", "info", "warn", "error")
_TRUE = ("1", "true", "yes", "on")


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "serve",
        help="run the sidecar",
        description="Runs the sidecar until SIGTERM or SIGINT; a second signal ends it at once. Every option can be "
        "given as an environment variable, such as FAIRLEAD_DATA for --data.",
        epilog="Exit codes: 0 stopped as asked, 2 usage or invalid configuration, 3 data directory unusable (locked by "
        "another daemon, unknown format, not writable), 4 address in use, 70 internal fault, 128+N ended by a second "
        "signal N.",
    )
    parser.add_argument("--config", type=Path, default=_given("CONFIG"), metavar="FILE", help="YAML file or directory")
    parser.add_argument(
        "--data", type=Path, default=_given("DATA") or "./data", metavar="DIR", help="data directory (default: ./data)"
    )
    parser.add_argument(
        "--dev",
        action="store_true",
        default=(_given("DEV") or "").lower() in _TRUE,
        help="add tenant `dev` with an agent whose token is `dev`; needs no --config. Never in production",
    )
    parser.add_argument(
        "--agent-listen",
        type=_address,
        default=_given("AGENT_LISTEN"),
        metavar="HOST:PORT",
        help="overrides listen.agent; port 0 picks",
    )
    parser.add_argument(
        "--health-listen",
        type=_address,
        default=_given("HEALTH_LISTEN"),
        metavar="HOST:PORT",
        help="overrides listen.health",
    )
    parser.add_argument(
        "--grace",
        type=_seconds,
        default=_given("GRACE") or "20s",
        metavar="TIME",
        help="what calls in flight get at a stop (default: 20s)",
    )
    parser.add_argument(
        "--log-level", choices=LEVELS, default=_given("LOG_LEVEL") or "info", help="least level that is logged"
    )
    parser.add_argument(
        "--worker-threads",
        type=_threads,
        default=_given("WORKER_THREADS") or "2",
        metavar="N",
        help="threads that serve calls (default: 2)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serves; returns the exit code."""
    if arguments.config is None and not arguments.dev:
        print("fairlead serve: give --config FILE, or --dev to try it without one", file=sys.stderr)
        return 2
    if arguments.log_level not in LEVELS:
        print(f"fairlead serve: FAIRLEAD_LOG_LEVEL must be one of {', '.join(LEVELS)}", file=sys.stderr)
        return 2
    # Both are read when the native library and gRPC are first imported.
    os.environ.setdefault("FAIRLEAD_LOG", arguments.log_level)
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from fairlead import log
    from fairlead.daemon import Options, serve

    log.configure(arguments.log_level)
    return serve(
        Options(
            config=arguments.config,
            data=arguments.data.absolute(),
            dev=arguments.dev,
            agent_listen=arguments.agent_listen,
            health_listen=arguments.health_listen,
            grace_seconds=arguments.grace,
            worker_threads=arguments.worker_threads,
        )
    )


def _given(name: str) -> str | None:
    return os.environ.get(f"FAIRLEAD_{name}") or None


def _address(text: str) -> str:
    from fairlead.config.sections.listen import address

    try:
        return address(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"`{text}` {error}") from error


def _seconds(text: str) -> float:
    from fairlead.config.quantities import parse_duration

    try:
        return parse_duration(text) / 1000
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"`{text}` is not a time: write 20s or 500ms") from error


def _threads(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 64:
        raise argparse.ArgumentTypeError(f"`{text}` is not a number of threads from 1 to 64")
    return int(text)
