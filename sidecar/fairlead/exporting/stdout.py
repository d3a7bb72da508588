"""A destination that is standard output: the lines of `fairlead audit export`, for collectors of containers' logs.

Taken means written: what then becomes of it is the collector's. A pipe that nobody reads holds up this exporter and
nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from fairlead.audit.rendering import checkpoint_to_line, event_to_line
from fairlead.audit.transparency.checkpoint import SignedCheckpoint
from fairlead.exporting.destination import TAKEN, Outcome, Source, not_taken
from fairlead.exporting.thread import OneAtATime, OwnThread
from fairlead.v1 import audit_service_pb2

_STDOUT = 1


class StdoutDestination:
    """Standard output. There is one in a process: exporters that follow each other share it."""

    def __init__(self, computing: OneAtATime, descriptor: int = _STDOUT) -> None:
        self._computing = computing
        self._descriptor = descriptor
        self._thread = OwnThread("fairlead-export-stdout")
        # The last line is not whole.
        self._cut = False

    async def deliver(self, events: Sequence[audit_service_pb2.AuditEvent], source: Source) -> Outcome:
        """Writes the records. It is not given up when it takes long: lines would be mixed."""
        return await self._written(
            await self._computing.run(lambda: "".join(event_to_line(event) + "\n" for event in events))
        )

    async def publish(self, checkpoint: SignedCheckpoint, source: Source) -> Outcome:
        """Writes the checkpoint as a line of its own."""
        return await self._written(checkpoint_to_line(checkpoint.note) + "\n")

    async def close(self) -> None:
        """Nothing: what is under way goes on."""

    async def _written(self, text: str) -> Outcome:
        try:
            await self._thread.run(lambda: self._write(text))
        except OSError as error:
            return not_taken(f"standard output cannot be written: {(error.strerror or 'unknown').lower()}")
        return TAKEN

    def _write(self, text: str) -> None:
        rest = memoryview((b"\n" if self._cut else b"") + text.encode())
        self._cut = True
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
        self._cut = False
