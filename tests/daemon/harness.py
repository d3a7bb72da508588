"""The real daemon as a process, for black-box tests.

Nothing here sleeps: waiting is reading its log, with a limit. Every process is ended by its number, whatever the test
does.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import grpc

ROOT = Path(__file__).parents[2]
TOKEN = "bot-token-0001"
OTHER_TOKEN = "other-token-0001"
ASHA_TOKEN = "asha-token-0001"
PROVIDER_KEY = "sk-canary-provider-0001"
TIMEOUT_SECONDS = 30.0
Line = dict[str, Any]

MODELS = """\
providers:
  - {name: local, kind: openai-compatible, baseUrl: "http://127.0.0.1:9/v1", apiKey: {fromEnv: TEST_PROVIDER_KEY}}
models:
  - {name: small, provider: local, price: {input: 1, output: 2}, maxOutputTokens: 1000, quality: 0.5}
  - {name: large, provider: local, price: {input: 10, output: 20}, maxOutputTokens: 1000, quality: 0.9}
"""

CONFIG = f"""\
apiVersion: fairlead/v1
operators:
  - {{name: asha, token: {{fromEnv: TEST_ASHA_TOKEN}}, roles: [finance]}}
tenants:
  - name: acme
    agents: [{{name: bot, token: {{fromEnv: TEST_BOT_TOKEN}}}}]
  - name: other
    agents: [{{name: bot, token: {{fromEnv: TEST_OTHER_TOKEN}}}}]
{MODELS}\
budgets:
  - {{name: tenant-life, scope: [tenant], limit: {{usd: 1000}}, window: lifetime}}
