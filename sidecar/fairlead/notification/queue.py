"""What waits for one receiver: who is next, and when. Pure; times are Unix nanoseconds."""

from __future__ import annotations

import heapq
from dataclasses import dataclass


@dataclass(slots=True)
class Waiting:
    """One delivery that waits."""

    attempts: int
    due: int
    created: int


class Queue:
    """Deliveries by audit sequence. The oldest one that is due comes first; while the receiver rests, none does."""

    def __init__(self, longest_wait: int) -> None:
        """What is due later than `longest_wait` from now is due at once: the clock was set back."""
        self.longest_wait = longest_wait
        self.rest_until = 0
        self.failures = 0
        self._waiting: dict[int, Waiting] = {}
        # Both may name what is gone or has moved: what counts is in `_waiting`.
        self._ready: list[int] = []
        self._later: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, sequence: int) -> bool:
        return sequence in self._waiting

    def put(self, sequence: int, waiting: Waiting) -> None:
        """Adds a delivery, or changes when it is due."""
        self._waiting[sequence] = waiting
        heapq.heappush(self._later, (waiting.due, sequence))

    def remove(self, sequence: int) -> None:
        """Takes a delivery out, if it is there."""
        self._waiting.pop(sequence, None)
        if not self._waiting:
            self._ready.clear()
            self._later.clear()

    def rest(self, until: int, failures: int) -> None:
        """Nothing is next before `until`."""
        self.rest_until, self.failures = until, failures

    def hurry(self) -> None:
        """Everything is due now, whatever was waited for."""
        self.rest(0, 0)
        for sequence, waiting in self._waiting.items():
            self.put(sequence, Waiting(waiting.attempts, 0, waiting.created))

    def next(self, now: int) -> int | None:
        """The sequence to send now; None when nothing is due. It stays in the queue until it is removed."""
        while self._later and self._until(self._later[0][0], now) <= now:
            heapq.heappush(self._ready, heapq.heappop(self._later)[1])
        while self._ready and not self._is_due(self._ready[0], now):
            heapq.heappop(self._ready)
        if not self._ready or self._until(self.rest_until, now) > now:
            return None
        return self._ready[0]

    def wait(self, now: int) -> int | None:
        """Nanoseconds until something is due, 0 when something is; None when nothing waits."""
        if not self._waiting:
            return None
        if self.next(now) is not None:
            return 0
        # `next` has dropped what is stale from the top of `_ready`: what is left there only waits for the rest to end.
        while self._later and self._is_stale(*self._later[0]):
            heapq.heappop(self._later)
        first = self._later[0][0] if self._later and not self._ready else now
        return max(self._until(max(first, self.rest_until), now) - now, 1)

    def attempts(self, sequence: int) -> int:
        """Attempts of a delivery that is there."""
        return self._waiting[sequence].attempts

    def oldest_created(self) -> int:
        """When the oldest delivery was put here; 0 when there is none."""
        return min((waiting.created for waiting in self._waiting.values()), default=0)

    def _is_due(self, sequence: int, now: int) -> bool:
        waiting = self._waiting.get(sequence)
        return waiting is not None and self._until(waiting.due, now) <= now

    def _is_stale(self, due: int, sequence: int) -> bool:
        waiting = self._waiting.get(sequence)
        return waiting is None or waiting.due != due

    def _until(self, due: int, now: int) -> int:
        return now if due - now > self.longest_wait else due
