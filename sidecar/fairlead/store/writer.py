"""The first half of a commit: ONE thread takes what the core has decided and writes it, batch by batch.

| event | what happens | replies |
|---|---|---|
| batch written | acknowledged as written; the flusher is asked when a unit wants an fsync | `process` units go out |
| fsync that began later returns | acknowledged as durable | `power` units go out |
| write or fsync fails | core refuses everything; database stays open for reads | STORE_UNAVAILABLE |
| directory takes writes again | database is closed, opened, and fed back to the core | served again |

A unit whose write failed may still be found after the reopening (the error can come after the bytes). That is no harm:
its caller was told that nothing is certain, the core is rebuilt from what is there, and the request id finds it.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol, TypeVar

from fairlead.store import keys, recovery, retention, tuning
from fairlead.store.database import Store, Write
from fairlead.store.errors import StoreError, StoreUnavailable
from fairlead.store.families import Family
from fairlead.store.flusher import AcknowledgingCore, WalFlusher
from fairlead.store.pauses import Pauses
from fairlead.store.recovery import RecoveringCore

logger = logging.getLogger(__name__)
_Result = TypeVar("_Result")


class CommittingCore(AcknowledgingCore, RecoveringCore, Protocol):
    """The part of the core that the writer needs."""

    def next_batch(self, max_units: int, timeout_millis: int) -> tuple[int, bool, list[Write]] | None:
        """The number of the last unit, whether one wants an fsync, and all writes; none when the time passes."""
        ...


@dataclass(frozen=True)
class WriterSettings:
    """How the writer works."""

    max_units: int = 512
    """Most units of one batch."""
    poll_millis: int = 100
    """How long one wait for a batch lasts; bounds how late a stop or a failed fsync is seen."""
    retry_seconds: float = 0.05
    """First wait after a fault; doubles."""
    max_retry_seconds: float = 2.0
    """Longest wait between two tries."""
    probe_bytes: int = 256 * 1024
    """What the directory must take before the database is closed and opened again."""


class CommitWriter:
    """Writes, acknowledges, and brings the store back after a fault."""

    def __init__(
        self,
        core: CommittingCore,
        store: Store,
        *,
        committed: Callable[[int], None],
        available: Callable[[bool, str], None],
        fault: Callable[[BaseException], None],
        settings: WriterSettings | None = None,
        wall: Callable[[], int] = time.time_ns,
    ) -> None:
        """All three callbacks are called from the writer's thread.

        `committed` gets the sequence of the last written audit record, `available` whether the store takes writes and
        why not, `fault` what must never happen and ends the daemon.
        """
        self._core = core
        self._store = store
        self._committed = committed
        self._available = available
        self._fault = fault
        self._settings = settings or WriterSettings()
        self._wall = wall
        self._flusher = WalFlusher(core, store)
        self._pauses = Pauses()
        self._stopping = threading.Event()
        self._next_forget = 0.0
        self._synced_ahead = False
        self._thread = threading.Thread(target=self._run, name="fairlead-commit", daemon=True)

    def start(self) -> None:
        """Starts the threads. The core must have been recovered."""
        self._flusher.start()
        self._flusher.resume()
        self._pauses.begin()
        self._thread.start()

    def between_batches(self, work: Callable[[], _Result]) -> "Future[_Result]":
        """Runs `work` on the writer's thread while nothing is written: everything before it is committed as a whole.

        All commits wait for it. The future gets what it returns or raises; StoreUnavailable when the store is not
        usable, or the writer has stopped.
        """
        return self._pauses.ask(work)

    def stop(self) -> None:
        """Writes and syncs what waits, then ends the threads. The store stays open. May be called again."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._flusher.stop()

    def _run(self) -> None:
        try:
            while True:
                try:
                    self._write_batches()
                    return
                except StoreUnavailable as fault:
                    if not self._bring_back(fault):
                        return
        except BaseException as fault:
            self._core.fail_store("internal fault in the commit writer")
            self._flusher.suspend()
            self._fault(fault)
        finally:
            self._pauses.end("the commit writer has stopped")

    def _write_batches(self) -> None:
        """Returns when stopped and nothing is left. Raises StoreUnavailable."""
        while True:
            stopping = self._stopping.is_set()
            batch = self._core.next_batch(self._settings.max_units, 0 if stopping else self._settings.poll_millis)
            if self._flusher.fault is not None:
                raise self._flusher.fault
            if batch is not None:
                self._write(*batch)
                self._change_logs()
            elif stopping:
                return
            self._pauses.run()
            if time.monotonic() >= self._next_forget:
                retention.forget_old_requests(self._store, self._wall())
                self._next_forget = time.monotonic() + retention.INTERVAL_SECONDS

    def _write(self, unit: int, power: bool, writes: list[Write]) -> None:
        began = time.perf_counter_ns()
        self._store.write(writes)
        self._flusher.wrote(unit, power, (time.perf_counter_ns() - began) // 1000)
        for family, key, _ in reversed(writes):
            if family == Family.AUDIT:
                self._committed(keys.audit_sequence(key))
                break

    def _change_logs(self) -> None:
        """Closes a log that is full; a little before that, has it synced beside the next batches."""
        size = self._store.log_bytes
        if size >= tuning.LOG_BYTES:
            self._store.close_log()
            self._synced_ahead = False
        elif size >= tuning.SYNC_AHEAD_BYTES and not self._synced_ahead:
            self._synced_ahead = True
            self._flusher.ask()

    def _bring_back(self, fault: StoreUnavailable) -> bool:
        """Makes the store usable again; false when the daemon stops first."""
        self._core.fail_store(str(fault))
        self._pauses.end(str(fault))
        self._flusher.suspend()
        logger.error("store failed", extra={"reason": str(fault)})
        self._available(False, str(fault))
        delay = self._settings.retry_seconds
        last_reason = ""
        while not self._stopping.wait(delay):
            delay = min(delay * 2, self._settings.max_retry_seconds)
            try:
                # Only then: as long as the directory takes nothing, the open database still answers reads.
                self._probe()
                self._store.shut()
                self._store.open()
                recovered = recovery.recover(self._core, self._store, self._wall())
            except (OSError, StoreError) as error:
                # A recovery that broke off half way must start from empty again.
                self._core.fail_store(str(error))
                if str(error) != last_reason:
                    last_reason = str(error)
                    logger.warning("store is still not usable", extra={"reason": last_reason})
                continue
            self._flusher.resume()
            self._pauses.begin()
            self._committed(recovered.sequence)
            logger.info(
                "store recovered",
                extra={"records": recovered.records, "audit_sequence": recovered.sequence},
            )
            self._available(True, "")
            return True
        return False

    def _probe(self) -> None:
        """Raises OSError when the directory does not take `probe_bytes`."""
        path = self._store.path.parent / "probe"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            with open(descriptor, "wb", buffering=0) as file:
                block = bytes(self._settings.probe_bytes)
                written = 0
                while written < len(block):
                    written += file.write(block[written:])
                os.fsync(file.fileno())
        finally:
            os.unlink(path)
