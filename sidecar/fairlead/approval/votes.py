"""Tells waiting agents that somebody voted, without asking the store again and again."""

from __future__ import annotations

import asyncio


class Votes:
    """Wakes whoever waits for an approval. Belongs to one event loop."""

    def __init__(self) -> None:
        self._waiting: dict[bytes, set[asyncio.Event]] = {}

    def announce(self, approval: bytes) -> None:
        """Somebody voted on the approval, and the vote is committed."""
        for event in self._waiting.get(approval, ()):
            event.set()

    def subscribe(self, approval: bytes) -> asyncio.Event:
        """An event that is set at every vote from now on; has to be given back to `unsubscribe`."""
        event = asyncio.Event()
        self._waiting.setdefault(approval, set()).add(event)
        return event

    def unsubscribe(self, approval: bytes, event: asyncio.Event) -> None:
        """Ends a subscription."""
        waiting = self._waiting[approval]
        waiting.discard(event)
        if not waiting:
            del self._waiting[approval]
