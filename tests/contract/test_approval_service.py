"""Every method of ApprovalService and ApprovalTicketService: the happy path and each documented refusal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration

from fairlead.approval.service import ApprovalDeskService
from fairlead.approval.tickets import TicketService
from fairlead.approval.votes import Votes
from fairlead.approval.watch import ApprovalWatchService
from fairlead.audit.tokens import Position
from fairlead.control.access import AGENT, FRONT_KEY, TENANT, FrontDoor, OperatorCredential, OperatorDoor, Operators
from fairlead.control.approval_service import ApprovalServicer, ApprovalTicketServicer
from fairlead.internal.v1 import command_pb2
from fairlead.store import CommitFeed, Family, keys
from fairlead.v1 import approval_service_pb2 as pb
from fairlead.v1 import approval_service_pb2_grpc, audit_record_pb2
from tests.contract.control import AS_AGENT, AS_NOBODY, KEY, refused
from tests.unit.approval.fakes import DIGEST, HOUR, ROLES, ApprovalCore, approval, at, ticket
from tests.unit.audit.records import T0

INVALID = (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT")
ONE = approval(1)
AS_OTHER_AGENT = ((FRONT_KEY, KEY), (TENANT, "acme"), (AGENT, "other-bot"))
AS_OTHER_TENANT = ((FRONT_KEY, KEY), (TENANT, "globex"), (AGENT, "support-bot"))


def as_operator(name: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {name}-token"),)


class Sidecar:
    """Both services over one core, on the endpoints that they have in a daemon."""

    def __init__(self, *approvals: pb.Approval, max_watchers: int = 2, **bounds: Any) -> None:
        self.core = ApprovalCore(*approvals)
        votes = Votes()
        self.tickets = TicketService(self.core.store, votes, lambda: self.core.now, **bounds)
        self.desk = ApprovalDeskService(self.core, self.core.store, votes, lambda: self.core.now)
        self.core.feed = CommitFeed(asyncio.get_running_loop())
        self.core.feed.publish(len(self.core.records))
        self.watching = ApprovalWatchService(self.core.store, self.core.feed, lambda: self.core.now, max_watchers)
        self.operator: Any = None
        self.agent: Any = None
        self.deciding_as_agent: Any = None

    @asynccontextmanager
    async def served(self, directory: Path) -> AsyncIterator[Sidecar]:
        operators = Operators()
        operators.replace(OperatorCredential.of(name, roles, f"{name}-token") for name, roles in ROLES.items())
        for_operators = grpc.aio.server(interceptors=(OperatorDoor(operators, token_required=False),))
        approval_service_pb2_grpc.add_ApprovalServiceServicer_to_server(
            ApprovalServicer(self.desk, self.watching), for_operators
        )
        for_agents = grpc.aio.server(interceptors=(FrontDoor(KEY),))
        approval_service_pb2_grpc.add_ApprovalTicketServiceServicer_to_server(
            ApprovalTicketServicer(self.tickets), for_agents
        )
        addresses = [f"unix:{directory}/{name}.sock" for name in ("operators", "agents")]
        options = [("grpc.default_authority", "localhost")]
        for server, address in zip((for_operators, for_agents), addresses, strict=True):
            server.add_insecure_port(address)
            await server.start()
        try:
            async with (
                grpc.aio.insecure_channel(addresses[0], options=options) as operators_channel,
                grpc.aio.insecure_channel(addresses[1], options=options) as agents_channel,
            ):
                self.operator = approval_service_pb2_grpc.ApprovalServiceStub(operators_channel)
                self.agent = approval_service_pb2_grpc.ApprovalTicketServiceStub(agents_channel)
                self.deciding_as_agent = approval_service_pb2_grpc.ApprovalServiceStub(agents_channel)
                yield self
        finally:
            await for_operators.stop(None)
            await for_agents.stop(None)

    async def vote(self, who: str, request_id: str = "v-1", **fields: Any) -> pb.DecideApprovalResponse:
        answer: pb.DecideApprovalResponse = await self.operator.DecideApproval(
            vote(request_id, **fields), metadata=as_operator(who)
        )
        return answer


def vote(request_id: str = "v-1", **fields: Any) -> pb.DecideApprovalRequest:
    given: dict[str, Any] = {
        "name": ONE.name,
        "decision": pb.APPROVAL_DECISION_APPROVE,
        "reason": "the order was lost",
        "digest": DIGEST,
    }
    return pb.DecideApprovalRequest(request_id=request_id, **{**given, **fields})


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await test()

    asyncio.run(bounded())


def scenario(
    directory: Path, test: Callable[[Sidecar], Coroutine[Any, Any, None]], *approvals: pb.Approval, **bounds: Any
) -> None:
    async def served() -> None:
        async with Sidecar(*approvals, **bounds).served(directory) as sidecar:
            await test(sidecar)

    run(served)


# ListApprovals -------------------------------------------------------------------------------------------------------


def test_approvals_are_listed_the_newest_first_page_by_page(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        request = pb.ListApprovalsRequest(page_size=2)
        first = await sidecar.operator.ListApprovals(request)
        # What comes in between is newer than the page.
        sidecar.core.put(approval(9))
        request.page_token = first.next_page_token
        second = await sidecar.operator.ListApprovals(request)
        request.page_token = second.next_page_token
        third = await sidecar.operator.ListApprovals(request)
        pages = [[one.name[-1] for one in page.approvals] for page in (first, second, third)]
        assert pages == [["5", "4"], ["3", "2"], ["1"]]
        assert third.next_page_token == ""

    scenario(tmp_path, test, *(approval(number) for number in range(1, 6)))


def test_lists_are_of_a_tenant_or_a_state_that_is_true_now(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        async def listed(**fields: Any) -> list[str]:
            page = await sidecar.operator.ListApprovals(pb.ListApprovalsRequest(**fields))
            return [one.name[-1] for one in page.approvals]

        assert await listed() == ["3", "2", "1"]
        assert await listed(tenant="globex") == ["2"]
        assert await listed(state=pb.APPROVAL_STATE_PENDING) == ["2", "1"]
        sidecar.core.now = T0 + 72 * HOUR
        assert await listed(state=pb.APPROVAL_STATE_PENDING) == []
        assert await listed(state=pb.APPROVAL_STATE_EXPIRED, tenant="acme") == ["1"]

    ended = approval(3, state=pb.APPROVAL_STATE_CONSUMED, end_time=at(T0))
    scenario(tmp_path, test, ONE, approval(2, "globex"), ended)


def test_what_waits_is_found_without_looking_at_what_has_ended(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        looked_at: list[Family] = []
        get, scan = sidecar.core.store.get, sidecar.core.store.scan
        sidecar.core.store.get = lambda family, key: (looked_at.append(family), get(family, key))[1]  # type: ignore[method-assign]

        def scanned(family: Family, **bounds: Any) -> Any:
            assert family is Family.STATE
            found = list(scan(family, **bounds))
            looked_at.extend(family for _ in found)
            return iter(found)

        sidecar.core.store.scan = scanned  # type: ignore[method-assign]
        # Of the state there is more than approvals.
        sidecar.core.store.put(Family.STATE, keys.sidecar_value("format"), b"1")
        for tenant in ("acme", "globex", "umbrella"):
            sidecar.core.store.put(Family.STATE, keys.budget_instance(tenant, "b", "-"), b"1")
            sidecar.core.store.put(Family.STATE, keys.session(tenant, "s"), b"1")
        request, pages = pb.ListApprovalsRequest(state=pb.APPROVAL_STATE_PENDING, page_size=2), []
        for _ in range(2):
            page = await sidecar.operator.ListApprovals(request)
            request.page_token = page.next_page_token
            pages.append([one.name[-3:] for one in page.approvals])
        assert (pages, request.page_token) == ([["300", "003"], ["001"]], "")
        assert len(looked_at) < 30
        mine = pb.ListApprovalsRequest(state=pb.APPROVAL_STATE_PENDING, tenant="globex")
        assert [one.name[-3:] for one in (await sidecar.operator.ListApprovals(mine)).approvals] == ["003"]

    ended = (approval(number, state=pb.APPROVAL_STATE_CONSUMED, end_time=at(T0)) for number in range(0x100, 0x200))
    scenario(tmp_path, test, ONE, approval(3, "globex"), approval(0x300), *ended)


def test_bad_pages_are_refused(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        page = await sidecar.operator.ListApprovals(pb.ListApprovalsRequest(page_size=1))
        for fields, bad in (
            ({"page_size": -1}, "page_size"),
            ({"page_token": "nonsense"}, "page_token"),
            ({"page_token": page.next_page_token, "tenant": "acme"}, "page_token"),
        ):
            found = await refused(sidecar.operator.ListApprovals(pb.ListApprovalsRequest(**fields)))
            assert (found[:2], found[3]) == (INVALID, [bad])

    scenario(tmp_path, test, ONE, approval(2))


def test_a_page_of_large_arguments_ends_early(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        page = await sidecar.operator.ListApprovals(pb.ListApprovalsRequest())
        assert len(page.approvals) == 2
        rest = await sidecar.operator.ListApprovals(pb.ListApprovalsRequest(page_token=page.next_page_token))
        assert (len(rest.approvals), rest.next_page_token) == (1, "")

    scenario(tmp_path, test, *(approval(number, arguments=b"x" * 900_000) for number in (1, 2, 3)))


# GetApproval ---------------------------------------------------------------------------------------------------------


def test_an_approval_says_everything_that_people_have_to_know(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        answer = await sidecar.operator.GetApproval(pb.GetApprovalRequest(name=ONE.name))
        assert answer.approval == ONE

    scenario(tmp_path, test, ONE)


def test_an_approval_whose_time_has_passed_is_expired_before_the_sweep(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        sidecar.core.now = T0 + 72 * HOUR
        answer = await sidecar.operator.GetApproval(pb.GetApprovalRequest(name=ONE.name))
        assert (answer.approval.state, answer.approval.end_time) == (pb.APPROVAL_STATE_EXPIRED, ONE.expire_time)
        code, reason, metadata, _ = await refused(sidecar.vote("asha"))
        assert (code, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "INVALID_STATE")
        assert metadata["state"] == "EXPIRED"

    scenario(tmp_path, test, ONE)


def test_an_approval_that_another_tier_is_to_be_asked_about_is_not_expired(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        sidecar.core.now = T0 + 72 * HOUR
        answer = await sidecar.operator.GetApproval(pb.GetApprovalRequest(name=ONE.name))
        assert answer.approval.state == pb.APPROVAL_STATE_PENDING
        # The core passes it on before it looks at the vote.
        await sidecar.vote("asha")

    scenario(tmp_path, test, approval(1, escalates_to="ceo"))


def test_unknown_and_impossible_names_are_refused(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        found = await refused(sidecar.operator.GetApproval(pb.GetApprovalRequest(name=approval(7).name)))
        assert found[:2] == (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")
        for name in ("", "apr_1", ticket(ONE), "approvals/" + ticket(ONE), ONE.name.upper()):
            found = await refused(sidecar.operator.GetApproval(pb.GetApprovalRequest(name=name)))
            assert (found[:2], found[3]) == (INVALID, ["name"])

    scenario(tmp_path, test, ONE)


# DecideApproval ------------------------------------------------------------------------------------------------------


def test_two_people_approve(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        first = await sidecar.vote("asha")
        assert first.approval.state == pb.APPROVAL_STATE_PENDING
        assert [(quorum.role, quorum.count) for quorum in first.approval.missing] == [("finance", 1)]
        second = await sidecar.vote("ben", "v-2")
        assert second.approval.state == pb.APPROVAL_STATE_APPROVED
        assert [(said.operator, list(said.roles)) for said in second.approval.votes] == [
            ("asha", ["finance"]),
            ("ben", ["finance", "legal"]),
        ]

    scenario(tmp_path, test, ONE)


def test_a_repeated_vote_gets_the_first_answer_and_counts_once(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        first, again = await sidecar.vote("asha"), await sidecar.vote("asha")
        assert first == again and len(sidecar.core.applied) == 1
        # Somebody else's id is somebody else's.
        assert (await sidecar.vote("ben")).approval.state == pb.APPROVAL_STATE_APPROVED
        found = await refused(sidecar.vote("asha", reason="changed my mind"))
        assert (found[:2], found[3]) == (INVALID, ["request_id"])

    scenario(tmp_path, test, ONE)


def test_it_takes_different_people_and_ends_when_they_have_agreed(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        await sidecar.vote("asha")
        found = await refused(sidecar.vote("asha", "v-2"))
        assert found[:2] == (grpc.StatusCode.FAILED_PRECONDITION, "INVALID_STATE")
        await sidecar.vote("ben", "v-3")
        found = await refused(sidecar.vote("ben", "v-4"))
        assert found[:2] == (grpc.StatusCode.FAILED_PRECONDITION, "INVALID_STATE")

    scenario(tmp_path, test, ONE)


def test_votes_at_the_same_moment_are_counted_one_after_the_other(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        answers = await asyncio.gather(*(sidecar.vote("asha") for _ in range(20)))
        assert len({answer.SerializeToString(deterministic=True) for answer in answers}) == 1
        assert len(sidecar.core.applied) == 1

    scenario(tmp_path, test, ONE)


def test_one_refusal_ends_it(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        answer = await sidecar.vote("asha", decision=pb.APPROVAL_DECISION_REJECT, reason="not ours")
        assert answer.approval.state == pb.APPROVAL_STATE_REJECTED
        code, reason, metadata, _ = await refused(sidecar.vote("ben", "v-2"))
        assert (code, reason, metadata["state"]) == (
            grpc.StatusCode.FAILED_PRECONDITION,
            "INVALID_STATE",
            "REJECTED",
        )

    scenario(tmp_path, test, ONE)


def test_an_edit_has_another_digest_and_takes_its_own_votes(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        await sidecar.vote("asha")
        edit = {"decision": pb.APPROVAL_DECISION_EDIT, "edited_arguments": b'{"amount":5}'}
        edited = (await sidecar.vote("ben", "v-2", **edit)).approval
        assert (edited.arguments, edited.requested_arguments) == (b'{"amount":5}', ONE.arguments)
        assert edited.digest != DIGEST and [quorum.count for quorum in edited.missing] == [2]
        # The digest of what was shown before is one of nothing.
        found = await refused(sidecar.vote("asha", "v-3"))
        assert (found[:2], found[3]) == (INVALID, ["digest"])
        for number, who in enumerate(("asha", "ben")):
            answer = await sidecar.vote(who, f"v-4{number}", digest=edited.digest)
        assert answer.approval.state == pb.APPROVAL_STATE_APPROVED

    scenario(tmp_path, test, ONE)


def test_a_resolution_goes_to_the_core(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        happened = pb.Resolution(outcome=pb.RESOLUTION_OUTCOME_HAPPENED, result=b'{"id":1}')
        answer = await sidecar.vote("asha", resolution=happened)
        assert answer.approval.resolution == happened
        assert sidecar.core.applied[0].decide_approval.resolution == happened

    scenario(tmp_path, test, approval(1, subject=pb.APPROVAL_SUBJECT_UNKNOWN_STEP))


def test_nobody_votes_on_what_was_withdrawn(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        code, reason, metadata, _ = await refused(sidecar.vote("asha"))
        assert (code, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "INVALID_STATE")
        assert metadata["state"] == "WITHDRAWN"

    scenario(tmp_path, test, approval(1, state=pb.APPROVAL_STATE_WITHDRAWN, end_time=at(T0)))


def test_what_is_refused_by_the_core_is_refused_here(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        code, reason, *_ = await refused(sidecar.vote("carla"))
        assert (code, reason) == (grpc.StatusCode.PERMISSION_DENIED, "POLICY_DENIED")
        # Without a token the caller is nobody with a role.
        code, reason, *_ = await refused(sidecar.operator.DecideApproval(vote()))
        assert (code, reason) == (grpc.StatusCode.PERMISSION_DENIED, "POLICY_DENIED")
        found = await refused(sidecar.vote("asha", digest="00" * 32))
        assert (found[:2], found[3]) == (INVALID, ["digest"])
        sidecar.core.reject = command_pb2.Rejection(reason="STORE_UNAVAILABLE", message="the store failed")
        code, reason, *_ = await refused(sidecar.vote("asha"))
        assert (code, reason) == (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")

    scenario(tmp_path, test, ONE)


def test_every_bad_field_is_named(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        nothing = pb.DecideApprovalRequest(request_id="v-1")
        found = await refused(sidecar.operator.DecideApproval(nothing))
        assert (found[:2], found[3]) == (INVALID, ["decision", "reason", "digest", "name"])
        for fields, bad in (
            ({"reason": "x" * 513}, "reason"),
            ({"reason": " "}, "reason"),
            ({"digest": DIGEST.upper()}, "digest"),
            ({"decision": pb.APPROVAL_DECISION_EDIT}, "edited_arguments"),
            ({"edited_arguments": b"{}"}, "edited_arguments"),
            ({"decision": pb.APPROVAL_DECISION_REJECT, "resolution": pb.Resolution()}, "resolution"),
            ({"request_id": ""}, "request_id"),
            ({"request_id": "x" * 129}, "request_id"),
        ):
            found = await refused(sidecar.vote("asha", **fields))
            assert (found[:2], found[3]) == (INVALID, [bad])
        assert sidecar.core.applied == []

    scenario(tmp_path, test, ONE)


def test_an_unknown_approval_cannot_be_voted_on(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        found = await refused(sidecar.vote("asha", name=approval(7).name))
        assert found[:2] == (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")

    scenario(tmp_path, test, ONE)


# WatchApprovals ------------------------------------------------------------------------------------------------------


def watched(sidecar: Sidecar, **fields: Any) -> Any:
    return sidecar.operator.WatchApprovals(pb.WatchApprovalsRequest(**fields), metadata=as_operator("asha"))


async def seen(call: Any, count: int) -> list[tuple[str, str]]:
    """The end of each name and the state; the end of the open ones is nameless."""
    found = [await call.read() for _ in range(count)]
    return [(one.approval.name[-1:], pb.ApprovalState.Name(one.approval.state)[15:]) for one in found]


def test_the_open_ones_come_first_and_then_every_change(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        call = watched(sidecar)
        first = await call.read()
        assert first.initial and first.approval == ONE and first.resume_token == ""
        assert await seen(call, 2) == [("3", "APPROVED"), ("", "UNSPECIFIED")]
        await sidecar.vote("asha")
        sidecar.core.put(approval(4, "globex"))
        await sidecar.vote("ben", "v-2")
        assert await seen(call, 3) == [("1", "PENDING"), ("4", "PENDING"), ("1", "APPROVED")]
        call.cancel()

    ended = approval(2, state=pb.APPROVAL_STATE_CONSUMED, end_time=at(T0))
    scenario(tmp_path, test, ONE, ended, approval(3, "globex", state=pb.APPROVAL_STATE_APPROVED))


def test_a_stream_goes_on_where_it_was(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        call = watched(sidecar)
        await call.read()
        token = (await call.read()).resume_token
        call.cancel()
        # What happened in between is not lost, and other records are not told.
        await sidecar.vote("asha")
        sidecar.core.log("INVOCATION_RELEASED", tenant="acme")
        sidecar.core.put(approval(5))
        call = watched(sidecar, resume_token=token)
        assert await seen(call, 2) == [("1", "PENDING"), ("5", "PENDING")]
        call.cancel()

    scenario(tmp_path, test, ONE)


def test_a_tool_call_that_begins_to_wait_is_told(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        call = watched(sidecar, tenant="acme")
        assert await seen(call, 2) == [("1", "PENDING"), ("", "UNSPECIFIED")]
        sidecar.core.put(approval(8, "globex"))
        pending = audit_record_pb2.ToolDecisionRecord(approval=ONE.name)
        sidecar.core.log("TOOL_PENDING", tenant="acme", tool=pending)
        assert await seen(call, 1) == [("1", "PENDING")]
        call.cancel()

    scenario(tmp_path, test, ONE)


def test_bad_tokens_of_a_stream_are_refused(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        of_another_log = Position(1, b"otherlog").encode()
        for token in ("nonsense", of_another_log):
            found = await refused(watched(sidecar, resume_token=token).read())
            assert (found[:2], found[3]) == (INVALID, ["resume_token"])

    scenario(tmp_path, test, ONE)


def test_streams_are_bounded_and_end_with_the_drain(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        calls = [watched(sidecar) for _ in range(2)]
        for call in calls:
            await call.read()
        found = await refused(watched(sidecar).read())
        assert found[:3] == (grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL", {"bound": "approval_watchers"})
        calls[0].cancel()
        while sidecar.watching.watchers > 1:
            await asyncio.sleep(0)
        sidecar.watching.drain()

        async def to_the_end() -> None:
            while await calls[1].read() is not grpc.aio.EOF:  # type: ignore[attr-defined]
                pass

        assert (await refused(to_the_end()))[:2] == (grpc.StatusCode.UNAVAILABLE, "DRAINING")

    scenario(tmp_path, test, ONE)


def test_a_store_that_cannot_be_read_ends_a_stream(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        sidecar.core.store.broken = True
        found = await refused(watched(sidecar).read())
        assert found[:2] == (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")

    scenario(tmp_path, test, ONE)


# Agents --------------------------------------------------------------------------------------------------------------


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
