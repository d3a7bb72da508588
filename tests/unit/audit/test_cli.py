"""The audit commands: against a running sidecar, on a stopped one's directory, and on exports."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import grpc
import pytest

from fairlead.audit.consumers.service import Consumers
from fairlead.audit.erasure.service import ErasureService
from fairlead.audit.service import AuditLogService
from fairlead.audit.transparency.sealing import Sealing
from fairlead.audit.transparency.service import TransparencyService
from fairlead.cli.main import main
from fairlead.control.audit_service import AuditServicer, add_to_server
from fairlead.store import CommitFeed, Family, keys, open_store
from tests.unit.audit import run_records
from tests.unit.audit.fakes import FakeCore, FakeStore
from tests.unit.audit.records import INVOCATION, OTHER, T0, ended, log
from tests.unit.audit.tool_records import CALL, stored

LOG = log(30)
HEAD = f"{30}:{LOG[-1].record_hash.hex()}"


@pytest.fixture
def stopped(tmp_path: Path) -> Path:
    """The data directory of a sidecar that has stopped."""
    data = tmp_path / "data"
    with open_store(data) as store:
        store.write((Family.AUDIT, keys.audit(entry.sequence), entry.record_hash + entry.record_bytes) for entry in LOG)
        raw_id = keys.invocation_id_bytes(INVOCATION)
        assert raw_id is not None
        store.write([(Family.INVOCATIONS, keys.invocation("acme", raw_id), ended().SerializeToString())])
        store.flush_wal()
    return data


def tamper(data: Path, sequence: int, value: bytes | None) -> None:
    with open_store(data) as store:
        store.write([(Family.AUDIT, keys.audit(sequence), value)])
        store.flush_wal()


def online(
    data: Path, test: Callable[[Callable[..., Coroutine[Any, Any, int]], Any], Coroutine[Any, Any, None]]
) -> None:
    """Runs a test beside a sidecar that serves DATA/admin.sock; it gets a way to run commands."""

    class Sidecar:
        def __init__(self) -> None:
            self.store = FakeStore()
            self.store.append(LOG[:9])
            self.store.put_invocation(ended())
            self.feed = CommitFeed(asyncio.get_running_loop())
            self.feed.publish(9)
            self.start()

        def start(self) -> None:
            self.consumers = Consumers(FakeCore(self.store), self.store, self.feed, lambda: T0)
            self.sealing = Sealing(FakeCore(self.store), self.store, self.feed, lambda: T0)
            self.service = AuditLogService(self.store, self.feed, self.consumers, self.sealing)
            erasure = ErasureService(FakeCore(self.store), self.store, lambda: T0)
            servicer = AuditServicer(self.service, TransparencyService(self.store, self.sealing), erasure)
            self.server = grpc.aio.server()
            add_to_server(servicer, self.server)
            self.server.add_insecure_port(f"unix:{data}/admin.sock")

        def commit(self, sequence: int) -> None:
            self.store.append(LOG[sequence - 1 : sequence])
            self.feed.publish(sequence)

    async def command(*arguments: str) -> int:
        return await asyncio.to_thread(main, [*arguments, "--data", str(data)])

    async def bounded() -> None:
        data.mkdir(exist_ok=True)
        async with asyncio.timeout(60):
            sidecar = Sidecar()
            await sidecar.server.start()
            try:
                await test(command, sidecar)
            finally:
                sidecar.service.drain()
                await sidecar.server.stop(None)

    asyncio.run(bounded())


# audit verify --------------------------------------------------------------------------------------------------------


def test_verify_offline(stopped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "verify", "--data", str(stopped)]) == 0
    captured = capsys.readouterr()
    assert captured.out == f"valid: 30 records checked\nhead: {HEAD}\n"
    assert "reading it offline" in captured.err
    assert main(["audit", "verify", "--data", str(stopped), "--offline", "--expect-head", HEAD]) == 0
    assert capsys.readouterr().err == ""


def test_verify_finds_tampering(stopped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tamper(stopped, 7, LOG[6].record_hash + LOG[6].record_bytes[:-1])
    assert main(["audit", "verify", "--offline", "--data", str(stopped)]) == 1
    out = capsys.readouterr().out
    assert out.startswith("INVALID: 6 records checked\nproblem at record 7: ")
    assert out.endswith(f"head before it: 6:{LOG[5].record_hash.hex()}\n")
    assert main(["audit", "verify", "--offline", "--data", str(stopped), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["first_invalid_sequence"] == 7


def test_verify_with_a_kept_head_finds_a_log_that_was_cut_or_written_anew(
    stopped: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["audit", "verify", "--offline", "--data", str(stopped), "--expect-head"]
    assert main([*arguments, f"30:{'00' * 32}"]) == 1
    assert "written anew" in capsys.readouterr().out
    tamper(stopped, 30, None)
    assert main(["audit", "verify", "--offline", "--data", str(stopped)]) == 0
    assert main([*arguments, HEAD]) == 1
    assert "problem at record 30" in capsys.readouterr().out


def test_verify_refuses_nonsense(stopped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "verify", "--from", "3", "--to", "2"]) == 2
    assert main(["audit", "verify", "--file", "x", "--from", "3"]) == 2
    assert main(["audit", "verify", "--file", str(stopped / "missing")]) == 2
    for arguments in (["--from", "-1"], ["--expect-head", "x"], ["--expect-head", "3:00"]):
        with pytest.raises(SystemExit, match="2"):
            main(["audit", "verify", *arguments])


def test_a_directory_that_is_none_or_is_in_use(
    tmp_path: Path, stopped: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", "verify", "--data", str(tmp_path / "none")]) == 1
    assert "no daemon has run there" in capsys.readouterr().err
    with open_store(stopped):
        for arguments, said in ((["--offline"], "leave out --offline"), ([], "socket does not answer")):
            assert main(["audit", "verify", "--data", str(stopped), *arguments]) == 1
            assert said in capsys.readouterr().err
    assert main(["audit", "verify", "--socket", "x", "--offline"]) == 1


# audit export --------------------------------------------------------------------------------------------------------


def test_an_export_verifies_and_a_changed_one_does_not(
    stopped: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["audit", "export", "--offline", "--data", str(stopped)]) == 0
    exported = capsys.readouterr().out
    assert [json.loads(line)["sequence"] for line in exported.splitlines()] == list(range(1, 31))
    file = tmp_path / "export.jsonl"
    file.write_text(exported)
    assert main(["audit", "verify", "--file", str(file), "--expect-head", HEAD]) == 0
    assert capsys.readouterr().out == f"valid: 30 records checked\nhead: {HEAD}\n"
    monkeypatch.setattr("sys.stdin", io.StringIO(exported.replace("support-bot", "support-b0t")))
    assert main(["audit", "verify", "--file", "-"]) == 1
    assert "problem at record 2: what line 2 says in words" in capsys.readouterr().out


def test_an_export_of_a_range(stopped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "export", "--offline", "--data", str(stopped), "--from", "5", "--to", "7"]) == 0
    assert [json.loads(line)["sequence"] for line in capsys.readouterr().out.splitlines()] == [5, 6, 7]


def test_the_help_documents_the_format(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["audit", "export", "--help"])
    assert "SHA-256(prev_hash ‖ record_bytes)" in capsys.readouterr().out


# audit tail ----------------------------------------------------------------------------------------------------------


def test_tail_offline(stopped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["audit", "tail", "--offline", "--data", str(stopped)]
    assert main([*arguments, "-n", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["29", "30"]
    assert "invocation-settled    globex/support-bot" in lines[0]
    assert main([*arguments, "--from-start", "--json"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 30
    assert main([*arguments, "--kind", "sidecar-started"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["1"]
    assert main([*arguments, "--invocation", INVOCATION, "--tenant", "acme"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["2", "3"]
    assert main([*arguments, "--follow"]) == 1
    assert "needs a running sidecar" in capsys.readouterr().err


def test_online(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def test(command: Callable[..., Coroutine[Any, Any, int]], sidecar: Any) -> None:
        head = f"9:{LOG[8].record_hash.hex()}"
        assert await command("audit", "verify", "--expect-head", head) == 0
        assert capsys.readouterr() == (f"valid: 9 records checked\nhead: {head}\n", "")
        assert await command("audit", "export") == 0
        assert len(capsys.readouterr().out.splitlines()) == 9
        assert await command("audit", "tail", "-n", "3") == 0
        assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["7", "8", "9"]
        assert await command("explain", INVOCATION) == 0
        assert capsys.readouterr().out.startswith(f"{INVOCATION}  SETTLED\n\n  - 2026-11-18 11:06:42.000 UTC: agent")
        assert await command("explain", OTHER) == 1
        assert "is not known (NOT_FOUND)" in capsys.readouterr().err
        assert await command("audit", "tail", "--invocation", "inv_1") == 2
        assert await command("audit", "tail", "--run", "run_1") == 2
        assert await command("explain", run_records.RUN) == 1
        assert f"{run_records.NAME} is not known (NOT_FOUND)" in capsys.readouterr().err
        sidecar.store.put(Family.AUDIT, keys.audit(9), None)
        assert await command("audit", "verify") == 1
        assert "problem at record 9" in capsys.readouterr().out

    online(tmp_path / "data", test)


def test_follow_loses_nothing_over_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines come as records are committed; the sidecar goes and comes back; the output ends like a closed pipe."""

    async def test(command: Callable[..., Coroutine[Any, Any, int]], sidecar: Any) -> None:
        loop = asyncio.get_running_loop()
        shown: asyncio.Queue[int] = asyncio.Queue()

        class Terminal(io.StringIO):
            def write(self, text: str) -> int:
                if text.strip():
                    sequence = int(text.split()[0])
                    if sequence == 14:
                        raise BrokenPipeError
                    loop.call_soon_threadsafe(shown.put_nowait, sequence)
                return len(text)

            def fileno(self) -> int:
                return spare.fileno()

        with (tmp_path / "spare").open("w") as spare:
            monkeypatch.setattr("sys.stdout", Terminal())
            monkeypatch.setattr("fairlead.cli.audit_tail._RETRY_SECONDS", 0.0)
            following = asyncio.ensure_future(command("audit", "tail", "--follow", "-n", "2"))
            assert [await shown.get() for _ in range(2)] == [8, 9]
            sidecar.commit(10)
            assert await shown.get() == 10
            sidecar.service.drain()
            await sidecar.server.stop(None)
            sidecar.store.append(LOG[10:12])
            sidecar.start()
            await sidecar.server.start()
            assert [await shown.get() for _ in range(2)] == [11, 12]
            sidecar.commit(13)
            assert await shown.get() == 13
            sidecar.commit(14)
            assert await following == 0
            assert shown.empty()

    online(tmp_path / "data", test)


