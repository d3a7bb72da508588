"""Notices changed files: the configuration's and those of its secrets.

Polling, because it works on every file system and for every way to change a file: an edit in place, an atomic rename,
the symlink swap of a Kubernetes ConfigMap (`file → ..data/file`, `..data → ..2026_11_20…`). A change is reported when
two polls in a row see the same, so that nothing half written is read; it is read after the second poll, so that an edit
right behind the first cannot be missed even where clocks of file systems are coarse.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from enum import Enum
from pathlib import Path

from fairlead.config.loader import config_files

INTERVAL_SECONDS = 0.5

_log = logging.getLogger(__name__)


class Changed(Enum):
    """What changed."""

    CONFIG = "config"
    SECRETS = "secrets"


# Resolved path, inode, modification time in nanoseconds, size; None for a file that is not there.
Signature = tuple[str, int, int, int] | None
Stat = Callable[[Path], Signature]


def signature(path: Path) -> Signature:
    """What tells one state of a file from another without reading it."""
    try:
        resolved = os.path.realpath(path)
        status = os.stat(resolved)
    except OSError:
        return None
    return resolved, status.st_ino, status.st_mtime_ns, status.st_size


class Watcher:
    """Watches one configuration and its secret files.

    Without a configuration (`path` is None) there are only secret files. `secret_files` is asked at every poll. `stat`
    and `listing` can be replaced by tests.
    """

    def __init__(
        self,
        path: Path | None,
        secret_files: Callable[[], Iterable[Path]],
        *,
        stat: Stat = signature,
        listing: Callable[[Path], Iterable[Path]] = config_files,
    ) -> None:
        self._path = path
        self._secret_files = secret_files
        self._stat = stat
        self._listing = listing
        self._seen = self._look()
        self._reported = self._before = self._seen

    def poll(self) -> frozenset[Changed]:
        """Looks once; what changed since the last report, when it has settled. Blocks for a few system calls."""
        previous, self._seen = self._seen, self._look()
        if self._seen == self._reported or self._seen != previous:
            return frozenset()
        reported, self._reported = self._reported, self._seen
        self._before = reported
        changed = set()
        if reported[Changed.CONFIG] != self._seen[Changed.CONFIG]:
            changed.add(Changed.CONFIG)
        before, now = reported[Changed.SECRETS], self._seen[Changed.SECRETS]
        # A file that is watched from now on may have changed since it was read: it is read again.
        if any(before.get(file) != now[file] for file in now):
            changed.add(Changed.SECRETS)
        return frozenset(changed)

    def report_again(self, changed: frozenset[Changed]) -> None:
        """Takes the last report back, in whole or in part: the next poll makes it again."""
        self._reported = {kind: (self._before if kind in changed else self._reported)[kind] for kind in Changed}

    async def run(
        self,
        on_change: Callable[[frozenset[Changed]], Awaitable[frozenset[Changed]]],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Polls until it is cancelled. `on_change` returns what could not be decided and is to be reported again; a
        fault in it is logged and does not end the watching."""
        while True:
            await sleep(INTERVAL_SECONDS)
            changed = await asyncio.to_thread(self.poll)
            if not changed:
                continue
            try:
                self.report_again(await on_change(changed))
            except Exception:
                _log.exception("handling of a changed configuration failed")

    def _look(self) -> Mapping[Changed, Mapping[Path, Signature]]:
        try:
            listed = list(self._listing(self._path)) if self._path is not None else []
        except OSError:
            listed = []
        return {
            Changed.CONFIG: {file: self._stat(file) for file in listed},
            Changed.SECRETS: {file: self._stat(file) for file in self._secret_files()},
        }
