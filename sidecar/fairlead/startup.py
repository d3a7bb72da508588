"""The steps of a start that can be refused, each with the exit code of its refusal."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from enum import IntEnum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from fairlead import endpoints
from fairlead.config import Config, ConfigError, Loaded, Loader, ResolvedSecrets, SecretUnavailable
from fairlead.control.errors import temporary
from fairlead.control.server import OperatorTcp
from fairlead.endpoints import Endpoints
from fairlead.store import Store, StoreError, open_store, recovery

RETRY_SECONDS = 1.0

_log = logging.getLogger(__name__)


class ExitCode(IntEnum):
    """How the daemon ends; 128 plus the signal's number when a second one ended it."""

    STOPPED = 0
    CONFIGURATION = 2
    DATA_DIRECTORY = 3
    ADDRESS = 4
    FAULT = 70


class CannotStart(Exception):
    """An expected reason not to start, which has an exit code of its own."""

    def __init__(self, code: ExitCode, message: str) -> None:
        super().__init__(message)
        self.code = code


def load_configuration(loader: Loader, path: Path | None) -> tuple[Loaded, ResolvedSecrets]:
    """The configuration and its secrets; every violation is a line of the log."""
    try:
        loaded = loader.load(path)
        return loaded, loader.resolve_secrets(loaded.config)
    except ConfigError as error:
        for violation in error.violations:
            where = {"file": violation.file, "line": violation.line, "path": violation.path}
            _log.error("%s", violation, extra=where)
        count = len(error.violations)
        raise CannotStart(
            ExitCode.CONFIGURATION, f"the configuration has {count} violation{'' if count == 1 else 's'}"
        ) from error
    except SecretUnavailable as error:
        raise CannotStart(ExitCode.CONFIGURATION, f"a secret cannot be used: {error}") from error


def open_data_directory(data: Path) -> Store:
    """The store of the data directory, which is this daemon's from here on."""
    try:
        return open_store(data)
    except StoreError as error:
        raise CannotStart(ExitCode.DATA_DIRECTORY, str(error)) from error


def recover(core: recovery.RecoveringCore, store: Store) -> recovery.Recovered:
    """Gives the core what is stored."""
    try:
        return recovery.recover(core, store, time.time_ns())
    except (StoreError, RuntimeError, ValueError) as error:
        raise CannotStart(ExitCode.DATA_DIRECTORY, f"{store.path} cannot be recovered: {error}") from error


async def until_taken(
    step: Callable[[], Awaitable[None]], stopping: asyncio.Event, retry_seconds: float = RETRY_SECONDS
) -> bool:
    """Takes a step of the start, again and again while a refusal of it can pass; False when told to stop first.

    A full disk or a clock that was set back is not mended by an end of the process: it would only be started again.
    """
    told = ""
    while not stopping.is_set():
        try:
            await step()
            return True
        except Exception as error:
            refusal = temporary(error)
            if refusal is None:
                raise
            if refusal.reason != told:
                told = refusal.reason
                fields = {**refusal.metadata, "reason": refusal.reason, "error": refusal.message}
                _log.error("the start waits: this has to pass first", extra=fields)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), retry_seconds)
    return False


def private_directory(path: Path) -> Path:
    """A directory of mode 0700, made if it is not there."""
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        path.chmod(0o700)
    except OSError as error:
        raise CannotStart(ExitCode.DATA_DIRECTORY, f"{path} cannot be made private: {error.strerror}") from error
    return path


def write_endpoints(reached: Endpoints, data: Path) -> None:
    """Says where the daemon can be reached."""
    try:
        reached.write(data)
    except OSError as error:
        raise CannotStart(
            ExitCode.DATA_DIRECTORY, f"{data / endpoints.NAME} cannot be written: {error.strerror}"
        ) from error


def operator_tcp(config: Config) -> OperatorTcp | None:
    """The operators' TCP endpoint with its certificate and key, if there is to be one."""
    tcp = config.listen.operator.tcp
    if tcp is None:
        return None
    try:
        certificate, key = Path(tcp.tls.cert_file).read_bytes(), Path(tcp.tls.key_file).read_bytes()
    except OSError as error:
        raise CannotStart(
            ExitCode.CONFIGURATION, f"listen.operator.tcp.tls: {error.filename} cannot be read: {error.strerror}"
        ) from error
    return OperatorTcp(tcp.address, certificate, key)


def program_version() -> str:
    """Version of the installed package."""
    try:
        return version("fairlead")
    except PackageNotFoundError:
        # Run from a source tree.
        return "0.0.0"
