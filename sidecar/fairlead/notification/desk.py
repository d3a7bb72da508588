"""Use cases of operators: what waits and what was given up, try it again, drop it, test a receiver."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from fairlead.control.commands import to_the_end
from fairlead.control.errors import Refusal, invalid_argument
from fairlead.control.requests import ControlRequest
from fairlead.internal.v1 import outbox_pb2
from fairlead.notification import chat, store
from fairlead.notification.document import encoded, trial
from fairlead.notification.model import Verdict
from fairlead.notification.paging import InvalidName, InvalidToken, PageToken, delivery_name, parse_name
from fairlead.notification.queue import Waiting
from fairlead.notification.recording import changed
from fairlead.notification.sending import Sender
from fairlead.notification.service import Outbox
from fairlead.v1 import notification_service_pb2 as pb

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 1000
# In one commit unit.
MAX_RETRIED = 1000
_BOTH = (False, True)
_STATES = {pb.DELIVERY_STATE_PENDING: (False,), pb.DELIVERY_STATE_DEAD: (True,), 0: _BOTH}

_Answer = TypeVar("_Answer", bound=Message)


class NotificationDeskService:
    """The outbox as operators see it: of all tenants. Belongs to one event loop."""

    def __init__(
        self,
        outbox: Outbox,
        sender: Sender,
        reader: store.Reader,
        clock: Callable[[], int],
        stopwatch: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """`clock` gives Unix nanoseconds, `stopwatch` nanoseconds since whenever."""
        self._outbox = outbox
        self._sender = sender
        self._reader = reader
        self._clock = clock
        self._stopwatch = stopwatch

    async def page(self, request: pb.ListDeliveriesRequest) -> pb.ListDeliveriesResponse:
        """One page: what waits, then what was given up, by receiver and sequence."""
        wrong = []
        if request.page_size < 0:
            wrong.append(("page_size", "must not be negative"))
        if request.state not in _STATES:
            wrong.append(("state", "must be PENDING or DEAD, or unspecified for both"))
        if wrong:
            raise invalid_argument(*wrong)
        after = None
        if request.page_token:
            try:
                after = PageToken.decode(request)
            except InvalidToken as error:
                raise invalid_argument(("page_token", str(error))) from error
        size = min(request.page_size or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)
        return await asyncio.to_thread(self._page, request, after, size)

    async def retry(self, request: pb.RetryDeliveriesRequest, operator: str) -> pb.RetryDeliveriesResponse:
        """Tries deliveries again, once per request id."""
        identity = ControlRequest.of(request, method="RetryDeliveries", caller=operator)
        if bool(request.names) == bool(request.receiver):
            raise invalid_argument(("names", "name either deliveries or a receiver"))
        if len(request.names) > MAX_RETRIED:
            raise invalid_argument(("names", f"are more than {MAX_RETRIED}"))
        names = list(dict.fromkeys(_parsed(f"names[{index}]", name) for index, name in enumerate(request.names)))
        return await to_the_end(self._retry(request.receiver, names, identity))

    async def drop(self, request: pb.DropDeliveryRequest, operator: str) -> pb.DropDeliveryResponse:
        """Removes a delivery, once per request id."""
        identity = ControlRequest.of(request, method="DropDelivery", caller=operator)
        return await to_the_end(self._drop(*_parsed("name", request.name), identity))

    async def test(self, request: pb.TestReceiverRequest) -> pb.TestReceiverResponse:
        """Sends a test notification, once, whatever waits."""
        lane = self._outbox.lane(request.receiver)
        if lane is None:
            raise _unknown_receiver(request.receiver)
        # Unlike that of a notification, it is another one every time: nothing is tried again.
        message_id = f"ntf_test_{os.urandom(12).hex()}"
        document = trial(request.receiver, self._clock())
        body = encoded(chat.message(document) if lane.receiver.chat else document)
        began = self._stopwatch()
        answer = await self._sender.send(lane.receiver, message_id, body)
        response = pb.TestReceiverResponse(
            delivered=answer.verdict is Verdict.DELIVERED,
            status_code=answer.status_code,
            problem=answer.problem,
            id=message_id,
        )
        response.latency.FromNanoseconds(self._stopwatch() - began)
        return response

    def _page(self, request: pb.ListDeliveriesRequest, after: PageToken | None, size: int) -> pb.ListDeliveriesResponse:
        response = pb.ListDeliveriesResponse()
        last: PageToken | None = None
        for dead, one in self._listed(request, after, size + 1):
            if len(response.deliveries) == size and last is not None:
                response.next_page_token = last.encode(request)
                break
            response.deliveries.append(_told(one))
            last = PageToken(dead, one.receiver, one.sequence)
        return response

    def _listed(
        self, request: pb.ListDeliveriesRequest, after: PageToken | None, most: int
    ) -> Iterator[tuple[bool, outbox_pb2.OutboxDelivery]]:
        receivers = [request.receiver] if request.receiver else sorted(self._outbox.deliveries.cursors())
        for dead in _STATES[request.state]:
            for receiver in receivers:
                behind = None
                if after is not None:
                    if (dead, receiver) < (after.dead, after.receiver):
                        continue
                    behind = after.sequence if (dead, receiver) == (after.dead, after.receiver) else None
                for one in self._outbox.deliveries.of(receiver, dead=dead, after=behind, limit=most):
                    yield dead, one

    async def _retry(
        self, receiver: str, names: Sequence[tuple[str, int]], identity: ControlRequest
    ) -> pb.RetryDeliveriesResponse:
        async with self._outbox.changing:
            first = await self._first_answer(identity, pb.RetryDeliveriesResponse)
            if first is not None:
                return first
            found = await asyncio.to_thread(self._found, receiver, names)
            more = not names and len(found) > MAX_RETRIED
            found = found[:MAX_RETRIED]
            response = pb.RetryDeliveriesResponse(retried=len(found), more=more)
            writes = [identity.write(response, self._clock())]
            for one in found:
                was_dead = bool(one.dead_time_unix_nanos)
                one.dead_time_unix_nanos = one.next_attempt_unix_nanos = 0
                one.attempts, one.receiver_rests = 0, False
                writes += store.move(one) if was_dead else [store.put(one)]
            receivers = ", ".join(sorted({one.receiver for one in found}))
            record = changed("retried", {"receiver": receivers, "deliveries": len(found)}) if found else None
            await self._outbox.recorder.write(writes, record=record, power=True, operator=identity.caller)
            for one in found:
                lane = self._outbox.lane(one.receiver)
                if lane is not None:
                    lane.dead.discard(one.sequence)
                    lane.queue.put(one.sequence, Waiting(0, 0, one.create_time_unix_nanos))
                    lane.queue.rest(0, lane.queue.failures)
                    lane.woken.set()
            return response

    def _found(self, receiver: str, names: Sequence[tuple[str, int]]) -> list[outbox_pb2.OutboxDelivery]:
        """What is to be tried again; raises `Refusal` when a name is not there."""
        deliveries = self._outbox.deliveries
        if receiver:
            if self._outbox.lane(receiver) is None:
                raise _unknown_receiver(receiver)
            return list(deliveries.of(receiver, dead=True, limit=MAX_RETRIED + 1))
        return [self._existing(*name) for name in names]

    def _existing(self, receiver: str, sequence: int) -> outbox_pb2.OutboxDelivery:
        for dead in _BOTH:
            found = self._outbox.deliveries.get(receiver, sequence, dead=dead)
            if found is not None:
                return found
        name = delivery_name(receiver, sequence)
        raise Refusal("NOT_FOUND", f"{name} is not there: it was delivered, dropped or never kept", {"name": name})

    async def _drop(self, receiver: str, sequence: int, identity: ControlRequest) -> pb.DropDeliveryResponse:
        async with self._outbox.changing:
            first = await self._first_answer(identity, pb.DropDeliveryResponse)
            if first is not None:
                return first
            found = await asyncio.to_thread(self._existing, receiver, sequence)
            response = pb.DropDeliveryResponse(delivery=_told(found))
            dead = bool(found.dead_time_unix_nanos)
            writes = [store.delete(receiver, sequence, dead=dead), identity.write(response, self._clock())]
            record = changed(
                "dropped", {"receiver": receiver, "sequence": sequence, "id": found.id, "event": found.event}
            )
            await self._outbox.recorder.write(writes, record=record, power=True, operator=identity.caller)
            lane = self._outbox.lane(receiver)
            if lane is not None:
                lane.queue.remove(sequence)
                lane.dead.discard(sequence)
                self._outbox.made_room()
            return response

    async def _first_answer(self, identity: ControlRequest, answer: type[_Answer]) -> _Answer | None:
        return await asyncio.to_thread(identity.first_answer, self._reader, answer, self._clock())


def _parsed(field: str, name: str) -> tuple[str, int]:
    try:
        return parse_name(name)
    except InvalidName as error:
        raise invalid_argument((field, str(error))) from error


def _unknown_receiver(name: str) -> Refusal:
    return Refusal("NOT_FOUND", f"no receiver of the configuration is called {name}", {"receiver": name})


def _told(one: outbox_pb2.OutboxDelivery) -> pb.Delivery:
    """As the API gives it."""
    dead = bool(one.dead_time_unix_nanos)
    return pb.Delivery(
        name=delivery_name(one.receiver, one.sequence),
        receiver=one.receiver,
        sequence=one.sequence,
        id=one.id,
        event=one.event,
        tenant=one.tenant,
        approval=one.approval,
        state=pb.DELIVERY_STATE_DEAD if dead else pb.DELIVERY_STATE_PENDING,
        attempts=one.attempts,
        create_time=_time(one.create_time_unix_nanos),
        last_attempt_time=_time(one.last_attempt_unix_nanos),
        next_attempt_time=None if dead else _time(one.next_attempt_unix_nanos or one.create_time_unix_nanos),
        dead_time=_time(one.dead_time_unix_nanos),
        problem=one.problem,
    )


def _time(unix_nanos: int) -> Timestamp | None:
    if not unix_nanos:
        return None
    time = Timestamp()
    time.FromNanoseconds(unix_nanos)
    return time
