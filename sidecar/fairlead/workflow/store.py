"""Where runs are in the store, and how they are read: by tenant and id, and hence by time.

The layout of the keys is that of `fairlead.store.keys`. Every call sees what is committed at that moment, and blocks
for the length of its reads.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter
from threading import Lock
from typing import Protocol

from fairlead.audit.erasure.reading import Texts
from fairlead.internal.v1 import workflow_pb2
from fairlead.store import Family, keys

ID_BYTES = 16
# Definitions that are kept decoded; they never change.
_DEFINITIONS = 32
# One tenant's part of a list of all: begins small, because there may be many tenants, and grows while it is read.
_FIRST_CHUNK, _LARGEST_CHUNK = 2, 64


class Reader(Protocol):
    """What is needed of the store."""

    def get(self, family: Family, key: bytes, /) -> bytes | None:
        """The value of a key, or None."""
        ...

    def scan(
        self,
        family: Family,
        /,
        *,
        prefix: bytes = b"",
        start: bytes | None = None,
        end: bytes | None = None,
        reverse: bool = False,
        limit: int | None = None,
    ) -> Iterator[tuple[bytes, bytes]]:
        """The pairs with `start` <= key < `end`, in key order or backwards, at most `limit`."""
        ...


class RunDamaged(Exception):
    """Something that belongs to a run is not in the store."""


@dataclass(frozen=True, slots=True)
class Found:
    """A run that a list came across: its id, its record and how many bytes had to be read for it."""

    run: bytes
    record: workflow_pb2.RunRecord
    read_bytes: int


@dataclass(frozen=True, slots=True)
class _Entry:
    run: bytes
    tenant: str
    value: bytes


class Runs:
    """Reads runs, as they are stored: `texts` has what their failures only commit to. Safe to use from any thread."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.texts = Texts(reader)
        self._lock = Lock()
        self._definitions: OrderedDict[str, workflow_pb2.WorkflowDefinition] = OrderedDict()

    def record(self, tenant: str, run: bytes) -> workflow_pb2.RunRecord | None:
        """The record of a run of a tenant, or None."""
        value = self._reader.get(Family.RUNS, keys.run(tenant, run))
        return None if value is None else workflow_pb2.RunRecord.FromString(value)

    def find(self, run: bytes, tenant: str = "") -> workflow_pb2.RunRecord | None:
        """The record of a run of one tenant or (empty) of any: one read for each tenant that has runs."""
        if tenant:
            return self.record(tenant, run)
        found = (self.record(one, run) for one in self.tenants())
        return next((record for record in found if record is not None), None)

    def steps(self, tenant: str, run: bytes) -> Iterator[workflow_pb2.StepRecord]:
        """The steps in the order of the definition, the items of each behind it."""
        for _, value in self._reader.scan(Family.RUNS, prefix=keys.of_runs(keys.STEP, tenant, run)):
            yield workflow_pb2.StepRecord.FromString(value)

    def definition(self, version: str) -> workflow_pb2.WorkflowDefinition:
        """A stored definition; raises `RunDamaged`."""
        with self._lock:
            known = self._definitions.get(version)
            if known is not None:
                self._definitions.move_to_end(version)
                return known
        value = self._reader.get(Family.RUNS, keys.definition(version))
        if value is None:
            raise RunDamaged(f"the definition of version {version} is not in the store")
        read = workflow_pb2.WorkflowDefinition.FromString(value)
        with self._lock:
            self._definitions[version] = read
            if len(self._definitions) > _DEFINITIONS:
                self._definitions.popitem(last=False)
        return read

    def payload(self, tenant: str, payload: workflow_pb2.PayloadRecord) -> bytes:
        """The JSON of a payload, wherever it is; raises `RunDamaged`."""
        run = keys.run_id_bytes(payload.run)
        if run is None:
            return payload.json
        value = self._reader.get(Family.RUNS, keys.run_payload(tenant, run, payload.digest))
        if value is None:
            raise RunDamaged(f"payload {payload.digest.hex()} of {payload.run} is not in the store")
        return value

    def events(self, tenant: str, run: bytes, after: int = 0, limit: int | None = None) -> list[int]:
        """The sequences of the run's audit records after `after`, in order."""
        prefix, start = keys.of_runs(keys.RUN_EVENT, tenant, run), keys.run_event(tenant, run, after + 1)
        found = self._reader.scan(Family.RUNS, prefix=prefix, start=start, limit=limit)
        return [keys.audit_sequence(key[-8:]) for key, _ in found]

    def last_event(self, tenant: str, run: bytes) -> int:
        """The sequence of the run's last audit record; 0 when it has none."""
        prefix = keys.of_runs(keys.RUN_EVENT, tenant, run)
        newest = self._reader.scan(Family.RUNS, prefix=prefix, reverse=True, limit=1)
        return next((keys.audit_sequence(key[-8:]) for key, _ in newest), 0)

    def newest(
        self, tenant: str, *, before: bytes | None = None, oldest: bytes = b"", open_only: bool = False
    ) -> Iterator[Found]:
        """The runs of one tenant or (empty) of all from `oldest` up to but without `before` (None: the end), the newest
        first; open ones are found without looking at those that have ended."""
        letter = keys.OPEN_RUN if open_only else keys.RUN
        tenants = [tenant] if tenant else list(self.tenants(letter))
        first = _FIRST_CHUNK if len(tenants) > 1 else _LARGEST_CHUNK
        streams = [self._backwards(letter, one, oldest, before, first) for one in tenants]
        for entry in heapq.merge(*streams, key=attrgetter("run"), reverse=True):
            value: bytes | None = entry.value
            if open_only:
                value = self._reader.get(Family.RUNS, keys.run(entry.tenant, entry.run))
            if value is not None:
                yield Found(entry.run, workflow_pb2.RunRecord.FromString(value), len(value))

    def tenants(self, letter: bytes = keys.RUN) -> Iterator[str]:
        """The tenants that have such keys: one read for each."""
        start: bytes | None = letter
        while start is not None:
            first = next(iter(self._reader.scan(Family.RUNS, prefix=letter, start=start, limit=1)), None)
            if first is None:
                return
            tenant = keys.tenant_of_run(first[0])
            yield tenant
            start = keys.after_prefix(keys.of_runs(letter, tenant))

    def _backwards(
        self, letter: bytes, tenant: str, oldest: bytes, before: bytes | None, chunk: int
    ) -> Iterator[_Entry]:
        prefix = keys.of_runs(letter, tenant)
        end = None if before is None else prefix + before
        while True:
            page = list(
                self._reader.scan(Family.RUNS, prefix=prefix, start=prefix + oldest, end=end, reverse=True, limit=chunk)
            )
            for key, value in page:
                yield _Entry(key[-ID_BYTES:], tenant, value)
            if len(page) < chunk:
                return
            end = page[-1][0]
            chunk = min(2 * chunk, _LARGEST_CHUNK)
