"""Erases what records only commit to. An operator's act, which is recorded: what was erased, when, by whom and why."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fairlead.audit.erasure.finding import Unknown, Values
from fairlead.audit.faults import faults_refused
from fairlead.audit.store import Reader
from fairlead.control.commands import Core, apply, to_the_end
from fairlead.control.errors import Refusal, invalid_argument
from fairlead.control.requests import ControlRequest, reason_violations
from fairlead.internal.v1 import command_pb2
from fairlead.store import Family, keys
from fairlead.v1 import audit_record_pb2
from fairlead.v1 import audit_service_pb2 as pb

ERASED = "audit.values_erased"
NAME_MAX_CHARACTERS = 128
# What one record says was erased, 64 hexadecimal digits each; of more there are several records.
MOST_IN_A_RECORD = 256


class ErasureService:
    """Erases values. Belongs to one event loop."""

    def __init__(self, core: Core, reader: Reader, clock: Callable[[], int]) -> None:
        """`clock` gives Unix nanoseconds."""
        self._core = core
        self._reader = reader
        self._clock = clock
        self._values = Values(reader)
        self._erasing = asyncio.Lock()

    async def erase(self, request: pb.EraseValuesRequest, operator: str) -> pb.EraseValuesResponse:
        """Erases all values of one record, or of everything about a run, an approval or a call, once per request id."""
        wrong = []
        if request.name and request.sequence:
            wrong.append(("name", "comes without a sequence"))
        elif len(request.name) > NAME_MAX_CHARACTERS:
            wrong.append(("name", f"has more than {NAME_MAX_CHARACTERS} characters"))
        elif not request.name and not 0 < request.sequence < 1 << 63:
            wrong.append(("sequence", "is not the sequence of a record"))
        wrong += reason_violations(request.reason, for_ever=True)
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
            gone, notes = await asyncio.to_thread(self._kept, request)
            answer = pb.EraseValuesResponse(erased=len(gone), notes=notes)
            caller = command_pb2.Caller(operator=identity.caller)
            for first in range(0, len(gone), MOST_IN_A_RECORD):
                part = gone[first : first + MOST_IN_A_RECORD]
                record = audit_record_pb2.ControlChanged(subject=ERASED)
                about = {"name": request.name} if request.name else {"sequence": request.sequence}
                record.detail.update({**about, "digests": [one.hex() for one in part], "reason": request.reason})
                writes = [command_pb2.Write(family=Family.SEALS, key=keys.erasable_value(one)) for one in part]
                if first + MOST_IN_A_RECORD >= len(gone):
                    # Whoever asks again after a crash in between gets the rest erased.
                    writes.append(identity.write(answer, now))
                # What is said to be gone has to stay gone after a power cut.
                change = command_pb2.ControlWrite(writes=writes, record=record, power=True)
                await apply(self._core, command_pb2.Command(caller=caller, control_write=change))
            return answer

    def _kept(self, request: pb.EraseValuesRequest) -> tuple[list[bytes], list[str]]:
        """The values that are still there, and what could not be looked at; raises `Refusal` when there is nothing to
        erase."""
        notes: list[str] = []
        if request.name:
            what = request.name
            try:
                committed = self._values.of_name(request.name, notes)
            except Unknown:
                message = f"{what} is not known: give runs/run_…, approvals/apr_…, inv_… or grt_…"
                raise Refusal("NOT_FOUND", message, {"name": what}) from None
        else:
            what = f"record {request.sequence}"
            found = self._values.of_record(request.sequence)
            if found is None:
                raise Refusal("NOT_FOUND", f"{what} is not in the audit log", {"sequence": str(request.sequence)})
            committed = found
        if not committed:
            raise invalid_argument(("name" if request.name else "sequence", f"{what} has no value that can be erased"))
        kept = self._values.kept(committed)
        if not kept:
            raise Refusal("INVALID_STATE", f"the values of {what} were erased before")
        return kept, notes
