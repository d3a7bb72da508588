"""Where exporters work: what computes has one turn for all of them, what may block for ever (a disk that hangs, a pipe
that nobody reads) a thread of its own.

On the event loop's threads such writes would take the place of control calls. Nobody waits for such a thread at the
end of the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

_Result = TypeVar("_Result")
# The longest rest between two turns.
REST_SECONDS = 0.05


class OneAtATime:
    """Runs on the event loop's threads what computes, one after the other, and half of the time at most while calls go
    on: exporters that all do as they like would keep the interpreter from the commit writer, for which calls wait.
    Belongs to one event loop."""

    def __init__(
        self,
        head: Callable[[], int] = lambda: 0,
        later: Callable[[float, Callable[[], None]], object] | None = None,
    ) -> None:
        """`head` is the sequence of the last record; `later` runs something after so many seconds, by default the event
        loop does."""
        self._turn = asyncio.Lock()
        self._head = head
        self._later = later

    async def run(self, work: Callable[[], _Result]) -> _Result:
        """The result of some work."""
        loop = asyncio.get_running_loop()
        await self._turn.acquire()
        head, began = self._head(), loop.time()
        try:
            return await asyncio.to_thread(work)
        finally:
            # What was recorded meanwhile were calls, which want the interpreter next.
            rest = min(loop.time() - began, REST_SECONDS) if self._head() > head else 0.0
            (self._later or loop.call_later)(rest, self._turn.release)


class OwnThread:
    """Runs work in the order in which it comes. Belongs to one event loop."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    async def run(self, work: Callable[[], _Result]) -> _Result:
        """The result of some work; a caller who is cancelled leaves it to its end."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[_Result] = loop.create_future()

        def tell(set_it: Callable[[Any], None], value: Any) -> None:
            if not future.done():
                set_it(value)

        def do() -> None:
            # A closed loop has nobody left to tell.
            with contextlib.suppress(RuntimeError):
                try:
                    result = work()
                except Exception as error:
                    loop.call_soon_threadsafe(tell, future.set_exception, error)
                else:
                    loop.call_soon_threadsafe(tell, future.set_result, result)

        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        self._work.put(do)
        return await future

    def end(self) -> None:
        """Ends behind what was given so far."""
        if self._thread is not None:
            self._work.put(None)
            self._thread = None

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work()
