"""Reads what records and state only commit to, for everything that is shown to people and agents.

What is read here goes to who asked. It never goes back into the store: that would be a copy that nobody erases.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from fairlead.audit.erasure.model import MARK, kept_value, may_have_any, readable, revealed_record
from fairlead.store import Family, keys
from fairlead.v1 import approval_service_pb2, audit_record_pb2, run_pb2


class Reader(Protocol):
    """What is needed of the store."""

    def get(self, family: Family, key: bytes, /) -> bytes | None:
        """The value of a key, or None."""
        ...


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts that are there at the moment of each call; blocks for one read for each commitment."""

    reader: Reader

    def value(self, digest: bytes) -> str | None:
        """One text; None when it was erased."""
        stored = self.reader.get(Family.SEALS, keys.erasable_value(digest))
        kept = None if stored is None else kept_value(digest, stored)
        return None if kept is None else kept.value

    def record(self, record: audit_record_pb2.AuditRecord, record_bytes: bytes) -> audit_record_pb2.AuditRecord:
        """A record as people read it; the same one when there is nothing to reveal."""
        return revealed_record(record, self.value) if may_have_any(record_bytes) else record

    def fill_in(self, shown: approval_service_pb2.Approval | run_pb2.Run) -> None:
        """Puts the texts into an approval, or into a run with its steps."""
        if isinstance(shown, approval_service_pb2.Approval):
            if MARK in shown.tool:
                shown.tool = readable(shown.tool, self.value)
            for vote in shown.votes:
                if MARK in vote.reason:
                    vote.reason = readable(vote.reason, self.value)
            return
        for failure in (shown.failure, *(step.failure for step in shown.steps)):
            if MARK in failure.message:
                failure.message = readable(failure.message, self.value, quoted=True)
