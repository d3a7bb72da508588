"""A stream of approvals: the open ones first, then each one that changes.

Every change of an approval has a record in the audit log, so the log says what to look at, and its positions are what a
stream is resumed with: none is missed, across restarts too. What is sent is the approval as it is when it is looked at,
which may have changed once more by then; its record comes later and is sent as well, unless nothing is different.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager

from fairlead.approval.model import InvalidName, approval_id, as_of
from fairlead.approval.store import Approvals, Reader
from fairlead.audit.faults import NOT_IN_LOG, faults_refused
from fairlead.audit.store import AuditLog
from fairlead.audit.streaming import watch
from fairlead.audit.tokens import InvalidToken, Position
from fairlead.audit.watch import Draining, Feed
from fairlead.control.errors import Refusal, invalid_argument
from fairlead.v1 import approval_service_pb2 as pb
from fairlead.v1 import audit_record_pb2, audit_service_pb2

# As for streams of the audit log.
MAX_WATCHERS = 64
_KINDS = (
    audit_record_pb2.EVENT_KIND_TOOL_PENDING,
    audit_record_pb2.EVENT_KIND_APPROVAL_OPENED,
    audit_record_pb2.EVENT_KIND_APPROVAL_VOTED,
    audit_record_pb2.EVENT_KIND_APPROVAL_EDITED,
    audit_record_pb2.EVENT_KIND_APPROVAL_ESCALATED,
    audit_record_pb2.EVENT_KIND_APPROVAL_ENDED,
)

ApprovalStream = AsyncGenerator[pb.WatchApprovalsResponse, None]


class ApprovalWatchService:
    """Streams of approvals for operators. Belongs to one event loop."""

    def __init__(self, reader: Reader, feed: Feed, clock: Callable[[], int], max_watchers: int = MAX_WATCHERS) -> None:
        """`clock` gives Unix nanoseconds; more than `max_watchers` streams at once are refused."""
        self._log = AuditLog(reader)
        self._approvals = Approvals(reader)
        self._feed = feed
        self._clock = clock
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
    async def subscribed(self, request: pb.WatchApprovalsRequest) -> AsyncIterator[ApprovalStream]:
        """A subscription whose position is fixed: what changes from now on will be in its stream."""
        if self._watchers >= self._max_watchers:
            message = f"{self._max_watchers} streams of approvals are open, the most there can be"
            raise Refusal("QUEUE_FULL", message, {"bound": "approval_watchers"})
        self._watchers += 1
        try:
            with faults_refused():
                start = await self._start(request.resume_token)
            async with aclosing(self._responses(request, start)) as stream:
                yield stream
        finally:
            self._watchers -= 1

    async def _start(self, token: str) -> Position:
        if not token:
            # Before the open ones are read: a change in between is told twice rather than not at all.
            return await asyncio.to_thread(self._log.head_position)
        try:
            position = Position.decode(token)
        except InvalidToken as error:
            raise invalid_argument(("resume_token", str(error))) from error
        if not await asyncio.to_thread(self._log.contains, position):
            raise invalid_argument(("resume_token", NOT_IN_LOG))
        return position

    async def _responses(self, request: pb.WatchApprovalsRequest, start: Position) -> ApprovalStream:
        with faults_refused():
            if not request.resume_token:
                for wanted_id in await asyncio.to_thread(self._approvals.open_ids, request.tenant):
                    opened = await asyncio.to_thread(self._read, wanted_id)
                    if opened is not None:
                        yield pb.WatchApprovalsResponse(approval=opened, initial=True)
                    if self._draining.is_set():
                        raise Draining
                yield pb.WatchApprovalsResponse(resume_token=start.encode())
            wanted = audit_service_pb2.EventFilter(tenant=request.tenant, kinds=_KINDS)
            sent: pb.Approval | None = None
            async for event, position in watch(self._log, self._feed, self._draining, start, wanted):
                approval = await asyncio.to_thread(self._named, _name(event.record))
                if approval is not None and approval != sent:
                    sent = approval
                    yield pb.WatchApprovalsResponse(approval=approval, resume_token=position.encode())

    def _named(self, name: str) -> pb.Approval | None:
        try:
            return self._read(approval_id(name))
        except InvalidName:
            return None

    def _read(self, approval: bytes) -> pb.Approval | None:
        record = self._approvals.get(approval)
        return None if record is None else as_of(record, self._clock())


def _name(record: audit_record_pb2.AuditRecord) -> str:
    """Which approval a record is about."""
    return record.approval.approval if record.HasField("approval") else record.tool.approval
