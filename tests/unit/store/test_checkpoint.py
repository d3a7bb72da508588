"""Work between two batches, and the checkpoint that is made then: one moment of a store that goes on."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from fairlead.store import Family, StoreUnavailable, keys, open_store
from fairlead.store.recovery import last_sequence

from .test_writer import Bench, put


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    (tmp_path / "data").mkdir()
    bench = Bench(tmp_path / "data")
    bench.writer.start()
    yield bench
    bench.close()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The data directory of a checkpoint: the database is its `db`."""
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "daemon.lock").touch()
    return tmp_path / "copy"


def test_work_between_batches_sees_whole_batches_and_holds_up_the_next(bench: Bench) -> None:
    assert bench.core.commit(put(b"before"))
    began, may_end = threading.Event(), threading.Event()

    def look() -> bytes | None:
        began.set()
        assert may_end.wait(10)
        return bench.store.get(Family.STATE, b"after")

    looked: Future[bytes | None] = bench.writer.between_batches(look)
    assert began.wait(10)
    waiting = bench.core.push(put(b"after"))
    assert bench.store.get(Family.STATE, b"before") == b"v"
    may_end.set()
    assert looked.result(10) is None
    assert waiting.done.wait(10) and not waiting.lost


def test_what_work_raises_is_its_own(bench: Bench) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        bench.writer.between_batches(fail).result(10)
    assert bench.core.commit(put(b"goes on"))
    assert not bench.faults


def test_work_is_refused_while_the_store_fails_and_done_when_it_is_back(bench: Bench) -> None:
    bench.store.open_faults = 1_000_000
    bench.store.write_fault = StoreUnavailable("disk full")
    assert not bench.core.commit(put(b"refused"))
    assert bench.changed.wait(10)
    with pytest.raises(StoreUnavailable, match="disk full"):
        bench.writer.between_batches(lambda: None).result(10)
    bench.store.open_faults, bench.store.write_fault = 0, None
    assert bench.recovered.wait(10)
    assert bench.writer.between_batches(lambda: 7).result(10) == 7


def test_work_is_refused_before_the_start_and_after_the_stop(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    with pytest.raises(StoreUnavailable, match="does not run"):
        bench.writer.between_batches(lambda: None).result(10)
    bench.writer.start()
    bench.writer.stop()
    with pytest.raises(StoreUnavailable, match="has stopped"):
        bench.writer.between_batches(lambda: None).result(10)
    bench.close()


def test_a_checkpoint_is_the_moment_between_two_batches_while_commits_go_on(bench: Bench, copy: Path) -> None:
    stop = threading.Event()
    committed = 0

    def commit() -> None:
        nonlocal committed
        while not stop.is_set():
            committed += 1
            # A record and what goes with it: both or none.
            record = (Family.AUDIT, keys.audit(committed), bytes(500))
            assert bench.core.commit(record, put(b"n", b"%d" % committed), power=committed % 5 == 0)

    caller = threading.Thread(target=commit)
    caller.start()
    heads = []
    for turn in range(3):
        bench.core.wait(lambda turn=turn: len(bench.core.marks) > 100 * turn)  # type: ignore[misc]
        bench.writer.between_batches(bench.store.close_log).result(30)

        def take() -> int:
            bench.store.checkpoint(copy / "db")
            return last_sequence(bench.store)

        heads.append(bench.writer.between_batches(take).result(30))
        with open_store(copy, read_only=True) as store:
            assert [keys.audit_sequence(key) for key, _ in store.scan(Family.AUDIT)] == list(range(1, heads[-1] + 1))
            assert store.get(Family.STATE, b"n") == b"%d" % heads[-1]
        (copy / "db").rename(copy.parent / f"db-{turn}")
    stop.set()
    caller.join(10)
    assert heads == sorted(set(heads)) and heads[-1] <= committed
    assert last_sequence(bench.store) == committed


def test_a_checkpoint_lives_on_when_the_store_changes(bench: Bench, copy: Path) -> None:
    for n in range(1, 50):
        assert bench.core.commit((Family.AUDIT, keys.audit(n), bytes(100)))
    bench.writer.between_batches(lambda: bench.store.checkpoint(copy / "db")).result(30)
    for n in range(1, 50):
        assert bench.core.commit((Family.AUDIT, keys.audit(n), None))
    bench.writer.between_batches(bench.store.close_log).result(30)
    with open_store(copy) as store:
        assert len(list(store.scan(Family.AUDIT))) == 49


def test_a_checkpoint_that_cannot_be_made_says_so_and_leaves_nothing(bench: Bench, tmp_path: Path) -> None:
    assert bench.core.commit(put(b"k"))
    nowhere = tmp_path / "no" / "such" / "directory"
    with pytest.raises(StoreUnavailable, match=r"a checkpoint of .*/db cannot be made"):
        bench.store.checkpoint(nowhere)
    assert not (tmp_path / "no").exists()
    assert bench.core.commit(put(b"goes on"), power=True)


def test_a_store_that_is_only_read_makes_no_checkpoint(tmp_path: Path, copy: Path) -> None:
    open_store(tmp_path / "other").close()
    with open_store(tmp_path / "other", read_only=True) as store:
        with pytest.raises(StoreUnavailable, match="not open for writing"):
            store.checkpoint(copy / "db")
        with pytest.raises(StoreUnavailable, match="not open for writing"):
            store.close_log()
    assert not (copy / "db").exists()
