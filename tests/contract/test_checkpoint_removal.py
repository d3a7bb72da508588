"""Deleting, pruning and copying checkpoints: the happy path and each documented refusal."""

from __future__ import annotations

from pathlib import Path

import grpc

from fairlead.v1 import checkpoint_service_pb2 as pb
from tests.contract.checkpoints import Agent, scenario, sidecar
from tests.contract.control import refused
from tests.unit.checkpoint import samples
from tests.unit.checkpoint.samples import (
    DELETE,
    KEEP_LATEST,
    channel,
    checkpoint,
    empty,
    unchanged,
    values,
    writes,
    written,
)

MIB = 1 << 20


async def added_up(agent: Agent) -> None:
    """c2 has the value of `log`, c3 to c5 add up what was written from there on; nothing needs c1."""
    await agent.PutCheckpoint(checkpoint("c1", channel("log", "1", b"old"), run="r1"))
    await agent.PutCheckpoint(checkpoint("c2", channel("log", "2", b"whole"), run="r2", parent="c1"))
    for number in (3, 4, 5):
        request = checkpoint(f"c{number}", empty("log", str(number)), run=f"r{number}", parent=f"c{number - 1}")
        request.checkpoint.accumulating_channels.append("log")
        request.checkpoint.writes.append(written("a", 0, b"added"))
        await agent.PutCheckpoint(request)


@scenario
async def test_a_deleted_thread_is_gone_and_recorded_once(tmp_path: Path) -> None:
    async with sidecar(tmp_path) as (life, agent, _):
        await agent.PutCheckpoint(checkpoint("c1", channel("a", "1", b"x"), run="r"))
        await agent.PutWrites(writes("c1", written("a", 0, bytes(2 * MIB))))
        await agent.PutCheckpoint(checkpoint("c1", namespace="child"))
        await agent.PutCheckpoint(checkpoint("c1", thread="t2"))
        assert (await agent.DeleteThread(pb.DeleteThreadRequest(thread="t"))).checkpoints == 2
        assert (await agent.DeleteThread(pb.DeleteThreadRequest(thread="t"))).checkpoints == 0
        assert await agent.listed() == ["c1"]
        ((tenant, subject, detail),) = life.core.records
        assert (tenant, subject, detail["thread"], detail["checkpoints"]) == (
            "acme",
            "checkpoints.thread_deleted",
            "t",
            2,
        )
        assert detail["bytes"] > 2 * MIB
        # The same name begins anew.
        await agent.PutCheckpoint(checkpoint("c0"))
        assert await agent.listed(thread="t") == ["c0"]


@scenario
async def test_what_runs_made_is_deleted_in_all_threads(tmp_path: Path) -> None:
    async with sidecar(tmp_path) as (life, agent, _):
        await agent.PutCheckpoint(checkpoint("c1", channel("a", "1", b"x"), run="r1"))
        await agent.PutWrites(writes("c1", written("a", 0, b"w")))
        await agent.PutCheckpoint(checkpoint("c2", unchanged("a", "1"), run="r2", parent="c1"))
        await agent.PutCheckpoint(checkpoint("c3", run="r1", namespace="child"))
        await agent.PutCheckpoint(checkpoint("c4", run="r1", thread="only"))
        assert (await agent.DeleteForRuns(pb.DeleteForRunsRequest(runs=["r1", "nobody", "r1"]))).checkpoints == 3
        assert await agent.listed() == ["c2"]
        assert values(await agent.get("c2")) == {"a": b"x"}, "a value that is still used stays"
        assert {(subject, detail["thread"], detail["checkpoints"]) for _, subject, detail in life.core.records} == {
            ("checkpoints.runs_deleted", "t", 1),
            ("checkpoints.runs_deleted", "only", 1),
        }
        assert life.service._ledger.usage.of("acme")[0] == 1
        assert (await agent.DeleteForRuns(pb.DeleteForRunsRequest())).checkpoints == 0


