"""Runs what the documents tell the reader to type.

What differs from a reader who types it:
- It happens in a temporary directory with a copy of `examples/`, with `.venv` as the environment that runs the tests.
- The fixed ports of the documents are replaced by free ones, in commands, code and configuration. The daemon's own two
  come from the environment, because the configuration leaves them at their defaults, and are bound to loopback only.
- After a command with `&` the next one waits until it says that it listens.
- `make …` is not run: `make demo` has a test of its own, and the others run this test.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).parents[2]
TIMEOUT_SECONDS = 60.0
AGENT_PORT, HEALTH_PORT, PROVIDER_PORTS, RECEIVER_PORT = "7400", "7402", ("7411", "7412", "7413"), "7420"
_PORT = re.compile(r"\b(7400|7402|7411|7412|7413|7420)\b")
_FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_IN_BACKGROUND = re.compile(r"\s&\s*(#.*)?$")
# What a command in the background says when it can be used.
_LISTENS = re.compile(r'listening on|"message": ?"serving"')
# Statements that change the shell itself: repeated before every later command.
_OF_THE_SHELL = (". ", "export ")


@dataclass(frozen=True)
class Block:
    """A fenced block of a document."""

    document: str
    line: int
    language: str
    text: str

    def commands(self) -> list[str]:
        """The lines of a shell block that do something."""
        return [line for line in self.text.splitlines() if line.strip() and not line.startswith("#")]

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"


def documents() -> list[Path]:
    """Everything that a reader may open."""
    return [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(document: Path, *languages: str) -> list[Block]:
    """The fenced blocks of a document in these languages, in their order."""
    text, name = document.read_text(), document.relative_to(ROOT).as_posix()
    return [
        Block(name, text.count("\n", 0, found.start()) + 2, found["language"], found["text"])
        for found in _FENCE.finditer(text)
        if found["language"] in languages
    ]


class Session:
    """A terminal: a working directory, an environment, the free ports by those of the documents, and what runs in the
    background."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.ports = _free_ports(AGENT_PORT, HEALTH_PORT, *PROVIDER_PORTS, RECEIVER_PORT)
        self._before: list[str] = []
        self._background: list[_Background] = []
        shutil.copytree(ROOT / "examples", directory / "examples", ignore=shutil.ignore_patterns("__pycache__"))
        for path in (directory / "examples").rglob("*.yaml"):
            path.write_text(self._ported(path.read_text()))
        (directory / ".venv").symlink_to(sys.prefix)
        self.environment = {
            **os.environ,
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
            "FAIRLEAD_AGENT_LISTEN": f"127.0.0.1:{self.ports[AGENT_PORT]}",
            "FAIRLEAD_HEALTH_LISTEN": f"127.0.0.1:{self.ports[HEALTH_PORT]}",
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with ExitStack() as every:
            for process in self._background:
                every.callback(process.end)

    def run(self, block: Block) -> str:
        """Runs a block; returns what it printed. A command that fails is an AssertionError."""
        if block.language == "python":
            return self._run(block, [sys.executable, "-c", self._ported(block.text)])
        printed = ""
        for command in block.commands():
            if command.startswith("make "):
                continue
            if command.startswith(_OF_THE_SHELL):
                self._before.append(command)
            elif _IN_BACKGROUND.search(command):
                arguments = self._shell(f"exec {_IN_BACKGROUND.sub('', command)}")
                process = _Background(arguments, self._directory, self.environment)
                self._background.append(process)
                process.wait_until_it_listens()
            else:
                printed += self._run(block, self._shell(command))
        return printed

    def _run(self, block: Block, arguments: list[str]) -> str:
        done = subprocess.run(
            arguments,
            cwd=self._directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        assert done.returncode == 0, (
            f"{block}: {arguments[-1]}\nexit code {done.returncode}\n{done.stdout}{done.stderr}"
        )
        return done.stdout

    def _shell(self, command: str) -> list[str]:
        return ["sh", "-c", "\n".join(["set -eu", *self._before, self._ported(command)])]

    def _ported(self, text: str) -> str:
        return _PORT.sub(lambda found: str(self.ports[found[0]]), text)


class _Background:
    """A process that runs until the session ends."""

    def __init__(self, arguments: list[str], directory: Path, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            arguments,
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._said: list[str] = []
        self._listens = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_until_it_listens(self) -> None:
        """Returns when it said so."""
        assert self._listens.wait(TIMEOUT_SECONDS) and self._process.poll() is None, "".join(self._said)

    def end(self) -> None:
        """Ends it; it has to stop as asked."""
        self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise
        finally:
            self._reader.join(TIMEOUT_SECONDS)
        assert code == 0, "".join(self._said)

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as stream:
            for line in stream:
                self._said.append(line)
                if _LISTENS.search(line):
                    self._listens.set()
        # Also when it has ended: then there is nothing to wait for.
        self._listens.set()


def _free_ports(*names: str) -> dict[str, int]:
    """A free port for each name. They are all held until each has one, so that they differ."""
    with ExitStack() as held:
        return {name: held.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1] for name in names}
