"""The stream: everything once, in order, across restarts; never more in memory than a chunk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import aclosing
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.audit.store import AuditLog
from fairlead.audit.streaming import watch
from fairlead.audit.tokens import START, Position
from fairlead.audit.watch import CHUNK_RECORDS, Draining, LogDamaged
from fairlead.store import CommitFeed, Family, keys
from fairlead.v1 import audit_record_pb2, audit_service_pb2
from tests.unit.audit.fakes import FakeStore
from tests.unit.audit.records import INVOCATION, OTHER, log

ALL = audit_service_pb2.EventFilter()
LOG = log(200)


class Sidecar:
    """A store that grows, its feed, and its drain; a second one over the same store is a restart."""

    def __init__(self, store: FakeStore | None = None) -> None:
        self.store = store or FakeStore()
        self.feed = CommitFeed(asyncio.get_running_loop())
        self.draining = asyncio.Event()
        self.committed = len(self.store.families.get(Family.AUDIT, {}))

    def commit(self, count: int) -> None:
        self.store.append(LOG[self.committed : self.committed + count])
        self.committed += count
        self.feed.publish(self.committed)

    def watch(self, start: Position = START, filter: audit_service_pb2.EventFilter = ALL) -> Any:
        return watch(AuditLog(self.store), self.feed, self.draining, start, filter)


async def take(stream: AsyncIterator[Any], count: int) -> list[tuple[int, Position]]:
    async with asyncio.timeout(10):
        taken = [await anext(stream) for _ in range(count)]
    return [(event.record.sequence, position) for event, position in taken]


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(test())


def test_what_is_there_then_what_is_committed() -> None:
    async def test() -> None:
        sidecar = Sidecar()
        sidecar.commit(3)
        async with aclosing(sidecar.watch()) as stream:
            assert [sequence for sequence, _ in await take(stream, 3)] == [1, 2, 3]
            waiting = asyncio.ensure_future(take(stream, 2))
            await asyncio.sleep(0)
            sidecar.commit(2)
            assert [sequence for sequence, _ in await waiting] == [4, 5]

    run(test)


def test_events_are_linked_from_the_first_on() -> None:
    async def test() -> None:
        sidecar = Sidecar()
        sidecar.commit(5)
        async with aclosing(sidecar.watch(Position.after(LOG[2]))) as stream:
            event, _ = await anext(stream)
            assert (event.prev_hash, event.record_hash) == (LOG[2].record_hash, LOG[3].record_hash)
            assert event.record_bytes == LOG[3].record_bytes

    run(test)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=12))
def test_nothing_is_skipped_or_repeated_over_any_restarts(steps: list[tuple[int, int]]) -> None:
    """Commits a few, reads a few, restarts, resumes with the last token; at the end the subscriber has seen all."""

    async def test() -> None:
        store = FakeStore()
        seen: list[int] = []
        position = START
        for commits, reads in steps:
            sidecar = Sidecar(store)
            sidecar.commit(commits)
            async with aclosing(sidecar.watch(position)) as stream:
                for sequence, after in await take(stream, min(reads, sidecar.committed - len(seen))):
                    seen.append(sequence)
                    position = Position.decode(after.encode())
        sidecar = Sidecar(store)
        async with aclosing(sidecar.watch(position)) as stream:
            seen += [sequence for sequence, _ in await take(stream, sidecar.committed - len(seen))]
        assert seen == list(range(1, sidecar.committed + 1))

    run(test)


def test_a_slow_subscriber_costs_one_chunk() -> None:
    async def test() -> None:
        sidecar = Sidecar()
        sidecar.commit(200)
        async with aclosing(sidecar.watch()) as stream:
            await take(stream, 1)
            assert sidecar.store.largest_scan == CHUNK_RECORDS
            assert [sequence for sequence, _ in await take(stream, 199)] == list(range(2, 201))
            assert sidecar.store.largest_scan == CHUNK_RECORDS

    run(test)


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        (audit_service_pb2.EventFilter(tenant="globex"), [4, 5, 8, 9]),
        (audit_service_pb2.EventFilter(kinds=[audit_record_pb2.EVENT_KIND_SIDECAR_STARTED]), [1]),
        (audit_service_pb2.EventFilter(invocation=OTHER), [4, 5, 8, 9]),
        (
            audit_service_pb2.EventFilter(
                tenant="acme", invocation=INVOCATION, kinds=[audit_record_pb2.EVENT_KIND_INVOCATION_SETTLED]
            ),
            [3, 7],
        ),
    ],
)
def test_filters(filter: audit_service_pb2.EventFilter, expected: list[int]) -> None:
    async def test() -> None:
        sidecar = Sidecar()
        sidecar.commit(9)
        async with aclosing(sidecar.watch(START, filter)) as stream:
            assert [sequence for sequence, _ in await take(stream, len(expected))] == expected

    run(test)


def test_drain_ends_a_waiting_stream_and_a_reading_one() -> None:
    async def test() -> None:
        sidecar = Sidecar()
        sidecar.commit(2)
        waiting, reading = sidecar.watch(), sidecar.watch()
        await take(waiting, 2)
        await take(reading, 1)
        ended = asyncio.ensure_future(anext(waiting))
        await asyncio.sleep(0)
        sidecar.draining.set()
        for stream in (ended, anext(reading)):
            with pytest.raises(Draining):
                await asyncio.wait_for(stream, 10)

    run(test)


def test_a_missing_record_ends_the_stream_instead_of_being_skipped() -> None:
    async def test() -> None:
        sidecar = Sidecar()
        sidecar.commit(5)
        sidecar.store.put(Family.AUDIT, keys.audit(3), None)
        stream = sidecar.watch()
        assert [sequence for sequence, _ in await take(stream, 2)] == [1, 2]
        with pytest.raises(LogDamaged, match="record 3"):
            await anext(stream)

    run(test)


def test_a_committed_record_that_is_not_there_ends_the_stream_instead_of_spinning() -> None:
    async def test() -> None:
        sidecar = Sidecar()
        sidecar.commit(3)
        sidecar.store.put(Family.AUDIT, keys.audit(3), None)
        stream = sidecar.watch()
        await take(stream, 2)
        with pytest.raises(LogDamaged, match="record 3"):
            await asyncio.wait_for(anext(stream), 10)

    run(test)


def test_an_unreadable_record_ends_the_stream_after_those_before_it() -> None:
    async def test() -> None:
        sidecar = Sidecar()
        sidecar.commit(3)
        sidecar.store.put(Family.AUDIT, keys.audit(3), b"short")
        stream = sidecar.watch()
        assert [sequence for sequence, _ in await take(stream, 2)] == [1, 2]
        with pytest.raises(LogDamaged, match="record 3"):
            await asyncio.wait_for(anext(stream), 10)

    run(test)
