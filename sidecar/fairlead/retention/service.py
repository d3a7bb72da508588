"""Sweeps: once at the start and then hourly, what is older than the configuration keeps goes.

A sweep that has something to remove records that first: the log says up to when the store has forgotten, whatever
happens in the middle. What is left then goes with the next sweep, which records it again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from functools import partial
from itertools import islice
from typing import Protocol, TypeVar

from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp

from fairlead.audit.model import Undecodable
from fairlead.config.sections.retention import Retention
from fairlead.control.commands import Core, apply
from fairlead.control.errors import Refusal
from fairlead.internal.v1 import command_pb2
from fairlead.retention.model import Cutoffs
from fairlead.retention.store import (
    SLICE_CALLS,
    SLICE_TENANTS,
    Deleting,
    OldCall,
    old_calls,
    old_invocations,
    remove_calls,
)
from fairlead.store import StoreUnavailable
from fairlead.v1 import audit_record_pb2

SWEPT = "retention.swept"
INTERVAL_SECONDS = 3600.0
# Between two slices: the commits of others come first.
PAUSE_SECONDS = 0.01

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_log = logging.getLogger(__name__)


class Writer(Protocol):
    """What is needed of the commit writer."""

    def between_batches(self, work: Callable[[], _Result]) -> Future[_Result]:
        """Runs work while nothing is written."""
        ...


class RetentionService:
    """Removes what is old. Belongs to one event loop."""

    def __init__(
        self,
        core: Core,
        store: Deleting,
        writer: Writer,
        kept: Callable[[], Retention],
        clock: Callable[[], int],
        unread_since: Callable[[], Awaitable[int | None]],
    ) -> None:
        """`kept` gives what the running configuration says, `clock` Unix nanoseconds, `unread_since` since when there
        is something in the audit log that a consumer has not acknowledged: what it may still ask about stays."""
        self._core = core
        self._store = store
        self._writer = writer
        self._kept = kept
        self._clock = clock
        self._unread_since = unread_since

    async def run(self) -> None:
        """Sweeps for ever."""
        while True:
            try:
                await self.sweep()
            except (Refusal, StoreUnavailable, Undecodable) as error:
                _log.warning("old records stay until the next sweep", extra={"error": str(error)})
            except Exception:
                _log.exception("old records stay until the next sweep")
            await asyncio.sleep(INTERVAL_SECONDS)

    async def sweep(self) -> None:
        """Removes what is older than the running configuration keeps. Raises Refusal, StoreUnavailable."""
        kept = self._kept()
        cutoffs = Cutoffs.of(self._clock(), kept.invocations, kept.tool_calls).not_after(await self._unread_since())
        if cutoffs.invocations:
            ranges = old_invocations(self._store, cutoffs.invocations)
            await self._remove(ranges, SLICE_TENANTS, self._store.delete_ranges, "invocations", cutoffs.invocations)
        if cutoffs.tool_calls:
            calls = old_calls(self._store, cutoffs.tool_calls)
            await self._remove(calls, SLICE_CALLS, self._remove_calls, "tool_calls", cutoffs.tool_calls)

    def _remove_calls(self, calls: list[OldCall]) -> None:
        remove_calls(self._store, calls)

    async def _remove(
        self, old: Iterator[_Item], slice_size: int, remove: Callable[[list[_Item]], None], what: str, before: int
    ) -> None:
        recorded = False
        while some := await asyncio.to_thread(_next, old, slice_size):
            if not recorded:
                await self._record(what, before)
                recorded = True
            await asyncio.wrap_future(self._writer.between_batches(partial(remove, some)))
            await asyncio.sleep(PAUSE_SECONDS)
        if recorded:
            _log.info("old records removed", extra={"what": what, "before": _time(before)})

    async def _record(self, what: str, before: int) -> None:
        detail = Struct()
        detail.update({f"{what}_before": _time(before)})
        change = command_pb2.ControlWrite(record=audit_record_pb2.ControlChanged(subject=SWEPT, detail=detail))
        await apply(self._core, command_pb2.Command(control_write=change))


def _next(items: Iterator[_Item], most: int) -> list[_Item]:
    return list(islice(items, most))


def _time(unix_nanos: int) -> str:
    stamp = Timestamp()
    stamp.FromNanoseconds(unix_nanos)
    return stamp.ToJsonString()
