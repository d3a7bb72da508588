"""Every method of NotificationService: the happy path and each documented refusal."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from fairlead.control.notification_service import NotificationServicer
from fairlead.notification.desk import MAX_RETRIED, NotificationDeskService
from fairlead.notification.model import answer_of, unreachable
from fairlead.notification.service import Outbox
from fairlead.v1 import notification_service_pb2 as pb
from fairlead.v1 import notification_service_pb2_grpc
from tests.contract.control import refused, served
from tests.unit.audit.records import T0
from tests.unit.notification.fakes import SECOND, World, drain, receiver

INVALID = (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT")
NOT_FOUND = (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")


class Desk:
    """The service over an outbox with two receivers; attempts are made when the test says so."""

    def __init__(self) -> None:
        self.world = World()
        self.outbox: Outbox = self.world.outbox()
        self.stub: Any = None

    async def say(self, count: int = 1) -> None:
        for _ in range(count):
            self.world.say()
        await drain(self.outbox)

    async def attempt(self, *names: str) -> None:
        for name in names or ("desk", "other"):
            while await self.outbox.deliver_once(name) == 0:
                pass

    async def listed(self, **fields: Any) -> list[str]:
        page = await self.stub.ListDeliveries(pb.ListDeliveriesRequest(**fields))
        return [one.name for one in page.deliveries]


def scenario(directory: Path, test: Callable[[Desk], Awaitable[None]]) -> None:
    async def main() -> None:
        desk = Desk()
        desk.outbox.configure([receiver(), receiver("other")], 10_000)
        await desk.outbox.load()
        await drain(desk.outbox)
        ticks = iter(range(0, 10**12, 5_000_000))
        service = NotificationDeskService(
            desk.outbox, desk.world.sender, desk.world.store, lambda: desk.world.now, lambda: next(ticks)
        )

        def register(server: grpc.aio.Server) -> None:
            notification_service_pb2_grpc.add_NotificationServiceServicer_to_server(
                NotificationServicer(service), server
            )

        async with asyncio.timeout(30), served(directory, register) as channel:
            desk.stub = notification_service_pb2_grpc.NotificationServiceStub(channel)
            await test(desk)

    asyncio.run(main())


def name(receiver: str, sequence: int) -> str:
    return f"receivers/{receiver}/deliveries/{sequence}"


# ListDeliveries ------------------------------------------------------------------------------------------------------


def test_deliveries_say_what_they_are_about_and_why_they_wait(tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        desk.world.sender.answers = lambda to, sent: unreachable("the connection is refused")
        await desk.say()
        page = await desk.stub.ListDeliveries(pb.ListDeliveriesRequest())
        assert [one.name for one in page.deliveries] == [name("desk", 1), name("other", 1)]
        assert page.deliveries[0].next_attempt_time.ToNanoseconds() == T0
        await desk.attempt("desk")
        (one,) = (await desk.stub.ListDeliveries(pb.ListDeliveriesRequest(receiver="desk"))).deliveries
        assert (one.receiver, one.sequence, one.event, one.tenant) == ("desk", 1, "approval.voted", "acme")
        assert one.id == desk.world.sender.ids()[0]
        assert (one.state, one.attempts, one.problem) == (pb.DELIVERY_STATE_PENDING, 1, "the connection is refused")
        assert one.last_attempt_time.ToNanoseconds() == T0 and not one.HasField("dead_time")
        assert one.next_attempt_time.ToNanoseconds() == T0 + SECOND * 3 // 4
        desk.world.sender.answers = lambda to, sent: answer_of(410)
        desk.world.now += SECOND
        await desk.attempt("desk")
        (one,) = (await desk.stub.ListDeliveries(pb.ListDeliveriesRequest(receiver="desk"))).deliveries
        assert (one.state, one.dead_time.ToNanoseconds()) == (pb.DELIVERY_STATE_DEAD, T0 + SECOND)
        assert not one.HasField("next_attempt_time")

    scenario(tmp_path, test)


def test_they_are_listed_page_by_page_what_waits_first(tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        await desk.say(2)
        desk.world.sender.answers = lambda to, sent: answer_of(410)
        await desk.attempt("desk")
        await desk.say(2)
        everything = [
            *(name("desk", sequence) for sequence in (3, 4)),
            *(name("other", sequence) for sequence in (1, 2, 3, 4)),
            *(name("desk", sequence) for sequence in (1, 2)),
        ]
        assert await desk.listed() == everything
        for size in (1, 2, 3, 8):
            found, request = [], pb.ListDeliveriesRequest(page_size=size)
            while True:
                page = await desk.stub.ListDeliveries(request)
                assert len(page.deliveries) <= size
                found += [one.name for one in page.deliveries]
                request.page_token = page.next_page_token
                if not page.next_page_token:
                    break
            assert found == everything, size
        assert await desk.listed(state=pb.DELIVERY_STATE_DEAD) == everything[-2:]
        assert await desk.listed(state=pb.DELIVERY_STATE_PENDING, receiver="desk") == everything[:2]
        assert await desk.listed(receiver="nobody") == []

    scenario(tmp_path, test)


def test_bad_pages_are_refused(tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        await desk.say()
        page = await desk.stub.ListDeliveries(pb.ListDeliveriesRequest(page_size=1))
        token = page.next_page_token
        for fields, bad in (
            ({"page_size": -1}, "page_size"),
            ({"state": 9}, "state"),
            ({"page_token": "nonsense"}, "page_token"),
            ({"page_token": token + "="}, "page_token"),
            ({"page_token": token, "receiver": "desk"}, "page_token"),
        ):
            found = await refused(desk.stub.ListDeliveries(pb.ListDeliveriesRequest(**fields)))
            assert (found[:2], found[3]) == (INVALID, [bad])

    scenario(tmp_path, test)


# RetryDeliveries -----------------------------------------------------------------------------------------------------


def retrying(request_id: str = "r-1", **fields: Any) -> pb.RetryDeliveriesRequest:
    return pb.RetryDeliveriesRequest(request_id=request_id, **fields)


def test_what_was_given_up_is_tried_again_under_its_id_and_that_is_recorded(tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        desk.world.sender.answers = lambda to, sent: answer_of(410)
        await desk.say(2)
        await desk.attempt()
        before = desk.world.sender.ids()
        answer = await desk.stub.RetryDeliveries(retrying(receiver="desk"))
        assert (answer.retried, answer.more) == (2, False)
        unit = desk.world.core.applied[-1]
        assert (unit.caller.operator, unit.control_write.power) == ("local", True)
        assert unit.control_write.record.subject == "notification.retried"
        desk.world.sender.answers = lambda to, sent: answer_of(200)
        await desk.attempt("desk")
        assert desk.world.sender.ids() == before * 2
        assert await desk.listed() == [name("other", 1), name("other", 2)]
        # The same request again changes nothing.
        assert await desk.stub.RetryDeliveries(retrying(receiver="desk")) == answer
        assert (await desk.stub.RetryDeliveries(retrying("r-2", receiver="desk"))).retried == 0

    scenario(tmp_path, test)


def test_what_waits_is_tried_at_once(tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        desk.world.sender.answers = lambda to, sent: unreachable("down")
        await desk.say()
        await desk.attempt("desk")
        desk.world.sender.answers = lambda to, sent: answer_of(200)
        await desk.attempt("desk")
        assert len(desk.world.sender.ids()) == 1
        assert (await desk.stub.RetryDeliveries(retrying(names=[name("desk", 1)] * 2))).retried == 1
        await desk.attempt("desk")
        assert await desk.listed(receiver="desk") == []

    scenario(tmp_path, test)


def test_very_many_are_tried_in_parts(tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        desk.world.sender.answers = lambda to, sent: answer_of(410)
        await desk.say(MAX_RETRIED + 1)
        await desk.attempt("desk")
        first = await desk.stub.RetryDeliveries(retrying(receiver="desk"))
        second = await desk.stub.RetryDeliveries(retrying("r-2", receiver="desk"))
        assert [(one.retried, one.more) for one in (first, second)] == [(MAX_RETRIED, True), (1, False)]

    scenario(tmp_path, test)


@pytest.mark.parametrize(
    ("fields", "code", "bad"),
    [
        ({"request_id": "", "receiver": "desk"}, INVALID, ["request_id"]),
        ({}, INVALID, ["names"]),
        ({"receiver": "desk", "names": [name("desk", 1)]}, INVALID, ["names"]),
        ({"names": [name("desk", 1), "desk/1"]}, INVALID, ["names[1]"]),
        ({"names": [name("desk", 0)]}, INVALID, ["names[0]"]),
        ({"names": [name("desk", 10**18 * 10)]}, INVALID, ["names[0]"]),
        ({"names": [name("desk", 1)] * (MAX_RETRIED + 1)}, INVALID, ["names"]),
        ({"names": [name("desk", 1), name("desk", 7)]}, NOT_FOUND, []),
        ({"receiver": "nobody"}, NOT_FOUND, []),
    ],
)
def test_what_cannot_be_tried_again(tmp_path: Path, fields: dict[str, Any], code: Any, bad: list[str]) -> None:
    async def test(desk: Desk) -> None:
        await desk.say()
        found = await refused(desk.stub.RetryDeliveries(pb.RetryDeliveriesRequest(**{"request_id": "r-1", **fields})))
        assert (found[:2], found[3]) == (code, bad)

    scenario(tmp_path, test)


# DropDelivery --------------------------------------------------------------------------------------------------------


def test_a_delivery_that_is_dropped_is_not_sent(tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        await desk.say(2)
        dropping = pb.DropDeliveryRequest(request_id="d-1", name=name("desk", 1))
        dropped = (await desk.stub.DropDelivery(dropping)).delivery
        assert (dropped.name, dropped.state) == (name("desk", 1), pb.DELIVERY_STATE_PENDING)
        record = desk.world.core.applied[-1].control_write.record
        assert record.subject == "notification.dropped" and record.detail["id"] == dropped.id
        assert (await desk.stub.DropDelivery(dropping)).delivery == dropped
        await desk.attempt("desk")
        assert len(desk.world.sender.ids()) == 1 and dropped.id not in desk.world.sender.ids()

    scenario(tmp_path, test)


def test_one_that_is_dropped_while_it_is_sent_stays_dropped(tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        await desk.say()
        sending, go_on = asyncio.Event(), asyncio.Event()
        send = desk.world.sender.send

        async def slow(*arguments: Any) -> Any:
            sending.set()
            await go_on.wait()
            return await send(*arguments)

        desk.world.sender.send = slow  # type: ignore[method-assign]
        desk.world.sender.answers = lambda to, sent: unreachable("down")
        attempt = asyncio.ensure_future(desk.outbox.deliver_once("desk"))
        await sending.wait()
        await desk.stub.DropDelivery(pb.DropDeliveryRequest(request_id="d-1", name=name("desk", 1)))
        go_on.set()
        await attempt
        assert await desk.listed(receiver="desk") == []
        assert await desk.outbox.deliver_once("desk") is None

    scenario(tmp_path, test)


def test_what_cannot_be_dropped(tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        await desk.say()
        for fields, code, bad in (
            ({"name": name("desk", 1)}, INVALID, ["request_id"]),
            ({"request_id": "d-1", "name": "desk"}, INVALID, ["name"]),
            ({"request_id": "d-1", "name": name("desk", 2)}, NOT_FOUND, []),
            ({"request_id": "d-1", "name": name("nobody", 1)}, NOT_FOUND, []),
        ):
            found = await refused(desk.stub.DropDelivery(pb.DropDeliveryRequest(**fields)))
            assert (found[:2], found[3]) == (code, bad)

    scenario(tmp_path, test)


# TestReceiver --------------------------------------------------------------------------------------------------------


def test_a_test_is_sent_once_past_everything_that_waits(tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        await desk.say()
        taken = await desk.stub.TestReceiver(pb.TestReceiverRequest(receiver="desk"))
        ((to, sent_id, body),) = desk.world.sender.sent
        assert (to, sent_id) == ("desk", taken.id) and b"notification.test" in body
        assert (taken.delivered, taken.status_code, taken.problem) == (True, 200, "")
        assert taken.latency.ToMilliseconds() == 5
        desk.world.sender.answers = lambda to, sent: unreachable("the connection is refused")
        failed = await desk.stub.TestReceiver(pb.TestReceiverRequest(receiver="desk"))
        assert (failed.delivered, failed.status_code) == (False, 0) and failed.problem == "the connection is refused"
        assert failed.id != taken.id and len(await desk.listed(receiver="desk")) == 1
        found = await refused(desk.stub.TestReceiver(pb.TestReceiverRequest(receiver="nobody")))
        assert found[:2] == NOT_FOUND

    scenario(tmp_path, test)
