"""The running sidecar's side of a backup: a checkpoint between two batches, its record, then its files part by part."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol, TypeVar

from google.protobuf.struct_pb2 import Struct

from fairlead.audit.model import Undecodable
from fairlead.audit.store import AuditLog, Reader
from fairlead.backup.model import BackupError, Moment
from fairlead.backup.parts import parts
from fairlead.control.commands import Core, apply, to_the_end
from fairlead.control.errors import Refusal
from fairlead.internal.v1 import command_pb2
from fairlead.store import CHECKPOINT, CHECKPOINT_BYTES, StoreUnavailable
from fairlead.v1 import audit_record_pb2
from fairlead.v1 import backup_service_pb2 as pb

CREATED = "backup.created"
_INSTEAD = "of a stopped sidecar a backup can be made from its directory"

# RocksDB does not tell when a flush is over; it is asked.
_FLUSH_LOOK_SECONDS = 0.02
_FLUSH_LOOKS = 500

_Result = TypeVar("_Result")
_log = logging.getLogger(__name__)


class Checkpointing(Reader, Protocol):
    """What is needed of the store."""

    @property
    def flushing(self) -> bool:
        """True while something of a closed log is not in a file yet."""
        ...

    def close_log(self) -> None:
        """Begins a new log, and has what is in memory written into files."""
        ...

    def checkpoint(self, directory: Path) -> None:
        """Makes a second database of this moment."""
        ...


class Writer(Protocol):
    """What is needed of the commit writer."""

    def between_batches(self, work: Callable[[], _Result]) -> Future[_Result]:
        """Runs work while nothing is written."""
        ...


class BackupService:
    """Backups as operators get them, one at a time. Belongs to one event loop."""

    def __init__(
        self,
        core: Core,
        store: Checkpointing,
        writer: Writer,
        data: Path,
        clock: Callable[[], int],
        program_version: str,
    ) -> None:
        """`data` is the data directory, which has the checkpoint for as long as it is needed; `clock` gives Unix
        nanoseconds."""
        self._core = core
        self._store = store
        self._writer = writer
        self._checkpoint = data / CHECKPOINT
        self._clock = clock
        self._program_version = program_version
        self._busy = False

    @asynccontextmanager
    async def created(self, operator: str) -> AsyncIterator[AsyncIterator[pb.CreateBackupResponse]]:
        """A backup of now, in the audit log before the first byte of it goes out; gone when the context is left."""
        if self._busy:
            raise Refusal(
                "QUEUE_FULL", "another backup is being made: try again when it has ended", {"bound": "backups"}
            )
        self._busy = True
        taking = asyncio.ensure_future(self._take(operator))
        try:
            yield self._read(await asyncio.shield(taking))
        finally:
            # Also when the caller has gone in the middle: the checkpoint may still be on its way.
            await to_the_end(self._clean_up(taking))

    async def _take(self, operator: str) -> Moment:
        self._check_room()
        try:
            # Most of the work, while commits go on. What came until the checkpoint is little.
            await asyncio.wrap_future(self._writer.between_batches(self._store.close_log))
            await self._until_flushed()
            moment = await asyncio.wrap_future(self._writer.between_batches(self._take_between_batches))
        except StoreUnavailable as error:
            raise Refusal("STORE_UNAVAILABLE", f"{error}; {_INSTEAD}") from error
        except Undecodable as error:
            raise Refusal("INTERNAL", f"{error}; run fairlead audit verify") from error
        detail = Struct()
        detail.update({"audit_sequence": moment.audit_sequence, "audit_head": moment.audit_head.hex()})
        change = command_pb2.ControlWrite(
            record=audit_record_pb2.ControlChanged(subject=CREATED, detail=detail), power=True
        )
        caller = command_pb2.Caller(operator=operator)
        await apply(self._core, command_pb2.Command(caller=caller, control_write=change))
        return moment

    def _check_room(self) -> None:
        """A flush that fails for want of room would cost the sidecar its store until there is some."""
        free = shutil.disk_usage(self._checkpoint.parent).free
        if free < CHECKPOINT_BYTES:
            raise Refusal(
                "STORE_UNAVAILABLE",
                f"{self._checkpoint.parent} has {free >> 20} MiB free, a backup can take {CHECKPOINT_BYTES >> 20} MiB "
                f"for as long as it is made: make room; {_INSTEAD}",
            )

    async def _until_flushed(self) -> None:
        """Waits until files have what was in memory. A load that never lets it come to an end is not waited out: the
        checkpoint then holds up the commits for a little longer."""
        for _ in range(_FLUSH_LOOKS):
            if not await asyncio.to_thread(lambda: self._store.flushing):
                return
            await asyncio.sleep(_FLUSH_LOOK_SECONDS)

    def _take_between_batches(self) -> Moment:
        """On the writer's thread: the log's end is that of the checkpoint, because nobody writes."""
        head = AuditLog(self._store).head()
        shutil.rmtree(self._checkpoint, ignore_errors=True)
        self._store.checkpoint(self._checkpoint)
        now = self._clock()
        return Moment(now, 0, b"") if head is None else Moment(now, head.sequence, head.record_hash)

    async def _read(self, moment: Moment) -> AsyncIterator[pb.CreateBackupResponse]:
        files = parts(self._checkpoint, moment, self._program_version)
        while True:
            try:
                part = await asyncio.to_thread(_step, files)
            except (OSError, BackupError) as error:
                raise Refusal("INTERNAL", f"the checkpoint of the backup cannot be read: {error}") from error
            if part is None:
                return
            yield part

    async def _clean_up(self, taking: asyncio.Future[Moment]) -> None:
        await asyncio.wait({taking})
        if not taking.cancelled() and (error := taking.exception()) is not None:
            _log.warning("no backup was made", extra={"error": str(error)})
        await asyncio.to_thread(shutil.rmtree, self._checkpoint, ignore_errors=True)
        self._busy = False


def _step(files: Iterator[pb.CreateBackupResponse]) -> pb.CreateBackupResponse | None:
    return next(files, None)
