"""`fairlead run graph`: a run as a picture, over its definition while that is still the one in force."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.contract.runs import Sidecar
from tests.unit.workflow.fakes import RunCore, definition, id_of, name_of, run_record, step_record
from tests.unit.workflow.test_cli import Command, beside

CANONICAL = (
    '{"name":"loan-approval","steps":[{"id":"parse","agent":"doc-parser","effect":"read","needs":[]},'
    '{"id":"review","needs":["parse"],"when":"input.amount > 5","approval":{"tier":"high","onReject":"fail"}}]}'
)


def core() -> RunCore:
    made = RunCore()
    made.put(run_record(1), step_record(0, attempts=2), step_record(2, state="WAITING_APPROVAL", approval="apr_1"))
    return made


def test_a_run_is_drawn_in_every_format(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def test(command: Command, sidecar: Sidecar) -> None:
        assert await command("graph", id_of(1)) == 0
        head, first, *lines = capsys.readouterr().out.splitlines()
        # The definition of these tests is none that this version can read: the run says itself what it is.
        assert head == f"loan-approval · {name_of(1)}"
        assert first.split() == ["✓", "parse", "agent", "queue", "doc-parser", "succeeded", "2", "attempts"]
        assert [line.split()[1] for line in lines] == ["score", "review", "paid", "offer", "sub"]
        assert await command("graph", name_of(1), "--format", "mermaid") == 0
        assert "\n  s_parse --> s_score\n" in capsys.readouterr().out
        file = tmp_path / "run.svg"
        assert await command("graph", id_of(1), "--output", str(file)) == 0
        assert capsys.readouterr().out == ""
        assert ElementTree.parse(file).getroot().tag == "{http://www.w3.org/2000/svg}svg"

    beside(tmp_path, core(), test)


def test_the_definition_says_more_while_it_is_the_run_s(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def test(command: Command, sidecar: Sidecar) -> None:
        version = sidecar.in_force[0].version
        for changed, told in ((version, True), ("f" * 64, False)):
            sidecar.in_force[:] = [definition()]
            sidecar.in_force[0].version, sidecar.in_force[0].canonical = changed, CANONICAL
            assert await command("graph", id_of(1)) == 0
            assert ("tier high" in capsys.readouterr().out) is told
        # It is not there any more.
        sidecar.in_force[:] = []
        assert await command("graph", id_of(1)) == 0

    beside(tmp_path, core(), test)


def test_what_cannot_be_drawn_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def test(command: Command, sidecar: Sidecar) -> None:
        assert await command("graph", id_of(9)) == 1
        assert "NOT_FOUND" in capsys.readouterr().err
        assert await command("graph", id_of(1), "--output", str(tmp_path / "none/run.svg")) == 2
        assert "run.svg cannot be written: No such file" in capsys.readouterr().err

    beside(tmp_path, core(), test)
