"""Erases what records only commit to. An operator's act, which is recorded: what was erased, when, by whom and why."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fairlead.audit.erasure.model import digests
from fairlead.audit.faults import faults_refused
from fairlead.audit.model import parse_record
from fairlead.audit.store import AuditLog, Reader
from fairlead.control.commands import Core, apply, to_the_end
from fairlead.control.errors import Refusal, invalid_argument
from fairlead.control.requests import ControlRequest
from fairlead.internal.v1 import command_pb2
from fairlead.store import Family, keys
from fairlead.v1 import audit_record_pb2
from fairlead.v1 import audit_service_pb2 as pb

ERASED = "audit.values_erased"
REASON_MAX_CHARACTERS = 1024


class ErasureService:
    """Erases values. Belongs to one event loop."""

    def __init__(self, core: Core, reader: Reader, clock: Callable[[], int]) -> None:
        """`clock` gives Unix nanoseconds."""
        self._core = core
        self._reader = reader
        self._clock = clock
        self._log = AuditLog(reader)
        self._erasing = asyncio.Lock()

    async def erase(self, request: pb.EraseValuesRequest, operator: str) -> pb.EraseValuesResponse:
        """Erases all values of one record, once per request id."""
        wrong = []
        if not 0 < request.sequence < 1 << 63:
            wrong.append(("sequence", "is not the sequence of a record"))
        if not request.reason.strip():
            wrong.append(("reason", "is required: it goes into the audit log, for ever"))
        elif len(request.reason) > REASON_MAX_CHARACTERS:
            wrong.append(("reason", f"has more than {REASON_MAX_CHARACTERS} characters"))
        if wrong:
            raise invalid_argument(*wrong)
        identity = ControlRequest.of(request, method="EraseValues", caller=operator)
        with faults_refused():
            return await to_the_end(self._erase(request, identity))

    async def _erase(self, request: pb.EraseValuesRequest, identity: ControlRequest) -> pb.EraseValuesResponse:
        async with self._erasing:
            now = self._clock()
            answer = await asyncio.to_thread(identity.first_answer, self._reader, pb.EraseValuesResponse, now)
            if answer is not None:
                return answer
            gone = await asyncio.to_thread(self._kept, request.sequence)
            answer = pb.EraseValuesResponse(erased=len(gone))
            record = audit_record_pb2.ControlChanged(subject=ERASED)
            record.detail.update(
                {
                    "sequence": request.sequence,
                    "digests": [digest.hex() for digest in gone],
                    "reason": request.reason,
                }
            )
            writes = [command_pb2.Write(family=Family.SEALS, key=keys.erasable_value(digest)) for digest in gone]
            writes.append(identity.write(answer, now))
            # What is said to be gone has to stay gone after a power cut.
            change = command_pb2.ControlWrite(writes=writes, record=record, power=True)
            caller = command_pb2.Caller(operator=identity.caller)
            await apply(self._core, command_pb2.Command(caller=caller, control_write=change))
            return answer

    def _kept(self, sequence: int) -> list[bytes]:
        """The values of a record that are still there; raises `Refusal` when there is nothing to erase."""
        stored = self._log.record(sequence)
        if stored is None:
            raise Refusal("NOT_FOUND", f"record {sequence} is not in the audit log", {"sequence": str(sequence)})
        committed = list(digests(parse_record(stored.record_bytes), stored.record_bytes))
        if not committed:
            raise invalid_argument(("sequence", f"record {sequence} has no value that can be erased"))
        kept = [one for one in committed if self._reader.get(Family.SEALS, keys.erasable_value(one)) is not None]
        if not kept:
            raise Refusal("INVALID_STATE", f"the values of record {sequence} were erased before")
        return kept
