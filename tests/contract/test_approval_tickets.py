"""Every method of ApprovalTicketService: the happy path and each documented refusal."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
from google.protobuf.duration_pb2 import Duration

from fairlead.v1 import approval_service_pb2 as pb
from tests.contract.approvals import (
    AS_OTHER_AGENT,
    AS_OTHER_TENANT,
    INVALID,
    ONE,
    Sidecar,
    as_operator,
    scenario,
    vote,
)
from tests.contract.control import AS_AGENT, AS_NOBODY, refused
from tests.unit.approval.fakes import approval, at, ticket


def test_nothing_on_the_agents_endpoint_can_decide_or_look_at_what_people_see(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        claims = (*AS_AGENT, *as_operator("asha"), ("x-fairlead-operator", "asha"))
        for call in (
            sidecar.deciding_as_agent.DecideApproval(vote(), metadata=claims),
            sidecar.deciding_as_agent.GetApproval(pb.GetApprovalRequest(name=ONE.name), metadata=claims),
            sidecar.deciding_as_agent.ListApprovals(pb.ListApprovalsRequest(), metadata=claims),
        ):
            try:
                await call
            except grpc.aio.AioRpcError as error:
                assert error.code() is grpc.StatusCode.UNIMPLEMENTED
            else:
                raise AssertionError("an agent reached a method of operators")
        assert sidecar.core.applied == []
        methods = pb.DESCRIPTOR.services_by_name["ApprovalTicketService"].methods_by_name
        assert set(methods) == {"GetTicket", "WaitTicket"}

    scenario(tmp_path, test, ONE)


def test_an_agent_sees_the_state_of_its_ticket_and_why_it_was_refused_but_not_by_whom(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        request = pb.GetTicketRequest(ticket=ticket(ONE))
        pending = (await sidecar.agent.GetTicket(request, metadata=AS_AGENT)).ticket
        assert pending == pb.Ticket(
            ticket=ticket(ONE),
            approval=ONE.name,
            state=pb.APPROVAL_STATE_PENDING,
            expire_time=ONE.expire_time,
        )
        await sidecar.vote("asha", decision=pb.APPROVAL_DECISION_REJECT, reason="not ours")
        refusal = (await sidecar.agent.GetTicket(request, metadata=AS_AGENT)).ticket
        assert (refusal.state, refusal.reason) == (pb.APPROVAL_STATE_REJECTED, "not ours")
        assert "asha" not in str(refusal)

    scenario(tmp_path, test, ONE)


def test_a_ticket_is_there_only_for_the_agent_that_got_it(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        for who in (AS_OTHER_AGENT, AS_OTHER_TENANT):
            for call in (
                sidecar.agent.GetTicket(pb.GetTicketRequest(ticket=ticket(ONE)), metadata=who),
                sidecar.agent.WaitTicket(pb.WaitTicketRequest(ticket=ticket(ONE)), metadata=who),
            ):
                assert (await refused(call))[:2] == (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")
        unknown = pb.GetTicketRequest(ticket=ticket(approval(7)))
        found = await refused(sidecar.agent.GetTicket(unknown, metadata=AS_AGENT))
        assert found[:2] == (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")
        found = await refused(sidecar.agent.GetTicket(unknown, metadata=AS_NOBODY))
        assert found[:2] == (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIAL_MISSING")

    scenario(tmp_path, test, ONE)


def test_impossible_tickets_and_times_are_refused(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        for text in ("", "tkt_1", ONE.name, ONE.name.removeprefix("approvals/")):
            for call in (
                sidecar.agent.GetTicket(pb.GetTicketRequest(ticket=text), metadata=AS_AGENT),
                sidecar.agent.WaitTicket(pb.WaitTicketRequest(ticket=text), metadata=AS_AGENT),
            ):
                found = await refused(call)
                assert (found[:2], found[3]) == (INVALID, ["ticket"])
        backwards = pb.WaitTicketRequest(ticket=ticket(ONE), timeout=Duration(seconds=-1))
        found = await refused(sidecar.agent.WaitTicket(backwards, metadata=AS_AGENT))
        assert (found[:2], found[3]) == (INVALID, ["timeout"])

    scenario(tmp_path, test, ONE)


async def until_waiting(sidecar: Sidecar, waiters: int = 1) -> None:
    while sidecar.tickets.waiters < waiters:
        await asyncio.sleep(0)


def wait(sidecar: Sidecar, which: pb.Approval = ONE, seconds: int = 60) -> asyncio.Task[pb.WaitTicketResponse]:
    request = pb.WaitTicketRequest(ticket=ticket(which), timeout=Duration(seconds=seconds))

    async def waited() -> pb.WaitTicketResponse:
        answer: pb.WaitTicketResponse = await sidecar.agent.WaitTicket(request, metadata=AS_AGENT)
        return answer

    return asyncio.create_task(waited())


def test_waiting_ends_when_people_have_agreed_and_not_before(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        waiting = wait(sidecar)
        await until_waiting(sidecar)
        await sidecar.vote("asha")
        assert not waiting.done()
        await sidecar.vote("ben", "v-2")
        assert (await waiting).ticket.state == pb.APPROVAL_STATE_APPROVED
        assert sidecar.tickets.waiters == 0
        # From then on it does not wait at all.
        assert (await wait(sidecar)).ticket.state == pb.APPROVAL_STATE_APPROVED

    scenario(tmp_path, test, ONE, recheck_seconds=3600)


def test_waiting_ends_when_the_core_decides_without_a_vote(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        waiting = wait(sidecar)
        await until_waiting(sidecar)
        # The agent came back meanwhile, and the policy says no by now.
        sidecar.core.put(approval(1, state=pb.APPROVAL_STATE_REJECTED))
        assert (await waiting).ticket.state == pb.APPROVAL_STATE_REJECTED

    scenario(tmp_path, test, ONE, recheck_seconds=0.01)


def test_waiting_ends_with_a_pending_ticket_when_the_time_is_over(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        assert (await wait(sidecar, seconds=0)).ticket.state == pb.APPROVAL_STATE_PENDING

    scenario(tmp_path, test, ONE)


def test_waiting_ends_at_the_expiry(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        soon = approval(2, expire_time=at(sidecar.core.now + 1))
        sidecar.core.put(soon)
        waiting = wait(sidecar, soon)
        await until_waiting(sidecar)
        sidecar.core.now += 1
        assert (await waiting).ticket.state == pb.APPROVAL_STATE_EXPIRED

    scenario(tmp_path, test, ONE)


def test_waiting_costs_no_reads_as_long_as_nothing_happens(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        reads: list[bytes] = []
        get = sidecar.core.store.get
        sidecar.core.store.get = lambda family, key: (reads.append(key), get(family, key))[1]  # type: ignore[method-assign]
        waiting = [wait(sidecar) for _ in range(10)]
        await until_waiting(sidecar, 10)
        while len(reads) < 10:
            await asyncio.sleep(0)
        for _ in range(1000):
            await asyncio.sleep(0)
        assert len(reads) == 10
        for task in waiting:
            task.cancel()

    scenario(tmp_path, test, ONE, recheck_seconds=3600)


def test_waiters_are_bounded_in_all_and_for_every_tenant(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        waiting = [wait(sidecar), wait(sidecar)]
        await until_waiting(sidecar, 2)
        found = await refused(wait(sidecar))
        assert found[:3] == (grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL", {"bound": "waiters of a tenant"})
        # A ticket of another tenant may still be waited for.
        other = pb.WaitTicketRequest(ticket=ticket(approval(2)), timeout=Duration(seconds=0))
        assert (await sidecar.agent.WaitTicket(other, metadata=AS_OTHER_TENANT)).ticket.state
        for task in waiting:
            task.cancel()
        while sidecar.tickets.waiters:
            await asyncio.sleep(0)
        assert (await wait(sidecar, seconds=0)).ticket.state

    scenario(tmp_path, test, ONE, approval(2, "globex"), max_waiters=3, max_waiters_of_a_tenant=2)


def test_waiting_ends_when_the_sidecar_drains(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        waiting = wait(sidecar)
        await until_waiting(sidecar)
        sidecar.tickets.drain()
        assert (await refused(waiting))[:2] == (grpc.StatusCode.UNAVAILABLE, "DRAINING")

    scenario(tmp_path, test, ONE)
