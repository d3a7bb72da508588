"""Where approvals are in the store: all of them by id, and hence by time, from their creation on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from fairlead.audit.erasure.reading import Texts
from fairlead.internal.v1 import state_pb2
from fairlead.store import Family, keys

_ID_BYTES = 16


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
    """Reads approvals as people see them, with the texts that they only commit to. Every call sees what is committed at
    that moment, and blocks for the length of its reads."""

    reader: Reader

    def get(self, approval: bytes) -> state_pb2.ApprovalRecord | None:
        """The record of the 16 bytes of an id, or None."""
        value = self.reader.get(Family.APPROVALS, keys.approval(approval))
        return None if value is None else self._read(value)

    def open_ids(self, tenant: str) -> list[bytes]:
        """The ids of those that are not ended, the oldest first, of one tenant or (empty) of all."""
        return sorted(key[-_ID_BYTES:] for one in self._tenants(tenant) for key, _ in self._open(one))

    def newest_open(self, tenant: str, before: bytes | None) -> Iterator[tuple[bytes, state_pb2.ApprovalRecord, int]]:
        """As `newest`, only those that are not ended, of one tenant or (empty) of all. It reads the state and not every
        approval there ever was: there are never more open ones than `limits.openApprovals`."""
        for approval in reversed(self.open_ids(tenant)):
            if before is not None and approval >= before:
                continue
            value = self.reader.get(Family.APPROVALS, keys.approval(approval))
            if value is not None:
                yield approval, self._read(value), len(value)

    def _open(self, tenant: str) -> Iterator[tuple[bytes, bytes]]:
        return self.reader.scan(Family.STATE, prefix=keys.open_approval(tenant, b""))

    def _tenants(self, tenant: str) -> Iterator[str]:
        """The tenant, or all that have any state: one read for each."""
        if tenant:
            yield tenant
            return
        start: bytes | None = keys.after_prefix(keys.text(""))
        while start is not None:
            first = next(iter(self.reader.scan(Family.STATE, start=start, limit=1)), None)
            if first is None:
                return
            found = keys.tenant_of(first[0])
            yield found
            start = keys.after_prefix(keys.text(found))

    def newest(self, before: bytes | None) -> Iterator[tuple[bytes, state_pb2.ApprovalRecord, int]]:
        """The approvals before an id (None: all), the newest first: id, record and size in bytes."""
        end = None if before is None else keys.approval(before)
        for key, value in self.reader.scan(Family.APPROVALS, end=end, reverse=True):
            yield key, self._read(value), len(value)

    def _read(self, value: bytes) -> state_pb2.ApprovalRecord:
        record = state_pb2.ApprovalRecord.FromString(value)
        Texts(self.reader).fill_in(record.approval)
        return record
