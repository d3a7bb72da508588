"""Proofs out of what was sealed: inclusion of records, consistency of checkpoints. Blocks for as long as it reads."""

from __future__ import annotations

from collections.abc import Sequence

from fairlead.audit.store import AuditLog, Reader
from fairlead.audit.transparency.checkpoint import SignedCheckpoint
from fairlead.audit.transparency.merkle import consistency_proof, inclusion_proof
from fairlead.audit.transparency.store import Seals, StoredTree, page_after
from fairlead.audit.trimming.beginning import LogTrimmed
from fairlead.audit.watch import missing
from fairlead.control.errors import Refusal, invalid_argument
from fairlead.v1 import audit_service_pb2

MOST_SEQUENCES = 1000
DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE = 100, 1000
# Leaves of a page are 32 bytes each; a checkpoint may have 4096 of them.
MAX_PAGE_BYTES = 1 << 20
_NOT_SEALED = "are not signed yet: ask again in some seconds, or for a fresh checkpoint"


class Proofs:
    """Answers questions about one log."""

    def __init__(self, reader: Reader) -> None:
        self._log = AuditLog(reader)
        self._seals = Seals(reader)

    def last(self) -> SignedCheckpoint | None:
        """The last checkpoint."""
        return self._seals.last()

    def identity(self) -> audit_service_pb2.GetAuditLogResponse:
        """Which log it is, as far as the store knows; empty before the first checkpoint."""
        response = audit_service_pb2.GetAuditLogResponse()
        head = self._log.head()
        response.head_sequence = 0 if head is None else head.sequence
        beginning = self._log.beginning()
        response.first_sequence = beginning.first_sequence
        if beginning.size:
            response.beginning.CopyFrom(SignedCheckpoint.unverified(beginning.note).message())
            response.beginning_frontier.extend(beginning.frontier)
        state, last = self._seals.state(), self._seals.last()
        if state is not None and last is not None:
            response.origin = last.checkpoint.origin
            response.public_key = state.public_key
            response.former_public_keys.extend(state.former_public_keys)
            response.checkpoint.CopyFrom(last.message())
        return response

    def checkpoint(self, min_size: int) -> audit_service_pb2.GetLogCheckpointResponse:
        """A checkpoint with at least so many records, 0: the last one. Raises `Refusal`."""
        found = self._seals.first_of(min_size) if min_size else self._seals.last()
        if found is None:
            raise Refusal("NOT_FOUND", f"{f'the first {min_size} records' if min_size else 'records'} {_NOT_SEALED}")
        return audit_service_pb2.GetLogCheckpointResponse(checkpoint=found.message())

    def page(
        self, request: audit_service_pb2.ListLogCheckpointsRequest
    ) -> audit_service_pb2.ListLogCheckpointsResponse:
        """A page of checkpoints."""
        if request.page_size < 0:
            raise invalid_argument(("page_size", "must not be negative"))
        _check_size("after_size", request.after_size)
        limit = min(request.page_size or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)
        response = audit_service_pb2.ListLogCheckpointsResponse()
        room = MAX_PAGE_BYTES
        for checkpoint, leaves in page_after(self._seals, request.after_size, limit):
            room -= len(leaves) + len(checkpoint.note)
            if response.ranges and room < 0:
                break
            response.ranges.add(checkpoint=checkpoint.message(), leaf_hashes=leaves)
        return response

    def prove(self, sequences: Sequence[int], size: int = 0) -> audit_service_pb2.ProveEventsResponse:
        """Inclusion proofs of records in a checkpoint; raises `Refusal`, `LogDamaged`, `LogTrimmed`."""
        if not 0 < len(sequences) <= MOST_SEQUENCES:
            raise invalid_argument(("sequences", f"must be 1 to {MOST_SEQUENCES}"))
        for number, sequence in enumerate(sequences):
            if not 0 < sequence < 1 << 63:
                raise invalid_argument((f"sequences[{number}]", "is not the sequence of a record"))
        _check_size("size", size)
        last = max(sequences)
        signed = self._exactly("size", size) if size else self._seals.first_of(last)
        if signed is None:
            raise Refusal("NOT_FOUND", f"records up to {last} {_NOT_SEALED}")
        if signed.checkpoint.size < last:
            raise invalid_argument(("size", f"is less than record {last}"))
        beginning = self._log.beginning()
        if min(sequences) < beginning.first_sequence:
            raise LogTrimmed(min(sequences), beginning)
        tree = StoredTree(self._seals)
        response = audit_service_pb2.ProveEventsResponse(checkpoint=signed.message())
        for sequence in sequences:
            stored = self._log.record(sequence)
            if stored is None:
                raise missing(self._log, sequence)
            proof = inclusion_proof(sequence - 1, signed.checkpoint.size, tree.subtree)
            response.events.add(event=self._log.event(stored, self._log.hash_before(sequence)), proof=proof)
        return response

    def consistency(self, old_size: int, new_size: int = 0) -> audit_service_pb2.ProveConsistencyResponse:
        """That a checkpoint goes on from another one; raises `Refusal`, `LogTrimmed` when that one was trimmed."""
        _check_size("old_size", old_size)
        _check_size("new_size", new_size)
        beginning = self._log.beginning()
        if 0 < old_size < beginning.size:
            raise LogTrimmed(old_size, beginning)
        old = self._exactly("old_size", old_size)
        new = self._exactly("new_size", new_size) if new_size else self._seals.last() or old
        if new.checkpoint.size < old.checkpoint.size:
            raise invalid_argument(("new_size", "is less than old_size"))
        proof = consistency_proof(old.checkpoint.size, new.checkpoint.size, StoredTree(self._seals).subtree)
        return audit_service_pb2.ProveConsistencyResponse(old=old.message(), new=new.message(), proof=proof)

    def _exactly(self, field: str, size: int) -> SignedCheckpoint:
        found = self._seals.exactly(size)
        if found is None:
            raise invalid_argument((field, f"no checkpoint has exactly {size} records"))
        return found


def _check_size(field: str, size: int) -> None:
    if size >= 1 << 63:
        raise invalid_argument((field, "is larger than any log"))
