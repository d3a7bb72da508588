"""Work between two batches: on the commit writer's thread, while nothing is being written.

For what needs the store to stand still for a moment, such as a checkpoint at the end of a known commit unit. Commits
wait meanwhile, so it has to be a matter of milliseconds.
"""

import queue
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from fairlead.store.errors import StoreUnavailable

_Result = TypeVar("_Result")


class Pauses:
    """A queue of work for the writer. Safe to use from any thread."""

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = queue.SimpleQueue()
        self._refusal = "the commit writer does not run"

    def ask(self, work: Callable[[], _Result]) -> "Future[_Result]":
        """Queues work. The future gets its result or what it raised, or StoreUnavailable when the writer cannot."""
        result: Future[_Result] = Future()
        self._waiting.put((result, work))
        # Looked at after the put: who refuses sets it first and then empties the queue.
        if refusal := self._refusal:
            self._refuse_waiting(refusal)
        return result

    def run(self) -> None:
        """Does what waits. The writer calls this between two batches."""
        while (asked := self._next()) is not None:
            result, work = asked
            if not result.set_running_or_notify_cancel():
                continue
            try:
                done = work()
            except BaseException as error:
                result.set_exception(error)
            else:
                result.set_result(done)

    def begin(self) -> None:
        """From now on the writer comes by."""
        self._refusal = ""

    def end(self, reason: str) -> None:
        """Refuses what waits and what comes: the writer does not come by until `begin`."""
        self._refusal = reason
        self._refuse_waiting(reason)

    def _refuse_waiting(self, reason: str) -> None:
        while (asked := self._next()) is not None:
            result, _ = asked
            if result.set_running_or_notify_cancel():
                result.set_exception(StoreUnavailable(reason))

    def _next(self) -> tuple[Future[Any], Callable[[], Any]] | None:
        try:
            return self._waiting.get_nowait()
        except queue.Empty:
            return None
