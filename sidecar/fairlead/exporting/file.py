"""A destination that is a file of JSON Lines, in the format of `fairlead audit export`. Everything here blocks.

INVARIANT (X1): lines are acknowledged only when they are on the disk, and the file tells by itself how far it is. What
a crash leaves half written is cut, what is there already is not written again: each record is in the files once. Only
when files were taken away meanwhile can a record come a second time; its `sequence` and `record_hash` are the same.
A signed checkpoint is a line behind its records, in the file of the last of them or behind that.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fairlead.audit.rendering import checkpoint_to_line, event_to_line
from fairlead.audit.transparency.checkpoint import SignedCheckpoint
from fairlead.audit.transparency.note import InvalidNote
from fairlead.exporting.destination import TAKEN, Outcome, Source, not_taken
from fairlead.exporting.rotation import full_files, remove_oldest, set_aside, synced_directory
from fairlead.exporting.settings import Exporter, Rotation
from fairlead.exporting.thread import OneAtATime, OwnThread
from fairlead.v1 import audit_service_pb2

_BLOCK_BYTES = 64 << 10
_log = logging.getLogger(__name__)


class Unusable(Exception):
    """The file cannot be written to; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line, and of which record."""

    sequence: int
    time_unix_nanos: int
    text: bytes


class LogFile:
    """The file that is written to, and the full ones beside it. Belongs to one thread."""

    def __init__(self, path: Path, rotation: Rotation) -> None:
        self._path = path
        self._rotation = rotation
        self._file: int | None = None
        # Of the last record that is in the files, 0 when there is none.
        self._last = 0
        # Of the first record in the file: its sequence and time.
        self._first: tuple[int, int] | None = None
        # Records of the last checkpoint in the file, as far as is known: what was there before a restart is looked for
        # at the end of the file only, so one may come twice.
        self._signed = 0

    def write(self, lines: Sequence[Line], hash_of: Callable[[int], bytes | None]) -> None:
        """Writes the lines that are not there yet, down to the disk. Raises `Unusable`, `OSError`; then the file ends
        with a whole line, and what it has of these lines is known."""
        if self._opened(hash_of):
            self._say_gap(lines)
        waiting: list[Line] = []
        size = self._size()
        for line in lines:
            if line.sequence <= self._last:
                continue
            if self._is_full(waiting, size, line):
                self._append(waiting)
                self._rotate()
                waiting, size = [], 0
            waiting.append(line)
            size += len(line.text)
        self._append(waiting)

    def sign(self, size: int, line: bytes, hash_of: Callable[[int], bytes | None]) -> None:
        """Writes the line of a checkpoint of so many records, unless it is there. It goes where the records before it
        are, also when that is a bit larger for it. Raises as `write`."""
        self._opened(hash_of)
        if size > self._signed:
            self._write(line)
            self._signed = size

    def close(self) -> None:
        """Gives the file back."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _opened(self, hash_of: Callable[[int], bytes | None]) -> bool:
        """True when the file had to be opened."""
        if self._file is not None and not self._is_there(self._file):
            # Somebody has moved it away, or removed it.
            self.close()
        if self._file is not None:
            return False
        self._open(hash_of)
        return True

    def _say_gap(self, lines: Sequence[Line]) -> None:
        """Records that were acknowledged and are not there: somebody took them away, or put an older file there."""
        if self._last and lines[0].sequence > self._last + 1:
            fields = {"path": str(self._path), "after": self._last, "before": lines[0].sequence}
            _log.warning("the file lacks records: fairlead audit export has them", extra=fields)

    def _is_full(self, waiting: Sequence[Line], size: int, line: Line) -> bool:
        """True when a line belongs into another file than what was written and what waits to be."""
        begun = next((first.time_unix_nanos for first in waiting), None) if self._first is None else self._first[1]
        return begun is not None and (
            size + len(line.text) > self._rotation.size_bytes
            or line.time_unix_nanos - begun >= self._rotation.age_nanos
        )

    def _open(self, hash_of: Callable[[int], bytes | None]) -> None:
        try:
            self._begin()
            last = self._recovered() or self._last_of_full_files()
        except BaseException:
            self.close()
            raise
        self._last = 0
        if last is not None:
            if hash_of(last[0]) == last[1]:
                self._last = last[0]
            elif self._first is not None:
                # Of another log, of one that a power cut has shortened, or trimmed: nothing tells which, so it is not
                # continued.
                told = "the file ends with a record that is not in the log: a new one is begun"
                _log.warning(told, extra={"path": str(self._path)})
                self._rotate()

    def _begin(self) -> None:
        """Opens the file, which may be new."""
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        self._file = os.open(self._path, flags, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Unusable("another process writes to the file: give each its own path") from None
        synced_directory(self._path.parent)
        self._first, self._signed = None, 0

    def _recovered(self) -> tuple[int, bytes] | None:
        """Cuts what is half written and reads where the file begins; sequence and hash of the last record in it."""
        assert self._file is not None
        end = _end_of_lines(self._file, os.fstat(self._file).st_size)
        os.ftruncate(self._file, end)
        last, self._signed = _last_of(self._file, end)
        if last is not None:
            self._first = _first_of(self._file, end)
        return last

    def _last_of_full_files(self) -> tuple[int, bytes] | None:
        for path in full_files(self._path)[-1:]:
            with open(path, "rb") as full:
                return _last_of(full.fileno(), os.fstat(full.fileno()).st_size)[0]
        return None

    def _append(self, lines: Sequence[Line]) -> None:
        if lines:
            self._write(b"".join(line.text for line in lines))
            self._first = self._first or (lines[0].sequence, lines[0].time_unix_nanos)
            self._last = lines[-1].sequence

    def _write(self, text: bytes) -> None:
        """INVARIANT (X1): all of it, down to the disk, or nothing."""
        assert self._file is not None
        before = self._size()
        try:
            rest = memoryview(text)
            while rest:
                rest = rest[os.write(self._file, rest) :]
            os.fsync(self._file)
        except OSError:
            self._cut(before)
            raise

    def _cut(self, size: int) -> None:
        """Takes back what was written behind `size`; when that fails as well, the next write looks at the file anew."""
        try:
            if self._file is not None:
                os.ftruncate(self._file, size)
        except OSError:
            self.close()

    def _rotate(self) -> None:
        assert self._first is not None
        set_aside(self._path, self._first[0])
        self.close()
        self._begin()
        for removed in remove_oldest(self._path, self._rotation.files - 1):
            _log.info("the oldest file of an exporter is removed", extra={"path": str(removed)})
        synced_directory(self._path.parent)

    def _size(self) -> int:
        return 0 if self._file is None else os.fstat(self._file).st_size

    def _is_there(self, file: int) -> bool:
        try:
            return os.path.samestat(os.fstat(file), os.lstat(self._path))
        except FileNotFoundError:
            return False


class FileDestination:
    """The file as a destination, written on a thread of its own."""

    def __init__(self, exporter: Exporter, computing: OneAtATime) -> None:
        self._computing = computing
        self._file = LogFile(Path(exporter.path), exporter.rotation)
        self._thread = OwnThread("fairlead-export-file")

    async def deliver(self, events: Sequence[audit_service_pb2.AuditEvent], source: Source) -> Outcome:
        """Writes the records down to the disk."""
        lines = await self._computing.run(lambda: [line_of(event) for event in events])
        return await self._written(lambda: self._file.write(lines, source.hash_of))

    async def publish(self, checkpoint: SignedCheckpoint, source: Source) -> Outcome:
        """Writes the checkpoint down to the disk."""
        line = checkpoint_to_line(checkpoint.note).encode() + b"\n"
        return await self._written(lambda: self._file.sign(checkpoint.checkpoint.size, line, source.hash_of))

    async def _written(self, write: Callable[[], None]) -> Outcome:
        try:
            await self._thread.run(write)
        except OSError as error:
            return not_taken(f"the file cannot be written: {(error.strerror or 'unknown').lower()}")
        except Unusable as error:
            return not_taken(str(error))
        return TAKEN

    async def close(self) -> None:
        """Gives the file back, once what is under way has ended."""
        try:
            await self._thread.run(self._file.close)
        finally:
            self._thread.end()


def line_of(event: audit_service_pb2.AuditEvent) -> Line:
    """The line of a record."""
    return Line(event.record.sequence, event.record.time_unix_nanos, event_to_line(event).encode() + b"\n")


_FOREIGN = "the file holds something that is no export of an audit log: give the exporter another path"


def _last_of(file: int, end: int) -> tuple[tuple[int, bytes] | None, int]:
    """Sequence and hash of the last record of a file, None without one; records of the last checkpoint behind it, 0
    without one. Raises `Unusable`."""
    signed = 0
    while end:
        start = _start_of_line(file, end - 1)
        try:
            fields = json.loads(_read_line(file, start, end))
            if "checkpoint" not in fields:
                return (int(fields["sequence"]), bytes.fromhex(fields["record_hash"])), signed
            signed = signed or SignedCheckpoint.unverified(fields["checkpoint"]).checkpoint.size
        except (ValueError, KeyError, TypeError, AttributeError, InvalidNote):
            raise Unusable(_FOREIGN) from None
        end = start
    return None, signed


def _first_of(file: int, end: int) -> tuple[int, int]:
    """Sequence and time of the first record of a file that has one; raises `Unusable`."""
    start = 0
    try:
        while "checkpoint" in (fields := json.loads(line := _read_line(file, start, end))):
            start += len(line)
        return int(fields["sequence"]), int(fields["record"].get("time_unix_nanos", 0))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Unusable(_FOREIGN) from None


def _end_of_lines(file: int, size: int) -> int:
    """Where the last whole line ends. Zeros are what a power cut may leave of a block: a line with such is none."""
    end = size
    while end:
        start = _start_of_line(file, end - 1) if os.pread(file, 1, end - 1) == b"\n" else _start_of_line(file, end)
        line = _read_line(file, start, end)
        if line.endswith(b"\n") and b"\0" not in line:
            return end
        end = start
    return 0


def _start_of_line(file: int, end: int) -> int:
    """Where the line begins whose text ends at `end`."""
    while end:
        begin = max(0, end - _BLOCK_BYTES)
        found = os.pread(file, end - begin, begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        end = begin
    return 0


def _read_line(file: int, start: int, end: int) -> bytes:
    """The line that begins at `start`, with its end, and not beyond `end`."""
    found = bytearray()
    while start < end and b"\n" not in found:
        block = os.pread(file, min(_BLOCK_BYTES, end - start), start)
        if not block:
            break
        found += block
        start += len(block)
    return bytes(found.partition(b"\n")[0]) + (b"\n" if b"\n" in found else b"")
