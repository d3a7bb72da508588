"""Every method of AuditService: the happy path and each documented refusal, over a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import grpc
import pytest

from fairlead.audit.consumers.model import ConsumerLimits
from fairlead.audit.consumers.service import Consumers
from fairlead.audit.erasure.service import ErasureService
from fairlead.audit.model import link
from fairlead.audit.service import AuditLogService
from fairlead.audit.transparency.sealing import Sealing
from fairlead.audit.transparency.service import TransparencyService
from fairlead.control.audit_service import AuditServicer, add_to_server
from fairlead.internal.v1 import command_pb2
from fairlead.store import CommitFeed, Family, keys
from fairlead.v1 import audit_record_pb2, audit_service_pb2_grpc, run_pb2
from fairlead.v1 import audit_service_pb2 as pb
from tests.contract.control import refused, served
from tests.unit.audit import run_records
from tests.unit.audit.fakes import FakeCore, FakeStore
from tests.unit.audit.records import INVOCATION, OTHER, T0, ended, log
from tests.unit.audit.tool_records import APPROVAL, CALL, stored

INVALID = (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT")
LOG = log(40)
UNKNOWN_KIND = cast(audit_record_pb2.EventKind, 4711)


class Sidecar:
    """One life of a sidecar over a store."""

    def __init__(self, store: FakeStore, max_watchers: int = 64) -> None:
        self.store = store
        self.core = FakeCore(store)
        self.feed = CommitFeed(asyncio.get_running_loop())
        self.now = T0
        self.limits = ConsumerLimits(consumers=3, lag=20, stall_seconds=60)
        self.consumers = Consumers(self.core, store, self.feed, lambda: self.now, lambda: self.limits)
        self.sealing = Sealing(self.core, store, self.feed, lambda: self.now)
        self.service = AuditLogService(store, self.feed, self.consumers, self.sealing, max_watchers)
        self.transparency = TransparencyService(store, self.sealing)
        self.erasure = ErasureService(self.core, store, lambda: self.now)
        self.committed = len(store.families.get(Family.AUDIT, {}))
        self.feed.publish(self.committed)

    def commit(self, count: int) -> None:
        self.store.append(LOG[self.committed : self.committed + count])
        self.committed += count
        self.feed.publish(self.committed)


@asynccontextmanager
async def sidecar(
    directory: Path, store: FakeStore | None = None, committed: int = 9, max_watchers: int = 64
) -> AsyncIterator[tuple[Sidecar, Any]]:
    """A sidecar and a stub of its AuditService."""
    life = Sidecar(store or FakeStore(), max_watchers)
    if store is None:
        life.commit(committed)

    def register(server: grpc.aio.Server) -> None:
        add_to_server(AuditServicer(life.service, life.transparency, life.erasure), server)

    async with served(directory, register) as channel:
        yield life, audit_service_pb2_grpc.AuditServiceStub(channel)


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await test()

    asyncio.run(bounded())


async def read(call: Any, count: int) -> list[tuple[int, str]]:
    responses = [await call.read() for _ in range(count)]
    return [(response.event.record.sequence, response.resume_token) for response in responses]


# WatchEvents ---------------------------------------------------------------------------------------------------------


def test_watch_from_start_then_live(tmp_path: Path) -> None:
    async def test() -> None:
        async with sidecar(tmp_path, committed=3) as (life, stub):
            call = stub.WatchEvents(pb.WatchEventsRequest(from_start=True))
            assert [sequence for sequence, _ in await read(call, 3)] == [1, 2, 3]
            life.commit(2)
            assert [sequence for sequence, _ in await read(call, 2)] == [4, 5]
            call.cancel()

    run(test)


def test_watch_begins_at_the_next_record_once_the_position_is_fixed(tmp_path: Path) -> None:
    async def test() -> None:
        async with sidecar(tmp_path, committed=3) as (life, stub):
            call = stub.WatchEvents(pb.WatchEventsRequest())
            await call.initial_metadata()
            life.commit(2)
            responses = [await call.read(), await call.read()]
            assert [response.event.record.sequence for response in responses] == [4, 5]
            for response in responses:
                assert link(response.event.prev_hash, response.event.record_bytes) == response.event.record_hash
            call.cancel()

    run(test)


def test_watch_resumes_after_a_restart_with_nothing_skipped_or_repeated(tmp_path: Path) -> None:
    async def test() -> None:
        store = FakeStore()
        seen: list[int] = []
        token = ""
        for life_number in range(4):
            async with sidecar(tmp_path, store) as (life, stub):
                life.commit(7)
                call = stub.WatchEvents(pb.WatchEventsRequest(resume_token=token, from_start=True))
                for sequence, after in await read(call, 5 + life_number):
                    seen.append(sequence)
                    token = after
                life.service.drain()
                code, reason, _, _ = await refused(_to_the_end(call))
                assert (code, reason) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")
        assert seen == list(range(1, len(seen) + 1)) and len(seen) == 5 + 6 + 7 + 8

    run(test)


async def _to_the_end(call: Any) -> None:
    while await call.read() is not grpc.aio.EOF:  # type: ignore[attr-defined]
        pass


def test_watch_filters(tmp_path: Path) -> None:
    async def test() -> None:
        async with sidecar(tmp_path) as (_, stub):
            filter = pb.EventFilter(tenant="globex", kinds=[audit_record_pb2.EVENT_KIND_INVOCATION_SETTLED])
            call = stub.WatchEvents(pb.WatchEventsRequest(from_start=True, filter=filter))
            assert [sequence for sequence, _ in await read(call, 2)] == [5, 9]
            call.cancel()

    run(test)


@pytest.mark.parametrize("token", ["x", "AAAA", "AQAAAAAAAAAFAAAAAAAAAAA"])
def test_watch_refuses_a_token_of_another_log_or_of_none(tmp_path: Path, token: str) -> None:
    async def test() -> None:
        async with sidecar(tmp_path) as (_, stub):
            for call in (
                stub.WatchEvents(pb.WatchEventsRequest(resume_token=token)).read(),
                stub.AcknowledgeEvents(
                    pb.AcknowledgeEventsRequest(request_id="r", subscriber="collector", resume_token=token)
                ),
            ):
                assert (await refused(call)) == (*INVALID, {"violations": "1"}, ["resume_token"])

    run(test)


def test_watch_refuses_a_position_that_was_lost(tmp_path: Path) -> None:
    async def test() -> None:
        async with sidecar(tmp_path) as (life, stub):
            call = stub.WatchEvents(pb.WatchEventsRequest(from_start=True))
            (*_, (_, token)) = await read(call, 9)
            call.cancel()
            # As after a power cut that took away what was not flushed.
            life.store.put(Family.AUDIT, keys.audit(9), None)
            again = stub.WatchEvents(pb.WatchEventsRequest(resume_token=token))
            assert (await refused(again.read()))[:2] == INVALID

    run(test)


def test_watch_refuses_bad_names_and_kinds_all_at_once(tmp_path: Path) -> None:
    async def test() -> None:
        async with sidecar(tmp_path) as (_, stub):
            filter = pb.EventFilter(kinds=["EVENT_KIND_UNSPECIFIED", UNKNOWN_KIND], invocation="inv_1")
            call = stub.WatchEvents(pb.WatchEventsRequest(filter=filter))
            assert (await refused(call.read()))[3] == ["filter.kinds[0]", "filter.kinds[1]", "filter.invocation"]
            call = stub.WatchEvents(pb.WatchEventsRequest(subscriber="a b"))
            assert (await refused(call.read()))[3] == ["subscriber"]

    run(test)


def test_watch_has_a_bound_and_gives_places_back(tmp_path: Path) -> None:
    async def test() -> None:
        async with sidecar(tmp_path, max_watchers=1) as (life, stub):
            first = stub.WatchEvents(pb.WatchEventsRequest(from_start=True))
            await read(first, 1)
            second = stub.WatchEvents(pb.WatchEventsRequest(from_start=True))
            code, reason, _, _ = await refused(second.read())
            assert (code, reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL")
            first.cancel()
            while life.service.watchers:
                await asyncio.sleep(0)
            third = stub.WatchEvents(pb.WatchEventsRequest(from_start=True))
            await read(third, 1)
            third.cancel()

    run(test)


def test_watch_ends_when_the_store_cannot_be_read_or_the_log_is_damaged(tmp_path: Path) -> None:
    async def test() -> None:
        async with sidecar(tmp_path) as (life, stub):
            life.store.put(Family.AUDIT, keys.audit(4), None)
            call = stub.WatchEvents(pb.WatchEventsRequest(from_start=True))
            await read(call, 3)
            code, reason, metadata, _ = await refused(call.read())
            assert (code, reason, metadata) == (grpc.StatusCode.INTERNAL, "INTERNAL", {"sequence": "4"})
            life.store.broken = True
            call = stub.WatchEvents(pb.WatchEventsRequest(from_start=True))
            code, reason, _, _ = await refused(call.read())
            assert (code, reason) == (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")

    run(test)


# AcknowledgeEvents ---------------------------------------------------------------------------------------------------


def test_a_subscriber_goes_on_where_it_acknowledged(tmp_path: Path) -> None:
    async def test() -> None:
        store = FakeStore()
        async with sidecar(tmp_path, store) as (life, stub):
            life.commit(9)
            call = stub.WatchEvents(pb.WatchEventsRequest(subscriber="collector", from_start=True))
            tokens = [token for _, token in await read(call, 9)]
            call.cancel()
            request = pb.AcknowledgeEventsRequest(request_id="a", subscriber="collector", resume_token=tokens[5])
            assert (await stub.AcknowledgeEvents(request)).resume_token == tokens[5]
        async with sidecar(tmp_path, store) as (life, stub):
            call = stub.WatchEvents(pb.WatchEventsRequest(subscriber="collector"))
            assert [sequence for sequence, _ in await read(call, 3)] == [7, 8, 9]
            call.cancel()
            # A token says more than the acknowledgement; another subscriber has none.
            call = stub.WatchEvents(pb.WatchEventsRequest(subscriber="collector", resume_token=tokens[7]))
            assert [sequence for sequence, _ in await read(call, 1)] == [9]
            call.cancel()
            call = stub.WatchEvents(pb.WatchEventsRequest(subscriber="other", from_start=True))
            assert [sequence for sequence, _ in await read(call, 1)] == [1]
            call.cancel()

    run(test)


def test_acknowledgements_never_go_back_and_leave_no_record(tmp_path: Path) -> None:
    async def test() -> None:
        async with sidecar(tmp_path) as (life, stub):
            call = stub.WatchEvents(pb.WatchEventsRequest(from_start=True))
            tokens = [token for _, token in await read(call, 9)]
            call.cancel()
            answers = [
                (
                    await stub.AcknowledgeEvents(
                        pb.AcknowledgeEventsRequest(request_id=f"a{n}", subscriber="c", resume_token=tokens[n])
                    )
                ).resume_token
                for n in (3, 7, 2)
            ]
            assert answers == [tokens[3], tokens[7], tokens[7]]
            assert len(life.core.applied) == 3
            for command in life.core.applied:
                assert command.caller == command_pb2.Caller(operator="local")
                assert not command.control_write.HasField("record")

    run(test)


def test_an_acknowledgement_is_answered_once_for_a_request_id(tmp_path: Path) -> None:
    async def test() -> None:
        async with sidecar(tmp_path) as (life, stub):
            call = stub.WatchEvents(pb.WatchEventsRequest(from_start=True))
            tokens = [token for _, token in await read(call, 9)]
            call.cancel()

            def request(request_id: str, position: int) -> pb.AcknowledgeEventsRequest:
                return pb.AcknowledgeEventsRequest(request_id=request_id, subscriber="c", resume_token=tokens[position])

            first = await stub.AcknowledgeEvents(request("a", 3))
            await stub.AcknowledgeEvents(request("b", 7))
            life.now += 23 * 3_600_000_000_000
            assert await stub.AcknowledgeEvents(request("a", 3)) == first
            assert len(life.core.applied) == 2
            assert (await refused(stub.AcknowledgeEvents(request("a", 4))))[::3] == (INVALID[0], ["request_id"])
            assert (await refused(stub.AcknowledgeEvents(request("", 4))))[3] == ["request_id"]
            life.now += 2 * 3_600_000_000_000
            assert (await stub.AcknowledgeEvents(request("a", 4))).resume_token == tokens[7]

    run(test)


def test_an_acknowledgement_that_is_not_committed_is_not_answered(tmp_path: Path) -> None:
    async def test() -> None:
        async with sidecar(tmp_path) as (life, stub):
            call = stub.WatchEvents(pb.WatchEventsRequest(from_start=True))
            ((_, token),) = await read(call, 1)
            call.cancel()
            life.core.reject = command_pb2.Rejection(reason="STORE_UNAVAILABLE", message="the store takes no writes")
            request = pb.AcknowledgeEventsRequest(request_id="a", subscriber="c", resume_token=token)
            code, reason, _, _ = await refused(stub.AcknowledgeEvents(request))
            assert (code, reason) == (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")
            life.core.reject = None
            assert (await stub.AcknowledgeEvents(request)).resume_token == token

    run(test)


# ListEvents ----------------------------------------------------------------------------------------------------------


def test_list_pages_in_both_orders(tmp_path: Path) -> None:
    async def test() -> None:
        async with sidecar(tmp_path) as (_, stub):
            for descending in (False, True):
                request = pb.ListEventsRequest(page_size=4, descending=descending)
                found = []
                while True:
                    page = await stub.ListEvents(request)
                    found.append([event.record.sequence for event in page.events])
                    if not page.next_page_token:
                        break
                    request.page_token = page.next_page_token
                assert found == ([[9, 8, 7, 6], [5, 4, 3, 2], [1]] if descending else [[1, 2, 3, 4], [5, 6, 7, 8], [9]])

    run(test)


def test_list_of_an_invocation_uses_what_the_invocation_knows(tmp_path: Path) -> None:
    async def test() -> None:
        async with sidecar(tmp_path) as (life, stub):
            life.store.put_invocation(ended(sequences=[2, 3, 6, 7]))
            page = await stub.ListEvents(pb.ListEventsRequest(filter=pb.EventFilter(invocation=INVOCATION)))
            assert [event.record.sequence for event in page.events] == [2, 3, 6, 7]

    run(test)


def test_list_refuses_bad_pages(tmp_path: Path) -> None:
    async def test() -> None:
        async with sidecar(tmp_path) as (life, stub):
            token = (await stub.ListEvents(pb.ListEventsRequest(page_size=1))).next_page_token
            wrong = {
                "page_size": pb.ListEventsRequest(page_size=-1),
                "filter.invocation": pb.ListEventsRequest(filter=pb.EventFilter(invocation="x")),
            }
            for field, request in wrong.items():
                assert (await refused(stub.ListEvents(request))) == (*INVALID, {"violations": "1"}, [field])
            for request in (
                pb.ListEventsRequest(page_token="x"),
                pb.ListEventsRequest(page_token=token, descending=True),
                pb.ListEventsRequest(page_token=token, filter=pb.EventFilter(tenant="acme")),
            ):
                assert (await refused(stub.ListEvents(request)))[3] == ["page_token"]
            life.store.broken = True
            code, reason, _, _ = await refused(stub.ListEvents(pb.ListEventsRequest()))
            assert (code, reason) == (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")

    run(test)


# ExplainInvocation ---------------------------------------------------------------------------------------------------


def test_explain_tells_everything_in_order(tmp_path: Path) -> None:
    async def test() -> None:
        async with sidecar(tmp_path) as (life, stub):
            life.store.put_invocation(ended())
            explained = await stub.ExplainInvocation(pb.ExplainInvocationRequest(invocation=INVOCATION))
            assert explained.invocation == INVOCATION
            assert explained.state == audit_record_pb2.INVOCATION_STATE_SETTLED
            assert [event.record.sequence for event in explained.events] == [2, 3]
            assert explained.narrative[0].startswith("2026-11-18 11:06:42.000 UTC: agent support-bot of tenant acme")
            assert explained.narrative[-1].endswith(
                "recorded in record 2, before the first attempt (attempts are reported in record 3)."
            )

    run(test)


def test_explain_refuses_what_is_not_there(tmp_path: Path) -> None:
    async def test() -> None:
        async with sidecar(tmp_path) as (_, stub):
            code, reason, metadata, _ = await refused(
                stub.ExplainInvocation(pb.ExplainInvocationRequest(invocation=OTHER))
            )
            assert (code, reason) == (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")
            assert metadata == {"invocation": OTHER}
            answer = await refused(stub.ExplainInvocation(pb.ExplainInvocationRequest(invocation="inv_1")))
            assert answer == (*INVALID, {"violations": "1"}, ["invocation"])

    run(test)


def test_a_tool_call_is_explained_by_its_grant_or_its_approval_and_its_records_are_listed(tmp_path: Path) -> None:
    async def test() -> None:
        async with sidecar(tmp_path, stored(is_open=False)) as (_, stub):
            for name in (CALL, f"approvals/{APPROVAL}"):
                explained = await stub.ExplainInvocation(pb.ExplainInvocationRequest(invocation=name))
                assert (explained.invocation, explained.state) == (CALL, 0)
                assert explained.tool_call_state == audit_record_pb2.TOOL_CALL_STATE_SUCCEEDED
                assert explained.narrative[-1].startswith("Order: votes in records 3, 4, granted in record 5")
            page = await stub.ListEvents(pb.ListEventsRequest(filter=pb.EventFilter(invocation=CALL)))
            assert [event.record.sequence for event in page.events] == [2, 3, 4, 5, 6, 7]
            unknown = CALL[:-1] + "0"
            found = await refused(stub.ExplainInvocation(pb.ExplainInvocationRequest(invocation=unknown)))
            assert found[:2] == (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")

    run(test)


# ExplainRun ----------------------------------------------------------------------------------------------------------


def test_a_run_is_explained_and_its_records_are_listed_and_watched(tmp_path: Path) -> None:
    async def test() -> None:
        async with sidecar(tmp_path, run_records.stored()) as (_, stub):
            explained = await stub.ExplainRun(pb.ExplainRunRequest(name=run_records.NAME))
            assert (explained.name, explained.state) == (run_records.NAME, run_pb2.RUN_STATE_COMPENSATED)
            assert [event.record.sequence for event in explained.events] == list(range(2, 24))
            assert "agent support-bot of tenant acme started a run" in explained.narrative[0]
            own = [made.sequence for made in run_records.story() if made.HasField("run") or made.HasField("step")]
            only = pb.EventFilter(run=run_records.NAME)
            page = await stub.ListEvents(pb.ListEventsRequest(filter=only))
            assert [event.record.sequence for event in page.events] == own
            newest = await stub.ListEvents(pb.ListEventsRequest(filter=only, descending=True, page_size=2))
            assert [event.record.sequence for event in newest.events] == own[:-3:-1]
            stream = stub.WatchEvents(pb.WatchEventsRequest(from_start=True, filter=only))
            assert [(await stream.read()).event.record.sequence for _ in own] == own
            stream.cancel()
            nothing = pb.EventFilter(run=f"runs/{run_records.OTHER_RUN}")
            assert not (await stub.ListEvents(pb.ListEventsRequest(filter=nothing))).events

    run(test)


def test_a_run_that_is_not_there_or_has_an_impossible_name_is_not_explained(tmp_path: Path) -> None:
    async def test() -> None:
        async with sidecar(tmp_path) as (life, stub):
            found = await refused(stub.ExplainRun(pb.ExplainRunRequest(name=run_records.NAME)))
            assert found[:3] == (grpc.StatusCode.NOT_FOUND, "NOT_FOUND", {"name": run_records.NAME})
            found = await refused(stub.ExplainRun(pb.ExplainRunRequest(name=run_records.RUN)))
            assert found == (*INVALID, {"violations": "1"}, ["name"])
            for filter, bad in (
                (pb.EventFilter(run="x"), ["filter.run"]),
                (pb.EventFilter(run=run_records.NAME, invocation=INVOCATION), ["filter.invocation"]),
            ):
                assert (await refused(stub.ListEvents(pb.ListEventsRequest(filter=filter))))[3] == bad
            life.store.broken = True
            found = await refused(stub.ExplainRun(pb.ExplainRunRequest(name=run_records.NAME)))
            assert found[:2] == (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")

    run(test)


# VerifyChain ---------------------------------------------------------------------------------------------------------


def test_verify_an_untouched_log(tmp_path: Path) -> None:
    async def test() -> None:
        async with sidecar(tmp_path) as (_, stub):
            result = await stub.VerifyChain(pb.VerifyChainRequest())
            assert result == pb.VerifyChainResponse(
                valid=True, checked=9, head_sequence=9, head_hash=LOG[8].record_hash, first_sequence=1
            )
            result = await stub.VerifyChain(pb.VerifyChainRequest(from_sequence=3, to_sequence=5))
            assert (result.valid, result.checked, result.head_sequence) == (True, 3, 5)

    run(test)


def test_verify_finds_damage_and_a_lost_end(tmp_path: Path) -> None:
    async def test() -> None:
        async with sidecar(tmp_path) as (life, stub):
            life.store.put(Family.AUDIT, keys.audit(9), None)
            result = await stub.VerifyChain(pb.VerifyChainRequest())
            assert (result.valid, result.first_invalid_sequence, result.head_sequence) == (False, 9, 8)
            life.store.put(Family.AUDIT, keys.audit(5), bytes(64))
            result = await stub.VerifyChain(pb.VerifyChainRequest())
            assert (result.valid, result.first_invalid_sequence, result.checked) == (False, 5, 4)
            assert result.problem

    run(test)


def test_verify_refuses_an_absurd_range(tmp_path: Path) -> None:
    async def test() -> None:
        async with sidecar(tmp_path) as (_, stub):
            for first, last, field in ((5, 4, "to_sequence"), (1 << 63, 0, "from_sequence")):
                request = pb.VerifyChainRequest(from_sequence=first, to_sequence=last)
                assert (await refused(stub.VerifyChain(request))) == (*INVALID, {"violations": "1"}, [field])

    run(test)