"""
"""Two tenants, two models nobody serves, one budget: enough for decisions."""

ENVIRONMENT = {
    "TEST_BOT_TOKEN": TOKEN,
    "TEST_OTHER_TOKEN": OTHER_TOKEN,
    "TEST_ASHA_TOKEN": ASHA_TOKEN,
    "TEST_PROVIDER_KEY": PROVIDER_KEY,
}


class Daemon:
    """One data directory and the daemon on it; it can be started again after it ended."""

    def __init__(
        self,
        directory: Path,
        config: str | Path = CONFIG,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`config` is the text of the file, or the path of one that the test keeps itself."""
        self.directory = directory
        self.data = directory / "data"
        if isinstance(config, Path):
            self.config = config
        else:
            self.config = directory / "fairlead.yaml"
            self.config.write_text(config)
        self._arguments = arguments
        # Of the daemon, and of commands that are run beside it.
        self.environment = {**os.environ, **ENVIRONMENT, **(environment or {})}
        # The package may be installed or not; its source is here.
        paths = [str(ROOT / "sidecar"), *filter(None, [self.environment.get("PYTHONPATH")])]
        self.environment["PYTHONPATH"] = os.pathsep.join(paths)
        # Where its standard output goes; its log is on the other one.
        self.stdout: int | IO[str] = subprocess.DEVNULL
        self._channels: list[grpc.Channel] = []
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._changed = threading.Condition()
        self._ended = False
        self.output: list[str] = []
        self.lines: list[Line] = []

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Life ----------------------------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Starts it and waits until it serves."""
        self.spawn()
        try:
            self.wait_log("serving")
        except BaseException:
            self.close()
            raise
        return self

    def spawn(self) -> None:
        """Starts it and does not wait."""
        assert self._process is None, "it runs already"
        listen = ("--agent-listen", "127.0.0.1:0", "--health-listen", "127.0.0.1:0")
        command = [sys.executable, "-m", "fairlead.cli.main", "serve", "--data", str(self.data), *listen]
        if "--dev" not in self._arguments or self.config.exists():
            command += ["--config", str(self.config)]
        with self._changed:
            self.output, self.lines, self._ended = [], [], False
        # A pipe, not a file: a limit on the size of files must not silence it.
        self._process = subprocess.Popen(
            [*command, *self._arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=self.stdout,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stderr is not None
        self._reader = threading.Thread(target=self._read, args=(self._process.stderr,), daemon=True)
        self._reader.start()

    def run_to_the_end(self) -> int:
        """Starts one that is expected to end by itself; returns its exit code."""
        self.spawn()
        return self.wait()

    def kill(self) -> None:
        """kill -9: nothing is said goodbye to."""
        self._signal(signal.SIGKILL)
        self.wait()

    def terminate(self) -> int:
        """SIGTERM, and the exit code when it has stopped."""
        self.send_signal(signal.SIGTERM)
        return self.wait()

    def send_signal(self, number: signal.Signals) -> None:
        """Sends a signal and does not wait."""
        self._signal(number)

    def restart(self) -> Self:
        """Stops it as asked and starts it again on the same data."""
        code = self.terminate()
        assert code == 0, self.log_text()
        return self.start()

    def wait(self, timeout: float = TIMEOUT_SECONDS) -> int:
        """The exit code, when it has ended and all of its log was read."""
        process = self._process
        assert process is not None, "it was not started"
        code = process.wait(timeout)
        self._disconnect()
        if self._reader is not None:
            self._reader.join(TIMEOUT_SECONDS)
        self._process = None
        return code

    def close(self) -> None:
        """Ends it, however it is."""
        self._disconnect()
        if self._process is not None:
            self._process.kill()
            self.wait()

    @property
    def pid(self) -> int:
        """Its process number."""
        assert self._process is not None, "it does not run"
        return self._process.pid

    def limit_file_size(self, limit: int | None) -> None:
        """From now on its files cannot grow beyond `limit` bytes, as on a full disk; None: as far as they like."""
        import resource

        size = resource.RLIM_INFINITY if limit is None else limit
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    # What it says --------------------------------------------------------------------------------------------------

    def wait_log(self, message: str, matches: Callable[[Line], bool] = lambda line: True, *, after: int = 0) -> Line:
        """The first line from `after` on with this message for which `matches` holds; waits for it."""

        def found() -> Line | None:
            wanted = (line for line in self.lines[after:] if line.get("message") == message and matches(line))
            return next(wanted, None)

        with self._changed:
            self._changed.wait_for(lambda: found() is not None or self._ended, TIMEOUT_SECONDS)
            line = found()
        assert line is not None, f"it never said `{message}`:\n{self.log_text()}"
        return line

    def mark(self) -> int:
        """Where the log is now, for `wait_log(after=…)`."""
        with self._changed:
            return len(self.lines)

    def log_text(self) -> str:
        """All of its log."""
        with self._changed:
            return "".join(self.output)

    def endpoints(self) -> dict[str, Any]:
        """What it wrote into endpoints.json."""
        endpoints: dict[str, Any] = json.loads((self.data / "endpoints.json").read_text())
        return endpoints

    # Talking to it -------------------------------------------------------------------------------------------------

    def agent(self) -> grpc.Channel:
        """A channel to the agent endpoint."""
        return self._channel(self.endpoints()["agent"])

    def operator(self) -> grpc.Channel:
        """A channel to the operator socket."""
        return self._channel(self.endpoints()["operator"])

    def health(self) -> grpc.Channel:
        """A channel to the health endpoint."""
        return self._channel(self.endpoints()["health"])

    def _channel(self, target: str) -> grpc.Channel:
        # One connection each: channels to the same address would otherwise share one, dead or alive.
        options = [("grpc.default_authority", "localhost"), ("grpc.use_local_subchannel_pool", 1)]
        channel = grpc.insecure_channel(target, options=options)
        self._channels.append(channel)
        return channel

    def _disconnect(self) -> None:
        for channel in self._channels:
            channel.close()
        self._channels.clear()

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None, "it does not run"
        self._process.send_signal(number)

    def _read(self, stream: IO[str]) -> None:
        with stream:
            for text in stream:
                with self._changed:
                    self.output.append(text)
                    try:
                        line = json.loads(text)
                    except ValueError:
                        line = {"message": text}
                    self.lines.append(line if isinstance(line, dict) else {"message": text})
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()


def bearer(token: str = TOKEN) -> tuple[tuple[str, str]]:
    """The metadata of a credential."""
    return (("authorization", f"Bearer {token}"),)
