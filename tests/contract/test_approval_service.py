"""Every method of ApprovalService: the happy path and each documented refusal."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import grpc

from fairlead.internal.v1 import command_pb2
from fairlead.store import Family, keys
from fairlead.v1 import approval_service_pb2 as pb
from tests.contract.approvals import (
    INVALID,
    ONE,
    Sidecar,
    scenario,
    vote,
)
from tests.contract.control import refused
from tests.unit.approval.fakes import DIGEST, HOUR, approval, at, ticket
from tests.unit.audit.records import T0

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
