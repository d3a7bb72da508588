"""The names of full files, and which of them have to go. A full file is `NAME.` and the sequence of its first record
with 20 digits, so that names sort as records do."""

from __future__ import annotations

import os
import re
from pathlib import Path

_FULL = re.compile(r"\d{20}(-\d+)?")


def full_files(path: Path) -> list[Path]:
    """The full files beside `path`, oldest first."""
    prefix = path.name + "."
    with os.scandir(path.parent) as entries:
        found = [
            (entry.stat(follow_symlinks=False).st_mtime_ns, entry.name)
            for entry in entries
            if entry.name.startswith(prefix) and _FULL.fullmatch(entry.name[len(prefix) :]) is not None
        ]
    return [path.with_name(name) for _, name in sorted(found)]


def set_aside(path: Path, first_sequence: int) -> Path:
    """Gives the file the name of a full one; never one that is there."""
    base = f"{path.name}.{first_sequence:020d}"
    full, number = path.with_name(base), 1
    while full.exists():
        # Of another log, or of this one before it was exported anew.
        number += 1
        full = path.with_name(f"{base}-{number}")
    os.rename(path, full)
    return full


def remove_oldest(path: Path, most: int) -> list[Path]:
    """Removes full files until there are `most`; returns those."""
    files = full_files(path)
    removed = files[: max(0, len(files) - most)]
    for file in removed:
        file.unlink(missing_ok=True)
    return removed


def synced_directory(directory: Path) -> None:
    """What was renamed, made or removed in a directory survives a power cut."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
