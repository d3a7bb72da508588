"""Where checkpoints are in the store: threads, and everything in them under their incarnation."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from fairlead.checkpoint.model import Facts, ValueRef
from fairlead.internal.v1 import checkpoint_pb2 as records
from fairlead.store import Family, keys

INCARNATION_BYTES = 12
_FAMILY = Family.CHECKPOINTS
_INDEX_OFFSET = 1 << 31
Pairs = Iterator[tuple[bytes, bytes]]


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
    ) -> Pairs:
        """The pairs with `start` <= key < `end`, in key order or backwards, at most `limit`."""
        ...


class _Parts:
    """Reads a key from left to right."""

    def __init__(self, key: bytes, start: int) -> None:
        self._key = key
        self._at = start

    def text(self) -> str:
        length = int.from_bytes(self.take(2), "big")
        return self.take(length).decode()

    def take(self, length: int) -> bytes:
        self._at += length
        return self._key[self._at - length : self._at]

    def rest(self) -> bytes:
        return self._key[self._at :]


@dataclass(frozen=True, slots=True)
class StoredWrite:
    """A write on a checkpoint: which, what, and where its pieces are."""

    task: str
    index: int
    record: records.CheckpointWriteRecord
    key: bytes
    """Of the write, without the number of a piece."""


@dataclass(frozen=True, slots=True)
class Made:
    """A checkpoint that a run made."""

    thread: str
    incarnation: bytes
    namespace: str
    checkpoint: str


@dataclass(frozen=True, slots=True)
class Threads:
    """Reads threads. Every call sees what is committed at that moment, and blocks for the length of one read."""

    reader: Reader

    def get(self, tenant: str, thread: str) -> records.CheckpointThreadRecord | None:
        """The record of a thread, or None."""
        value = self.reader.get(_FAMILY, keys.checkpoint_thread(tenant, thread))
        return None if value is None else records.CheckpointThreadRecord.FromString(value)

    def all(self, tenant: str, first: str | None = None) -> Iterator[tuple[str, records.CheckpointThreadRecord]]:
        """The threads of a tenant by name, from one on."""
        prefix = keys.checkpoint_threads(tenant)
        start = None if first is None else keys.checkpoint_thread(tenant, first)
        for key, value in self.reader.scan(_FAMILY, prefix=prefix, start=start):
            yield _Parts(key, len(prefix)).text(), records.CheckpointThreadRecord.FromString(value)

    def made_by(self, tenant: str, run: str) -> Iterator[Made]:
        """The checkpoints that a run made, and perhaps some that are gone with their thread."""
        prefix = keys.checkpoint_run(tenant, run)
        for key, value in self.reader.scan(_FAMILY, prefix=prefix):
            parts = _Parts(key, len(prefix))
            incarnation, namespace = parts.take(INCARNATION_BYTES), parts.text()
            yield Made(value.decode(), incarnation, namespace, parts.rest().decode())

    def garbage(self) -> Iterator[tuple[str, bytes]]:
        """Tenants and incarnations that have to be deleted."""
        start: bytes | None = b""
        while start is not None:
            first = next(iter(self.reader.scan(_FAMILY, start=start, limit=1)), None)
            if first is None:
                return
            tenant = keys.tenant_of(first[0])
            prefix = keys.checkpoint_garbage(tenant)
            for key, _ in self.reader.scan(_FAMILY, prefix=prefix):
                yield tenant, key[len(prefix) :]
            start = keys.after_prefix(keys.text(tenant))


@dataclass(frozen=True, slots=True)
class ThreadData:
    """Reads what is in an incarnation of a thread. Every call sees what is committed at that moment."""

    reader: Reader
    tenant: str
    incarnation: bytes

    def checkpoint(self, namespace: str, checkpoint: str) -> records.CheckpointRecord | None:
        """One checkpoint, or None."""
        value = self.reader.get(_FAMILY, self.checkpoint_key(namespace, checkpoint))
        return None if value is None else records.CheckpointRecord.FromString(value)

    def latest(self, namespace: str) -> str:
        """The id of the latest checkpoint; empty when there is none."""
        return next(self._newest_ids(namespace, None), "")

    def namespaces(self) -> Iterator[str]:
        """The namespaces that have checkpoints: one read for each."""
        prefix = keys.checkpoints(self.tenant, self.incarnation)
        start: bytes | None = prefix
        while start is not None:
            first = next(iter(self.reader.scan(_FAMILY, prefix=prefix, start=start, limit=1)), None)
            if first is None:
                return
            namespace = _Parts(first[0], len(prefix)).text()
            yield namespace
            start = keys.after_prefix(prefix + keys.text(namespace))

    def newest(
        self, namespaces: list[str], before: str = "", behind: tuple[str, str] | None = None
    ) -> Iterator[tuple[str, str]]:
        """Id and namespace of checkpoints, the last one as text first.

        Only ids before `before`, and only what comes behind `behind`. It holds one id of each namespace; of several
        namespaces it reads one record at a time.
        """

        def of(namespace: str) -> Iterator[tuple[str, str]]:
            end = self._end(namespace, before, behind)
            return ((one, namespace) for one in self._newest_ids(namespace, end, page=len(namespaces) == 1))

        return heapq.merge(*(of(namespace) for namespace in namespaces), reverse=True)

    def facts(self, namespace: str) -> dict[str, Facts]:
        """What deleting has to know of every checkpoint of a namespace, by id."""
        prefix = self.checkpoint_key(namespace, "")
        return {
            key[len(prefix) :].decode(): Facts.of(records.CheckpointRecord.FromString(value))
            for key, value in self.reader.scan(_FAMILY, prefix=prefix)
        }

    def writes(self, namespace: str, checkpoint: str) -> list[StoredWrite]:
        """The writes on a checkpoint, by path, task and index."""
        prefix = self.writes_key(namespace, checkpoint)
        found = []
        for key, value in self.reader.scan(_FAMILY, prefix=prefix):
            parts = _Parts(key, len(prefix))
            task, index = parts.text(), int.from_bytes(parts.take(4), "big") - _INDEX_OFFSET
            if parts.rest() == keys.checkpoint_piece(0):
                record = records.CheckpointWriteRecord.FromString(value)
                found.append(StoredWrite(task, index, record, key[:-4]))
        return sorted(found, key=lambda write: (write.record.task_path, write.task, write.index))

    def written_on(self, namespace: str) -> Iterator[tuple[str, bytes, bytes]]:
        """Every piece of the writes of a namespace: the checkpoint, which may not be there, key and value."""
        prefix = keys.checkpoint_writes(self.tenant, self.incarnation, namespace)
        for key, value in self.reader.scan(_FAMILY, prefix=prefix):
            yield _Parts(key, len(prefix)).text(), key, value

    def value(self, namespace: str, value: ValueRef) -> records.StoredPayload | None:
        """The first piece of a value, or None."""
        found = self.reader.get(_FAMILY, self.value_key(namespace, value) + keys.checkpoint_piece(0))
        return None if found is None else records.StoredPayload.FromString(found)

    def pairs(self, prefix: bytes = b"", limit: int | None = None) -> Pairs:
        """Everything, or what begins with a key of it."""
        prefix = prefix or keys.checkpoint_data(self.tenant, self.incarnation)
        return self.reader.scan(_FAMILY, prefix=prefix, limit=limit)

    def checkpoint_key(self, namespace: str, checkpoint: str) -> bytes:
        """Of a checkpoint."""
        return keys.checkpoint(self.tenant, self.incarnation, namespace, checkpoint)

    def writes_key(self, namespace: str, checkpoint: str) -> bytes:
        """What the keys of the writes on a checkpoint begin with."""
        return keys.checkpoint_writes(self.tenant, self.incarnation, namespace) + keys.text(checkpoint)

    def value_key(self, namespace: str, value: ValueRef) -> bytes:
        """Of a value, without the number of a piece."""
        return keys.checkpoint_values(self.tenant, self.incarnation, namespace) + keys.checkpoint_value(*value)

    def run_key(self, run: str, namespace: str, checkpoint: str) -> bytes:
        """Of the entry that says that a run made a checkpoint."""
        return keys.checkpoint_run(self.tenant, run, self.incarnation, namespace) + checkpoint.encode()

    def _newest_ids(self, namespace: str, end: bytes | None, *, page: bool = False) -> Iterator[str]:
        prefix = self.checkpoint_key(namespace, "")
        if page:
            for key, _ in self.reader.scan(_FAMILY, prefix=prefix, end=end, reverse=True):
                yield key[len(prefix) :].decode()
            return
        while True:
            found = next(iter(self.reader.scan(_FAMILY, prefix=prefix, end=end, reverse=True, limit=1)), None)
            if found is None:
                return
            end = found[0]
            yield end[len(prefix) :].decode()

    def _end(self, namespace: str, before: str, behind: tuple[str, str] | None) -> bytes | None:
        """The first key that is not wanted any more."""
        ends = []
        if before:
            ends.append(self.checkpoint_key(namespace, before))
        if behind is not None:
            last = self.checkpoint_key(namespace, behind[0])
            # The same id may still come in namespaces before that of the last one.
            ends.append(last + b"\0" if namespace < behind[1] else last)
        return min(ends, default=None)


def checkpoint_of(key: bytes, prefix: bytes) -> tuple[str, str]:
    """Namespace and id of a checkpoint, from its key and what those of the thread begin with."""
    parts = _Parts(key, len(prefix))
    return parts.text(), parts.rest().decode()
