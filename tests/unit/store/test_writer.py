"""What is acknowledged when, and what a fault of the store costs: nothing that was acknowledged."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fairlead.store import Family, Store, StoreUnavailable, keys, tuning
from fairlead.store.database import Write
from fairlead.store.lock import DirectoryLock
from fairlead.store.writer import CommitWriter, WriterSettings

from .fake_core import FakeCore

HOUR = 3600 * 1_000_000_000
SETTINGS = WriterSettings(poll_millis=20, retry_seconds=0.001, max_retry_seconds=0.01)


class FaultyStore(Store):
    """A store whose faults the test decides."""

    def __init__(self, data: Path) -> None:
        self.write_fault: BaseException | None = None
        self.flush_fault: BaseException | None = None
        self.open_faults = 0
        self.flushes = 0
        self.flush_gate: threading.Event | None = None
        self.in_flush = threading.Event()
        self.may_write: threading.Event | None = None
        super().__init__(data / "db", DirectoryLock(data), read_only=False)

    def open(self) -> None:
        if self.open_faults:
            self.open_faults -= 1
            raise StoreUnavailable("still broken")
        super().open()

    def write(self, writes: "Iterator[Write] | list[Write]") -> None:  # type: ignore[override]
        if self.may_write is not None:
            assert self.may_write.wait(10)
        if self.write_fault is not None:
            raise self.write_fault
        super().write(writes)

    def flush_wal(self) -> None:
        self.in_flush.set()
        if self.flush_gate is not None:
            assert self.flush_gate.wait(10)
        if self.flush_fault is not None:
            raise self.flush_fault
        super().flush_wal()
        self.flushes += 1


class Bench:
    """A writer over a fake core and a store that can fail."""

    def __init__(self, data: Path, *, now: int = 1000 * HOUR) -> None:
        self.core = FakeCore()
        self.store = FaultyStore(data)
        self.committed: list[int] = []
        self.available: list[tuple[bool, str]] = []
        self.faults: list[BaseException] = []
        self.changed = threading.Event()
        self.recovered = threading.Event()
        self.ended = threading.Event()
        self.writer = CommitWriter(
            self.core,
            self.store,
            committed=self.committed.append,
            available=self._available,
            fault=self._fault,
            settings=SETTINGS,
            wall=lambda: now,
        )

    def _available(self, available: bool, reason: str) -> None:
        self.available.append((available, reason))
        self.changed.set()
        if available:
            self.recovered.set()

    def _fault(self, fault: BaseException) -> None:
        self.faults.append(fault)
        self.ended.set()

    def close(self) -> None:
        self.writer.stop()
        self.store.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    bench.writer.start()
    yield bench
    bench.close()


def put(key: bytes, value: bytes = b"v", family: Family = Family.STATE) -> Write:
    return (family, key, value)


def test_a_process_unit_is_acknowledged_when_it_is_written(bench: Bench) -> None:
    bench.store.flush_gate = threading.Event()  # No fsync ends: only the write counts.
    assert bench.core.commit(put(b"k", b"1"))
    assert bench.store.get(Family.STATE, b"k") == b"1"
    bench.store.flush_gate.set()


def test_a_power_unit_waits_for_its_fsync(bench: Bench) -> None:
    assert bench.core.commit(put(b"k"), power=True)
    assert bench.store.flushes >= 1
    assert bench.core.marks[-1] == (1, 1)


def test_only_an_fsync_that_began_after_the_write_counts(bench: Bench) -> None:
    bench.store.in_flush.clear()
    bench.store.flush_gate = threading.Event()
    first = bench.core.push(put(b"1"), power=True)
    assert bench.store.in_flush.wait(10)
    # Written while the fsync for the first one is under way: that fsync may not carry it.
    second = bench.core.push(put(b"2"), power=True)
    bench.core.wait(lambda: any(written == second.number for written, _ in bench.core.marks))
    assert not first.done.is_set()
    bench.store.flush_gate.set()
    assert first.done.wait(10)
    assert second.done.wait(10)
    durable = [durable for _, durable in bench.core.marks]
    assert durable == sorted(durable)
    assert {1, 2} <= set(durable)
    assert bench.store.flushes >= 2


def test_waiting_units_are_written_in_one_batch_and_in_order(bench: Bench) -> None:
    bench.store.may_write = threading.Event()
    bench.core.push(put(b"first"))
    units = [bench.core.push(put(b"k", b"%d" % n)) for n in range(100)]
    bench.store.may_write.set()
    assert units[-1].done.wait(10)
    assert bench.store.get(Family.STATE, b"k") == b"99"
    assert len(bench.core.marks) < 50


def test_what_was_only_written_is_synced_within_a_second(bench: Bench) -> None:
    assert bench.core.commit(put(b"k"))
    bench.core.wait(lambda: (1, 1) in bench.core.marks)


def test_committed_audit_records_are_announced(bench: Bench) -> None:
    bench.core.commit(put(keys.audit(1), family=Family.AUDIT), put(keys.audit(2), family=Family.AUDIT), put(b"k"))
    bench.core.commit(put(b"no record"))
    bench.core.commit(put(keys.audit(3), family=Family.AUDIT))
    bench.writer.stop()
    assert bench.committed == [2, 3]


def test_a_stop_writes_and_syncs_what_waits(bench: Bench) -> None:
    bench.store.may_write = threading.Event()
    units = [bench.core.push(put(b"%d" % n), power=n % 2 == 0) for n in range(1000)]
    stop = threading.Thread(target=bench.writer.stop)
    stop.start()
    bench.store.may_write.set()
    stop.join(10)
    assert all(unit.done.is_set() and not unit.lost for unit in units)
    assert len(list(bench.store.scan(Family.STATE))) == 1001  # and the format
    assert bench.core.marks[-1] == (1000, 1000)


@pytest.mark.parametrize("where", ["write", "flush"])
def test_a_fault_refuses_and_a_reopening_recovers(bench: Bench, where: str) -> None:
    assert bench.core.commit(put(b"before", b"1"))
    bench.store.open_faults = 2
    setattr(bench.store, f"{where}_fault", StoreUnavailable("disk full"))
    refused = bench.core.push(put(b"refused"), power=True)
    assert refused.done.wait(10)
    assert refused.lost
    assert bench.changed.wait(10)
    assert bench.available[0] == (False, "disk full")
    setattr(bench.store, f"{where}_fault", None)
    assert bench.recovered.wait(10)
    assert bench.available[-1] == (True, "")
    assert (Family.STATE, b"before", b"1") in bench.core.recovered
    assert bench.core.commit(put(b"after"), power=True)
    assert bench.store.get(Family.STATE, b"after") == b"v"
    assert not bench.faults


def test_reads_go_on_while_the_directory_takes_no_writes(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    assert bench.core.commit(put(b"before"))
    probed = threading.Event()

    def no_space() -> None:
        probed.set()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bench.writer, "_probe", no_space)
    bench.store.write_fault = StoreUnavailable("disk full")
    assert not bench.core.commit(put(b"refused"))
    assert probed.wait(10)
    assert bench.store.get(Family.STATE, b"before") == b"v"
    assert not bench.core.commit(put(b"refused too"))
    bench.store.write_fault = None
    monkeypatch.undo()
    assert bench.recovered.wait(10)
    assert bench.core.commit(put(b"after"))


def logs(bench: Bench) -> list[str]:
    return sorted(path.name for path in bench.store.path.glob("*.log"))


def test_a_full_log_is_closed_and_its_families_are_flushed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "LOG_BYTES", 50_000)
    before = logs(bench)
    for n in range(200):
        assert bench.core.commit(put(b"%d" % n, bytes(1000), Family.RUNS))
    bench.writer.between_batches(lambda: None).result(10)
    assert bench.store.log_bytes < 50_000
    # The old one goes when its families are in files, which nobody waits for.
    looks = 0
    while before[-1] in logs(bench):
        looks += 1
        assert looks < 1000
        bench.writer.between_batches(lambda: None).result(10)
    assert list(bench.store.path.glob("*.sst"))
    # More than RocksDB's own bounds for one log would be: it still does not begin one.
    monkeypatch.setattr(tuning, "LOG_BYTES", 1 << 30)
    before = logs(bench)
    for n in range(80):
        assert bench.core.commit(put(b"%d" % n, bytes(1 << 20), Family.RUNS))
    assert logs(bench)[-1] == before[-1]


def test_no_log_begins_before_the_last_one_is_synced(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut could otherwise take the end of one and leave the beginning of the next."""
    monkeypatch.setattr(tuning, "LOG_BYTES", 50_000)
    before = logs(bench)
    bench.store.open_faults = 1_000_000
    bench.store.flush_fault = StoreUnavailable("no fsync")
    written = 0
    while bench.core.commit(put(b"%d" % written, bytes(1000))):
        written += 1
    assert written <= 60 and bench.changed.wait(10)
    assert logs(bench) == before
    bench.store.open_faults, bench.store.flush_fault = 0, None
    assert bench.recovered.wait(10)
    assert bench.core.commit(put(b"after"), power=True)
    assert len(list(bench.store.scan(Family.STATE))) >= written


