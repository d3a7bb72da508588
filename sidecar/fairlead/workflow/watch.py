"""What happens in a run, as it is committed: first the run as it is, then its audit records, last the run as it ended.

The index of the run says which records are its own, so a watcher reads nothing else. It is woken when a record that
names its run is committed: one follower reads the log for all watchers together, and only while there are any.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager

from fairlead.audit.model import Undecodable, parse_record
from fairlead.audit.store import AuditLog
from fairlead.audit.watch import CHUNK_BYTES, CHUNK_RECORDS, Draining, Feed, LogDamaged, missing
from fairlead.control.errors import Refusal
from fairlead.control.identity import Identity
from fairlead.internal.v1 import workflow_pb2
from fairlead.store import StoreUnavailable, keys
from fairlead.v1 import audit_record_pb2
from fairlead.v1 import workflow_service_pb2 as pb
from fairlead.workflow.assembly import whole
from fairlead.workflow.model import has_ended
from fairlead.workflow.refusals import faults_refused, not_found
from fairlead.workflow.service import RunService
from fairlead.workflow.store import Runs

# One stream costs a place among the calls of a control server: no tenant can take all of them.
MAX_WATCHERS = 512
MAX_WATCHERS_OF_A_TENANT = 128
_RUN_IN_BYTES = re.compile(rb"run_[0-9a-f]{32}")

WatchStream = AsyncGenerator[pb.WatchRunResponse, None]


class RunChanges:
    """Wakes whoever watches a run when a record that names it is committed. Belongs to one event loop."""

    def __init__(self, log: AuditLog, feed: Feed) -> None:
        self._log = log
        self._feed = feed
        self._waiting: dict[bytes, set[asyncio.Event]] = {}
        self._follower: asyncio.Task[None] | None = None

    @contextmanager
    def subscribed(self, run: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever the run may have changed from now on."""
        event, name = asyncio.Event(), run.encode()
        self._waiting.setdefault(name, set()).add(event)
        try:
            yield event
        finally:
            self._waiting[name].discard(event)
            if not self._waiting[name]:
                del self._waiting[name]
            if not self._waiting and self._follower is not None:
                self._follower.cancel()
                self._follower = None

    def follow(self) -> None:
        """To be called before something is read that has to be followed: what is committed from now on is announced."""
        if self._follower is None or self._follower.done():
            self._follower = asyncio.get_running_loop().create_task(self._follow(self._feed.sequence))

    async def _follow(self, sequence: int) -> None:
        try:
            while True:
                await self._feed.wait_after(sequence)
                records = await asyncio.to_thread(self._log.after, sequence, CHUNK_RECORDS, CHUNK_BYTES)
                for record in records:
                    sequence = record.sequence
                    # The id as it is in the bytes: a record that is not about the run after all only wakes in vain.
                    for name in set(_RUN_IN_BYTES.findall(record.record_bytes)) & self._waiting.keys():
                        self._wake(name)
                if not records:
                    # Committed, and not there: those who look after it will say so.
                    return
        except (StoreUnavailable, Undecodable):
            pass
        finally:
            for name in self._waiting:
                self._wake(name)

    def _wake(self, name: bytes) -> None:
        for event in self._waiting[name]:
            event.set()


