"""The native core over a store on disk whose log is trimmed: what is open goes on, what is told says what it lacks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fairlead.audit.consumers.service import Consumers
from fairlead.audit.store import AuditLog
from fairlead.audit.transparency.keys import own_key
from fairlead.audit.transparency.sealing import Sealing
from fairlead.audit.trimming.service import Trimming
from fairlead.audit.verification import verify_store
from fairlead.config.sections.retention import AuditRetention
from fairlead.internal.v1 import command_pb2, workflow_pb2
from fairlead.store import Family, keys
from fairlead.v1 import approval_service_pb2, audit_service_pb2, gate_service_pb2, run_pb2
from fairlead.v1 import workflow_service_pb2 as pb
from fairlead.workflow.model import run_id, step_state_name
from fairlead.workflow.store import Runs
from tests.unit.audit.trimming.lives import DAY, Receivers
from tests.unit.workflow.life import ASHA, BOT, Life, step, workflow
from tests.unit.workflow.life import living as living_alone

MONTH = AuditRetention.model_construct(age=30 * 86_400_000, size=None)


def loan() -> workflow_pb2.WorkflowDefinition:
    gate = workflow_pb2.ApprovalTask(tier="one", show='{"ok":true}', title='"good?"')
    return workflow(
        "loan",
        step("parse", "parser"),
        step("review", needs=("parse",), approval=gate),
        step("paid", needs=("review",), wait=workflow_pb2.WaitTask(signal="payment")),
        step("offer", "mailer", ("paid",), effect=run_pb2.STEP_EFFECT_SIDE_EFFECT),
    )


@asynccontextmanager
async def living(directory: Path) -> Any:
    """A life whose log is sealed and, 40 days from now, trimmed."""
    async with living_alone(directory, loan()) as life:
        consumers = Consumers(life.core, life.store, life.feed, time.time_ns)
        sealing = Sealing(life.core, life.store, life.feed, time.time_ns)
        await consumers.load()
        await sealing.load()
        sealing.use(own_key(directory))
        trimming = Trimming(
            life.core,
            life.store,
            life._writer,
            lambda: MONTH,
            lambda: time.time_ns() + 40 * DAY,
            sealing,
            consumers,
            Receivers(),
        )
        yield life, sealing, trimming


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await test()

    asyncio.run(bounded())


async def states(life: Life, name: str) -> dict[str, str]:
    return {one.id: step_state_name(one.state) for one in (await life.run(name)).steps}


def test_what_is_open_goes_on_when_its_records_are_trimmed(tmp_path: Path) -> None:
    async def test() -> None:
        async with living(tmp_path) as (life, sealing, trimming):
            admit = gate_service_pb2.AdmitRequest(
                request_id="a-1", model="small", input_tokens=1, max_output_tokens=10, run="r-1"
            )
            held = (await life.command(admit=admit)).admitted
            name = await life.start("loan", input=b'{"document":1}')
            ended = await life.start("loan", "s-2", input=b'{"document":2}')
            for _ in range(2):
                for lease in await life.lease("parser"):
                    await life.complete(lease, {"parts": 1})
            await life.desk.steering.cancel(pb.CancelRunRequest(request_id="c-1", name=ended, reason="no"), ASHA)
            await sealing.seal()
            cut = sealing.size
            late = await life.start("loan", "s-3", input=b'{"document":3}')
            await sealing.seal()
            assert await trimming.trim(by_age=True)
            assert trimming.beginning.size == cut and trimming.removed == cut
            assert next(life.store.scan(Family.AUDIT, limit=1))[0] == keys.audit(cut + 1)
            # Which records are about a run goes with them.
            assert Runs(life.store).events("acme", run_id(name)) == Runs(life.store).events("acme", run_id(ended)) == []
            assert len(Runs(life.store).events("acme", run_id(late))) > 0
            assert await states(life, name) == {
                "parse": "succeeded",
                "review": "waiting approval",
                "paid": "blocked",
                "offer": "blocked",
            }
        # After a restart as well: recovery reads the end of the chain.
        async with living(tmp_path) as (life, sealing, trimming):
            assert not sealing.problem
            steps = {one.id: one for one in (await life.run(name)).steps}
            approval = steps["review"].approval
            await life.vote(approval)
            await sealing.seal()
            voted = sealing.size
            signal = pb.SignalRunRequest(request_id="g-1", name=name, signal="payment", payload=b"{}")
            await life.desk.steering.signal(signal, ASHA)
            await life.do("mailer", {"sent": True})
            assert (await life.run(name)).state == run_pb2.RUN_STATE_SUCCEEDED
            release = gate_service_pb2.ReleaseRequest(request_id="r-1", invocation=held.invocation)
            assert (await life.command(release=release)).WhichOneof("result") == "released"
            # What is told begins in the middle, and says so; of a run that is older than the log nothing is left.
            told = await life.audit.explain_run(audit_service_pb2.ExplainRunRequest(name=name))
            said = "\n".join(told.narrative)
            assert "asha (finance) approved" in said and "the run succeeded" in said, said
            assert f"The log begins with record {cut + 1}" in said and "was trimmed from it" in said, said
            nothing = await life.audit.explain_run(audit_service_pb2.ExplainRunRequest(name=ended))
            assert not nothing.events and "was trimmed from it" in "\n".join(nothing.narrative)
            new = await life.audit.explain_run(audit_service_pb2.ExplainRunRequest(name=late))
            assert "trimmed" not in "\n".join(new.narrative)
            call = await life.audit.explain(audit_service_pb2.ExplainInvocationRequest(invocation=held.invocation))
            assert len(call.events) == 1 and "1 earlier record was trimmed" in call.narrative[-1]
            listed = audit_service_pb2.ListEventsRequest(filter=audit_service_pb2.EventFilter(run=name))
            page = await life.audit.page(listed)
            assert [one.record.sequence for one in page.events] == Runs(life.store).events("acme", run_id(name))
            # Who follows it from its beginning gets what is left, and its end.
            following = pb.WatchRunRequest(name=name, after_sequence=1)
            async with life.desk.watching.subscribed(following, BOT) as stream:
                messages = [message async for message in stream]
            assert [one.sequence for one in messages[:-1]] == [one.record.sequence for one in page.events]
            assert messages[-1].run.state == run_pb2.RUN_STATE_SUCCEEDED
            await sealing.seal()
            verified = await life.audit.verify(audit_service_pb2.VerifyChainRequest())
            assert verified.valid and verified.first_sequence == cut + 1
            assert AuditLog(life.store).head_position().sequence == verified.head_sequence
            assert verify_store(life.store).valid
            # Another trim goes on from the first one. What somebody wrote is still shown with what it is about.
            assert await trimming.trim(by_age=True) and trimming.beginning.size == voted
            assert verify_store(life.store).valid
            shown = await life.approvals.get(approval_service_pb2.GetApprovalRequest(name=approval))
            assert [one.reason for one in shown.approval.votes] == ["all there"]
            assert command_pb2.Snapshot.FromString(life.core.snapshot()).open_reservations == 0

    run(test)
