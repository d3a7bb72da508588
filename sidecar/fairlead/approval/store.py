"""Where approvals are in the store: all of them by id, and hence by time, from their creation on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from fairlead.internal.v1 import state_pb2
from fairlead.store import Family, keys


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


@dataclass(frozen=True, slots=True)
class Approvals:
    """Reads approvals. Every call sees what is committed at that moment, and blocks for the length of one read."""

    reader: Reader

    def get(self, approval: bytes) -> state_pb2.ApprovalRecord | None:
        """The record of the 16 bytes of an id, or None."""
        value = self.reader.get(Family.APPROVALS, keys.approval(approval))
        return None if value is None else state_pb2.ApprovalRecord.FromString(value)

    def newest(self, before: bytes | None) -> Iterator[tuple[bytes, state_pb2.ApprovalRecord, int]]:
        """The approvals before an id (None: all), the newest first: id, record and size in bytes."""
        end = None if before is None else keys.approval(before)
        for key, value in self.reader.scan(Family.APPROVALS, end=end, reverse=True):
            yield key, state_pb2.ApprovalRecord.FromString(value), len(value)
