"""What comes as the stream of a backup is kept whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.backup.model import BackupError, BackupFile, Manifest, Moment, checked_name
from fairlead.backup.parts import CHUNK_BYTES, parts
from fairlead.backup.reading import unpack
from fairlead.backup.writing import keep
from fairlead.v1 import backup_service_pb2 as pb

MOMENT = Moment(1_795_000_000_123_456_789, 7, bytes(range(32)))
FILES = {"CURRENT": b"MANIFEST-000005\n", "000015.sst": os.urandom(CHUNK_BYTES * 2 + 17), "000016.log": b""}
PLACES = ["backup", "backup.tar"]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A directory like that of a database, with what is not kept of it."""
    place = tmp_path / "db"
    place.mkdir()
    for name, content in FILES.items():
        (place / name).write_bytes(content)
    for other in ("LOCK", "LOG", "LOG.old.17"):
        (place / other).write_text("not kept")
    return place


def stream(database: Path) -> Iterator[pb.CreateBackupResponse]:
    return parts(database, MOMENT, "1.2.3")


def left_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


@pytest.mark.parametrize("name", [*PLACES, "-"])
def test_what_is_kept_reads_back_byte_by_byte(database: Path, tmp_path: Path, name: str) -> None:
    out = io.BytesIO()
    to = name if name == "-" else str(tmp_path / name)
    told: list[tuple[int, int]] = []
    kept = keep(stream(database), to, out, lambda done, of: told.append((done, of)))
    (tmp_path / "again").mkdir()
    read = unpack(to, tmp_path / "again", io.BytesIO(out.getvalue()))
    assert read == kept
    assert {file.name.removeprefix("db/"): file.sha256 for file in read.files} == {
        file: hashlib.sha256(content).digest() for file, content in FILES.items()
    }
    assert {path.name: path.read_bytes() for path in (tmp_path / "again/db").iterdir()} == FILES
    assert (read.moment, read.program_version, read.store_format) == (MOMENT, "1.2.3", "1")
    assert told[-1] == (read.size_bytes, read.size_bytes)


def cut(stream: list[pb.CreateBackupResponse]) -> None:
    del stream[-1]


def cut_inside_a_file(stream: list[pb.CreateBackupResponse]) -> None:
    del stream[3:]


def another_digest(stream: list[pb.CreateBackupResponse]) -> None:
    next(part for part in stream if part.HasField("file_end")).file_end.sha256 = bytes(32)


def another_byte(stream: list[pb.CreateBackupResponse]) -> None:
    part = next(part for part in stream if part.data)
    part.data = bytes([part.data[0] ^ 1]) + part.data[1:]


def a_byte_more(stream: list[pb.CreateBackupResponse]) -> None:
    next(part for part in stream if part.data).data += b"x"


def a_file_less(stream: list[pb.CreateBackupResponse]) -> None:
    stream[0].started.files += 1


def out_of_its_directory(stream: list[pb.CreateBackupResponse]) -> None:
    stream[1].file.name = "db/../../escaped"


def in_no_order(stream: list[pb.CreateBackupResponse]) -> None:
    stream.reverse()


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.parametrize(
    "harm",
    [cut, cut_inside_a_file, another_digest, another_byte, a_byte_more, a_file_less, out_of_its_directory, in_no_order],
)
def test_a_stream_that_is_not_whole_leaves_nothing(database: Path, tmp_path: Path, harm: object, name: str) -> None:
    place = tmp_path / "place"
    place.mkdir()
    broken = [pb.CreateBackupResponse.FromString(part.SerializeToString()) for part in stream(database)]
    harm(broken)  # type: ignore[operator]
    with pytest.raises(BackupError):
        keep(broken, str(place / name), io.BytesIO())
    assert left_in(place) == []
    assert not (tmp_path / "escaped").exists()


@pytest.mark.parametrize("name", PLACES)
def test_an_interruption_leaves_nothing(database: Path, tmp_path: Path, name: str) -> None:
    def interrupted() -> Iterator[pb.CreateBackupResponse]:
        yield from list(stream(database))[:4]
        raise KeyboardInterrupt

    place = tmp_path / "place"
    place.mkdir()
    with pytest.raises(KeyboardInterrupt):
        keep(interrupted(), str(place / name), io.BytesIO())
    assert left_in(place) == []


def test_a_file_that_shrinks_while_it_is_read_is_no_part_of_a_backup(database: Path, tmp_path: Path) -> None:
    coming = stream(database)
    assert next(coming).HasField("started")
    (database / "000015.sst").write_bytes(b"short")
    with pytest.raises(BackupError, match="became shorter"):
        list(coming)


def test_an_empty_directory_becomes_the_backup_and_a_full_one_does_not(database: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    keep(stream(database), str(tmp_path / "empty"), io.BytesIO())
    assert left_in(tmp_path / "empty") == ["db", "manifest.json"]
    with pytest.raises(BackupError, match="give another name"):
        keep(stream(database), str(tmp_path / "empty"), io.BytesIO())
    with pytest.raises(BackupError, match="name a directory in it"):
        keep(stream(database), "/", io.BytesIO())


names = st.from_regex(r"db/[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)
digests = st.binary(min_size=32, max_size=32)


@given(
    nanos=st.integers(0, 4_000_000_000 * 10**9),
    head=st.tuples(st.integers(1, 1 << 62), digests) | st.just((0, b"")),
    files=st.lists(st.builds(BackupFile, names, st.integers(0, 1 << 50), digests), unique_by=lambda file: file.name),
    version=st.text(max_size=20),
)
def test_a_manifest_reads_back(nanos: int, head: tuple[int, bytes], files: list[BackupFile], version: str) -> None:
    manifest = Manifest(Moment(nanos, *head), version, "1", tuple(files))
    assert Manifest.from_json(manifest.to_json()) == manifest


KEYS = st.sampled_from(["format", "files", "name", "bytes", "sha256", "create_time", "audit_sequence"])
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner),
)


@given(ANYTHING)
def test_no_manifest_is_a_fault(fields: object) -> None:
    with pytest.raises(BackupError):
        Manifest.from_json(json.dumps(fields).encode())
    whole = {"format": 1, "create_time": fields, "files": [fields], "audit_sequence": fields}
    with pytest.raises(BackupError):
        Manifest.from_json(json.dumps(whole).encode())


@given(st.text(max_size=40))
def test_no_name_leaves_its_directory(name: str) -> None:
    with contextlib.suppress(ValueError):
        assert (Path("/place") / checked_name(name)).resolve().parent == Path("/place/db")
