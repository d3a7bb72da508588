"""`fairlead workflow` as a person uses it. What the native core finds is in tests/golden/workflows."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from fairlead.cli.main import main
from fairlead.config import to_engine
from fairlead.internal.v1 import engine_config_pb2
from tests.unit.config.samples import VALID, load, write

LOAN = """\
name: loan
steps:
  - {id: parse, agent: doc-parser, effect: read}
  - {id: review, needs: [parse], approval: {tier: high}}
  - {id: risk, needs: [parse], model: {route: careful, prompt: x}}
  - {id: sub, needs: [review, risk], workflow: other}
"""
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[engine_config_pb2.EngineConfig]:
    """What the native core was given to check; it finds nothing."""
    given: list[engine_config_pb2.EngineConfig] = []

    class Core:
        @staticmethod
        def compile(config: bytes) -> list[tuple[str, str]]:
            given.append(engine_config_pb2.EngineConfig.FromString(config))
            return []

    module = ModuleType("fairlead.native")
    module.Core = Core  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "fairlead.native", module)
    return given


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> tuple[int, str, str]:
        try:
            code = main(["workflow", *map(str, arguments)])
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_a_workflow_is_checked_by_itself(
    tmp_path: Path, run: Run, compiled: list[engine_config_pb2.EngineConfig]
) -> None:
    write(tmp_path / "loan.yaml", LOAN.replace("name: loan", "name: loan\ntenants: [acme]"))
    code, out, err = run("validate", "loan.yaml")
    version, name = out.split()
    assert (code, name, err, len(version)) == (0, "loan", "", 64)
    # What it names and is not there is taken for granted.
    (engine,) = compiled
    assert [tier.name for tier in engine.approval_tiers] == ["high"]
    assert [model.name for model in engine.models] == ["careful"]
    assert [tenant.name for tenant in engine.tenants] == ["acme"]
    assert [workflow.name for workflow in engine.workflows] == ["loan", "other"]
    code, out, _ = run("validate", "--json", "loan.yaml")
    assert json.loads(out) == {
        "valid": True,
        "workflows": [{"file": "loan.yaml", "name": "loan", "version": version, "steps": 4}],
        "violations": [],
    }


def test_several_workflows_know_each_other(tmp_path: Path, run: Run) -> None:
    write(tmp_path / "loan.yaml", LOAN)
    write(tmp_path / "other.yaml", "name: other\nsteps: [{id: a, agent: b}]\n")
    code, out, _ = run("validate", "loan.yaml", "other.yaml", "loan.yaml")
    assert code == 0 and [line.split()[1] for line in out.splitlines()] == ["loan", "other"]
    write(tmp_path / "again.yaml", LOAN)
    code, _, err = run("validate", "loan.yaml", "again.yaml")
    assert code == 2
    assert err == "again.yaml:1: name: the workflow 'loan' is defined twice: first as workflows[0]\n"


def test_every_violation_has_the_file_as_it_was_given(tmp_path: Path, run: Run) -> None:
    (tmp_path / "flows").mkdir()
    write(tmp_path / "flows/loan.yaml", LOAN.replace("agent: doc", "agnet: doc").replace("tier: high", "tier: 'a b'"))
    code, out, err = run("validate", "flows/loan.yaml")
    assert (code, out) == (2, "")
    assert err.splitlines() == [
        "flows/loan.yaml:3: steps[0].agnet: unknown key: did you mean agent?",
        "flows/loan.yaml:4: steps[1].approval.tier: must start with a letter or digit and go on with letters, digits, "
        "dot, dash or underscore",
    ]
    code, out, _ = run("validate", "--json", "flows/loan.yaml")
    assert code == 2
    assert [(found["file"], found["line"], found["path"]) for found in json.loads(out)["violations"]] == [
        ("flows/loan.yaml", 3, "steps[0].agnet"),
        ("flows/loan.yaml", 4, "steps[1].approval.tier"),
    ]
    assert run("validate", "nowhere.yaml") == (
        2,
        "",
        "fairlead: nowhere.yaml cannot be read: No such file or directory\n",
    )


def test_a_configuration_says_what_there_is(tmp_path: Path, run: Run) -> None:
    write(tmp_path / "loan.yaml", LOAN)
    (tmp_path / "conf").mkdir()
    config = write(tmp_path / "conf/fairlead.yaml", VALID)
    code, _, err = run("validate", "loan.yaml", "--config", config)
    assert code == 2
    # A route that takes any call takes the one that `risk` makes.
    assert err.splitlines() == [
        "loan.yaml:4: steps[1].approval.tier: unknown approval tier 'high': no approval tier has this name",
        "loan.yaml:6: steps[3].workflow: unknown workflow 'other': no workflow has this name",
    ]
    people = "operators: [{name: asha, token: {fromEnv: A}, roles: [lead]}]\n"
    tiers = "approvals: {tiers: [{name: high, require: [{role: lead}]}]}\n"
    write(config, f"{VALID}{people}{tiers}workflows: [{{file: other.yaml}}, {{file: loan.yaml}}]\n")
    write(tmp_path / "conf/other.yaml", "name: other\nsteps: [{id: a, agent: b}]\n")
    # The one that runs now is broken; the candidate takes its place.
    write(tmp_path / "conf/loan.yaml", "name: loan\nsteps: []\n")
    assert run("validate", "loan.yaml", "--config", tmp_path / "conf")[0] == 0
    code, _, err = run("validate", "conf/other.yaml", "--config", config)
    assert (code, err) == (2, f"{tmp_path}/conf/loan.yaml:2: steps: must not be empty\n")


def test_a_workflow_is_drawn(tmp_path: Path, run: Run) -> None:
    write(tmp_path / "loan.yaml", LOAN)
    code, out, _ = run("graph", "loan.yaml")
    assert code == 0 and out.splitlines()[1].split() == ["parse", "agent", "queue", "doc-parser"]
    assert run("graph", "loan.yaml", "--format", "mermaid")[1].splitlines()[3] == "flowchart TB"
    svg = run("graph", "loan.yaml", "--format", "svg")[1]
    for name, start in (("a.svg", svg), ("a.mmd", "---\ntitle"), ("a.txt", "loan · 4 steps")):
        assert run("graph", "loan.yaml", "--output", name) == (0, "", "")
        assert (tmp_path / name).read_text().startswith(start)
    assert run("graph", "loan.yaml", "--format", "svg", "--output", "a.txt")[0] == 0
    assert (tmp_path / "a.txt").read_text() == svg
    code, _, err = run("graph", "loan.yaml", "--output", "nowhere/a.svg")
    assert (code, err) == (2, "fairlead: nowhere/a.svg cannot be written: No such file or directory\n")


def test_what_is_not_valid_is_not_drawn(tmp_path: Path, run: Run) -> None:
    write(tmp_path / "loan.yaml", LOAN.replace("needs: [parse]", "needs: parse"))
    code, out, err = run("graph", "loan.yaml")
    assert (code, out) == (2, "") and err.startswith("loan.yaml:4: steps[1].needs: must be a list\n")
    assert run("graph", "nowhere.yaml")[0] == 2
    assert run("graph")[0] == 2 and run()[0] == 2


def test_the_version_is_the_one_that_a_sidecar_would_run(tmp_path: Path, run: Run) -> None:
    path = write(tmp_path / "loan.yaml", LOAN.replace("  - {id: sub, needs: [review, risk], workflow: other}\n", ""))
    (engine,) = to_engine(
        load(
            f"{VALID}operators: [{{name: a, token: {{fromEnv: A}}, roles: [r]}}]\nworkflows: [{{file: {path}}}]\n"
            "approvals: {tiers: [{name: high, require: [{role: r}]}]}\n"
        )
    ).workflows
    assert run("validate", path)[1] == f"{engine.version}  loan\n"
