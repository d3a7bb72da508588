"""The mock of the providers and the sidecar between it and the SDKs, as processes that are ended by their number."""

from __future__ import annotations

import json
import os
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TOKEN = "compat-bot-token"
MODELS = ("gpt", "gpt-responses", "claude", "llama", "chain")
"""One model for every dialect and kind of provider, and a chain whose first target cannot be reached."""


class Process:
    """A child that says in a line of its output that it is ready."""

    def __init__(self, command: list[str], ready: re.Pattern[str], **environment: str) -> None:
        self._child = subprocess.Popen(
            command,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._child.stdout is not None
        self.output = ""
        for line in self._child.stdout:
            self.output += line
            if found := ready.search(line):
                self.found = found
                return
        self.end()
        raise AssertionError(f"{command[0]} did not start:\n{self.output}")

    def end(self) -> str:
        """Ends it; the rest of its output."""
        self._child.terminate()
        try:
            rest, _ = self._child.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            self._child.kill()
            rest, _ = self._child.communicate()
        self.output += rest
        return rest


class Mock:
    """The third party's mock; it keeps a journal of what it was asked."""

    def __init__(self, url: str) -> None:
        self.url = url

    def journal(self) -> list[dict[str, Any]]:
        with urllib.request.urlopen(f"{self.url}/__aimock/journal", timeout=10) as answer:
            entries = json.load(answer)
        return list(entries["entries"] if isinstance(entries, dict) else entries)

    def paths(self) -> list[str]:
        """Paths of the calls so far, the oldest first."""
        return [entry["path"] for entry in self.journal()]


@pytest.fixture(scope="session")
def mock() -> Iterator[Mock]:
    binary = HERE / "node/node_modules/.bin/llmock"
    listening = re.compile(r"listening on (http://\S+)")
    process = Process(["node", str(binary), "-p", "0", "-f", str(HERE / "mock"), "--strict"], listening)
    yield Mock(process.found[1])
    process.end()


@pytest.fixture(scope="session")
def sidecar(mock: Mock, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of the sidecar's agent endpoint."""
    directory = tmp_path_factory.mktemp("sidecar")
    file = directory / "fairlead.yaml"
    file.write_text((HERE / "fairlead.yaml").read_text().replace("MOCK", mock.url))
    listen = ("--agent-listen", "127.0.0.1:0", "--health-listen", "127.0.0.1:0")
    python = str(ROOT / ".venv/bin/python")
    command = [python, "-m", "fairlead.cli.main", "serve", "--data", str(directory / "data"), *listen]
    process = Process(
        [*command, "--config", str(file)],
        re.compile(r'"serving"'),
        COMPAT_TOKEN=TOKEN,
        COMPAT_KEY="sk-compat-provider",
        PYTHONPATH=str(ROOT / "sidecar"),
    )
    endpoints = json.loads((directory / "data/endpoints.json").read_text())
    yield f"http://{endpoints['agent']}"
    process.end()
    assert "sk-compat-provider" not in process.output
