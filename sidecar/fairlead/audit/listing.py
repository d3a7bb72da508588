"""Pages of the audit log. A page is bounded by records, by bytes and by how much was looked at to fill it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fairlead.audit.model import StoredRecord
from fairlead.audit.store import AuditLog, Invocations
from fairlead.audit.tokens import PageToken, filter_digest
from fairlead.audit.trimming.beginning import LogTrimmed
from fairlead.audit.watch import CHUNK_BYTES, CHUNK_RECORDS, LogDamaged, matches, missing
from fairlead.v1 import audit_service_pb2

DEFAULT_PAGE_SIZE = 100
MAX_PAGE_SIZE = 1000
# A page stays well below the 4 MiB that gRPC clients receive by default, unless one record alone is larger.
MAX_PAGE_BYTES = 2 << 20
# With a filter that matches little, a page ends here, short or empty, and says where to go on (AIP-158 allows it).
MAX_LOOKED_AT = 4096
# Above every sequence that a log can have.
END = (1 << 63) - 1


class Listing:
    """Lists the records of a log. Blocks for as long as one page takes."""

    def __init__(self, log: AuditLog, invocations: Invocations) -> None:
        self._log = log
        self._invocations = invocations

    def page(
        self, request: audit_service_pb2.ListEventsRequest, token: PageToken | None
    ) -> audit_service_pb2.ListEventsResponse:
        """One page; `token` is the request's, already read. Raises `LogDamaged`, `Undecodable`, `StoreUnavailable`, and
        `LogTrimmed` when a list that goes up cannot go on without a gap."""
        descending = request.descending
        if token is not None and not descending:
            beginning = self._log.beginning()
            if token.sequence < beginning.first_sequence:
                raise LogTrimmed(token.sequence, beginning)
        start = token.sequence if token is not None else END if descending else 1
        size = min(request.page_size or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)
        response = audit_service_pb2.ListEventsResponse()
        digest = filter_digest(request.filter)
        room = MAX_PAGE_BYTES
        looked_at = 0
        for record in self._candidates(request.filter, start, descending):
            following = PageToken(record.sequence, descending, digest)
            if len(response.events) == size or looked_at == MAX_LOOKED_AT:
                response.next_page_token = following.encode()
                break
            looked_at += 1
            event = self._log.event(record, b"")
            if not matches(request.filter, event.record):
                continue
            room -= 2 * len(record.record_bytes)
            if response.events and room < 0:
                response.next_page_token = following.encode()
                break
            event.prev_hash = self._log.hash_before(record.sequence)
            response.events.append(event)
        return response

    def _candidates(
        self, filter: audit_service_pb2.EventFilter, start: int, descending: bool
    ) -> Iterator[StoredRecord]:
        """The records from `start` on that can match, one by one."""
        if filter.invocation:
            # An invocation or tool call knows its records, and so does a run: nothing else has to be looked at.
            return self._of(self._invocations.sequences(filter.invocation), start, descending)
        if filter.run:
            return self._of(self._invocations.sequences_of_run(filter.run), start, descending)
        return self._backwards(start) if descending else self._forwards(start)

    def _forwards(self, start: int) -> Iterator[StoredRecord]:
        first = True
        while records := self._log.after(start - 1, CHUNK_RECORDS, CHUNK_BYTES):
            # Trimmed since the chunk before. Damage is listed as it is: verifying is for finding it.
            if not first and isinstance(gap := missing(self._log, start), LogTrimmed):
                raise gap
            yield from records
            start, first = records[-1].sequence + 1, False

    def _backwards(self, start: int) -> Iterator[StoredRecord]:
        before = start + 1
        while records := self._log.before(before, CHUNK_RECORDS, CHUNK_BYTES):
            yield from records
            before = records[-1].sequence

    def _of(self, sequences: Sequence[int], start: int, descending: bool) -> Iterator[StoredRecord]:
        trimmed = self._log.beginning().size
        for sequence in reversed(sequences) if descending else sequences:
            passed = sequence > start if descending else sequence < start
            if passed or sequence <= trimmed:
                continue
            record = self._log.record(sequence)
            if record is not None:
                yield record
            elif isinstance(gap := missing(self._log, sequence), LogDamaged):
                raise gap
