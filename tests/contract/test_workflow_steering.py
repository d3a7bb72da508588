"""StartRun, CancelRun, PauseRun, ResumeRun, SignalRun and RerunRun: the happy path and each documented refusal."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest

from fairlead.internal.v1 import command_pb2
from fairlead.v1 import amount_pb2, run_pb2
from fairlead.v1 import workflow_service_pb2 as pb
from fairlead.workflow import steering
from tests.contract.control import AS_AGENT, AS_NOBODY, refused
from tests.contract.runs import AS_ASHA, AS_GLOBEX, INVALID, UNKNOWN, WRONG_STATE, Sidecar, scenario
from tests.unit.audit.records import T0
from tests.unit.workflow.fakes import HOUR, RunCore, definition, id_of, name_of, payload, run_record, step_record

FAILED, SUCCEEDED = run_pb2.RUN_STATE_FAILED, run_pb2.RUN_STATE_SUCCEEDED
STEERING: list[tuple[str, Any, dict[str, Any], int]] = [
    ("CancelRun", pb.CancelRunRequest, {"reason": "not needed"}, run_pb2.RUN_STATE_CANCELLED),
    ("PauseRun", pb.PauseRunRequest, {"reason": "look first"}, run_pb2.RUN_STATE_PAUSED),
    ("ResumeRun", pb.ResumeRunRequest, {}, run_pb2.RUN_STATE_RUNNING),
    ("SignalRun", pb.SignalRunRequest, {"signal": "payment", "payload": b"{}"}, run_pb2.RUN_STATE_RUNNING),
]


def start(request_id: str = "s-1", **fields: Any) -> pb.StartRunRequest:
    return pb.StartRunRequest(**{"request_id": request_id, "workflow": "loan-approval", "input": b"{}", **fields})


# StartRun ------------------------------------------------------------------------------------------------------------


def test_a_run_belongs_to_who_starts_it(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        mine = await sidecar.agent.StartRun(start(labels={"team": "loans"}, priority=7), metadata=AS_AGENT)
        theirs = await sidecar.operator.StartRun(start(tenant="globex"), metadata=AS_ASHA)
        assert (mine.run.tenant, theirs.run.tenant) == ("acme", "globex")
        callers = [(one.caller.tenant, one.caller.agent, one.caller.operator) for one in sidecar.core.applied]
        assert callers == [("acme", "support-bot", ""), ("", "", "asha")]
        asked = sidecar.core.applied[0].start_run
        assert (asked.workflow, dict(asked.labels), asked.priority, asked.tenant) == (
            "loan-approval",
            {"team": "loans"},
            7,
            "",
        )
        assert (await sidecar.agent.GetRun(pb.GetRunRequest(name=mine.run.name), metadata=AS_AGENT)).run.agent

    scenario(tmp_path, test)


def test_the_same_id_gets_the_first_answer_and_another_request_with_it_is_refused(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        # Also when both come at once: the second one asks the store only when the first is in it.
        sidecar.core.commit.clear()
        both = [asyncio.ensure_future(_start(sidecar)) for _ in range(2)]
        await asyncio.to_thread(sidecar.core.decided.wait, 10)
        for _ in range(20):
            await sidecar.operator.ListRuns(pb.ListRunsRequest())
        sidecar.core.commit.set()
        first, again = await asyncio.gather(*both)
        assert first == again and len(sidecar.core.applied) == 1 and sidecar.core.questions == 1
        other = await refused(sidecar.operator.StartRun(start(tenant="acme", input=b"[]"), metadata=AS_ASHA))
        assert (other[:2], other[3]) == (INVALID, ["request_id"])
        # Of somebody else it is another id.
        await sidecar.agent.StartRun(start(), metadata=AS_AGENT)
        assert len(sidecar.core.applied) == 2

    scenario(tmp_path, test)


def test_starts_with_other_ids_do_not_wait_for_a_commit_that_takes_long(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        sidecar.core.commit.clear()
        asked = (sidecar.agent.StartRun(start(f"s-{number}"), metadata=AS_AGENT) for number in range(3))
        starts = [asyncio.ensure_future(one) for one in asked]
        # All three have been decided, none is committed.
        async with asyncio.timeout(10):
            while len(sidecar.core.applied) < 3:
                await sidecar.operator.ListRuns(pb.ListRunsRequest())
        sidecar.core.commit.set()
        assert len({one.run.name for one in await asyncio.gather(*starts)}) == 3

    scenario(tmp_path, test)


async def _start(sidecar: Sidecar) -> pb.StartRunResponse:
    answer: pb.StartRunResponse = await sidecar.operator.StartRun(start(tenant="acme"), metadata=AS_ASHA)
    return answer


def test_whose_run_it_is_to_be_has_to_be_clear(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        for stub, metadata, fields in (
            (sidecar.operator, AS_ASHA, {}),
            (sidecar.agent, AS_AGENT, {"tenant": "globex"}),
        ):
            found = await refused(stub.StartRun(start(**fields), metadata=metadata))
            assert (found[:2], found[3]) == (INVALID, ["tenant"])
        nobody = await refused(sidecar.agent.StartRun(start(), metadata=AS_NOBODY))
        assert nobody[:2] == (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIAL_MISSING")
        assert not sidecar.core.applied
        assert (await sidecar.agent.StartRun(start(tenant="acme"), metadata=AS_AGENT)).run.tenant == "acme"

    scenario(tmp_path, test)


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("QUEUE_FULL", grpc.StatusCode.RESOURCE_EXHAUSTED),
        ("INVALID_ARGUMENT", grpc.StatusCode.INVALID_ARGUMENT),
        ("PAYLOAD_TOO_LARGE", grpc.StatusCode.INVALID_ARGUMENT),
        ("NOT_FOUND", grpc.StatusCode.NOT_FOUND),
        ("STORE_UNAVAILABLE", grpc.StatusCode.UNAVAILABLE),
    ],
)
def test_what_the_core_refuses_is_refused_as_it_says(tmp_path: Path, reason: str, code: grpc.StatusCode) -> None:
    async def test(sidecar: Sidecar) -> None:
        sidecar.core.reject = command_pb2.Rejection(reason=reason, message="no", metadata={"bound": "runs"})
        found = await refused(sidecar.agent.StartRun(start(), metadata=AS_AGENT))
        assert found[:3] == (code, reason, {"bound": "runs"})

    scenario(tmp_path, test)


def test_a_core_that_never_decides_is_a_fault_and_not_a_hang(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        question = command_pb2.CommandResult(needs_record=command_pb2.NeedsRecord(request_keys=[b"k"]))
        sidecar.core.apply = lambda *_: question.SerializeToString()  # type: ignore[method-assign]
        found = await refused(sidecar.agent.StartRun(start(), metadata=AS_AGENT))
        assert found[:2] == (grpc.StatusCode.INTERNAL, "INTERNAL")

    scenario(tmp_path, test)


# CancelRun, PauseRun, ResumeRun, SignalRun ---------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "kind", "fields", "state"), STEERING)
def test_an_open_run_is_steered_from_both_endpoints(
    tmp_path: Path, method: str, kind: Any, fields: dict[str, Any], state: int
) -> None:
    async def test(sidecar: Sidecar) -> None:
        mine = await getattr(sidecar.agent, method)(
            kind(request_id="c-1", name=name_of(1), **fields), metadata=AS_AGENT
        )
        theirs = await getattr(sidecar.operator, method)(
            kind(request_id="c-2", name=name_of(2), **fields), metadata=AS_ASHA
        )
        assert [(answer.run.name, answer.run.state) for answer in (mine, theirs)] == [
            (name_of(1), state),
            (name_of(2), state),
        ]
        callers = [(one.caller.tenant, one.caller.agent, one.caller.operator) for one in sidecar.core.applied]
        assert callers == [("acme", "support-bot", ""), ("", "", "asha")]

    scenario(tmp_path, test, RunCore(run_record(1), run_record(2, "globex")))


@pytest.mark.parametrize(("method", "kind", "fields", "state"), STEERING)
def test_a_run_that_has_ended_is_not_steered_any_more(
    tmp_path: Path, method: str, kind: Any, fields: dict[str, Any], state: int
) -> None:
    async def test(sidecar: Sidecar) -> None:
        async def asked(stub: Any, metadata: Any, name: str) -> Any:
            return await refused(getattr(stub, method)(kind(request_id="c-1", name=name, **fields), metadata=metadata))

        for stub, metadata in ((sidecar.agent, AS_AGENT), (sidecar.operator, AS_ASHA)):
            found = await asked(stub, metadata, name_of(1))
            assert found[:3] == (*WRONG_STATE, {"state": "FAILED"})
            assert (await asked(stub, metadata, name_of(9)))[:2] == UNKNOWN
            bad = await asked(stub, metadata, "run_1")
            assert (bad[:2], bad[3]) == (INVALID, ["name"])
        # Neither that it was nor that it is can be seen from another tenant.
        for name in (name_of(1), name_of(2)):
            assert (await asked(sidecar.agent, AS_GLOBEX, name))[:2] == UNKNOWN
        nobody = await asked(sidecar.agent, AS_NOBODY, name_of(2))
        assert nobody[:2] == (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIAL_MISSING")

    scenario(tmp_path, test, RunCore(run_record(1, state=FAILED), run_record(2)))


def test_a_cancellation_that_is_repeated_after_the_end_is_so_already(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        request = pb.CancelRunRequest(request_id="c-1", name=name_of(1))
        answer = await sidecar.operator.CancelRun(request)
        assert (answer.run.name, answer.run.state) == (name_of(1), run_pb2.RUN_STATE_COMPENSATED)
        pause = pb.PauseRunRequest(request_id="c-2", name=name_of(1))
        assert (await refused(sidecar.operator.PauseRun(pause)))[:2] == WRONG_STATE

    ended = run_record(1, state=run_pb2.RUN_STATE_COMPENSATED, failure=run_pb2.Failure(code="CANCELLED"))
    scenario(tmp_path, test, RunCore(ended))


# RerunRun ------------------------------------------------------------------------------------------------------------


LARGE = b'"' + b"x" * 300_000 + b'"'


def ended() -> RunCore:
    core = RunCore()
    core.put(
        run_record(1, state=FAILED, input=payload(LARGE, id_of(1))),
        step_record(0, output=payload(LARGE, id_of(1)), spent=amount_pb2.Amount(nano_usd=40)),
        step_record(1, output=payload(b"[1]"), input=payload(b"[2]")),
        step_record(1, 1, output=payload(b"1"), input=payload(b"2"), spent=amount_pb2.Amount(nano_usd=2)),
        step_record(2, state="FAILED"),
    )
    core.put_payload("acme", id_of(1), LARGE)
    return core


def rerun(request_id: str = "r-1", **fields: Any) -> pb.RerunRunRequest:
    return pb.RerunRunRequest(**{"request_id": request_id, "name": name_of(1), **fields})


def test_a_rerun_gives_the_core_everything_that_the_ended_run_has(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        answer = await sidecar.agent.RerunRun(rerun(from_step="review"), metadata=AS_AGENT)
        assert (answer.run.rerun_of, answer.cost_avoided.nano_usd) == (name_of(1), 42)
        given = sidecar.core.applied[0]
        assert (given.caller.tenant, given.caller.agent) == ("acme", "support-bot")
        assert given.rerun_run.request == rerun(from_step="review")
        assert given.rerun_run.definition == definition()
        assert (given.rerun_run.run.run, given.rerun_run.run.input.json) == (id_of(1), LARGE)
        # The results of items are in that of their step.
        steps = [(step.step, step.item, step.output.json, step.input.json) for step in given.rerun_run.steps]
        assert steps == [(0, 0, LARGE, b""), (1, 0, b"[1]", b"[2]"), (1, 1, b"", b""), (2, 0, b"", b"")]
        assert not any(one.run for step in given.rerun_run.steps for one in (step.input, step.output))
        again = await sidecar.agent.RerunRun(rerun(from_step="review"), metadata=AS_AGENT)
        assert again == answer and len(sidecar.core.applied) == 1
        for request in (rerun(from_step="parse"), rerun("")):
            found = await refused(sidecar.agent.RerunRun(request, metadata=AS_AGENT))
            assert (found[:2], found[3]) == (INVALID, ["request_id"])
        theirs = await sidecar.operator.RerunRun(rerun("r-2"), metadata=AS_ASHA)
        assert theirs.run.tenant == "acme" and sidecar.core.applied[1].caller.operator == "asha"

    scenario(tmp_path, test, ended())


def test_only_what_has_ended_and_is_mine_can_be_repeated(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        found = await refused(sidecar.operator.RerunRun(rerun(name=name_of(2))))
        assert found[:3] == (*WRONG_STATE, {"state": "RUNNING"})
        assert (await refused(sidecar.agent.RerunRun(rerun(), metadata=AS_GLOBEX)))[:2] == UNKNOWN
        assert (await refused(sidecar.operator.RerunRun(rerun(name=name_of(9)))))[:2] == UNKNOWN
        found = await refused(sidecar.operator.RerunRun(rerun(name="x")))
        assert (found[:2], found[3]) == (INVALID, ["name"])
        sidecar.core.reject = command_pb2.Rejection(reason="INVALID_ARGUMENT", message="no")
        sidecar.core.reject.violations.add(field="from_step", description="is not a step")
        found = await refused(sidecar.operator.RerunRun(rerun(from_step="none")))
        assert (found[:2], found[3]) == (INVALID, ["from_step"])
        assert not sidecar.core.applied

    core = ended()
    core.put(run_record(2))
    core.put(run_record(3, state=SUCCEEDED, delete_time_unix_nanos=T0 + HOUR))
    scenario(tmp_path, test, core)


def test_a_run_with_more_results_than_a_rerun_copies_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(sidecar: Sidecar) -> None:
        found = await refused(sidecar.operator.RerunRun(rerun()))
        assert found[:2] == (grpc.StatusCode.INVALID_ARGUMENT, "PAYLOAD_TOO_LARGE")
        assert not sidecar.core.applied

    monkeypatch.setattr(steering, "MAX_COPIED_BYTES", len(LARGE) + 1)
    scenario(tmp_path, test, ended())
