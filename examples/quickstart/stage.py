"""Processes of a demo: development providers, the real daemon, and the agents of an example."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FAIRLEAD = Path(sys.executable).with_name("fairlead")
QUICKSTART = Path(__file__).parent
TOKENS = {
    "ACME_SUPPORT_TOKEN": "demo-support-token",
    "ACME_BATCH_TOKEN": "demo-batch-token",
    "ASHA_TOKEN": "demo-asha-token",
    "BEN_TOKEN": "demo-ben-token",
}
# Where the configuration has the providers. The demo gives them free ports instead, so that it runs beside anything.
PROVIDERS = {"primary": "127.0.0.1:7411", "secondary": "127.0.0.1:7412", "local": "127.0.0.1:7413"}


class Stage:
    """Everything that runs. `close` ends every process it started, by pid."""

    def __init__(
        self,
        directory: Path,
        example: Path = QUICKSTART,
        tokens: Mapping[str, str] = TOKENS,
        providers: Mapping[str, str] = PROVIDERS,
    ) -> None:
        self.data = directory / "data"
        self._tokens = dict(tokens)
        self._configured = dict(providers)
        self._directory = directory / "config"
        self._directory.mkdir()
        for file in example.glob("*.yaml"):
            shutil.copy(file, self._directory)
        self.config = self._directory / "fairlead.yaml"
        self._log = (directory / "daemon.log").open("w")
        self.log_path = directory / "daemon.log"
        self._processes: list[subprocess.Popen[str]] = []
        self._daemon: subprocess.Popen[str] | None = None
        self.address = ""
        self.providers: dict[str, str] = {}

    def start_providers(self) -> None:
        """Starts the providers on free ports and writes those into the configuration."""
        for seed, (name, configured) in enumerate(self._configured.items()):
            command = [str(FAIRLEAD), "dev-provider", "--port", "0", "--seed", str(seed), "--latency", "1ms-4ms"]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            self._processes.append(process)
            assert process.stdout is not None
            listening = re.search(r"127\.0\.0\.1:\d+", process.stdout.readline())
            if listening is None:
                raise SystemExit(f"provider {name} did not start")
            self.providers[name] = listening[0]
            self.config.write_text(self.config.read_text().replace(configured, listening[0]))

    def start_daemon(self) -> float:
        """Starts the daemon and waits until it is ready; returns the seconds it took."""
        endpoints = self.data / "endpoints.json"
        endpoints.unlink(missing_ok=True)
        began = time.monotonic()
        # A daemon that comes back has its port again, so that agents find it without being told.
        agent = self.address or "127.0.0.1:0"
        listen = ["--agent-listen", agent, "--health-listen", "127.0.0.1:0"]
        command = [str(FAIRLEAD), "serve", "--config", str(self._directory), "--data", str(self.data), *listen]
        self._daemon = subprocess.Popen(command, env={**os.environ, **self._tokens}, stderr=self._log, text=True)
        while not endpoints.exists():
            if self._daemon.poll() is not None:
                raise SystemExit(f"the daemon ended with {self._daemon.returncode}:\n{self.log_path.read_text()}")
            time.sleep(0.01)
        self.address = json.loads(endpoints.read_text())["agent"]
        return time.monotonic() - began

    def kill_daemon(self) -> None:
        """kill -9."""
        assert self._daemon is not None
        self._daemon.kill()
        self._daemon.wait()

    def start_agent(self, program: Path, name: str, **environment: str) -> subprocess.Popen[str]:
        """Starts an agent of an example as a process of its own."""
        command = [sys.executable, str(program), name]
        environment = {"FAIRLEAD_ENDPOINT": self.address, **self._tokens, **environment}
        process = subprocess.Popen(command, env={**os.environ, **environment}, stderr=self._log, text=True)
        self._processes.append(process)
        return process

    def say(self, provider: str, text: str) -> None:
        """Tells a provider what its models answer from now on."""
        url = f"http://{self.providers[provider]}/_dev/say"
        request = urllib.request.Request(url, json.dumps({"text": text}).encode(), method="POST")
        urllib.request.urlopen(request, timeout=5).close()

    def arm(self, provider: str, **command: Any) -> None:
        """Tells a provider to fail."""
        url = f"http://{self.providers[provider]}/_dev/faults"
        request = urllib.request.Request(url, json.dumps(command).encode(), method="POST")
        urllib.request.urlopen(request, timeout=5).close()

    def fairlead(self, *arguments: str, operator: str = "") -> subprocess.CompletedProcess[str]:
        """Runs a command of the command line against the daemon, as the operator whose token has this name."""
        command = [str(FAIRLEAD), *arguments, "--data", str(self.data)]
        token = {"FAIRLEAD_OPERATOR_TOKEN": self._tokens[operator]} if operator else {}
        return subprocess.run(command, env={**os.environ, **token}, capture_output=True, text=True, check=False)

    def close(self) -> None:
        """Ends every process."""
        if self._daemon is not None and self._daemon.poll() is None:
            self._daemon.terminate()
            self._daemon.wait(timeout=30)
        for process in self._processes:
            process.kill()
            process.wait()
        self._log.close()
