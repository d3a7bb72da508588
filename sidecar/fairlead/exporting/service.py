"""The exporters of the running configuration: one lane each, which starts, changes and stops with it.

Nothing here is on the way of a call. An exporter that is removed keeps its position, so that it goes on where it was
when it comes back; `fairlead audit consumers remove` forgets it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence

from fairlead.config import Config, ResolvedSecrets
from fairlead.exporting.checkpoints import PAUSE_SECONDS
from fairlead.exporting.destination import Destination
from fairlead.exporting.lane import PACE_SECONDS, Counted, Lane, Readable
from fairlead.exporting.settings import Exporter, exporters_of

# What a lane that was cancelled gets to give back its destination.
CLOSE_SECONDS = 2.0

_log = logging.getLogger(__name__)


class Exporting:
    """Runs the exporters. Belongs to one event loop."""

    def __init__(
        self,
        readable: Readable,
        destination: Callable[[Exporter], Destination],
        random: Callable[[], float],
        pace_seconds: float = PACE_SECONDS,
        checkpoint_pause_seconds: float = PAUSE_SECONDS,
    ) -> None:
        """`destination` makes the one of an exporter and may block; `random` gives numbers from 0 to below 1."""
        self._readable = readable
        self._destination = destination
        self._random = random
        self._paces = (pace_seconds, checkpoint_pause_seconds)
        self._wanted: dict[str, Exporter] = {}
        self._lanes: dict[str, tuple[Lane, asyncio.Task[None]]] = {}
        self._counted: dict[str, Counted] = {}
        self._changed = asyncio.Event()
        # One change at a time.
        self._changing = asyncio.Lock()
        self._following: asyncio.Task[None] | None = None

    def lanes(self) -> Sequence[Lane]:
        """Those that run, by name."""
        return [self._lanes[name][0] for name in sorted(self._lanes)]

    def apply(self, config: Config, secrets: ResolvedSecrets) -> None:
        """A configuration or its secrets began to run."""
        self.configure(exporters_of(config, secrets))

    def configure(self, exporters: Iterable[Exporter]) -> None:
        """These are the exporters from now on."""
        self._wanted = {exporter.name: exporter for exporter in exporters}
        self._changed.set()

    def start(self) -> None:
        """Begins to export."""
        self._following = asyncio.get_running_loop().create_task(self._follow())

    async def stop(self, grace_seconds: float) -> None:
        """Ends. What can be delivered within the grace is; the rest is delivered by the next life."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.wait({self._following})
        tasks = {task for _, task in self._lanes.values()}
        for lane, _ in self._lanes.values():
            lane.drain()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace_seconds)
            await _cancelled(late)
        self._lanes.clear()

    async def _follow(self) -> None:
        while True:
            self._changed.clear()
            await self.reconcile()
            await self._changed.wait()

    async def reconcile(self) -> None:
        """Lanes for the exporters of the configuration, as it says, and only for them."""
        async with self._changing:
            await self._reconcile(self._wanted)

    async def _reconcile(self, wanted: dict[str, Exporter]) -> None:
        gone = {name for name, (lane, _) in self._lanes.items() if wanted.get(name) != lane.exporter}
        if gone:
            # One that is being changed may be written to by its successor: it has to be given back first.
            await _cancelled({self._lanes[name][1] for name in gone})
        for name in gone:
            del self._lanes[name]
            if name not in wanted:
                self._counted.pop(name, None)
                _log.info("an exporter is configured no more: its position is kept", extra={"exporter": name})
        for name, exporter in wanted.items():
            if name not in self._lanes:
                counted = self._counted.setdefault(name, Counted())
                # Another configuration is tried at once, and says again when it fails.
                counted.failing = counted.refused_sequence = 0
                lane = Lane(exporter, self._readable, self._destination, counted, self._random, *self._paces)
                self._lanes[name] = (lane, asyncio.get_running_loop().create_task(lane.run()))


async def _cancelled(tasks: set[asyncio.Task[None]]) -> None:
    """Ends the tasks; one that hangs in its destination is left alone."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=CLOSE_SECONDS)
