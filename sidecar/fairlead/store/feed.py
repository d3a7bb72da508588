"""Tells the event loop how far the audit log has been committed.

The writer publishes from its own thread after every batch. Waking the loop costs more than writing, and both need the
interpreter, so it is woken only when a record came that somebody waits for, and once for all the batches that end
before it gets to run.
"""

import asyncio
import contextlib
import sys
import threading

# Nobody waits for any record.
_NOBODY = sys.maxsize


class CommitFeed:
    """The sequence of the last committed audit record, and the way to wait for a later one."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lock = threading.Lock()
        self._sequence = 0
        # Who waits, and behind which record; the least of these is what a batch has to pass.
        self._waiting: dict[asyncio.Future[None], int] = {}
        self._least = _NOBODY
        self._scheduled = False

    @property
    def sequence(self) -> int:
        """Sequence of the last committed record; 0 before the first one."""
        return self._sequence

    def publish(self, sequence: int) -> None:
        """Moves the sequence up. Called from the writer's thread."""
        with self._lock:
            if sequence <= self._sequence:
                return
            self._sequence = sequence
            if sequence <= self._least or self._scheduled:
                return
            self._scheduled = True
        # A closed loop has nobody left to tell.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._wake)

    async def wait_after(self, sequence: int, timeout: float | None = None) -> int:
        """Waits until a record after `sequence` is committed; returns the last committed sequence.

        `timeout` is in seconds; when it passes, the unchanged sequence is returned.
        """
        woken = self._loop.create_future()
        with self._lock:
            if self._sequence > sequence:
                return self._sequence
            self._waiting[woken] = sequence
            self._least = min(self._least, sequence)
        try:
            async with asyncio.timeout(timeout):
                await woken
        except TimeoutError:
            pass
        finally:
            with self._lock:
                self._forget([woken])
        return self._sequence

    def _wake(self) -> None:
        with self._lock:
            self._scheduled = False
            satisfied = [one for one, sequence in self._waiting.items() if sequence < self._sequence]
            # At once: until they run, further batches are none of theirs.
            self._forget(satisfied)
        for one in satisfied:
            # Its wait may have been cancelled in between.
            if not one.done():
                one.set_result(None)

    def _forget(self, waiting: list[asyncio.Future[None]]) -> None:
        for one in waiting:
            self._waiting.pop(one, None)
        self._least = min(self._waiting.values(), default=_NOBODY)