@scenario
async def test_a_run_is_not_deleted_when_later_channels_are_added_up_from_it(tmp_path: Path) -> None:
    async with sidecar(tmp_path) as (_, agent, _):
        await added_up(agent)
        code, reason, facts, _ = await refused(agent.DeleteForRuns(pb.DeleteForRunsRequest(runs=["r3"])))
        assert (code, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "INVALID_STATE")
        assert facts == {"thread": "t", "checkpoint": "c3"}
        assert await agent.listed(thread="t") == ["c5", "c4", "c3", "c2", "c1"]
        await agent.DeleteForRuns(pb.DeleteForRunsRequest(runs=["r1"]))
        await agent.DeleteForRuns(pb.DeleteForRunsRequest(runs=["r3", "r4", "r5"]))
        assert await agent.listed(thread="t") == ["c2"]


@scenario
async def test_pruning_keeps_the_latest_of_every_namespace_and_its_values(tmp_path: Path) -> None:
    async with sidecar(tmp_path) as (life, agent, _):
        for thread in ("t", "u"):
            await agent.PutCheckpoint(checkpoint("c1", channel("a", "1", b"x"), channel("b", "1", b"y"), thread=thread))
            await agent.PutCheckpoint(
                checkpoint("c2", unchanged("a", "1"), channel("b", "2", b"z"), parent="c1", thread=thread)
            )
            await agent.PutCheckpoint(checkpoint("c1", thread=thread, namespace="child"))
        await agent.PutWrites(writes("c2", written("a", 0, b"kept")))
        await agent.PutWrites(writes("c0", written("a", 0, b"on nothing")))
        await agent.PutWrites(writes("c3", written("a", 0, b"early")))
        request = pb.PruneThreadsRequest(threads=["t", "nobody"], strategy=KEEP_LATEST)
        assert (await agent.PruneThreads(request)).checkpoints == 1
        assert (await agent.PruneThreads(request)).checkpoints == 0
        assert await agent.listed(thread="t") == ["c2", "c1"]
        found = await agent.get()
        assert (values(found), [one.value.data for one in found.writes]) == ({"a": b"x", "b": b"z"}, [b"kept"])
        assert await agent.listed(thread="u") == ["c2", "c1", "c1"]
        await agent.PutCheckpoint(checkpoint("c3", parent="c2"))
        assert [one.value.data for one in (await agent.get("c3")).writes] == [b"early"]
        ((_, subject, detail),) = life.core.records
        assert (subject, dict(detail)) == ("checkpoints.pruned", {"thread": "t", "namespace": "", "checkpoints": 1})


@scenario
async def test_pruning_keeps_what_channels_are_added_up_from(tmp_path: Path) -> None:
    async with sidecar(tmp_path) as (_, agent, _):
        await added_up(agent)
        await agent.PruneThreads(pb.PruneThreadsRequest(threads=["t"], strategy=KEEP_LATEST))
        assert await agent.listed(thread="t") == ["c5", "c4", "c3", "c2"]
        assert [one.value.data for one in (await agent.get("c3")).writes] == [b"added"]


@scenario
async def test_pruning_with_delete_deletes_threads(tmp_path: Path) -> None:
    async with sidecar(tmp_path) as (_, agent, _):
        for thread in ("t", "u"):
            await agent.PutCheckpoint(checkpoint("c1", thread=thread))
        assert (await agent.PruneThreads(pb.PruneThreadsRequest(threads=["t"], strategy=DELETE))).checkpoints == 1
        assert await agent.listed() == ["c1"]
        for request, field in (
            (pb.PruneThreadsRequest(threads=["u"]), "strategy"),
            (pb.PruneThreadsRequest(threads=["u", ""], strategy=DELETE), "threads[1]"),
            (pb.PruneThreadsRequest(threads=["u"] * 1001, strategy=DELETE), "threads"),
        ):
            assert (await refused(agent.PruneThreads(request)))[3] == [field]


