"""The approvals commands against a running sidecar."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import grpc
import pytest

from fairlead.approval.service import ApprovalDeskService
from fairlead.approval.store import Approvals
from fairlead.approval.votes import Votes
from fairlead.approval.watch import ApprovalWatchService
from fairlead.audit.tokens import Position
from fairlead.cli.approval_text import exact
from fairlead.cli.main import main
from fairlead.control.access import OperatorCredential, OperatorDoor, Operators
from fairlead.control.approval_service import ApprovalServicer
from fairlead.store import CommitFeed
from fairlead.v1 import approval_service_pb2 as pb
from fairlead.v1 import approval_service_pb2_grpc
from tests.unit.approval.fakes import DIGEST, ROLES, ApprovalCore, approval
from tests.unit.audit.records import chain

ONE = approval(1)


def run(data: Path, core: ApprovalCore, *commands: list[str]) -> list[int]:
    """Runs commands one after the other beside a sidecar; their exit codes."""
    operators = Operators()
    operators.replace(OperatorCredential.of(name, roles, f"{name}-token") for name, roles in ROLES.items())
    for name in ROLES:
        (data / f"{name}.token").write_text(f"{name}-token\n")

    async def beside() -> list[int]:
        server = grpc.aio.server(interceptors=(OperatorDoor(operators, token_required=False),))
        desk = ApprovalDeskService(core, core.store, Votes(), lambda: core.now)
        core.feed = CommitFeed(asyncio.get_running_loop())
        core.feed.publish(len(core.records))
        watching = ApprovalWatchService(core.store, core.feed, lambda: core.now)
        approval_service_pb2_grpc.add_ApprovalServiceServicer_to_server(ApprovalServicer(desk, watching), server)
        server.add_insecure_port(f"unix:{data}/admin.sock")
        await server.start()
        try:
            async with asyncio.timeout(30):
                return [await asyncio.to_thread(main, ["approvals", *given, "--data", str(data)]) for given in commands]
        finally:
            await server.stop(None)

    return asyncio.run(beside())


def as_(who: str, data: Path) -> list[str]:
    return ["--token-file", str(data / f"{who}.token")]


def test_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    core = ApprovalCore(ONE, approval(2, "globex", state=pb.APPROVAL_STATE_REJECTED))
    assert run(tmp_path, core, ["list"], ["list", "--state", "pending"], ["list", "-n", "1", "--json"]) == [0, 0, 0]
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    header = "NAME STATE AGENT TOOL TIER MISSING EXPIRES"
    pending = f"{ONE.name} pending acme/support-bot payments.refund high 2 of finance 2026-11-21 11:06:40 UTC"
    assert lines[0] == lines[3] == header
    assert lines[1].startswith(f"{approval(2).name} rejected globex/support-bot payments.refund high - ")
    assert lines[2] == lines[4] == pending
    assert json.loads(lines[5])["name"] == approval(2).name


def test_show_prints_what_people_agree_to_with_nothing_hidden(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, ApprovalCore(ONE), ["show", ONE.name.removeprefix("approvals/")]) == [0]
    out = capsys.readouterr().out
    assert out.splitlines() == [
        f"name      {ONE.name}",
        "state     pending",
        "asked by  agent support-bot of tenant acme",
        "session   s-1",
        "run       r-1",
        "tool      payments.refund (side effect, high risk)",
        "key       refund/4711",
        'arguments {"amount":20000,"note":"a\\u202eb"}',
        f"digest    {DIGEST}",
        "rule      refunds-need-finance of configuration 3fa2b1c09d1e",
        "tier      high: 2 of finance",
        "missing   2 of finance",
        "asked at  2026-11-18 11:06:40 UTC",
        "expires   2026-11-21 11:06:40 UTC",
    ]


def test_what_is_hidden_in_arguments_is_shown_as_json_escapes() -> None:
    text = '{"a":"\u202e\U000e0041 ü"}'
    assert exact(text.encode()) == '{"a":"\\u202e\\udb40\\udc41 ü"}'
    assert json.loads(exact(text.encode())) == json.loads(text)


def test_two_people_approve_with_the_digest_that_is_stored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    core = ApprovalCore(ONE)
    approve = ["approve", ONE.name, "--reason", "the order was lost"]
    assert run(tmp_path, core, [*approve, *as_("asha", tmp_path)], [*approve, *as_("ben", tmp_path)]) == [0, 0]
    assert [command.caller.operator for command in core.applied] == ["asha", "ben"]
    assert {command.decide_approval.digest for command in core.applied} == {DIGEST}
    lines = capsys.readouterr().out.splitlines()
    assert lines.count("missing   1 of finance") == 1 and lines.count("state     approved") == 1
    assert lines[-1].endswith("UTC ben (finance, legal) approved: the order was lost")


def test_reject_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    core = ApprovalCore(ONE)
    assert run(tmp_path, core, ["reject", ONE.name, "--reason", "no", "--json", *as_("asha", tmp_path)]) == [0]
    told = json.loads(capsys.readouterr().out)
    assert (told["state"], told["votes"][0]["reason"]) == ("APPROVAL_STATE_REJECTED", "no")
    assert json.loads(told["arguments"])["amount"] == 20000


def test_the_token_comes_from_the_environment_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRLEAD_OPERATOR_TOKEN", "ben-token")
    core = ApprovalCore(ONE)
    assert run(tmp_path, core, ["approve", ONE.name, "--reason", "yes"]) == [0]
    assert core.applied[0].caller.operator == "ben"


def test_refusals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    core = ApprovalCore(ONE)
    approve = ["approve", ONE.name, "--reason", "yes"]
    codes = run(
        tmp_path,
        core,
        approve,
        [*approve, *as_("carla", tmp_path)],
        [*approve, "--token-file", str(tmp_path / "none")],
        [*approve, "--digest", "00" * 32, *as_("asha", tmp_path)],
        ["show", approval(7).name],
        ["show", "apr_1"],
        ["approve", ONE.name, "--reason", " ", *as_("asha", tmp_path)],
    )
    assert codes == [1, 1, 1, 2, 1, 2, 2]
    said = capsys.readouterr().err
    for part in (
        "operator local",
        "operator carla",
        "cannot be read",
        "digest",
        "is not known",
        "a vote needs your own token",
    ):
        assert part in said
    # A refusal is final, so that nothing is said about trying the same vote again.
    assert "--request-id" not in said
    _, stored, _ = next(Approvals(core.store).newest(None))
    assert stored.approval == ONE


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["approvals", "list", "-n", "0"], "`0` is not a whole number from 1 to 1000000"),
        (["audit", "tail", "-n", "x"], "`x` is not a whole number from 0 to 9223372036854775807"),
        (["audit", "verify", "--from=-1"], "`-1` is not a whole number from 0 to 9223372036854775807"),
        (["config", "history", "--limit=-3"], "`-3` is not a whole number from 1 to 1000000"),
    ],
)
def test_a_number_that_cannot_be_meant_is_said(
    capsys: pytest.CaptureFixture[str], command: list[str], said: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(command)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def edit(core: ApprovalCore, data: Path, *arguments: str) -> int:
    given = ["edit", ONE.name, "--reason", "too much", *arguments, *as_("asha", data)]
    return run(data, core, given)[0]


def sent(core: ApprovalCore) -> bytes:
    return core.applied[-1].decide_approval.edited_arguments


def test_single_values_are_set_and_the_others_keep_their_spelling(tmp_path: Path) -> None:
    text = b'{"amount": 20000, "rate": 1.10, "to": [{"iban/1": "x"}], "big": 12345678901234567890123}'
    core = ApprovalCore(approval(1, arguments=text))
    settings = ["/amount=80.50", "/to/0/iban~11=DE 4", "/to/-={}", "/note=null"]
    assert edit(core, tmp_path, *(part for one in settings for part in ("--set", one))) == 0
    assert sent(core) == (
        b'{"amount":80.50,"rate":1.10,"to":[{"iban/1":"DE 4"},{}],"big":12345678901234567890123,"note":null}'
    )
    assert core.applied[-1].decide_approval.decision == pb.APPROVAL_DECISION_EDIT


def test_arguments_come_from_a_file_or_an_editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    core = ApprovalCore(ONE)
    (tmp_path / "edited.json").write_text('{"amount": 7}\n')
    assert edit(core, tmp_path, "--arguments", str(tmp_path / "edited.json")) == 0
    assert sent(core) == b'{"amount": 7}'
    monkeypatch.setenv("EDITOR", "sed -i s/20000/8/")
    monkeypatch.delenv("VISUAL", raising=False)
    core = ApprovalCore(ONE)
    assert edit(core, tmp_path) == 0
    assert sent(core) == ONE.arguments.replace(b"20000", b"8")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--set", "amount=1"], "write a JSON pointer and a value"),
        (["--set", "/no/way=1"], "there is nothing at 'no'"),
        (["--set", "/amount/x=1"], "there is nothing at 'x'"),
        (["--arguments", "/nowhere/at/all"], "cannot be read"),
    ],
)
def test_edits_that_cannot_be_sent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    core = ApprovalCore(ONE)
    assert edit(core, tmp_path, *arguments) == 2
    assert said in capsys.readouterr().err and core.applied == []


def test_an_editor_that_changes_nothing_or_fails_sends_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VISUAL", raising=False)
    for editor, said in (
        ("true", "nothing was changed"),
        ("false", "ended with 1"),
        ("/no/such/editor", "cannot be started"),
        ("sed -i s/20000/{/", "no JSON"),
    ):
        monkeypatch.setenv("EDITOR", editor)
        core = ApprovalCore(ONE)
        assert edit(core, tmp_path) == 2
        assert said in capsys.readouterr().err and core.applied == []


def test_nobody_approves_an_edit_that_was_not_looked_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changed = pb.ApprovalVote(operator="ben", decision=pb.APPROVAL_DECISION_EDIT, digest=DIGEST, reason="less")
    core = ApprovalCore(approval(1, votes=[changed], requested_arguments=b"{}"))
    approve = ["approve", ONE.name, "--reason", "ok", *as_("asha", tmp_path)]
    assert run(tmp_path, core, approve) == [2]
    assert "ben has edited it" in capsys.readouterr().err and core.applied == []
    assert run(tmp_path, core, [*approve, "--digest", DIGEST]) == [0]
    out = capsys.readouterr().out
    assert "requested {}" in out and "ben edited: less" in out


def test_an_interrupted_step_is_resolved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    step = approval(
        1, subject=pb.APPROVAL_SUBJECT_UNKNOWN_STEP, tool="Send the offer", requested_by_operator="carla", agent=""
    )
    step.agent = ""
    core = ApprovalCore(step)
    approve = ["approve", ONE.name, "--reason", "seen at the bank", *as_("asha", tmp_path)]
    assert run(tmp_path, core, [*approve, "--result", "{}"]) == [2]
    assert run(tmp_path, core, [*approve, "--resolution", "happened", "--result", '{"id": 7}']) == [0]
    said = core.applied[-1].decide_approval.resolution
    assert (said.outcome, said.result) == (pb.RESOLUTION_OUTCOME_HAPPENED, b'{"id": 7}')
    out = capsys.readouterr().out
    for part in (
        "about     unknown step",
        "title     Send the offer",
        'resolved  it happened, result {"id": 7}',
        "asked by  operator carla of tenant acme, who does not vote",
    ):
        assert part in out, out


def test_watch_prints_what_waits_and_what_changes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    core = ApprovalCore(ONE)
    token = Position.after(chain(core.records)[0]).encode()
    seen: list[str] = []

    def stop_at_two(text: str, **_: object) -> None:
        seen.append(text)
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fairlead.cli.approvals_watch.print", stop_at_two, raising=False)
        assert run(tmp_path, core, ["watch", "--json"]) == [0]
    opened, end = (json.loads(line) for line in seen)
    assert (opened["initial"], opened["approval"]["name"], end["initial"]) == (True, ONE.name, False)
    assert end["resume_token"]
    seen.clear()
    core.put(approval(2, "globex"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fairlead.cli.approvals_watch.print", stop_at_two, raising=False)
        assert run(tmp_path, core, ["watch", "--resume-token", token]) == [0]
    assert seen[0].startswith(f"{ONE.name}  pending    acme/support-bot  payments.refund: high, missing 2 of finance")
    assert seen[1].startswith(f"{approval(2).name}  pending    globex/support-bot")
    assert run(tmp_path, core, ["watch", "--resume-token", "nonsense"]) == [2]
    assert "resume_token" in capsys.readouterr().err
