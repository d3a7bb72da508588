"""Which values there are: of a record, or of everything about a run, an approval or a call."""

from __future__ import annotations

from fairlead.audit.erasure.model import digests
from fairlead.audit.erasure.state import State
from fairlead.audit.explain_run import Gathering
from fairlead.audit.model import parse_record
from fairlead.audit.store import AuditLog, Invocations, Reader
from fairlead.store import Family, keys
from fairlead.workflow.model import InvalidName, full_name, run_id
from fairlead.workflow.store import Runs


class Unknown(Exception):
    """There is nothing of that name."""


class Values:
    """Finds values; blocks for as long as it reads."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._log = AuditLog(reader)
        self._invocations = Invocations(reader)
        self._runs = Runs(reader)

    def of_record(self, sequence: int) -> list[bytes] | None:
        """The digests of one record, whether or not the values are there; None when there is no such record."""
        stored = self._log.record(sequence)
        if stored is None:
            return None
        return list(digests(parse_record(stored.record_bytes), stored.record_bytes))

    def of_name(self, name: str, notes: list[str]) -> list[bytes]:
        """The digests of a run and its steps, calls and approvals (`runs/run_…`), of an approval (`approvals/apr_…`)
        or of a call (`inv_…`, `grt_…`) and its approval; adds what could not be looked at to `notes`.

        Raises `Unknown`.
        """
        found: dict[bytes, None] = {}
        name = full_name(name)
        is_run = name.startswith("runs/")
        sequences = self._of_run(name, found, notes) if is_run else self._invocations.sequences(name)
        if not is_run:
            # What the approval has of records that were trimmed.
            found.update(dict.fromkeys(self._of_approval(name)))
        if not sequences and not found:
            raise Unknown
        for sequence in sequences:
            found.update(dict.fromkeys(self.of_record(sequence) or ()))
        return list(found)

    def kept(self, found: list[bytes]) -> list[bytes]:
        """Those that are still there."""
        return [one for one in found if self._reader.get(Family.SEALS, keys.erasable_value(one)) is not None]

    def _of_approval(self, name: str) -> frozenset[bytes]:
        """The digests of an approval, or of that of a call."""
        call = self._invocations.find(name) or self._invocations.find_tool_call(name)
        return State(self._reader).of_approval(name if call is None else call.approval)

    def _of_run(self, name: str, found: dict[bytes, None], notes: list[str]) -> list[int]:
        """Where the records of a run are; adds what its state has, which may be no record's."""
        try:
            run = run_id(name)
        except InvalidName:
            raise Unknown from None
        record = self._runs.find(run)
        if record is None:
            raise Unknown
        found.update(dict.fromkeys(State(self._reader).of_run(record.tenant, run)))
        gathering = Gathering(self._log, self._invocations, self._runs, record)
        sequences = gathering.sequences()
        notes += gathering.notes
        return sequences
