"""The services over the native core and a store on disk: what it writes is what they read."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from fairlead.control.errors import Refusal
from fairlead.internal.v1 import workflow_pb2
from fairlead.v1 import audit_record_pb2, audit_service_pb2, run_pb2
from fairlead.v1 import workflow_service_pb2 as pb
from fairlead.workflow.model import step_state_name
from tests.unit.workflow.life import ASHA, BOT, STRANGER, Life, living, step, workflow

SUCCEEDED, FAILED = run_pb2.RUN_STATE_SUCCEEDED, run_pb2.RUN_STATE_FAILED
LARGE = "x" * 300_000
SECOND_NANOS = 10**9


def loan() -> workflow_pb2.WorkflowDefinition:
    score = step("score", "scorer", ("parse",), input='{"part":"${item}"}')
    score.for_each.items = '"${steps.parse.output.parts}"'
    gate = workflow_pb2.ApprovalTask(tier="one", show='{"scores":"${steps.score.output}"}', title='"good?"')
    return workflow(
        "loan",
        step("parse", "parser", input='{"document":"${input.document}"}'),
        score,
        step("review", needs=("score",), approval=gate),
        step("paid", needs=("review",), wait=workflow_pb2.WaitTask(signal="payment")),
        step("offer", "mailer", ("paid",), effect=run_pb2.STEP_EFFECT_SIDE_EFFECT),
    )


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await test()

    asyncio.run(bounded())


async def states(life: Life, name: str) -> dict[str, str]:
    return {one.id: step_state_name(one.state) for one in (await life.run(name)).steps}


async def to_review(life: Life, name: str) -> None:
    assert (await life.do("parser", {"parts": [1, 2], "large": LARGE})).run == name
    for lease in await life.lease("scorer", 2):
        await life.complete(lease, json.loads(lease.input)["part"] / 10)


def test_a_run_is_read_over_a_restart_and_told_to_its_end(tmp_path: Path) -> None:
    async def test() -> None:
        async with living(tmp_path, loan()) as life:
            name = await life.start("loan", input=json.dumps({"document": LARGE}).encode(), labels={"team": "loans"})
            await to_review(life, name)
            assert await states(life, name) == {
                "parse": "succeeded",
                "score": "succeeded",
                "score[0]": "succeeded",
                "score[1]": "succeeded",
                "review": "waiting approval",
                "paid": "blocked",
                "offer": "blocked",
            }
        async with living(tmp_path, loan()) as life:
            whole = await life.run(name, BOT)
            assert (whole.state, whole.agent, dict(whole.labels)) == (
                run_pb2.RUN_STATE_WAITING,
                "bot",
                {"team": "loans"},
            )
            assert json.loads(whole.input) == {"document": LARGE}
            steps = {one.id: one for one in whole.steps}
            assert json.loads(steps["parse"].output)["large"] == LARGE
            assert json.loads(steps["score"].output) == [0.1, 0.2] and steps["score"].items_total == 2
            assert (steps["parse"].worker, steps["parse"].attempts, steps["parse"].epoch) == ("w-1", 1, 1)
            await life.vote(steps["review"].approval)
            signal = pb.SignalRunRequest(request_id="g-1", name=name, signal="payment", payload=b'{"paid":true}')
            await life.desk.steering.signal(signal, ASHA)
            lease = await life.do("mailer", {"sent": True})
            assert lease.idempotency_key.endswith("/offer")
            ended = await life.run(name)
            assert (ended.state, ended.steps_ended, ended.steps_total) == (SUCCEEDED, 7, 7)
            assert ended.HasField("end_time") and json.loads(ended.output) == {"offer": {"sent": True}}
            told = await life.audit.explain_run(audit_service_pb2.ExplainRunRequest(name=name))
            said = "\n".join(told.narrative)
            for part in (
                "agent bot of tenant acme started a run of workflow loan",
                "attempt 1 at step parse by worker w-1 of agent bot (epoch 1)",
                f"asha (finance) approved {steps['review'].approval}: all there",
                "operator asha sent signal payment, payload of 13 bytes",
                "(epoch 1)",
                "the run succeeded",
            ):
                assert part in said, said
            kinds = {event.record.kind for event in told.events}
            assert audit_record_pb2.EVENT_KIND_APPROVAL_OPENED in kinds
            verified = await life.audit.verify(audit_service_pb2.VerifyChainRequest())
            assert verified.valid

    run(test)


def test_a_watcher_sees_every_record_of_a_run_once_and_its_end(tmp_path: Path) -> None:
    async def test() -> None:
        async with living(tmp_path, loan(), workflow("other", step("only", "parser"))) as life:
            name = await life.start("loan", input=b'{"document":1}')
            first = asyncio.Event()
            told: list[pb.WatchRunResponse] = []

            async def follow() -> None:
                async with life.desk.watching.subscribed(pb.WatchRunRequest(name=name), BOT) as stream:
                    async for message in stream:
                        told.append(message)
                        first.set()

            following = asyncio.ensure_future(follow())
            await first.wait()
            await to_review(life, name)
            await life.start("other", "s-2")
            await life.desk.steering.cancel(pb.CancelRunRequest(request_id="c-1", name=name, reason="no"), ASHA)
            await following
            sequences = [message.event.sequence for message in told[1:-1]]
            everything = life.desk.reading._runs.events("acme", bytes.fromhex(name[-32:]), told[0].sequence)
            assert sequences == everything and told[-1].run.state == run_pb2.RUN_STATE_CANCELLED
            cancelling = next(one.event for one in told if one.event.kind == audit_record_pb2.EVENT_KIND_RUN_CANCELLING)
            assert (cancelling.operator, cancelling.agent, cancelling.run.reason) == ("asha", "", "no")

    run(test)


def test_the_same_id_starts_and_repeats_one_run(tmp_path: Path) -> None:
    async def test() -> None:
        async with living(tmp_path, loan()) as life:
            names = {await life.start("loan", input=b'{"document":1}') for _ in range(3)}
            names |= {await life.start("loan", caller=ASHA, tenant="acme", input=b'{"document":1}') for _ in range(2)}
            assert len(names) == 2
            with pytest.raises(Refusal, match="request_id"):
                await life.start("loan", input=b'{"document":2}')
            name = (await life.desk.reading.page(pb.ListRunsRequest(), BOT)).runs[1].name
            await life.do("parser", {"parts": [1], "large": LARGE})
            (lease,) = await life.lease("scorer")
            await life.fail(lease, "OOPS")
            assert (await life.run(name)).failure.code == "ITEMS_FAILED"
            request = pb.RerunRunRequest(request_id="r-1", name=name)
            first = await life.desk.steering.rerun(request, BOT)
        async with living(tmp_path, loan()) as life:
            # Also after a restart, and whatever has become of it since.
            assert await life.desk.steering.rerun(request, BOT) == first
            other = pb.RerunRunRequest(request_id="r-1", name=name, from_step="parse")
            with pytest.raises(Refusal, match="request_id"):
                await life.desk.steering.rerun(other, BOT)
            again = {one.id: one for one in (await life.run(first.run.name)).steps}
            assert again["parse"].replayed and json.loads(again["parse"].output)["large"] == LARGE
            assert (await life.lease("scorer"))[0].run == first.run.name

    run(test)


def test_what_is_another_tenants_or_has_ended_is_refused(tmp_path: Path) -> None:
    async def test() -> None:
        async with living(tmp_path, workflow("other", step("only", "parser"))) as life:
            name = await life.start("other")
            for refused in (
                life.run(name, STRANGER),
                life.desk.steering.cancel(pb.CancelRunRequest(request_id="a", name=name), STRANGER),
                life.desk.steering.rerun(pb.RerunRunRequest(request_id="b", name=name), STRANGER),
            ):
                with pytest.raises(Refusal) as found:
                    await refused
                assert found.value.reason == "NOT_FOUND"
            pause = pb.PauseRunRequest(request_id="p-1", name=name, reason="look")
            for _ in range(2):
                assert (await life.desk.steering.pause(pause, ASHA)).run.state == run_pb2.RUN_STATE_PAUSED
            assert await life.lease("parser") == []
            await life.desk.steering.resume(pb.ResumeRunRequest(request_id="p-2", name=name), ASHA)
            await life.do("parser")
            with pytest.raises(Refusal, match="has ended: it is succeeded"):
                await life.desk.steering.pause(pause, ASHA)
            counted = await life.desk.catalogue.page(pb.ListWorkflowsRequest(), STRANGER)
            assert [(one.name, one.open_runs) for one in counted.workflows] == [("workflows/other", 0)]

    run(test)


def test_old_runs_are_deleted_with_their_children_and_the_core_does_not_mind(tmp_path: Path) -> None:
    async def test() -> None:
        short = workflow("short", step("only", "parser"), keep_for_millis=1)
        nested = workflow(
            "nested", step("sub", workflow=workflow_pb2.ChildTask(workflow="short")), step("last", "parser", ("sub",))
        )
        brief = workflow("brief", step("sub", workflow=workflow_pb2.ChildTask(workflow="short")), keep_for_millis=1)
        async with living(tmp_path, short, nested, brief) as life:
            gone = [await life.start("short", input=json.dumps(LARGE).encode())]
            await life.do("parser", LARGE)
            gone.append(await life.start("brief", "s-2"))
            await life.do("parser")
            kept = await life.start("nested", "s-3")
            await life.do("parser")
            await life.do("parser")
            assert (await life.run(kept)).state == SUCCEEDED
            life.ahead_nanos = SECOND_NANOS
            for name in gone:
                with pytest.raises(Refusal, match="is not known"):
                    await life.run(name)
            # Two roots and one child.
            assert await life.desk._retention.sweep() == 3
            left = (await life.desk.reading.page(pb.ListRunsRequest(), ASHA)).runs
            assert [one.name for one in left if not one.parent] == [kept]
            assert [one.parent for one in left if one.parent] == [kept]
            changed = audit_service_pb2.EventFilter(kinds=[audit_record_pb2.EVENT_KIND_CONTROL_CHANGED])
            page = await life.audit.page(audit_service_pb2.ListEventsRequest(filter=changed))
            (event,) = page.events
            assert event.record.tenant == "acme" and int(event.record.control_changed.detail["runs"]) == 3
            assert (await life.audit.verify(audit_service_pb2.VerifyChainRequest())).valid
            await life.start("short", "s-4")
        async with living(tmp_path, short, nested, brief) as life:
            await life.do("parser")
            life.ahead_nanos = SECOND_NANOS
            assert await life.desk._retention.sweep() == 1

    run(test)
