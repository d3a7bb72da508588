"""`fairlead backup`: make, verify and restore backups of the store."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fairlead.backup.model import BackupError, Manifest
from fairlead.budget.model import count
from fairlead.cli import operator

if TYPE_CHECKING:
    from fairlead.v1 import backup_service_pb2

# Backups hold what the data directory holds: nobody else reads them.
_UMASK = 0o077
_DATA_DIRECTORY = 3
_FORGOTTEN = """\
What happened after {time} is not in this directory:
- Money and tokens spent since are not counted: see fairlead budget list, correct with fairlead budget adjust.
- Idempotency keys used since are unknown: A SIDE EFFECT THAT HAS RUN SINCE WILL RUN AGAIN when it is asked for again.
  Before agents start, find out what was done since: from an export of the audit log, or from the systems that did it.
- Holds, grants and approvals that were open are open again. A grant that nobody completes becomes UNKNOWN in its time.
- Configurations applied since are gone; the start applies the one that it is given.
- The audit log goes on from {head}: what was exported after that is the only trace of it."""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the commands."""
    group = subparsers.add_parser(
        "backup",
        help="make, verify and restore backups",
        description="Backups of the whole store: budgets, tool calls and their keys, approvals, audit log, "
        "configurations. A backup has what agents let Fairlead keep, so guard it like the data directory; secrets are "
        "not in it.",
    )
    group.set_defaults(run=_usage(group))
    commands = group.add_subparsers(metavar="COMMAND", title="commands")

    create = commands.add_parser(
        "create",
        help="make a backup of a running sidecar, or of the directory of a stopped one",
        description="Makes a backup of one moment; a running sidecar goes on meanwhile. Whole or not at all: what has "
        "no manifest is no backup. Keep the head that it prints somewhere else.",
    )
    create.add_argument(
        "--to",
        required=True,
        metavar="DIR|FILE.tar|-",
        help="a directory that is not there yet, a tar archive, or an archive on stdout",
    )
    create.add_argument(
        "--offline", action="store_true", help="read the data directory itself; no sidecar may be running on it"
    )
    operator.add_arguments(create)
    create.set_defaults(run=run_create)

    verify = commands.add_parser(
        "verify",
        help="check a backup; exit code 1 when it cannot be restored",
        description="Compares every file with its SHA-256, opens the store and recomputes the audit log's chain. "
        "Changes nothing. An archive is unpacked for it below $TMPDIR.",
    )
    _add_from(verify)
    verify.set_defaults(run=run_verify)

    restore = commands.add_parser(
        "restore",
        help="make a data directory of a backup",
        description="Makes the data directory as it was when the backup was made, after the same checks as verify. "
        "What happened since is forgotten, idempotency keys included: it says what that means.",
    )
    _add_from(restore)
    restore.add_argument(
        "--data",
        type=Path,
        default=Path(os.environ.get("FAIRLEAD_DATA") or operator.DEFAULT_DATA),
        metavar="DIR",
        help="data directory to make; has to be empty or not there (default: $FAIRLEAD_DATA or ./data)",
    )
    restore.set_defaults(run=run_restore)


def run_create(arguments: argparse.Namespace) -> int:
    """Makes a backup."""
    from fairlead.backup.writing import keep

    os.umask(_UMASK)
    with (
        operator.refusals_reported() as codes,
        _problems_reported(codes, "no backup was made"),
        _parts(arguments) as parts,
    ):
        manifest = keep(parts, arguments.to, sys.stdout.buffer, _progress())
        # The archive may be on stdout.
        print(_summary("backed up", manifest), file=sys.stderr if arguments.to == "-" else sys.stdout)
    return codes[0] if codes else 0


def run_verify(arguments: argparse.Namespace) -> int:
    """Checks a backup; 1 when something is wrong."""
    from fairlead.backup.verification import verify

    os.umask(_UMASK)
    codes: list[int] = []
    with _problems_reported(codes, "the backup was not verified"):
        manifest, verification = verify(arguments.backup, sys.stdin.buffer)
        print(_summary(f"valid: {count(verification.checked, 'audit record')} checked,", manifest))
    return codes[0] if codes else 0


def run_restore(arguments: argparse.Namespace) -> int:
    """Makes a data directory of a backup."""
    from fairlead.backup.restoring import restore

    os.umask(_UMASK)
    codes: list[int] = []
    with _problems_reported(codes, "nothing was restored"):
        manifest, _ = restore(arguments.backup, arguments.data, sys.stdin.buffer, time.time_ns())
        print(_summary(f"restored {arguments.data}:", manifest))
        moment = manifest.moment
        print(_FORGOTTEN.format(time=moment.time(), head=f"record {moment.audit_sequence}"), file=sys.stderr)
    return codes[0] if codes else 0


@contextmanager
def _parts(arguments: argparse.Namespace) -> Iterator[Iterator[backup_service_pb2.CreateBackupResponse]]:
    """The backup that the arguments name: of the sidecar when one answers, else of its directory."""
    from fairlead.v1 import backup_service_pb2, backup_service_pb2_grpc

    if not arguments.offline and (arguments.socket is not None or operator.answers(arguments)):
        with operator.connected(arguments) as channel:
            stub = backup_service_pb2_grpc.BackupServiceStub(channel)
            # No deadline: a large store takes its time.
            call = stub.CreateBackup(backup_service_pb2.CreateBackupRequest())
            try:
                yield iter(call)
            finally:
                call.cancel()
        return
    if arguments.socket is not None:
        raise operator.Unreachable("--offline needs a data directory: name it with --data instead of --socket")
    from fairlead.backup.stopped import stopped
    from fairlead.startup import program_version

    with stopped(arguments.data, time.time_ns(), program_version()) as parts:
        if not arguments.offline:
            print(f"fairlead: no sidecar runs on {arguments.data}: reading it offline", file=sys.stderr)
        yield parts


@contextmanager
def _problems_reported(codes: list[int], outcome: str) -> Iterator[None]:
    """Prints what is wrong with the backup, the directory or the disk, and what that means; its exit code goes into
    `codes`."""
    from fairlead.audit.model import Undecodable
    from fairlead.backup.restoring import NotEmpty
    from fairlead.store import StoreError

    try:
        yield
    except (NotEmpty, StoreError) as error:
        print(f"fairlead: {error}; {outcome}", file=sys.stderr)
        codes.append(_DATA_DIRECTORY)
    except (BackupError, Undecodable) as error:
        print(f"fairlead: {error}; {outcome}", file=sys.stderr)
        codes.append(1)
    except BrokenPipeError:
        # The entry point knows what to do.
        raise
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        print(f"fairlead: {place}{error.strerror or error}; {outcome}", file=sys.stderr)
        codes.append(1)


def _progress() -> Callable[[int, int], None]:
    """Says on a terminal how far it is; elsewhere nothing."""

    def told(kept: int, of: int) -> None:
        if sys.stderr.isatty():
            end = "\n" if kept == of else ""
            print(f"\r{kept >> 20} of {of >> 20} MiB", end=end, file=sys.stderr, flush=True)

    return told


def _summary(what: str, manifest: Manifest) -> str:
    moment = manifest.moment
    size = f"{count(len(manifest.files), 'file')}, {manifest.size_bytes:,} bytes"
    return f"{what} {size}, of {moment.time()}\nhead: {moment.head()}"


def _add_from(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--from",
        required=True,
        dest="backup",
        metavar="DIR|FILE.tar|-",
        help="the backup; - reads an archive from stdin",
    )


def _usage(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], int]:
    def run(_: argparse.Namespace) -> int:
        parser.print_help()
        return 2

    return run