class RunWatchService:
    """Streams of runs. Belongs to one event loop."""

    def __init__(
        self,
        runs: Runs,
        reading: RunService,
        log: AuditLog,
        feed: Feed,
        *,
        max_watchers: int = MAX_WATCHERS,
        max_watchers_of_a_tenant: int = MAX_WATCHERS_OF_A_TENANT,
    ) -> None:
        """More streams at once are refused; operators count together, as the tenant without a name."""
        self._runs = runs
        self._reading = reading
        self._log = log
        self._changes = RunChanges(log, feed)
        self._max_watchers = max_watchers
        self._max_watchers_of_a_tenant = max_watchers_of_a_tenant
        self._watchers: Counter[str] = Counter()
        self._draining = asyncio.Event()

    @property
    def watchers(self) -> int:
        """Streams that are open."""
        return self._watchers.total()

    def drain(self) -> None:
        """Ends every stream with DRAINING, now and from now on."""
        self._draining.set()

    @asynccontextmanager
    async def subscribed(self, request: pb.WatchRunRequest, caller: Identity) -> AsyncIterator[WatchStream]:
        """A stream whose position is fixed: what is committed from now on will be in it. Raises `Refusal`."""
        with self._counted(caller.tenant):
            record = await self._reading.find(request.name, caller)
            with self._changes.subscribed(record.run) as changed:
                async with aclosing(self._responses(request, record, changed)) as stream:
                    yield stream

    async def _responses(
        self, request: pb.WatchRunRequest, record: workflow_pb2.RunRecord, changed: asyncio.Event
    ) -> WatchStream:
        run = keys.run_id_bytes(record.run) or b""
        with faults_refused():
            self._changes.follow()
            sequence = request.after_sequence
            if not sequence:
                # The position is taken first: what comes in between is told twice rather than never.
                sequence = await asyncio.to_thread(self._runs.last_event, record.tenant, run)
                record = await self._again(record, run)
                yield await self._whole(record, sequence)
                if has_ended(record):
                    return
            ended = has_ended(record)
            while True:
                changed.clear()
                self._changes.follow()
                while events := await asyncio.to_thread(self._events, record.tenant, run, sequence):
                    for event in events:
                        self._check_drain()
                        sequence = event.sequence
                        ended = ended or _ends(event, record.run)
                        yield pb.WatchRunResponse(event=event, sequence=sequence)
                if ended:
                    break
                await self._next_change(changed)
            yield await self._whole(await self._again(record, run), sequence)

    async def _whole(self, record: workflow_pb2.RunRecord, sequence: int) -> pb.WatchRunResponse:
        run = await asyncio.to_thread(whole, self._runs, record, payloads=False)
        return pb.WatchRunResponse(run=run, sequence=sequence)

    async def _again(self, record: workflow_pb2.RunRecord, run: bytes) -> workflow_pb2.RunRecord:
        """The record as it is now."""
        found = await asyncio.to_thread(self._runs.record, record.tenant, run)
        if found is None:
            raise not_found(f"runs/{record.run}")
        return found

    def _events(self, tenant: str, run: bytes, after: int) -> list[audit_record_pb2.AuditRecord]:
        """The next records of the run: a slow watcher costs one such chunk, not a queue. Those that were trimmed are
        left out."""
        found = []
        after = max(after, self._log.beginning().size)
        for sequence in self._runs.events(tenant, run, after, CHUNK_RECORDS):
            stored = self._log.record(sequence)
            if stored is not None:
                record = parse_record(stored.record_bytes)
                found.append(self._runs.texts.record(record, stored.record_bytes))
            elif isinstance(gap := missing(self._log, sequence), LogDamaged):
                raise gap
            else:
                # Trimmed since the look at the beginning: once more from there.
                return self._events(tenant, run, sequence)
        return found

    async def _next_change(self, changed: asyncio.Event) -> None:
        waits = [asyncio.ensure_future(changed.wait()), asyncio.ensure_future(self._draining.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        self._check_drain()

    def _check_drain(self) -> None:
        if self._draining.is_set():
            raise Draining

    @contextmanager
    def _counted(self, tenant: str) -> Iterator[None]:
        of_tenant = self._watchers.get(tenant, 0) >= self._max_watchers_of_a_tenant
        if of_tenant or self.watchers >= self._max_watchers:
            raise Refusal(
                "QUEUE_FULL",
                "too many calls watch runs: use GetRun, or watch again later",
                {"bound": "run watchers of a tenant" if of_tenant else "run watchers"},
            )
        self._watchers[tenant] += 1
        try:
            yield
        finally:
            self._watchers[tenant] -= 1
            if not self._watchers[tenant]:
                del self._watchers[tenant]


def _ends(event: audit_record_pb2.AuditRecord, run: str) -> bool:
    return event.kind == audit_record_pb2.EVENT_KIND_RUN_ENDED and event.run.run == run
