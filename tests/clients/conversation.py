"""One client goes through the scenes: what it prints is kept, what it asks for is done."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
from collections.abc import Sequence
from typing import Any

from tests.clients.sidecar import approve
from tests.daemon.harness import TOKEN, Daemon

# Longer than every deadline in a client together, so that a client that hangs says so by itself.
LIMIT_SECONDS = 120.0
Scenes = dict[str, Any]
_ID = re.compile(r"\b(inv|grt|tkt|apr|run)_[0-9a-f]{32}\b")


class ClientFailed(AssertionError):
    """The client ended with an error, or said something that is not in the script."""


def converse(command: Sequence[str], daemon: Daemon) -> Scenes:
    """Runs the client against a started sidecar to its end; what it said in each scene."""
    process = subprocess.Popen(
        command,
        env=environment(daemon),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    limit = threading.Timer(LIMIT_SECONDS, process.kill)
    errors: list[str] = []
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None
    drain = threading.Thread(target=lambda stream: errors.extend(stream), args=(process.stderr,), daemon=True)
    limit.start()
    drain.start()
    scenes: Scenes = {}
    try:
        for text in process.stdout:
            line = json.loads(text)
            if "scene" in line:
                scenes[line.pop("scene")] = line
            elif line["please"] == "approve":
                approve(daemon, line["approval"])
            elif line["please"] == "kill":
                daemon.kill()
                process.stdin.write("done\n")
                process.stdin.flush()
            elif line["please"] == "start":
                daemon.start()
            else:
                raise ClientFailed(f"it asked for something unknown: {text}")
        code = process.wait()
    finally:
        limit.cancel()
        process.kill()
        process.wait()
        drain.join()
        for stream in (process.stdin, process.stdout, process.stderr):
            stream.close()
    if code != 0:
        raise ClientFailed(f"it ended with {code} after {', '.join(scenes) or 'nothing'}:\n{''.join(errors)[-4000:]}")
    return scenes


def environment(daemon: Daemon) -> dict[str, str]:
    """What a client is told."""
    endpoints = daemon.endpoints()
    return {
        **os.environ,
        # The source of the SDK, for the client in Python.
        "PYTHONPATH": daemon.environment["PYTHONPATH"],
        "FAIRLEAD_ENDPOINT": endpoints["agent"],
        "FAIRLEAD_TOKEN": TOKEN,
        "FAIRLEAD_OPERATOR_SOCKET": endpoints["operator"].removeprefix("unix:"),
    }


def normalised(scenes: Scenes) -> Scenes:
    """The same with ids by the order in which they come (`inv#1`), so that two passes can be compared. Times that are
    told in metadata become `TIME`."""
    seen: dict[str, str] = {}

    def id_of(found: re.Match[str]) -> str:
        number = sum(name.startswith(found[1]) for name in seen.values()) + 1
        return seen.setdefault(found[0], f"{found[1]}#{number}")

    text = _ID.sub(id_of, json.dumps(scenes, sort_keys=True))
    text = re.sub(r'"\d{4}-\d\d-\d\dT[^"]*"', '"TIME"', text)
    result: Scenes = json.loads(text)
    return result
