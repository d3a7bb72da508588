"""The operator's own credential: who a command speaks for, where that makes a difference."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import grpc

ENVIRONMENT = "FAIRLEAD_OPERATOR_TOKEN"


class TokenUnreadable(Exception):
    """The file that should hold the token cannot be used."""


def token_of(arguments: argparse.Namespace) -> str | None:
    """The token that the arguments or the environment name; raises `TokenUnreadable`."""
    path: Path | None = arguments.token_file
    if path is None:
        return os.environ.get(ENVIRONMENT) or None
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise TokenUnreadable(f"{path} cannot be read: {getattr(error, 'strerror', None) or 'not text'}") from error
    if not token:
        raise TokenUnreadable(f"{path} is empty")
    return token


def credentials(token: str | None) -> grpc.ChannelCredentials:
    """Credentials of a channel over a unix socket: it stays on the machine, so a token may go over it without TLS."""
    local = grpc.local_channel_credentials(grpc.LocalConnectionType.UDS)
    if token is None:
        return local
    return grpc.composite_channel_credentials(local, grpc.access_token_call_credentials(token))
