"""Files of JSON Lines: every record once, whatever happens in between."""

from __future__ import annotations

import errno
import json
import os
import resource
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from fairlead.audit.transparency.exported import verify_export
from fairlead.exporting.destination import TAKEN
from fairlead.exporting.file import FileDestination, LogFile, Unusable, line_of
from fairlead.exporting.rotation import full_files
from fairlead.exporting.settings import Exporter, Rotation
from fairlead.exporting.thread import OneAtATime
from tests.unit.audit.records import chain, started
from tests.unit.exporting.logs import EVENTS, HASHES, LOG, SOURCE, run

LINES = [line_of(event) for event in EVENTS]
LARGE = Rotation()


def written(path: Path) -> list[str]:
    """All lines, oldest file first."""
    return [line for file in (*full_files(path), path) for line in file.read_text().splitlines()]


def sequences(path: Path) -> list[int]:
    return [json.loads(line)["sequence"] for line in written(path)]


def put(path: Path, first: int, last: int, rotation: Rotation = LARGE) -> None:
    """One life that writes some records."""
    file = LogFile(path, rotation)
    try:
        file.write(LINES[first - 1 : last], HASHES.get)
    finally:
        file.close()


def test_lines_are_those_of_an_export_and_verify_as_one(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"

    async def test() -> None:
        destination = FileDestination(Exporter("disk", "file", path=str(path)), OneAtATime())
        assert await destination.deliver(EVENTS[:20], SOURCE) is TAKEN
        assert await destination.deliver(EVENTS[20:], SOURCE) is TAKEN
        await destination.close()

    run(test)
    result = verify_export(written(path), (60, LOG[59].record_hash))
    assert result.valid and result.checked == 60
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_is_there_is_not_written_again_and_what_is_half_written_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    put(path, 1, 5)
    whole = path.read_bytes()
    torn = LINES[5].text
    # Wherever a crash cuts the next line; zeros are what a power cut leaves of a block.
    for tail in (torn[:1], torn[: len(torn) // 2], torn[:-1], b"\0" * 5000, b"\0" * 9 + b"\n", torn[:9] + b"\0\n\0"):
        path.write_bytes(whole + tail)
        put(path, 3, 7)
        assert sequences(path) == [1, 2, 3, 4, 5, 6, 7]
    path.write_bytes(torn[:9])
    put(path, 1, 2)
    assert sequences(path) == [1, 2]


def test_a_file_is_set_aside_when_it_is_full_and_the_oldest_goes(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    size = len(LINES[1].text) + len(LINES[2].text) + 100
    rotation = Rotation(size_bytes=size, files=4)
    put(path, 1, 9, rotation)
    assert all(file.stat().st_size <= size for file in tmp_path.iterdir())
    before = sequences(path)
    assert before == list(range(before[0], 10)) and len(full_files(path)) == 3
    assert next(file.name for file in full_files(path)) == f"audit.jsonl.{before[0]:020d}"
    # Another life goes on with the same files.
    put(path, 7, 12, rotation)
    after = sequences(path)
    assert after == list(range(after[0], 13)) and len(full_files(path)) == 3


def test_a_file_holds_no_more_than_its_time_by_the_records_own_clock(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    # Records are a second apart.
    hour = Rotation(age_nanos=10_000_000_000, files=100)
    for first in (1, 4, 13):
        put(path, first, 25, hour)
    assert [len(file.read_text().splitlines()) for file in (*full_files(path), path)] == [10, 10, 5]
    assert sequences(path) == list(range(1, 26))


def test_a_crash_between_setting_aside_and_the_new_file_loses_and_repeats_nothing(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    put(path, 1, 5)
    path.rename(path.with_name(f"audit.jsonl.{1:020d}"))
    put(path, 3, 7)
    assert sequences(path) == [1, 2, 3, 4, 5, 6, 7]
    # A new file that nothing was written to yet.
    path.rename(path.with_name(f"audit.jsonl.{6:020d}"))
    path.touch()
    put(path, 6, 9)
    assert sequences(path) == list(range(1, 10))


def test_a_file_that_was_moved_away_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    file = LogFile(path, LARGE)
    file.write(LINES[:3], HASHES.get)
    path.rename(tmp_path / "collected")
    file.write(LINES[2:5], HASHES.get)
    file.close()
    # At least once: by its sequence the third is known as a duplicate.
    assert sequences(path) == [3, 4, 5]


def test_a_file_that_is_older_than_what_was_acknowledged_is_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "audit.jsonl"
    put(path, 1, 3)
    put(path, 3, 4)
    assert caplog.records == []
    put(path, 7, 9)
    (said,) = caplog.records
    assert said.message == "the file lacks records: fairlead audit export has them"
    assert (said.__dict__["after"], said.__dict__["before"]) == (4, 7)


def test_a_full_disk_leaves_whole_lines_and_the_rest_comes_later(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    file = LogFile(path, LARGE)
    file.write(LINES[:2], HASHES.get)
    size = path.stat().st_size
    import signal

    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, limits[1]))
    try:
        with pytest.raises(OSError) as caught:
            file.write(LINES[2:4], HASHES.get)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert caught.value.errno == errno.EFBIG and path.stat().st_size == size
    file.write(LINES[2:4], HASHES.get)
    file.close()
    assert sequences(path) == [1, 2, 3, 4]


@pytest.mark.parametrize("known", [HASHES.get, lambda sequence: None], ids=["another log", "a shorter log"])
def test_records_of_another_log_are_not_continued(tmp_path: Path, known: Callable[[int], bytes | None]) -> None:
    path = tmp_path / "audit.jsonl"
    other = chain([started(sequence) for sequence in range(1, 5)])
    path.write_text(
        "".join(
            json.dumps(
                {
                    "sequence": stored.sequence,
                    "record_hash": stored.record_hash.hex(),
                    "record": {"time_unix_nanos": "1"},
                }
            )
            + "\n"
            for stored in other
        )
    )
    file = LogFile(path, LARGE)
    file.write(LINES[:2], known)
    file.close()
    assert [json.loads(line)["sequence"] for line in path.read_text().splitlines()] == [1, 2]
    assert len(full_files(path)) == 1


@pytest.mark.parametrize("content", [b"hello\n", b"{}\n", b'{"sequence": "x", "record_hash": ""}\n', b"[1]\n"])
def test_what_is_no_export_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(Unusable, match="give the exporter another path"):
        put(path, 1, 2)
    assert path.read_bytes() == content


def test_two_processes_do_not_write_to_one_file(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    first = LogFile(path, LARGE)
    first.write(LINES[:1], HASHES.get)
    with pytest.raises(Unusable, match="another process writes to the file"):
        put(path, 1, 2)
    first.close()
    put(path, 1, 2)
    assert sequences(path) == [1, 2]


def problems(path: Path) -> Sequence[str]:
    found: list[str] = []

    async def test() -> None:
        destination = FileDestination(Exporter("disk", "file", path=str(path)), OneAtATime())
        outcome = await destination.deliver(EVENTS[:1], SOURCE)
        found.append(outcome.problem)
        await destination.close()

    run(test)
    return found


def test_what_cannot_be_written_is_said_and_nothing_else_is_followed(tmp_path: Path) -> None:
    assert problems(tmp_path / "nowhere/audit.jsonl") == ["the file cannot be written: no such file or directory"]
    link = tmp_path / "link"
    os.symlink(tmp_path / "target", link)
    assert problems(link) == ["the file cannot be written: too many levels of symbolic links"]
    assert not (tmp_path / "target").exists()
