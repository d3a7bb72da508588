"""Use cases of readers: look at one run, list runs. Agents see those of their tenant, operators all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

from google.protobuf.timestamp_pb2 import Timestamp

from fairlead.control.errors import Refusal, invalid_argument
from fairlead.control.identity import Identity
from fairlead.internal.v1 import workflow_pb2
from fairlead.v1 import run_pb2
from fairlead.v1 import workflow_service_pb2 as pb
from fairlead.workflow.assembly import PayloadsTooLarge, UnknownStep, whole
from fairlead.workflow.model import OPEN, InvalidName, id_of, is_kept, run_id, run_of
from fairlead.workflow.paging import InvalidToken, PageToken, list_digest
from fairlead.workflow.refusals import faults_refused, not_found
from fairlead.workflow.store import Found, Runs

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 1000
# A page stays well below the 4 MiB that gRPC clients receive by default.
MAX_PAGE_BYTES = 2 << 20
# With a filter that matches little, a page ends here, short or empty, and says where to go on (AIP-158 allows it).
MAX_LOOKED_AT = 4096
MAX_READ_BYTES = 32 << 20
# Ids begin with the time. What belongs to one moment is looked for around it, so that nothing depends on which of two
# clocks readings of one command an id was made from.
_MARGIN_MILLIS = 1000
_NANOS_PER_MILLI = 1_000_000
_ID_TIME_BYTES = 6


class RunService:
    """Runs as they are stored. Belongs to one event loop."""

    def __init__(self, runs: Runs, clock: Callable[[], int]) -> None:
        """`clock` gives Unix nanoseconds."""
        self._runs = runs
        self._clock = clock

    async def get(self, request: pb.GetRunRequest, caller: Identity) -> pb.GetRunResponse:
        """One run with its steps."""
        record = await self.find(request.name, caller)
        with faults_refused():
            try:
                run = await asyncio.to_thread(
                    whole, self._runs, record, payloads=not request.without_payloads, step=request.step
                )
            except UnknownStep as error:
                raise invalid_argument(("step", f"{error}: GetRun without it names all steps")) from error
            except PayloadsTooLarge as error:
                remedy = "ask with without_payloads, or for those of one step"
                raise Refusal("PAYLOAD_TOO_LARGE", f"{error}: {remedy}", {"name": request.name}) from error
        return pb.GetRunResponse(run=run)

    async def find(self, name: str, caller: Identity) -> workflow_pb2.RunRecord:
        """The record of a run that the caller may see; raises `Refusal`."""
        try:
            wanted = run_id(name)
        except InvalidName as error:
            raise invalid_argument(("name", str(error))) from error
        with faults_refused():
            record = await asyncio.to_thread(self._runs.find, wanted, visible_tenant(caller))
        if record is None or not is_kept(record, self._clock()):
            raise not_found(name)
        return record

    async def page(self, request: pb.ListRunsRequest, caller: Identity) -> pb.ListRunsResponse:
        """One page, the newest first."""
        tenant = visible_tenant(caller)
        _check(request, tenant)
        before = _read_token(request) if request.page_token else None
        with faults_refused():
            return await asyncio.to_thread(self._page, request, tenant or request.tenant, before)

    def _page(self, request: pb.ListRunsRequest, tenant: str, before: bytes | None) -> pb.ListRunsResponse:
        size = min(request.page_size or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)
        now = self._clock()
        response = pb.ListRunsResponse()
        room, reads_left = MAX_PAGE_BYTES, MAX_READ_BYTES
        last: bytes | None = None
        for looked_at, found in enumerate(self._newest(request, tenant, before)):
            run = run_of(found.record) if is_kept(found.record, now) and fits(request, found.record) else None
            room -= run.ByteSize() if run is not None else 0
            full = len(response.runs) == size or looked_at == MAX_LOOKED_AT or reads_left < 0
            if last is not None and (full or (response.runs and room < 0)):
                response.next_page_token = PageToken(last, list_digest(request)).encode()
                break
            last = found.run
            reads_left -= found.read_bytes
            if run is not None:
                self._runs.texts.fill_in(run)
                response.runs.append(run)
        return response

    def _newest(self, request: pb.ListRunsRequest, tenant: str, before: bytes | None) -> Iterator[Found]:
        """The runs that can be meant, as few as the filter allows to look at."""
        oldest = b""
        if request.HasField("created_from"):
            oldest = _id_time(request.created_from.ToNanoseconds(), -_MARGIN_MILLIS)
        if request.HasField("created_until"):
            until = _id_time(request.created_until.ToNanoseconds(), _MARGIN_MILLIS)
            before = until if before is None else min(before, until)
        if request.parent:
            parent = self._runs.find(run_id(request.parent), tenant)
            if parent is None:
                return iter(())
            tenant = parent.tenant
            # A child begins after its parent, in the parent's tenant.
            oldest = max(oldest, _id_time(parent.create_time_unix_nanos, -_MARGIN_MILLIS))
        open_only = bool(request.states) and set(request.states) <= set(OPEN)
        return self._runs.newest(tenant, before=before, oldest=oldest, open_only=open_only)


def visible_tenant(caller: Identity) -> str:
    """The only tenant that the caller may see; empty for an operator. Nobody in particular sees nothing."""
    if caller.operator:
        return ""
    if not caller.tenant:
        raise Refusal("CREDENTIAL_MISSING", "the call carries no identity")
    return caller.tenant


def fits(request: pb.ListRunsRequest, record: workflow_pb2.RunRecord) -> bool:
    """True when a list asks for the run, whatever its tenant."""
    created = record.create_time_unix_nanos
    return (
        request.workflow in ("", record.workflow)
        and (not request.states or record.state in request.states)
        and all(record.labels.get(name) == value for name, value in request.labels.items())
        and (not request.HasField("created_from") or created >= request.created_from.ToNanoseconds())
        and (not request.HasField("created_until") or created < request.created_until.ToNanoseconds())
        and (not request.parent or record.parent == id_of(run_id(request.parent)))
    )


def _id_time(unix_nanos: int, margin_millis: int) -> bytes:
    """What ids of that time begin with, moved by a margin."""
    millis = unix_nanos // _NANOS_PER_MILLI + margin_millis
    return min(max(millis, 0), (1 << 8 * _ID_TIME_BYTES) - 1).to_bytes(_ID_TIME_BYTES, "big")


def _check(request: pb.ListRunsRequest, own_tenant: str) -> None:
    """Raises `Refusal` with everything that is wrong."""
    wrong = []
    if request.page_size < 0:
        wrong.append(("page_size", "must not be negative"))
    if own_tenant and request.tenant not in ("", own_tenant):
        wrong.append(("tenant", "is for operators: an agent sees the runs of its own tenant"))
    known = set(run_pb2.RunState.values()) - {run_pb2.RUN_STATE_UNSPECIFIED}
    wrong += [
        (f"states[{n}]", "is not a state of a run") for n, state in enumerate(request.states) if state not in known
    ]
    wrong += [
        (field, "is not a time that this program can represent")
        for field in ("created_from", "created_until")
        if request.HasField(field) and not _is_time(getattr(request, field))
    ]
    if request.parent:
        try:
            run_id(request.parent)
        except InvalidName as error:
            wrong.append(("parent", str(error)))
    if wrong:
        raise invalid_argument(*wrong)


def _is_time(time: Timestamp) -> bool:
    return 0 <= time.nanos < 1_000_000_000 and abs(time.seconds) < 1 << 34


def _read_token(request: pb.ListRunsRequest) -> bytes:
    try:
        read = PageToken.decode(request.page_token)
    except InvalidToken as error:
        raise invalid_argument(("page_token", str(error))) from error
    if read.digest != list_digest(request):
        raise invalid_argument(("page_token", "belongs to a list with another filter"))
    return read.before