def test_a_log_that_is_nearly_full_is_synced_beside_the_commits(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "SYNC_AHEAD_BYTES", 50_000)
    bench.store.in_flush.clear()
    bench.store.flush_gate = threading.Event()  # It does not end, and holds nobody up.
    for n in range(100):
        assert bench.core.commit(put(b"%d" % n, bytes(1000)))
    assert bench.store.in_flush.wait(10)
    bench.store.flush_gate.set()


def test_a_stop_does_not_wait_for_a_broken_store(bench: Bench) -> None:
    bench.store.write_fault = StoreUnavailable("disk full")
    bench.store.open_faults = 1_000_000
    assert not bench.core.commit(put(b"refused"))
    assert bench.changed.wait(10)
    bench.writer.stop()


def test_what_must_never_happen_ends_the_writer(bench: Bench) -> None:
    bench.store.write_fault = ZeroDivisionError()
    assert not bench.core.commit(put(b"refused"))
    assert bench.ended.wait(10)
    assert isinstance(bench.faults[0], ZeroDivisionError)


def test_request_ids_are_forgotten_after_a_day(tmp_path: Path) -> None:
    bench = Bench(tmp_path, now=1000 * HOUR + 1)
    hours = [1, 975, 976, 1000]
    for family in (Family.REQUESTS, Family.BLOBS):
        bench.store.write((family, keys.request(hour, "t", "a", "Admit", "r"), b"") for hour in hours)
    bench.writer.start()
    bench.writer.stop()
    for family in (Family.REQUESTS, Family.BLOBS):
        assert [int.from_bytes(key[:4], "big") for key, _ in bench.store.scan(family)] == [976, 1000]
    bench.store.close()
