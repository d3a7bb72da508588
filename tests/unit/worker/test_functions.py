"""What can be a step function, and what a worker refuses when it is made."""

from __future__ import annotations

import functools
import subprocess
import sys
from typing import Any

import pytest

from fairlead.worker import Worker
from fairlead.worker._functions import step_function


class Callables:
    def method(self, value: Any) -> None: ...

    async def on_loop(self, value: Any, step: Any) -> None: ...

    async def __call__(self, value: Any) -> None: ...


async def bound_before(_: str, value: Any) -> None: ...


def with_default(value: Any, step: Any = None, more: int = 3) -> None: ...


@pytest.mark.parametrize(
    ("function", "is_async", "takes_step"),
    [
        (lambda value: value, False, False),
        (lambda value, step: value, False, True),
        (lambda *both: both, False, True),
        (with_default, False, True),
        (Callables().method, False, False),
        (Callables().on_loop, True, True),
        (Callables(), True, False),
        (functools.partial(bound_before, "x"), True, False),
    ],
)
def test_functions_of_one_or_two_parameters(function: Any, is_async: bool, takes_step: bool) -> None:
    found = step_function("q", function, None)
    assert (found.is_async, found.takes_step) == (is_async, takes_step)


@pytest.mark.parametrize(
    ("function", "named"),
    [
        (lambda: None, "not no parameters"),
        (lambda a, b, c: None, "not 3 parameters"),
        (lambda a, *, step: None, "needs `step` by name"),
    ],
)
def test_functions_that_cannot_be_called(function: Any, named: str) -> None:
    with pytest.raises(TypeError, match=named):
        Worker().step("q")(function)


def test_a_decorated_function_is_what_it_was() -> None:
    worker = Worker()

    @worker.step("double")
    def double(value: int) -> int:
        return value * 2

    assert double(4) == 8


def test_a_queue_has_one_function_and_a_worker_64_queues() -> None:
    worker = Worker()
    worker.step("q")(lambda value: value)
    worker.compensation("q")(lambda value: value)
    with pytest.raises(ValueError, match="queue `q` has its function already"):
        worker.step("q")(lambda value: value)
    for number in range(63):
        worker.step(f"q{number}")(lambda value: value)
    with pytest.raises(ValueError, match="at most 64 queues"):
        worker.compensation("another")(lambda value: value)
    with pytest.raises(ValueError, match="needs the name"):
        worker.step("")(lambda value: value)
    with pytest.raises(ValueError, match="is the sidecar's own"):
        worker.step("$model")(lambda value: value)


@pytest.mark.parametrize(
    "settings", [{"concurrency": 0}, {"concurrency": 5000}, {"grace": -1.0}, {"poll": 0.0}, {"poll": 61.0}]
)
def test_settings_out_of_range(settings: dict[str, Any]) -> None:
    (name,) = settings
    with pytest.raises(ValueError, match=name):
        Worker(**settings)


def test_a_name_is_made_and_fits() -> None:
    assert Worker().settings.name
    assert len(Worker(name="x" * 500).settings.name) == 128


def test_the_worker_imports_nothing_of_the_daemon() -> None:
    code = "import sys, fairlead.worker; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = set(done.stdout.split())
    assert loaded.isdisjoint({"rocksdict", "pydantic", "yaml", "grpc_status"})
    assert "fairlead" in loaded
