"""Consumers of the log: nothing is missed, positions are durable, and who is too far behind is waited for no longer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from fairlead.audit.consumers import metrics
from fairlead.audit.consumers.model import ConsumerLimits
from fairlead.audit.consumers.reading import LogConsumer
from fairlead.audit.consumers.service import CAUGHT_UP, LEFT_BEHIND, Consumers
from fairlead.audit.store import AuditLog
from fairlead.audit.tokens import START, Position
from fairlead.audit.watch import LogDamaged
from fairlead.control.errors import Refusal
from fairlead.store import CommitFeed, Family, keys
from tests.unit.audit.fakes import FakeCore, FakeStore
from tests.unit.audit.records import T0, log

LOG = log(120)
SECOND = 1_000_000_000


class Life:
    """One life of a sidecar over a store."""

    def __init__(self, store: FakeStore | None = None, committed: int = 9) -> None:
        self.store = store or FakeStore()
        self.core = FakeCore(self.store)
        self.feed = CommitFeed(asyncio.get_running_loop())
        self.limits = ConsumerLimits(consumers=3, lag=20, stall_seconds=60)
        self.consumers = Consumers(self.core, self.store, self.feed, lambda: T0 + SECOND, lambda: self.limits)
        self.committed = len(self.store.families.get(Family.AUDIT, {}))
        if store is None:
            self.commit(committed)
        self.feed.publish(self.committed)

    def commit(self, count: int) -> None:
        self.store.append(LOG[self.committed : self.committed + count])
        self.committed += count
        self.feed.publish(self.committed)

    async def exporter(self, name: str = "otlp", **how: Any) -> LogConsumer:
        return await LogConsumer.open(self.consumers, AuditLog(self.store), self.feed, name, **how)

    def recorded(self) -> list[tuple[str, dict[str, Any]]]:
        changes = [command.control_write.record for command in self.core.applied]
        return [(change.subject, dict(change.detail)) for change in changes if change.subject]


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await test()

    asyncio.run(bounded())


def test_an_exporter_goes_on_behind_what_it_acknowledged_also_after_a_restart() -> None:
    async def test() -> None:
        life = Life()
        exporter = await life.exporter()
        first, second = await exporter.read(max_records=4), await exporter.read(max_records=4)
        assert [[event.record.sequence for event in batch.events] for batch in (first, second)] == [
            [1, 2, 3, 4],
            [5, 6, 7, 8],
        ]
        assert exporter.lag == 1
        await exporter.acknowledge(first)
        again = await Life(life.store).exporter(from_start=False)
        assert [event.record.sequence for event in (await again.read()).events] == [5, 6, 7, 8, 9]

    run(test)


def test_an_exporter_waits_and_loses_nothing_when_it_stops_waiting() -> None:
    async def test() -> None:
        life = Life()
        exporter = await life.exporter(from_start=False)
        waiting = asyncio.ensure_future(exporter.read())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait({waiting})
        life.commit(3)
        batch = await exporter.read()
        assert [event.record.sequence for event in batch.events] == [10, 11, 12]
        assert batch.events[0].prev_hash == LOG[8].record_hash

    run(test)


def test_a_new_name_that_waits_for_the_next_record_misses_none_between_its_streams() -> None:
    """Its first stream may break before anything came: the position at which it began is what it goes on at."""

    async def test() -> None:
        life = Life()
        await life.exporter(from_start=False)
        life.commit(2)
        exporter = await Life(life.store).exporter(from_start=False)
        assert [event.record.sequence for event in (await exporter.read()).events] == [10, 11]

    run(test)


def test_an_exporter_sees_what_comes_before_damage_and_then_the_damage() -> None:
    async def test() -> None:
        life = Life()
        life.store.put(Family.AUDIT, keys.audit(4), None)
        exporter = await life.exporter()
        assert [event.record.sequence for event in (await exporter.read()).events] == [1, 2, 3]
        with pytest.raises(LogDamaged, match="record 4"):
            await exporter.read()

    run(test)


def test_there_is_a_bound_of_names() -> None:
    async def test() -> None:
        life = Life()
        for name in "abc":
            await life.exporter(name)
        with pytest.raises(Refusal, match="QUEUE_FULL"):
            await life.exporter("d")
        await life.exporter("a")

    run(test)


def test_who_is_too_far_behind_is_told_once_and_waited_for_no_longer() -> None:
    async def test() -> None:
        life = Life()
        exporter = await life.exporter()
        await life.consumers.check()
        assert life.recorded() == []
        assert await life.consumers.unread_since() == T0 + SECOND
        life.commit(30)
        await life.consumers.check()
        await life.consumers.check()
        told = {"consumer": "export:otlp", "acknowledged_sequence": 0.0, "lag_records": 39.0}
        assert life.recorded() == [(LEFT_BEHIND, told)]
        assert await life.consumers.unread_since() is None
        # A restart says it no second time.
        again = Life(life.store)
        await again.consumers.check()
        assert again.recorded() == []
        while exporter.lag:
            await exporter.acknowledge(await exporter.read())
        await life.consumers.check()
        assert [subject for subject, _ in life.recorded()] == [LEFT_BEHIND, CAUGHT_UP]
        assert await life.consumers.unread_since() is None

    run(test)


def test_a_scrape_tells_how_far_behind_each_is() -> None:
    async def test() -> None:
        life = Life()
        assert metrics.page(life.consumers, T0) == ""
        exporter = await life.exporter()
        await exporter.acknowledge(await exporter.read(max_records=4))
        with life.consumers.streaming("export:otlp"):
            lines = metrics.page(life.consumers, T0 + 11 * SECOND).splitlines()
        samples = [line for line in lines if not line.startswith("#")]
        assert samples == [
            'fairlead_audit_consumer_lag_records{consumer="export:otlp"} 5',
            'fairlead_audit_consumer_idle_seconds{consumer="export:otlp"} 10',
            'fairlead_audit_consumer_streams{consumer="export:otlp"} 1',
            'fairlead_audit_consumer_left_behind{consumer="export:otlp"} 0',
            'fairlead_audit_consumer_missed_records{consumer="export:otlp"} 0',
        ]
        assert metrics.page(life.consumers, T0).count('streams{consumer="export:otlp"} 0') == 1

    run(test)


def test_positions_never_go_back_inside_either() -> None:
    async def test() -> None:
        life = Life()
        exporter = await life.exporter()
        early, late = await exporter.read(max_records=2), await exporter.read(max_records=2)
        await exporter.acknowledge(late)
        await exporter.acknowledge(early)
        (consumer,) = life.consumers.loaded()
        assert consumer.position == Position.after(LOG[3])
        assert (await life.consumers.register("export:otlp", START)).position == Position.after(LOG[3])

    run(test)
