"""`fairlead`: entry point and table of the command groups.

Only the module of the group that is asked for is imported, so that `fairlead --help` answers at once and a client-only
installation can use the commands whose dependencies it has. A group's module has `register(subparsers)`, which adds its
parser and sets `run`, a function from the parsed arguments to the exit code.

Exit codes: 0 done, 1 the thing asked about is not so (or the sidecar refused), 2 usage or invalid configuration, 3 data
directory unusable, 4 address in use, 70 internal fault, 130 interrupted.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Group:
    """One command group: its name, its module in this package and the line in the overview."""

    name: str
    module: str
    summary: str


GROUPS = (
    Group("serve", "serve", "run the sidecar"),
    Group("health", "health", "say whether the sidecar is ready, for probes"),
    Group("config", "config", "validate, show, apply, compare and roll back the configuration"),
    Group("workflow", "workflow", "validate and draw workflows"),
    Group("budget", "budget", "list and adjust budgets"),
    Group("approvals", "approvals", "list what waits for people, and approve or reject it"),
    Group("run", "run", "start, list, look at, follow and steer runs of workflows"),
    Group("notifications", "notifications", "list notifications on their way, try again, drop, and test receivers"),
    Group("call", "call", "send one governed call and say what became of it"),
    Group("top", "top", "live view of calls, models, breakers and budgets"),
    Group("explain", "explain", "what an invocation or a run did, and why"),
    Group("audit", "audit", "follow, verify and export the audit log"),
    Group("backup", "backup", "make, verify and restore backups"),
    Group("import", "importing", "turn the configuration of another gateway into one of Fairlead"),
    Group("prices", "prices", "import and show price books"),
    Group("inject", "inject", "add the sidecar to the pods in Kubernetes manifests"),
    Group("worker", "worker", "run the functions that do the steps of workflows"),
    Group("webhook", "webhook", "add the sidecar to pods of Kubernetes as they are made"),
    Group("dev-provider", "dev_provider", "run a local model provider with faults on demand"),
)


class _Version(argparse.Action):
    def __init__(self, option_strings: Sequence[str], dest: str, **_: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, help="print the version and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(f"fairlead {version('fairlead')}")
        parser.exit()


def parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """The parser for a command line; groups it does not name are only listed."""
    root = argparse.ArgumentParser(
        prog="fairlead",
        description="The agent control plane that runs as a sidecar: routing, hard budgets, policy and a "
        "tamper-evident audit log for AI agents.",
    )
    root.add_argument("--version", action=_Version)
    root.set_defaults(run=None)
    subparsers = root.add_subparsers(metavar="COMMAND", title="commands")
    wanted = next((argument for argument in arguments if not argument.startswith("-")), None)
    for group in GROUPS:
        if group.name == wanted:
            importlib.import_module(f"fairlead.cli.{group.module}").register(subparsers)
        else:
            subparsers.add_parser(group.name, help=group.summary, add_help=False)
    return root


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command line and returns the exit code; usage errors exit with 2 by themselves."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    root = parser(given)
    parsed = root.parse_args(given)
    run: Callable[[argparse.Namespace], int] | None = parsed.run
    if run is None:
        root.print_help()
        return 2
    try:
        return run(parsed)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output has gone, as in `| head`. Nothing more can be written, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


if __name__ == "__main__":
    sys.exit(main())
