"""The providers, the sidecar between them and the SDKs, and what the sidecar wrote down."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .process import Process
from .recorder import Recorder

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TOKEN = "compat-bot-token"
MODELS = ("gpt", "gpt-responses", "claude", "llama", "chain")
"""One model for every dialect and kind of provider, and a chain whose first target cannot be reached."""
FAIRLEAD = (str(ROOT / ".venv/bin/python"), "-m", "fairlead.cli.main")


@dataclass(frozen=True)
class Mock:
    """The third party's mock; it keeps a journal of what it was asked."""

    url: str

    def paths(self) -> list[str]:
        """Paths of the calls so far, the oldest first."""
        with urllib.request.urlopen(f"{self.url}/__aimock/journal", timeout=10) as answer:
            return [entry["path"] for entry in json.load(answer)]


@dataclass(frozen=True)
class Sidecar:
    """The daemon that is tested: the URL of its agent endpoint, and its data."""

    url: str
    data: Path

    def settlement(self, invocation: str) -> dict[str, Any]:
        """How a call ended, as the audit log has it."""
        command = [*FAIRLEAD, "explain", invocation, "--json", "--data", str(self.data)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "sidecar")}
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert ran.returncode == 0, ran.stderr
        return dict(json.loads(ran.stdout)["events"][-1]["record"]["settlement"])


@pytest.fixture(scope="session")
def mock() -> Iterator[Mock]:
    binary = HERE / "node/node_modules/.bin/llmock"
    command = ["node", str(binary), "-p", "0", "-f", str(HERE / "mock"), "--strict"]
    process = Process(command, r"listening on (http://\S+)")
    yield Mock(process.found[1])
    process.end()


@pytest.fixture(scope="session")
def recorder() -> Iterator[Recorder]:
    """The dev provider, and what it was asked."""
    process = Process([*FAIRLEAD, "dev-provider"], r"listening on (http://\S+)/v1", PYTHONPATH=str(ROOT / "sidecar"))
    recorder = Recorder(process.found[1])
    yield recorder
    recorder.close()
    process.end()


@pytest.fixture(scope="session")
def daemon(mock: Mock, recorder: Recorder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    directory = tmp_path_factory.mktemp("sidecar")
    data = directory / "data"
    file = directory / "fairlead.yaml"
    text = (HERE / "fairlead.yaml").read_text()
    file.write_text(text.replace("MOCK", mock.url).replace("RECORDER", recorder.url))
    listen = ("--agent-listen", "127.0.0.1:0", "--health-listen", "127.0.0.1:0")
    process = Process(
        [*FAIRLEAD, "serve", "--data", str(data), *listen, "--config", str(file)],
        '"serving"',
        COMPAT_TOKEN=TOKEN,
        COMPAT_KEY="sk-compat-provider",
        PYTHONPATH=str(ROOT / "sidecar"),
    )
    endpoints = json.loads((data / "endpoints.json").read_text())
    yield Sidecar(f"http://{endpoints['agent']}", data)
    process.end()
    assert "sk-compat-provider" not in process.output


@pytest.fixture
def sidecar(daemon: Sidecar) -> str:
    """URL of the sidecar's agent endpoint."""
    return daemon.url
