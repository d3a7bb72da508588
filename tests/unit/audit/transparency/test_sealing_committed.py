"""Checkpoints of what the native core has committed: no record is read back, no fault of the store leaves a hole."""

from __future__ import annotations

import asyncio

from fairlead.audit.store import AuditLog
from fairlead.audit.transparency.merkle import HASH_BYTES
from fairlead.audit.transparency.sealing import MOST_RECORDS, Sealing
from fairlead.audit.transparency.store import Seals
from fairlead.internal.v1 import command_pb2
from fairlead.native import Core, Tree
from fairlead.store import CommitFeed, Family
from fairlead.v1 import audit_record_pb2
from tests.property.core import InProcess, configuration
from tests.unit.audit.fakes import FakeStore
from tests.unit.audit.records import T0
from tests.unit.audit.transparency.logs import SealedLog, private, verified


class Reads(FakeStore):
    """Counts the reads of the log."""

    of_log = 0

    def scan(self, family: Family, **bounds: object):  # type: ignore[no-untyped-def]
        self.of_log += family == Family.AUDIT
        return super().scan(family, **bounds)  # type: ignore[arg-type]


class Committing:
    """The native core over a store in memory, whose writes fail when they are told to."""

    def __init__(self, store: Reads | None = None) -> None:
        self.store = store or Reads()
        self.feed = CommitFeed(asyncio.get_running_loop())
        self.core: Core = InProcess(configuration(1000, 1000)).core
        self.core.fail_store("starts again, with what is stored")
        self.failing = False
        self.recover()
        self.sealing = Sealing(self, self.store, self.feed, lambda: T0, lambda n: bytes(range(n)))
        self.sealing.use(private(1))

    def apply(self, command: bytes) -> bytes:
        result = self.core.apply(command, None, None, False)
        if self.commit():
            return result
        rejection = command_pb2.Rejection(reason="STORE_UNAVAILABLE", message="the store failed on the way")
        return command_pb2.CommandResult(rejection=rejection).SerializeToString()

    def snapshot(self, query: bytes | None = None) -> bytes:
        return self.core.snapshot(query)

    def grow(self, tree: Tree, last: int) -> Tree:
        return self.core.grow(tree, last)

    def record(self, count: int) -> None:
        change = command_pb2.ControlWrite(record=audit_record_pb2.ControlChanged(subject="test.sealing"))
        for _ in range(count):
            answer = self.core.apply(command_pb2.Command(control_write=change).SerializeToString(), None, None, False)
            assert command_pb2.CommandResult.FromString(answer).WhichOneof("result") == "done"

    def commit(self) -> bool:
        """Writes what waits, or fails half way."""
        batch = self.core.next_batch(1 << 20, 0)
        if batch is None:
            return True
        if self.failing:
            self.core.fail_store("no space left")
            return False
        for family, key, value in batch[2]:
            self.store.put(family, key, value)
        self.core.acknowledge(batch[0], batch[0], 1, 1)
        self.feed.publish(len(self.store.families.get(Family.AUDIT, {})))
        return True

    def recover(self) -> None:
        found = [(f, key, value) for f, pairs in self.store.families.items() for key, value in sorted(pairs.items())]
        self.core.recover(found, True, T0)
        self.failing = False

    def verified(self) -> int:
        """The size of the last checkpoint of a bundle that verifies as a whole."""
        log = SealedLog(self.store)
        lines, key = log.lines(), self.sealing.public_key
        result = verified(lines, [type(log.key).parse(key)])
        assert result.valid and result.signed is not None, result.chain.problem
        return result.signed.size


def test_what_the_core_committed_is_signed_without_reading_the_log() -> None:
    async def test() -> None:
        life = Committing()
        await life.sealing.load()
        life.record(1)
        life.commit()
        await life.sealing.seal()
        life.store.of_log = 0
        for count in (1, 300, 2):
            life.record(count)
            life.commit()
            await life.sealing.seal()
        assert (life.sealing.size, life.sealing.problem, life.store.of_log) == (304, "", 0)
        assert life.verified() == 304 and Seals(life.store).tile(0) is not None
        added = [(one.checkpoint.size, len(leaves) // HASH_BYTES) for one, leaves in Seals(life.store).after(0)]
        assert added == [(1, 1), (2, 1), (302, 300), (304, 2)]

    asyncio.run(test())


def test_a_fault_of_the_store_in_between_leaves_no_hole_and_nothing_unwritten_is_signed() -> None:
    async def test() -> None:
        life = Committing()
        await life.sealing.load()
        life.record(5)
        life.commit()
        await life.sealing.seal()
        life.record(3)
        life.commit()
        life.record(4)
        life.failing = True
        # The checkpoint itself meets the fault, behind records that are written and before some that never are.
        await life.sealing.stop()
        assert life.sealing.size == 5
        life.recover()
        life.record(2)
        life.commit()
        await life.sealing.seal()
        assert (life.sealing.size, life.sealing.problem) == (10, "")
        assert life.verified() == 10
        life.store.of_log = 0
        life.record(1)
        life.commit()
        await life.sealing.seal()
        assert life.store.of_log == 0 and life.verified() == 11

    asyncio.run(test())


def test_a_start_goes_on_from_the_store_and_then_from_the_core() -> None:
    async def test() -> None:
        life = Committing()
        await life.sealing.load()
        for count in (MOST_RECORDS - 1, 701):
            life.record(count)
            life.commit()
        await life.sealing.seal()
        assert life.sealing.made == 2, "one at a time has no more than MOST_RECORDS"
        life.record(3)
        life.commit()
        again = Committing(life.store)
        again.feed.publish(MOST_RECORDS + 703)
        await again.sealing.load()
        again.record(2)
        again.commit()
        await again.sealing.seal()
        again.store.of_log = 0
        again.record(2)
        again.commit()
        await again.sealing.seal()
        assert again.verified() == MOST_RECORDS + 707 == len(AuditLog(again.store).after(0, 10_000, 1 << 30))

    asyncio.run(test())
