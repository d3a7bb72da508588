"""Use cases of agents: look at a ticket, wait for it. Nothing here can change an approval.

Waiting costs the store one read at the start and one whenever something may have changed: at a vote, at the expiry, and
once every `RECHECK_SECONDS` for what changes without a vote, as when the agent comes back and the policy says no now.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fairlead.approval.model import InvalidName, as_of, ticket_id, ticket_of
from fairlead.approval.store import Approvals, Reader
from fairlead.approval.votes import Votes
from fairlead.control.errors import Refusal, invalid_argument
from fairlead.control.identity import Identity
from fairlead.v1 import approval_service_pb2 as pb

MAX_WAIT_SECONDS = 60.0
RECHECK_SECONDS = 5.0
# One waiter costs a place in the front's connection to the control server: no tenant can take all of them.
MAX_WAITERS = 256
MAX_WAITERS_OF_A_TENANT = 64
_NANOS = 1_000_000_000


class TicketService:
    """Tickets as the agents that got them see them; for everybody else they are not there. Belongs to one event
    loop."""

    def __init__(
        self,
        reader: Reader,
        votes: Votes,
        clock: Callable[[], int],
        *,
        max_waiters: int = MAX_WAITERS,
        max_waiters_of_a_tenant: int = MAX_WAITERS_OF_A_TENANT,
        recheck_seconds: float = RECHECK_SECONDS,
    ) -> None:
        """`clock` gives Unix nanoseconds; more waiters at once are refused."""
        self._recheck_seconds = recheck_seconds
        self._approvals = Approvals(reader)
        self._votes = votes
        self._clock = clock
        self._max_waiters = max_waiters
        self._max_waiters_of_a_tenant = max_waiters_of_a_tenant
        self._waiters: Counter[str] = Counter()
        self._draining = asyncio.Event()

    @property
    def waiters(self) -> int:
        """Calls that wait."""
        return self._waiters.total()

    def drain(self) -> None:
        """Ends every wait with DRAINING, now and from now on."""
        self._draining.set()

    async def get(self, request: pb.GetTicketRequest, caller: Identity) -> pb.GetTicketResponse:
        """The state of a ticket."""
        approval = await self._own(request.ticket, caller)
        return pb.GetTicketResponse(ticket=ticket_of(approval))

    async def wait(self, request: pb.WaitTicketRequest, caller: Identity) -> pb.WaitTicketResponse:
        """The state of a ticket, as soon as it is not pending or when the time is over."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _seconds(request)
        with self._waiting(caller.tenant):
            wanted = _id(request.ticket)
            # Before the first read: a vote behind it is not missed.
            voted = self._votes.subscribe(wanted)
            try:
                while True:
                    voted.clear()
                    approval = await self._own(request.ticket, caller)
                    left = deadline - loop.time()
                    if approval.state != pb.APPROVAL_STATE_PENDING or left <= 0:
                        return pb.WaitTicketResponse(ticket=ticket_of(approval))
                    expires = (approval.expire_time.ToNanoseconds() - self._clock()) / _NANOS
                    await self._until(voted, max(0.0, min(left, expires, self._recheck_seconds)))
            finally:
                self._votes.unsubscribe(wanted, voted)

    async def _own(self, ticket: str, caller: Identity) -> pb.Approval:
        """The approval behind a ticket of the caller; raises `Refusal`."""
        record = await asyncio.to_thread(self._approvals.get, _id(ticket))
        if record is None or (record.approval.tenant, record.approval.agent) != (caller.tenant, caller.agent):
            raise Refusal("NOT_FOUND", f"ticket {ticket} is not known", {"ticket": ticket})
        return as_of(record, self._clock())

    async def _until(self, voted: asyncio.Event, seconds: float) -> None:
        """Returns at a vote or when the time has passed; raises `Refusal` at the drain."""
        waits = [asyncio.ensure_future(voted.wait()), asyncio.ensure_future(self._draining.wait())]
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if self._draining.is_set():
            raise Refusal("DRAINING", "the sidecar is stopping: wait again at its successor")

    @contextmanager
    def _waiting(self, tenant: str) -> Iterator[None]:
        of_tenant = self._waiters.get(tenant, 0) >= self._max_waiters_of_a_tenant
        if of_tenant or self.waiters >= self._max_waiters:
            raise Refusal(
                "QUEUE_FULL",
                "too many calls wait for tickets: use GetTicket, or wait again later",
                {"bound": "waiters of a tenant" if of_tenant else "waiters"},
            )
        self._waiters[tenant] += 1
        try:
            yield
        finally:
            self._waiters[tenant] -= 1
            if not self._waiters[tenant]:
                del self._waiters[tenant]


def _id(ticket: str) -> bytes:
    try:
        return ticket_id(ticket)
    except InvalidName as error:
        raise invalid_argument(("ticket", str(error))) from error


def _seconds(request: pb.WaitTicketRequest) -> float:
    """How long to wait; raises `Refusal`."""
    if not request.HasField("timeout"):
        return MAX_WAIT_SECONDS
    seconds = request.timeout.seconds + request.timeout.nanos / _NANOS
    if seconds < 0:
        raise invalid_argument(("timeout", "must not be negative"))
    return min(seconds, MAX_WAIT_SECONDS)
