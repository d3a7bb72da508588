"""An audit log that grows, a core that writes at once, and receivers that answer as they are told."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from typing import Any

from fairlead.audit.model import StoredRecord
from fairlead.internal.v1 import state_pb2
from fairlead.notification.events import Selection, kinds_of
from fairlead.notification.model import Answer, Retry, answer_of
from fairlead.notification.receivers import Receiver
from fairlead.notification.service import Outbox
from fairlead.store import Family, keys
from fairlead.v1 import approval_service_pb2, audit_record_pb2
from tests.unit.approval.fakes import approval
from tests.unit.audit.fakes import FakeCore, FakeStore
from tests.unit.audit.records import T0, record

SECOND = 1_000_000_000
RETRY = Retry(3, 1_000, 8_000)


def receiver(name: str = "desk", *events: str, **facts: Any) -> Receiver:
    match = facts.pop("match", {})
    kinds = frozenset[int]().union(*map(kinds_of, events or ("approval.*",)))
    return Receiver(name, f"https://{name}.example", Selection(kinds, match), **{"retry": RETRY, **facts})


class FakeFeed:
    """How far the log has been committed."""

    def __init__(self) -> None:
        self.sequence = 0
        self._woken = asyncio.Event()

    async def wait_after(self, sequence: int) -> int:
        while self.sequence <= sequence:
            self._woken.clear()
            await self._woken.wait()
        return self.sequence

    def publish(self, sequence: int) -> None:
        self.sequence = sequence
        self._woken.set()


class FakeSender:
    """Keeps what is sent; `answers` says what comes back to whom, by default everybody takes everything."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, bytes]] = []
        self.answers: Callable[[Receiver, str], Answer] = lambda receiver, message_id: answer_of(200)
        self.closed = False

    async def send(self, receiver: Receiver, message_id: str, body: bytes) -> Answer:
        self.sent.append((receiver.name, message_id, body))
        return self.answers(receiver, message_id)

    async def close(self) -> None:
        self.closed = True

    def ids(self, name: str = "desk") -> list[str]:
        return [message_id for receiver, message_id, _ in self.sent if receiver == name]


class World:
    """What survives a crash: the store with the log. `now` is the clock of the test."""

    def __init__(self) -> None:
        self.store = FakeStore()
        self.core = FakeCore(self.store)
        self.feed = FakeFeed()
        self.sender = FakeSender()
        self.now = T0
        self.record_hash = bytes(32)

    def outbox(self) -> Outbox:
        """An outbox as after a start."""
        return Outbox(self.core, self.store, self.feed, self.sender, lambda: self.now, lambda: 0.5)

    def say(self, kind: str = "APPROVAL_VOTED", **fields: Any) -> int:
        """One more record of the log; its sequence."""
        given: dict[str, Any] = {"tenant": "acme", "agent": "support-bot"}
        if kind.startswith("APPROVAL_"):
            given["approval"] = fields.pop("approval", audit_record_pb2.ApprovalEvent(approval="approvals/apr_1"))
        sequence = self.feed.sequence + 1
        encoded = record(sequence, kind, **{**given, **fields}).SerializeToString(deterministic=True)
        self.record_hash = hashlib.sha256(self.record_hash + encoded).digest()
        self.store.append([StoredRecord(sequence, self.record_hash, encoded)])
        self.feed.publish(sequence)
        return sequence

    def keep(self, one: approval_service_pb2.Approval) -> None:
        """An approval as the core keeps it."""
        raw = keys.approval_id_bytes(one.name.removeprefix("approvals/"))
        assert raw is not None
        value = state_pb2.ApprovalRecord(approval=one).SerializeToString()
        self.store.put(Family.APPROVALS, keys.approval(raw), value)

    def outbox_keys(self) -> list[bytes]:
        """What the outbox has in the store."""
        return sorted(self.store.families.get(Family.OUTBOX, {}))


def opened(number: int = 1) -> tuple[approval_service_pb2.Approval, dict[str, Any]]:
    """An approval that waits, and what its record says."""
    one = approval(number, step="s-1")
    inputs = audit_record_pb2.ToolInputs(
        tool=one.tool, run=one.run, step=one.step, arguments=b"canary-in-the-record", labels={"note": "canary-label"}
    )
    return one, {"tool": audit_record_pb2.ToolDecisionRecord(inputs=inputs, approval=one.name, tier=one.tier)}


def run(test: Callable[[], Any]) -> None:
    """Runs a coroutine function, bounded."""

    async def bounded() -> None:
        async with asyncio.timeout(30):
            await test()

    asyncio.run(bounded())


async def drain(outbox: Outbox) -> None:
    """Follows the log to its end."""
    while await outbox.follow_once():
        pass
