"""Use cases of operators: list approvals, look at one, vote or edit. The core decides what that changes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator

from fairlead.approval.model import OPEN, InvalidName, approval_id, as_of, state_name
from fairlead.approval.paging import InvalidToken, PageToken, list_digest
from fairlead.approval.store import Approvals, Reader
from fairlead.approval.votes import Votes
from fairlead.audit.erasure.reading import Texts
from fairlead.control.commands import Core, apply, to_the_end
from fairlead.control.errors import Refusal, invalid_argument
from fairlead.control.requests import ControlRequest, reason_violations
from fairlead.internal.v1 import command_pb2, state_pb2
from fairlead.v1 import approval_service_pb2 as pb

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 1000
# A page stays well below the 4 MiB that gRPC clients receive by default, unless one approval alone is larger.
MAX_PAGE_BYTES = 2 << 20
# With a filter that matches little, a page ends here, short or empty, and says where to go on (AIP-158 allows it).
MAX_LOOKED_AT = 4096
# As the core has it.
REASON_MAX_CHARACTERS = 512
_APPROVE, _REJECT, _EDIT = pb.APPROVAL_DECISION_APPROVE, pb.APPROVAL_DECISION_REJECT, pb.APPROVAL_DECISION_EDIT
_DIGEST = re.compile(r"[0-9a-f]{64}")
# As it is in the core's own terms for what is not one of the open ones.
_NOT_FOUND = "NOT_FOUND"


class ApprovalDeskService:
    """Approvals as operators see them: of all tenants. Belongs to one event loop."""

    def __init__(self, core: Core, reader: Reader, votes: Votes, clock: Callable[[], int]) -> None:
        """`clock` gives Unix nanoseconds."""
        self._core = core
        self._reader = reader
        self._approvals = Approvals(reader)
        self._votes = votes
        self._clock = clock
        # A request id answers once: one vote at a time.
        self._deciding = asyncio.Lock()

    async def page(self, request: pb.ListApprovalsRequest) -> pb.ListApprovalsResponse:
        """One page, the newest first."""
        if request.page_size < 0:
            raise invalid_argument(("page_size", "must not be negative"))
        before = _read_token(request) if request.page_token else None
        return await asyncio.to_thread(self._page, request, before)

    async def get(self, request: pb.GetApprovalRequest) -> pb.GetApprovalResponse:
        """One approval."""
        approval = await self._find(request.name)
        return pb.GetApprovalResponse(approval=approval)

    async def decide(self, request: pb.DecideApprovalRequest, operator: str) -> pb.DecideApprovalResponse:
        """Records what the operator says, once per request id."""
        identity = ControlRequest.of(request, method="DecideApproval", caller=operator)
        _check(request)
        return await to_the_end(self._decide(request, identity))

    async def _decide(self, request: pb.DecideApprovalRequest, identity: ControlRequest) -> pb.DecideApprovalResponse:
        async with self._deciding:
            now = self._clock()
            answer = await asyncio.to_thread(identity.first_answer, self._reader, pb.DecideApprovalResponse, now)
            if answer is not None:
                return await self._readable(answer)
            # The core knows the open ones only; of the others the store knows how they ended.
            _still_open(await self._find(request.name))
            # Vote, state, audit record and the answer to the request id are one commit unit.
            vote = command_pb2.DecideApproval(
                approval=request.name.removeprefix("approvals/"),
                decision=request.decision,
                reason=request.reason,
                digest=request.digest,
                request_key=identity.key(now),
                request_digest=identity.digest,
                edited_arguments=request.edited_arguments,
                resolution=request.resolution if request.HasField("resolution") else None,
            )
            caller = command_pb2.Caller(operator=identity.caller)
            try:
                result = await apply(self._core, command_pb2.Command(caller=caller, decide_approval=vote))
            except Refusal as refusal:
                if refusal.reason == _NOT_FOUND:
                    _still_open(await self._find(request.name))
                raise
            self._votes.announce(approval_id(request.name))
            return await self._readable(pb.DecideApprovalResponse(approval=result.approval))

    async def _readable(self, answer: pb.DecideApprovalResponse) -> pb.DecideApprovalResponse:
        """An answer of the core, which only commits to what people wrote."""
        await asyncio.to_thread(Texts(self._reader).fill_in, answer.approval)
        return answer

    def _page(self, request: pb.ListApprovalsRequest, before: bytes | None) -> pb.ListApprovalsResponse:
        size = min(request.page_size or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)
        now = self._clock()
        response = pb.ListApprovalsResponse()
        room = MAX_PAGE_BYTES
        last: bytes | None = None
        for looked_at, (key, record, record_bytes) in enumerate(self._newest(request, before)):
            approval = as_of(record, now)
            wanted = request.tenant in ("", approval.tenant) and request.state in (0, approval.state)
            room -= record_bytes if wanted else 0
            full = len(response.approvals) == size or looked_at == MAX_LOOKED_AT
            if last is not None and (full or (response.approvals and room < 0)):
                response.next_page_token = PageToken(last, list_digest(request)).encode()
                break
            last = key
            if wanted:
                response.approvals.append(approval)
        return response

    def _newest(
        self, request: pb.ListApprovalsRequest, before: bytes | None
    ) -> Iterator[tuple[bytes, state_pb2.ApprovalRecord, int]]:
        if request.state in OPEN:
            return self._approvals.newest_open(request.tenant, before)
        return self._approvals.newest(before)

    async def _find(self, name: str) -> pb.Approval:
        try:
            wanted = approval_id(name)
        except InvalidName as error:
            raise invalid_argument(("name", str(error))) from error
        record = await asyncio.to_thread(self._approvals.get, wanted)
        if record is None:
            raise Refusal("NOT_FOUND", f"{name} is not known", {"name": name})
        return as_of(record, self._clock())


def _still_open(approval: pb.Approval) -> None:
    """Raises `Refusal` when nobody can vote on it any more."""
    if approval.state not in OPEN:
        state = state_name(approval.state)
        raise Refusal(
            "INVALID_STATE", f"{approval.name} is {state}: nobody can vote on it any more", {"state": state.upper()}
        )


def _check(request: pb.DecideApprovalRequest) -> None:
    """Raises `Refusal` with everything that is wrong."""
    wrong = []
    if request.decision not in (_APPROVE, _REJECT, _EDIT):
        wrong.append(("decision", "must be APPROVE, REJECT or EDIT"))
    elif request.decision == _EDIT and not request.edited_arguments:
        wrong.append(("edited_arguments", "is required: the new arguments as JSON"))
    elif request.decision != _EDIT and request.edited_arguments:
        wrong.append(("edited_arguments", "is for EDIT only"))
    if request.HasField("resolution") and request.decision != _APPROVE:
        wrong.append(("resolution", "is for APPROVE only: it says what became of a step of unknown outcome"))
    wrong += reason_violations(request.reason, REASON_MAX_CHARACTERS)
    if _DIGEST.fullmatch(request.digest) is None:
        wrong.append(("digest", "must be the digest of the approval that was looked at, 64 hexadecimal digits"))
    try:
        approval_id(request.name)
    except InvalidName as error:
        wrong.append(("name", str(error)))
    if wrong:
        raise invalid_argument(*wrong)


def _read_token(request: pb.ListApprovalsRequest) -> bytes:
    try:
        read = PageToken.decode(request.page_token)
    except InvalidToken as error:
        raise invalid_argument(("page_token", str(error))) from error
    if read.digest != list_digest(request):
        raise invalid_argument(("page_token", "belongs to a list with another filter"))
    return read.before
