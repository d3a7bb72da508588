"""Lines of the log."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from fairlead import log

CANARY = "sk-canary-8d1f27"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_one_json_object_with_the_names_of_the_native_side() -> None:
    stream = io.StringIO()
    log.configure("info", stream)
    logger = logging.getLogger("fairlead.test")
    logger.debug("not shown")
    logger.warning("budget %s is low", "run", extra={"left": 3, "budget": "run"})
    (line,) = lines(stream)
    assert line.pop("time")[-1] == "Z"
    assert line == {
        "level": "warn",
        "target": "fairlead.test",
        "message": "budget run is low",
        "left": 3,
        "budget": "run",
    }


def test_an_exception_is_a_field_and_not_more_lines() -> None:
    stream = io.StringIO()
    log.configure("info", stream)
    try:
        raise ValueError("two\nlines")
    except ValueError:
        logging.getLogger("fairlead.test").exception("it failed")
    (line,) = lines(stream)
    assert line["level"] == "error"
    assert "ValueError: two\nlines" in line["exception"]


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()], ids=["json", "terminal"])
def test_a_secret_never_gets_into_a_line(stream: io.StringIO) -> None:
    log.configure("debug", stream)
    log.redactor.replace([CANARY, "dev"])
    logger = logging.getLogger("fairlead.test")
    logger.info("header is Bearer %s", CANARY, extra={"token": CANARY, "all": [CANARY]})
    try:
        raise RuntimeError(f"cannot use {CANARY}")
    except RuntimeError:
        logger.exception("development failed")
    for _ in range(2):
        log.redactor.replace(["another-secret"])
        logger.info("rotated, but still somebody's: %s", CANARY)
    assert "sk-canary" not in stream.getvalue()
    assert stream.getvalue().count(log.REDACTED) >= 5
    assert "development" in stream.getvalue()


def test_two_generations_of_secrets_are_kept() -> None:
    redactor = log.Redactor()
    for number in range(1, 4):
        redactor.replace([f"secret-number-{number}"])
    assert (
        redactor("secret-number-1 secret-number-2 secret-number-3") == f"secret-number-1 {log.REDACTED} {log.REDACTED}"
    )


def test_a_terminal_gets_readable_lines() -> None:
    stream = Terminal()
    log.configure("info", stream)
    logging.getLogger("fairlead.daemon").info("serving", extra={"agent": "127.0.0.1:7400"})
    assert stream.getvalue().endswith("  INFO fairlead.daemon: serving agent=127.0.0.1:7400\n")
