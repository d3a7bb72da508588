"""The world outside, for tests that kill: a file of what has happened, and the worker that makes it happen.

As a program it is the worker: `python world.py TARGET TOKEN FILE NAME`.
"""

from __future__ import annotations

import fcntl
import json
import os
import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fairlead.worker import NonRetryable, StepContext, Worker

# How long an act takes before and after it happens: the moments in which a kill hurts.
LONGEST_SECONDS = 0.02
Line = dict[str, Any]


class World:
    """An append-only file with a JSON object a line: acts, and bars by people who say that an attempt may not act any
    more. Whoever writes holds its lock, which `kill -9` opens."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def act(self, **line: Any) -> bool:
        """Something happens, unless a person has barred this attempt; whether it happened."""
        with self._locked() as file:
            for known in self._lines('"bar"'):
                if known.get("bar") == [line["run"], line["step"]] and line["epoch"] <= known["epoch"]:
                    return False
            _append(file, line)
            return True

    def looked_at(self, run: str, step: str, epoch: int, key: str) -> Line | None:
        """The act under a key; when there is none, it cannot come from this attempt or one before it any more."""
        with self._locked() as file:
            for known in self._lines(json.dumps(key)):
                if known.get("key") == key:
                    return known
            _append(file, {"bar": [run, step], "epoch": epoch})
            return None

    def acts(self) -> list[Line]:
        """All that has happened, in order."""
        return [line for line in self._lines() if "bar" not in line] if self._path.exists() else []

    @contextmanager
    def _locked(self) -> Iterator[int]:
        file = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file
        finally:
            os.close(file)

    def _lines(self, part: str = "") -> list[Line]:
        # Reading JSON is the slow part, and everybody else waits for the lock.
        return [json.loads(line) for line in self._path.read_text().splitlines() if part in line]


def _append(file: int, line: Line) -> None:
    data = json.dumps(line).encode() + b"\n"
    assert os.write(file, data) == len(data)


# What the steps compute; the test computes the same without a sidecar.


def looked(n: int) -> Line:
    return {"n": n, "rate": n % 7 + 1}


def counted(given: Line) -> Line:
    return {"total": given["n"] * given["rate"] + 1}


def noted(given: Line) -> Line:
    return {"note": f"{given['n']}: {given['total']}"}


def paid(invoice: int) -> Line:
    return {"payment": f"P-{invoice}", "amount": invoice * 100}


def expected(n: int) -> Line:
    """Output of the run for `n`, with nobody killed."""
    total = counted(looked(n))["total"]
    return {"total": total, "note": noted({"n": n, "total": total})["note"], "payment": f"P-{n // 2}"}


def worker_of(target: str, token: str, world: World, name: str) -> Worker:
    """A worker for all queues of the chain."""
    worker = Worker(target, token=token, name=name, concurrency=4, poll=1.0)

    def act(step: StepContext, result: Line) -> Line:
        time.sleep(random.uniform(0, LONGEST_SECONDS))
        line = {"run": step.run, "step": step.step, "epoch": step.epoch, "key": step.idempotency_key}
        if not world.act(**line, result=result):
            raise NonRetryable("BARRED", "people have said that this attempt did not happen")
        time.sleep(random.uniform(0, LONGEST_SECONDS))
        return result

    worker.step("look")(lambda given, step: act(step, looked(given["n"])))
    worker.step("count")(lambda given, step: act(step, counted(given)))
    worker.step("note")(lambda given, step: act(step, noted(given)))
    worker.step("pay")(lambda given, step: act(step, paid(given["invoice"])))
    return worker


if __name__ == "__main__":
    worker_of(sys.argv[1], sys.argv[2], World(Path(sys.argv[3])), sys.argv[4]).run()
