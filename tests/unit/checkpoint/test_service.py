"""The order of changes, callers that go away, and stores that fail in the middle."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from fairlead.checkpoint.service import CheckpointService
from fairlead.control.errors import Refusal
from fairlead.control.identity import Identity
from fairlead.store import Family
from fairlead.v1 import checkpoint_service_pb2 as pb
from tests.unit.audit.fakes import FakeStore
from tests.unit.checkpoint import samples
from tests.unit.checkpoint.samples import SETTINGS, channel, checkpoint, values

CALLER = Identity(tenant="acme", agent="bot")


class SlowCore(samples.WritingCore):
    """Commits when it is told to; says when it has begun."""

    def __init__(self, store: FakeStore) -> None:
        super().__init__(lambda units: [store.put(*unit) for unit in units])
        self.go = threading.Event()
        self.go.set()
        self.begun = threading.Semaphore(0)

    def apply(self, command: bytes) -> bytes:
        self.begun.release()
        assert self.go.wait(10)
        return super().apply(command)


class Sidecar:
    """A service over a store in memory."""

    def __init__(self) -> None:
        self.store = FakeStore()
        self.core = SlowCore(self.store)
        self.service = CheckpointService(self.core, self.store, lambda: SETTINGS)

    async def put(self, name: str, thread: str = "t", value: bytes = b"x") -> None:
        await self.service.put(checkpoint(name, channel("a", name, value), thread=thread), CALLER)

    async def begun(self) -> None:
        """Waits until a commit has begun."""
        assert await asyncio.to_thread(self.core.begun.acquire, timeout=10)

    async def names(self, thread: str = "t") -> list[str]:
        page = await self.service.page(pb.ListCheckpointsRequest(thread=thread), CALLER)
        return [one.checkpoint for one in page.checkpoints]


def run(test: Callable[[Sidecar], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await test(Sidecar())

    asyncio.run(bounded())


def test_changes_of_a_thread_come_one_after_the_other_and_threads_do_not_wait_for_each_other() -> None:
    async def test(life: Sidecar) -> None:
        life.core.go.clear()
        first = asyncio.create_task(life.put("c1"))
        await life.begun()
        second = asyncio.create_task(life.put("c2"))
        other = asyncio.create_task(life.put("c1", thread="u"))
        await life.begun()
        assert not life.core.begun.acquire(blocking=False), "the second one of the thread has begun"
        life.core.go.set()
        await asyncio.gather(first, second, other)
        assert await life.names() == ["c2", "c1"]
        assert not life.service._turns._locks, "nothing is kept of a thread"

    run(test)


def test_who_goes_away_while_waiting_has_changed_nothing() -> None:
    async def test(life: Sidecar) -> None:
        life.core.go.clear()
        first = asyncio.create_task(life.put("c1"))
        await life.begun()
        second = asyncio.create_task(life.put("c2"))
        await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        life.core.go.set()
        await first
        await life.put("c3")
        assert await life.names() == ["c3", "c1"]

    run(test)


def test_a_change_that_has_begun_goes_on_to_its_end_and_the_next_one_waits_for_it() -> None:
    async def test(life: Sidecar) -> None:
        life.core.go.clear()
        first = asyncio.create_task(life.put("c1"))
        await life.begun()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        second = asyncio.create_task(life.put("c2"))
        await asyncio.sleep(0)
        assert not life.core.begun.acquire(blocking=False)
        life.core.go.set()
        await second
        assert await life.names() == ["c2", "c1"]
        samples.check_whole(life.store, "acme")

    run(test)


def test_totals_are_added_up_again_after_a_commit_that_failed() -> None:
    async def test(life: Sidecar) -> None:
        await life.put("c1")
        before = life.service._ledger.usage.of("acme")
        life.core.left = 0
        with pytest.raises(Refusal, match="killed"):
            await life.put("c1", thread="u", value=bytes(1000))
        life.core.left = None
        assert life.service._ledger.usage.of("acme") == before
        # It was written all the same, as is found after the store was opened again.
        other = Sidecar()
        await other.put("c1", thread="u", value=bytes(1000))
        life.store.families[Family.CHECKPOINTS].update(other.store.families[Family.CHECKPOINTS])
        life.core.left = 0
        with pytest.raises(Refusal, match="killed"):
            await life.put("c2")
        life.core.left = None
        assert life.service._ledger.usage.of("acme") == (2, before[1] + other.service._ledger.usage.of("acme")[1])

    run(test)


def test_a_checkpoint_that_is_deleted_while_it_is_read_is_not_there() -> None:
    async def test(life: Sidecar) -> None:
        await life.put("c1")
        read, found = life.store.get, []

        def get(family: Family, key: bytes) -> bytes | None:
            value = read(family, key)
            found.append(key)
            # The thread, the checkpoint; and then its value is gone with both of them.
            if len(found) == 2:
                life.store.families[Family.CHECKPOINTS].clear()
            return value

        life.store.get = get  # type: ignore[method-assign]
        with pytest.raises(Refusal) as refused:
            await life.service.get(pb.GetCheckpointRequest(thread="t", checkpoint="c1"), CALLER)
        assert refused.value.reason == "NOT_FOUND"
        assert len(found) == 4

    run(test)


def test_a_checkpoint_that_is_replaced_while_it_is_read_is_read_again() -> None:
    async def test(life: Sidecar) -> None:
        await life.put("c1", value=b"old")
        other = Sidecar()
        other.service._ledger.new_incarnation = lambda: life.service._ledger.threads.get("acme", "t").incarnation  # type: ignore[union-attr]
        await other.put("c1", value=b"new")
        read, found = life.store.get, []

        def get(family: Family, key: bytes) -> bytes | None:
            value = read(family, key)
            found.append(key)
            if len(found) == 2:
                life.store.families = other.store.families
            return value

        life.store.get = get  # type: ignore[method-assign]
        answer = await life.service.get(pb.GetCheckpointRequest(thread="t", checkpoint="c1"), CALLER)
        assert values(answer.checkpoint) == {"a": b"new"}

    run(test)


def test_a_tenant_has_two_uploads_at_a_time() -> None:
    async def test(life: Sidecar) -> None:
        async def never() -> Any:
            await asyncio.Event().wait()
            yield pb.PutLargeRequest()

        async def whole() -> Any:
            yield pb.PutLargeRequest(checkpoint=pb.PutCheckpointRequest())

        stalled = [asyncio.create_task(life.service.put_large(never(), CALLER)) for _ in range(2)]
        await asyncio.sleep(0)
        third = asyncio.create_task(life.service.put_large(whole(), CALLER))
        with pytest.raises(Refusal, match="is required"):
            await life.service.put_large(whole(), Identity(tenant="globex", agent="bot"))
        assert not third.done()
        stalled[0].cancel()
        with pytest.raises(Refusal, match="is required"):
            await third
        stalled[1].cancel()
        await asyncio.gather(*stalled, return_exceptions=True)

    run(test)


def test_what_a_stop_has_left_is_swept_up_at_the_start() -> None:
    async def test(life: Sidecar) -> None:
        for number in range(400):
            await life.put(f"c{number:03}")
        life.core.left = 1
        with pytest.raises(Refusal):
            await life.service.delete(pb.DeleteThreadRequest(thread="t"), CALLER)
        life.core.left = None
        assert await life.names() == []
        assert len(samples.garbage(life.store, "acme")) == 1
        life.core.left = 0
        await life.service.sweep()
        assert len(samples.garbage(life.store, "acme")) == 1, "what fails is left for the next start"
        life.core.left = None
        await life.service.sweep()
        assert not life.store.families[Family.CHECKPOINTS]

    run(test)


def test_a_run_of_a_deleted_thread_does_not_reach_into_the_one_that_follows_it() -> None:
    async def test(life: Sidecar) -> None:
        await life.service.put(checkpoint("c1", run="r"), CALLER)
        life.core.left = 1
        with pytest.raises(Refusal):
            await life.service.delete(pb.DeleteThreadRequest(thread="t"), CALLER)
        life.core.left = None
        await life.put("c1")
        # What the run made is still in the store, as garbage.
        assert samples.garbage(life.store, "acme")
        assert (await life.service.delete_for_runs(pb.DeleteForRunsRequest(runs=["r"]), CALLER)).checkpoints == 0
        assert await life.names() == ["c1"]
        await life.service.sweep()
        samples.check_whole(life.store, "acme")

    run(test)
