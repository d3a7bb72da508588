"""Opening, reading and refusing."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rocksdict import Options, Rdict

from fairlead.store import Family, Store, StoreError, StoreLocked, StoreUnavailable, keys, open_store
from fairlead.store.database import PAGE_BYTES, PAGE_RECORDS


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def number(value: int) -> bytes:
    return value.to_bytes(4, "big")


def fill(store: Store, count: int, family: Family = Family.AUDIT) -> None:
    store.write((family, number(n), b"v%d" % n) for n in range(count))


def test_what_was_written_is_there_after_reopening(data: Path) -> None:
    with open_store(data) as store:
        store.write([(Family.STATE, b"a", b"1"), (Family.AUDIT, b"a", b"2"), (Family.INVOCATIONS, b"a", b"")])
        store.write([(Family.STATE, b"a", None)])
    with open_store(data) as store:
        assert store.get(Family.STATE, b"a") is None
        assert store.get(Family.AUDIT, b"a") == b"2"
        assert store.get(Family.INVOCATIONS, b"a") == b""
        assert store.get(Family.MEMORY, b"a") is None


def test_scans_go_over_pages_in_both_directions(data: Path) -> None:
    count = PAGE_RECORDS * 2 + 7
    with open_store(data) as store:
        fill(store, count)
        assert [key for key, _ in store.scan(Family.AUDIT)] == [number(n) for n in range(count)]
        assert [key for key, _ in store.scan(Family.AUDIT, reverse=True)] == [number(n) for n in reversed(range(count))]
        assert [value for _, value in store.scan(Family.AUDIT, limit=2)] == [b"v0", b"v1"]
        assert list(store.scan(Family.AUDIT, limit=0)) == []
        long = list(store.scan(Family.AUDIT, reverse=True, limit=PAGE_RECORDS + 1))
        assert [long[0][0], long[-1][0]] == [number(count - 1), number(count - PAGE_RECORDS - 1)]


def test_large_records_end_a_page_early_but_not_the_scan(data: Path) -> None:
    with open_store(data) as store:
        for n in range(5):
            store.write([(Family.BLOBS, number(n), bytes(PAGE_BYTES // 2))])
        assert [key for key, _ in store.scan(Family.BLOBS)] == [number(n) for n in range(5)]


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = open_store(tmp_path_factory.mktemp("numbers"))
    store.write((Family.RUNS, bytes([high, low]), b"") for high in range(4) for low in (0, 1, 254, 255))
    store.write([(Family.RUNS, b"\xff\xff", b""), (Family.RUNS, b"\xff", b"")])
    return store


@given(
    prefix=st.sampled_from([b"", b"\x00", b"\x01", b"\x03\xff", b"\xff", b"\x09"]),
    start=st.none() | st.binary(max_size=2),
    end=st.none() | st.binary(max_size=2),
    reverse=st.booleans(),
    limit=st.none() | st.integers(0, 8),
)
def test_bounds_mean_the_same_in_both_directions(
    numbers: Store, prefix: bytes, start: bytes | None, end: bytes | None, reverse: bool, limit: int | None
) -> None:
    every = sorted([bytes([high, low]) for high in range(4) for low in (0, 1, 254, 255)] + [b"\xff", b"\xff\xff"])
    expected = [
        key
        for key in every
        if key.startswith(prefix) and (start is None or key >= start) and (end is None or key < end)
    ]
    if reverse:
        expected.reverse()
    found = [
        key for key, _ in numbers.scan(Family.RUNS, prefix=prefix, start=start, end=end, reverse=reverse, limit=limit)
    ]
    assert found == expected[:limit]


def test_a_scan_survives_a_reopening_between_its_pages(data: Path) -> None:
    with open_store(data) as store:
        fill(store, PAGE_RECORDS + 10)
        records = store.scan(Family.AUDIT)
        read = [next(records) for _ in range(PAGE_RECORDS)]
        store.shut()
        with pytest.raises(StoreUnavailable, match="closed"):
            store.get(Family.AUDIT, number(0))
        store.open()
        read += records
        assert [key for key, _ in read] == [number(n) for n in range(PAGE_RECORDS + 10)]


def test_a_range_is_deleted_up_to_its_end(data: Path) -> None:
    with open_store(data) as store:
        fill(store, 10, Family.REQUESTS)
        store.delete_ranges([(Family.REQUESTS, number(0), number(7))])
        assert [key for key, _ in store.scan(Family.REQUESTS)] == [number(7), number(8), number(9)]


def test_a_second_daemon_is_told_who_has_the_directory(data: Path) -> None:
    with open_store(data):
        with pytest.raises(StoreLocked) as refusal:
            open_store(data)
        assert str(refusal.value) == f"another fairlead daemon is using {data} (process {os.getpid()})"
        with pytest.raises(StoreLocked):
            open_store(data, read_only=True)
    open_store(data).close()


def test_the_lock_of_a_killed_process_is_free(data: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from fairlead.store import open_store, Family\n"
        "s = open_store(Path(sys.argv[1])); s.write([(Family.STATE, b'k', b'v')]); print('open', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(data)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "open\n"
        with pytest.raises(StoreLocked, match=rf"process {child.pid}\)"):
            open_store(data)
        child.kill()
    with open_store(data) as store:
        # Written without an fsync: a kill of the process loses nothing that was acknowledged.
        assert store.get(Family.STATE, b"k") == b"v"


def test_a_reader_of_a_stopped_daemon_sees_all_and_changes_nothing(data: Path) -> None:
    with open_store(data) as store:
        fill(store, 3)
    with open_store(data, read_only=True) as store, open_store(data, read_only=True) as beside:
        assert len(list(store.scan(Family.AUDIT))) == 3
        assert beside.get(Family.AUDIT, number(0)) == b"v0"
        with pytest.raises(StoreUnavailable, match="not open for writing"):
            store.write([(Family.AUDIT, b"x", b"")])


def test_a_reader_needs_a_database(data: Path) -> None:
    with pytest.raises(StoreError, match="no daemon has run there"):
        open_store(data, read_only=True)
    assert not data.exists()


def test_an_unknown_format_is_refused_with_its_version(data: Path) -> None:
    with open_store(data) as store:
        store.write([(Family.STATE, keys.FORMAT, b"7")])
    for read_only in (False, True):
        with pytest.raises(StoreError, match="has format version '7'; this program knows '1'"):
            open_store(data, read_only=read_only)
    with pytest.raises(StoreError, match="format version '7'"):
        open_store(data)  # The refusal gave the directory back.


def test_records_without_a_format_are_not_ours(data: Path) -> None:
    with open_store(data) as store:
        store.write([(Family.STATE, keys.FORMAT, None), (Family.RUNS, b"k", b"v")])
    with pytest.raises(StoreError, match="no format version"):
        open_store(data)


def families_of(data: Path) -> set[str]:
    return set(Rdict.list_cf(str(data / "db"))) - {"default"}


def test_families_of_a_newer_version_are_refused_and_named(data: Path) -> None:
    open_store(data).close()
    path = str(data / "db")
    names = {name: Options(raw_mode=True) for name in families_of(data)}
    database = Rdict(path, Options(raw_mode=True), column_families=names)
    for later in ("later", "latest"):
        database.create_column_family(later, Options(raw_mode=True)).close()
    database.close()
    before = families_of(data)
    for read_only in (False, True):
        with pytest.raises(StoreError, match=r"does not know: 'later', 'latest': a newer version of fairlead has used"):
            open_store(data, read_only=read_only)
    assert families_of(data) == before


def test_a_database_of_an_older_version_gets_the_new_families(data: Path) -> None:
    with open_store(data) as store:
        fill(store, 3)
    database = Rdict(
        str(data / "db"),
        Options(raw_mode=True),
        column_families={name: Options(raw_mode=True) for name in families_of(data)},
    )
    for newer in ("outbox", "keys"):
        database.drop_column_family(newer)
    database.close()
    old = families_of(data)
    assert old == {family.column_family for family in Family} - {"outbox", "keys"}
    # Reading makes nothing: what an older version did not have is empty.
    with open_store(data, read_only=True) as store:
        assert len(list(store.scan(Family.AUDIT))) == 3
        assert store.get(Family.KEYS, b"k") is None
        assert list(store.scan(Family.OUTBOX)) == []
    assert families_of(data) == old
    with open_store(data) as store:
        assert len(list(store.scan(Family.AUDIT))) == 3
        store.write([(Family.KEYS, b"k", b"v"), (Family.OUTBOX, b"k", b"w")])
    with open_store(data) as store:
        assert (store.get(Family.KEYS, b"k"), store.get(Family.OUTBOX, b"k")) == (b"v", b"w")
    assert families_of(data) == {family.column_family for family in Family}


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=rf"data directory {tmp_path}/file/data cannot be made: Not a directory"):
        open_store(tmp_path / "file" / "data")


def test_a_directory_that_is_not_writable_is_named(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The superuser may write everywhere, so the refusal is made here instead of by a mode.
    def refuse(path: object, *_: object, **__: object) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    data.mkdir()
    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(StoreError, match=rf"data directory {data} is not usable: Permission denied"):
        open_store(data)
