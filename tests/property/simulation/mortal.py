"""A sidecar that dies at any commit boundary and comes back: the real core, commit writer and store on disk.

One thread gives one command after the other and waits for each, so a life is the same every time: what a seed chooses
is all the chance that there is. A life ends

| at | what is in the store |
|---|---|
| `BEFORE_WRITE` | nothing of the unit |
| `AFTER_WRITE` | the unit, and nobody was told |
| `BEFORE_SYNC` | the unit, not synced |
| `AFTER_SYNC` | the unit, synced, and nobody was told |
| between two commands | everything |

and the next one begins on what the end leaves on disk: all that was written, as after `kill -9`, or, when the power
fails, no more of the write-ahead log than was synced. Nothing is closed before that is put aside: closing would write
into files what a dead process leaves in its log.
"""

from __future__ import annotations

import enum
import os
import shutil
from pathlib import Path
from typing import Any

from fairlead.control.errors import Refusal
from fairlead.control.store_service import known
from fairlead.internal.v1 import command_pb2, engine_config_pb2
from fairlead.native import Core
from fairlead.store import Store, StoreError, StoreUnavailable, recovery
from fairlead.store.database import Write
from fairlead.store.lock import DirectoryLock
from fairlead.store.writer import CommitWriter, WriterSettings

# A command asks the store once, or twice when the answer leads to another question.
MOST_QUESTIONS = 4
# Only what a command asks to have synced is synced: the sync that comes by itself would come at any moment.
_NO_SYNC_BY_ITSELF = 1e6


class Died(Exception):
    """The sidecar is gone; nobody knows what became of the command."""


class Moment(enum.Enum):
    """Where in a commit a life ends."""

    BEFORE_WRITE = enum.auto()
    AFTER_WRITE = enum.auto()
    BEFORE_SYNC = enum.auto()
    AFTER_SYNC = enum.auto()


class MortalStore(Store):
    """A store that does nothing any more from a chosen moment on, and knows how much of its logs is synced."""

    def __init__(self, directory: Path) -> None:
        self.dead = False
        self.moment: Moment | None = None
        self.synced: dict[str, int] = {}
        directory.mkdir(exist_ok=True)
        super().__init__(directory / "db", DirectoryLock(directory), read_only=False)

    def open(self) -> None:
        """The writer must not bring back what is dead."""
        if self.dead:
            raise StoreError("the sidecar is dead")
        super().open()

    def write(self, writes: Any) -> None:
        """Writes one unit, or dies at it."""
        self._pass(Moment.BEFORE_WRITE)
        whole: list[Write] = list(writes)
        super().write(whole)
        self._pass(Moment.AFTER_WRITE)

    def flush_wal(self) -> None:
        """Syncs, or dies at it."""
        self._pass(Moment.BEFORE_SYNC)
        sizes = {log.name: log.stat().st_size for log in self.path.glob("*.log")}
        super().flush_wal()
        self.synced.update(sizes)
        self._pass(Moment.AFTER_SYNC)

    def _pass(self, moment: Moment) -> None:
        if moment is self.moment:
            self.dead = True
        if self.dead:
            raise StoreUnavailable("the sidecar is dead")


class Sidecar:
    """One life after the other."""

    def __init__(self, directory: Path, config: engine_config_pb2.EngineConfig) -> None:
        self._directory = directory
        self._config = config.SerializeToString()
        self.lives = 0

    def begin(self, now: int) -> None:
        """Recovers as a daemon does, at a time in Unix nanoseconds."""
        self.lives += 1
        self._now = now
        self.store = MortalStore(self._life())
        self.core = Core(self._config, engine_config_pb2.Secrets().SerializeToString())
        recovery.recover(self.core, self.store, now)
        self._faults: list[BaseException] = []
        self._writer = CommitWriter(
            self.core,
            self.store,
            committed=lambda sequence: None,
            available=lambda on, why: None,
            fault=self._faults.append,
            settings=WriterSettings(poll_millis=5),
            wall=lambda: self._now,
        )
        self._writer._flusher._interval = _NO_SYNC_BY_ITSELF
        self._writer.start()
        self.apply(now, start=command_pb2.Start(program_version="test"))

    def die_at(self, moment: Moment) -> None:
        """Dies at the next commit that comes to this moment."""
        self.store.moment = moment

    def apply(self, now: int, caller: command_pb2.Caller | None = None, **kind: Any) -> command_pb2.CommandResult:
        """A command at this time, with what the store says where the core asks. Raises `Died`, or the refusal."""
        self._now = now
        command = command_pb2.Command(caller=caller, **kind).SerializeToString()
        told = None
        for _ in range(MOST_QUESTIONS):
            result = command_pb2.CommandResult.FromString(self.core.apply(command, now, told))
            if self.store.dead:
                raise Died
            outcome = result.WhichOneof("result")
            if outcome == "rejection":
                raise Refusal.from_rejection(result.rejection)
            if outcome != "needs_record":
                return result
            told = known(self.store, result.needs_record).SerializeToString()
        raise AssertionError(f"the core asked {MOST_QUESTIONS} times and did not decide")

    def end(self, *, power: bool) -> None:
        """Ends the life; the next one begins on what is on disk then. With `power` that is what was synced."""
        old, store = self._life(), self.store
        store.dead = True
        self._writer.stop()
        self.core.fail_store("the sidecar is dead")
        assert not self._faults, self._faults
        for view in store._handles.views.values() if store._handles is not None else ():
            # Whatever is going on behind the writer's back: the copy has to be of one moment.
            view.cancel_all_background(True)
        self.lives += 1
        shutil.copytree(old / "db", self._life() / "db")
        if power:
            for log in (self._life() / "db").glob("*.log"):
                os.truncate(log, store.synced.get(log.name, 0))
        self.lives -= 1
        store.close()
        shutil.rmtree(old)

    def _life(self) -> Path:
        return self._directory / f"life-{self.lives}"
