"""Use cases of the audit log: watch, acknowledge, list, explain, verify.

Reading blocks, so it happens on worker threads in small slices; the event loop and the commit writer get their turn in
between, whatever the size of the log.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager

from fairlead.audit.consumers.service import Consumers, check_name
from fairlead.audit.explain import explain
from fairlead.audit.explain_run import explain_run
from fairlead.audit.faults import NOT_IN_LOG, faults_refused
from fairlead.audit.listing import Listing
from fairlead.audit.store import AuditLog, Invocations, Reader
from fairlead.audit.streaming import BATCH_RECORDS, ResponseReader, Wish, responses
from fairlead.audit.tokens import InvalidToken, PageToken, Position, filter_digest
from fairlead.audit.transparency.sealing import Sealing
from fairlead.audit.verification import LogVerification
from fairlead.audit.watch import Feed
from fairlead.control.errors import Refusal, invalid_argument
from fairlead.store import keys
from fairlead.v1 import audit_record_pb2, audit_service_pb2
from fairlead.workflow.model import InvalidName, run_id
from fairlead.workflow.store import Runs

# One stream costs a chunk of records and a place in the front's connection to the control server.
MAX_WATCHERS = 64

# Messages `WatchEventsResponse`, as they go out.
WatchStream = AsyncGenerator[bytes, None]


class AuditLogService:
    """The audit log as operators and collectors see it. Belongs to one event loop."""

    def __init__(
        self,
        reader: Reader,
        feed: Feed,
        consumers: Consumers,
        sealing: Sealing,
        max_watchers: int = MAX_WATCHERS,
    ) -> None:
        """More than `max_watchers` streams at once are refused."""
        self._feed = feed
        self._consumers = consumers
        self._sealing = sealing
        self._log = AuditLog(reader)
        self._invocations = Invocations(reader)
        self._runs = Runs(reader)
        self._draining = asyncio.Event()
        self._watchers = 0
        self._max_watchers = max_watchers

    @property
    def watchers(self) -> int:
        """Streams that are open."""
        return self._watchers

    def drain(self) -> None:
        """Ends every stream with DRAINING, now and from now on."""
        self._draining.set()

    @asynccontextmanager
    async def subscribed(self, request: audit_service_pb2.WatchEventsRequest) -> AsyncIterator[WatchStream]:
        """A subscription whose position is fixed: what is committed from now on will be in its stream."""
        if self._watchers >= self._max_watchers:
            raise Refusal(
                "QUEUE_FULL",
                f"{self._max_watchers} streams of the audit log are open, the most there can be",
                {"bound": "watchers"},
            )
        self._watchers += 1
        try:
            _check_filter(request.filter)
            if request.max_events < 0:
                raise invalid_argument(("max_events", "must not be negative"))
            start = await self._start(request)
            wish = Wish(request.filter, min(request.max_events, BATCH_RECORDS))
            sealed = self._sealing if request.checkpoints else None
            stream = responses(ResponseReader(self._log, self._feed, start, wish), self._draining, sealed)
            with self._consumers.streaming(request.subscriber):
                async with aclosing(_refusing(stream)) as refusing:
                    yield refusing
        finally:
            self._watchers -= 1

    async def acknowledge(
        self, request: audit_service_pb2.AcknowledgeEventsRequest, operator: str
    ) -> audit_service_pb2.AcknowledgeEventsResponse:
        """Remembers how far a consumer has come; an older position changes nothing. `operator` gives the command."""
        check_name("subscriber", request.subscriber)
        return await self._consumers.acknowledge(request, self._position(request.resume_token), operator)

    @property
    def consumers(self) -> Consumers:
        """The named consumers."""
        return self._consumers

    async def page(self, request: audit_service_pb2.ListEventsRequest) -> audit_service_pb2.ListEventsResponse:
        """One page of records."""
        if request.page_size < 0:
            raise invalid_argument(("page_size", "must not be negative"))
        _check_filter(request.filter)
        token = None
        if request.page_token:
            try:
                token = PageToken.decode(request.page_token)
            except InvalidToken as error:
                raise invalid_argument(("page_token", str(error))) from error
            if (token.descending, token.filter_digest) != (request.descending, filter_digest(request.filter)):
                raise invalid_argument(("page_token", "belongs to a list with another filter or order"))
        listing = Listing(self._log, self._invocations)
        with faults_refused():
            return await asyncio.to_thread(listing.page, request, token)

    async def explain(
        self, request: audit_service_pb2.ExplainInvocationRequest
    ) -> audit_service_pb2.ExplainInvocationResponse:
        """Everything about one invocation or tool call."""
        known = _is_invocation(request.invocation) or _is_tool_call(request.invocation)
        if not known and keys.approval_id_bytes(request.invocation.removeprefix("approvals/")) is None:
            raise invalid_argument(
                ("invocation", "must be inv_, grt_ or approvals/apr_ and 32 lower-case hexadecimal digits")
            )
        with faults_refused():
            explained = await asyncio.to_thread(explain, self._log, self._invocations, request.invocation)
        if explained is None:
            raise Refusal(
                "NOT_FOUND", f"invocation {request.invocation} is not known", {"invocation": request.invocation}
            )
        return explained

    async def explain_run(self, request: audit_service_pb2.ExplainRunRequest) -> audit_service_pb2.ExplainRunResponse:
        """Everything about one run."""
        if wrong := _wrong_run("name", request.name):
            raise invalid_argument(*wrong)
        with faults_refused():
            explained = await asyncio.to_thread(explain_run, self._log, self._invocations, self._runs, request.name)
        if explained is None:
            raise Refusal("NOT_FOUND", f"{request.name} is not known", {"name": request.name})
        return explained

    async def verify(self, request: audit_service_pb2.VerifyChainRequest) -> audit_service_pb2.VerifyChainResponse:
        """Recomputes the chain, up to the record that is the last one now."""
        if request.to_sequence and request.to_sequence < request.from_sequence:
            raise invalid_argument(("to_sequence", "must not be less than from_sequence"))
        for field in ("from_sequence", "to_sequence"):
            if getattr(request, field) >= 1 << 63:
                raise invalid_argument((field, "is larger than any sequence"))
        last = request.to_sequence or self._feed.sequence
        # Nothing announced yet: up to whatever is there.
        verification = LogVerification(
            self._log, request.from_sequence, max(last, request.from_sequence) if last else 0
        )
        with faults_refused():
            while await asyncio.to_thread(verification.step):
                pass
        return verification.result().response()

    async def _start(self, request: audit_service_pb2.WatchEventsRequest) -> Position:
        """Where a stream begins: its token, else the consumer's position, else the first or the next record."""
        if request.subscriber:
            check_name("subscriber", request.subscriber)
        with faults_refused():
            if request.resume_token:
                start = self._position(request.resume_token)
                await self._check_contained(start, "resume_token")
            else:
                begin = self._log.begin_position if request.from_start else self._log.head_position
                start = await asyncio.to_thread(begin)
            if not request.subscriber:
                return start
            consumer = await self._consumers.register(request.subscriber, start)
            if request.resume_token:
                beginning = self._consumers.beginning
                if start == beginning.position:
                    # It goes on where the log begins, because it was told so: what it misses is counted.
                    await self._consumers.miss(request.subscriber, beginning)
                return start
            if consumer.position == start:
                return start
            await self._check_contained(consumer.position, "subscriber")
            return consumer.position

    @staticmethod
    def _position(token: str) -> Position:
        try:
            return Position.decode(token)
        except InvalidToken as error:
            raise invalid_argument(("resume_token", str(error))) from error

    async def _check_contained(self, position: Position, field: str) -> None:
        if not await asyncio.to_thread(self._log.contains, position):
            raise invalid_argument((field, NOT_IN_LOG))


