"""Use cases of consumers: register, acknowledge, list, skip, remove, and say who was left behind.

A position is written by the core like everything else, so what is answered is durable. What is in memory is a copy of
what is committed: it is changed after the commit, and only here.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import TypeVar

from google.protobuf.message import Message

from fairlead.audit.consumers import store
from fairlead.audit.consumers.model import NAME_RULE, Consumer, ConsumerLimits, is_name
from fairlead.audit.faults import NOT_IN_LOG, faults_refused
from fairlead.audit.model import parse_record
from fairlead.audit.store import AuditLog, Reader
from fairlead.audit.tokens import Position
from fairlead.audit.trimming.beginning import Beginning, LogTrimmed
from fairlead.audit.watch import Feed
from fairlead.config.sections.limits import Limits
from fairlead.control.commands import Core, apply, to_the_end
from fairlead.control.errors import Refusal, invalid_argument
from fairlead.control.requests import ControlRequest, reason_violations
from fairlead.internal.v1 import command_pb2
from fairlead.store import StoreUnavailable
from fairlead.v1 import audit_record_pb2, audit_service_pb2

REMOVED, LEFT_BEHIND, CAUGHT_UP = "audit.consumer_removed", "audit.consumer_left_behind", "audit.consumer_caught_up"
SKIPPED = "audit.records_skipped"
MISSED = "audit.records_missed"
CHECK_INTERVAL_SECONDS = 5.0

_Answer = TypeVar("_Answer", bound=Message)
_log = logging.getLogger(__name__)


class Consumers:
    """The named consumers of one log. Belongs to one event loop."""

    def __init__(
        self,
        core: Core,
        reader: Reader,
        feed: Feed,
        clock: Callable[[], int],
        limits: Callable[[], ConsumerLimits] = lambda: ConsumerLimits.of(Limits()),
    ) -> None:
        """`clock` gives Unix nanoseconds, `limits` what the running configuration says."""
        self._core = core
        self._reader = reader
        self._feed = feed
        self._clock = clock
        self._limits = limits
        self._log = AuditLog(reader)
        self._known: dict[str, Consumer] | None = None
        self._beginning = Beginning()
        self._streams: Counter[str] = Counter()
        # Positions never go back and a request id answers once: one change at a time.
        self._changing = asyncio.Lock()
        self._skipped = asyncio.Event()

    @property
    def limits(self) -> ConsumerLimits:
        """The bounds in force."""
        return self._limits()

    @property
    def head(self) -> int:
        """Sequence of the last committed record."""
        return self._feed.sequence

    @property
    def beginning(self) -> Beginning:
        """Where the log begins, once the consumers were read."""
        return self._beginning

    def begins(self, beginning: Beginning) -> None:
        """The log begins there from now on."""
        self._beginning = beginning

    def missed(self, consumer: Consumer) -> int:
        """Records that were trimmed before the consumer acknowledged them."""
        return consumer.missed + max(0, self._beginning.size - consumer.position.sequence)

    async def load(self) -> dict[str, Consumer]:
        """All consumers by name, from memory once they were read; raises `Refusal`."""
        if self._known is None:
            with faults_refused():
                self._beginning = await asyncio.to_thread(self._log.beginning)
                found = await asyncio.to_thread(lambda: list(store.ConsumerRecords(self._reader).all()))
            # Whoever came first has read the same; what was changed since must not be lost.
            if self._known is None:
                self._known = {consumer.name: consumer for consumer in found}
        return self._known

    def loaded(self) -> list[Consumer]:
        """As far as they were read, by name; does not block."""
        return [consumer for _, consumer in sorted((self._known or {}).items())]

    def streams(self, name: str) -> int:
        """Streams that are open under a name."""
        return self._streams[name]

    @contextmanager
    def streaming(self, name: str) -> Iterator[None]:
        """While a stream is open under a name; the empty name counts for nobody."""
        self._streams[name] += bool(name)
        try:
            yield
        finally:
            self._streams[name] -= bool(name)
            self._streams += Counter()

    async def get(self, name: str) -> Consumer | None:
        """One consumer, or None."""
        return (await self.load()).get(name)

    async def register(self, name: str, start: Position) -> Consumer:
        """The consumer of that name, remembered at `start` when it is new."""
        known = await self.load()
        return known[name] if name in known else await to_the_end(self._register(name, start))

    async def acknowledge(
        self, request: audit_service_pb2.AcknowledgeEventsRequest, given: Position, operator: str
    ) -> audit_service_pb2.AcknowledgeEventsResponse:
        """Remembers how far a consumer has come; an older position changes nothing."""
        check_name("subscriber", request.subscriber)
        identity = ControlRequest.of(request, method="AcknowledgeEvents", caller=operator)
        return await to_the_end(self._acknowledge(request.subscriber, given, identity))

    async def advance(self, name: str, position: Position) -> None:
        """The same for a reader inside the sidecar, which needs no request id."""
        await to_the_end(self._advance(name, position))

    async def listed(self) -> audit_service_pb2.ListConsumersResponse:
        """All consumers as the API gives them."""
        await self.load()
        return audit_service_pb2.ListConsumersResponse(consumers=[self._shown(one) for one in self.loaded()])

    async def remove(
        self, request: audit_service_pb2.RemoveConsumerRequest, operator: str
    ) -> audit_service_pb2.RemoveConsumerResponse:
        """Forgets a consumer; recorded, because nothing waits for it any more."""
        identity = ControlRequest.of(request, method="RemoveConsumer", caller=operator)
        return await to_the_end(self._remove(request.name, identity))

    async def skip(
        self, request: audit_service_pb2.SkipEventsRequest, operator: str
    ) -> audit_service_pb2.SkipEventsResponse:
        """Moves a consumer behind records that it cannot take; recorded, because it will never have them from here."""
        wrong = []
        if not 0 < request.to_sequence < 1 << 63:
            wrong.append(("to_sequence", "is not the sequence of a record"))
        wrong += reason_violations(request.reason, for_ever=True)
        if wrong:
            raise invalid_argument(*wrong)
        identity = ControlRequest.of(request, method="SkipEvents", caller=operator)
        return await to_the_end(self._skip(request, identity))

    def sequence(self, name: str) -> int:
        """Sequence of the last record that a consumer has acknowledged or passed over, as far as was read."""
        consumer = (self._known or {}).get(name)
        return 0 if consumer is None else consumer.position.sequence

    async def skipped(self, name: str, sequence: int) -> None:
        """Waits until an operator has moved a consumer beyond `sequence`, or somebody did before."""
        while self.sequence(name) <= sequence:
            await self._skipped.wait()

    async def unread_since(self) -> int | None:
        """Time of the oldest record, Unix nanoseconds, that a consumer has not acknowledged; None when there is none.
        Those that were left behind count not. Raises `Refusal`."""
        times: list[int] = []
        bound = self._limits().lag
        for consumer in (await self.load()).values():
            if 0 < consumer.lag(self.head) <= bound:
                with faults_refused():
                    unread = await asyncio.to_thread(self._log.record, consumer.position.sequence + 1)
                    if unread is not None:
                        times.append(parse_record(unread.record_bytes).time_unix_nanos)
        return min(times, default=None)

    def read_up_to(self, lag: int) -> int:
        """The last record that everybody has acknowledged who is at most `lag` records behind."""
        waited_for = (one.position.sequence for one in self.loaded() if one.lag(self.head) <= lag)
        return min(waited_for, default=self.head)

    @asynccontextmanager
    async def still(self) -> AsyncIterator[None]:
        """While no consumer is new, moves or goes."""
        await self.load()
        async with self._changing:
            yield

    async def miss(self, name: str, beginning: Beginning) -> None:
        """Moves a consumer to where the log begins, and records how many records it never gets; nothing when it is
        there or behind that. Raises `Refusal`."""
        await to_the_end(self._miss(name, beginning))

    async def check(self) -> None:
        """Records which consumers passed the bound since the last time, and which came back."""
        bound = self._limits().lag
        for consumer in list((await self.load()).values()):
            if (consumer.lag(self.head) > bound) != consumer.left_behind:
                await to_the_end(self._mark(consumer.name))

    async def run(self) -> None:
        """Checks for ever."""
        while True:
            try:
                await self.check()
            except (Refusal, StoreUnavailable) as error:
                _log.warning("consumers of the audit log are looked at again later", extra={"error": str(error)})
            except Exception:
                _log.exception("consumers of the audit log are looked at again later")
            await asyncio.sleep(CHECK_INTERVAL_SECONDS)

    # One at a time ---------------------------------------------------------------------------------------------------

    async def _register(self, name: str, start: Position) -> Consumer:
        async with self._changing:
            known = await self.load()
            if name not in known:
                consumer = self._new(known, name, start)
                await self._write(consumer)
            return known[name]

    async def _acknowledge(
        self, name: str, given: Position, identity: ControlRequest
    ) -> audit_service_pb2.AcknowledgeEventsResponse:
        async with self._changing:
            answer = await self._first_answer(identity, audit_service_pb2.AcknowledgeEventsResponse)
            if answer is not None:
                return answer
            consumer = await self._acknowledged(name, given)
            answer = audit_service_pb2.AcknowledgeEventsResponse(resume_token=consumer.position.encode())
            # Bookkeeping of a reader, not a change of what is governed: no record of its own in the chain, or
            # every acknowledgement would give the consumer something new to acknowledge.
            await self._write(consumer, identity.write(answer, self._clock()), operator=identity.caller)
            return answer

    async def _miss(self, name: str, beginning: Beginning) -> None:
        async with self._changing:
            consumer = (await self.load()).get(name)
            if consumer is None or consumer.position.sequence >= beginning.size:
                return
            skipping = consumer.skipping_to(beginning.position)
            record = audit_record_pb2.ControlChanged(subject=MISSED)
            fields: dict[str, str | int] = {
                "consumer": name,
                "acknowledged_sequence": consumer.position.sequence,
                "first_sequence": beginning.first_sequence,
                "missed_records": skipping.missed - consumer.missed,
            }
            for field, value in fields.items():
                record.detail[field] = value
            await self._write(skipping, record=record)
            _log.error("a consumer of the audit log never gets records: they were trimmed before", extra=fields)

    async def _advance(self, name: str, position: Position) -> None:
        async with self._changing:
            await self._write(await self._acknowledged(name, position))

    async def _acknowledged(self, name: str, given: Position) -> Consumer:
        """The consumer after an acknowledgement; raises `Refusal` when the log has no such record."""
        if given.sequence > self.head:
            ends = f"acknowledges record {given.sequence}, but the log ends with record {self.head}"
            raise invalid_argument(("resume_token", f"{ends}: acknowledge only what was received from this log"))
        with faults_refused():
            try:
                contained = await asyncio.to_thread(self._log.contains, given)
            except LogTrimmed:
                # Trimmed since it was received, or acknowledged before: there is nothing left to compare it with.
                contained = True
            if not contained:
                raise invalid_argument(("resume_token", NOT_IN_LOG))
        known = await self.load()
        consumer = known.get(name) or self._new(known, name, given)
        return consumer.acknowledging(given, self._clock())

    async def _remove(self, name: str, identity: ControlRequest) -> audit_service_pb2.RemoveConsumerResponse:
        async with self._changing:
            answer = await self._first_answer(identity, audit_service_pb2.RemoveConsumerResponse)
            if answer is not None:
                return answer
            known = await self.load()
            consumer = known.get(name)
            if consumer is None:
                raise Refusal("NOT_FOUND", f"consumer {name} is not known", {"consumer": name})
            if self._streams[name]:
                raise Refusal(
                    "INVALID_STATE",
                    f"consumer {name} has an open stream and would be remembered again: end it first",
                    {"consumer": name},
                )
            answer = audit_service_pb2.RemoveConsumerResponse()
            await self._apply(
                [store.remove(name), identity.write(answer, self._clock())],
                identity.caller,
                self._record(REMOVED, consumer),
            )
            del known[name]
            return answer

    async def _skip(
        self, request: audit_service_pb2.SkipEventsRequest, identity: ControlRequest
    ) -> audit_service_pb2.SkipEventsResponse:
        async with self._changing:
            answer = await self._first_answer(identity, audit_service_pb2.SkipEventsResponse)
            if answer is not None:
                return answer
            name, last = request.name, request.to_sequence
            consumer = (await self.load()).get(name)
            if consumer is None:
                raise Refusal("NOT_FOUND", f"consumer {name} is not known", {"consumer": name})
            first = consumer.position.sequence + 1
            if last < first:
                passed = f"consumer {name} is behind record {first - 1} already: it never goes back"
                raise invalid_argument(("to_sequence", passed))
            if last > self.head:
                raise invalid_argument(("to_sequence", f"the log ends with record {self.head}"))
            with faults_refused():
                stored = await asyncio.to_thread(self._log.record, last)
            if stored is None:
                raise Refusal("NOT_FOUND", f"record {last} is not in the audit log", {"sequence": str(last)})
            moved = replace(consumer, position=Position.after(stored))
            answer = audit_service_pb2.SkipEventsResponse(first_sequence=first, resume_token=moved.position.encode())
            record = audit_record_pb2.ControlChanged(subject=SKIPPED)
            record.detail.update(
                {"consumer": name, "first_sequence": first, "last_sequence": last, "reason": request.reason}
            )
            await self._write(moved, identity.write(answer, self._clock()), operator=identity.caller, record=record)
            self._skipped.set()
            self._skipped = asyncio.Event()
            return answer

    async def _mark(self, name: str) -> None:
        async with self._changing:
            consumer = (await self.load()).get(name)
            behind = consumer is not None and consumer.lag(self.head) > self._limits().lag
            if consumer is None or behind == consumer.left_behind:
                return
            marked = replace(consumer, left_behind=behind)
            await self._write(marked, record=self._record(LEFT_BEHIND if behind else CAUGHT_UP, consumer))
            if behind:
                fields = {"consumer": name, "lag_records": consumer.lag(self.head)}
                _log.warning("a consumer of the audit log is too far behind: retention does not wait", extra=fields)

    def _new(self, known: dict[str, Consumer], name: str, start: Position) -> Consumer:
        most = self._limits().consumers
        if len(known) >= most:
            raise Refusal(
                "QUEUE_FULL",
                f"{most} consumers of the audit log are remembered, the most there can be: "
                "remove one with fairlead audit consumers remove, or raise limits.consumers",
                {"bound": "consumers"},
            )
        return Consumer(name, start, registered_at=self._clock())

    async def _first_answer(self, identity: ControlRequest, answer: type[_Answer]) -> _Answer | None:
        with faults_refused():
            return await asyncio.to_thread(identity.first_answer, self._reader, answer, self._clock())

    async def _write(
        self,
        consumer: Consumer,
        *more: command_pb2.Write,
        operator: str = "",
        record: audit_record_pb2.ControlChanged | None = None,
    ) -> None:
        await self._apply([store.put(consumer), *more], operator, record)
        (await self.load())[consumer.name] = consumer

    async def _apply(
        self, writes: list[command_pb2.Write], operator: str, record: audit_record_pb2.ControlChanged | None
    ) -> None:
        change = command_pb2.ControlWrite(writes=writes, record=record)
        caller = command_pb2.Caller(operator=operator)
        await apply(self._core, command_pb2.Command(caller=caller, control_write=change))

    def _record(self, subject: str, consumer: Consumer) -> audit_record_pb2.ControlChanged:
        record = audit_record_pb2.ControlChanged(subject=subject)
        record.detail.update(
            {
                "consumer": consumer.name,
                "acknowledged_sequence": consumer.position.sequence,
                "lag_records": consumer.lag(self.head),
            }
        )
        return record

    def _shown(self, consumer: Consumer) -> audit_service_pb2.AuditConsumer:
        shown = audit_service_pb2.AuditConsumer(
            name=consumer.name,
            resume_token=consumer.position.encode(),
            sequence=consumer.position.sequence,
            lag_records=consumer.lag(self.head),
            streams=self._streams[consumer.name],
            left_behind=consumer.lag(self.head) > self._limits().lag,
            missed_records=self.missed(consumer),
        )
        if consumer.acknowledged_at:
            shown.acknowledge_time.FromNanoseconds(consumer.acknowledged_at)
        if consumer.registered_at:
            shown.create_time.FromNanoseconds(consumer.registered_at)
        return shown


def check_name(field: str, name: str) -> None:
    """Refuses what no consumer outside the sidecar may be called."""
    if not is_name(name):
        raise invalid_argument((field, NAME_RULE))
