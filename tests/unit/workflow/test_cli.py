"""The run commands, as an operator and as an agent, against a running sidecar."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from fairlead.cli import run_following
from fairlead.cli.main import main
from fairlead.control.identity import Identity, assume
from fairlead.v1 import run_pb2, workflow_service_pb2_grpc
from tests.contract.runs import Sidecar
from tests.unit.audit.records import T0
from tests.unit.workflow.fakes import HOUR, MINUTE, RunCore, id_of, name_of, payload, run_record, step_record

SUCCEEDED, FAILED = run_pb2.RUN_STATE_SUCCEEDED, run_pb2.RUN_STATE_FAILED
Command = Callable[..., Awaitable[int]]


class AgentDoor(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]
    """The agent endpoint of a daemon, as far as a command sees it: a token makes an agent."""

    async def intercept_service(self, continuation: Any, details: grpc.HandlerCallDetails) -> Any:
        given = dict(details.invocation_metadata or ())
        assume(Identity(tenant="acme", agent="bot") if given.get("authorization") == "Bearer bot-token" else Identity())
        return await continuation(details)


def beside(data: Path, core: RunCore, test: Callable[[Command, Sidecar], Awaitable[None]]) -> None:
    """Runs a test beside a sidecar; it gets a way to run commands."""

    async def bounded() -> None:
        async with asyncio.timeout(60), Sidecar(core).served(data) as sidecar:
            agents = grpc.aio.server(interceptors=(AgentDoor(),))
            workflow_service_pb2_grpc.add_WorkflowServiceServicer_to_server(sidecar.servicer(), agents)
            port = agents.add_insecure_port("127.0.0.1:0")
            await agents.start()

            async def command(*arguments: str, as_agent: bool = False) -> int:
                place = ["--agent", f"127.0.0.1:{port}"] if as_agent else ["--socket", str(data / "operators.sock")]
                return await asyncio.to_thread(main, ["run", *arguments, *place])

            try:
                await test(command, sidecar)
            finally:
                await agents.stop(None)

    asyncio.run(bounded())


def test_start_says_what_was_started(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(command: Command, sidecar: Sidecar) -> None:
        document = tmp_path / "input.json"
        document.write_text('{"documents": [1]}')
        start = ["start", "loan-approval", "--input", f"@{document}", "--label", "team=loans", "--priority=-3"]
        assert await command(*start, "--tenant", "acme", "--at", "2026-12-24T18:00:00", "--request-id", "s-1") == 0
        assert capsys.readouterr().out.splitlines()[0] == f"name       {name_of(100)}"
        asked = sidecar.core.applied[0]
        assert (asked.start_run.input, dict(asked.start_run.labels)) == (b'{"documents": [1]}', {"team": "loans"})
        assert (asked.start_run.priority, asked.start_run.start_time.ToJsonString()) == (-3, "2026-12-24T18:00:00Z")
        assert (asked.start_run.request_id, asked.caller.operator) == ("s-1", "local")
        monkeypatch.setenv("FAIRLEAD_TOKEN", "bot-token")
        assert await command("start", "loan-approval", "--json", as_agent=True) == 0
        assert json.loads(capsys.readouterr().out)["name"] == name_of(101)
        assert (sidecar.core.applied[1].caller.tenant, sidecar.core.applied[1].caller.agent) == ("acme", "bot")

    beside(tmp_path, RunCore(), test)


def test_refusals_and_bad_command_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(command: Command, sidecar: Sidecar) -> None:
        monkeypatch.delenv("FAIRLEAD_TOKEN", raising=False)
        assert await command("start", "loan-approval") == 2
        assert await command("start", "none", "--tenant", "acme") == 1
        assert await command("start", "loan-approval", as_agent=True) == 1
        assert await command("show", "run_1") == 2
        assert await command("show", id_of(9)) == 1
        assert await command("cancel", id_of(1)) == 1
        for bad in (["--input", "{"], ["--input", f"@{tmp_path}/none"], ["--label", "team"]):
            assert await command("start", "loan-approval", *bad) == 2
        assert await command("signal", id_of(1), "payment", "--payload", "{") == 2
        assert await command("list", "--label", "=x") == 2
        said = capsys.readouterr().err
        for part in (
            "tenant: is required of operators",
            "there is no workflow `none`",
            "there is no token: set FAIRLEAD_TOKEN",
            "name: must be runs/run_",
            "is not known",
            "has ended: it is succeeded",
            "--input is not JSON",
            "cannot be read: No such file",
            "`team` is not a label",
            "--payload is not JSON",
            "`=x` is not a label",
        ):
            assert part in said

    beside(tmp_path, RunCore(run_record(1, state=SUCCEEDED)), test)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["start", "w", "--priority", "101"], "`101` is not a whole number from -100 to 100"),
        (["start", "w", "--at", "noon"], "`noon` is not a time"),
        (["list", "--state", "lost"], "invalid choice: 'lost'"),
    ],
)
def test_what_cannot_be_meant_is_said(capsys: pytest.CaptureFixture[str], arguments: list[str], said: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["run", *arguments])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def test(command: Command, sidecar: Sidecar) -> None:
        async def listed(*arguments: str) -> list[str]:
            assert await command("list", *arguments) == 0
            return [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]]

        assert await command("list") == 0
        lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
        assert lines[0] == "NAME STATE WORKFLOW STARTED BY STEPS SPENT CREATED"
        assert lines[1] == f"{name_of(3)} running loan-approval operator asha for globex 0/6 - 2026-11-18 11:09:40 UTC"
        assert lines[3] == f"{name_of(1)} running loan-approval acme/support-bot 0/6 $0.25 2026-11-18 11:07:40 UTC"
        assert await listed("--tenant", "acme", "-n", "1") == [name_of(2)]
        assert await listed("--state", "failed") == [name_of(2)]
        assert await listed("--state", "failed", "--state", "running") == [name_of(n) for n in (3, 2, 1)]
        assert await listed("--label", "team=loans", "--workflow", "loan-approval") == [name_of(2)]
        assert await listed("--since", "2026-11-18T11:08:00Z", "--until", "2026-11-18T11:09:00Z") == [name_of(2)]
        assert await listed("--since", "1s") == []
        assert await listed("--parent", id_of(1)) == [name_of(2)]
        assert await command("list", "--json", "-n", "2") == 0
        assert [json.loads(line)["name"] for line in capsys.readouterr().out.splitlines()] == [name_of(3), name_of(2)]

    core = RunCore(
        run_record(1, spent={"nano_usd": 250_000_000}),
        run_record(2, state=FAILED, labels={"team": "loans"}, parent=id_of(1), root=id_of(1)),
        run_record(3, "globex", agent="", operator="asha"),
    )
    beside(tmp_path, core, test)


def test_show(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def test(command: Command, sidecar: Sidecar) -> None:
        assert await command("show", id_of(1)) == 0
        out = capsys.readouterr().out
        assert out.startswith(f"name       {name_of(1)}\n") and "\n✓ parse" in out and "income" not in out
        assert await command("show", name_of(1), "--step", "parse") == 0
        assert capsys.readouterr().out.endswith(
            'input of parse\nnone\n\noutput of parse\n{\n  "income": "\\u202e"\n}\n'
        )
        assert await command("show", name_of(1), "--graph", "mermaid") == 0
        assert "flowchart TB" in capsys.readouterr().out
        assert await command("show", name_of(1), "--json") == 0
        told = json.loads(capsys.readouterr().out)
        assert told["steps"][0]["id"] == "parse" and "output" not in told["steps"][0]
        assert await command("show", name_of(1), "--json", "--payloads") == 0
        told = json.loads(capsys.readouterr().out)
        assert (told["input"], told["steps"][0]["output"]) == ({"documents": [1, 2]}, {"income": "\u202e"})

    core = RunCore()
    core.put(run_record(1), step_record(0, output=payload('{"income":"\u202e"}'.encode())))
    beside(tmp_path, core, test)


def test_steering(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def test(command: Command, sidecar: Sidecar) -> None:
        assert await command("pause", id_of(1), "--reason", "look first") == 0
        assert "state      paused" in capsys.readouterr().out
        assert await command("resume", id_of(1), "--json") == 0
        assert json.loads(capsys.readouterr().out)["state"] == "RUN_STATE_RUNNING"
        assert await command("signal", id_of(1), "payment", "--payload", '{"paid":true}') == 0
        assert await command("cancel", id_of(1), "--reason", "not needed") == 0
        assert await command("rerun", id_of(1), "--from", "review", "--current-definition") == 0
        given = sidecar.core.applied
        assert (given[0].pause_run.name, given[0].pause_run.reason) == (name_of(1), "look first")
        assert (given[2].signal_run.signal, given[2].signal_run.payload) == ("payment", b'{"paid":true}')
        assert given[3].cancel_run.reason == "not needed"
        request = given[4].rerun_run.request
        assert (request.name, request.from_step, request.current_definition) == (name_of(1), "review", True)
        assert len({one.request_id for one in (given[0].pause_run, given[3].cancel_run, request)}) == 3

    beside(tmp_path, RunCore(run_record(1)), test)


def test_watch_follows_until_the_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def test(command: Command, sidecar: Sidecar) -> None:
        core = sidecar.core
        run = run_record(1)
        core.put(run)
        core.say(run, "RUN_STARTED")
        for arguments, state, code in (
            (["watch", id_of(1), "--from-start"], SUCCEEDED, 0),
            (["watch", id_of(1)], FAILED, 1),
        ):
            run.state = run_pb2.RUN_STATE_RUNNING
            core.put(run)
            watching = asyncio.ensure_future(command(*arguments))
            while not sidecar.watching.watchers:
                await asyncio.sleep(0)
            run.state, run.end_time_unix_nanos = state, T0 + HOUR
            core.put(run)
            core.say(run, "STEP_LEASED", worker="w-1", attempt=1)
            core.say(run, "RUN_ENDED")
            assert await watching == code
        lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
        assert lines[:4] == [
            "2026-11-18 11:06:42.000 UTC run-started loan-approval: started",
            "2026-11-18 11:06:43.000 UTC step-leased parse: attempt 1 by w-1",
            "2026-11-18 11:06:44.000 UTC run-ended loan-approval: succeeded",
            f"{name_of(1)} succeeded, 0 of 6 steps ended, spent nothing",
        ]
        assert lines[-1] == f"{name_of(1)} failed, 0 of 6 steps ended, spent nothing"
        assert await command("watch", id_of(1), "--json") == 1
        assert json.loads(capsys.readouterr().out)["run"]["state"] == "RUN_STATE_FAILED"
        assert await command("watch", id_of(9)) == 1

    beside(tmp_path, RunCore(), test)


def test_watch_outlives_a_restart_and_tells_everything_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sidecar stops in the middle; the command goes on with its successor on the same socket."""
    core = RunCore()
    run = run_record(1)
    core.put(run)
    core.say(run, "RUN_STARTED", "STEP_LEASED")
    codes: list[int] = []
    told = threading.Event()
    line = run_following.line
    monkeypatch.setattr(run_following, "line", lambda *given, **form: (told.set(), line(*given, **form))[1])
    place = ["--socket", str(tmp_path / "operators.sock")]
    watching = threading.Thread(target=lambda: codes.append(main(["run", "watch", id_of(1), "--from-start", *place])))

    async def life(until: Callable[[Sidecar], Awaitable[None]]) -> None:
        async with asyncio.timeout(30), Sidecar(core).served(tmp_path) as sidecar:
            await until(sidecar)

    async def first(sidecar: Sidecar) -> None:
        watching.start()
        await asyncio.to_thread(told.wait, 10)
        core.say(run, "STEP_SUCCEEDED")
        sidecar.watching.drain()
        while sidecar.watching.watchers:
            await asyncio.sleep(0)

    async def second(sidecar: Sidecar) -> None:
        run.state, run.end_time_unix_nanos = SUCCEEDED, T0 + MINUTE
        core.put(run)
        core.say(run, "RUN_ENDED")
        await asyncio.to_thread(watching.join, 20)

    asyncio.run(life(first))
    asyncio.run(life(second))
    assert codes == [0]
    captured = capsys.readouterr()
    assert [line.split()[3] for line in captured.out.splitlines()[:-1]] == [
        "run-started",
        "step-leased",
        "step-succeeded",
        "run-ended",
    ]
    assert "the sidecar went away" in captured.err


def test_start_and_wait(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def test(command: Command, sidecar: Sidecar) -> None:
        core = sidecar.core
        waiting = asyncio.ensure_future(command("start", "loan-approval", "--tenant", "acme", "--wait"))
        while not sidecar.watching.watchers:
            await asyncio.sleep(0)
        run = core.stored("acme", id_of(100))
        assert run is not None
        run.state, run.end_time_unix_nanos = SUCCEEDED, core.now
        core.put(run)
        core.say(run, "RUN_ENDED")
        assert await waiting == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == name_of(100) and lines[-1].startswith(f"{name_of(100)} succeeded")

    beside(tmp_path, RunCore(), test)
