"""Checkpoints through the front of the real daemon: kills, sizes, limits that change, and what is recorded."""

from __future__ import annotations

import asyncio
import itertools
import random
import threading
from pathlib import Path
from typing import Any

import grpc
import pytest

from fairlead.client import AsyncClient, Client, FairleadError, NotFound, PayloadTooLarge, QueueFull
from fairlead.store import open_store
from fairlead.v1 import audit_service_pb2, audit_service_pb2_grpc, checkpoint_service_pb2_grpc
from fairlead.v1 import checkpoint_service_pb2 as pb
from tests.unit.checkpoint import samples
from tests.unit.checkpoint.samples import channel, checkpoint, unchanged, values, writes, written

from .harness import CONFIG, TIMEOUT_SECONDS, TOKEN, Daemon
from .people import client, command, stranger

CRASHES = 5
WRITERS = 4
SEED = 20261121
MIB = 1 << 20


def put(agent: Client, request: pb.PutCheckpointRequest) -> None:
    assert not agent.put_checkpoint(request.checkpoint)


class Writer:
    """An agent that puts one checkpoint after the other into its thread, each with a write, and remembers what it was
    told; it copies and deletes threads in between."""

    def __init__(self, number: int) -> None:
        self.thread = f"t{number}"
        self.put: list[str] = []
        self.written: list[str] = []
        self.copies: dict[str, int] = {}
        self.deleted: list[str] = []
        self._count = itertools.count()

    def run(self, daemon: Daemon, enough: threading.Semaphore) -> None:
        try:
            with client(daemon) as agent:
                while True:
                    self._step(agent, next(self._count))
                    enough.release()
        except FairleadError:
            return  # it was killed

    def _step(self, agent: Client, number: int) -> None:
        name, parent = f"{number:06}", self.put[-1] if self.put else ""
        small, kept = channel("n", name, name.encode()), unchanged("large", "1")
        if not parent:
            kept = channel("large", "1", bytes(MIB))
        put(agent, checkpoint(name, small, kept, thread=self.thread, parent=parent))
        self.put.append(name)
        agent.put_writes(writes(name, written("task", 0, name.encode()), thread=self.thread))
        self.written.append(name)
        if number % 7 == 3:
            copy = f"{self.thread}-{name}"
            agent.copy_thread(self.thread, copy)
            self.copies[copy] = len(self.put)
        if number % 7 == 5 and self.copies:
            copy, _ = self.copies.popitem()
            # Only one that was acknowledged must be gone.
            agent.delete_thread(copy)
            self.deleted.append(copy)

    def check(self, agent: Client) -> None:
        """Everything that was acknowledged is there, and nothing by half."""
        found = list(agent.list_checkpoints(pb.ListCheckpointsRequest(thread=self.thread, page_size=100)))
        names = [one.checkpoint for one in reversed(found)]
        # The last one may have been stored without an answer.
        assert names[: len(self.put)] == self.put and len(names) <= len(self.put) + 1
        for one in found:
            assert values(one) == {"n": one.checkpoint.encode(), "large": bytes(MIB)}
            told = [write.value.data for write in one.writes]
            assert told == [one.checkpoint.encode()] or one.checkpoint not in self.written
        for copy, count in self.copies.items():
            assert len(list(agent.list_checkpoints(pb.ListCheckpointsRequest(thread=copy, page_size=100)))) == count
        for copy in self.deleted:
            with pytest.raises(NotFound):
                agent.get_checkpoint(copy)
        self.put = names


@pytest.mark.timeout(600)
def test_what_was_acknowledged_is_there_however_often_it_is_killed(tmp_path: Path) -> None:
    chance, all_writers = random.Random(SEED), [Writer(number) for number in range(WRITERS)]
    daemon = Daemon(tmp_path, CONFIG)
    try:
        daemon.start()
        for _ in range(CRASHES):
            enough = threading.Semaphore(0)
            workers = [threading.Thread(target=writer.run, args=(daemon, enough)) for writer in all_writers]
            for worker in workers:
                worker.start()
            for _ in range(chance.randrange(1, 40)):
                assert enough.acquire(timeout=60)
            daemon.kill()
            for worker in workers:
                worker.join(60)
            daemon.start()
            with client(daemon) as agent:
                for writer in all_writers:
                    writer.check(agent)
        daemon.restart()
        assert daemon.terminate() == 0
        with open_store(daemon.data, read_only=True) as store:
            samples.check_whole(store, "acme")
            assert not samples.garbage(store, "acme"), "what a kill left in the middle was swept up"
    finally:
        daemon.close()


