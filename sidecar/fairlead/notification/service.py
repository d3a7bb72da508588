"""The outbox: takes from the audit log what receivers want to know, and brings it to them.

The log is written in the same commit unit as what it records, so following it misses nothing. Each receiver has a
cursor of its own: one that does not answer fills its own share of `limits.notifications`, and then its cursor stops
while the others go on. The log itself is the backlog.

INVARIANT (N4): one commit unit moves a cursor and keeps what was selected up to it. A crash on either side of it
selects nothing twice and leaves nothing out.
INVARIANT (N5): a delivery is removed only after the receiver took it, or by an operator. A crash in between sends it
again, with the same id.

Nothing here is on the way of a call: the log is read in pieces on worker threads, at most every `PACE_SECONDS`, and
only when there are receivers.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from fairlead.audit.watch import Feed, LogDamaged
from fairlead.config import Config, ResolvedSecrets
from fairlead.control.commands import Core
from fairlead.control.errors import temporary
from fairlead.internal.v1 import command_pb2, outbox_pb2
from fairlead.notification import store
from fairlead.notification.lane import Lane
from fairlead.notification.model import Answer, Move, Step, after
from fairlead.notification.queue import Waiting
from fairlead.notification.reading import Found, Reading
from fairlead.notification.receivers import Receiver, receivers_of
from fairlead.notification.recording import Recorder, dead, removed
from fairlead.notification.sending import Sender

# After something was committed: what many calls commit meanwhile is read in one piece.
PACE_SECONDS = 0.1
# Attempts at a time, of all receivers together.
MAX_SENDS = 8
# A cursor that only passes records that nobody wants is stored this often: a restart reads so many again.
UNSTORED_RECORDS = 10_000
# Between tries of what the store or a fault prevents.
FAULT_SECONDS = 1.0
# The clock may be set: nobody waits longer without looking at it.
LOOK_SECONDS = 60.0
_NANOS = 1_000_000_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the running configuration says."""

    receivers: dict[str, Receiver] = field(default_factory=dict)
    # Notifications that wait, of all receivers together.
    limit: int = 1

    @property
    def share(self) -> int:
        """Of one receiver; as many may have been given up and are kept for operators."""
        return max(1, self.limit // max(1, len(self.receivers)))


class Outbox:
    """Follows the log and delivers. Belongs to one event loop."""

    def __init__(
        self,
        core: Core,
        reader: store.Reader,
        feed: Feed,
        sender: Sender,
        clock: Callable[[], int],
        random: Callable[[], float],
    ) -> None:
        """`clock` gives Unix nanoseconds, `random` numbers from 0 to below 1."""
        self.deliveries = store.Deliveries(reader)
        self.recorder = Recorder(core)
        # Lanes and what is stored of them change together, one change at a time.
        self.changing = asyncio.Lock()
        self._reading = Reading(reader, clock)
        self._feed = feed
        self._sender = sender
        self._clock = clock
        self._random = random
        self._wanted = Wanted()
        self._lanes: dict[str, Lane] = {}
        # Receivers that have a cursor in the store.
        self._stored: set[str] = set()
        self._sending = asyncio.Semaphore(MAX_SENDS)
        # Something else than the log has changed: the configuration, room, the end.
        self._moved = asyncio.Event()
        self._started = False
        self._stopping = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def head(self) -> int:
        """Sequence of the last record of the log."""
        return self._feed.sequence

    def lanes(self) -> Sequence[Lane]:
        """What is known of each receiver, by name."""
        return [self._lanes[name] for name in sorted(self._lanes)]

    def lane(self, name: str) -> Lane | None:
        """One of them, or None."""
        return self._lanes.get(name)

    def made_room(self) -> None:
        """An operator has taken something out."""
        self._moved.set()

    def read_up_to(self, lag: int) -> int:
        """The last record of the log that all receivers have passed, who is more than `lag` behind left out."""
        if self._stored - self._lanes.keys():
            # Not read yet how far they are.
            return 0
        cursors = (lane.cursor for lane in self._lanes.values() if self.head - lane.cursor <= lag)
        return min(cursors, default=self.head)

    def put_cursors(self) -> Sequence[command_pb2.Write]:
        """Writes that remember how far each receiver has come; only while nothing is `changing`."""
        return [store.put_cursor(name, lane.cursor) for name, lane in self._lanes.items()]

    # Configuration ---------------------------------------------------------------------------------------------------

    def configure(self, receivers: Iterable[Receiver], limit: int) -> None:
        """These are the receivers from now on; together they may have `limit` notifications that wait."""
        self._wanted = Wanted({receiver.name: receiver for receiver in receivers}, limit)
        self._moved.set()

    def apply(self, config: Config, secrets: ResolvedSecrets) -> None:
        """A configuration or its secrets began to run."""
        self.configure(receivers_of(config, secrets), config.limits.notifications)

    def first_cursors(self, config: Config) -> Sequence[command_pb2.Write]:
        """Writes for the unit that applies a configuration: what is recorded behind it is for its new receivers."""
        names = (receiver.name for receiver in config.notifications)
        return [store.put_cursor(name, self.head) for name in names if name not in self._stored]

    async def load(self) -> None:
        """Reads who has a cursor; before the first `first_cursors` and `start`."""
        self._stored = set(await asyncio.to_thread(self.deliveries.cursors))

    async def _reconcile(self) -> None:
        """Lanes for the receivers of the configuration, and only for them."""
        wanted = self._wanted
        for name in self._stored - wanted.receivers.keys():
            await self._forget(name)
        for name, receiver in wanted.receivers.items():
            lane = self._lanes.get(name)
            if lane is None:
                lane = self._lanes[name] = await self._begin(receiver)
            lane.follow(receiver)
            if lane.stops(wanted.share) != lane.full:
                lane.full = not lane.full
                _say_full(lane)

    async def _begin(self, receiver: Receiver) -> Lane:
        cursor = await asyncio.to_thread(self.deliveries.cursor, receiver.name)
        if cursor is None:
            cursor = self.head
            await self.recorder.write([store.put_cursor(receiver.name, cursor)], power=True)
        if cursor > self.head:
            # The log is shorter than it was: of an older copy of the directory, for example.
            _log.warning("the audit log ends before what a receiver was told of", extra={"receiver": receiver.name})
            cursor = self.head
        self._stored.add(receiver.name)
        return await asyncio.to_thread(Lane.read, receiver, cursor, self.deliveries)

    async def _forget(self, name: str) -> None:
        """Removes a receiver that is not configured any more, with everything that waits for it."""
        lane = self._lanes.pop(name, None)
        if lane is not None and lane.task is not None:
            lane.task.cancel()
            await asyncio.gather(lane.task, return_exceptions=True)
        waiting, given_up = await asyncio.to_thread(
            lambda: [[one.sequence for one in self.deliveries.of(name, dead=dead)] for dead in (False, True)]
        )
        writes = [
            *(store.delete(name, sequence) for sequence in waiting),
            *(store.delete(name, sequence, dead=True) for sequence in given_up),
            store.delete_cursor(name),
        ]
        record = removed(name, len(waiting), len(given_up)) if waiting or given_up else None
        await self.recorder.write(writes, record=record, power=True)
        self._stored.discard(name)
        fields = {"receiver": name, "pending": len(waiting), "dead": len(given_up)}
        _log.warning("a receiver is configured no more: what waited for it is dropped", extra=fields)

    # Life ------------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begins to follow and to deliver."""
        self._started = True
        self._spawn(self._follow, "the audit log is not followed")

    async def stop(self, grace_seconds: float) -> None:
        """Ends. Attempts under way get the grace; what waits stays in the store."""
        self._stopping.set()
        self._moved.set()
        for lane in self._lanes.values():
            lane.woken.set()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=grace_seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self._sender.close()

    def _spawn(self, work: Callable[[], Awaitable[None]], what: str) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(self._guarded(work, what))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _guarded(self, work: Callable[[], Awaitable[None]], what: str) -> None:
        """Works until the end, whatever happens: what cannot be done now is tried again."""
        wait, told = FAULT_SECONDS, ""
        while not self._stopping.is_set():
            try:
                await work()
            except Exception as error:
                known = isinstance(error, LogDamaged) or temporary(error) is not None
                if str(error) != told or not known:
                    told, wait = str(error), FAULT_SECONDS
                    _log.error("%s", what, extra={"error": told}, exc_info=None if known else error)
                await _until(self._stopping, wait)
                wait = min(2 * wait, LOOK_SECONDS)

    # Following the log -----------------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        while not self._stopping.is_set():
            self._moved.clear()
            if not await self.follow_once():
                await self._more()

    async def follow_once(self) -> bool:
        """Follows the configuration, then looks at one piece of the log; False when there is none to look at."""
        async with self.changing:
            await self._reconcile()
            for lane in self._lanes.values() if self._started else ():
                if lane.task is None:
                    lane.task = self._spawn(partial(self._deliver, lane.receiver.name), _UNDELIVERED)
            group = self._reading.next_group(self._lanes.values(), self.head)
            if not group:
                return False
            await self._keep(await self._reading.read(group, self._wanted.share))
            return True

    async def _more(self) -> None:
        """Returns when there may be something to look at."""
        waits: list[asyncio.Future[Any]] = [asyncio.ensure_future(self._moved.wait())]
        if cursors := [lane.cursor for lane in self._lanes.values() if not lane.full]:
            waits.append(asyncio.ensure_future(self._feed.wait_after(min(cursors))))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if not self._moved.is_set():
            await _until(self._moved, PACE_SECONDS)

    async def _keep(self, found: Found) -> None:
        """INVARIANT (N4)."""
        moved = {
            name: cursor
            for name, cursor in found.cursors.items()
            if name in found.kept or cursor - self._lanes[name].stored_cursor >= UNSTORED_RECORDS
        }
        writes = [store.put(one) for kept in found.kept.values() for one in kept]
        writes += [store.put_cursor(name, cursor) for name, cursor in moved.items()]
        if writes:
            await self.recorder.write(writes, power=bool(found.kept))
        for name, cursor in found.cursors.items():
            lane = self._lanes[name]
            lane.cursor, lane.stored_cursor = cursor, moved.get(name, lane.stored_cursor)
            for one in found.kept.get(name, ()):
                lane.queue.put(one.sequence, Waiting(0, 0, one.create_time_unix_nanos))
                lane.woken.set()

    # Delivering ------------------------------------------------------------------------------------------------------

    async def _deliver(self, name: str) -> None:
        lane = self._lanes[name]
        while not self._stopping.is_set():
            lane.woken.clear()
            wait = await self.deliver_once(name)
            if wait != 0:
                await _until(lane.woken, LOOK_SECONDS if wait is None else min(wait / _NANOS, LOOK_SECONDS))

    async def deliver_once(self, name: str) -> int | None:
        """Makes the next attempt that is due and keeps what came of it; returns the nanoseconds until the next one is
        due, None when nothing waits."""
        lane = self._lanes[name]
        now = self._clock()
        sequence = lane.queue.next(now)
        if sequence is None:
            return lane.queue.wait(now)
        async with self._sending:
            delivery = await asyncio.to_thread(self.deliveries.get, name, sequence)
            if delivery is None:
                # An operator was faster.
                lane.queue.remove(sequence)
                return 0
            answer = await self._sender.send(lane.receiver, delivery.id, delivery.body)
        while True:
            try:
                async with self.changing:
                    await self._settle(lane, delivery, answer)
                return 0
            except Exception as error:
                # The answer is worth keeping: without it the same notification would be sent again.
                if temporary(error) is None or self._stopping.is_set():
                    raise
            await _until(self._stopping, FAULT_SECONDS)

    async def _settle(self, lane: Lane, delivery: outbox_pb2.OutboxDelivery, answer: Answer) -> None:
        """What an answer changes."""
        sequence, now = delivery.sequence, self._clock()
        if sequence not in lane.queue:
            # Dropped meanwhile.
            return
        step = after(
            answer, lane.queue.attempts(sequence), lane.queue.failures, lane.receiver.retry, now, self._random()
        )
        if step.move is Move.DELIVERED:
            await self.recorder.write([store.delete(lane.receiver.name, sequence)])
            lane.counted.delivered += 1
            lane.queue.remove(sequence)
        else:
            delivery.attempts, delivery.problem = step.attempts, answer.problem
            delivery.last_attempt_unix_nanos, delivery.next_attempt_unix_nanos = now, step.due
            delivery.receiver_rests = step.failures > 0
            lane.counted.failed += 1
            if step.move is Move.WAITS:
                await self.recorder.write([store.put(delivery)])
                lane.queue.put(sequence, Waiting(step.attempts, step.due, delivery.create_time_unix_nanos))
            else:
                await self._give_up(lane, delivery, now)
        _say(lane, delivery, answer, step)
        lane.queue.rest(step.rest_until, step.failures)
        if lane.full and not lane.stops(self._wanted.share):
            self._moved.set()

    async def _give_up(self, lane: Lane, delivery: outbox_pb2.OutboxDelivery, now: int) -> None:
        """Keeps a delivery for operators; beyond the receiver's share the oldest one of those goes."""
        name, sequence = delivery.receiver, delivery.sequence
        delivery.dead_time_unix_nanos = now
        writes = list(store.move(delivery))
        oldest = min(lane.dead) if len(lane.dead) >= self._wanted.share else None
        if oldest is not None:
            writes.append(store.delete(name, oldest, dead=True))
            _log.warning("the oldest notification that was given up is dropped", extra=_fields(delivery, oldest))
        await self.recorder.write(writes, record=dead(delivery, oldest))
        lane.queue.remove(sequence)
        lane.dead.discard(-1 if oldest is None else oldest)
        lane.dead.add(sequence)
        lane.counted.dead += 1


_UNDELIVERED = "notifications are not delivered"


def _fields(delivery: outbox_pb2.OutboxDelivery, sequence: int) -> dict[str, object]:
    return {"receiver": delivery.receiver, "event": delivery.event, "sequence": sequence}


def _say(lane: Lane, delivery: outbox_pb2.OutboxDelivery, answer: Answer, step: Step) -> None:
    """A receiver that fails is a line once, not once for every attempt; what is given up is always one."""
    fields = {**_fields(delivery, delivery.sequence), "id": delivery.id, "attempts": step.attempts}
    if step.move is Move.DEAD:
        _log.error("a notification was given up", extra={**fields, "problem": answer.problem})
    elif step.move is Move.WAITS:
        level = logging.DEBUG if lane.queue.failures else logging.WARNING
        _log.log(level, "a notification was not taken, it is tried again", extra={**fields, "problem": answer.problem})
    elif lane.queue.failures:
        _log.info("the receiver takes notifications again", extra=fields)


def _say_full(lane: Lane) -> None:
    fields = {"receiver": lane.receiver.name, "pending": len(lane.queue), "sequence": lane.cursor}
    if lane.full:
        _log.warning("limits.notifications is reached: later ones wait in the audit log", extra=fields)
    else:
        _log.info("notifications are taken from the audit log again", extra=fields)


async def _until(event: asyncio.Event, seconds: float) -> None:
    """Returns when the event is set or the time has passed."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
