"""The second half of a commit: fsyncs of the write-ahead log, beside the writer that already fills the next batch.

INVARIANT (durable mark): a unit is reported durable only after a flush that *began* after the unit's write had
returned. The mark a flush reports is therefore taken before it begins.
"""

import threading
import time
from typing import Protocol

from fairlead.store.database import Store
from fairlead.store.errors import StoreUnavailable


class AcknowledgingCore(Protocol):
    """The part of the core that releases replies."""

    def acknowledge(self, written: int, durable: int, write_micros: int, flush_micros: int) -> None:
        """Unit numbers up to which is written, and durable."""
        ...

    def fail_store(self, reason: str) -> None:
        """Refuses everything until a recovery."""
        ...


class WalFlusher:
    """One thread that syncs when a unit asks for it, and every `interval_seconds` when something was written."""

    def __init__(self, core: AcknowledgingCore, store: Store, *, interval_seconds: float = 1.0) -> None:
        self._core = core
        self._store = store
        self._interval = interval_seconds
        self._changed = threading.Condition()
        self._written = 0
        self._durable = 0
        # Units up to here asked for an fsync.
        self._wanted = 0
        self._idle = True
        self._suspended = True
        self._stopping = False
        self._fault: StoreUnavailable | None = None
        self._thread = threading.Thread(target=self._run, name="fairlead-flush", daemon=True)

    @property
    def fault(self) -> StoreUnavailable | None:
        """Why the last fsync failed; cleared by `resume`."""
        return self._fault

    def start(self) -> None:
        """Starts the thread; it does nothing until `resume`."""
        self._thread.start()

    def wrote(self, unit: int, power: bool, micros: int) -> None:
        """The batch that ends with `unit` is in the log: releases who waits for that, and asks for an fsync."""
        with self._changed:
            self._written = unit
            if power:
                self._wanted = unit
                self._changed.notify_all()
            self._core.acknowledge(unit, self._durable, micros, 0)

    def ask(self) -> None:
        """Asks for an fsync of what is written, though no unit waits for it."""
        with self._changed:
            self._wanted = self._written
            self._changed.notify_all()

    def resume(self) -> None:
        """Begins anew after the database has been opened. Unit numbers go on, so the marks stay."""
        with self._changed:
            self._fault = None
            self._wanted = self._durable = self._written
            self._suspended = False
            self._changed.notify_all()

    def suspend(self) -> None:
        """Returns when no fsync is under way, and none will begin before `resume`: the database can be closed."""
        with self._changed:
            self._suspended = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._idle)

    def stop(self) -> None:
        """Syncs what is not yet synced, unless suspended, and ends the thread."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(self._due, timeout=self._interval)
                if self._suspended or self._durable == self._written:
                    if self._stopping:
                        return
                    continue
                mark = self._written
                self._idle = False
            self._flush(mark)

    def _due(self) -> bool:
        return self._stopping or (not self._suspended and self._wanted > self._durable)

    def _flush(self, mark: int) -> None:
        began = time.perf_counter_ns()
        try:
            self._store.flush_wal()
        except StoreUnavailable as fault:
            with self._changed:
                self._fault = fault
                self._suspended = True
            # Wakes the writer, too: its batch comes back empty and it sees the fault.
            self._core.fail_store(str(fault))
            with self._changed:
                self._idle = True
                self._changed.notify_all()
            return
        micros = (time.perf_counter_ns() - began) // 1000
        with self._changed:
            self._durable = mark
            self._idle = True
            self._changed.notify_all()
            self._core.acknowledge(self._written, mark, 0, micros)