async def _refusing(stream: WatchStream) -> WatchStream:
    """The stream, whose faults are refusals."""
    async with aclosing(stream):
        with faults_refused():
            async for response in stream:
                yield response


def _is_invocation(name: str) -> bool:
    return keys.invocation_id_bytes(name) is not None


def _wrong_run(field: str, name: str) -> list[tuple[str, str]]:
    try:
        run_id(name)
    except InvalidName as error:
        return [(field, str(error))]
    return []


def _is_tool_call(name: str) -> bool:
    return keys.tool_call_id_bytes(name) is not None


def _check_filter(filter: audit_service_pb2.EventFilter) -> None:
    known = set(audit_record_pb2.EventKind.values()) - {audit_record_pb2.EVENT_KIND_UNSPECIFIED}
    wrong = [
        (f"filter.kinds[{n}]", "is not a kind of record") for n, kind in enumerate(filter.kinds) if kind not in known
    ]
    if filter.invocation and not (_is_invocation(filter.invocation) or _is_tool_call(filter.invocation)):
        wrong.append(("filter.invocation", "must be inv_ or grt_ and 32 lower-case hexadecimal digits"))
    if filter.run:
        wrong += _wrong_run("filter.run", filter.run)
    if filter.run and filter.invocation:
        wrong.append(("filter.invocation", "must be empty with filter.run: no record is about both"))
    if wrong:
        raise invalid_argument(*wrong)
