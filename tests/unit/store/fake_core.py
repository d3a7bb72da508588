"""A core that decides nothing: units are pushed by the test, and everything the writer says is kept."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from fairlead.store.database import Write


@dataclass
class Unit:
    """One commit unit and what became of it."""

    number: int
    writes: list[Write]
    power: bool
    done: threading.Event = field(default_factory=threading.Event)
    lost: bool = False


class FakeCore:
    """The queue of the real core: numbered units, two marks, and a failed state that only a recovery ends."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._queued: list[Unit] = []
        self._open: list[Unit] = []
        self._last = 0
        self.marks: list[tuple[int, int]] = []
        self.failures: list[str] = []
        self.recovered: list[tuple[int, bytes, bytes]] = []
        self.recoveries = 0
        self._failed = False
        self._fresh = True

    def push(self, *writes: Write, power: bool = False) -> Unit:
        """Queues a unit; a failed core refuses it at once."""
        with self._changed:
            self._last += 1
            unit = Unit(self._last, list(writes), power)
            if self._failed:
                unit.lost = True
                unit.done.set()
            else:
                self._queued.append(unit)
                self._open.append(unit)
                self._changed.notify_all()
            return unit

    def commit(self, *writes: Write, power: bool = False, timeout: float = 10.0) -> bool:
        """Queues a unit and waits; true when it was acknowledged, false when it was refused."""
        unit = self.push(*writes, power=power)
        assert unit.done.wait(timeout), "the unit was neither acknowledged nor refused"
        return not unit.lost

    def next_batch(self, max_units: int, timeout_millis: int) -> tuple[int, bool, list[Write]] | None:
        with self._changed:
            self._changed.wait_for(lambda: bool(self._queued) or self._failed, timeout_millis / 1000)
            units, self._queued = self._queued[:max_units], self._queued[max_units:]
            if not units:
                return None
            return units[-1].number, any(unit.power for unit in units), [w for unit in units for w in unit.writes]

    def acknowledge(self, written: int, durable: int, write_micros: int, flush_micros: int) -> None:
        with self._changed:
            self.marks.append((written, durable))
            self._end(lambda unit: unit.number <= (durable if unit.power else written), lost=False)
            self._changed.notify_all()

    def fail_store(self, reason: str) -> None:
        with self._changed:
            self.failures.append(reason)
            self._failed = True
            self._fresh = True
            self._queued.clear()
            self._end(lambda unit: True, lost=True)
            self._changed.notify_all()

    def recover(self, records: list[tuple[int, bytes, bytes]], last: bool, now_unix_nanos: int) -> None:
        with self._changed:
            if self._fresh:
                self.recovered = []
                self._fresh = False
            self.recovered += records
            if last:
                self._failed = False
                self.recoveries += 1
                self._changed.notify_all()

    def wait(self, condition: Callable[[], bool], timeout: float = 10.0) -> None:
        """Waits until something the writer said makes the condition true."""
        with self._changed:
            assert self._changed.wait_for(condition, timeout), "the writer never said so"

    def _end(self, which: Callable[[Unit], bool], *, lost: bool) -> None:
        for unit in [unit for unit in self._open if which(unit)]:
            unit.lost = lost
            unit.done.set()
            self._open.remove(unit)
