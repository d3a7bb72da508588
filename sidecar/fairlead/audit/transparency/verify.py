"""Verifies a bundle with a public key alone, in one pass: chain, tree, signatures, and what was kept outside.

The first bad record is found in this order of strength:
1. The chain breaks: at the first record that does not follow the one before.
2. A signed checkpoint does not match. When the leaves that the bundle has for it lead to its signed root, they name the
   record that is another one, also one before the place where the chain breaks. When somebody wrote those anew as well,
   one of the records since the last checkpoint that matches is wrong; the first of them is named, and the range told.
3. The log ends, or is another one, before a checkpoint that was kept outside (an anchor).

A bundle of a log that was trimmed begins at a signed checkpoint. What came before cannot be told from it: an anchor
from before is one that the bundle does not have.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fairlead.audit.export import parse_fields
from fairlead.audit.model import ChainVerifier, StoredRecord, Verification, link, parse_record
from fairlead.audit.transparency.checkpoint import KEY_CHANGED, Checkpoint, SignedCheckpoint
from fairlead.audit.transparency.lines import BadLine, Line, hashes_of, text_of, values_of
from fairlead.audit.transparency.merkle import HASH_BYTES, Frontier, leaf_hash
from fairlead.audit.transparency.note import InvalidKey, InvalidNote, VerifierKey
from fairlead.v1 import audit_record_pb2


@dataclass(frozen=True, slots=True)
class BundleVerification:
    """Result: that of the chain, and what is signed of it."""

    chain: Verification
    origin: str = ""
    signed: Checkpoint | None = None
    """The last checkpoint that matches; what comes behind it is only chained."""
    checkpoints: int = 0
    anchors: int = 0

    @property
    def valid(self) -> bool:
        """True when nothing is wrong."""
        return self.chain.valid


class BundleVerifier:
    """Takes the lines of a bundle in order. Holds the hashes of the records since the last checkpoint, no more."""

    def __init__(self, trusted: Sequence[VerifierKey], anchors: Iterable[str] = ()) -> None:
        """`trusted` are public keys from elsewhere, `anchors` notes of checkpoints that were kept outside; raises
        `InvalidNote` when one of those is not signed by a trusted key."""
        self._trusted = list(trusted)
        found = [SignedCheckpoint.verified(note, trusted).checkpoint for note in anchors]
        self._anchors = sorted(found, key=lambda one: one.size)
        self._met = 0
        self._chain = ChainVerifier()
        # Records that were trimmed before the first one.
        self._begun = 0
        self._tree = Frontier()
        # As it was at the last checkpoint that matched, and the leaves since, as they are in the file.
        self._sealed = Frontier()
        self._since: list[bytes] = []
        self._signed: Checkpoint | None = None
        self._origin = self._anchors[0].origin if self._anchors else ""
        self._checkpoints = 0
        self._problem: tuple[int, str] | None = None
        self._over = False
        # Where an anchor does not match, until the checkpoint behind the record may say more.
        self._forked: tuple[int, str] | None = None
        # The record in front of where the chain breaks, when it is the one that does not fit.
        self._suspect = 0
        # Of the log's own records: keys that sign from there on, once that is signed.
        self._announced: list[VerifierKey] = []

    def feed(self, fields: Line) -> bool:
        """Takes a line; False when there is nothing more to find out."""
        if self._over:
            return False
        if self._forked is not None and "checkpoint" not in fields:
            self._over = True
            return False
        try:
            if "checkpoint" in fields:
                self._feed_checkpoint(fields)
            elif "beginning" in fields:
                self._feed_beginning(fields)
            else:
                self._feed_record(fields)
        except BadLine as error:
            self._fail(self._tree.size + 1, str(error))
            self._over = True
        return not self._over

    def damaged(self, problem: str) -> None:
        """The next line cannot be read."""
        self._fail(*(self._broken() or (self._tree.size + 1, problem)))
        self._over = True

    def finish(self) -> BundleVerification:
        """The result."""
        self._problem = self._problem or self._broken() or self._forked
        if self._problem is None:
            self._check_end()
        checked = self._chain.finish()
        first, problem = self._problem or (0, "")
        end = self._begun + checked.checked
        last = min(end, first - 1) if first else end
        whole = max(0, last - self._begun)
        head = checked.head_hash if last == end else b""
        verification = Verification(whole, last if whole else 0, head, first, problem, self._begun + 1)
        return BundleVerification(verification, self._origin, self._signed, self._checkpoints, self._met)

    # Records ---------------------------------------------------------------------------------------------------------

    def _feed_record(self, fields: Line) -> None:
        record, prev_hash, problem = parse_fields(fields)
        place = self._tree.size + 1
        if not self._chain.failed:
            if problem:
                self._chain.fail(problem)
            elif prev_hash != self._chain.head_hash:
                if record.sequence == place and link(prev_hash, record.record_bytes) == record.record_hash:
                    # It is whole and follows another one: the one before it was changed, unless that is sealed.
                    self._suspect = place - 1 if place - 1 > self._sealed.size else 0
                self._chain.fail(f"record {record.sequence} says that it follows another one than the one before it")
            self._chain.feed(record)
        leaf = leaf_hash(record.record_bytes)
        self._tree.append(leaf)
        self._since.append(leaf)
        if not self._chain.failed:
            self._take_key(record)
            self._check_anchors(place, record)

    def _take_key(self, record: StoredRecord) -> None:
        """Remembers a key that the log says signs from here on."""
        key = announced_key(record)
        if key is not None:
            self._announced.append(key)

    def _check_anchors(self, size: int, record: StoredRecord) -> None:
        while self._met < len(self._anchors) and self._anchors[self._met].size == size and self._forked is None:
            anchor = self._anchors[self._met]
            if anchor.root == self._tree.root() and anchor.chain_head == record.record_hash:
                self._met += 1
                continue
            before = max([one.size for one in self._anchors[: self._met]], default=self._begun) + 1
            self._forked = (
                before,
                f"the log is not the one of the anchor of {size} records: one of the records {before} to {size} was "
                "written anew, after a fork or from an older copy of the volume",
            )

    def _broken(self) -> tuple[int, str] | None:
        """Where the chain breaks, and why."""
        if not self._chain.failed:
            return None
        broken = self._chain.finish()
        if self._suspect:
            return self._suspect, f"record {self._suspect} is not the one that record {self._suspect + 1} follows"
        return broken.first_invalid_sequence, broken.problem

    # The beginning ---------------------------------------------------------------------------------------------------

    def _feed_beginning(self, fields: Line) -> None:
        """Goes on from a signed checkpoint instead of from nothing."""
        if self._tree.size:
            raise BadLine("the beginning is not in front of the first record")
        try:
            one = SignedCheckpoint.verified(text_of(fields, "beginning"), self._trusted).checkpoint
        except InvalidNote as error:
            raise BadLine(f"the checkpoint that the file begins at cannot be trusted: {error}") from None
        tree = Frontier(one.size, hashes_of(fields, "frontier"))
        if not tree.sound or tree.root() != one.root or not one.size:
            raise BadLine("the frontier is not that of the checkpoint that the file begins at")
        if self._origin not in ("", one.origin):
            raise BadLine(f"the file begins at a checkpoint of another log, {one.origin}")
        self._origin, self._signed, self._begun = one.origin, one, one.size
        self._tree, self._sealed = tree, tree.copy()
        self._chain = ChainVerifier(one.size + 1, one.chain_head)
        for anchor in self._anchors:
            if anchor.size < one.size:
                raise BadLine(
                    f"the file begins with record {one.size + 1} and says nothing about the anchor of {anchor.size} "
                    "records: compare that with an older bundle, and this one with a newer anchor"
                )
            if anchor.size == one.size:
                if (anchor.root, anchor.chain_head) != (one.root, one.chain_head):
                    raise BadLine(f"two different logs of {one.size} records were signed: the log was forked")
                self._met += 1

    # Checkpoints -----------------------------------------------------------------------------------------------------

    def _feed_checkpoint(self, fields: Line) -> None:
        sealed = self._sealed.size
        try:
            signed = SignedCheckpoint.verified(text_of(fields, "checkpoint"), self._trusted)
        except InvalidNote as error:
            self._fail(sealed + 1, f"the checkpoint behind record {self._tree.size} cannot be trusted: {error}")
            self._over = True
            return
        one = signed.checkpoint
        self._origin = self._origin or one.origin
        if one.origin != self._origin:
            self._fail(sealed + 1, f"the checkpoint of {one.size} records is of another log, {one.origin}")
            self._over = True
            return
        matches = (one.size, one.root) == (self._tree.size, self._tree.root())
        if matches and self._forked is not None:
            self._over = True
            return
        if matches and not self._chain.failed and one.chain_head == self._chain.head_hash:
            self._sealed, self._since, self._signed = self._tree.copy(), [], one
            self._checkpoints += 1
            self._trusted += self._announced
            self._announced = []
            return
        self._locate(one, fields)
        self._over = True

    def _locate(self, one: Checkpoint, fields: Line) -> None:
        """Names the first record that is not what was signed."""
        broken = self._broken()
        leaves = self._genuine(one, fields)
        different = next(
            (
                self._sealed.size + number
                for number, (there, signed) in enumerate(zip(self._since, leaves, strict=False), 1)
                if there != signed
            ),
            0,
        )
        if different and (broken is None or different <= broken[0]):
            self._fail(different, f"record {different} is not the one that was signed")
        elif broken is not None:
            self._fail(*broken)
        elif leaves and self._tree.size < one.size:
            missing = self._tree.size + 1
            self._fail(missing, f"record {missing} is missing: a checkpoint of {one.size} records was signed")
        else:
            first, last = self._sealed.size + 1, max(one.size, self._tree.size)
            self._fail(first, f"one of the records {first} to {last} is not the one that was signed")

    def _genuine(self, one: Checkpoint, fields: Line) -> list[bytes]:
        """The leaves that were signed since the last checkpoint; none when the file does not have the genuine ones."""
        packed = values_of(fields, "leaf_hashes")
        leaves = [packed[at : at + HASH_BYTES] for at in range(0, len(packed), HASH_BYTES)]
        tree = self._sealed.copy()
        for leaf in leaves:
            tree.append(leaf)
        return leaves if (tree.size, tree.root()) == (one.size, one.root) else []

    def _check_end(self) -> None:
        size = self._tree.size
        if self._met < len(self._anchors):
            anchor = self._anchors[self._met]
            self._fail(
                size + 1,
                f"record {size + 1} is missing: the log ends before it, but a checkpoint of {anchor.size} records was "
                "signed: its end was cut off, or the volume was rolled back",
            )
        elif self._signed is None and not self._anchors:
            self._fail(1, "nothing in the file is signed: export it again when the sidecar has signed a checkpoint")

    def _fail(self, sequence: int, problem: str) -> None:
        if self._problem is None:
            self._problem = (sequence, problem)


def announced_key(record: StoredRecord) -> VerifierKey | None:
    """The key that a record says signs from there on; None when it says no such thing. Trust it once a trusted key has
    signed that."""
    # Cheap: nearly no record has the word in it.
    if KEY_CHANGED.encode() not in record.record_bytes:
        return None
    parsed = parse_record(record.record_bytes)
    if parsed.kind != audit_record_pb2.EVENT_KIND_CONTROL_CHANGED or parsed.control_changed.subject != KEY_CHANGED:
        return None
    try:
        return VerifierKey.parse(str(dict(parsed.control_changed.detail).get("public_key", "")))
    except InvalidKey:
        return None
