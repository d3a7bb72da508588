"""Use cases of budgets: list, look at one, adjust. The core holds the numbers; nothing is computed here."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable

from fairlead.audit.erasure.model import SALT_BYTES, commitment
from fairlead.budget.model import ANY_TENANT, BudgetName, InvalidName, budget_of, parse_parent
from fairlead.budget.paging import InvalidToken, PageToken, list_digest
from fairlead.control.commands import Core, apply, to_the_end
from fairlead.control.errors import Refusal, invalid_argument
from fairlead.control.requests import ControlRequest, Reader, reason_violations
from fairlead.internal.v1 import command_pb2
from fairlead.v1 import budget_service_pb2 as pb

DEFAULT_PAGE_SIZE = 100
MAX_PAGE_SIZE = 1000

_log = logging.getLogger(__name__)


class BudgetLedgerService:
    """Budgets as operators (all tenants) and agents (their own tenant, reading only) see them.

    `tenant` of every method is the caller's: empty for an operator. What an agent may not see is not there for it.
    """

    def __init__(
        self,
        core: Core,
        reader: Reader,
        clock: Callable[[], int],
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        """`clock` gives Unix nanoseconds, `random_bytes` so many, for salts."""
        self._core = core
        self._random_bytes = random_bytes
        self._reader = reader
        self._clock = clock
        # A request id answers once: one adjustment at a time.
        self._adjusting = asyncio.Lock()

    async def page(self, request: pb.ListBudgetsRequest, tenant: str = "") -> pb.ListBudgetsResponse:
        """One page of instances, in the order of their names' parts; stable while instances come and go."""
        if request.page_size < 0:
            raise invalid_argument(("page_size", "must not be negative"))
        wanted = _tenant_of(request.parent, tenant)
        digest = list_digest(wanted, request.budget)
        query = command_pb2.SnapshotQuery(tenant="" if wanted == ANY_TENANT else wanted, budget=request.budget)
        if request.page_token:
            query.after.CopyFrom(_read_token(request.page_token, digest).after.key())
        size = min(request.page_size or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)
        response = pb.ListBudgetsResponse()
        while True:
            query.limit = size - len(response.budgets)
            budgets, after = await asyncio.to_thread(self._read, query)
            response.budgets.extend(budgets)
            if after is None:
                return response
            if len(response.budgets) >= size:
                response.next_page_token = PageToken(after, digest).encode()
                return response
            query.after.CopyFrom(after.key())

    async def get(self, request: pb.GetBudgetRequest, tenant: str = "") -> pb.GetBudgetResponse:
        """One instance."""
        name = _parse(request.name)
        view = await self._find(name) if tenant in ("", name.tenant) else None
        if view is None:
            raise _not_found(request.name)
        return pb.GetBudgetResponse(budget=budget_of(view))

    async def adjust(self, request: pb.AdjustBudgetRequest, operator: str) -> pb.AdjustBudgetResponse:
        """Credits or debits one instance, once per request id."""
        name = _parse(request.name)
        wrong = []
        if not (request.credit.nano_usd or request.credit.tokens or request.credit.requests):
            wrong.append(("credit", "must not be zero in every unit"))
        wrong += reason_violations(request.reason)
        if wrong:
            raise invalid_argument(*wrong)
        identity = ControlRequest.of(request, method="AdjustBudget", caller=operator)
        return await to_the_end(self._adjust(request, name, identity))

    async def _adjust(
        self, request: pb.AdjustBudgetRequest, name: BudgetName, identity: ControlRequest
    ) -> pb.AdjustBudgetResponse:
        async with self._adjusting:
            now = self._clock()
            answer = await asyncio.to_thread(identity.first_answer, self._reader, pb.AdjustBudgetResponse, now)
            if answer is not None and answer.HasField("budget"):
                return answer
            view = await self._find(name)
            if view is None:
                raise _not_found(request.name)
            if answer is not None:
                # The adjustment was committed, but the sidecar stopped before its answer was: as it is now.
                return pb.AdjustBudgetResponse(budget=budget_of(view))
            # The answer is only known afterwards, but the request id has to be in the same unit as the change, so that
            # no crash can make a retry adjust twice: it goes in without an answer, which follows.
            # People write names into reasons: the record has only a commitment, so that the text can be erased.
            reason, kept = commitment(request.reason, self._random_bytes(SALT_BYTES))
            change = command_pb2.AdjustBudget(
                budget=view.budget,
                tenant=view.tenant,
                instance=view.instance,
                credit=request.credit,
                reason=reason,
                writes=[kept, identity.write(pb.AdjustBudgetResponse(), now)],
            )
            caller = command_pb2.Caller(operator=identity.caller)
            result = await apply(self._core, command_pb2.Command(caller=caller, adjust_budget=change))
            answer = pb.AdjustBudgetResponse(budget=budget_of(result.budget))
            try:
                remember = command_pb2.ControlWrite(writes=[identity.write(answer, now)])
                await apply(self._core, command_pb2.Command(caller=caller, control_write=remember))
            except Refusal as refusal:
                _log.warning("the answer to an adjustment was not kept", extra={"reason": refusal.reason})
            return answer

    def _read(self, query: command_pb2.SnapshotQuery) -> tuple[list[pb.Budget], BudgetName | None]:
        """Instances of the core and behind which one to go on. Blocks, and makes up to 1,000 messages: for a thread."""
        snapshot = command_pb2.Snapshot.FromString(self._core.snapshot(query.SerializeToString()))
        budgets = [budget_of(view) for view in snapshot.budgets]
        return budgets, BudgetName.of(snapshot.next) if snapshot.HasField("next") else None

    async def _find(self, name: BudgetName) -> command_pb2.BudgetView | None:
        # Names are read into the one form of an instance that the core has.
        query = command_pb2.SnapshotQuery(tenant=name.tenant, budget=name.budget, instance=name.instance)
        found = command_pb2.Snapshot.FromString(await asyncio.to_thread(self._core.snapshot, query.SerializeToString()))
        return found.budgets[0] if found.budgets else None


def _tenant_of(parent: str, tenant: str) -> str:
    """The tenant that a list is about; `tenant` is the caller's own."""
    if not parent and tenant:
        return tenant
    try:
        wanted = parse_parent(parent)
    except InvalidName as error:
        raise invalid_argument(("parent", str(error))) from error
    if not tenant or wanted == tenant:
        return wanted
    if wanted == ANY_TENANT:
        return tenant
    raise _not_found(parent)


def _parse(name: str) -> BudgetName:
    try:
        return BudgetName.parse(name)
    except InvalidName as error:
        raise invalid_argument(("name", str(error))) from error


def _read_token(token: str, digest: bytes) -> PageToken:
    try:
        read = PageToken.decode(token)
    except InvalidToken as error:
        raise invalid_argument(("page_token", str(error))) from error
    if read.digest != digest:
        raise invalid_argument(("page_token", "belongs to a list of another parent or budget"))
    return read


def _not_found(name: str) -> Refusal:
    """The same for what is not there and for what is somebody else's."""
    return Refusal("NOT_FOUND", f"{name} is not known", {"name": name})