# explain -------------------------------------------------------------------------------------------------------------


def test_explain_offline(stopped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["explain", INVOCATION, "--offline", "--data", str(stopped)]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{INVOCATION}  SETTLED\n")
    assert "Fallback: after attempt 1 at gpt-4o-mini, claude-sonnet took over." in out
    assert f"     3  2026-11-18 11:06:43.000 UTC  invocation-settled   {LOG[2].record_hash.hex()[:12]}" in out
    assert main([*arguments, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["state"], [event["sequence"] for event in told["events"]]) == ("SETTLED", [2, 3])
    assert main(["explain", OTHER, "--offline", "--data", str(stopped)]) == 1
    assert "is not known" in capsys.readouterr().err


def test_explain_a_tool_call(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with open_store(tmp_path) as store:
        for family, entries in stored(is_open=True).families.items():
            store.write([(family, key, value) for key, value in entries.items()])
        store.flush_wal()
    offline = ["--offline", "--data", str(tmp_path)]
    assert main(["explain", CALL, *offline]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{CALL}  OPEN"
    assert lines[-1].endswith("payments.refund: it happened")
    assert main(["explain", CALL, "--json", *offline]) == 0
    assert json.loads(capsys.readouterr().out)["state"] == "OPEN"
    assert main(["audit", "tail", "--invocation", CALL, "--kind", "approval-voted", *offline]) == 0
    voted = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[-1] for line in voted] == [
        "payments.refund: asha approved, pending, missing 1 of finance",
        "payments.refund: ben approved, approved",
    ]


def test_explain_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with open_store(tmp_path) as store:
        for family, entries in run_records.stored().families.items():
            store.write([(family, key, value) for key, value in entries.items()])
        store.flush_wal()
    offline = ["--offline", "--data", str(tmp_path)]
    for name in (run_records.RUN, run_records.NAME):
        assert main(["explain", name, *offline]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == f"{run_records.NAME}  COMPENSATED"
        assert lines[2].endswith("started a run of workflow loan-approval, input of 20 bytes (digest abababababab).")
        assert lines[-1].endswith("compensated, CANCELLED: customer withdrew, spent $0.2527")
    assert main(["explain", run_records.RUN, "--json", *offline]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["run"], told["state"], len(told["events"])) == (run_records.NAME, "COMPENSATED", 22)
    assert main(["explain", run_records.OTHER_RUN, *offline]) == 1
    assert "run run_" in capsys.readouterr().err
    assert main(["audit", "tail", "--run", run_records.RUN, "--kind", "step-leased", *offline]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["3", "7", "14", "21"]


def test_a_group_without_command_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit"]) == 2
    assert "verify" in capsys.readouterr().out
