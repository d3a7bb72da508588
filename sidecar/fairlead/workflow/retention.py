"""Deletes runs whose retention (`keepFor`) has passed: whole, children with their root, in small slices.

INVARIANT (R2): what leads to something is deleted after it: descendants before the run whose steps name them, steps
and payloads before the run's own record, and the root's own record last, in one unit with the audit record that names
it. So whatever a stop cuts off is found again.

Which runs are due is not asked of the store each time: a look at all of them remembers those that are due first, and
the next one is needed only when these are used up, or when a run that has ended since could be due.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from fairlead.control.commands import Core, apply
from fairlead.control.errors import temporary
from fairlead.internal.v1 import command_pb2, workflow_pb2
from fairlead.store import Family, keys
from fairlead.v1 import audit_record_pb2
from fairlead.workflow.model import has_ended, id_of, is_kept
from fairlead.workflow.store import Reader, Runs

INTERVAL_SECONDS = 60.0
# Runs that are remembered as the next ones to be due.
MAX_REMEMBERED = 10_000
# Roots that go with one audit record, which has their names.
BATCH_ROOTS = 32
# Keys that go in one unit.
SLICE_KEYS = 1000
SUBJECT = "runs.deleted"
# When a root is looked at again, one of whose descendants has not ended.
_POSTPONED_NANOS = 3600 * 1_000_000_000
_NANOS_PER_MILLI = 1_000_000
_NEVER = (1 << 63) - 1
# What belongs to a run besides its own record.
_PARTS = (keys.RUN_PAYLOAD, keys.STEP, keys.RUN_EVENT)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, order=True)
class Due:
    """A run and when it may be deleted, Unix nanoseconds."""

    at_unix_nanos: int
    tenant: str
    run: bytes


class DueRuns:
    """Knows which runs are due next. Blocks for as long as it looks at the store."""

    def __init__(self, reader: Reader, max_remembered: int = MAX_REMEMBERED) -> None:
        self._reader = reader
        self._max_remembered = max_remembered
        # A heap.
        self._next: list[Due] = []
        self._looked_at: int | None = None
        # Of those that were there at the last look, all that are due before then are in `_next`.
        self._known_until = 0

    def take(self, now_unix_nanos: int, most: int) -> list[Due]:
        """The runs that are due, at most so many; they are forgotten here."""
        if not self._has_due(now_unix_nanos) and (
            self._looked_at is None or now_unix_nanos >= min(self._known_until, self._looked_at + self._shortest())
        ):
            self._look(now_unix_nanos)
        taken: list[Due] = []
        while len(taken) < most and self._has_due(now_unix_nanos):
            taken.append(heapq.heappop(self._next))
        return taken

    def put_back(self, due: Due) -> None:
        """Remembers a run again."""
        heapq.heappush(self._next, due)

    def forget(self) -> None:
        """Looks at all runs again before the next answer."""
        self._looked_at = None
        self._next.clear()

    def _has_due(self, now_unix_nanos: int) -> bool:
        return bool(self._next) and self._next[0].at_unix_nanos <= now_unix_nanos

    def _shortest(self) -> int:
        """The shortest retention of any workflow: no run that ends from now on is due before it has passed."""
        definitions = self._reader.scan(Family.RUNS, prefix=keys.DEFINITION)
        kept = (workflow_pb2.WorkflowDefinition.FromString(value).keep_for_millis for _, value in definitions)
        return min((millis * _NANOS_PER_MILLI for millis in kept if millis), default=_NEVER)

    def _look(self, now_unix_nanos: int) -> None:
        first = heapq.nsmallest(self._max_remembered + 1, self._all())
        self._known_until = first.pop().at_unix_nanos if len(first) > self._max_remembered else _NEVER
        self._next = first
        self._looked_at = now_unix_nanos

    def _all(self) -> Iterator[Due]:
        """Every root that will be due, and the descendants of those that are gone."""
        for key, value in self._reader.scan(Family.RUNS, prefix=keys.RUN):
            record = workflow_pb2.RunRecord.FromString(value)
            if not has_ended(record):
                continue
            if not record.parent and record.delete_time_unix_nanos:
                yield Due(record.delete_time_unix_nanos, record.tenant, key[-16:])
            elif record.parent and self._is_left_behind(record):
                yield Due(record.end_time_unix_nanos, record.tenant, key[-16:])

    def _is_left_behind(self, record: workflow_pb2.RunRecord) -> bool:
        root = keys.run_id_bytes(record.root)
        return root is not None and self._reader.get(Family.RUNS, keys.run(record.tenant, root)) is None


class RunRetention:
    """The sweep. Belongs to one event loop."""

    def __init__(
        self,
        core: Core,
        reader: Reader,
        clock: Callable[[], int],
        *,
        max_remembered: int = MAX_REMEMBERED,
        slice_keys: int = SLICE_KEYS,
    ) -> None:
        """`clock` gives Unix nanoseconds."""
        self._core = core
        self._reader = reader
        self._runs = Runs(reader)
        self._clock = clock
        self._due = DueRuns(reader, max_remembered)
        self._slice_keys = slice_keys

    async def run(self, interval_seconds: float = INTERVAL_SECONDS) -> None:
        """Sweeps for ever. What fails is tried again at the next sweep."""
        while True:
            try:
                await self.sweep()
            except Exception as error:
                if (refusal := temporary(error)) is None:
                    _log.exception("runs whose retention has passed could not be deleted")
                else:
                    _log.warning("deleting old runs waits", extra={"error": refusal.message})
            await asyncio.sleep(interval_seconds)

    async def sweep(self) -> int:
        """Deletes what is due now; the number of runs, descendants included. Raises `Refusal`, `StoreUnavailable`."""
        deleted = 0
        try:
            while due := await asyncio.to_thread(self._due.take, self._clock(), BATCH_ROOTS):
                by_tenant: dict[str, list[Due]] = {}
                for one in due:
                    by_tenant.setdefault(one.tenant, []).append(one)
                for tenant, roots in by_tenant.items():
                    deleted += await self._delete(tenant, roots)
        except BaseException:
            # What was taken is not known any more.
            self._due.forget()
            raise
        return deleted

    async def _delete(self, tenant: str, due: Sequence[Due]) -> int:
        roots: list[bytes] = []
        descendants: list[bytes] = []
        for one in due:
            family = await asyncio.to_thread(self._family, one)
            if family is None:
                self._due.put_back(replace(one, at_unix_nanos=self._clock() + _POSTPONED_NANOS))
            elif family:
                roots.append(family[-1])
                descendants += family[:-1]
        if not roots:
            return 0
        parts = self._parts(tenant, descendants, roots)
        while slice := await asyncio.to_thread(lambda: list(islice(parts, self._slice_keys))):
            await self._write(command_pb2.ControlWrite(writes=map(_deletion, slice)))
        number = len(roots) + len(descendants)
        record = audit_record_pb2.ControlChanged(subject=SUBJECT)
        record.detail.update({"runs": number, "roots": " ".join(map(id_of, roots))})
        own = [_deletion(keys.run(tenant, root)) for root in roots]
        await self._write(command_pb2.ControlWrite(writes=own, record=record), tenant)
        _log.info("old runs deleted", extra={"tenant": tenant, "runs": number})
        return number

    def _family(self, due: Due) -> list[bytes] | None:
        """The descendants of a run, each before the run that names it, and the run itself at the end. Empty when it is
        gone, None when one of them has not ended or the run is to be kept after all."""
        found: dict[bytes, None] = {}
        left = [due.run]
        while left:
            run = left.pop()
            record = self._runs.record(due.tenant, run)
            if record is None or run in found:
                continue
            if not has_ended(record) or (run == due.run and not record.parent and is_kept(record, self._clock())):
                return None
            found[run] = None
            children = (keys.run_id_bytes(step.child) for step in self._runs.steps(due.tenant, run))
            left += [child for child in children if child is not None]
        return list(reversed(found))

    def _parts(self, tenant: str, descendants: Sequence[bytes], roots: Sequence[bytes]) -> Iterator[bytes]:
        """All keys but the roots' own, in the order in which they may go."""
        for run in (*descendants, *roots):
            for letter in _PARTS:
                for key, _ in self._reader.scan(Family.RUNS, prefix=keys.of_runs(letter, tenant, run)):
                    yield key
            if run not in roots:
                yield keys.run(tenant, run)

    async def _write(self, write: command_pb2.ControlWrite, tenant: str = "") -> None:
        caller = command_pb2.Caller(tenant=tenant)
        await apply(self._core, command_pb2.Command(caller=caller, control_write=write))


def _deletion(key: bytes) -> command_pb2.Write:
    return command_pb2.Write(family=Family.RUNS, key=key)
