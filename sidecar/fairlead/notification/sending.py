"""What the outbox needs of a sender, and one that is there when something is to be sent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from fairlead.notification.model import Answer
from fairlead.notification.receivers import Receiver


class Sender(Protocol):
    """Makes attempts."""

    async def send(self, receiver: Receiver, message_id: str, body: bytes) -> Answer:
        """Makes one attempt; raises nothing but cancellation."""
        ...

    async def close(self) -> None:
        """Ends idle connections."""
        ...


class SenderOnDemand:
    """The HTTP sender, imported with its library at the first attempt: 6 MB that most sidecars never need."""

    def __init__(self, clock: Callable[[], int], program_version: str) -> None:
        """`clock` gives Unix nanoseconds."""
        self._clock = clock
        self._program_version = program_version
        self._made: Sender | None = None

    async def send(self, receiver: Receiver, message_id: str, body: bytes) -> Answer:
        """Makes one attempt; raises nothing but cancellation."""
        if self._made is None:
            made = await asyncio.to_thread(self._make)
            self._made = self._made or made
        return await self._made.send(receiver, message_id, body)

    async def close(self) -> None:
        """Ends idle connections."""
        if self._made is not None:
            await self._made.close()

    def _make(self) -> Sender:
        from fairlead.notification.sender import HttpSender

        return HttpSender(self._clock, self._program_version)
