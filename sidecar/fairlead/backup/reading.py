"""Reads a backup back: every file that its manifest names, with the size and SHA-256 that it has there, and no other.

What is read is not trusted: names cannot leave the directory, only regular files count, and nothing is used before all
of it was compared.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from fairlead.backup.model import MANIFEST, MANIFEST_MAX_BYTES, BackupError, BackupFile, Manifest, checked_name
from fairlead.backup.writing import Content

_COPY_BYTES = 1 << 20


def unpack(backup: str, into: Path, standard_input: BinaryIO, *, link: bool = False) -> Manifest:
    """Copies the files of a backup into a directory and compares them with the manifest.

    `-` is an archive on standard input. With `link`, files of a directory are linked to instead of copied: they must
    only be read. Raises BackupError, and OSError for what cannot be read or written.
    """
    if backup != "-" and Path(backup).is_dir():
        return _unpack_directory(Path(backup), into, link=link)
    with _archive(backup, standard_input) as archive:
        return _unpack_archive(archive, into)


def _unpack_directory(backup: Path, into: Path, *, link: bool) -> Manifest:
    try:
        with (backup / MANIFEST).open("rb") as file:
            manifest = Manifest.from_json(_bounded(file))
    except FileNotFoundError as error:
        raise BackupError(f"{backup} has no {MANIFEST}: it is not a backup, or not a whole one") from error
    names = [path.relative_to(backup).as_posix() for path in backup.rglob("*") if not path.is_dir()]
    found = []
    for name in sorted(set(names) - {MANIFEST}):
        path = backup / _known(name)
        if path.is_symlink() or not path.is_file():
            raise BackupError(f"{name} is not a regular file: the backup is damaged")
        place = _place(into, name)
        with path.open("rb") as file:
            found.append(_copied(name, file, None if link else place))
        if link:
            place.symlink_to(path.resolve())
    _compare(manifest, found)
    return manifest


def _unpack_archive(archive: tarfile.TarFile, into: Path) -> Manifest:
    manifest: Manifest | None = None
    found: list[BackupFile] = []
    for entry in archive:
        content = archive.extractfile(entry) if entry.isreg() else None
        if content is None:
            raise BackupError(f"{entry.name!r} is not a regular file: the backup is damaged")
        if entry.name == MANIFEST:
            manifest = Manifest.from_json(_bounded(content))
        else:
            found.append(_copied(entry.name, content, _place(into, _known(entry.name))))
    if manifest is None:
        raise BackupError(f"the archive has no {MANIFEST}: it is not a backup, or not a whole one")
    _compare(manifest, found)
    return manifest


@contextmanager
def _archive(backup: str, standard_input: BinaryIO) -> Iterator[tarfile.TarFile]:
    """The archive; what is wrong with its form is a BackupError."""
    try:
        if backup == "-":
            with tarfile.open(fileobj=standard_input, mode="r|") as archive:
                yield archive
        else:
            with tarfile.open(backup, mode="r:") as archive:
                yield archive
    except (tarfile.TarError, EOFError) as error:
        raise BackupError(f"{backup} is not a tar archive, or not a whole one: {error}") from error


def _known(name: str) -> str:
    try:
        return checked_name(name)
    except ValueError as error:
        raise BackupError(f"{error}: it is damaged, or something was added to it") from error


def _place(into: Path, name: str) -> Path:
    place = into / name
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return place


def _copied(name: str, content: Content, to: Path | None) -> BackupFile:
    """Reads a file to its end, and keeps it if it is to go somewhere."""
    digest, size = hashlib.sha256(), 0
    with open(os.devnull if to is None else to, "wb" if to is None else "xb") as kept:
        while chunk := content.read(_COPY_BYTES):
            digest.update(chunk)
            size += len(chunk)
            kept.write(chunk)
        if to is not None:
            kept.flush()
            os.fsync(kept.fileno())
    return BackupFile(name, size, digest.digest())


def _compare(manifest: Manifest, found: list[BackupFile]) -> None:
    """Raises BackupError for the first difference."""
    there = {file.name: file for file in found}
    if len(there) != len(found):
        raise BackupError("a file is there twice: the backup is damaged")
    for file in manifest.files:
        same = there.pop(file.name, None)
        if same is None:
            raise BackupError(f"{file.name} is missing: the backup is damaged")
        if same.size_bytes != file.size_bytes:
            raise BackupError(
                f"{file.name} has {same.size_bytes} bytes instead of {file.size_bytes}: the backup is damaged"
            )
        if same.sha256 != file.sha256:
            raise BackupError(f"{file.name} is not what was backed up (SHA-256 differs): the backup is damaged")
    if there:
        raise BackupError(f"{min(there)} is not in {MANIFEST}: something was added to the backup")


def _bounded(content: BinaryIO | Content) -> bytes:
    """A manifest of a size that can be one."""
    read = content.read(MANIFEST_MAX_BYTES + 1)
    if len(read) > MANIFEST_MAX_BYTES:
        raise BackupError(f"{MANIFEST} is larger than any that this program writes: the backup is damaged")
    return read
