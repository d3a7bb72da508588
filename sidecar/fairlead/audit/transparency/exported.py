"""Verifies what was exported line by line: the output of `fairlead audit export`, and what exporters wrote, one file
after the other. In one pass, with bounded memory.

Unlike a bundle such lines may begin in the middle of the log, a checkpoint may come some records behind its last one,
and a record may come twice, because exporters deliver at least once. The signature is over the hash of a checkpoint's
last record, which follows from all records before it: that is what is compared, so it takes no tree.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any

from fairlead.audit.export import parse_fields
from fairlead.audit.model import GENESIS, ChainVerifier, StoredRecord, Verification
from fairlead.audit.transparency.checkpoint import Checkpoint, SignedCheckpoint
from fairlead.audit.transparency.lines import BadLine, text_of
from fairlead.audit.transparency.note import InvalidNote, VerifierKey
from fairlead.audit.transparency.verify import BundleVerification, announced_key

# Hashes that are remembered: a checkpoint, or a record that comes again, is at most so many records behind.
REMEMBERED = 65_536


class ExportVerifier:
    """Takes lines in order."""

    def __init__(
        self,
        trusted: Sequence[VerifierKey] | None = None,
        anchors: Iterable[str] = (),
        expected_head: tuple[int, bytes] | None = None,
    ) -> None:
        """`trusted` are public keys from elsewhere; without them only the chain is checked. `anchors` are notes of
        checkpoints that were kept outside, `expected_head` a record and its hash. Raises `InvalidNote` when an anchor
        is not signed by a trusted key."""
        self._trusted = None if trusted is None else list(trusted)
        found = [SignedCheckpoint.verified(note, trusted or ()).checkpoint for note in anchors]
        self._anchors = sorted(found, key=lambda one: one.size)
        self._origin = self._anchors[0].origin if self._anchors else ""
        self._met = 0
        self._expected_head = expected_head
        self._chain: ChainVerifier | None = None
        # Sequence of the first record, the hash that it follows, and that of the last records.
        self._first = 0
        self._recent: OrderedDict[int, bytes] = OrderedDict()
        self._signed: Checkpoint | None = None
        self._checkpoints = 0
        # In front of the first record.
        self._early: list[Checkpoint] = []
        self._announced: list[tuple[int, VerifierKey]] = []
        self._problem: tuple[int, str] | None = None

    def feed(self, fields: Any) -> bool:
        """Takes a line that is decoded; False when there is nothing more to find out."""
        if self._problem is None:
            if isinstance(fields, dict) and "checkpoint" in fields:
                self._feed_checkpoint(fields)
            else:
                self._feed_record(fields)
        return self._problem is None

    def damaged(self, problem: str) -> None:
        """The next line cannot be read."""
        self._fail(self._next, problem)

    def finish(self) -> BundleVerification:
        """The result."""
        if self._problem is None:
            self._check_end()
        chain = self._chain or ChainVerifier(expected_head=self._expected_head)
        checked = chain.finish()
        if self._problem is not None:
            # A checkpoint or an anchor says it before the chain does.
            first, problem = self._problem
            whole = max(0, min(checked.checked, first - max(self._first, 1)))
            head = checked.head_hash if whole == checked.checked else b""
            checked = Verification(whole, first - 1 if whole else 0, head, first, problem)
        return BundleVerification(checked, self._origin, self._signed, self._checkpoints, self._met)

    @property
    def _next(self) -> int:
        return self._chain.next_sequence if self._chain is not None else 1

    # Records ---------------------------------------------------------------------------------------------------------

    def _feed_record(self, fields: Any) -> None:
        record, prev_hash, problem = parse_fields(fields)
        if not problem and self._recent.get(record.sequence) == record.record_hash:
            return
        if self._chain is None:
            self._first = max(record.sequence, 1)
            before = GENESIS if self._first == 1 else prev_hash
            self._chain = ChainVerifier(self._first, before, self._expected_head)
            self._remember(self._first - 1, before)
        chain = self._chain
        if problem:
            chain.fail(problem)
        elif prev_hash != chain.head_hash and record.sequence == chain.next_sequence:
            chain.fail(f"record {record.sequence} says that it follows {prev_hash.hex()}, which it does not")
        if not chain.feed(record):
            broken = chain.finish()
            self._fail(broken.first_invalid_sequence, broken.problem)
            return
        if len(self._recent) == 1:
            for early in self._early:
                self._compare(early)
            self._check_anchors(self._first - 1)
        self._remember(record.sequence, record.record_hash)
        self._check_anchors(record.sequence)
        self._take_key(record)

    def _remember(self, sequence: int, record_hash: bytes) -> None:
        self._recent[sequence] = record_hash
        if len(self._recent) > REMEMBERED:
            self._recent.popitem(last=False)

    def _take_key(self, record: StoredRecord) -> None:
        key = announced_key(record)
        if key is not None:
            self._announced.append((record.sequence, key))

    # What was signed -------------------------------------------------------------------------------------------------

    def _feed_checkpoint(self, fields: dict[str, Any]) -> None:
        if self._trusted is None:
            return
        try:
            one = SignedCheckpoint.verified(text_of(fields, "checkpoint"), self._trusted).checkpoint
        except (InvalidNote, BadLine) as error:
            where = f"behind record {self._next - 1}" if self._chain is not None else "in front of the first record"
            self._fail(self._unsigned, f"the checkpoint {where} cannot be trusted: {error}")
            return
        self._origin = self._origin or one.origin
        if one.origin != self._origin:
            self._fail(self._unsigned, f"the checkpoint of {one.size} records is of another log, {one.origin}")
        elif self._chain is None:
            self._early.append(one)
        elif one.size >= self._next:
            missing = f"record {self._next} is missing: a checkpoint of {one.size} records was signed before it"
            self._fail(self._next, missing)
        else:
            self._compare(one)

    def _compare(self, one: Checkpoint) -> None:
        """One whose records are all there, or came before the first."""
        known = self._recent.get(one.size)
        if known is None:
            # Of records that are not in these lines, or long gone: it says nothing of what is.
            return
        if known != one.chain_head:
            if one.size < self._first:
                self._fail(self._first, f"record {self._first} does not follow the one that was signed before it")
                return
            first = min(self._unsigned, one.size)
            self._fail(first, f"one of the records {first} to {one.size} is not the one that was signed")
            return
        if self._signed is None or one.size > self._signed.size:
            self._signed = one
        self._checkpoints += 1
        if self._trusted is not None:
            self._trusted += [key for sequence, key in self._announced if sequence <= one.size]
        self._announced = [(sequence, key) for sequence, key in self._announced if sequence > one.size]

    @property
    def _unsigned(self) -> int:
        """The first record that nobody has signed."""
        return max(self._first, 1, self._signed.size + 1 if self._signed is not None else 1)

    def _check_anchors(self, size: int) -> None:
        for anchor in self._anchors:
            if anchor.size != size:
                continue
            if anchor.chain_head != self._recent[size]:
                first = max(self._first, 1)
                self._fail(
                    first,
                    f"the log is not the one of the anchor of {size} records: one of the records {first} to {size} was "
                    "written anew, after a fork or from an older copy of the volume",
                )
                return
            self._met += 1

    def _check_end(self) -> None:
        ahead = [anchor for anchor in self._anchors if anchor.size >= self._next]
        if ahead:
            self._fail(
                self._next,
                f"record {self._next} is missing: the lines end before it, but a checkpoint of {ahead[0].size} records "
                "was signed",
            )
        elif self._trusted is not None and self._chain is not None and self._signed is None and not self._met:
            self._fail(self._unsigned, "nothing of it is signed by a key that is trusted: wait for a checkpoint")

    def _fail(self, sequence: int, problem: str) -> None:
        if self._problem is None:
            self._problem = (sequence, problem)


def verify_export(lines: Iterable[str], expected_head: tuple[int, bytes] | None = None) -> Verification:
    """Verifies the chain of the lines of an export from the bytes in it; what the lines say in words has to agree with
    the bytes. An export may begin in the middle of the log: the hash before its first record is then taken as given."""
    verifier = ExportVerifier(expected_head=expected_head)
    feed_lines(verifier, lines)
    return verifier.finish().chain


def feed_lines(verifier: ExportVerifier, lines: Iterable[str]) -> None:
    """Gives a verifier the lines, as far as it wants to know them; empty ones are none."""
    for line in lines:
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError) as error:
            verifier.damaged(f"the line is not one of an export: {error!r}")
            return
        if not verifier.feed(fields):
            return
