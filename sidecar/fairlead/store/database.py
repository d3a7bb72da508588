"""The open database: reads, batches, fsyncs, and the way back after a fault.

rocksdict holds the interpreter lock in `get`, `write` and iteration and releases it in `flush_wal` (measured in the
decision record on the commit path), so writes are never synced one by one. It keeps the database open as long as any
handle, view or iterator of it is alive: nothing of it leaves this module.
"""

import shutil
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self, cast

from rocksdict import Checkpoint, Rdict, ReadOptions, WriteBatch

from fairlead.store import keys, tuning
from fairlead.store.errors import StoreError, StoreUnavailable
from fairlead.store.families import Family
from fairlead.store.handles import Handles
from fairlead.store.lock import DirectoryLock

FORMAT_VERSION = b"1"
# In the data directory: the checkpoint that a backup is made of, and what a restore has not finished.
CHECKPOINT = "checkpoint"
RESTORING = "restoring"
# What a checkpoint can take at once: all that is in memory becomes files, and the log of it is copied.
CHECKPOINT_BYTES = 64 * tuning.MIB
# How many memtables of a family wait for being flushed, or are being.
_IMMUTABLE = "rocksdb.num-immutable-mem-table"
# A page of a scan ends at whichever comes first; between two pages nothing is held open.
PAGE_RECORDS = 512
PAGE_BYTES = 1 << 20

Write = tuple[int, bytes, bytes | None]
"""Family, key, value; no value deletes."""


