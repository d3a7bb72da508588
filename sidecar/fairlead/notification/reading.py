"""What of the audit log concerns whom: one piece of it, read on a worker thread."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from fairlead.approval.store import Approvals
from fairlead.audit.model import StoredRecord, Undecodable, parse_record
from fairlead.audit.store import AuditLog
from fairlead.audit.watch import LogDamaged
from fairlead.internal.v1 import outbox_pb2
from fairlead.notification import chat
from fairlead.notification.document import Occurrence, document, encoded
from fairlead.notification.events import facts_of
from fairlead.notification.lane import Lane
from fairlead.notification.receivers import Receiver
from fairlead.notification.signature import message_id
from fairlead.notification.store import Reader
from fairlead.store import keys
from fairlead.v1 import approval_service_pb2
from fairlead.workflow.store import Runs

CHUNK_RECORDS = 256
CHUNK_BYTES = 1 << 20

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Found:
    """What one piece of the log came to: new cursors, and deliveries to keep, by receiver."""

    cursors: dict[str, int] = field(default_factory=dict)
    kept: dict[str, list[outbox_pb2.OutboxDelivery]] = field(default_factory=dict)


class Reading:
    """Reads the log for receivers that have come equally far."""

    def __init__(self, reader: Reader, clock: Callable[[], int]) -> None:
        """`clock` gives Unix nanoseconds."""
        self._log = AuditLog(reader)
        self._approvals = Approvals(reader)
        self._runs = Runs(reader)
        self._clock = clock
        self._turn = 0

    def next_group(self, lanes: Iterable[Lane], head: int) -> Sequence[Lane]:
        """The lanes whose turn it is: those at one place in the log, before `head`. Places take turns, so that one that
        is far behind does not hold up the others."""
        behind = [lane for lane in lanes if not lane.full and lane.cursor < head]
        places = sorted({lane.cursor for lane in behind})
        if not places:
            return ()
        self._turn += 1
        place = places[self._turn % len(places)]
        return [lane for lane in behind if lane.cursor == place]

    async def read(self, group: Sequence[Lane], share: int) -> Found:
        """The piece of the log behind the group's place. A receiver's cursor stops where it has `share` deliveries that
        wait. Raises `LogDamaged`, and what the store raises."""
        room = {lane.receiver.name: share - len(lane.queue) for lane in group}
        receivers = [lane.receiver for lane in group]
        return await asyncio.to_thread(self._read, receivers, group[0].cursor, room)

    def _read(self, receivers: list[Receiver], place: int, room: dict[str, int]) -> Found:
        found = Found()
        try:
            place = self._begin(place, receivers)
            records = self._log.after(place, CHUNK_RECORDS, CHUNK_BYTES)
        except Undecodable as error:
            raise LogDamaged(place + 1, str(error)) from error
        if not records:
            raise LogDamaged(place + 1, "it is missing")
        for stored in records:
            if stored.sequence != place + 1:
                raise LogDamaged(place + 1, "it is missing")
            place = stored.sequence
            for receiver, kept in self._takers(stored, receivers):
                found.kept.setdefault(receiver.name, []).append(kept)
                room[receiver.name] -= 1
            for receiver in receivers:
                found.cursors[receiver.name] = place
            receivers = [receiver for receiver in receivers if room[receiver.name] > 0]
            if not receivers:
                break
        return found

    def _begin(self, place: int, receivers: Sequence[Receiver]) -> int:
        """The place, or where the log begins when it was trimmed behind the place: nobody waits for who is too far
        behind."""
        trimmed = self._log.beginning().size
        if place < trimmed:
            names = " ".join(receiver.name for receiver in receivers)
            fields = {"receivers": names, "records": trimmed - place, "first_sequence": trimmed + 1}
            _log.error("receivers are not told of records that were trimmed from the audit log", extra=fields)
        return max(place, trimmed)

    def _takers(
        self, stored: StoredRecord, receivers: Sequence[Receiver]
    ) -> Iterable[tuple[Receiver, outbox_pb2.OutboxDelivery]]:
        """Who is told of a record, and what."""
        try:
            record = parse_record(stored.record_bytes)
        except Undecodable as error:
            raise LogDamaged(stored.sequence, str(error)) from error
        if not any(record.kind in receiver.selection.kinds for receiver in receivers):
            return
        record = self._runs.texts.record(record, stored.record_bytes)
        facts = facts_of(record)
        if not facts.workflow:
            facts = replace(facts, workflow=self._workflow(facts.tenant, facts.run))
        takers = [receiver for receiver in receivers if receiver.selection.takes(record, facts)]
        if not takers:
            return
        occurrence = Occurrence(record, stored.record_hash, self._approval(facts.approval), facts.workflow)
        for receiver in takers:
            made = document(occurrence, link=receiver.link, include_arguments=receiver.include_arguments)
            yield (
                receiver,
                outbox_pb2.OutboxDelivery(
                    receiver=receiver.name,
                    sequence=stored.sequence,
                    id=message_id(stored.record_hash, receiver.name),
                    event=occurrence.event,
                    tenant=record.tenant,
                    approval=occurrence.approval.name if occurrence.approval is not None else "",
                    body=encoded(chat.message(made) if receiver.chat else made),
                    create_time_unix_nanos=self._clock(),
                ),
            )

    def _approval(self, name: str) -> approval_service_pb2.Approval | None:
        """The approval of a name, or of an id alone."""
        wanted = keys.approval_id_bytes(name.removeprefix("approvals/"))
        record = None if wanted is None else self._approvals.get(wanted)
        return None if record is None else record.approval

    def _workflow(self, tenant: str, run: str) -> str:
        """The workflow of a run, which the records of its steps and approvals do not name; empty when it is no run of
        one."""
        wanted = keys.run_id_bytes(run)
        record = None if wanted is None else self._runs.record(tenant, wanted)
        return "" if record is None else record.workflow
