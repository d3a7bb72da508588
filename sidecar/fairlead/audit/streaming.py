"""What a stream of the log sends: made outside of the interpreter, a slice of the log at a time.

The commit writer needs the interpreter as well, and calls wait for it. So a record passes through as two byte strings,
and beside a busy log slices are few: one that was read to its end is followed by the next after `PACE_SECONDS`. A log
that was quiet for that long is told at once.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, replace

from fairlead.audit.store import AuditLog, split_entry
from fairlead.audit.tokens import FINGERPRINT_BYTES, Position
from fairlead.audit.transparency.checkpoint import SignedCheckpoint
from fairlead.audit.watch import CHUNK_BYTES, CHUNK_RECORDS, Draining, Feed, LogDamaged, Sealed, missing
from fairlead.native import encode_events
from fairlead.v1 import audit_service_pb2

# A slice for a reader that takes several events in a response, and its responses: they have each record twice, in parts
# and as the bytes that were hashed. One record may be larger by itself.
BATCH_RECORDS = 1000
BATCH_BYTES = 512 * 1024
RESPONSE_BYTES = 1 << 20
# Between two slices of a log that goes on: what is committed meanwhile comes together.
PACE_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Wish:
    """What a stream asks for."""

    filter: audit_service_pb2.EventFilter
    max_events: int = 0
    """Most events of a response, in `events`; 0 means one, in `event`."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a reader is: behind a record, whose hash is not known at first."""

    position: Position
    record_hash: bytes = b""


class ResponseReader:
    """Reads the log in slices from a position on, as messages `WatchEventsResponse`; holds nothing but where it is."""

    def __init__(self, log: AuditLog, feed: Feed, start: Position, wish: Wish) -> None:
        self._log = log
        self._feed = feed
        self._filter = wish.filter.SerializeToString()
        self._max_events = wish.max_events
        self._bounds = (BATCH_RECORDS, BATCH_BYTES) if wish.max_events else (CHUNK_RECORDS, CHUNK_BYTES)
        self._place = _Place(start)
        # True when a bound ended the last slice.
        self.behind = False

    @property
    def position(self) -> Position:
        """After the last record that was looked at."""
        return self._place.position

    async def slice(self) -> list[bytes]:
        """The next responses; none at the end of the log, or when nothing of the slice is asked for. Raises
        `LogDamaged` or `LogTrimmed` rather than skip a record."""
        # Before the read: what was committed by now has to be in it.
        committed = self._feed.sequence
        # Moved only once the responses are the caller's: who is cancelled in between gets them the next time.
        responses, self._place, self.behind = await asyncio.to_thread(self._read, self._place, committed)
        return responses

    async def more(self) -> None:
        """Waits until there is something behind the position."""
        await self._feed.wait_after(self.position.sequence)

    def _read(self, place: _Place, committed: int) -> tuple[list[bytes], _Place, bool]:
        """The responses behind a place, where that leads, and whether a bound ended them."""
        sequence = place.position.sequence
        entries, bounded = self._log.entries_after(sequence, *self._bounds)
        if not entries:
            if committed > sequence:
                raise missing(self._log, sequence + 1)
            return [], place, False
        if not place.record_hash:
            place = replace(place, record_hash=self._log.hash_before(sequence + 1))
        responses, last, record_hash, problem = self._encoded(entries, place)
        # What comes before the damage has to be seen first.
        if problem is not None and last == sequence:
            raise LogDamaged(sequence + 1, problem) if problem else missing(self._log, sequence + 1)
        place = _Place(Position(last, record_hash[:FINGERPRINT_BYTES]), record_hash)
        return responses, place, bounded or problem is not None

    def _encoded(self, entries: list[tuple[bytes, bytes]], place: _Place) -> tuple[list[bytes], int, bytes, str | None]:
        """The responses of the entries behind a place, the sequence and the hash of the last entry, and what is wrong
        with the next one."""
        arguments = (place.position.sequence, place.record_hash, self._filter, self._max_events, RESPONSE_BYTES)
        responses, last, record_hash, committed, problem = encode_events(entries, *arguments, [])
        if committed:
            # Rare, and which fields may be commitments is known on this side.
            first = place.position.sequence + 1
            kept = [(sequence, self._values(*entries[sequence - first])) for sequence in committed]
            responses, last, record_hash, _, problem = encode_events(entries, *arguments, kept)
        return responses, last, record_hash, problem

    def _values(self, key: bytes, value: bytes) -> list[bytes]:
        """The values that a record commits to and that were not erased."""
        event = self._log.event(split_entry(key, value), b"")
        return [one.SerializeToString() for one in event.values]


async def responses(
    reader: ResponseReader, draining: asyncio.Event, sealed: Sealed | None = None
) -> AsyncGenerator[bytes, None]:
    """Yields what is behind the reader for ever; raises `Draining`, and `LogDamaged` or `LogTrimmed` rather than skip a
    record. With `sealed` checkpoints come in between, each when all its records have.

    The next slice is read only when the last one has been taken: a slow subscriber costs one slice, not a queue.
    """
    given, upcoming = 0, None if sealed is None else sealed.last
    while True:
        before = reader.position
        for response in await reader.slice():
            _check(draining)
            yield response
        if upcoming is not None and given < upcoming.checkpoint.size <= reader.position.sequence:
            _check(draining)
            given = upcoming.checkpoint.size
            yield _checkpoint(upcoming, reader.position)
        # One is waited for until its records have come, however many newer ones there are by then.
        if sealed is not None and (upcoming is None or upcoming.checkpoint.size <= given):
            upcoming = sealed.last
        if upcoming is None or not given < upcoming.checkpoint.size <= reader.position.sequence:
            if reader.position == before:
                await _next(reader, draining, sealed, given)
            elif not reader.behind:
                await _pause(draining)
        _check(draining)


async def watch(
    log: AuditLog, feed: Feed, draining: asyncio.Event, start: Position, filter: audit_service_pb2.EventFilter
) -> AsyncIterator[tuple[audit_service_pb2.AuditEvent, Position]]:
    """Yields the records after `start` for ever, for who looks into them; raises as `responses`."""
    async with aclosing(responses(ResponseReader(log, feed, start, Wish(filter)), draining)) as stream:
        async for encoded in stream:
            response = audit_service_pb2.WatchEventsResponse.FromString(encoded)
            yield response.event, Position.decode(response.resume_token)


def _checkpoint(signed: SignedCheckpoint, position: Position) -> bytes:
    response = audit_service_pb2.WatchEventsResponse(resume_token=position.encode(), checkpoint=signed.message())
    return response.SerializeToString()


def _check(draining: asyncio.Event) -> None:
    if draining.is_set():
        raise Draining


async def _pause(draining: asyncio.Event) -> None:
    """Lets a busy log gather some records; a drain ends it."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PACE_SECONDS):
            await draining.wait()


async def _next(reader: ResponseReader, draining: asyncio.Event, sealed: Sealed | None, given: int) -> None:
    """Waits for a record behind the reader, for a checkpoint, or for the drain."""
    waits = [asyncio.ensure_future(reader.more()), asyncio.ensure_future(draining.wait())]
    if sealed is not None:
        waits.append(asyncio.ensure_future(sealed.wait_newer(given)))
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
