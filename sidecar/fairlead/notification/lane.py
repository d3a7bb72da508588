"""What the outbox knows of one receiver while it runs: how far it has come, what waits, what was counted."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from fairlead.notification.model import longest_wait_nanos
from fairlead.notification.queue import Queue, Waiting
from fairlead.notification.receivers import Receiver
from fairlead.notification.store import Deliveries


@dataclass(slots=True)
class Counted:
    """Since the start."""

    delivered: int = 0
    # Attempts, not notifications.
    failed: int = 0
    dead: int = 0


@dataclass(slots=True, eq=False)
class Lane:
    """One receiver. `cursor` may be ahead of what is stored by records that the receiver does not want."""

    receiver: Receiver
    cursor: int
    queue: Queue
    stored_cursor: int = 0
    # Audit sequences of what was given up.
    dead: set[int] = field(default_factory=set)
    counted: Counted = field(default_factory=Counted)
    # The bound has stopped the cursor.
    full: bool = False
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    @classmethod
    def read(cls, receiver: Receiver, cursor: int, deliveries: Deliveries) -> Lane:
        """The lane of what is stored; blocks while it is read."""
        lane = cls(receiver, cursor, Queue(longest_wait_nanos(receiver.retry)), stored_cursor=cursor)
        for one in deliveries.of(receiver.name, dead=False):
            due = one.next_attempt_unix_nanos
            lane.queue.put(one.sequence, Waiting(one.attempts, due, one.create_time_unix_nanos))
            if one.receiver_rests and due > lane.queue.rest_until:
                lane.queue.rest(due, one.attempts)
        lane.dead = {one.sequence for one in deliveries.of(receiver.name, dead=True)}
        return lane

    def follow(self, receiver: Receiver) -> None:
        """The receiver has changed, or its secrets have: it is tried at once."""
        if receiver != self.receiver:
            self.receiver = receiver
            self.queue.longest_wait = longest_wait_nanos(receiver.retry)
            self.queue.hurry()
            self.woken.set()

    def stops(self, share: int) -> bool:
        """True when the bound stops the cursor; it goes on with some room, not with one place."""
        waiting = len(self.queue)
        return waiting > share * 3 // 4 if self.full else waiting >= share
