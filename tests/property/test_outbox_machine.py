"""Random sequences of records, attempts, failures, crashes, retries and changes of the configuration.

INVARIANT (N4), (N5): after every step each record that a receiver wants was taken by it, waits for it, was given up
and is kept, was dropped on the record, or is still ahead of its cursor. In the end, with everybody well again, all of
it has been taken; the same record always came under the same id.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from fairlead.notification.desk import NotificationDeskService
from fairlead.notification.model import Answer, Retry, Verdict, answer_of, unreachable
from fairlead.notification.receivers import Receiver
from fairlead.notification.service import Outbox
from fairlead.notification.signature import message_id
from fairlead.v1 import notification_service_pb2 as pb
from tests.unit.audit.fakes import FakeCore, FakeStore
from tests.unit.notification.fakes import SECOND, World, receiver

RETRY = Retry(attempts=3, initial_millis=1_000, max_millis=4_000)
# Two receivers with three places each.
LIMIT = 6
NAMES = st.sampled_from(["desk", "other"])


class Crashed(Exception):
    """The process is gone."""


class CrashingCore(FakeCore):
    """Crashes at the next commit, before or after it has happened."""

    def __init__(self, store: FakeStore) -> None:
        super().__init__(store)
        self.crash = ""

    def apply(self, command: bytes) -> bytes:
        crash, self.crash = self.crash, ""
        if crash == "before":
            raise Crashed
        result = super().apply(command)
        if crash == "after":
            raise Crashed
        return result


class OutboxMachine(RuleBasedStateMachine):
    """Drives an outbox, and starts it again when it has crashed."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.world = World()
        self.core = self.world.core = CrashingCore(self.world.store)
        self.world.sender.answers = self._answer
        self.hashes: dict[int, bytes] = {}
        # By receiver: what it wants, what it took first, what was sent first.
        self.wanted: dict[str, list[int]] = defaultdict(list)
        self.taken: dict[str, list[int]] = defaultdict(list)
        self.sent: dict[str, list[int]] = defaultdict(list)
        self.in_order = True
        self.answer: Answer | Exception = answer_of(200)
        self.requests = 0
        self.outbox: Outbox
        self._start()

    def teardown(self) -> None:
        try:
            self._finish()
        finally:
            self.runner.close()

    # Steps -----------------------------------------------------------------------------------------------------------

    @rule(wanted=st.booleans())
    def record(self, wanted: bool) -> None:
        sequence = self.world.say("APPROVAL_VOTED" if wanted else "INVOCATION_ADMITTED")
        self.hashes[sequence] = self.world.record_hash
        if wanted:
            for name in ("desk", "other"):
                self.wanted[name].append(sequence)

    @rule()
    def follow(self) -> None:
        self._do(self.outbox.follow_once())

    @rule(
        name=NAMES,
        answer=st.sampled_from(
            [answer_of(200), unreachable("down"), answer_of(503, 2_000), answer_of(400), answer_of(410), Crashed()]
        ),
    )
    def attempt(self, name: str, answer: Answer | Exception) -> None:
        self.answer = answer
        if isinstance(answer, Answer) and answer.verdict in (Verdict.REFUSED, Verdict.GONE):
            self.in_order = False
        self._do(self.outbox.deliver_once(name))

    @rule(millis=st.integers(1, 5_000))
    def time_passes(self, millis: int) -> None:
        self.world.now += millis * 1_000_000

    @rule(when=st.sampled_from(["before", "after"]))
    def crash_at_the_next_commit(self, when: str) -> None:
        self.core.crash = when

    @rule()
    def crash(self) -> None:
        self._start()

    @rule(name=NAMES)
    def operator_tries_again(self, name: str) -> None:
        self.in_order = False
        self._do(self._retry(name))

    @rule(seconds=st.integers(1, 9))
    def configuration_changes(self, seconds: int) -> None:
        self.outbox.configure(self._receivers(timeout_seconds=float(seconds)), LIMIT)

    # What holds ------------------------------------------------------------------------------------------------------

    @invariant()
    def nothing_is_lost(self) -> None:
        dropped = self._dropped()
        for name in ("desk", "other"):
            cursor = self.outbox.deliveries.cursor(name)
            assert cursor is not None
            waiting = {one.sequence for one in self.outbox.deliveries.of(name, dead=False)}
            dead = {one.sequence for one in self.outbox.deliveries.of(name, dead=True)}
            assert not waiting & dead and len(waiting) <= LIMIT and len(dead) <= LIMIT // 2
            for sequence in self.wanted[name]:
                places = [sequence > cursor, sequence in waiting, sequence in dead]
                assert any([*places, sequence in self.taken[name], (name, sequence) in dropped]), (name, sequence)
                # Selected once: what is ahead of the cursor is nowhere yet.
                assert sum(places) <= 1

    @invariant()
    def what_is_new_is_sent_in_the_order_of_the_log(self) -> None:
        for name, sequences in self.sent.items():
            assert sequences == sorted(sequences), name
        if self.in_order:
            for name, sequences in self.taken.items():
                assert sequences == sorted(sequences), name

    # How it is driven ------------------------------------------------------------------------------------------------

    def _receivers(self, **fields: Any) -> list[Receiver]:
        return [receiver(name, retry=RETRY, **fields) for name in ("desk", "other")]

    def _start(self) -> None:
        """As after a crash: from what is stored."""
        self.core.crash = ""
        self.outbox = self.world.outbox()
        self.outbox.configure(self._receivers(), LIMIT)
        self.runner.run(self._load())

    async def _load(self) -> None:
        await self.outbox.load()
        await self.outbox.follow_once()

    def _do(self, step: Any) -> None:
        try:
            self.runner.run(step)
        except Crashed:
            self._start()

    async def _retry(self, name: str) -> None:
        desk = NotificationDeskService(self.outbox, self.world.sender, self.world.store, lambda: self.world.now)
        self.requests += 1
        await desk.retry(pb.RetryDeliveriesRequest(request_id=f"r-{self.requests}", receiver=name), "asha")

    def _answer(self, to: Receiver, sent_id: str) -> Answer:
        (sequence,) = [one for one, digest in self.hashes.items() if message_id(digest, to.name) == sent_id]
        assert sequence in self.wanted[to.name]
        if sequence not in self.sent[to.name]:
            self.sent[to.name].append(sequence)
        # Taken; a crash right behind it is the sidecar's, not the receiver's.
        took = isinstance(self.answer, Exception) or self.answer.verdict is Verdict.DELIVERED
        if took and sequence not in self.taken[to.name]:
            self.taken[to.name].append(sequence)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def _dropped(self) -> set[tuple[str, int]]:
        records = [command.control_write.record for command in self.core.applied]
        details = [dict(record.detail.items()) for record in records if record.subject == "notification.dead"]
        return {(detail["receiver"], int(detail["dropped"])) for detail in details if "dropped" in detail}

    def _finish(self) -> None:
        """Everybody is well again."""
        self.answer = answer_of(200)
        self._start()
        for _ in range(3 * len(self.hashes) + 3):
            for name in ("desk", "other"):
                self.runner.run(self._retry(name))
                self.world.now += 10 * SECOND
                self.runner.run(self.outbox.follow_once())
                self.runner.run(self.outbox.deliver_once(name))
        dropped = self._dropped()
        for name in ("desk", "other"):
            missing = [one for one in self.wanted[name] if one not in self.taken[name] and (name, one) not in dropped]
            assert not missing, (name, missing)
        assert len(self.world.outbox_keys()) == 2


OutboxMachine.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestOutbox = OutboxMachine.TestCase
