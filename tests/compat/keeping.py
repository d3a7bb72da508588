"""A daemon of its own with the configuration of examples/langgraph, which may be killed and started again."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from .conftest import FAIRLEAD, ROOT
from .process import Process

CONFIG = ROOT / "examples/langgraph/fairlead.yaml"
TOKENS = {
    "ACME_TOKEN": "acme-refund-bot-token",
    "ASHA_TOKEN": "asha-finance-token",
    "BEN_TOKEN": "ben-legal-token",
}
TOKEN = TOKENS["ACME_TOKEN"]


class Keeper:
    """The daemon and its data directory."""

    def __init__(self, directory: Path, config: Path = CONFIG) -> None:
        self.data = directory / "data"
        self._config = config
        self._process = self._started()

    @property
    def target(self) -> str:
        """The agent endpoint."""
        return str(json.loads((self.data / "endpoints.json").read_text())["agent"])

    def kill_and_start(self) -> None:
        """kill -9, and a start on the same data; the agent endpoint is another one."""
        self._process.kill()
        self._process = self._started()

    def end(self) -> None:
        """Stops it."""
        self._process.end()

    def change(self, old: str, new: str) -> None:
        """Edits the configuration and applies it."""
        text = self._config.read_text()
        assert old in text
        self._config.write_text(text.replace(old, new))
        self.operator("config", "apply", str(self._config))

    def operator(self, *arguments: str, who: str = "asha") -> str:
        """`fairlead …` as an operator; what it printed."""
        token = TOKENS[f"{who.upper()}_TOKEN"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "sidecar"), "FAIRLEAD_OPERATOR_TOKEN": token}
        command = [*FAIRLEAD, *arguments, "--data", str(self.data)]
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def approvals(self) -> list[dict[str, Any]]:
        """All approvals, the newest first."""
        return [json.loads(line) for line in self.operator("approvals", "list", "--json").splitlines()]

    def vote(self, word: str, approval: str, reason: str = "as agreed by phone", who: str = "asha") -> None:
        """Votes as an operator."""
        self.operator("approvals", word, approval, "--reason", reason, who=who)

    def _started(self) -> Process:
        listen = ("--agent-listen", "127.0.0.1:0", "--health-listen", "127.0.0.1:0")
        command = [*FAIRLEAD, "serve", "--data", str(self.data), *listen, "--config", str(self._config)]
        return Process(command, '"serving"', PYTHONPATH=str(ROOT / "sidecar"), **TOKENS)
