"""Children of the tests, ended by their number."""

from __future__ import annotations

import os
import re
import subprocess


class Process:
    """A child that says in a line of its output that it is ready."""

    def __init__(self, command: list[str], ready: str, **environment: str) -> None:
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
            if found := re.search(ready, line):
                self.found = found
                return
        self.end()
        raise AssertionError(f"{command[0]} did not start:\n{self.output}")

    def kill(self) -> None:
        """kill -9: nothing is said goodbye to."""
        self._child.kill()
        rest, _ = self._child.communicate()
        self.output += rest

    def end(self) -> None:
        """Ends it and reads the rest of its output."""
        self._child.terminate()
        try:
            rest, _ = self._child.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            self._child.kill()
            rest, _ = self._child.communicate()
        self.output += rest
