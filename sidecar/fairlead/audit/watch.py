"""A stream of the log: first what is there, then what is committed, each record exactly once and in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol

from fairlead.audit.model import Undecodable, event_of
from fairlead.audit.store import AuditLog
from fairlead.audit.tokens import Position
from fairlead.v1 import audit_record_pb2, audit_service_pb2

# What one subscriber holds in memory at most, besides one record that is larger by itself.
CHUNK_RECORDS = 64
CHUNK_BYTES = 256 * 1024


class LogDamaged(Exception):
    """The log is not what was written: a record is missing or cannot be read."""

    def __init__(self, sequence: int, problem: str) -> None:
        super().__init__(f"the audit log is damaged at record {sequence}: {problem}; run fairlead audit verify")
        self.sequence = sequence


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


async def watch(
    log: AuditLog, feed: Feed, draining: asyncio.Event, start: Position, filter: audit_service_pb2.EventFilter
) -> AsyncIterator[tuple[audit_service_pb2.AuditEvent, Position]]:
    """Yields the records after `start` for ever; raises `Draining`, and `LogDamaged` rather than skip a record.

    The next chunk is read only when the last one has been taken: a slow subscriber costs one chunk, not a queue.
    """
    sequence = start.sequence
    prev_hash = b""
    while True:
        # Before the read: what was committed by now has to be in it.
        committed = feed.sequence
        try:
            records = await asyncio.to_thread(log.after, sequence, CHUNK_RECORDS, CHUNK_BYTES)
            if records and not prev_hash:
                prev_hash = await asyncio.to_thread(log.hash_before, sequence + 1)
            for record in records:
                if record.sequence != sequence + 1:
                    raise LogDamaged(sequence + 1, "it is missing")
                event = event_of(record, prev_hash)
                sequence, prev_hash = record.sequence, record.record_hash
                if matches(filter, event.record):
                    _check(draining)
                    yield event, Position.after(record)
        except Undecodable as error:
            raise LogDamaged(sequence + 1, str(error)) from error
        if not records:
            if committed > sequence:
                raise LogDamaged(sequence + 1, "it is missing")
            await _next_commit(feed, sequence, draining)
        _check(draining)


def _check(draining: asyncio.Event) -> None:
    if draining.is_set():
        raise Draining


async def _next_commit(feed: Feed, sequence: int, draining: asyncio.Event) -> None:
    """Waits for a record after `sequence`, or for the drain."""
    waits = [asyncio.ensure_future(feed.wait_after(sequence)), asyncio.ensure_future(draining.wait())]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
