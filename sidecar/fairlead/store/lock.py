"""One daemon per data directory.

RocksDB has a lock of its own, but finding it taken costs the owner its information log (every attempt to open
rotates it). So a lock of ours is asked first; it also knows the owner's process number. The kernel drops it when the
process ends, however it ends.
"""

import contextlib
import fcntl
import os
from pathlib import Path
from types import TracebackType

from fairlead.store.errors import StoreError, StoreLocked

NAME = "daemon.lock"


class DirectoryLock:
    """Held from construction to `release`."""

    def __init__(self, directory: Path, *, shared: bool = False) -> None:
        """Takes the lock at once or raises StoreLocked; `shared` is for readers of a stopped daemon's directory."""
        path = directory / NAME
        try:
            self._descriptor = os.open(path, os.O_RDONLY if shared else os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StoreError(f"data directory {directory} is not usable: {error.strerror}: {path}") from error
        try:
            fcntl.flock(self._descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.pread(self._descriptor, 20, 0).decode(errors="replace").strip()
            self.release()
            of_process = f" (process {owner})" if owner.isdigit() else ""
            raise StoreLocked(f"another fairlead daemon is using {directory}{of_process}") from error
        if not shared:
            # Best effort: a full disk must not keep the daemon from starting far enough to say so.
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, 0)
                os.pwrite(self._descriptor, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Gives the lock back; may be called again."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> "DirectoryLock":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
