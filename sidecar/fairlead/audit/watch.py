"""Following the log: first what is there, then what is committed, each record exactly once and in order."""

from __future__ import annotations

import asyncio
from typing import Protocol

from fairlead.audit.model import Undecodable
from fairlead.audit.store import AuditLog
from fairlead.audit.tokens import Position
from fairlead.audit.transparency.checkpoint import SignedCheckpoint
from fairlead.audit.trimming.beginning import LogTrimmed
from fairlead.v1 import audit_record_pb2, audit_service_pb2

# What one reader holds in memory at most, besides one record that is larger by itself.
CHUNK_RECORDS = 64
CHUNK_BYTES = 256 * 1024


class LogDamaged(Exception):
    """The log is not what was written: a record is missing or cannot be read."""

    def __init__(self, sequence: int, problem: str) -> None:
        super().__init__(f"the audit log is damaged at record {sequence}: {problem}; run fairlead audit verify")
        self.sequence = sequence


def missing(log: AuditLog, sequence: int) -> LogDamaged | LogTrimmed:
    """Why a record is not there; looked at after it was missed, so that a trim in between is seen. Raises
    `Undecodable`."""
    beginning = log.beginning()
    if sequence < beginning.first_sequence:
        return LogTrimmed(sequence, beginning)
    return LogDamaged(sequence, "it is missing")


def matches(filter: audit_service_pb2.EventFilter, record: audit_record_pb2.AuditRecord) -> bool:
    """True when a record is asked for."""
    return (
        (not filter.tenant or record.tenant == filter.tenant)
        and (not filter.kinds or record.kind in filter.kinds)
        and (not filter.invocation or record.invocation == filter.invocation)
        and (not filter.run or run_of(record) == filter.run)
    )


def run_of(record: audit_record_pb2.AuditRecord) -> str:
    """Resource name of the run that a record is about; empty when it is about none."""
    event = record.run.run or record.step.run
    return f"runs/{event}" if event else ""


class Draining(Exception):
    """The sidecar is stopping; the stream can be resumed at its successor."""


class Feed(Protocol):
    """What is needed of the store's commit feed."""

    @property
    def sequence(self) -> int:
        """Sequence of the last committed record."""
        ...

    async def wait_after(self, sequence: int) -> int:
        """Waits until a record after `sequence` is committed."""
        ...


class LogReader:
    """Reads the log in chunks from a position on, each record once and in order; holds nothing but where it is."""

    def __init__(self, log: AuditLog, feed: Feed, start: Position) -> None:
        self._log = log
        self._feed = feed
        self._prev_hash = b""
        self.position = start

    async def chunk(
        self, max_records: int = CHUNK_RECORDS, max_bytes: int = CHUNK_BYTES
    ) -> list[audit_service_pb2.AuditEvent]:
        """The next records, none at the end of the log; raises `LogDamaged`, `LogTrimmed` rather than skip one."""
        # Before the read: what was committed by now has to be in it.
        committed = self._feed.sequence
        here = (self.position, self._prev_hash)
        # Moved only once the records are the caller's: who is cancelled in between gets them the next time.
        events, (self.position, self._prev_hash) = await asyncio.to_thread(
            self._read, *here, committed, max_records, max_bytes
        )
        return events

    async def more(self) -> None:
        """Waits until there is something behind the position."""
        await self._feed.wait_after(self.position.sequence)

    def _read(
        self, position: Position, prev_hash: bytes, committed: int, max_records: int, max_bytes: int
    ) -> tuple[list[audit_service_pb2.AuditEvent], tuple[Position, bytes]]:
        """The records behind a position, and where that leads."""
        events: list[audit_service_pb2.AuditEvent] = []
        try:
            records = self._log.after(position.sequence, max_records, max_bytes)
            if not records and committed > position.sequence:
                raise missing(self._log, position.sequence + 1)
            if records and not prev_hash:
                prev_hash = self._log.hash_before(position.sequence + 1)
            for record in records:
                if record.sequence != position.sequence + 1:
                    raise missing(self._log, position.sequence + 1)
                events.append(self._log.event(record, prev_hash))
                position, prev_hash = Position.after(record), record.record_hash
        except (LogDamaged, LogTrimmed, Undecodable) as error:
            # What comes before the damage has to be seen first.
            if not events:
                raise _damage(error, position) from error
        return events, (position, prev_hash)


def _damage(error: LogDamaged | LogTrimmed | Undecodable, position: Position) -> LogDamaged | LogTrimmed:
    return LogDamaged(position.sequence + 1, str(error)) if isinstance(error, Undecodable) else error


class Sealed(Protocol):
    """What is needed of whoever signs checkpoints."""

    @property
    def last(self) -> SignedCheckpoint | None:
        """The last checkpoint."""
        ...

    async def wait_newer(self, size: int) -> None:
        """Waits for a checkpoint of more than `size` records."""
        ...
