"""Logs: one JSON object a line on stderr, readable lines on a terminal; the same field names as the Rust side's.

Fields of their own come through `extra={"name": value}`. Secrets are not logged by anyone; as a second line of defence
every value that was read as a secret is cut out of every line.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

LEVELS = ("debug", "info", "warn", "error")
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}
_NAMES = {number: name for name, number in _LEVELS.items()} | {logging.CRITICAL: "error"}
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
REDACTED = "[secret]"
# Shorter values, such as the token of `--dev`, are words that lines are made of.
_SECRET_MIN_CHARACTERS = 8


class Redactor:
    """Cuts known secrets out of text."""

    def __init__(self) -> None:
        self._current: frozenset[str] = frozenset()
        self._secrets: tuple[str, ...] = ()

    def replace(self, secrets: Iterable[str]) -> None:
        """Makes these the secrets, besides those right before them: calls under way still use a rotated one."""
        now = frozenset(secret for secret in secrets if len(secret) >= _SECRET_MIN_CHARACTERS)
        if now != self._current:
            self._secrets = tuple(sorted(now | self._current, key=len, reverse=True))
            self._current = now

    def __call__(self, text: str) -> str:
        """The text without them."""
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, REDACTED)
        return text


class _Formatter(logging.Formatter, ABC):
    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": _timestamp(record.created),
            "level": _NAMES.get(record.levelno, "info"),
            "target": record.name,
            "message": self._redactor(record.getMessage()),
        }
        for name, value in record.__dict__.items():
            if name not in _STANDARD and name not in line:
                line[name] = value if isinstance(value, bool | int | float) else self._redactor(str(value))
        if record.exc_info:
            line["exception"] = self._redactor(self.formatException(record.exc_info))
        return self.render(line)

    @abstractmethod
    def render(self, line: dict[str, Any]) -> str:
        """The line as it is written."""


class _JsonLines(_Formatter):
    def render(self, line: dict[str, Any]) -> str:
        return json.dumps(line, ensure_ascii=False)


class _ReadableLines(_Formatter):
    def render(self, line: dict[str, Any]) -> str:
        exception = line.pop("exception", None)
        head = f"{line.pop('time')} {line.pop('level').upper():>5} {line.pop('target')}: {line.pop('message')}"
        fields = "".join(f" {name}={value}" for name, value in line.items())
        return head + fields + (f"\n{exception}" if exception else "")


redactor = Redactor()
"""Of this process."""


def configure(level: str = "info", stream: TextIO | None = None) -> None:
    """Sends all logs of the process to `stream`, stderr by default; `level` is one of LEVELS."""
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_ReadableLines(redactor) if stream.isatty() else _JsonLines(redactor))
    logging.basicConfig(level=_LEVELS[level], handlers=[handler], force=True)
    # It says at info what every call of ours does.
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    logging.captureWarnings(True)


def _timestamp(seconds: float) -> str:
    whole = int(seconds)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{int((seconds - whole) * 1_000_000):06d}Z"


@contextmanager
def silenced(name: str) -> Iterator[None]:
    """Nothing that this logger says in the block is logged."""
    logger = logging.getLogger(name)
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before
