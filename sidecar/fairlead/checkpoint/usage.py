"""How much a tenant has stored, and the bounds of it.

The totals of a tenant are the sum of its threads' records. They are added up when the tenant changes something for the
first time, and from then on kept in memory; after a fault of the store, when nobody knows what was written, again.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from fairlead.checkpoint.model import CheckpointSettings
from fairlead.checkpoint.store import Threads
from fairlead.control.errors import Refusal


@dataclass
class _Totals:
    """Of one tenant. Growth counts from before its commit on, what is deleted from after it."""

    known: bool = False
    threads: int = 0
    size_bytes: int = 0
    changing: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class Usage:
    """The totals of all tenants. Safe to use from any thread; may block for a read of all threads of a tenant."""

    def __init__(self, threads: Threads) -> None:
        self._threads = threads
        self._tenants: dict[str, _Totals] = {}
        self._lock = threading.Lock()

    def of(self, tenant: str) -> tuple[int, int]:
        """Threads and bytes of a tenant."""
        totals = self._totals(tenant)
        with totals.lock:
            self._know(tenant, totals)
            return totals.threads, totals.size_bytes

    @contextmanager
    def changing(self, tenant: str, threads: int, size_bytes: int, settings: CheckpointSettings) -> Iterator[None]:
        """Around the commit of a change of the totals; raises `Refusal` when a bound does not allow it."""
        totals = self._totals(tenant)
        more_threads, more_bytes = max(threads, 0), max(size_bytes, 0)
        with totals.lock:
            self._know(tenant, totals)
            if more_threads and totals.threads + more_threads > settings.threads:
                raise _full(tenant, "checkpointThreads", settings.threads, "delete or prune threads")
            if more_bytes and totals.size_bytes + more_bytes > settings.tenant_bytes:
                raise _full(tenant, "checkpointTenantBytes", settings.tenant_bytes, "delete or prune threads")
            totals.threads += more_threads
            totals.size_bytes += more_bytes
            totals.changing += 1
        committed = False
        try:
            yield
            committed = True
        finally:
            with totals.lock:
                totals.changing -= 1
                if committed:
                    totals.threads += min(threads, 0)
                    totals.size_bytes += min(size_bytes, 0)
                else:
                    # It may be written all the same: what is there has to be looked at.
                    totals.known = False

    def _totals(self, tenant: str) -> _Totals:
        with self._lock:
            return self._tenants.setdefault(tenant, _Totals())

    def _know(self, tenant: str, totals: _Totals) -> None:
        """Adds the totals up. The lock is held."""
        if totals.known:
            return
        if totals.changing:
            # What is on its way would be seen or not. Nobody waits for it here: it may need the waiting thread.
            raise Refusal("STORE_UNAVAILABLE", "the store failed, and changes from before are still ending: try again")
        totals.threads = totals.size_bytes = 0
        for _, record in self._threads.all(tenant):
            totals.threads += 1
            totals.size_bytes += record.size_bytes
        totals.known = True


def _full(tenant: str, bound: str, limit: int, remedy: str) -> Refusal:
    facts = {"bound": f"limits.{bound}", "limit": str(limit), "tenant": tenant}
    return Refusal("QUEUE_FULL", f"the tenant's checkpoints have reached limits.{bound} ({limit}): {remedy}", facts)
