"""WatchApprovals: what is open, every change after that, and each documented refusal."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import grpc

from fairlead.audit.tokens import Position
from fairlead.v1 import approval_service_pb2 as pb
from fairlead.v1 import audit_record_pb2
from tests.contract.approvals import (
    INVALID,
    ONE,
    Sidecar,
    as_operator,
    scenario,
)
from tests.contract.control import refused
from tests.unit.approval.fakes import approval, at
from tests.unit.audit.records import T0


def watched(sidecar: Sidecar, **fields: Any) -> Any:
    return sidecar.operator.WatchApprovals(pb.WatchApprovalsRequest(**fields), metadata=as_operator("asha"))


async def seen(call: Any, count: int) -> list[tuple[str, str]]:
    """The end of each name and the state; the end of the open ones is nameless."""
    found = [await call.read() for _ in range(count)]
    return [(one.approval.name[-1:], pb.ApprovalState.Name(one.approval.state)[15:]) for one in found]


def test_the_open_ones_come_first_and_then_every_change(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        call = watched(sidecar)
        first = await call.read()
        assert first.initial and first.approval == ONE and first.resume_token == ""
        assert await seen(call, 2) == [("3", "APPROVED"), ("", "UNSPECIFIED")]
        await sidecar.vote("asha")
        sidecar.core.put(approval(4, "globex"))
        await sidecar.vote("ben", "v-2")
        assert await seen(call, 3) == [("1", "PENDING"), ("4", "PENDING"), ("1", "APPROVED")]
        call.cancel()

    ended = approval(2, state=pb.APPROVAL_STATE_CONSUMED, end_time=at(T0))
    scenario(tmp_path, test, ONE, ended, approval(3, "globex", state=pb.APPROVAL_STATE_APPROVED))


def test_a_stream_goes_on_where_it_was(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        call = watched(sidecar)
        await call.read()
        token = (await call.read()).resume_token
        call.cancel()
        # What happened in between is not lost, and other records are not told.
        await sidecar.vote("asha")
        sidecar.core.log("INVOCATION_RELEASED", tenant="acme")
        sidecar.core.put(approval(5))
        call = watched(sidecar, resume_token=token)
        assert await seen(call, 2) == [("1", "PENDING"), ("5", "PENDING")]
        call.cancel()

    scenario(tmp_path, test, ONE)


def test_a_tool_call_that_begins_to_wait_is_told(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        call = watched(sidecar, tenant="acme")
        assert await seen(call, 2) == [("1", "PENDING"), ("", "UNSPECIFIED")]
        sidecar.core.put(approval(8, "globex"))
        pending = audit_record_pb2.ToolDecisionRecord(approval=ONE.name)
        sidecar.core.log("TOOL_PENDING", tenant="acme", tool=pending)
        assert await seen(call, 1) == [("1", "PENDING")]
        call.cancel()

    scenario(tmp_path, test, ONE)


def test_bad_tokens_of_a_stream_are_refused(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        of_another_log = Position(1, b"otherlog").encode()
        for token in ("nonsense", of_another_log):
            found = await refused(watched(sidecar, resume_token=token).read())
            assert (found[:2], found[3]) == (INVALID, ["resume_token"])

    scenario(tmp_path, test, ONE)


def test_streams_are_bounded_and_end_with_the_drain(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        calls = [watched(sidecar) for _ in range(2)]
        for call in calls:
            await call.read()
        found = await refused(watched(sidecar).read())
        assert found[:3] == (grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL", {"bound": "approval_watchers"})
        calls[0].cancel()
        while sidecar.watching.watchers > 1:
            await asyncio.sleep(0)
        sidecar.watching.drain()

        async def to_the_end() -> None:
            while await calls[1].read() is not grpc.aio.EOF:  # type: ignore[attr-defined]
                pass

        assert (await refused(to_the_end()))[:2] == (grpc.StatusCode.UNAVAILABLE, "DRAINING")

    scenario(tmp_path, test, ONE)


def test_a_store_that_cannot_be_read_ends_a_stream(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        sidecar.core.store.broken = True
        found = await refused(watched(sidecar).read())
        assert found[:2] == (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")

    scenario(tmp_path, test, ONE)
