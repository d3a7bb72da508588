"""Putting, getting and listing checkpoints: the happy path, every refusal, and tenants that use the same names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest

from fairlead.v1 import checkpoint_service_pb2 as pb
from tests.contract.checkpoints import Agent, changed, scenario, sidecar, size
from tests.contract.control import AS_NOBODY, refused
from tests.unit.checkpoint import samples
from tests.unit.checkpoint.samples import (
    DELETE,
    SETTINGS,
    channel,
    checkpoint,
    empty,
    unchanged,
    values,
    writes,
    written,
)

MIB = 1 << 20

# Put and get ---------------------------------------------------------------------------------------------------------


@scenario
async def test_a_checkpoint_comes_back_as_it_was_put(tmp_path: Path) -> None:
    async with sidecar(tmp_path) as (life, agent, _):
        request = checkpoint(
            "c1", channel("a", "1", b"one"), empty("b", "1"), attributes={"source": '"input"'}, run="r"
        )
        request.checkpoint.writes.append(written("task", 0, b"first"))
        assert not (await agent.PutCheckpoint(request)).missing_channels
        assert life.core.unsynced == 0, "it is durable before it is answered"
        assert await agent.get("c1") == request.checkpoint
        assert await agent.get() == request.checkpoint
        assert not life.core.records, "a put is not in the audit log"


@scenario
async def test_puts_are_synced_unless_the_configuration_says_otherwise_and_deletions_are_in_any_case(
    tmp_path: Path,
) -> None:
    async with sidecar(tmp_path) as (life, agent, _):
        life.settings = replace(SETTINGS, power=False)
        await agent.PutCheckpoint(checkpoint("c1", run="r"))
        await agent.PutWrites(writes("c1", written("task", 0, b"first")))
        assert life.core.unsynced == 2
        await agent.DeleteForRuns(pb.DeleteForRunsRequest(runs=["r"]))
        assert life.core.unsynced == 0


@scenario
async def test_the_latest_is_the_last_by_its_id_as_text(tmp_path: Path) -> None:
    async with sidecar(tmp_path) as (_, agent, _):
        for name in ("1", "10", "9", "09"):
            await agent.PutCheckpoint(checkpoint(name))
        await agent.PutCheckpoint(checkpoint("99", namespace="child"))
        assert (await agent.get()).checkpoint == "9"
        assert await agent.listed(thread="t", namespace="") == ["9", "10", "1", "09"]


@scenario
async def test_an_unchanged_channel_is_not_repeated_and_not_lost(tmp_path: Path) -> None:
    async with sidecar(tmp_path) as (life, agent, _):
        await agent.PutCheckpoint(checkpoint("c1", channel("a", "1", bytes(100_000)), channel("b", "1", b"x")))
        before = size(life)
        for number in range(2, 6):
            request = checkpoint(
                f"c{number}", unchanged("a", "1"), channel("b", str(number), b"y"), parent=f"c{number - 1}"
            )
            assert not (await agent.PutCheckpoint(request)).missing_channels
        assert size(life) - before < 3000
        assert values(await agent.get("c5")) == {"a": bytes(100_000), "b": b"y"}
        assert values(await agent.get("c1"))["b"] == b"x"


@scenario
async def test_two_forks_with_the_same_version_keep_their_own_values(tmp_path: Path) -> None:
    async with sidecar(tmp_path) as (_, agent, _):
        await agent.PutCheckpoint(checkpoint("c1", channel("a", "1", b"root")))
        await agent.PutCheckpoint(checkpoint("c2", channel("a", "2", b"left"), parent="c1"))
        await agent.PutCheckpoint(checkpoint("c3", channel("a", "2", b"right"), parent="c1"))
        await agent.PutCheckpoint(checkpoint("c4", unchanged("a", "2"), parent="c2"))
        await agent.PutCheckpoint(checkpoint("c5", unchanged("a", "2"), parent="c3"))
        assert [values(await agent.get(name))["a"] for name in ("c4", "c5")] == [b"left", b"right"]


@scenario
async def test_what_the_parent_does_not_have_is_asked_for_and_nothing_is_stored(tmp_path: Path) -> None:
    async with sidecar(tmp_path) as (life, agent, _):
        await agent.PutCheckpoint(checkpoint("c1", channel("a", "1", b"one"), channel("b", "1", b"one")))
        before = dict(life.store.families[10])
        request = checkpoint("c2", unchanged("a", "1"), unchanged("b", "2"), unchanged("new", "1"), parent="c1")
        assert list((await agent.PutCheckpoint(request)).missing_channels) == ["b", "new"]
        lost = checkpoint("c2", unchanged("a", "1"), parent="nobody")
        assert list((await agent.PutCheckpoint(lost)).missing_channels) == ["a"]
        assert life.store.families[10] == before


@scenario
async def test_putting_a_checkpoint_again_replaces_it_and_what_only_it_had(tmp_path: Path) -> None:
    async with sidecar(tmp_path) as (life, agent, _):
        first = checkpoint("c1", channel("a", "1", b"one"), channel("b", "1", b"shared"), run="r1")
        await agent.PutCheckpoint(first)
        await agent.PutCheckpoint(checkpoint("c2", unchanged("b", "1"), parent="c1"))
        once = dict(life.store.families[10])
        await agent.PutCheckpoint(first)
        assert changed(once, life) == {"t"}, "the same again leaves the same, but that the thread counts it"
        again = checkpoint("c1", channel("a", "1", b"two"), run="r2")
        await agent.PutCheckpoint(again)
        assert await agent.get("c1") == again.checkpoint
        assert values(await agent.get("c2")) == {"b": b"shared"}
        await agent.DeleteForRuns(pb.DeleteForRunsRequest(runs=["r1"]))
        assert await agent.listed(thread="t") == ["c2", "c1"]


@scenario
async def test_what_is_not_there_is_not_found(tmp_path: Path) -> None:
    async with sidecar(tmp_path) as (_, agent, _):
        await agent.PutCheckpoint(checkpoint("c1"))
        for request in (
            pb.GetCheckpointRequest(thread="other"),
            pb.GetCheckpointRequest(thread="t", checkpoint="c"),
            pb.GetCheckpointRequest(thread="t", namespace="child"),
        ):
            code, reason, _, _ = await refused(agent.GetCheckpoint(request))
            assert (code, reason) == (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")


@scenario
async def test_tenants_with_the_same_names_do_not_meet(tmp_path: Path) -> None:
    async with sidecar(tmp_path) as (_, agent, other):
        mine = checkpoint("c1", channel("a", "1", bytes(2 * MIB)), run="r", attributes={"k": "1"})
        theirs = checkpoint("c1", channel("a", "1", b"theirs"), run="r", attributes={"k": "1"})
        await agent.PutCheckpoint(mine)
        await other.PutCheckpoint(theirs)
        await agent.PutWrites(writes("c1", written("task", 0, b"mine")))
        assert (await other.get()) == theirs.checkpoint
        assert await other.listed(attributes={"k": "1"}) == ["c1"]
        handle = (await agent.get()).channels[0].value.handle
        code, reason, _, _ = await refused(other.ReadPayload(pb.ReadPayloadRequest(handle=handle)))
        assert (code, reason) == (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")
        for delete in (
            other.DeleteThread(pb.DeleteThreadRequest(thread="t")),
            other.DeleteForRuns(pb.DeleteForRunsRequest(runs=["r"])),
            other.PruneThreads(pb.PruneThreadsRequest(threads=["t"], strategy=DELETE)),
        ):
            await delete
        assert await agent.listed() == ["c1"]
        assert await other.listed() == []


@scenario
async def test_nobody_in_particular_may_nothing(tmp_path: Path) -> None:
    async with sidecar(tmp_path) as (_, agent, _):
        nobody = Agent(agent._stub, AS_NOBODY)
        code, reason, _, _ = await refused(nobody.PutCheckpoint(checkpoint("c1")))
        assert (code, reason) == (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIAL_MISSING")


@scenario
async def test_every_bad_field_of_a_checkpoint_is_named(tmp_path: Path) -> None:
    async with sidecar(tmp_path) as (_, agent, _):
        request = checkpoint("", channel("a", "1", b""), channel("a", "2", b""), thread="", namespace="n" * 9000)
        request.checkpoint.channels.append(pb.CheckpointChannel(name="c"))
        request.checkpoint.writes.append(pb.CheckpointWrite())
        request.checkpoint.attributes["k"] = "v" * 2000
        request.checkpoint.body.size_bytes = 1
        code, reason, _, fields = await refused(agent.PutCheckpoint(request))
        assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT")
        assert fields == [
            "checkpoint.thread",
            "checkpoint.namespace",
            "checkpoint.checkpoint",
            "checkpoint.attributes[k]",
            "checkpoint.channels[1].name",
            "checkpoint.channels[2].state",
            "checkpoint.writes[0].task",
            "checkpoint",
        ]


# Writes --------------------------------------------------------------------------------------------------------------


@scenario
async def test_writes_come_back_by_path_task_and_index(tmp_path: Path) -> None:
    async with sidecar(tmp_path) as (life, agent, _):
        # A write may come before its checkpoint.
        await agent.PutWrites(writes("c1", written("b", 1, b"4", "~p"), written("b", 0, b"3", "~p")))
        assert life.core.unsynced == 0
        await agent.PutWrites(writes("c1", written("z", 0, b"2"), written("a", -3, b"1")))
        await agent.PutWrites(writes("c10", written("a", 0, b"of another")))
        await agent.PutCheckpoint(checkpoint("c1"))
        found = (await agent.get("c1")).writes
        assert [(one.task, one.index, one.value.data) for one in found] == [
            ("a", -3, b"1"),
            ("z", 0, b"2"),
            ("b", 0, b"3"),
            ("b", 1, b"4"),
        ]


@scenario
async def test_a_write_stays_as_it_is_and_a_special_one_is_replaced(tmp_path: Path) -> None:
    async with sidecar(tmp_path) as (_, agent, _):
        await agent.PutCheckpoint(checkpoint("c1"))
        large = bytes(2 * MIB)
        await agent.PutWrites(
            writes("c1", written("a", 0, b"first"), written("a", 0, b"twice"), written("a", -1, large))
        )
        await agent.PutWrites(
            writes("c1", written("a", 0, b"second"), written("a", -1, b"small"), written("a", -1, b"last"))
        )
        assert [one.value.data for one in (await agent.get("c1")).writes] == [b"last", b"first"]


@scenario
async def test_bad_writes_are_refused(tmp_path: Path) -> None:
    async with sidecar(tmp_path) as (_, agent, _):
        code, reason, _, fields = await refused(agent.PutWrites(writes("", written("", 0, b""), thread="")))
        assert (code, reason, fields) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            "INVALID_ARGUMENT",
            ["thread", "checkpoint", "writes[0].task"],
        )


# Ancestors -----------------------------------------------------------------------------------------------------------


async def ancestors(agent: Agent, name: str, *channels: str) -> list[tuple[str, dict[str, bytes | None], list[bytes]]]:
    """Id, values and writes of one page."""
    request = pb.ListAncestorsRequest(thread="t", checkpoint=name, channels=channels)
    page = await agent.ListAncestors(request)
    assert not page.more
    return [(one.checkpoint, values(one), [w.value.data for w in one.writes]) for one in page.checkpoints]


@scenario
async def test_ancestors_are_listed_until_every_channel_has_a_value(tmp_path: Path) -> None:
    async with sidecar(tmp_path) as (_, agent, other):
        for number, channels in enumerate(
            [[channel("a", "1", b"a1")], [channel("a", "2", b"a2"), channel("b", "2", b"b2")], [empty("a", "3")], []], 1
        ):
            request = checkpoint(f"c{number}", *channels, channel("big", str(number), bytes(1000)))
            request.checkpoint.parent = f"c{number - 1}" if number > 1 else ""
            for name in ("a", "b", "other"):
                request.checkpoint.writes.append(
                    written("task", len(request.checkpoint.writes), f"{name}{number}".encode())
                )
                request.checkpoint.writes[-1].channel = name
            await agent.PutCheckpoint(request)
        assert await ancestors(agent, "c4", "a", "nowhere") == [
            ("c3", {"a": None}, [b"a3"]),
            ("c2", {"a": b"a2"}, [b"a2"]),
            ("c1", {}, []),
        ]
        assert await ancestors(agent, "", "a", "b") == [
            ("c3", {"a": None}, [b"a3", b"b3"]),
            ("c2", {"a": b"a2", "b": b"b2"}, [b"a2", b"b2"]),
        ]
        assert await ancestors(agent, "c1", "a") == []
        assert await ancestors(agent, "nothing", "a") == []
        assert not (await other.ListAncestors(pb.ListAncestorsRequest(thread="t", channels=["a"]))).checkpoints
        await agent.DeleteForRuns(pb.DeleteForRunsRequest(runs=["nobody"]))
        assert (await refused(agent.ListAncestors(pb.ListAncestorsRequest())))[3] == ["thread"]
        assert (await refused(agent.ListAncestors(pb.ListAncestorsRequest(thread="t"))))[3] == ["channels"]


@scenario
async def test_a_long_chain_of_ancestors_comes_in_pages(tmp_path: Path) -> None:
    async with sidecar(tmp_path) as (_, agent, _):
        for number in range(150):
            await agent.PutCheckpoint(checkpoint(f"{number:03}", parent=f"{number - 1:03}" if number else ""))
        page = await agent.ListAncestors(pb.ListAncestorsRequest(thread="t", channels=["a"]))
        assert [one.checkpoint for one in page.checkpoints] == [f"{number:03}" for number in range(148, 48, -1)]
        assert page.more and not page.checkpoints[0].body.data
        rest = pb.ListAncestorsRequest(thread="t", checkpoint="049", channels=["a"])
        page = await agent.ListAncestors(rest)
        assert (page.checkpoints[0].checkpoint, len(page.checkpoints), page.more) == ("048", 49, False)


# Sizes ---------------------------------------------------------------------------------------------------------------


def large_parts(request: pb.PutCheckpointRequest, data: bytes, piece: int = MIB) -> Iterator[pb.PutLargeRequest]:
    yield pb.PutLargeRequest(checkpoint=request)
    for start in range(0, len(data), piece):
        yield pb.PutLargeRequest(data=data[start : start + piece])


def announced(*sizes: int) -> pb.PutCheckpointRequest:
    request = checkpoint("c1")
    request.checkpoint.body.CopyFrom(pb.CheckpointPayload(type="msgpack", size_bytes=4))
    request.checkpoint.ClearField("metadata")
    for number, size_bytes in enumerate(sizes):
        value = pb.CheckpointPayload(type="msgpack", size_bytes=size_bytes)
        request.checkpoint.channels.add(name=str(number), version="1", state=samples.SET, value=value)
    return request


@scenario
async def test_a_large_value_goes_up_and_comes_back_in_pieces(tmp_path: Path) -> None:
    async with sidecar(tmp_path) as (_, agent, _):
        first, second = bytes(range(256)) * 4096 * 3 + b"end", b"small"
        parts = large_parts(announced(len(first), 0, len(second)), b"body" + first + second, 777_777)
        assert not (await agent.PutLarge(parts)).missing_channels
        found = await agent.get("c1")
        assert found.body.data == b"body"
        assert [one.value.data for one in found.channels] == [b"", b"", b"small"]
        value = found.channels[0].value
        assert (value.type, value.size_bytes) == ("msgpack", len(first))
        pieces = [
            (await agent.ReadPayload(pb.ReadPayloadRequest(handle=value.handle, piece=number))).data
            for number in range(4)
        ]
        assert b"".join(pieces) == first
        code, reason, _, _ = await refused(agent.ReadPayload(pb.ReadPayloadRequest(handle=value.handle, piece=4)))
        assert (code, reason) == (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")


@scenario
async def test_large_writes_go_up_in_pieces(tmp_path: Path) -> None:
    async with sidecar(tmp_path) as (_, agent, _):
        await agent.PutCheckpoint(checkpoint("c1"))
        request = writes("c1", written("a", 0, b""))
        request.writes[0].value.size_bytes = 2 * MIB
        data = b"x" * (2 * MIB)
        parts = [
            pb.PutLargeRequest(writes=request),
            pb.PutLargeRequest(data=data[:MIB]),
            pb.PutLargeRequest(data=data[MIB:]),
        ]
        await agent.PutLarge(iter(parts))
        (one,) = (await agent.get("c1")).writes
        assert one.value.size_bytes == 2 * MIB
        piece = await agent.ReadPayload(pb.ReadPayloadRequest(handle=one.value.handle))
        assert piece.data == data[:MIB]


@scenario
async def test_what_many_values_have_together_comes_separately_beyond_its_room(tmp_path: Path) -> None:
    async with sidecar(tmp_path) as (life, agent, _):
        life.settings = replace(SETTINGS, put_bytes=64 * MIB)
        request = announced(*[MIB] * 10)
        await agent.PutLarge(large_parts(request, b"body" + bytes(10 * MIB)))
        found = await agent.get("c1")
        assert [bool(one.value.handle) for one in found.channels] == [False] * 2 + [True] * 8


@pytest.mark.parametrize(
    ("request_", "data", "field"),
    [
        (announced(5), b"body12", "data"),
        (announced(5), b"body123456", "data"),
        (checkpoint("c1"), b"", "part"),
    ],
    ids=["too little", "too much", "data inside"],
)
def test_parts_that_do_not_fit_are_refused(
    tmp_path: Path, request_: pb.PutCheckpointRequest, data: bytes, field: str
) -> None:
    @scenario
    async def test(tmp_path: Path) -> None:
        async with sidecar(tmp_path) as (_, agent, _):
            code, reason, _, fields = await refused(agent.PutLarge(large_parts(request_, data)))
            assert (code, reason, fields) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", [field])
            assert await agent.listed() == []

    test(tmp_path)


@scenario
async def test_a_stream_that_begins_with_nothing_is_refused(tmp_path: Path) -> None:
    async with sidecar(tmp_path) as (_, agent, _):
        for parts in ([], [pb.PutLargeRequest(data=b"x")]):
            code, reason, _, fields = await refused(agent.PutLarge(iter(parts)))
            assert (code, reason, fields) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", ["part"])


@scenario
async def test_payloads_and_requests_have_a_largest_size(tmp_path: Path) -> None:
    async with sidecar(tmp_path) as (life, agent, _):
        life.settings = replace(SETTINGS, payload_bytes=1000, put_bytes=1500)

        async def bound_of(call: Any) -> tuple[grpc.StatusCode, str, str]:
            code, reason, facts, _ = await refused(call)
            return code, reason, facts["bound"]

        one = checkpoint("c1", channel("a", "1", bytes(1001)))
        all_of_it = checkpoint("c1", channel("a", "1", bytes(800)), channel("b", "1", bytes(800)))
        large = (grpc.StatusCode.INVALID_ARGUMENT, "PAYLOAD_TOO_LARGE")
        assert await bound_of(agent.PutCheckpoint(one)) == (*large, "limits.checkpointBytes")
        assert await bound_of(agent.PutCheckpoint(all_of_it)) == (*large, "limits.checkpointPutBytes")
        assert await bound_of(agent.PutWrites(writes("c1", written("a", 0, bytes(1001))))) == (
            *large,
            "limits.checkpointBytes",
        )
        assert await bound_of(agent.PutLarge(large_parts(announced(1001), b""))) == (*large, "limits.checkpointBytes")
        life.settings = SETTINGS
        head = checkpoint("c1")
        head.checkpoint.body.data = bytes(MIB)
        assert await bound_of(agent.PutCheckpoint(head)) == (*large, "1 MiB")


@scenario
async def test_a_tenant_has_so_many_threads_and_bytes(tmp_path: Path) -> None:
    async with sidecar(tmp_path) as (life, agent, other):
        life.settings = replace(SETTINGS, threads=2, tenant_bytes=5000)
        for thread in ("t1", "t2"):
            await agent.PutCheckpoint(checkpoint("c1", thread=thread))
        code, reason, facts, _ = await refused(agent.PutCheckpoint(checkpoint("c1", thread="t3")))
        assert (code, reason, facts["bound"]) == (
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "QUEUE_FULL",
            "limits.checkpointThreads",
        )
        full = await refused(agent.CopyThread(pb.CopyThreadRequest(source="t1", target="t3")))
        assert full[2]["bound"] == "limits.checkpointThreads"
        too_much = checkpoint("c2", channel("a", "1", bytes(5000)), thread="t1")
        assert (await refused(agent.PutCheckpoint(too_much)))[2]["bound"] == "limits.checkpointTenantBytes"
        # Neither is another tenant's business, and both have room again when something is deleted.
        await other.PutCheckpoint(checkpoint("c1", channel("a", "1", bytes(4000)), thread="t3"))
        await agent.DeleteThread(pb.DeleteThreadRequest(thread="t2"))
        await agent.PutCheckpoint(checkpoint("c1", thread="t3"))
        assert life.service._ledger.usage.of("acme")[0] == 2


# List ----------------------------------------------------------------------------------------------------------------


@scenario
async def test_lists_are_filtered_and_paged(tmp_path: Path) -> None:
    async with sidecar(tmp_path) as (_, agent, _):
        for number in range(6):
            attributes = {"step": str(number), "even": str(number % 2 == 0)}
            await agent.PutCheckpoint(checkpoint(f"c{number}", attributes=attributes))
        await agent.PutCheckpoint(checkpoint("c3", namespace="child"))
        await agent.PutCheckpoint(checkpoint("c9", thread="u"))
        assert await agent.listed(thread="t", namespace="") == ["c5", "c4", "c3", "c2", "c1", "c0"]
        for size_of_page in (1, 2, 3, 100):
            assert await agent.listed(thread="t", page_size=size_of_page) == ["c5", "c4", "c3", "c3", "c2", "c1", "c0"]
            assert await agent.listed(page_size=size_of_page) == ["c5", "c4", "c3", "c3", "c2", "c1", "c0", "c9"]
            assert await agent.listed(thread="t", checkpoint="c3", page_size=size_of_page) == ["c3", "c3"]
        assert await agent.listed(thread="t", namespace="", before="c2") == ["c1", "c0"]
        assert await agent.listed(thread="t", attributes={"even": "True"}) == ["c4", "c2", "c0"]
        assert await agent.listed(thread="t", attributes={"even": "True", "step": "2"}) == ["c2"]
        assert await agent.listed(thread="t", attributes={"nothing": "1"}) == []
        assert await agent.listed(thread="nobody") == []


@scenario
async def test_a_page_is_stable_while_checkpoints_come_and_go(tmp_path: Path) -> None:
    async with sidecar(tmp_path) as (_, agent, _):
        for number in range(5):
            await agent.PutCheckpoint(checkpoint(f"c{number}", run=f"r{number}"))
        request = pb.ListCheckpointsRequest(thread="t", page_size=2)
        first = await agent.ListCheckpoints(request)
        await agent.DeleteForRuns(pb.DeleteForRunsRequest(runs=["r3", "r1"]))
        await agent.PutCheckpoint(checkpoint("c7"))
        request.page_token = first.next_page_token
        second = await agent.ListCheckpoints(request)
        assert [one.checkpoint for one in second.checkpoints] == ["c2", "c0"]


@scenario
async def test_a_page_ends_where_it_is_large(tmp_path: Path) -> None:
    async with sidecar(tmp_path) as (_, agent, _):
        for number in range(10):
            await agent.PutCheckpoint(checkpoint(f"c{number}", channel("a", str(number), bytes([number]) * MIB)))
        page = await agent.ListCheckpoints(pb.ListCheckpointsRequest(thread="t", page_size=100))
        assert len(page.checkpoints) == 1 and page.ByteSize() < 2 * MIB
        assert len(await agent.listed(thread="t", page_size=100)) == 10


@scenario
async def test_bad_lists_are_refused(tmp_path: Path) -> None:
    async with sidecar(tmp_path) as (_, agent, _):
        for number in range(2):
            await agent.PutCheckpoint(checkpoint(f"c{number}"))
        token = (await agent.ListCheckpoints(pb.ListCheckpointsRequest(page_size=1))).next_page_token
        for request, field in (
            (pb.ListCheckpointsRequest(page_size=-1), "page_size"),
            (pb.ListCheckpointsRequest(page_token="nonsense"), "page_token"),
            (pb.ListCheckpointsRequest(page_token=token[:-1] + "!"), "page_token"),
            (pb.ListCheckpointsRequest(page_token=token, thread="t"), "page_token"),
            (pb.ListCheckpointsRequest(thread="t" * 2000), "thread"),
        ):
            code, reason, _, fields = await refused(agent.ListCheckpoints(request))
            assert (code, reason, fields) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", [field])
        for handle in ("", "%", "AAAA"):
            _, reason, _, fields = await refused(agent.ReadPayload(pb.ReadPayloadRequest(handle=handle)))
            assert (reason, fields) == ("INVALID_ARGUMENT", ["handle"])
