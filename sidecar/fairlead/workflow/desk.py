"""Everything that a sidecar has for workflows, put together over one store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fairlead.audit.store import AuditLog
from fairlead.audit.watch import Feed
from fairlead.control.commands import AskingCore
from fairlead.workflow.catalogue import InForce, Running, WorkflowCatalogue
from fairlead.workflow.retention import RunRetention
from fairlead.workflow.service import RunService
from fairlead.workflow.steering import RunSteering
from fairlead.workflow.store import Reader, Runs
from fairlead.workflow.watch import RunWatchService


class WorkflowDesk:
    """The use cases, and the sweep of old runs. Belongs to one event loop."""

    def __init__(
        self,
        core: AskingCore,
        reader: Reader,
        feed: Feed,
        running: Callable[[], Running],
        clock: Callable[[], int],
    ) -> None:
        """`running` gives the configuration in force, `clock` Unix nanoseconds."""
        runs = Runs(reader)
        self.reading = RunService(runs, clock)
        self.watching = RunWatchService(runs, self.reading, AuditLog(reader), feed)
        self.steering = RunSteering(core, reader, runs, self.reading, clock)
        self.catalogue = WorkflowCatalogue(InForce(running), runs, clock)
        self._retention = RunRetention(core, reader, clock)
        self._sweeping: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to delete runs whose retention has passed."""
        self._sweeping = asyncio.get_running_loop().create_task(self._retention.run())

    async def drain(self) -> None:
        """Ends every stream with DRAINING, and the sweep."""
        self.watching.drain()
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.wait({self._sweeping})
