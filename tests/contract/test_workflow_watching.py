"""WatchRun: the run as it is, everything that happens in it exactly once, and the run as it ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc

from fairlead.internal.v1 import workflow_pb2
from fairlead.store import Family, keys
from fairlead.v1 import run_pb2
from fairlead.v1 import workflow_service_pb2 as pb
from tests.contract.control import AS_AGENT, refused
from tests.contract.runs import AS_GLOBEX, INVALID, UNKNOWN, Sidecar, scenario
from tests.unit.audit.records import record
from tests.unit.workflow.fakes import RunCore, name_of, run_record, step_record

SUCCEEDED = run_pb2.RUN_STATE_SUCCEEDED


@asynccontextmanager
async def watched(stub: Any, number: int = 1, metadata: Any = (), **fields: Any) -> AsyncIterator[Any]:
    call = stub.WatchRun(pb.WatchRunRequest(name=name_of(number), **fields), metadata=metadata)
    try:
        yield call
    finally:
        call.cancel()


async def told(call: Any, count: int) -> list[str]:
    """The next messages: kinds of records, and runs by their state."""
    messages = []
    for _ in range(count):
        message = await call.read()
        assert message is not grpc.aio.EOF
        messages.append(said(message))
    return messages


async def rest(call: Any) -> list[str]:
    messages = []
    while (message := await call.read()) is not grpc.aio.EOF:
        messages.append(said(message))
    return messages


def said(message: pb.WatchRunResponse) -> str:
    if message.WhichOneof("what") == "run":
        return run_pb2.RunState.Name(message.run.state).removeprefix("RUN_STATE_")
    assert message.sequence == message.event.sequence
    return f"{message.event.sequence}"


def end(core: RunCore, run: workflow_pb2.RunRecord, *kinds: str) -> None:
    run.state, run.end_time_unix_nanos = SUCCEEDED, core.now
    core.put(run)
    core.say(run, *kinds, "RUN_ENDED")


def test_the_run_then_what_happens_then_the_run_as_it_ended(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        run = run_record(1)
        sidecar.core.put(run, step_record(0, state="READY"))
        sidecar.core.say(run, "RUN_STARTED")
        async with watched(sidecar.agent, metadata=AS_AGENT) as call:
            message = await call.read()
            # What comes behind it is asked for with this.
            assert message.sequence == 2
            first = message.run
            assert (first.state, first.steps[0].state, first.input) == (run.state, run_pb2.STEP_STATE_READY, b"")
            # What happens elsewhere is not told.
            other = run_record(2)
            sidecar.core.put(other)
            sidecar.core.say(other, "RUN_STARTED")
            sidecar.core.say(run, "STEP_LEASED", "STEP_SUCCEEDED")
            assert await told(call, 2) == ["4", "5"]
            end(sidecar.core, run)
            assert await rest(call) == ["6", "SUCCEEDED"]
        while sidecar.watching.watchers:
            await asyncio.sleep(0)

    scenario(tmp_path, test)


def test_a_stream_goes_on_behind_the_last_event_that_was_seen(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        run = run_record(1)
        sidecar.core.put(run)
        sidecar.core.say(run, "RUN_STARTED", *["STEP_LEASED"] * 200)
        async with watched(sidecar.operator, after_sequence=1) as call:
            assert await told(call, 201) == [str(n) for n in range(2, 203)]
        async with watched(sidecar.operator, after_sequence=200) as call:
            assert await told(call, 2) == ["201", "202"]
            waiting = asyncio.ensure_future(rest(call))
            end(sidecar.core, run, "STEP_SUCCEEDED")
            assert await waiting == ["203", "204", "SUCCEEDED"]
        async with watched(sidecar.operator, after_sequence=202) as call:
            assert await rest(call) == ["203", "204", "SUCCEEDED"]
        async with watched(sidecar.operator, after_sequence=204) as call:
            last = await call.read()
            assert (said(last), last.sequence, await rest(call)) == ("SUCCEEDED", 204, [])

    scenario(tmp_path, test)


def test_a_run_that_has_ended_is_told_once(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        async with watched(sidecar.operator) as call:
            assert await rest(call) == ["SUCCEEDED"]

    scenario(tmp_path, test, RunCore(run_record(1, state=SUCCEEDED)))


def test_many_watch_and_one_that_does_not_read_holds_nobody_back(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        runs = {number: run_record(number) for number in range(1, 41)}
        for run in runs.values():
            sidecar.core.put(run)
        # Subscribed, and never read again: its stream stands still.
        slow = await asyncio.gather(*(subscribe(sidecar, 1) for _ in range(3)))
        calls = [(number, call) for number in runs for call in [await subscribe(sidecar, number)]]
        for _ in range(40):
            sidecar.core.say(runs[1], *["STEP_LEASED"] * 25, failure={"message": "x" * 2000})
        for run in runs.values():
            end(sidecar.core, run)
        for number, call in calls:
            messages = await rest(call)
            assert messages[-1] == "SUCCEEDED" and len(messages) == (1002 if number == 1 else 2)
        for call in slow:
            call.cancel()

    scenario(tmp_path, test)


async def subscribe(sidecar: Sidecar, number: int) -> Any:
    """A call that has had its first message."""
    call = sidecar.operator.WatchRun(pb.WatchRunRequest(name=name_of(number)))
    assert said(await call.read()) == "RUNNING"
    return call


def test_nobody_is_woken_for_what_names_no_watched_run(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        run = run_record(1)
        sidecar.core.put(run)
        reads: list[bytes] = []
        scan = sidecar.core.store.scan

        def counted(family: Family, **bounds: Any) -> Any:
            reads.append(bounds.get("prefix", b"")[:1])
            return scan(family, **bounds)

        call = await subscribe(sidecar, 1)
        sidecar.core.say(run, "STEP_LEASED")
        assert await told(call, 1) == ["2"]
        sidecar.core.store.scan = counted  # type: ignore[method-assign]
        for _ in range(20):
            sidecar.core.append(record(len(sidecar.core.log) + 1, "TOOL_COMPLETED", tenant="acme"))
            sidecar.core.publish()
            await sidecar.operator.ListRuns(pb.ListRunsRequest())
        end(sidecar.core, run)
        assert await rest(call) == ["23", "SUCCEEDED"]
        assert reads.count(keys.RUN_EVENT) <= 6

    scenario(tmp_path, test)


def test_more_watchers_than_there_can_be_are_refused_and_a_tenant_cannot_take_all(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        request = pb.WatchRunRequest(name=name_of(1))
        mine = [sidecar.agent.WatchRun(request, metadata=AS_AGENT) for _ in range(2)]
        for call in mine:
            await call.read()
        found = await refused(sidecar.agent.WatchRun(request, metadata=AS_AGENT).read())
        assert found[:3] == (
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "QUEUE_FULL",
            {"bound": "run watchers of a tenant"},
        )
        theirs = sidecar.operator.WatchRun(request)
        await theirs.read()
        found = await refused(sidecar.operator.WatchRun(request).read())
        assert found[2] == {"bound": "run watchers"}
        theirs.cancel()
        while sidecar.watching.watchers > 2:
            await asyncio.sleep(0)
        async with watched(sidecar.operator) as call:
            await call.read()

    scenario(tmp_path, test, RunCore(run_record(1)), max_watchers=3, max_watchers_of_a_tenant=2)


def test_what_cannot_be_watched_is_refused(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        async def asked(stub: Any, name: str, metadata: Any = ()) -> Any:
            return await refused(stub.WatchRun(pb.WatchRunRequest(name=name), metadata=metadata).read())

        assert (await asked(sidecar.agent, name_of(1), AS_GLOBEX))[:2] == UNKNOWN
        assert (await asked(sidecar.operator, name_of(9)))[:2] == UNKNOWN
        found = await asked(sidecar.operator, "run_1")
        assert (found[:2], found[3]) == (INVALID, ["name"])
        assert sidecar.watching.watchers == 0

    scenario(tmp_path, test, RunCore(run_record(1)))


def test_a_stop_ends_the_streams_with_draining(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        call = await subscribe(sidecar, 1)
        sidecar.watching.drain()
        assert (await refused(call.read()))[:2] == (grpc.StatusCode.UNAVAILABLE, "DRAINING")

    scenario(tmp_path, test, RunCore(run_record(1)))


def test_a_record_that_is_not_in_the_log_ends_the_stream_instead_of_being_left_out(tmp_path: Path) -> None:
    async def test(sidecar: Sidecar) -> None:
        run = run_record(1)
        sidecar.core.put(run)
        call = await subscribe(sidecar, 1)
        sidecar.core.say(run, "STEP_LEASED")
        assert await told(call, 1) == ["2"]
        sidecar.core.store.put(Family.AUDIT, keys.audit(2), None)
        other = sidecar.operator.WatchRun(pb.WatchRunRequest(name=name_of(1), after_sequence=1))
        assert (await refused(other.read()))[:2] == (grpc.StatusCode.INTERNAL, "INTERNAL")
        sidecar.core.store.broken = True
        sidecar.core.feed.publish(9)  # type: ignore[union-attr]
        assert (await refused(call.read()))[:2] == (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")

    scenario(tmp_path, test)
