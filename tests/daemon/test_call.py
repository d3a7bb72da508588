"""`fairlead call` against the real daemon: the answer, the story of the call, and refusals that a person can read."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from .harness import ROOT, TOKEN, Daemon
from .provider import Provider, routed

BUDGET = "budgets: [{name: run, scope: [run], limit: {tokens: 300}, window: lifetime}]\n"


def call(daemon: Daemon, *arguments: str, token: str = TOKEN) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fairlead.cli.main", "call", "--data", str(daemon.data), *arguments]
    environment = {"PYTHONPATH": str(ROOT / "sidecar"), "FAIRLEAD_TOKEN": token}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_the_answer_comes_first_and_then_the_story_of_the_call(tmp_path: Path) -> None:
    with Provider() as first, Provider() as second, Daemon(tmp_path, routed(first.url, second.url)) as daemon:
        first.fail("503")
        done = call(daemon, "--model", "chat", "--run", "r-1", "--max-output-tokens", "5", "hello")
        assert (done.returncode, done.stdout) == (0, "steady line keeps the ship\n"), done.stderr
        _, invocation, *story = done.stderr.splitlines()
        assert invocation.startswith("inv_")
        assert any("503" in sentence for sentence in story) and any("small" in sentence for sentence in story)
        streamed = call(daemon, "--model", "chat", "--max-output-tokens", "5", "--stream", "--quiet", "hello")
        assert (streamed.returncode, streamed.stdout, streamed.stderr) == (0, "steady line keeps the ship\n", "")


def test_without_the_operator_socket_the_headers_tell(tmp_path: Path) -> None:
    with Provider() as first, Provider() as second, Daemon(tmp_path, routed(first.url, second.url)) as daemon:
        agent = daemon.endpoints()["agent"]
        done = call(daemon, "--agent", agent, "--model", "chat", "hello", "--label", "tier=free", "--label", "a=b")
        assert done.returncode == 0
        elsewhere = [sys.executable, "-m", "fairlead.cli.main", "call", "--data", str(tmp_path), "--agent", agent]
        environment = {"PYTHONPATH": str(ROOT / "sidecar"), "FAIRLEAD_TOKEN": TOKEN}
        done = subprocess.run(
            [*elsewhere, "--model", "chat", "hello"], env=environment, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0
        assert "  - model large\n  - configuration " in done.stderr


def test_a_refusal_says_its_reason_and_what_to_do(tmp_path: Path) -> None:
    with Provider() as first, Provider() as second, Daemon(tmp_path, routed(first.url, second.url, BUDGET)) as daemon:
        wanted = ("--model", "chat", "--run", "r-1", "--max-output-tokens", "900")
        body = tmp_path / "body.json"
        body.write_text(json.dumps({"model": "chat", "messages": [{"role": "user", "content": "long " * 400}]}))
        refused = call(daemon, "--run", "r-1", "--body", str(body))
        assert refused.returncode == 1 and refused.stderr.startswith("fairlead: BUDGET_EXHAUSTED: ")
        unknown = call(daemon, *wanted, "hello", token="nobody-0001")
        assert unknown.returncode == 1 and unknown.stderr.startswith("fairlead: CREDENTIAL_INVALID: ")
        assert "nobody-0001" not in unknown.stderr
        body.write_text('{"model": "chat"}')
        invalid = call(daemon, "--body", str(body))
        assert invalid.returncode == 2 and invalid.stderr.startswith("fairlead: INVALID_ARGUMENT: ")
