"""Which signed checkpoints an exporter sends, and when.

A checkpoint says all that the ones before it say: the newest one whose records have gone out is enough, every five
seconds while the log grows. One that several keys have signed is never left out: it hands trust on to the next key.
INVARIANT (X3): a checkpoint goes out behind all of its records. What was sent is not remembered across a restart: the
last one then comes again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from fairlead.audit.model import Undecodable
from fairlead.audit.transparency.checkpoint import SignedCheckpoint
from fairlead.audit.transparency.store import Seals
from fairlead.audit.watch import Sealed

# Between two of them, however many are signed meanwhile.
PAUSE_SECONDS = 5.0
# Or as many records, while an exporter makes up for what it has missed.
PAUSE_RECORDS = 4096
# What is looked at for signatures of several keys: more than are signed in the pause, or of so many records.
_LOOKED_AT = 128

_log = logging.getLogger(__name__)


class Checkpoints:
    """The checkpoints for one exporter. Belongs to one event loop and one task."""

    def __init__(
        self, sealed: Sealed, seals: Seals, clock: Callable[[], float], pause_seconds: float = PAUSE_SECONDS
    ) -> None:
        """`clock` gives seconds that never go back."""
        self._sealed = sealed
        self._seals = seals
        self._clock = clock
        self._pause_seconds = pause_seconds
        # Records of the last one that the destination has.
        self._sent = 0
        self._not_before = 0.0

    def is_due(self, position: int) -> bool:
        """True when one may be sent to a destination that has the records up to `position`."""
        last = self._sealed.last
        if last is None or last.checkpoint.size <= self._sent:
            return False
        return self._clock() >= self._not_before or (0 < self._sent <= position - PAUSE_RECORDS)

    async def wait(self, position: int) -> None:
        """Waits until one is due for a destination that has the records up to `position` and waits for no more."""
        last = self._sealed.last
        if last is not None and last.checkpoint.size > position:
            # Its records have to come first, and then it is asked again.
            await asyncio.Event().wait()
        await self._sealed.wait_newer(self._sent)
        await asyncio.sleep(max(0.0, self._not_before - self._clock()))

    async def upto(self, position: int) -> list[SignedCheckpoint]:
        """What is to be sent now, in order; raises `StoreUnavailable`."""
        return await asyncio.to_thread(self._upto, position)

    def sent(self, checkpoint: SignedCheckpoint) -> None:
        """The destination has it."""
        self._sent = checkpoint.checkpoint.size
        self._not_before = self._clock() + self._pause_seconds

    def failed(self, wait_seconds: float) -> None:
        """The destination did not take it: that one, or a newer one, is tried again after the wait."""
        self._not_before = self._clock() + max(wait_seconds, self._pause_seconds)

    def _upto(self, position: int) -> list[SignedCheckpoint]:
        found: list[SignedCheckpoint] = []
        try:
            for one in self._seals.upto(position, _LOOKED_AT):
                if one.checkpoint.size <= self._sent:
                    break
                if not found or one.signatures > 1:
                    found.append(one)
        except Undecodable as error:
            # Records go on: what they are worth does not depend on it.
            _log.error("a checkpoint is not exported", extra={"error": str(error)})
            self._not_before = self._clock() + self._pause_seconds
        return found[::-1]
