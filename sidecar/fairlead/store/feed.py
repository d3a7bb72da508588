"""Tells the event loop how far the audit log has been committed.

The writer publishes from its own thread after every batch. Waking the loop costs more than writing, so it is woken only
when somebody waits, and once for all the batches that end before it gets to run.
"""

import asyncio
import contextlib
import threading


class CommitFeed:
    """The sequence of the last committed audit record, and the way to wait for the next one."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lock = threading.Lock()
        self._sequence = 0
        self._woken = asyncio.Event()
        self._waiting = 0
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
            if not self._waiting or self._scheduled:
                return
            self._scheduled = True
        # A closed loop has nobody left to tell.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._wake)

    async def wait_after(self, sequence: int, timeout: float | None = None) -> int:
        """Waits until a record after `sequence` is committed; returns the last committed sequence.

        `timeout` is in seconds; when it passes, the unchanged sequence is returned.
        """
        deadline = None if timeout is None else self._loop.time() + timeout
        with self._lock:
            self._waiting += 1
        try:
            while self._sequence <= sequence:
                self._woken.clear()
                # Published between the check and the clear: the wake-up is still to come, because somebody waits.
                if self._sequence > sequence:
                    break
                try:
                    async with asyncio.timeout_at(deadline):
                        await self._woken.wait()
                except TimeoutError:
                    break
        finally:
            with self._lock:
                self._waiting -= 1
        return self._sequence

    def _wake(self) -> None:
        with self._lock:
            self._scheduled = False
        self._woken.set()