class Store:
    """The database of one data directory. Safe to use from any thread; only the commit writer writes."""

    def __init__(self, path: Path, lock: DirectoryLock, *, read_only: bool) -> None:
        self._path = path
        self._directory_lock = lock
        self._read_only = read_only
        # Keeps the database from being closed under a reader. The writer does not take it for its writes: it is the
        # one that closes.
        self._guard = threading.Lock()
        # Of the log that is being written: its size, and the families that are in it.
        self._log_bytes = 0
        self._written: set[int] = set()
        self._handles: Handles | None = None
        self.open()

    @property
    def path(self) -> Path:
        """Directory of the database's files."""
        return self._path

    def open(self) -> None:
        """Opens the database, again after `shut`. Raises StoreError."""
        with self._guard:
            if self._handles is not None:
                return
            try:
                self._handles = Handles(self._path, read_only=self._read_only)
                # Opening writes what was in the logs into files.
                self._log_bytes = 0
                self._written.clear()
            except StoreError:
                raise
            except Exception as error:
                raise StoreError(f"database {self._path} cannot be opened: {error}") from error
        try:
            self._check_format()
        except BaseException:
            self.shut()
            raise

    def shut(self) -> None:
        """Closes the database but keeps the directory; reads raise StoreUnavailable until `open`."""
        with self._guard:
            handles, self._handles = self._handles, None
            if handles is not None:
                handles.close()

    def close(self) -> None:
        """Closes the database and gives the directory back; may be called again."""
        self.shut()
        self._directory_lock.release()

    def get(self, family: int, key: bytes) -> bytes | None:
        """The value of a key, or none. Raises StoreUnavailable."""
        with self._guard:
            view = self._view(family)
            try:
                return None if view is None else cast("bytes | None", view.get(key))
            except Exception as error:
                raise StoreUnavailable(f"reading {Family(family).column_family} failed: {error}") from error

    def scan(
        self,
        family: int,
        *,
        prefix: bytes = b"",
        start: bytes | None = None,
        end: bytes | None = None,
        reverse: bool = False,
        limit: int | None = None,
    ) -> Iterator[tuple[bytes, bytes]]:
        """Records in key order, or backwards.

        `start` is included and `end` is not, in both directions; both are narrowed to `prefix`. The scan sees each
        record as it is when its page is read, not one moment for all. Raises StoreUnavailable.
        """
        lower = max(prefix, start or b"")
        upper = keys.after_prefix(prefix)
        if end is not None:
            upper = end if upper is None else min(upper, end)
        remaining = limit
        while remaining is None or remaining > 0:
            page, more = self._page(family, lower, upper, reverse, min(PAGE_RECORDS, remaining or PAGE_RECORDS))
            yield from page
            if not more:
                return
            last = page[-1][0]
            if reverse:
                upper = last
            else:
                lower = last + b"\0"
            if remaining is not None:
                remaining -= len(page)

    def write(self, writes: Iterable[Write]) -> None:
        """Writes all or nothing into the write-ahead log, without an fsync. Only the commit writer calls this.

        Raises StoreUnavailable; whether the batch is there afterwards is known only after the next `open`.
        """
        handles = self._writable()
        columns = handles.columns
        batch = WriteBatch(raw_mode=True)
        put, delete = batch.put, batch.delete
        written, size = self._written, 0
        for family, key, value in writes:
            written.add(family)
            if value is None:
                delete(key, columns[family])
                size += len(key)
            else:
                put(key, value, columns[family])
                size += len(key) + len(value)
        self._log_bytes += size
        self._commit(handles, batch)

    def delete_ranges(self, ranges: Iterable[tuple[Family, bytes, bytes]]) -> None:
        """Deletes keys from the first on, up to but without the second. Only the commit writer calls this."""
        handles = self._writable()
        batch = WriteBatch(raw_mode=True)
        for family, start, end in ranges:
            self._written.add(family)
            batch.delete_range(start, end, handles.columns[family])
        self._commit(handles, batch)

    def flush_wal(self) -> None:
        """Makes every write that has returned survive a power cut. Raises StoreUnavailable."""
        handles = self._writable()
        try:
            handles.database.flush_wal(True)
        except Exception as error:
            raise StoreUnavailable(f"syncing {self._path} failed: {error}") from error

    @property
    def log_bytes(self) -> int:
        """Size of what was written since the last log was closed: keys and values, without their framing."""
        return self._log_bytes

    def close_log(self) -> None:
        """Begins a new log, and has what is in memory written into files; returns before it is. Only the commit writer
        calls this, between two batches.

        INVARIANT (one open end): only the log that is written has anything that is not synced. So what a power cut
        leaves is always a prefix of what was written. That is why RocksDB is tuned not to begin a log by itself.
        Raises StoreUnavailable.
        """
        self.flush_wal()
        handles = self._writable()
        try:
            for family in self._written:
                handles.views[Family(family)].flush(False)
        except Exception as error:
            raise StoreUnavailable(f"flushing {self._path} failed: {error}") from error
        self._log_bytes = 0
        self._written.clear()

    @property
    def flushing(self) -> bool:
        """True while something of a closed log is not in a file yet. Raises StoreUnavailable."""
        with self._guard:
            views = [self._view(family) for family in Family]
            return any(view is not None and view.property_int_value(_IMMUTABLE) for view in views)

    def checkpoint(self, directory: Path) -> None:
        """Makes a second database of this moment, in a directory that is not there yet, on the same file system.

        Its large files are hard links: it takes little room as long as the database does not replace them. Flushes what
        is in memory and holds the interpreter meanwhile, so close the log before and wait while it is `flushing`. Only
        the commit writer calls this, between two batches: "this moment" is the end of a commit unit that is known.
        Raises StoreUnavailable, and leaves nothing then.
        """
        self.close_log()
        handles = self._writable()
        try:
            Checkpoint(handles.database).create_checkpoint(str(directory))
        except Exception as error:
            shutil.rmtree(directory, ignore_errors=True)
            raise StoreUnavailable(f"a checkpoint of {self._path} cannot be made: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _view(self, family: int) -> Rdict | None:
        """The view of a family; none when an older program wrote the database and this one only reads it."""
        if self._handles is None:
            raise StoreUnavailable(f"database {self._path} is closed")
        return self._handles.views.get(Family(family))

    def _writable(self) -> Handles:
        handles = self._handles
        if handles is None or self._read_only:
            raise StoreUnavailable(f"database {self._path} is not open for writing")
        return handles

    def _commit(self, handles: Handles, batch: WriteBatch) -> None:
        try:
            handles.database.write(batch)
        except Exception as error:
            raise StoreUnavailable(f"writing {self._path} failed: {error}") from error

    def _page(
        self, family: int, lower: bytes, upper: bytes | None, reverse: bool, most: int
    ) -> tuple[list[tuple[bytes, bytes]], bool]:
        """Records between the bounds, at most `most`, and whether there may be more."""
        if upper is not None and upper <= lower:
            return [], False
        page: list[tuple[bytes, bytes]] = []
        size = 0
        with self._guard:
            view = self._view(family)
            if view is None:
                return [], False
            options = ReadOptions()
            if upper is not None:
                options.set_iterate_upper_bound(upper)
            iterator = view.iter(options)
            try:
                if reverse:
                    iterator.seek_to_last()
                else:
                    iterator.seek(lower)
                while iterator.valid():
                    key, value = cast("tuple[bytes, bytes]", (iterator.key(), iterator.value()))
                    if reverse and key < lower:
                        return page, False
                    page.append((key, value))
                    size += len(key) + len(value)
                    if len(page) == most or size >= PAGE_BYTES:
                        return page, True
                    if reverse:
                        iterator.prev()
                    else:
                        iterator.next()
                iterator.status()
            except Exception as error:
                raise StoreUnavailable(f"reading {Family(family).column_family} failed: {error}") from error
            return page, False

    def _check_format(self) -> None:
        found = self.get(Family.STATE, keys.FORMAT)
        if found == FORMAT_VERSION:
            return
        if found is not None:
            version = found.decode(errors="replace")
            raise StoreError(
                f"{self._path} has format version {version!r}; this program knows {FORMAT_VERSION.decode()!r}: "
                "run the version of fairlead that wrote it"
            )
        if self._read_only:
            raise StoreError(f"{self._path} has no format version: it is not a database of fairlead")
        if any(next(self.scan(family, limit=1), None) is not None for family in Family):
            raise StoreError(f"{self._path} has records but no format version: it is not a database of fairlead")
        self.write([(Family.STATE, keys.FORMAT, FORMAT_VERSION)])
        self.flush_wal()


def open_store(data_dir: Path, *, read_only: bool = False) -> Store:
    """Opens the store of a data directory, which is made if it is not there.

    `read_only` is for tools on the directory of a stopped daemon: it changes nothing. Raises StoreLocked when a daemon
    uses the directory, StoreError when it cannot be used.
    """
    path = data_dir / "db"
    if read_only:
        if not (path / "CURRENT").is_file():
            raise StoreError(f"{data_dir} has no database: no daemon has run there")
    else:
        try:
            data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise StoreError(f"data directory {data_dir} cannot be made: {error.strerror}") from error
    lock = DirectoryLock(data_dir, shared=read_only)
    try:
        if not read_only:
            if (data_dir / RESTORING).exists() and not path.exists():
                raise StoreError(
                    f"a restore into {data_dir} was not finished: run fairlead backup restore again, or remove "
                    f"{data_dir / RESTORING} to start with nothing"
                )
            # Of a backup that was under way when the daemon was killed.
            shutil.rmtree(data_dir / CHECKPOINT, ignore_errors=True)
        return Store(path, lock, read_only=read_only)
    except BaseException:
        lock.release()
        raise
