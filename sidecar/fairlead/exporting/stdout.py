"""A destination that is standard output: the lines of `fairlead audit export`, for collectors of containers' logs.

Taken means written: what then becomes of it is the collector's. A pipe that nobody reads holds up this exporter and
nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from fairlead.audit.rendering import event_to_line
from fairlead.exporting.destination import TAKEN, Outcome, Source, not_taken
from fairlead.exporting.thread import OwnThread
from fairlead.v1 import audit_service_pb2

_STDOUT = 1


class StdoutDestination:
    """Standard output. There is one in a process: exporters that follow each other share it."""

    def __init__(self, descriptor: int = _STDOUT) -> None:
        self._descriptor = descriptor
        self._thread = OwnThread("fairlead-export-stdout")
        # The last line is not whole.
        self._cut = False

    async def deliver(self, events: Sequence[audit_service_pb2.AuditEvent], source: Source) -> Outcome:
        """Writes the records. It is not given up when it takes long: lines would be mixed."""
        try:
            await self._thread.run(lambda: self._write("".join(event_to_line(event) + "\n" for event in events)))
        except OSError as error:
            return not_taken(f"standard output cannot be written: {(error.strerror or 'unknown').lower()}")
        return TAKEN

    async def close(self) -> None:
        """Nothing: what is under way goes on."""

    def _write(self, text: str) -> None:
        rest = memoryview((b"\n" if self._cut else b"") + text.encode())
        self._cut = True
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
        self._cut = False
