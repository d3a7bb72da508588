"""Threads for functions that block.

Not a ThreadPoolExecutor: the interpreter waits for its threads at exit, so a function that does not stop would keep the
process alive after the drain. These are daemon threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

Work = Callable[[], None]


class StepThreads:
    """At most `most` threads, each started when there is nobody idle. Used from one thread; `work` must not raise."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._started = 0
        self._idle = threading.Semaphore(0)
        self._queue: SimpleQueue[Work | None] = SimpleQueue()

    def submit(self, work: Work) -> None:
        """Runs it in a thread, as soon as one is free."""
        self._queue.put(work)
        if not self._idle.acquire(blocking=False) and self._started < self._most:
            self._started += 1
            threading.Thread(target=self._serve, name=f"fairlead-step-{self._started}", daemon=True).start()

    def close(self) -> None:
        """Lets every thread end once its work has ended; does not wait."""
        for _ in range(self._started):
            self._queue.put(None)
        self._started = 0

    def _serve(self) -> None:
        while (work := self._queue.get()) is not None:
            work()
            # What it worked with must not live until the next step comes.
            del work
            self._idle.release()
