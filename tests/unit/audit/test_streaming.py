"""What streams send: however many events come together, and however the log is read, it is the same events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import aclosing
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.audit import streaming
from fairlead.audit.erasure.model import commitment
from fairlead.audit.model import GENESIS, StoredRecord, link
from fairlead.audit.store import AuditLog
from fairlead.audit.streaming import BATCH_BYTES, RESPONSE_BYTES, ResponseReader, Wish, responses
from fairlead.audit.tokens import START, Position
from fairlead.audit.watch import Draining, LogDamaged, matches
from fairlead.store import CommitFeed, Family, keys
from fairlead.v1 import audit_record_pb2 as records_pb
from fairlead.v1 import audit_service_pb2 as pb
from tests.unit.audit import run_records
from tests.unit.audit.fakes import FakeStore
from tests.unit.audit.records import INVOCATION, log
from tests.unit.audit.transparency.logs import SealedLog

LOG = log(60)
EVERYTHING = pb.EventFilter()
FILTERS = [
    EVERYTHING,
    pb.EventFilter(tenant="globex"),
    pb.EventFilter(tenant="nobody"),
    pb.EventFilter(invocation=INVOCATION),
    pb.EventFilter(kinds=[records_pb.EVENT_KIND_SIDECAR_STARTED, records_pb.EVENT_KIND_INVOCATION_SETTLED]),
    pb.EventFilter(tenant="acme", kinds=[records_pb.EVENT_KIND_RUN_STARTED]),
    pb.EventFilter(run=run_records.NAME),
]


RUN_LOG = [
    StoredRecord(keys.audit_sequence(key), value[:32], value[32:])
    for key, value in run_records.stored().scan(Family.AUDIT)
]


class WaitedFor(CommitFeed):
    """Tells that somebody waits."""

    def __init__(self) -> None:
        super().__init__(asyncio.get_running_loop())
        self.waited = asyncio.Event()

    async def wait_after(self, sequence: int, timeout: float | None = None) -> int:
        self.waited.set()
        return await super().wait_after(sequence, timeout)


class Life:
    """A log in memory, and streams of it."""

    def __init__(self, stored: Sequence[StoredRecord] = ()) -> None:
        self.store = FakeStore()
        self.log = AuditLog(self.store)
        self.feed = WaitedFor()
        self.draining = asyncio.Event()
        self.stored = list(stored)
        self.committed = 0

    def commit(self, count: int) -> None:
        self.store.append(self.stored[self.committed : self.committed + count])
        self.committed += count
        self.feed.publish(self.committed)

    def reader(self, start: Position = START, filter: pb.EventFilter = EVERYTHING, max_events: int = 0) -> Any:
        return ResponseReader(self.log, self.feed, start, Wish(filter, max_events))

    def stream(self, start: Position = START, filter: pb.EventFilter = EVERYTHING, max_events: int = 0) -> Any:
        return responses(self.reader(start, filter, max_events), self.draining)


def events(response: pb.WatchEventsResponse) -> list[pb.AuditEvent]:
    return [response.event] if response.HasField("event") else list(response.events)


def decoded(encoded: bytes) -> pb.WatchEventsResponse:
    return pb.WatchEventsResponse.FromString(encoded)


def sequences(response: pb.WatchEventsResponse) -> list[int]:
    return [event.record.sequence for event in events(response)]


async def take(stream: Any) -> pb.WatchEventsResponse:
    async with asyncio.timeout(10):
        return decoded(await anext(stream))


async def drained(reader: ResponseReader) -> list[pb.WatchEventsResponse]:
    """All that is there now."""
    found: list[pb.WatchEventsResponse] = []
    while True:
        before = reader.position
        found += map(decoded, await reader.slice())
        if reader.position == before:
            return found


def sized(*sizes: int) -> list[StoredRecord]:
    """A log of records of about so many bytes."""
    found: list[StoredRecord] = []
    head = GENESIS
    for sequence, size in enumerate(sizes, 1):
        data = records_pb.AuditRecord(sequence=sequence, tenant="x" * size).SerializeToString()
        head = link(head, data)
        found.append(StoredRecord(sequence, head, data))
    return found


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(test())


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(FILTERS),
    st.integers(0, 12),
    st.integers(0, len(LOG)),
    st.lists(st.integers(1, 20), max_size=8),
    st.booleans(),
)
def test_any_size_gives_the_events_that_python_makes_of_the_records(
    filter: pb.EventFilter, max_events: int, start: int, commits: list[int], runs: bool
) -> None:
    """Also when the stream begins in the middle, and when the log grows while it is read."""

    async def test() -> None:
        stored = RUN_LOG if runs else LOG
        life = Life(stored)
        life.commit(min(start, len(stored)))
        place = Position.after(stored[life.committed - 1]) if life.committed else START
        hashes = [GENESIS, *(record.record_hash for record in stored)]
        wanted = [life.log.event(record, before) for record, before in zip(stored, hashes, strict=False)]
        wanted = [event for event in wanted[life.committed :] if matches(filter, event.record)]
        reader = life.reader(place, filter, max_events)
        found: list[pb.WatchEventsResponse] = []
        for count in [*commits, len(stored)]:
            life.commit(min(count, len(stored) - life.committed))
            found += await drained(reader)
        assert [event for response in found for event in events(response)] == wanted
        for response in found:
            assert response.HasField("event") == (not max_events)
            assert len(response.events) <= max_events
            last = events(response)[-1]
            assert response.resume_token == Position(last.record.sequence, last.record_hash[:8]).encode()

    run(test)


def test_a_stream_goes_on_within_what_was_a_batch() -> None:
    """Who has stored only a part of a response begins again with the token of a record in it."""

    async def test() -> None:
        life = Life(LOG)
        life.commit(9)
        async with aclosing(life.stream(max_events=4)) as stream:
            assert [sequences(await take(stream)) for _ in range(3)] == [[1, 2, 3, 4], [5, 6, 7, 8], [9]]
        async with aclosing(life.stream(Position.after(LOG[1]), max_events=4)) as stream:
            again = await take(stream)
            assert sequences(again) == [3, 4, 5, 6]
            assert again.events[0].prev_hash == LOG[1].record_hash

    run(test)


def test_responses_stay_below_their_bound_unless_one_record_is_above_it() -> None:
    async def test() -> None:
        life = Life(sized(10, RESPONSE_BYTES, *[70_000] * 30, 10, 10))
        life.commit(len(life.stored))
        reader = life.reader(max_events=1000)
        found: list[int] = []
        alone = 0
        while encoded := await reader.slice():
            for response in encoded:
                numbers = sequences(decoded(response))
                found += numbers
                if len(response) > RESPONSE_BYTES:
                    alone += 1
                    assert numbers == [2]
            assert sum(map(len, encoded)) <= 2 * max(BATCH_BYTES, RESPONSE_BYTES) + 10_000
        assert alone == 1 and found == list(range(1, 35))

    run(test)


def test_a_record_that_is_missing_is_named_behind_all_that_comes_before_it() -> None:
    async def test() -> None:
        for change, problem in (
            (lambda life: life.store.put(Family.AUDIT, keys.audit(6), None), "it is missing"),
            (lambda life: life.store.put(Family.AUDIT, keys.audit(6), b"short"), "shorter than its hash"),
            (lambda life: life.store.put(Family.AUDIT, keys.audit(6), bytes(32) + b"\xff"), "not an audit record"),
            (lambda life: life.store.put(Family.AUDIT, keys.audit(5) + b"\1", b""), "has 9 bytes instead of 8"),
        ):
            life = Life(LOG)
            life.commit(9)
            change(life)
            async with aclosing(life.stream(max_events=4)) as stream:
                assert [sequences(await take(stream)) for _ in range(2)] == [[1, 2, 3, 4], [5]]
                with pytest.raises(LogDamaged, match=problem) as damaged:
                    await take(stream)
                assert damaged.value.sequence == 6

    run(test)


def test_a_log_whose_end_is_missing_is_damaged() -> None:
    async def test() -> None:
        life = Life(LOG)
        life.commit(3)
        life.feed.publish(4)
        async with aclosing(life.stream(max_events=4)) as stream:
            assert sequences(await take(stream)) == [1, 2, 3]
            with pytest.raises(LogDamaged, match="record 4"):
                await take(stream)

    run(test)


def test_values_come_with_events_until_they_are_erased() -> None:
    async def test() -> None:
        log = SealedLog()
        log.commit(1)
        for number in range(2):
            said, kept = commitment(f"reason {number}", bytes([number] * 16))
            log.store.put(kept.family, kept.key, kept.value)
            log.append(records_pb.AuditRecord(budget=records_pb.BudgetEvent(reason=said)))
        # Looks like one, but is in a field that is none.
        log.append(records_pb.AuditRecord(agent=said))
        log.store.put(kept.family, kept.key, None)
        for max_events in (0, 1, 10):
            reader = ResponseReader(AuditLog(log.store), log.feed, START, Wish(EVERYTHING, max_events))
            found = [event for response in await drained(reader) for event in events(response)]
            assert [[one.value for one in event.values] for event in found] == [[], ["reason 0"], [], []]
            before = GENESIS
            for event, record in zip(found, log.records(), strict=True):
                assert event == AuditLog(log.store).event(record, before)
                before = record.record_hash

    run(test)


def test_checkpoints_come_between_batches_each_behind_its_records() -> None:
    async def test() -> None:
        log = SealedLog()
        await log.sealing.load()
        log.commit(3)
        await log.seal()
        log.commit(2)
        reader = ResponseReader(AuditLog(log.store), log.feed, START, Wish(EVERYTHING, 2))
        stream = responses(reader, asyncio.Event(), log.sealing)

        async def next_one() -> list[int] | int:
            response = await take(stream)
            if response.HasField("checkpoint"):
                assert Position.decode(response.resume_token).sequence >= response.checkpoint.size
                assert not response.events
                return response.checkpoint.size
            return sequences(response)

        assert [await next_one() for _ in range(4)] == [[1, 2], [3, 4], [5], 3]
        await log.seal()
        assert await next_one() == 5
        log.commit(1)
        assert await next_one() == [6]
        await stream.aclose()

    run(test)


def test_a_quiet_log_is_told_at_once_and_a_busy_one_once_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        paused, go_on = asyncio.Event(), asyncio.Event()

        async def pause(draining: asyncio.Event) -> None:
            paused.set()
            await go_on.wait()
            go_on.clear()

        monkeypatch.setattr(streaming, "_pause", pause)
        life = Life(LOG)
        stream = life.stream(max_events=50)
        waiting = asyncio.ensure_future(take(stream))
        await asyncio.sleep(0)
        life.commit(1)
        assert sequences(await waiting) == [1]
        waiting = asyncio.ensure_future(take(stream))
        await paused.wait()
        for _ in range(20):
            life.commit(1)
            await asyncio.sleep(0)
        assert not waiting.done() and life.store.largest_scan == 1
        go_on.set()
        assert sequences(await waiting) == list(range(2, 22))
        waiting = asyncio.ensure_future(take(stream))
        # After a pause in which nothing came, what comes is told at once.
        life.feed.waited.clear()
        go_on.set()
        await life.feed.waited.wait()
        life.commit(1)
        assert sequences(await waiting) == [22]
        await stream.aclose()

    run(test)


def test_who_is_behind_reads_without_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        async def pause(draining: asyncio.Event) -> None:
            raise AssertionError("more is there")

        monkeypatch.setattr(streaming, "_pause", pause)
        monkeypatch.setattr(streaming, "CHUNK_RECORDS", 10)
        life = Life(LOG)
        life.commit(55)
        async with aclosing(life.stream()) as stream:
            assert [sequences(await take(stream)) for _ in range(55)] == [[n] for n in range(1, 56)]

    run(test)


def test_a_drain_ends_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        monkeypatch.setattr(streaming, "PACE_SECONDS", 3600)
        life = Life(LOG)
        life.commit(3)
        async with aclosing(life.stream(max_events=4)) as stream:
            await take(stream)
            waiting = asyncio.ensure_future(take(stream))
            await asyncio.sleep(0)
            life.draining.set()
            with pytest.raises(Draining):
                await waiting

    run(test)
