"""BackupService: the happy path and each documented refusal, over a real store and its real writer."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections import namedtuple
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from fairlead.backup.model import DATABASE
from fairlead.backup.service import BackupService
from fairlead.control.backup_service import BackupServicer
from fairlead.internal.v1 import command_pb2
from fairlead.store import Family, keys, open_store
from fairlead.store.writer import CommitWriter, WriterSettings
from fairlead.v1 import backup_service_pb2 as pb
from fairlead.v1 import backup_service_pb2_grpc
from tests.contract.control import refused, served
from tests.unit.audit import fakes
from tests.unit.audit.records import T0
from tests.unit.store.fake_core import FakeCore

RECORDS = 5
BLOB_BYTES = 4 << 20


class Sidecar:
    """A store with some records, its writer, and the service over them."""

    def __init__(self, directory: Path) -> None:
        self.data = directory / "data"
        self.store = open_store(self.data)
        for n in range(1, RECORDS + 1):
            self.store.write([(Family.AUDIT, keys.audit(n), bytes([n]) * 32 + b"record")])
        # More than a connection buffers: nobody has all of a backup without taking it.
        self.store.write((Family.BLOBS, b"%d" % n, os.urandom(BLOB_BYTES)) for n in range(4))
        self.writer = CommitWriter(
            FakeCore(),
            self.store,
            committed=lambda sequence: None,
            available=lambda on, why: None,
            fault=lambda error: None,
            settings=WriterSettings(poll_millis=5),
        )
        self.writer.start()
        self.core = fakes.FakeCore(fakes.FakeStore())
        self.service = BackupService(self.core, self.store, self.writer, self.data, lambda: T0, "1.2.3")

    def close(self) -> None:
        self.writer.stop()
        self.store.close()


@asynccontextmanager
async def sidecar(directory: Path, stalled_seconds: float = 60.0) -> AsyncIterator[tuple[Sidecar, Any]]:
    life = Sidecar(directory)

    def register(server: grpc.aio.Server) -> None:
        servicer = BackupServicer(life.service, stalled_seconds)
        backup_service_pb2_grpc.add_BackupServiceServicer_to_server(servicer, server)

    try:
        async with served(directory, register) as channel:
            yield life, backup_service_pb2_grpc.BackupServiceStub(channel)
    finally:
        life.close()


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await test()

    asyncio.run(bounded())


async def whole(stub: Any) -> list[pb.CreateBackupResponse]:
    return [part async for part in stub.CreateBackup(pb.CreateBackupRequest())]


async def until_gone(place: Path) -> None:
    """The service takes the checkpoint away behind its last answer."""
    while place.exists():
        await asyncio.sleep(0)


def test_a_backup_is_streamed_whole_and_recorded_before_it_goes_out(tmp_path: Path) -> None:
    async def test() -> None:
        async with sidecar(tmp_path) as (life, stub):
            stream = aiter(stub.CreateBackup(pb.CreateBackupRequest()))
            started = (await anext(stream)).started
            (command,) = life.core.applied
            assert command.caller.operator == "local"
            record = command.control_write.record
            head = bytes([RECORDS]) * 32
            assert (record.subject, command.control_write.power) == ("backup.created", True)
            assert dict(record.detail) == {"audit_sequence": RECORDS, "audit_head": head.hex()}
            assert (started.audit_sequence, started.audit_head) == (RECORDS, head)
            assert (started.program_version, started.store_format) == ("1.2.3", "1")
            assert started.create_time.ToNanoseconds() == T0
            rest = [part async for part in stream]
            assert rest[-1].HasField("end")
            names = [part.file.name for part in rest if part.HasField("file")]
            assert len(names) == started.files and f"{DATABASE}/CURRENT" in names
            assert sum(len(part.data) for part in rest) == started.bytes
            await until_gone(life.data / "checkpoint")

    run(test)


def test_one_backup_at_a_time(tmp_path: Path) -> None:
    async def test() -> None:
        async with sidecar(tmp_path) as (life, stub):
            first = stub.CreateBackup(pb.CreateBackupRequest())
            await first.read()
            assert await refused(whole(stub)) == (
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                "QUEUE_FULL",
                {"bound": "backups"},
                [],
            )
            # Who goes away makes room, and leaves nothing.
            first.cancel()
            await until_gone(life.data / "checkpoint")
            while True:
                try:
                    assert (await whole(stub))[-1].HasField("end")
                    break
                except grpc.aio.AioRpcError as error:
                    # The place is free a moment after the checkpoint has gone.
                    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED

    run(test)


def test_a_caller_that_takes_nothing_is_cut(tmp_path: Path) -> None:
    async def test() -> None:
        async with sidecar(tmp_path, stalled_seconds=0.5) as (life, stub):
            stream = aiter(stub.CreateBackup(pb.CreateBackupRequest()))
            assert (await anext(stream)).HasField("started")
            await until_gone(life.data / "checkpoint")

            async def rest() -> None:
                async for _ in stream:
                    pass

            code, reason, _, _ = await refused(rest())
            assert (code, reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED")

    run(test)


def test_a_store_that_takes_no_writes_makes_no_backup(tmp_path: Path) -> None:
    async def test() -> None:
        async with sidecar(tmp_path) as (life, stub):
            unavailable = (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")
            life.core.reject = command_pb2.Rejection(reason="STORE_UNAVAILABLE", message="no space")
            assert (await refused(whole(stub)))[:2] == unavailable
            life.core.reject = None
            life.writer.stop()
            assert (await refused(whole(stub)))[:2] == unavailable
            life.store.shut()
            assert (await refused(whole(stub)))[:2] == unavailable
            assert not (life.data / "checkpoint").exists()
            assert not life.core.applied

    run(test)


def test_a_volume_that_is_nearly_full_is_not_filled_by_a_backup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")

    async def test() -> None:
        async with sidecar(tmp_path) as (life, stub):
            monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1 << 30, 0, 63 << 20))
            try:
                await whole(stub)
            except grpc.aio.AioRpcError as error:
                assert f"{life.data} has 63 MiB free, a backup can take 64 MiB" in (error.details() or "")
            else:
                raise AssertionError("it was not refused")
            monkeypatch.undo()
            assert (await whole(stub))[-1].HasField("end")

    run(test)


def test_files_that_cannot_be_read_end_the_stream_without_an_end(tmp_path: Path) -> None:
    async def test() -> None:
        async with sidecar(tmp_path) as (life, stub):
            stream = aiter(stub.CreateBackup(pb.CreateBackupRequest()))
            await anext(stream)
            shutil.rmtree(life.data / "checkpoint")

            async def rest() -> None:
                async for part in stream:
                    assert not part.HasField("end")

            code, reason, _, _ = await refused(rest())
            assert (code, reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")

    run(test)
