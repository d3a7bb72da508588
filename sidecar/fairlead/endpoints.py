"""Where a running daemon can be reached: DATA/endpoints.json, written whole or not at all."""

import contextlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

_NAME = "endpoints.json"


@dataclass(frozen=True, slots=True)
class Endpoints:
    """`host:port` of the TCP endpoints, `unix:PATH` of the operators' socket, and the daemon's process number."""

    agent: str
    health: str
    operator: str
    pid: int

    def write(self, data: Path) -> None:
        """Replaces the file."""
        temporary = data / f"{_NAME}.{os.getpid()}"
        temporary.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")
        temporary.replace(data / _NAME)


def remove(data: Path) -> None:
    """A stopped daemon cannot be reached; best effort, a killed one leaves the file behind."""
    with contextlib.suppress(OSError):
        (data / _NAME).unlink(missing_ok=True)


def with_port(address: str, port: int) -> str:
    """The address with the port that was bound."""
    return f"{address.rpartition(':')[0]}:{port}"
