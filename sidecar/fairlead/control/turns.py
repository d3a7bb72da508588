"""Changes that must come one after the other, and do not wait for those that have nothing to do with them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """One change at a time for each subject, in the order in which they came. Belongs to one event loop; holds only the
    subjects of changes that are on their way."""

    def __init__(self) -> None:
        self._locks: dict[tuple[str, ...], tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def of(self, *subject: str) -> AsyncIterator[None]:
        """While it is the caller's turn."""
        lock, users = self._locks.get(subject, (asyncio.Lock(), 0))
        self._locks[subject] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            lock, users = self._locks.pop(subject)
            if users > 1:
                self._locks[subject] = (lock, users - 1)
