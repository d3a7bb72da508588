"""What an exporter needs of a destination, and what an attempt to deliver comes to.

| outcome | the exporter |
|---|---|
| taken | acknowledges the records: it never sends them again |
| taken, some refused (`refused`) | the same: the destination has said that it will not take those, ever |
| too large, or unacceptable | sends half of them at once, down to one record; that one is told of and tried again |
| not taken | sends the same records again, later; nothing overtakes them |
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from fairlead.audit.transparency.checkpoint import SignedCheckpoint
from fairlead.v1 import audit_service_pb2


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended; `problem` is in fixed words and never quotes what the destination said."""

    taken: bool
    problem: str = ""
    retry_after_millis: int = 0
    too_large: bool = False
    # What is in the records is refused, not who sends them or that they come now.
    unacceptable: bool = False
    # Records of a batch that was taken which the destination has refused by themselves.
    refused: int = 0


TAKEN = Outcome(True)


def not_taken(
    problem: str, retry_after_millis: int = 0, *, too_large: bool = False, unacceptable: bool = False
) -> Outcome:
    """The records have to be sent again."""
    return Outcome(False, problem, retry_after_millis, too_large, unacceptable)


@dataclass(frozen=True, slots=True)
class Source:
    """The log that records come from."""

    identity: str
    """The same for ever, and another one for every log: the beginning of the hash of its first record, in hex."""
    hash_of: Callable[[int], bytes | None]
    """The hash of a record of it, None when it has no such record; blocks for one read."""


class Destination(Protocol):
    """Takes records. Belongs to one event loop; one attempt at a time."""

    async def deliver(self, events: Sequence[audit_service_pb2.AuditEvent], source: Source) -> Outcome:
        """Makes one attempt with some records, never none; raises nothing but cancellation."""
        ...

    async def publish(self, checkpoint: SignedCheckpoint, source: Source) -> Outcome:
        """The same with a signed checkpoint, all of whose records it has."""
        ...

    async def close(self) -> None:
        """Ends; what is under way may be cut."""
        ...
