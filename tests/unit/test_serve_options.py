"""What the command line of `fairlead serve` means."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from fairlead.cli import serve
from fairlead.endpoints import Endpoints, remove, with_port

VARIABLES = (
    "CONFIG",
    "DATA",
    "DEV",
    "AGENT_LISTEN",
    "HEALTH_LISTEN",
    "GRACE",
    "LOG_LEVEL",
    "WORKER_THREADS",
)


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(f"FAIRLEAD_{name}", raising=False)


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    serve.register(parser.add_subparsers())
    return parser.parse_args(["serve", *arguments])


def test_defaults() -> None:
    options = parsed("--config", "fairlead.yaml")
    assert (options.config, options.data) == (Path("fairlead.yaml"), Path("data"))
    assert (options.grace, options.worker_threads, options.log_level, options.dev) == (20.0, 2, "info", False)
    assert options.agent_listen is None
    assert options.health_listen is None


def test_the_environment_stands_in_for_options_and_loses_to_them(monkeypatch: pytest.MonkeyPatch) -> None:
    values = ("/c.yaml", "/d", "1", "127.0.0.1:1", "127.0.0.1:2", "500ms", "debug", "4")
    for name, value in zip(VARIABLES, values, strict=True):
        monkeypatch.setenv(f"FAIRLEAD_{name}", value)
    options = parsed()
    assert (options.config, options.data, options.dev) == (Path("/c.yaml"), Path("/d"), True)
    assert (options.agent_listen, options.health_listen) == ("127.0.0.1:1", "127.0.0.1:2")
    assert (options.grace, options.log_level, options.worker_threads) == (0.5, "debug", 4)
    assert parsed("--data", "/other").data == Path("/other")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--grace", "soon"),
        ("--worker-threads", "0"),
        ("--log-level", "loud"),
        ("--agent-listen", "7400"),
        ("--health-listen", "localhost:70000"),
    ],
)
def test_nonsense_is_a_usage_error(arguments: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit:
        parsed("--dev", *arguments)
    assert exit.value.code == 2
    assert arguments[0] in capsys.readouterr().err


def test_an_address_from_the_environment_is_checked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FAIRLEAD_AGENT_LISTEN", "nowhere")
    with pytest.raises(SystemExit) as exit:
        parsed("--dev")
    assert exit.value.code == 2
    assert "`nowhere` is not an address: write HOST:PORT" in capsys.readouterr().err


def test_nothing_to_serve_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert serve.run(parsed()) == 2
    assert "--config" in capsys.readouterr().err


def test_endpoints_are_written_whole_and_removed(tmp_path: Path) -> None:
    Endpoints("127.0.0.1:1", "0.0.0.0:2", "unix:/x/admin.sock", 7).write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["endpoints.json"]
    assert '"agent": "127.0.0.1:1"' in (tmp_path / "endpoints.json").read_text()
    remove(tmp_path)
    remove(tmp_path)
    assert not list(tmp_path.iterdir())
    assert with_port("[::1]:0", 7400) == "[::1]:7400"
