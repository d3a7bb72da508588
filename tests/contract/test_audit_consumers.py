"""Consumers of the audit log and what is proved to them, over a real server."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import grpc
import pytest

from fairlead.audit.model import GENESIS, StoredRecord, link
from fairlead.audit.tokens import Position
from fairlead.audit.transparency.checkpoint import SignedCheckpoint
from fairlead.audit.transparency.merkle import check_consistency, check_inclusion, leaf_hash
from fairlead.audit.transparency.note import VerifierKey
from fairlead.internal.v1 import command_pb2
from fairlead.v1 import audit_record_pb2
from fairlead.v1 import audit_service_pb2 as pb
from tests.contract.control import refused
from tests.contract.test_audit_service import LOG, read, run, sidecar
from tests.unit.audit.fakes import FakeStore
from tests.unit.audit.records import T0
from tests.unit.audit.transparency.logs import private


def test_an_acknowledgement_of_the_future_says_where_the_log_ends(tmp_path: Path) -> None:
    async def test() -> None:
        store = FakeStore()
        async with sidecar(tmp_path, store) as (life, stub):
            life.commit(9)
            future = Position.after(LOG[20]).encode()
            call = stub.AcknowledgeEvents(
                pb.AcknowledgeEventsRequest(request_id="a", subscriber="c", resume_token=future)
            )
            with pytest.raises(grpc.aio.AioRpcError, match="acknowledges record 21, but the log ends with record 9"):
                await call
            assert (await stub.ListConsumers(pb.ListConsumersRequest())).consumers == []

    run(test)


def test_consumers_are_remembered_from_their_first_stream_on_listed_and_removed(tmp_path: Path) -> None:
    async def test() -> None:
        async with sidecar(tmp_path) as (life, stub):
            call = stub.WatchEvents(pb.WatchEventsRequest(subscriber="collector"))
            await call.initial_metadata()
            life.commit(2)
            (_, token), _ = await read(call, 2)
            (shown,) = (await stub.ListConsumers(pb.ListConsumersRequest())).consumers
            assert (shown.name, shown.sequence, shown.lag_records, shown.streams) == ("collector", 9, 2, 1)
            assert not shown.HasField("acknowledge_time") and shown.create_time.ToNanoseconds() == T0
            remove = pb.RemoveConsumerRequest(request_id="r", name="collector")
            assert (await refused(stub.RemoveConsumer(remove)))[1] == "INVALID_STATE"
            call.cancel()
            while life.service.watchers:
                await asyncio.sleep(0)
            await stub.AcknowledgeEvents(
                pb.AcknowledgeEventsRequest(request_id="a", subscriber="collector", resume_token=token)
            )
            (shown,) = (await stub.ListConsumers(pb.ListConsumersRequest())).consumers
            assert (shown.sequence, shown.lag_records, shown.streams) == (10, 1, 0)
            assert shown.acknowledge_time.ToNanoseconds() == T0
            for _ in range(2):
                await stub.RemoveConsumer(remove)
            assert (await stub.ListConsumers(pb.ListConsumersRequest())).consumers == []
            (change,) = [one for one in life.core.applied if one.control_write.HasField("record")]
            assert change.caller == command_pb2.Caller(operator="local")
            assert change.control_write.record.subject == "audit.consumer_removed"
            again = pb.RemoveConsumerRequest(request_id="s", name="collector")
            assert (await refused(stub.RemoveConsumer(again)))[1] == "NOT_FOUND"

    run(test)


def test_an_operator_passes_over_records_for_a_consumer(tmp_path: Path) -> None:
    async def test() -> None:
        async with sidecar(tmp_path) as (life, stub):
            life.commit(4)
            call = stub.WatchEvents(pb.WatchEventsRequest(subscriber="collector", from_start=True))
            await read(call, 1)
            call.cancel()
            skip = pb.SkipEventsRequest(request_id="s", name="collector", to_sequence=5, reason="cannot be read")
            for _ in range(2):
                answer = await stub.SkipEvents(skip)
                assert (answer.first_sequence, answer.resume_token) == (1, Position.after(LOG[4]).encode())
            (shown,) = (await stub.ListConsumers(pb.ListConsumersRequest())).consumers
            assert shown.sequence == 5 and not shown.HasField("acknowledge_time")
            (change,) = [one for one in life.core.applied if one.control_write.HasField("record")]
            assert change.caller == command_pb2.Caller(operator="local")
            assert change.control_write.record.subject == "audit.records_skipped"
            assert change.control_write.record.detail["reason"] == "cannot be read"
            resumed = stub.WatchEvents(pb.WatchEventsRequest(subscriber="collector"))
            assert [sequence for sequence, _ in await read(resumed, 1)] == [6]
            resumed.cancel()
            for request, reason in (
                (pb.SkipEventsRequest(request_id="a", name="collector", to_sequence=5, reason="x"), "INVALID_ARGUMENT"),
                (
                    pb.SkipEventsRequest(request_id="b", name="collector", to_sequence=99, reason="x"),
                    "INVALID_ARGUMENT",
                ),
                (pb.SkipEventsRequest(request_id="c", name="nobody", to_sequence=6, reason="x"), "NOT_FOUND"),
                (pb.SkipEventsRequest(request_id="d", name="collector", to_sequence=6), "INVALID_ARGUMENT"),
            ):
                assert (await refused(stub.SkipEvents(request)))[1] == reason

    run(test)


def test_a_fourth_name_is_refused(tmp_path: Path) -> None:
    async def test() -> None:
        async with sidecar(tmp_path) as (_, stub):
            for name in "abc":
                call = stub.WatchEvents(pb.WatchEventsRequest(subscriber=name, from_start=True))
                await read(call, 1)
                call.cancel()
            code, reason, metadata, _ = await refused(stub.WatchEvents(pb.WatchEventsRequest(subscriber="d")).read())
            assert (code, reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL")
            assert metadata == {"bound": "consumers"}

    run(test)


def test_a_stream_that_is_not_read_is_ended_and_the_rest_comes_on_the_next_one(tmp_path: Path) -> None:
    """The stream window of HTTP/2 is full soon: what is behind it is never read from the log, and the place is free."""

    async def test() -> None:
        store = FakeStore()
        async with sidecar(tmp_path, store) as (life, stub):
            life.limits = replace(life.limits, stall_seconds=0.05)
            store.append(large(40, 64 << 10))
            life.feed.publish(40)
            call = stub.WatchEvents(pb.WatchEventsRequest(subscriber="slow", from_start=True))
            await call.initial_metadata()
            while life.service.watchers:
                await asyncio.sleep(0.01)
            seen: list[tuple[int, str]] = []
            with pytest.raises(grpc.aio.AioRpcError) as ended:
                while True:
                    seen += await read(call, 1)
            assert ended.value.code() is grpc.StatusCode.UNAVAILABLE
            assert "STREAM_STALLED" in str(dict(cast(Any, ended.value.trailing_metadata())))
            assert 0 < len(seen) < 40
            life.limits = replace(life.limits, stall_seconds=30)
            request = pb.WatchEventsRequest(subscriber="slow", resume_token=seen[-1][1])
            call = stub.WatchEvents(request)
            rest = await read(call, 40 - len(seen))
            call.cancel()
            assert [sequence for sequence, _ in seen + rest] == list(range(1, 41))

    run(test)


def large(count: int, size: int) -> list[StoredRecord]:
    """A log of records of about so many bytes."""
    found: list[StoredRecord] = []
    head = GENESIS
    for sequence in range(1, count + 1):
        record = audit_record_pb2.AuditRecord(sequence=sequence, tenant="x" * size).SerializeToString()
        head = link(head, record)
        found.append(StoredRecord(sequence, head, record))
    return found


# Checkpoints and proofs ----------------------------------------------------------------------------------------------


def test_checkpoints_are_signed_when_asked_for_streamed_listed_and_prove_records(tmp_path: Path) -> None:
    async def test() -> None:
        async with sidecar(tmp_path) as (life, stub):
            life.sealing.use(private(1))
            await life.sealing.load()
            nothing = stub.GetLogCheckpoint(pb.GetLogCheckpointRequest())
            assert (await refused(nothing))[1] == "NOT_FOUND"
            assert (await stub.GetAuditLog(pb.GetAuditLogRequest())).head_sequence == 9
            call = stub.WatchEvents(pb.WatchEventsRequest(from_start=True, checkpoints=True))
            await read(call, 9)
            fresh = (await stub.GetLogCheckpoint(pb.GetLogCheckpointRequest(fresh=True))).checkpoint
            streamed = await call.read()
            assert streamed.checkpoint == fresh and not streamed.HasField("event")
            assert streamed.resume_token == Position.after(LOG[8]).encode()
            call.cancel()
            identity = await stub.GetAuditLog(pb.GetAuditLogRequest())
            assert identity.checkpoint == fresh and fresh.origin == identity.origin and fresh.size == 9
            key = VerifierKey.parse(identity.public_key)
            assert SignedCheckpoint.verified(fresh.note, [key]).message() == fresh
            life.commit(3)
            await stub.GetLogCheckpoint(pb.GetLogCheckpointRequest(fresh=True))
            listed = (await stub.ListLogCheckpoints(pb.ListLogCheckpointsRequest(page_size=1))).ranges
            assert [(one.checkpoint.size, len(one.leaf_hashes)) for one in listed] == [(9, 9 * 32)]
            rest = (await stub.ListLogCheckpoints(pb.ListLogCheckpointsRequest(after_size=9))).ranges
            assert [one.checkpoint.size for one in rest] == [12]
            proven = await stub.ProveEvents(pb.ProveEventsRequest(sequences=[10]))
            (one,) = proven.events
            root = proven.checkpoint.root_hash
            check_inclusion(leaf_hash(one.event.record_bytes), 9, 12, list(one.proof), root)
            shown = await stub.ProveConsistency(pb.ProveConsistencyRequest(old_size=9))
            check_consistency(9, shown.old.root_hash, 12, shown.new.root_hash, list(shown.proof))

    run(test)


@pytest.mark.parametrize(
    ("method", "request_", "fields"),
    [
        ("ProveEvents", pb.ProveEventsRequest(), ["sequences"]),
        ("ProveEvents", pb.ProveEventsRequest(sequences=[0]), ["sequences[0]"]),
        ("ProveEvents", pb.ProveEventsRequest(sequences=[1], size=8), ["size"]),
        ("ProveEvents", pb.ProveEventsRequest(sequences=[1], size=1 << 63), ["size"]),
        ("ProveConsistency", pb.ProveConsistencyRequest(old_size=3), ["old_size"]),
        ("ProveConsistency", pb.ProveConsistencyRequest(old_size=9, new_size=8), ["new_size"]),
        ("ListLogCheckpoints", pb.ListLogCheckpointsRequest(page_size=-1), ["page_size"]),
        ("ListLogCheckpoints", pb.ListLogCheckpointsRequest(after_size=1 << 63), ["after_size"]),
    ],
)
def test_proofs_of_what_was_never_signed_are_refused(
    tmp_path: Path, method: str, request_: Any, fields: list[str]
) -> None:
    async def test() -> None:
        async with sidecar(tmp_path) as (life, stub):
            life.sealing.use(private(1))
            await life.sealing.load()
            await life.sealing.seal()
            code, reason, _, bad = await refused(getattr(stub, method)(request_))
            assert (code, reason, bad) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", fields)

    run(test)


def test_a_record_without_a_checkpoint_is_not_proved(tmp_path: Path) -> None:
    async def test() -> None:
        async with sidecar(tmp_path) as (life, stub):
            life.sealing.use(private(1))
            await life.sealing.load()
            await life.sealing.seal()
            life.commit(1)
            call = stub.ProveEvents(pb.ProveEventsRequest(sequences=[10]))
            assert (await refused(call))[1] == "NOT_FOUND"

    run(test)
