"""Keeps a stream of parts as a directory or a tar archive: whole, or not at all.

A directory and an archive are made beside their name and get it when everything in them is on the disk. An archive on
standard output cannot be taken back: its reader knows by the manifest at its end that it is whole.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tarfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

from fairlead.backup.model import MANIFEST, BackupError, BackupFile, Manifest, Moment, checked_name
from fairlead.v1 import backup_service_pb2 as pb

ARCHIVE = ".tar"
_COPY_BYTES = 1 << 20


class Content(Protocol):
    """The bytes of a file."""

    def read(self, size: int = -1, /) -> bytes:
        """As many bytes as are asked for, unless the file ends before."""
        ...


Told = Callable[[int, int], None]
"""Bytes that are kept, of how many."""
Add = Callable[[str, int, Content], None]
"""Keeps a file of a name, a size and a content."""


def keep(
    parts: Iterable[pb.CreateBackupResponse], to: str, standard_output: BinaryIO, told: Told = lambda kept, of: None
) -> Manifest:
    """Keeps all parts; what was kept.

    `-` is an archive on standard output, a name that ends with `.tar` an archive, any other a directory. Raises
    BackupError when there is something of that name, or when the stream is not that of a backup; OSError; and what the
    stream raises. Nothing is kept then.
    """
    with _target(to, standard_output) as add:
        manifest = _kept(iter(parts), add, told)
        content = manifest.to_json()
        add(MANIFEST, len(content), io.BytesIO(content))
    return manifest


def _kept(parts: Iterator[pb.CreateBackupResponse], add: Add, told: Told) -> Manifest:
    started = _next(parts, "started").started
    files: list[BackupFile] = []
    kept = 0
    while True:
        part = _next(parts, "file", "end")
        if part.HasField("end"):
            break
        content = _Incoming(parts, part.file.name, part.file.bytes)
        try:
            name = checked_name(part.file.name)
        except ValueError as error:
            raise BackupError(str(error)) from error
        add(name, part.file.bytes, content)
        files.append(BackupFile(name, part.file.bytes, content.sha256()))
        kept += part.file.bytes
        told(kept, started.bytes)
    if (len(files), kept) != (started.files, started.bytes):
        raise BackupError(f"{len(files)} files of {kept} bytes came instead of {started.files} of {started.bytes}")
    moment = Moment(started.create_time.ToNanoseconds(), started.audit_sequence, started.audit_head)
    return Manifest(moment, started.program_version, started.store_format, tuple(files))


def _target(to: str, standard_output: BinaryIO) -> AbstractContextManager[Add]:
    if to == "-":
        return _stream(standard_output)
    # A name for what is made beside it, whatever was given.
    path = Path(os.path.abspath(to))
    if not path.name:
        raise BackupError(f"{to} cannot be a backup: name a directory in it")
    return _archive(path) if path.suffix == ARCHIVE else _directory(path)


@contextmanager
def _directory(path: Path) -> Iterator[Add]:
    """A directory that is not there yet, or is empty."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise BackupError(f"{path} is there and not an empty directory: give another name")
    partial = _partial(path)
    partial.mkdir(mode=0o700)

    def add(name: str, size_bytes: int, content: Content) -> None:
        place = partial / name
        place.parent.mkdir(mode=0o700, exist_ok=True)
        with place.open("xb") as file:
            shutil.copyfileobj(content, file, _COPY_BYTES)
            _sync(file)

    try:
        yield add
        for directory in (*(found for found in partial.iterdir() if found.is_dir()), partial):
            sync_directory(directory)
        partial.rename(path)
        sync_directory(path.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def _archive(path: Path) -> Iterator[Add]:
    """A tar archive that is not there yet."""
    if path.exists():
        raise BackupError(f"{path} is there: give another name")
    partial = _partial(path)
    try:
        with partial.open("xb") as file:
            with tarfile.open(fileobj=file, mode="w") as archive:
                yield _adding(archive)
            _sync(file)
        partial.rename(path)
        sync_directory(path.parent)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def _stream(stream: BinaryIO) -> Iterator[Add]:
    """A tar archive on a stream. What has gone out when it fails stays, without a manifest."""
    with tarfile.open(fileobj=stream, mode="w|") as archive:
        yield _adding(archive)
    stream.flush()


def _adding(archive: tarfile.TarFile) -> Add:
    def add(name: str, size_bytes: int, content: Content) -> None:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = size_bytes, 0o600
        archive.addfile(entry, content)

    return add


class _Incoming:
    """The data of one file, out of the stream."""

    def __init__(self, parts: Iterator[pb.CreateBackupResponse], name: str, size_bytes: int) -> None:
        self._parts = parts
        self._name = name
        self._left = size_bytes
        self._chunk = b""
        self._digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        pieces = []
        while wanted:
            if not self._chunk:
                self._chunk = _next(self._parts, "data").data
            piece, self._chunk = self._chunk[:wanted], self._chunk[wanted:]
            wanted -= len(piece)
            self._left -= len(piece)
            pieces.append(piece)
        read = b"".join(pieces)
        self._digest.update(read)
        return read

    def sha256(self) -> bytes:
        """Digest of what was read; raises BackupError when it is not all, or not what was sent."""
        if self._left or self._chunk:
            raise BackupError(f"{self._name} did not come whole")
        if _next(self._parts, "file_end").file_end.sha256 != self._digest.digest():
            raise BackupError(f"{self._name} did not come as it was sent")
        return self._digest.digest()


def _next(parts: Iterator[pb.CreateBackupResponse], *kinds: str) -> pb.CreateBackupResponse:
    part = next(parts, None)
    if part is None:
        raise BackupError("the backup ended before it was whole")
    if part.WhichOneof("part") not in kinds:
        raise BackupError(f"the backup has {part.WhichOneof('part')} where {' or '.join(kinds)} should be")
    return part


def _partial(path: Path) -> Path:
    """Where something is made that gets its name when it is whole."""
    return path.with_name(f".{path.name}.partial-{os.getpid()}")


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def sync_directory(directory: Path) -> None:
    """Makes names in a directory survive a power cut. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
