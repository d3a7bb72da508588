"""How commands reach the running sidecar: its operator socket, and what a refusal looks like to a person."""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import grpc

DEFAULT_DATA = "./data"
DEFAULT_TIMEOUT_SECONDS = 30.0
RECEIVE_MAX_BYTES = 16 << 20
# sockaddr_un holds 107 bytes and a zero.
_SOCKET_PATH_MAX_BYTES = 107


class Unreachable(Exception):
    """There is no operator socket to talk to."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds `--data`, `--socket` and `--token-file`."""
    add_place(parser)
    parser.add_argument(
        "--token-file",
        type=Path,
        metavar="PATH",
        help="file with your operator token (default: $FAIRLEAD_OPERATOR_TOKEN, else you are the local operator)",
    )


def add_place(parser: argparse.ArgumentParser) -> None:
    """Adds `--data` and `--socket`."""
    place = parser.add_mutually_exclusive_group()
    place.add_argument(
        "--data",
        type=Path,
        default=Path(os.environ.get("FAIRLEAD_DATA") or DEFAULT_DATA),
        metavar="DIR",
        help="data directory of the running sidecar (default: $FAIRLEAD_DATA or ./data)",
    )
    place.add_argument(
        "--socket", type=Path, metavar="PATH", help="operator socket (default: as DIR/endpoints.json says)"
    )


def socket_path(arguments: argparse.Namespace) -> Path:
    """The operator socket that the arguments name; raises `Unreachable`."""
    path = arguments.socket if arguments.socket is not None else _from_data_directory(arguments.data)
    if not path.is_socket():
        raise Unreachable(f"no sidecar listens on {path}: start it, or name its data directory with --data")
    absolute: Path = path.resolve()
    if len(os.fsencode(absolute)) > _SOCKET_PATH_MAX_BYTES:
        relative = Path(os.path.relpath(absolute))
        if len(os.fsencode(relative)) > _SOCKET_PATH_MAX_BYTES:
            raise Unreachable(f"{absolute} is longer than a unix socket's name can be: change to its directory first")
        return relative
    return absolute


def answers(arguments: argparse.Namespace) -> bool:
    """True when a process listens on the operator socket; a killed one leaves only the file."""
    try:
        path = socket_path(arguments)
    except Unreachable:
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


@contextmanager
def connected(arguments: argparse.Namespace, receive_max_bytes: int = RECEIVE_MAX_BYTES) -> Iterator[grpc.Channel]:
    """A channel to the operator socket; raises `Unreachable`."""
    import grpc

    from fairlead.cli.operator_token import TokenUnreadable, credentials, token_of

    try:
        allowed = credentials(token_of(arguments))
    except TokenUnreadable as error:
        raise Unreachable(str(error)) from error

    # Over a unix socket the authority would be its percent-encoded path, which strict HTTP/2 servers refuse.
    options = [("grpc.default_authority", "localhost"), ("grpc.max_receive_message_length", receive_max_bytes)]
    with grpc.secure_channel(f"unix:{socket_path(arguments)}", allowed, options=options) as channel:
        yield channel


@contextmanager
def refusals_reported(hint_when_unknown: str = "") -> Iterator[list[int]]:
    """Prints what goes wrong in the block to stderr; the yielded list holds the exit code then, and is empty before.

    INVALID_ARGUMENT gives 2 like other bad input, any other refusal 1. The hint is printed when the answer did not come
    or was not final, so that what was asked for may have happened or may still happen.
    """
    import grpc

    from fairlead.client._errors import ConnectionFailed, DeadlineExceeded, TemporarilyUnavailable, from_rpc_error

    codes: list[int] = []
    try:
        yield codes
    except Unreachable as absence:
        print(f"fairlead: {absence}", file=sys.stderr)
        codes.append(1)
    except grpc.RpcError as fault:
        error = from_rpc_error(fault)
        print(f"fairlead: {error}", file=sys.stderr)
        for path, description in error.violations:
            if f"{path}: {description}" != error.message:
                print(f"  {path}: {description}", file=sys.stderr)
        if hint_when_unknown and isinstance(error, ConnectionFailed | DeadlineExceeded | TemporarilyUnavailable):
            print(f"fairlead: {hint_when_unknown}", file=sys.stderr)
        codes.append(2 if error.reason == "INVALID_ARGUMENT" else 1)


def _from_data_directory(data: Path) -> Path:
    """The socket named in DATA/endpoints.json, else where it is by default."""
    try:
        endpoints = json.loads((data / "endpoints.json").read_text(encoding="utf-8"))
        operator = endpoints["operator"]
    except (OSError, ValueError, KeyError, TypeError):
        return data / "admin.sock"
    if isinstance(operator, str) and operator.startswith("unix:"):
        return Path(operator.removeprefix("unix:"))
    return data / "admin.sock"
