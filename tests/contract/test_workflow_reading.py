"""GetRun, ListRuns, ListWorkflows and GetWorkflow: the happy path and each documented refusal."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest

from fairlead.store import Family, keys
from fairlead.v1 import amount_pb2, run_pb2
from fairlead.v1 import workflow_service_pb2 as pb
from fairlead.workflow import assembly, service
from tests.contract.control import AS_AGENT, AS_NOBODY, refused
from tests.contract.runs import AS_GLOBEX, INVALID, UNKNOWN, Sidecar, scenario
from tests.unit.approval.fakes import at
from tests.unit.audit.records import T0
from tests.unit.workflow.fakes import (
    HOUR,
    MINUTE,
    VERSION,
    RunCore,
    definition,
    id_of,
    name_of,
    payload,
    raw,
    run_record,
    step_record,
)

FAILED, RUNNING, PAUSED = run_pb2.RUN_STATE_FAILED, run_pb2.RUN_STATE_RUNNING, run_pb2.RUN_STATE_PAUSED
LARGE = b'"' + b"x" * 300_000 + b'"'


def with_steps() -> RunCore:
    """One run in the middle of it."""
    core = RunCore()
    spent = amount_pb2.Amount(nano_usd=7, tokens=3, requests=1)
    core.put(
        run_record(1, labels={"team": "loans"}, steps_ended=2, spent=spent, input=payload(LARGE, id_of(1))),
        step_record(
            0,
            worker="w-1",
            epoch=2,
            attempts=2,
            output=payload(LARGE, id_of(1)),
            invocations=["inv_1"],
            spent=spent,
            start_time_unix_nanos=T0,
            end_time_unix_nanos=T0 + MINUTE,
        ),
        step_record(1, state="WAITING", items_total=3, items_succeeded=1),
        step_record(1, 1, output=payload(b"0.5")),
        step_record(
            1, 2, "LEASED", worker="w-2", epoch=1, attempts=1, lease_expires_at_unix_nanos=T0, due_at_unix_nanos=1
        ),
        step_record(2, state="WAITING_APPROVAL", approval="apr_" + "1" * 32, due_at_unix_nanos=T0 + HOUR),
        step_record(3, state="WAITING"),
        step_record(4, state="LEASED", compensating=True, idempotency_key="offer/1"),
        step_record(5, state="WAITING", child=id_of(2)),
    )
    core.put_payload("acme", id_of(1), LARGE)
    return core


# GetRun --------------------------------------------------------------------------------------------------------------


def test_a_run_is_told_with_its_steps_and_payloads(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        request = pb.GetRunRequest(name=name_of(1))
        mine = (await sidecar.agent.GetRun(request, metadata=AS_AGENT)).run
        assert mine == (await sidecar.operator.GetRun(request)).run
        assert (mine.name, mine.tenant, mine.agent, mine.workflow) == (
            name_of(1),
            "acme",
            "support-bot",
            "loan-approval",
        )
        assert (mine.workflow_version, mine.state, dict(mine.labels)) == (VERSION, RUNNING, {"team": "loans"})
        assert (mine.create_time, mine.HasField("end_time")) == (at(T0 + MINUTE), False)
        assert (mine.input, mine.output, mine.spent.tokens, mine.steps_ended, mine.steps_total) == (LARGE, b"", 3, 2, 6)
        steps = {step.id: step for step in mine.steps}
        assert list(steps) == ["parse", "score", "score[0]", "score[1]", "review", "paid", "offer", "sub"]
        parse = steps["parse"]
        assert (parse.queue, parse.worker, parse.epoch, parse.attempts) == ("doc-parser", "w-1", 2, 2)
        assert (parse.output, list(parse.invocations), parse.spent.tokens) == (LARGE, ["inv_1"], 3)
        assert (parse.start_time, parse.end_time, parse.HasField("due_time")) == (at(T0), at(T0 + MINUTE), False)
        assert (parse.effect, list(parse.needs)) == (run_pb2.STEP_EFFECT_READ, [])
        score, item = steps["score"], steps["score[1]"]
        assert (score.kind, score.queue, list(score.needs)) == (run_pb2.STEP_KIND_FOR_EACH, "", ["parse"])
        assert (score.items_total, score.items_succeeded, score.items_failed) == (3, 1, 0)
        assert (item.kind, item.queue, item.needs, item.due_time) == (run_pb2.STEP_KIND_AGENT, "scorer", [], at(T0))
        assert (steps["score[0]"].output, steps["paid"].signal) == (b"0.5", "payment")
        assert (steps["review"].approval, steps["review"].due_time) == ("approvals/apr_" + "1" * 32, at(T0 + HOUR))
        assert (steps["sub"].child, steps["sub"].kind) == (name_of(2), run_pb2.STEP_KIND_WORKFLOW)
        # Whoever takes a result back is another queue than the one that made it, and undeclared is the worst.
        offer = steps["offer"]
        assert (offer.queue, offer.effect) == ("retract-offer", run_pb2.STEP_EFFECT_SIDE_EFFECT)

    scenario(tmp_path, test, with_steps())


def test_payloads_can_be_left_out_or_asked_for_by_step(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        async def told(**fields: Any) -> list[str]:
            run = (await sidecar.operator.GetRun(pb.GetRunRequest(name=name_of(1), **fields))).run
            return [step.id for step in run.steps if step.output or step.input] + ["run"] * bool(run.input)

        assert await told() == ["parse", "score[0]", "run"]
        assert await told(without_payloads=True) == []
        assert await told(step="score[0]") == ["score[0]"]
        found = await refused(sidecar.operator.GetRun(pb.GetRunRequest(name=name_of(1), step="score[9]")))
        assert (found[:2], found[3]) == (INVALID, ["step"])

    scenario(tmp_path, test, with_steps())


def test_steps_that_no_record_tells_of_are_blocked(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        run = (await sidecar.operator.GetRun(pb.GetRunRequest(name=name_of(1)))).run
        shown = [(step.id, run_pb2.StepState.Name(step.state).removeprefix("STEP_STATE_")) for step in run.steps]
        assert shown == [
            ("parse", "BLOCKED"),
            ("score", "BLOCKED"),
            ("score[3]", "READY"),
            ("review", "BLOCKED"),
            ("paid", "FAILED"),
            ("offer", "BLOCKED"),
            ("sub", "BLOCKED"),
        ]

    core = RunCore()
    core.put(run_record(1), step_record(1, 4, "READY"), step_record(3, state="FAILED"))
    scenario(tmp_path, test, core)


def test_more_payloads_than_an_answer_holds_are_refused_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(sidecar: Sidecar) -> None:
        found = await refused(sidecar.operator.GetRun(pb.GetRunRequest(name=name_of(1))))
        assert found[:2] == (grpc.StatusCode.INVALID_ARGUMENT, "PAYLOAD_TOO_LARGE")
        request = pb.GetRunRequest(name=name_of(1), step="parse")
        assert (await sidecar.operator.GetRun(request)).run.steps[0].output == LARGE

    monkeypatch.setattr(assembly, "MAX_PAYLOAD_BYTES", len(LARGE) + 1)
    scenario(tmp_path, test, with_steps())


def test_what_is_not_there_or_not_mine_looks_the_same(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        for stub, metadata, name in (
            (sidecar.agent, AS_GLOBEX, name_of(1)),
            (sidecar.agent, AS_GLOBEX, name_of(9)),
            (sidecar.operator, (), name_of(9)),
        ):
            found = await refused(stub.GetRun(pb.GetRunRequest(name=name), metadata=metadata))
            assert found[:3] == (*UNKNOWN, {"name": name})
        for name in ("", id_of(1), "runs/", name_of(1).upper(), "runs/run_1"):
            found = await refused(sidecar.operator.GetRun(pb.GetRunRequest(name=name)))
            assert (found[:2], found[3]) == (INVALID, ["name"])
        nobody = await refused(sidecar.agent.GetRun(pb.GetRunRequest(name=name_of(1)), metadata=AS_NOBODY))
        assert nobody[:2] == (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIAL_MISSING")

    scenario(tmp_path, test, RunCore(run_record(1)))


def test_a_run_whose_retention_has_passed_is_gone_before_the_sweep(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        request = pb.GetRunRequest(name=name_of(1))
        assert (await sidecar.operator.GetRun(request)).run.name == name_of(1)
        sidecar.core.now = T0 + 48 * HOUR
        assert (await refused(sidecar.operator.GetRun(request)))[:2] == UNKNOWN
        listed = await sidecar.operator.ListRuns(pb.ListRunsRequest())
        # A child is kept as long as its root.
        assert [run.name for run in listed.runs] == [name_of(2)]
        assert (await sidecar.operator.GetRun(pb.GetRunRequest(name=name_of(2)))).run.parent == name_of(1)

    gone = run_record(1, state=FAILED, delete_time_unix_nanos=T0 + 48 * HOUR)
    child = run_record(2, state=FAILED, delete_time_unix_nanos=T0 + HOUR, parent=id_of(1), root=id_of(1))
    scenario(tmp_path, test, RunCore(gone, child))


def test_a_store_that_cannot_be_read_or_is_damaged_is_said(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        request = pb.GetRunRequest(name=name_of(1))
        sidecar.core.store.put(Family.RUNS, keys.definition(VERSION), None)
        found = await refused(sidecar.operator.GetRun(request))
        assert found[:2] == (grpc.StatusCode.INTERNAL, "INTERNAL")
        sidecar.core.store.broken = True
        for call in (
            sidecar.operator.GetRun(request),
            sidecar.operator.ListRuns(pb.ListRunsRequest()),
            sidecar.operator.ListWorkflows(pb.ListWorkflowsRequest()),
        ):
            assert (await refused(call))[:2] == (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")

    scenario(tmp_path, test, RunCore(run_record(1)))


# ListRuns ------------------------------------------------------------------------------------------------------------


async def listed(stub: Any, metadata: Any = (), **fields: Any) -> list[int]:
    """The numbers of the runs of all pages."""
    request, numbers = pb.ListRunsRequest(**fields), []
    while True:
        page = await stub.ListRuns(request, metadata=metadata)
        numbers += [int(run.name[-19:], 16) for run in page.runs]
        assert all(not run.steps and not run.input for run in page.runs)
        if not page.next_page_token:
            return numbers
        request.page_token = page.next_page_token


def test_runs_of_all_tenants_come_the_newest_first_page_by_page(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        request = pb.ListRunsRequest(page_size=3)
        first = await sidecar.operator.ListRuns(request)
        # What comes in between is newer than the page.
        sidecar.core.put(run_record(9, "umbrella"))
        request.page_token = first.next_page_token
        second = await sidecar.operator.ListRuns(request)
        pages = [[run.name for run in page.runs] for page in (first, second)]
        assert pages == [[name_of(n) for n in (5, 4, 3)], [name_of(n) for n in (2, 1)]]
        assert second.next_page_token == ""
        assert await listed(sidecar.operator, tenant="globex") == [4, 2]
        assert await listed(sidecar.agent, AS_AGENT, page_size=1) == [5, 3, 1]
        assert await listed(sidecar.agent, AS_GLOBEX, tenant="globex") == [4, 2]

    scenario(tmp_path, test, RunCore(*(run_record(n, "acme" if n % 2 else "globex") for n in range(1, 6))))


def test_every_filter_has_to_fit(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        operator = sidecar.operator
        assert await listed(operator, workflow="other") == [4]
        assert await listed(operator, states=[FAILED]) == [2]
        assert await listed(operator, states=[RUNNING, PAUSED]) == [5, 4, 3, 1]
        assert await listed(operator, states=[FAILED, PAUSED]) == [3, 2]
        assert await listed(operator, labels={"team": "loans"}) == [3, 2]
        assert await listed(operator, labels={"team": "loans", "tier": "free"}) == [3]
        assert await listed(operator, created_from=at(T0 + 2 * MINUTE), created_until=at(T0 + 4 * MINUTE)) == [3, 2]
        assert await listed(operator, created_from=at(T0 + 4 * MINUTE + 1)) == [5]
        assert await listed(operator, parent=name_of(2)) == [5, 3]
        assert await listed(operator, parent=name_of(7)) == []
        assert await listed(operator, parent=name_of(2), states=[PAUSED], labels={"team": "loans"}) == [3]
        # Another tenant's run has no children that I could see.
        assert await listed(sidecar.agent, AS_GLOBEX, parent=name_of(2)) == []

    child = {"parent": id_of(2), "root": id_of(2)}
    core = RunCore(
        run_record(1),
        run_record(2, state=FAILED, labels={"team": "loans"}),
        run_record(3, state=PAUSED, labels={"team": "loans", "tier": "free"}, **child),
        run_record(4, "globex", workflow="other"),
        run_record(5, **child),
    )
    scenario(tmp_path, test, core)


def test_open_runs_are_found_without_looking_at_those_that_have_ended(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        looked_at: list[bytes] = []
        get = sidecar.core.store.get
        sidecar.core.store.get = lambda family, key: (looked_at.append(key), get(family, key))[1]  # type: ignore[method-assign]
        assert await listed(sidecar.operator, states=[RUNNING]) == [70, 1]
        assert [key for key in looked_at if key[:1] == keys.RUN] == [
            keys.run("globex", raw(id_of(70))),
            keys.run("acme", raw(id_of(1))),
        ]

    ended = (run_record(n, state=FAILED) for n in range(2, 60))
    scenario(tmp_path, test, RunCore(run_record(1), *ended, run_record(70, "globex")))


def test_a_list_whose_filter_matches_little_ends_early_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(sidecar: Sidecar) -> None:
        request = pb.ListRunsRequest(labels={"team": "loans"})
        first = await sidecar.operator.ListRuns(request)
        assert not first.runs and first.next_page_token
        assert await listed(sidecar.operator, labels={"team": "loans"}) == [1]
        monkeypatch.setattr(service, "MAX_LOOKED_AT", 1000)
        monkeypatch.setattr(service, "MAX_READ_BYTES", 500)
        first = await sidecar.operator.ListRuns(request)
        assert not first.runs and first.next_page_token
        monkeypatch.setattr(service, "MAX_PAGE_BYTES", 500)
        monkeypatch.setattr(service, "MAX_READ_BYTES", 1 << 20)
        page = await sidecar.operator.ListRuns(pb.ListRunsRequest())
        assert page.next_page_token and 0 < len(page.runs) < 10
        assert await listed(sidecar.operator) == list(range(20, 0, -1))

    monkeypatch.setattr(service, "MAX_LOOKED_AT", 8)
    core = RunCore(run_record(1, labels={"team": "loans"}), *(run_record(n) for n in range(2, 21)))
    scenario(tmp_path, test, core)


def test_bad_lists_are_refused_with_every_field(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        token = (await sidecar.operator.ListRuns(pb.ListRunsRequest(page_size=1))).next_page_token
        time = at(T0)
        time.nanos = -1
        for fields, bad in (
            ({"page_size": -1, "states": [RUNNING, 0, 99]}, ["page_size", "states[1]", "states[2]"]),
            ({"page_token": "nonsense"}, ["page_token"]),
            ({"page_token": token, "workflow": "other"}, ["page_token"]),
            ({"parent": id_of(1), "created_from": time}, ["created_from", "parent"]),
        ):
            found = await refused(sidecar.operator.ListRuns(pb.ListRunsRequest(**fields)))
            assert (found[:2], found[3]) == (INVALID, bad)
        # Another page size is the same list.
        again = pb.ListRunsRequest(page_size=5, page_token=token)
        assert [run.name for run in (await sidecar.operator.ListRuns(again)).runs] == [name_of(1)]
        found = await refused(sidecar.agent.ListRuns(pb.ListRunsRequest(tenant="globex"), metadata=AS_AGENT))
        assert (found[:2], found[3]) == (INVALID, ["tenant"])

    scenario(tmp_path, test, RunCore(run_record(1), run_record(2)))


# ListWorkflows and GetWorkflow ---------------------------------------------------------------------------------------


def test_workflows_are_listed_by_name_with_the_open_runs_that_the_caller_may_see(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        sidecar.in_force = [
            definition(),
            definition(name="audit", tenants=["globex"]),
            definition(name="zero", tenants=["acme", "globex"]),
        ]
        page = await sidecar.operator.ListWorkflows(pb.ListWorkflowsRequest())
        shown = [(one.name, one.version, one.definition, one.steps, one.open_runs) for one in page.workflows]
        assert shown == [
            ("workflows/audit", VERSION, "", 6, 0),
            ("workflows/loan-approval", VERSION, "", 6, 3),
            ("workflows/zero", VERSION, "", 6, 0),
        ]
        mine = await sidecar.agent.ListWorkflows(pb.ListWorkflowsRequest(), metadata=AS_AGENT)
        assert [(one.name, one.open_runs) for one in mine.workflows] == [
            ("workflows/loan-approval", 2),
            ("workflows/zero", 0),
        ]
        request, names = pb.ListWorkflowsRequest(page_size=1), []
        for _ in range(3):
            page = await sidecar.operator.ListWorkflows(request)
            names += [one.name for one in page.workflows]
            request.page_token = page.next_page_token
        assert (names, request.page_token) == ([one[0] for one in shown], "")

    runs = (run_record(1), run_record(2), run_record(3, "globex"), run_record(4, state=FAILED))
    scenario(tmp_path, test, RunCore(*runs))


def test_open_runs_are_counted_at_most_once_a_second(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        async def count() -> int:
            answer = await sidecar.operator.GetWorkflow(pb.GetWorkflowRequest(name="workflows/loan-approval"))
            number: int = answer.workflow.open_runs
            return number

        assert await asyncio.gather(count(), count()) == [1, 1]
        sidecar.core.put(run_record(2))
        assert await count() == 1
        sidecar.core.now += 1_000_000_000
        assert await count() == 2

    scenario(tmp_path, test, RunCore(run_record(1)))


def test_a_workflow_is_told_with_its_definition(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        answer = await sidecar.operator.GetWorkflow(pb.GetWorkflowRequest(name="workflows/loan-approval"))
        assert answer.workflow.definition == '{"name":"loan-approval"}'
        assert (answer.workflow.version, answer.workflow.steps) == (VERSION, 6)
        sidecar.in_force = [definition(tenants=["globex"])]
        request = pb.GetWorkflowRequest(name="workflows/loan-approval")
        assert (await refused(sidecar.agent.GetWorkflow(request, metadata=AS_AGENT)))[:2] == UNKNOWN
        request.name = "workflows/none"
        assert (await refused(sidecar.operator.GetWorkflow(request)))[:2] == UNKNOWN
        for name in ("", "loan-approval", "workflows/"):
            found = await refused(sidecar.operator.GetWorkflow(pb.GetWorkflowRequest(name=name)))
            assert (found[:2], found[3]) == (INVALID, ["name"])
        for fields, bad in (({"page_size": -1}, "page_size"), ({"page_token": "x!"}, "page_token")):
            found = await refused(sidecar.operator.ListWorkflows(pb.ListWorkflowsRequest(**fields)))
            assert (found[:2], found[3]) == (INVALID, [bad])

    scenario(tmp_path, test)
