"""Where the outbox is in the store: family `outbox`, with the layout of `fairlead.store.keys`.

| key | value |
|---|---|
| `c`, receiver | OutboxCursor |
| `p`, receiver, u64 sequence | OutboxDelivery that waits |
| `d`, receiver, u64 sequence | OutboxDelivery that was given up |

INVARIANT (N3): a receiver that has deliveries has a cursor; both go in one unit when it is removed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from fairlead.internal.v1 import command_pb2
from fairlead.internal.v1 import outbox_pb2 as pb
from fairlead.store import Family, keys


class Reader(Protocol):
    """What is needed of the store."""

    def get(self, family: Family, key: bytes, /) -> bytes | None:
        """The value of a key, or None."""
        ...

    def scan(
        self,
        family: Family,
        /,
        *,
        prefix: bytes = b"",
        start: bytes | None = None,
        end: bytes | None = None,
        reverse: bool = False,
        limit: int | None = None,
    ) -> Iterator[tuple[bytes, bytes]]:
        """The pairs with `start` <= key < `end`, in key order or backwards, at most `limit`."""
        ...


@dataclass(frozen=True, slots=True)
class Deliveries:
    """Reads the outbox. Every call blocks for the length of one read, scans for one page at a time."""

    reader: Reader

    def cursors(self) -> dict[str, int]:
        """How far each receiver has come; these are all receivers that have anything here."""
        found = self.reader.scan(Family.OUTBOX, prefix=keys.OUTBOX_CURSORS)
        return {_receiver(key): pb.OutboxCursor.FromString(value).sequence for key, value in found}

    def cursor(self, receiver: str) -> int | None:
        """How far a receiver has come; None when it is new."""
        value = self.reader.get(Family.OUTBOX, keys.outbox_cursor(receiver))
        return None if value is None else pb.OutboxCursor.FromString(value).sequence

    def get(self, receiver: str, sequence: int, *, dead: bool = False) -> pb.OutboxDelivery | None:
        """One delivery, or None."""
        value = self.reader.get(Family.OUTBOX, keys.outbox_delivery(receiver, sequence, dead=dead))
        return None if value is None else pb.OutboxDelivery.FromString(value)

    def of(
        self, receiver: str, *, dead: bool, after: int | None = None, limit: int | None = None
    ) -> Iterator[pb.OutboxDelivery]:
        """The deliveries of a receiver behind a sequence, in order."""
        prefix = keys.outbox_deliveries(receiver, dead=dead)
        start = None if after is None else keys.outbox_delivery(receiver, after, dead=dead) + b"\0"
        for _, value in self.reader.scan(Family.OUTBOX, prefix=prefix, start=start, limit=limit):
            yield pb.OutboxDelivery.FromString(value)


def put_cursor(receiver: str, sequence: int) -> command_pb2.Write:
    """The write that remembers how far a receiver has come."""
    value = pb.OutboxCursor(sequence=sequence).SerializeToString(deterministic=True)
    return command_pb2.Write(family=Family.OUTBOX, key=keys.outbox_cursor(receiver), value=value)


def delete_cursor(receiver: str) -> command_pb2.Write:
    """The write that forgets a receiver."""
    return command_pb2.Write(family=Family.OUTBOX, key=keys.outbox_cursor(receiver))


def put(delivery: pb.OutboxDelivery) -> command_pb2.Write:
    """The write that keeps a delivery where it belongs."""
    key = keys.outbox_delivery(delivery.receiver, delivery.sequence, dead=bool(delivery.dead_time_unix_nanos))
    return command_pb2.Write(family=Family.OUTBOX, key=key, value=delivery.SerializeToString(deterministic=True))


def delete(receiver: str, sequence: int, *, dead: bool = False) -> command_pb2.Write:
    """The write that removes a delivery."""
    return command_pb2.Write(family=Family.OUTBOX, key=keys.outbox_delivery(receiver, sequence, dead=dead))


def move(delivery: pb.OutboxDelivery) -> Iterable[command_pb2.Write]:
    """The writes that take a delivery over to where it belongs now, from where it was."""
    dead = bool(delivery.dead_time_unix_nanos)
    return (delete(delivery.receiver, delivery.sequence, dead=not dead), put(delivery))


def _receiver(key: bytes) -> str:
    """The receiver of a key, behind its letter."""
    return keys.tenant_of(key[1:])
