"""Everything about one run: its own records, those of its approvals, and those of the calls that were made for it.

The run's index says which records are its own. Its steps name their approvals and model calls; calls that workers make
themselves say for which run they are, and are looked for in the log between the run's first record and its last.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from fairlead.audit.erasure.model import revealed
from fairlead.audit.model import parse_record
from fairlead.audit.run_narrative import narrate_run
from fairlead.audit.store import AuditLog, Invocations
from fairlead.audit.watch import CHUNK_BYTES, CHUNK_RECORDS
from fairlead.internal.v1 import workflow_pb2
from fairlead.v1 import audit_record_pb2, audit_service_pb2
from fairlead.workflow.model import has_ended, name_of, run_id, timestamp
from fairlead.workflow.store import Runs

# What one answer holds; the rest is in the log, which can be listed.
MAX_EVENTS = 5000
MAX_BYTES = 12 << 20
MAX_SENTENCES = 2000
# Records that are looked at for calls of workers.
MAX_SCANNED = 50_000
_APPROVAL = re.compile(rb"apr_[0-9a-f]{32}")
_CALLS = ("decision", "tool")


def explain_run(
    log: AuditLog, invocations: Invocations, runs: Runs, name: str
) -> audit_service_pb2.ExplainRunResponse | None:
    """The records of a run `runs/run_…` and their story; None when there is no such run.

    A record that is missing does not hide the others: the story says so in its place.
    """
    run = run_id(name)
    record = runs.find(run)
    if record is None:
        return None
    gathering = Gathering(log, invocations, runs, record)
    sequences = gathering.sequences()
    response = audit_service_pb2.ExplainRunResponse(
        name=name_of(record.run), state=record.state, create_time=timestamp(record.create_time_unix_nanos)
    )
    notes = gathering.notes
    beginning = log.beginning()
    sequences = [sequence for sequence in sequences if sequence > beginning.size]
    room = MAX_BYTES
    for place, sequence in enumerate(sequences):
        stored = log.record(sequence)
        if stored is None:
            notes.append(f"Record {sequence} of this run is missing from the log: run fairlead audit verify.")
            continue
        room -= 2 * len(stored.record_bytes)
        if place == MAX_EVENTS or room < 0:
            left = len(sequences) - place
            notes.append(f"{left:,} more records are left out here: fairlead audit tail --run {name} has them.")
            break
        event = log.event(stored, log.hash_before(sequence))
        if event.record.tenant in ("", record.tenant):
            response.events.append(event)
    started = any(event.record.kind == audit_record_pb2.EVENT_KIND_RUN_STARTED for event in response.events)
    if beginning.size and not started:
        began = f"The log begins with record {beginning.first_sequence} (retention.audit)"
        notes.append(f"{began}: what happened to this run before was trimmed from it.")
    story = narrate_run((revealed(event) for event in response.events), record.state)
    response.narrative.extend(story[:MAX_SENTENCES])
    if len(story) > MAX_SENTENCES:
        notes.append(f"{len(story) - MAX_SENTENCES:,} more sentences are left out.")
    response.narrative.extend(notes)
    return response


class Gathering:
    """Finds the records."""

    def __init__(self, log: AuditLog, invocations: Invocations, runs: Runs, record: workflow_pb2.RunRecord) -> None:
        self._log = log
        self._invocations = invocations
        self._runs = runs
        self._record = record
        self._run = run_id(name_of(record.run))
        self.notes: list[str] = []

    def sequences(self) -> list[int]:
        """Where they are in the log, in order."""
        own = self._runs.events(self._record.tenant, self._run)
        found = set(own)
        calls: set[str] = set()
        approvals: set[str] = set()
        for step in self._runs.steps(self._record.tenant, self._run):
            calls.update(step.invocations)
            approvals.update(filter(None, [step.approval]))
        if own:
            for body, record in self._mentioning(own[0], own[-1] if has_ended(self._record) else 0):
                if body in _CALLS:
                    calls.add(record.invocation)
                approvals.update(name.decode() for name in _APPROVAL.findall(record.SerializeToString()))
        for call in calls:
            found.update(self._invocations.sequences(call))
        found.update(self._of_approvals(approvals))
        return sorted(found)

    def _mentioning(self, first: int, last: int) -> Iterator[tuple[str, audit_record_pb2.AuditRecord]]:
        """The records from `first` to `last` (0: the end) of the tenant that name the run."""
        name = self._record.run.encode()
        looked_at = 0
        sequence = first - 1
        while records := self._log.after(sequence, CHUNK_RECORDS, CHUNK_BYTES, last):
            for stored in records:
                if name in stored.record_bytes:
                    record = parse_record(stored.record_bytes)
                    if record.tenant == self._record.tenant:
                        yield record.WhichOneof("body") or "", record
            sequence = records[-1].sequence
            looked_at += len(records)
            if looked_at >= MAX_SCANNED:
                self.notes.append(
                    f"Calls that name this run were looked for up to record {sequence} only: later ones are in the log."
                )
                return

    def _of_approvals(self, names: Iterable[str]) -> Iterator[int]:
        for name in names:
            stored = self._invocations.find_approval(name)
            if stored is not None and stored.approval.tenant == self._record.tenant:
                yield from stored.sequences
