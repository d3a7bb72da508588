"""Workflow files beside a running sidecar: edited, broken, rolled back, and a run that keeps what it began with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fairlead.v1 import (
    config_service_pb2,
    config_service_pb2_grpc,
    run_pb2,
    workflow_service_pb2,
    workflow_service_pb2_grpc,
)

from .harness import CONFIG, Daemon, bearer

LOAN = """\
name: loan
steps:
  - {id: parse, agent: doc-parser, effect: read}
  - {id: offer, needs: [parse], agent: mailer, onUnknown: fail, input: {income: "${steps.parse.output.income}"}}
"""


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """On a directory with a configuration and a workflow, as one ConfigMap has them."""
    conf = tmp_path / "conf"
    conf.mkdir()
    (conf / "fairlead.yaml").write_text(CONFIG + "workflows: [{file: loan.yaml}]\n")
    (conf / "loan.yaml").write_text(LOAN)
    with Daemon(tmp_path, conf) as started:
        yield started


def workflow(daemon: Daemon) -> workflow_service_pb2.Workflow:
    stub = workflow_service_pb2_grpc.WorkflowServiceStub(daemon.operator())
    request = workflow_service_pb2.GetWorkflowRequest(name="workflows/loan")
    return stub.GetWorkflow(request, timeout=10).workflow


def test_an_edited_workflow_is_seen_and_runs_and_runs_in_flight_keep_theirs(daemon: Daemon) -> None:
    runs = workflow_service_pb2_grpc.WorkflowServiceStub(daemon.agent())
    start = workflow_service_pb2.StartRunRequest(request_id="r-1", workflow="loan", input=b"{}")
    first = runs.StartRun(start, metadata=bearer(), timeout=10).run
    assert first.workflow_version == workflow(daemon).version
    (daemon.config / "loan.yaml").write_text(LOAN.replace("agent: mailer", "agent: printer"))
    daemon.wait_log("configuration applied")
    assert '"printer"' in workflow(daemon).definition
    assert workflow(daemon).version != first.workflow_version
    get = workflow_service_pb2.GetRunRequest(name=first.name)
    kept: run_pb2.Run = runs.GetRun(get, metadata=bearer(), timeout=10).run
    assert kept.workflow_version == first.workflow_version
    assert [step.queue for step in kept.steps] == ["doc-parser", "mailer"]
    start.request_id = "r-2"
    assert runs.StartRun(start, metadata=bearer(), timeout=10).run.workflow_version == workflow(daemon).version


def test_a_broken_workflow_changes_nothing_and_the_log_says_where(daemon: Daemon) -> None:
    before = workflow(daemon)
    (daemon.config / "loan.yaml").write_text(LOAN.replace("output.income}", "output.income +}"))
    line = daemon.wait_log("configuration refused, the running one stays")
    assert line["violation"].startswith(f"{daemon.config}/loan.yaml:4: steps[1].input.income: ")
    assert workflow(daemon) == before
    (daemon.config / "loan.yaml").write_text(LOAN.replace("needs: [parse]", "needs: []"))
    line = daemon.wait_log(
        "configuration refused, the running one stays", lambda line: "reads step" in line["violation"]
    )
    assert line["violation"].startswith(f"{daemon.config}/loan.yaml:4: steps[1].input.income: ")
    assert workflow(daemon) == before


def test_a_rollback_brings_the_definition_back_though_its_file_is_gone(daemon: Daemon) -> None:
    first = workflow(daemon)
    (daemon.config / "loan.yaml").write_text(LOAN.replace("agent: mailer", "agent: printer"))
    daemon.wait_log("configuration applied")
    mark = daemon.mark()
    (daemon.config / "loan.yaml").unlink()
    daemon.wait_log("configuration refused, the running one stays", after=mark)
    config = config_service_pb2_grpc.ConfigServiceStub(daemon.operator())
    config.RollbackConfig(config_service_pb2.RollbackConfigRequest(request_id="b-1"), timeout=10)
    assert workflow(daemon) == first
