"""How commands reach the agent endpoint: where it is, and with which agent's token."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

DEFAULT = "127.0.0.1:7400"
DEV_TOKEN = "dev"
ENVIRONMENT = "FAIRLEAD_TOKEN"
_TOKEN_MAX_BYTES = 64 << 10


class TokenUnusable(Exception):
    """There is no token, or none that can be sent."""


def add_credential(parser: argparse.ArgumentParser) -> None:
    """Adds `--agent-token-file` and `--dev`."""
    credential = parser.add_mutually_exclusive_group()
    credential.add_argument("--agent-token-file", type=Path, metavar="FILE", help="file with the agent's token")
    credential.add_argument("--dev", action="store_true", help="the token of fairlead serve --dev")


def token_of(arguments: argparse.Namespace) -> str:
    """The agent's token; raises `TokenUnusable`."""
    if arguments.dev:
        return DEV_TOKEN
    if arguments.agent_token_file is not None:
        token = _read(arguments.agent_token_file)
    else:
        token = os.environ.get(ENVIRONMENT, "").strip()
    if not token:
        raise TokenUnusable(f"there is no token: set {ENVIRONMENT}, or give --agent-token-file or --dev")
    if not all(" " < character <= "~" for character in token):
        raise TokenUnusable("the token holds something that cannot be sent in a header")
    return token


def address_of(data: Path) -> str:
    """Where the sidecar of a data directory listens for agents, as it says itself, else the default."""
    try:
        return str(json.loads((data / "endpoints.json").read_text(encoding="utf-8"))["agent"])
    except (OSError, ValueError, KeyError, TypeError):
        return DEFAULT


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_TOKEN_MAX_BYTES).decode("ascii", "replace").strip()
    except OSError as error:
        raise TokenUnusable(f"{path} cannot be read: {error.strerror or 'unreadable'}") from None
