"""`fairlead worker run` as somebody types it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from fairlead.cli.main import main
from tests.unit.client.sidecar import Refusal
from tests.unit.worker.service import Service

MODULE = """\
from fairlead.worker import Worker

class agents:
    doubler = Worker("127.0.0.1:9", token="of the module", poll=0.2)

empty = Worker()

@agents.doubler.step("q")
def double(value):
    raise KeyboardInterrupt if value is None else ValueError("stop")
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    (tmp_path / "of_the_test.py").write_text(MODULE)
    (tmp_path / "broken_in_test.py").write_text("1 / 0\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr("fairlead.log.configure", lambda level: None)
    yield "of_the_test"
    for name in ("of_the_test", "broken_in_test"):
        sys.modules.pop(name, None)


def test_it_runs_until_it_is_interrupted(sidecar: tuple[Service, str], module: str, tmp_path: Path) -> None:
    service, address = sidecar
    (tmp_path / "token").write_text("of-the-file\n")
    lease = service.add(None)
    options = ["--agent", address, "--agent-token-file", "token", "--concurrency", "3", "--grace", "1"]
    assert main(["worker", "run", f"{module}:agents.doubler", *options]) == 0
    assert service.failed[lease].code == "WORKER_STOPPED"
    assert service.of("LeaseSteps")[0].wish.max_steps == 3
    assert set(service.authorizations) == {"Bearer of-the-file"}


def test_a_refusal_is_told(sidecar: tuple[Service, str], module: str, capsys: pytest.CaptureFixture[str]) -> None:
    service, address = sidecar
    service.script["LeaseSteps"] = [Refusal(grpc.StatusCode.UNAUTHENTICATED, "CREDENTIAL_INVALID")]
    assert main(["worker", "run", f"{module}:agents.doubler", "--agent", address]) == 1
    assert "CREDENTIAL_INVALID" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["of_the_test"], "is not MODULE:NAME"),
        (["of_the_test:missing"], "is not there"),
        (["of_the_test:agents"], "is a type, not a fairlead.worker.Worker"),
        (["of_the_test:empty"], "has no function"),
        (["nowhere_at_all:x"], "cannot be imported: No module named"),
        (["broken_in_test:x"], "ZeroDivisionError"),
        (["of_the_test:agents.doubler", "--agent-token-file", "missing"], "missing cannot be read"),
    ],
)
def test_what_is_not_a_worker(
    module: str, arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["worker", "run", *arguments]) == 2
    assert named in capsys.readouterr().err


def test_without_a_command_it_says_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["worker"]) == 2
    assert "run a worker" in capsys.readouterr().out
