"""`fairlead worker`: runs a `fairlead.worker.Worker` that a module has."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairlead import log
from fairlead.cli import bounded

if TYPE_CHECKING:
    from fairlead.worker import Worker

_INVALID = 2
_CONCURRENCY_MAX = 4096
_GRACE_MAX_SECONDS = 86_400


class _Usage(Exception):
    """The command line does not name a worker."""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    group = subparsers.add_parser("worker", help="run the functions that do the steps of workflows")
    group.set_defaults(run=_usage(group))
    commands = group.add_subparsers(metavar="COMMAND", title="commands")
    parser = commands.add_parser(
        "run",
        help="run a worker until SIGTERM or SIGINT",
        description="Imports MODULE, from the current directory as well, and runs the Worker that it has under NAME. "
        "SIGTERM or SIGINT lets functions that run end; a second one ends the grace at once. Options replace what the "
        "worker was made with.",
        epilog="Exit codes: 0 stopped as asked, 1 refused by the sidecar, 2 usage, or no such worker.",
    )
    parser.add_argument("worker", metavar="MODULE:NAME", help="such as loan.agents:parser")
    parser.add_argument("--agent", metavar="HOST:PORT", help="agent endpoint of the sidecar")
    parser.add_argument("--agent-token-file", type=Path, metavar="FILE", help="file with the agent's token")
    parser.add_argument(
        "--concurrency", type=bounded.number(1, _CONCURRENCY_MAX), metavar="N", help="steps that run at once"
    )
    parser.add_argument(
        "--grace", type=bounded.seconds(_GRACE_MAX_SECONDS), metavar="SECONDS", help="for functions to end in"
    )
    parser.add_argument("--log-level", choices=log.LEVELS, default="info", help="default: info")
    parser.set_defaults(run=run)


def _usage(group: argparse.ArgumentParser) -> Callable[[argparse.Namespace], int]:
    def run_usage(_: argparse.Namespace) -> int:
        group.print_help()
        return _INVALID

    return run_usage


def run(arguments: argparse.Namespace) -> int:
    """Runs the worker."""
    from fairlead.client import FairleadError

    log.configure(arguments.log_level)
    try:
        worker = _found(arguments.worker)
        given = _given(arguments)
    except _Usage as error:
        print(f"fairlead worker: {error}", file=sys.stderr)
        return _INVALID
    worker.settings = dataclasses.replace(worker.settings, **given)
    log.redactor.replace([worker.settings.token or os.environ.get("FAIRLEAD_TOKEN", "")])
    try:
        worker.run()
    except FairleadError as error:
        print(f"fairlead worker: {error}", file=sys.stderr)
        return 1
    return 0


def _found(name: str) -> Worker:
    """The worker; raises `_Usage`."""
    from fairlead.worker import Worker

    module_name, _, path = name.partition(":")
    if not module_name or not path:
        raise _Usage(f"`{name}` is not MODULE:NAME, such as loan.agents:parser")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    try:
        found = importlib.import_module(module_name)
        for part in path.split("."):
            found = getattr(found, part)
    except AttributeError as error:
        raise _Usage(f"`{name}` is not there: {error}") from None
    except ModuleNotFoundError as error:
        raise _Usage(f"`{module_name}` cannot be imported: {error}") from None
    except Exception:
        # The fault is in the module, and only its own lines help.
        traceback.print_exc()
        raise _Usage(f"`{module_name}` cannot be imported") from None
    if not isinstance(found, Worker):
        raise _Usage(f"`{name}` is a {type(found).__name__}, not a fairlead.worker.Worker")
    if not found.queues:
        raise _Usage(f"`{name}` has no function: register one with @{path}.step(QUEUE)")
    return found


def _given(arguments: argparse.Namespace) -> dict[str, Any]:
    """The options that were given; raises `_Usage`."""
    given: dict[str, Any] = {"target": arguments.agent, "concurrency": arguments.concurrency, "grace": arguments.grace}
    if arguments.agent_token_file is not None:
        try:
            given["token"] = arguments.agent_token_file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            raise _Usage(f"{arguments.agent_token_file} cannot be read") from None
        if not given["token"]:
            raise _Usage(f"{arguments.agent_token_file} is empty")
    return {name: value for name, value in given.items() if value is not None}
