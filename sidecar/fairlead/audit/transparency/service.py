"""Use cases of proofs: which log it is, its checkpoints, and what they prove. Reads on worker threads."""

from __future__ import annotations

import asyncio

from fairlead.audit.faults import faults_refused
from fairlead.audit.store import Reader
from fairlead.audit.transparency.proofs import Proofs
from fairlead.audit.transparency.sealing import Sealing
from fairlead.control.errors import Refusal
from fairlead.v1 import audit_service_pb2 as pb


class TransparencyService:
    """What the log proves. Belongs to one event loop."""

    def __init__(self, reader: Reader, sealing: Sealing) -> None:
        self._proofs = Proofs(reader)
        self._sealing = sealing

    async def identity(self) -> pb.GetAuditLogResponse:
        """Which log it is and who signs."""
        with faults_refused():
            return await asyncio.to_thread(self._proofs.identity)

    async def checkpoint(self, request: pb.GetLogCheckpointRequest) -> pb.GetLogCheckpointResponse:
        """A checkpoint; a fresh one has everything that was committed before the call."""
        with faults_refused():
            if request.fresh:
                await self._sealing.seal()
                if self._sealing.problem:
                    raise Refusal("INTERNAL", f"nothing is signed: {self._sealing.problem}; run fairlead audit verify")
            return await asyncio.to_thread(self._proofs.checkpoint, request.min_size)

    async def page(self, request: pb.ListLogCheckpointsRequest) -> pb.ListLogCheckpointsResponse:
        """A page of checkpoints."""
        with faults_refused():
            return await asyncio.to_thread(self._proofs.page, request)

    async def prove(self, request: pb.ProveEventsRequest) -> pb.ProveEventsResponse:
        """Inclusion proofs."""
        with faults_refused():
            return await asyncio.to_thread(self._proofs.prove, list(request.sequences), request.size)

    async def consistency(self, request: pb.ProveConsistencyRequest) -> pb.ProveConsistencyResponse:
        """A consistency proof."""
        with faults_refused():
            return await asyncio.to_thread(self._proofs.consistency, request.old_size, request.new_size)
