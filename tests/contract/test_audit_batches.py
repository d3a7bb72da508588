"""`WatchEvents` with several records in a response, over a real server."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import grpc
import pytest

from fairlead.audit.model import link
from fairlead.audit.streaming import BATCH_RECORDS, RESPONSE_BYTES
from fairlead.audit.tokens import Position
from fairlead.v1 import audit_record_pb2
from fairlead.v1 import audit_service_pb2 as pb
from tests.contract.control import refused
from tests.contract.test_audit_consumers import large
from tests.contract.test_audit_service import INVALID, LOG, run, sidecar
from tests.unit.audit.fakes import FakeStore
from tests.unit.audit.transparency.logs import private


def sequences(response: pb.WatchEventsResponse) -> list[int]:
    assert not response.HasField("event")
    return [event.record.sequence for event in response.events]


async def read(call: Any, count: int) -> list[pb.WatchEventsResponse]:
    return [await call.read() for _ in range(count)]


def test_records_come_together_then_live_and_the_token_is_behind_the_last_one(tmp_path: Path) -> None:
    async def test() -> None:
        async with sidecar(tmp_path) as (life, stub):
            call = stub.WatchEvents(pb.WatchEventsRequest(from_start=True, max_events=4))
            found = await read(call, 3)
            assert [sequences(one) for one in found] == [[1, 2, 3, 4], [5, 6, 7, 8], [9]]
            life.commit(2)
            live = await call.read()
            assert sequences(live) == [10, 11]
            for response in (*found, live):
                for event in response.events:
                    assert link(event.prev_hash, event.record_bytes) == event.record_hash
                last = LOG[response.events[-1].record.sequence - 1]
                assert response.resume_token == Position.after(last).encode()
            call.cancel()
            again = stub.WatchEvents(pb.WatchEventsRequest(resume_token=found[0].resume_token, max_events=3))
            assert [sequences(one) for one in await read(again, 2)] == [[5, 6, 7], [8, 9, 10]]
            again.cancel()

    run(test)


def test_a_collector_acknowledges_batches_and_goes_on_behind_them(tmp_path: Path) -> None:
    async def test() -> None:
        store = FakeStore()
        async with sidecar(tmp_path, store) as (life, stub):
            life.commit(9)
            request = pb.WatchEventsRequest(subscriber="collector", from_start=True, max_events=4)
            call = stub.WatchEvents(request)
            first, second = await read(call, 2)
            # Only the first batch was stored before the collector broke.
            token = first.resume_token
            acknowledge = pb.AcknowledgeEventsRequest(request_id="a", subscriber="collector", resume_token=token)
            assert (await stub.AcknowledgeEvents(acknowledge)).resume_token == token
            call.cancel()
        async with sidecar(tmp_path, store) as (life, stub):
            call = stub.WatchEvents(pb.WatchEventsRequest(subscriber="collector", max_events=4))
            assert await call.read() == second
            call.cancel()

    run(test)


def test_a_filter_leaves_records_out_of_batches(tmp_path: Path) -> None:
    async def test() -> None:
        async with sidecar(tmp_path) as (_, stub):
            filter = pb.EventFilter(tenant="globex", kinds=[audit_record_pb2.EVENT_KIND_INVOCATION_SETTLED])
            call = stub.WatchEvents(pb.WatchEventsRequest(from_start=True, filter=filter, max_events=10))
            response = await call.read()
            assert sequences(response) == [5, 9]
            assert response.events[1].prev_hash == LOG[7].record_hash
            call.cancel()

    run(test)


def test_a_batch_is_taken_with_the_bounds_that_grpc_clients_have(tmp_path: Path) -> None:
    """4 MiB is what they take unless told otherwise."""

    async def test() -> None:
        store = FakeStore()
        async with sidecar(tmp_path, store) as (life, stub):
            store.append(large(60, 60 << 10))
            life.feed.publish(60)
            call = stub.WatchEvents(pb.WatchEventsRequest(from_start=True, max_events=BATCH_RECORDS + 5))
            seen: list[int] = []
            while len(seen) < 60:
                response = await call.read()
                assert response.ByteSize() <= RESPONSE_BYTES
                seen += sequences(response)
            assert seen == list(range(1, 61))
            call.cancel()

    run(test)


def test_checkpoints_come_in_responses_of_their_own(tmp_path: Path) -> None:
    async def test() -> None:
        async with sidecar(tmp_path) as (life, stub):
            life.sealing.use(private(1))
            await life.sealing.load()
            await life.sealing.seal()
            call = stub.WatchEvents(pb.WatchEventsRequest(from_start=True, checkpoints=True, max_events=6))
            found = await read(call, 3)
            assert [sequences(one) for one in found] == [[1, 2, 3, 4, 5, 6], [7, 8, 9], []]
            assert found[2].checkpoint.size == 9 and found[2].resume_token == Position.after(LOG[8]).encode()
            call.cancel()

    run(test)


def test_a_negative_number_is_refused(tmp_path: Path) -> None:
    async def test() -> None:
        async with sidecar(tmp_path) as (_, stub):
            call = stub.WatchEvents(pb.WatchEventsRequest(max_events=-1))
            assert await refused(call.read()) == (*INVALID, {"violations": "1"}, ["max_events"])

    run(test)


def test_a_drain_ends_a_stream_of_batches_which_goes_on_at_the_successor(tmp_path: Path) -> None:
    async def test() -> None:
        store = FakeStore()
        seen: list[int] = []
        token = ""
        for _ in range(3):
            async with sidecar(tmp_path, store) as (life, stub):
                life.commit(7)
                call = stub.WatchEvents(pb.WatchEventsRequest(resume_token=token, from_start=True, max_events=4))
                response = await call.read()
                seen += sequences(response)
                token = response.resume_token
                life.service.drain()
                with pytest.raises(grpc.aio.AioRpcError) as ended:
                    while (response := await call.read()) is not grpc.aio.EOF:  # type: ignore[attr-defined]
                        seen += sequences(response)
                        token = response.resume_token
                assert "DRAINING" in str(dict(cast(Any, ended.value.trailing_metadata())))
        assert seen == list(range(1, len(seen) + 1)) and len(seen) >= 12

    run(test)


def test_a_stream_of_batches_that_is_not_read_is_ended_and_the_rest_comes_on_the_next_one(tmp_path: Path) -> None:
    async def test() -> None:
        store = FakeStore()
        async with sidecar(tmp_path, store) as (life, stub):
            life.limits = replace(life.limits, stall_seconds=0.05)
            store.append(large(40, 64 << 10))
            life.feed.publish(40)
            call = stub.WatchEvents(pb.WatchEventsRequest(subscriber="slow", from_start=True, max_events=3))
            await call.initial_metadata()
            while life.service.watchers:
                await asyncio.sleep(0.01)
            seen: list[int] = []
            token = ""
            with pytest.raises(grpc.aio.AioRpcError) as ended:
                while True:
                    response = await call.read()
                    seen += sequences(response)
                    token = response.resume_token
            assert "STREAM_STALLED" in str(dict(cast(Any, ended.value.trailing_metadata())))
            assert len(seen) < 40
            life.limits = replace(life.limits, stall_seconds=30)
            request = pb.WatchEventsRequest(subscriber="slow", resume_token=token, from_start=True, max_events=50)
            call = stub.WatchEvents(request)
            while len(seen) < 40:
                seen += sequences(await call.read())
            call.cancel()
            assert seen == list(range(1, 41))

    run(test)