@scenario
async def test_a_copy_is_whole_and_on_its_own(tmp_path: Path) -> None:
    async with sidecar(tmp_path) as (_, agent, _):
        await agent.PutCheckpoint(checkpoint("c1", channel("a", "1", bytes(3 * MIB)), run="r"))
        await agent.PutWrites(writes("c1", written("a", 0, b"w")))
        await agent.PutCheckpoint(checkpoint("c2", unchanged("a", "1"), parent="c1"))
        await agent.PutCheckpoint(checkpoint("c1", namespace="child"))
        request = pb.CopyThreadRequest(source="t", target="copy")
        assert (await agent.CopyThread(request)).checkpoints == 3
        assert (await agent.CopyThread(request)).checkpoints == 3, "a repeated request"
        for name, namespace in (("c1", ""), ("c2", ""), ("c1", "child")):
            original, copied = await agent.get(name, "t", namespace), await agent.get(name, "copy", namespace)
            for one in (original, copied):
                one.ClearField("thread")
                for each in one.channels:
                    each.value.ClearField("handle")
            assert original == copied
        await agent.DeleteThread(pb.DeleteThreadRequest(thread="t"))
        assert await agent.listed(thread="copy") == ["c2", "c1", "c1"]
        await agent.DeleteForRuns(pb.DeleteForRunsRequest(runs=["r"]))
        assert await agent.listed(thread="copy", namespace="") == ["c2"]


@scenario
async def test_a_copy_does_not_mix_with_what_is_there(tmp_path: Path) -> None:
    async with sidecar(tmp_path) as (life, agent, _):
        await agent.PutCheckpoint(checkpoint("c1"))
        await agent.PutCheckpoint(checkpoint("c1", thread="there"))
        for source, target, reason in (
            ("nobody", "copy", "NOT_FOUND"),
            ("t", "there", "INVALID_STATE"),
            ("t", "t", "INVALID_ARGUMENT"),
            ("t", "", "INVALID_ARGUMENT"),
            ("", "t", "INVALID_ARGUMENT"),
        ):
            assert (await refused(agent.CopyThread(pb.CopyThreadRequest(source=source, target=target))))[1] == reason
        await agent.CopyThread(pb.CopyThreadRequest(source="t", target="copy"))
        await agent.PutCheckpoint(checkpoint("c2"))
        changed_source = await refused(agent.CopyThread(pb.CopyThreadRequest(source="t", target="copy")))
        assert changed_source[1] == "INVALID_STATE"
        assert not samples.garbage(life.store, "acme")


@scenario
async def test_a_store_that_cannot_be_read_or_written_is_said_so(tmp_path: Path) -> None:
    async with sidecar(tmp_path) as (life, agent, _):
        await agent.PutCheckpoint(checkpoint("c1"))
        life.core.left = 0
        for call in (
            agent.PutCheckpoint(checkpoint("c2")),
            agent.PutWrites(writes("c1", written("a", 0, b"w"))),
            agent.DeleteThread(pb.DeleteThreadRequest(thread="t")),
            agent.CopyThread(pb.CopyThreadRequest(source="t", target="copy")),
        ):
            code, reason, _, _ = await refused(call)
            assert (code, reason) == (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")
        life.core.left, life.store.broken = None, True
        for call in (
            agent.PutCheckpoint(checkpoint("c2")),
            agent.GetCheckpoint(pb.GetCheckpointRequest(thread="t")),
            agent.ListCheckpoints(pb.ListCheckpointsRequest()),
            agent.PruneThreads(pb.PruneThreadsRequest(threads=["t"], strategy=KEEP_LATEST)),
        ):
            assert (await refused(call))[1] == "STORE_UNAVAILABLE"
        life.store.broken = False
        assert await agent.listed() == ["c1"]
