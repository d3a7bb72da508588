"""Where a running daemon can be reached: DATA/endpoints.json, written whole or not at all."""

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

NAME = "endpoints.json"


@dataclass(frozen=True, slots=True)
class Endpoints:
    """`host:port` of the TCP endpoints, `unix:PATH` of the operators' socket, and the daemon's process number.

    `operator_tcp` is None when operators have no TCP endpoint.
    """

    agent: str
    health: str
    operator: str
    pid: int
    operator_tcp: str | None = None

    def reached(self) -> dict[str, str]:
        """The endpoints that are there, by name."""
        named = (("agent", self.agent), ("health", self.health), ("operator", self.operator))
        return {**dict(named), **({"operator_tcp": self.operator_tcp} if self.operator_tcp else {})}

    def write(self, data: Path) -> None:
        """Replaces the file, or leaves everything as it was. Raises OSError."""
        temporary = data / f"{NAME}.{os.getpid()}"
        try:
            temporary.write_text(json.dumps({**self.reached(), "pid": self.pid}, indent=2) + "\n", encoding="utf-8")
            temporary.replace(data / NAME)
        finally:
            temporary.unlink(missing_ok=True)


def remove(data: Path) -> None:
    """A stopped daemon cannot be reached; best effort, a killed one leaves the file behind."""
    with contextlib.suppress(OSError):
        (data / NAME).unlink(missing_ok=True)


def with_port(address: str, port: int) -> str:
    """The address with the port that was bound."""
    return f"{address.rpartition(':')[0]}:{port}"
