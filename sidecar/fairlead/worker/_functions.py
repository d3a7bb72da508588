"""The functions of a worker: which queue each serves, and how it is called."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from fairlead.v1 import worker_service_pb2
from fairlead.worker._outcome import is_repeatable

QUEUES_MAX = 64


@dataclass(frozen=True, slots=True)
class StepFunction:
    """A function of a queue. `interrupt` says whether a cancelled run interrupts it where it awaits; None: when the
    step can be made again without harm."""

    queue: str
    function: Callable[..., Any]
    is_async: bool
    takes_step: bool
    interrupt: bool | None

    def is_interrupted(self, lease: worker_service_pb2.StepLease) -> bool:
        """True when the cancellation of the run interrupts it."""
        return is_repeatable(lease) if self.interrupt is None else self.interrupt

    def arguments(self, value: Any, step: Any) -> tuple[Any, ...]:
        """What it is called with."""
        return (value, step) if self.takes_step else (value,)


def step_function(queue: str, function: Callable[..., Any], interrupt: bool | None) -> StepFunction:
    """Reads the function's signature; raises TypeError and ValueError for what cannot be a step."""
    if not queue:
        raise ValueError("a step needs the name of its queue")
    if queue.startswith("$"):
        raise ValueError(f"queue `{queue}` is the sidecar's own")
    called = function if inspect.isroutine(function) else getattr(function, "__call__", function)  # noqa: B004
    is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(called)
    return StepFunction(queue, function, is_async, _positions(queue, function) > 1, interrupt)


def _positions(queue: str, function: Callable[..., Any]) -> int:
    """How many of (input, step) the function takes."""
    taken, needed = 0, 0
    for parameter in inspect.signature(function).parameters.values():
        match parameter.kind:
            case inspect.Parameter.VAR_POSITIONAL:
                taken = max(taken, 2)
            case inspect.Parameter.POSITIONAL_ONLY | inspect.Parameter.POSITIONAL_OR_KEYWORD:
                taken += 1
                needed += parameter.default is inspect.Parameter.empty
            case inspect.Parameter.KEYWORD_ONLY if parameter.default is inspect.Parameter.empty:
                raise TypeError(f"the function of `{queue}` needs `{parameter.name}` by name: it gets (input, step)")
            case _:
                pass
    if taken < 1 or needed > 2:
        raise TypeError(f"the function of `{queue}` takes (input) or (input, step), not {needed or 'no'} parameters")
    return min(taken, 2)


class Functions:
    """All functions of a worker. A compensation of a queue goes first to the function that is registered for it."""

    def __init__(self) -> None:
        self._steps: dict[str, StepFunction] = {}
        self._compensations: dict[str, StepFunction] = {}

    def add(self, function: StepFunction, *, compensation: bool) -> None:
        """Registers it; raises ValueError for the second of a queue and for more queues than one worker may have."""
        registered = self._compensations if compensation else self._steps
        if function.queue in registered:
            raise ValueError(f"queue `{function.queue}` has its function already")
        if len({function.queue, *self.queues()}) > QUEUES_MAX:
            raise ValueError(f"a worker serves at most {QUEUES_MAX} queues: start another one for the rest")
        registered[function.queue] = function

    def queues(self) -> list[str]:
        """All queues, in the order of their registration."""
        return list(dict.fromkeys([*self._steps, *self._compensations]))

    def of(self, lease: worker_service_pb2.StepLease) -> StepFunction | None:
        """The function for a lease; None when there is none."""
        if lease.compensation and (found := self._compensations.get(lease.queue)) is not None:
            return found
        return self._steps.get(lease.queue)

    def of_both_kinds(self) -> Iterable[StepFunction]:
        """Every function."""
        return (*self._steps.values(), *self._compensations.values())
