"""The capacity of a worker."""

from __future__ import annotations

import asyncio

# Most steps that one request may lease.
BATCH_MAX = 256


class Slots:
    """INVARIANT (L1): a slot is taken before a step is asked for, so that what comes can begin at once. Steps that run,
    results on their way and requests for steps together never have more than there are."""

    def __init__(self, number: int) -> None:
        self._free = number
        self._is_closed = False
        self._changed = asyncio.Event()
        self._changed.set()

    def take(self) -> int:
        """All that are free, up to what one request may ask for; perhaps none."""
        taken = min(self._free, BATCH_MAX)
        self._free -= taken
        if not self._free and not self._is_closed:
            self._changed.clear()
        return taken

    def give(self, number: int) -> None:
        """Gives some back."""
        self._free += number
        if self._free:
            self._changed.set()

    def close(self) -> None:
        """No further step is asked for."""
        self._is_closed = True
        self._changed.set()

    async def wait(self) -> bool:
        """Waits for one that is free; False when it is closed."""
        await self._changed.wait()
        return not self._is_closed
