"""Verifies evidence and consistency proofs with a public key alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from fairlead.audit.export import parse_fields
from fairlead.audit.model import link
from fairlead.audit.transparency.checkpoint import Checkpoint, SignedCheckpoint
from fairlead.audit.transparency.lines import BadLine, Line, hashes_of, text_of
from fairlead.audit.transparency.merkle import InvalidProof, check_consistency, check_inclusion, leaf_hash
from fairlead.audit.transparency.note import InvalidNote, VerifierKey


@dataclass(slots=True)
class EvidenceVerification:
    """Result of a verification; `first_invalid_sequence` is 0 when no record is to blame."""

    problem: str = ""
    first_invalid_sequence: int = 0
    records: int = 0
    configurations: int = 0
    signed: Checkpoint | None = None
    older: Checkpoint | None = None
    named: set[str] = field(default_factory=set)

    @property
    def valid(self) -> bool:
        """True when nothing is wrong."""
        return not self.problem


def verify_evidence(
    lines: Iterable[Line], trusted: Sequence[VerifierKey], anchors: Sequence[str] = ()
) -> EvidenceVerification:
    """Every record is in the log that the checkpoint was signed of, and says what its bytes say; every configuration is
    the one whose version records name. An anchor has to be the same checkpoint, or one of another size."""
    result = EvidenceVerification()
    try:
        for fields in lines:
            if "checkpoint" in fields:
                result.signed = SignedCheckpoint.verified(text_of(fields, "checkpoint"), trusted).checkpoint
            elif "config" in fields:
                _check_configuration(result, fields)
            elif not _check_record(result, fields):
                return result
        if result.signed is None or not result.records:
            raise BadLine("there is no checkpoint, or no record")
        _check_anchors(result.signed, trusted, anchors)
    except (BadLine, InvalidNote) as error:
        result.problem = str(error)
    return result


def verify_consistency(
    lines: Iterable[Line], trusted: Sequence[VerifierKey], anchors: Sequence[str] = ()
) -> EvidenceVerification:
    """The older checkpoint's log is the beginning of the newer one's."""
    result = EvidenceVerification()
    proof: list[bytes] | None = None
    try:
        for fields in lines:
            if "checkpoint" in fields:
                result.older = result.signed
                result.signed = SignedCheckpoint.verified(text_of(fields, "checkpoint"), trusted).checkpoint
            else:
                proof = hashes_of(fields, "proof")
        old, new = result.older, result.signed
        if old is None or new is None or proof is None:
            raise BadLine("there are not two checkpoints and a proof")
        if old.origin != new.origin:
            raise BadLine("the checkpoints are of two logs")
        check_consistency(old.size, old.root, new.size, new.root, proof)
        for checkpoint in (old, new):
            _check_anchors(checkpoint, trusted, anchors)
    except (BadLine, InvalidNote, InvalidProof) as error:
        result.problem = str(error)
    return result


def _check_record(result: EvidenceVerification, fields: Line) -> bool:
    record, prev_hash, problem = parse_fields(fields)
    sequence = record.sequence
    if result.signed is None:
        raise BadLine("there is no checkpoint before the first record")
    if not problem and link(prev_hash, record.record_bytes) != record.record_hash:
        problem = f"the hash of record {sequence} does not match"
    if not problem:
        try:
            leaf, proof = leaf_hash(record.record_bytes), hashes_of(fields, "proof")
            check_inclusion(leaf, sequence - 1, result.signed.size, proof, result.signed.root)
        except InvalidProof as error:
            problem = f"record {sequence} is not in the log that was signed: {error}"
    if problem:
        result.problem, result.first_invalid_sequence = problem, sequence
        return False
    result.records += 1
    result.named.add(str(fields["record"].get("config_version", "")))
    return True


def _check_configuration(result: EvidenceVerification, fields: Line) -> None:
    version, text = text_of(fields, "config_version"), text_of(fields, "config")
    if hashlib.sha256(text.encode()).hexdigest() != version:
        raise BadLine(f"the configuration is not the one of version {version}")
    if version not in result.named:
        raise BadLine(f"no record names configuration {version}")
    result.configurations += 1


def _check_anchors(one: Checkpoint, trusted: Sequence[VerifierKey], anchors: Sequence[str]) -> None:
    for note in anchors:
        anchor = SignedCheckpoint.verified(note, trusted).checkpoint
        if anchor.origin == one.origin and anchor.size == one.size and anchor.root != one.root:
            raise BadLine(f"two different logs of {one.size} records were signed: the log was forked")
