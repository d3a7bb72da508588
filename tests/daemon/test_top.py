"""`fairlead top` in a real terminal, against the real daemon: it counts calls, follows a resize, outlives a restart of
the daemon, and leaves the terminal as it was."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .calls import post
from .harness import ROOT, Daemon
from .provider import Provider, routed

BODY = {"model": "chat", "messages": [{"role": "user", "content": "hello"}]}
BUDGET = "budgets: [{name: life, scope: [tenant], limit: {usd: 1}, window: lifetime}]\n"
LIMIT_SECONDS = 30.0


class Screen:
    """A terminal and the program that runs in it."""

    def __init__(self, *command: str) -> None:
        self._ours, theirs = pty.openpty()
        self.settings = termios.tcgetattr(theirs)
        self.resize(24, 100)
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "sidecar"), "TERM": "xterm"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "fairlead.cli.main", *command],
            stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, env=environment, start_new_session=True,
        )  # fmt: skip
        self._theirs = theirs
        self.seen = ""

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        if hasattr(self, "process"):
            self.process.send_signal(signal.SIGWINCH)  # nobody is the foreground of this terminal

    def type(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def wait_for(self, pattern: str) -> str:
        """Forgets what was seen, and returns when something drawn from now on fits."""
        self.seen = ""
        deadline = time.monotonic() + LIMIT_SECONDS
        while not re.search(pattern, self.seen):
            ready, _, _ = select.select([self._ours], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"it never drew `{pattern}`:\n{self.seen[-2000:]}"
            self.seen += os.read(self._ours, 65536).decode(errors="replace")
        return self.seen

    def end(self) -> int:
        """The exit code, when it has ended by itself."""
        return self.process.wait(LIMIT_SECONDS)

    def current_settings(self) -> list[object]:
        return list(termios.tcgetattr(self._theirs))

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self.process.stderr is not None:
            self.process.stderr.close()
        os.close(self._ours)
        os.close(self._theirs)


@contextmanager
def screen(*command: str) -> Iterator[Screen]:
    opened = Screen(*command)
    try:
        yield opened
    finally:
        opened.close()


def test_it_shows_calls_as_they_happen_and_leaves_the_terminal_as_it_was(tmp_path: Path) -> None:
    with Provider() as first, Provider() as second, Daemon(tmp_path, routed(first.url, second.url, BUDGET)) as daemon:
        with screen("top", "--data", str(daemon.data), "--interval", "100ms") as terminal:
            terminal.wait_for(r"fairlead: healthy .*configuration [0-9a-f]{12}")
            assert "\x1b[?1049h" in terminal.seen
            for _ in range(3):
                assert post(daemon, BODY)[0] == 200
            first.fail("503")
            assert post(daemon, BODY)[0] == 200
            terminal.wait_for(r"large +4 +[\d.]+ +1 .*closed")
            terminal.wait_for(r"life +acme +[\d.]+ %")
            assert post(daemon, BODY, token="nobody")[0] == 401
            terminal.wait_for(r"refused: CREDENTIAL_INVALID 1 \(")
            terminal.type("q")
            terminal.wait_for(re.escape("\x1b[?1049l"))
            assert terminal.end() == 0
            assert terminal.current_settings() == terminal.settings


def test_a_small_window_shows_what_fits_as_soon_as_it_is_small(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        # It would not look again for a minute: it is the resize that makes it draw.
        with screen("top", "--data", str(daemon.data), "--interval", "60s") as terminal:
            terminal.wait_for("BREAKER")
            terminal.resize(3, 30)
            drawn = terminal.wait_for(r"… \d+ more lines: enlarge")
            assert "BREAKER" not in drawn.split("\x1b[H")[-1]
            terminal.resize(24, 100)
            terminal.wait_for("BREAKER")
            terminal.type("Q")
            assert terminal.end() == 0


def test_it_outlives_a_restart_of_the_daemon(tmp_path: Path) -> None:
    with Provider() as first, Provider() as second, Daemon(tmp_path, routed(first.url, second.url)) as daemon:
        with screen("top", "--data", str(daemon.data), "--interval", "100ms") as terminal:
            post(daemon, BODY)
            terminal.wait_for(r"large +1 ")
            assert daemon.terminate() == 0
            terminal.wait_for("waiting for it; q quits")
            daemon.start()
            terminal.wait_for(r"fairlead: healthy")
            post(daemon, BODY)
            post(daemon, BODY)
            terminal.wait_for(r"large +2 ")
            terminal.process.send_signal(signal.SIGTERM)
            terminal.wait_for(re.escape("\x1b[?1049l"))
            assert terminal.end() == 143
            assert terminal.current_settings() == terminal.settings


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "sidecar")}
    command = [sys.executable, "-m", "fairlead.cli.main", "top", *arguments]
    return subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
    )


def test_one_look_is_text_or_json_and_needs_no_terminal(tmp_path: Path) -> None:
    with Provider() as first, Provider() as second, Daemon(tmp_path, routed(first.url, second.url, BUDGET)) as daemon:
        post(daemon, BODY)
        text = run("--data", str(daemon.data), "--once")
        assert text.returncode == 0 and text.stdout.startswith("fairlead: healthy   configuration ")
        assert re.search(r"^large +1 ", text.stdout, re.MULTILINE)
        seen = json.loads(run("--data", str(daemon.data), "--json").stdout)
        assert (seen["healthy"], seen["admitted"], seen["open_approvals"]) == (True, 1, 0)
        # As the page of a real sidecar calls it: without a route that has a cache, nothing was looked up in it.
        assert seen["cache"] == {"bytes": 0, "hits_total": 0, "misses_total": 0}
        assert [(budget["name"], budget["unit"]) for budget in seen["budgets"]] == [("life", "usd")]
        assert run("--data", str(daemon.data)).returncode == 2
    gone = run("--data", str(daemon.data), "--once")
    assert (gone.returncode, gone.stderr.startswith("fairlead: no sidecar")) == (1, True)