def test_large_payloads_go_through_and_too_large_ones_are_refused_before_they_are_sent(tmp_path: Path) -> None:
    with Daemon(tmp_path, CONFIG) as daemon:
        large = random.Random(SEED).randbytes(9 * MIB)
        request = checkpoint("c1", channel("a", "1", large), channel("b", "1", b"small"))
        request.checkpoint.writes.append(written("task", 0, large[: 2 * MIB]))
        with client(daemon) as agent:
            put(agent, request)
            assert agent.get_checkpoint("t") == request.checkpoint
            assert list(agent.list_checkpoints(pb.ListCheckpointsRequest())) == [request.checkpoint]
            agent.put_writes(writes("c1", written("other", 0, large)))
            assert agent.get_checkpoint("t").writes[0].value.data == large
            with pytest.raises(PayloadTooLarge) as refused:
                put(agent, checkpoint("c2", channel("a", "2", bytes(17 * MIB))))
            assert refused.value.metadata["bound"] == "limits.checkpointBytes"
            with pytest.raises(PayloadTooLarge) as refused:
                put(agent, checkpoint("c2", *[channel(f"{n}", "2", bytes(9 * MIB)) for n in range(4)]))
            assert refused.value.metadata["bound"] == "limits.checkpointPutBytes"
            assert agent.get_checkpoint("t").checkpoint == "c1"
        # What is left of one that was refused in the middle holds nothing up.
        asyncio.run(asynchronously(daemon, large))


async def asynchronously(daemon: Daemon, large: bytes) -> None:
    """The same calls with the asyncio client."""
    async with AsyncClient(daemon.endpoints()["agent"], token=TOKEN, timeout=TIMEOUT_SECONDS) as agent:
        request = checkpoint("c1", channel("a", "1", large), thread="u", run="r")
        assert not await agent.put_checkpoint(request.checkpoint)
        await agent.put_writes(writes("c1", written("task", 0, b"w"), thread="u"))
        assert (await agent.get_checkpoint("u")).channels[0].value.data == large
        assert await agent.put_checkpoint(checkpoint("c2", unchanged("a", "2"), thread="u").checkpoint) == ["a"]
        assert await agent.copy_thread("u", "v") == 1
        listed = [one.thread async for one in agent.list_checkpoints(pb.ListCheckpointsRequest(checkpoint="c1"))]
        assert listed == ["t", "u", "v"]
        assert await agent.prune_threads(["u", "t"], samples.KEEP_LATEST) == 0
        assert await agent.delete_for_runs(["r"]) == 2
        assert await agent.delete_thread("t") == 1
        with pytest.raises(NotFound):
            await agent.get_checkpoint("u")


def test_only_agents_have_checkpoints_and_each_tenant_its_own(tmp_path: Path) -> None:
    with Daemon(tmp_path, CONFIG) as daemon:
        with client(daemon) as agent, stranger(daemon) as other:
            put(agent, checkpoint("c1", channel("a", "1", b"acme")))
            put(other, checkpoint("c1", channel("a", "1", b"other")))
            assert [values(one.get_checkpoint("t"))["a"] for one in (agent, other)] == [b"acme", b"other"]
            other.delete_thread("t")
            assert agent.get_checkpoint("t").checkpoint == "c1"
        operator: Any = checkpoint_service_pb2_grpc.CheckpointServiceStub(daemon.operator())
        with pytest.raises(grpc.RpcError) as refused:
            operator.GetCheckpoint(pb.GetCheckpointRequest(thread="t"))
        assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED
        nobody: Any = checkpoint_service_pb2_grpc.CheckpointServiceStub(daemon.agent())
        with pytest.raises(grpc.RpcError) as refused:
            nobody.GetCheckpoint(pb.GetCheckpointRequest(thread="t"))
        assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED


def test_limits_change_while_it_runs_and_deletions_are_recorded(tmp_path: Path) -> None:
    with Daemon(tmp_path, CONFIG) as daemon, client(daemon) as agent:
        for thread in ("t", "u"):
            put(agent, checkpoint("c1", thread=thread))
        daemon.config.write_text(CONFIG + "limits: {checkpointThreads: 2, checkpointBytes: 1KiB}\n")
        applied = command(daemon, "config", "apply", str(daemon.config))
        assert applied.returncode == 0, applied.stderr
        with pytest.raises(QueueFull) as full:
            put(agent, checkpoint("c1", thread="v"))
        assert full.value.metadata["bound"] == "limits.checkpointThreads"
        with pytest.raises(PayloadTooLarge):
            put(agent, checkpoint("c2", channel("a", "1", bytes(1025))))
        agent.delete_thread("u")
        put(agent, checkpoint("c1", thread="v"))
        audit: Any = audit_service_pb2_grpc.AuditServiceStub(daemon.operator())
        records = [event.record for event in audit.ListEvents(audit_service_pb2.ListEventsRequest()).events]
        (deleted,) = [one for one in records if one.HasField("control_changed")]
        assert (deleted.tenant, deleted.agent) == ("acme", "bot")
        assert deleted.control_changed.subject == "checkpoints.thread_deleted"
        assert dict(deleted.control_changed.detail.items())["thread"] == "u"
        assert "valid:" in command(daemon, "audit", "verify").stdout
