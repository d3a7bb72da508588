"""Which commitments approvals and runs have themselves: their records may have been trimmed."""

from __future__ import annotations

from fairlead.audit.erasure.model import digests_in
from fairlead.audit.store import Reader
from fairlead.internal.v1 import state_pb2
from fairlead.store import Family, keys
from fairlead.workflow.store import Runs


class State:
    """Looks at approvals and runs; blocks for as long as it reads."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._runs = Runs(reader)

    def of_approval(self, name: str) -> frozenset[bytes]:
        """Those of an approval, `approvals/apr_…` or the id alone; none when it is gone."""
        approval = keys.approval_id_bytes(name.removeprefix("approvals/"))
        stored = None if approval is None else self._reader.get(Family.APPROVALS, keys.approval(approval))
        if stored is None:
            return frozenset()
        record = state_pb2.ApprovalRecord.FromString(stored).approval
        said = (record.tool, *(vote.reason for vote in record.votes))
        return frozenset(digest for text in said for digest in digests_in(text))

    def of_run(self, tenant: str, run: bytes) -> frozenset[bytes]:
        """Those of a run, of its steps and of the approvals of these; none when it is gone."""
        record = self._runs.record(tenant, run)
        if record is None:
            return frozenset()
        found = set(digests_in(record.failure.message, quoted=True))
        for step in self._runs.steps(tenant, run):
            found.update(digests_in(step.failure.message, quoted=True))
            found |= self.of_approval(step.approval)
        return frozenset(found)
