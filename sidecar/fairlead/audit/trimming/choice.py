"""Up to where the log may be trimmed, and why: up to a signed checkpoint that is old enough, or of which there is more
than the configuration keeps, and never beyond what somebody has still to read. Blocks for some dozens of reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from fairlead.audit.model import parse_record
from fairlead.audit.store import AuditLog
from fairlead.audit.transparency.checkpoint import SignedCheckpoint
from fairlead.audit.transparency.merkle import Frontier
from fairlead.audit.transparency.store import Seals, StoredTree
from fairlead.audit.trimming.beginning import Beginning

# What a record takes besides its bytes: its key and hash, and its share of the checkpoints.
RECORD_OVERHEAD_BYTES = 80
# A log that is too large is trimmed to seven eighths of what it may take, so that there is seldom something to do; and
# only when at least a sixteenth goes: who reads slowly lets it go little by little, and each trim is a record, too.
_TRIMMED_EIGHTHS, _LEAST_SIXTEENTHS = 7, 1

_NEVER = (1 << 63) - 1

Why = Literal["age", "size"]


@dataclass(frozen=True, slots=True)
class Sealed:
    """What is signed of the log: how many records, and their bytes; both count those that were trimmed."""

    size: int
    record_bytes: int


@dataclass(frozen=True, slots=True)
class Cut:
    """Where the log is to begin, and why."""

    beginning: Beginning
    why: Why
    removed_bytes: int


def kept_bytes(sealed: Sealed, beginning: Beginning) -> int:
    """What the log takes, before compression."""
    overhead = (sealed.size - beginning.size) * RECORD_OVERHEAD_BYTES
    return max(0, sealed.record_bytes - beginning.record_bytes + overhead)


class Choosing:
    """Looks at one log, which is signed as far as `sealed` says."""

    def __init__(self, log: AuditLog, sealed: Sealed) -> None:
        self._log = log
        self._seals = Seals(log.reader)
        self._sealed = sealed
        self._beginning = log.beginning()

    def by_age(self, before_unix_nanos: int, unread_after: int) -> Cut | None:
        """The cut behind what was recorded before a time; nothing behind the record `unread_after` goes."""
        oldest = self._search(lambda sequence: self._time(sequence) >= before_unix_nanos)
        return self._cut(min(oldest - 1, unread_after), "age")

    def by_size(self, most_bytes: int, unread_after: int) -> Cut | None:
        """The cut that leaves so many bytes, or some less; as `by_age`."""
        excess = kept_bytes(self._sealed, self._beginning) - most_bytes
        if excess <= 0:
            return None
        wanted = excess + most_bytes * (8 - _TRIMMED_EIGHTHS) // 8
        enough = self._search(lambda sequence: self._bytes_up_to(sequence) >= wanted)
        cut = self._cut(min(enough, unread_after), "size")
        return cut if cut is not None and cut.removed_bytes >= most_bytes * _LEAST_SIXTEENTHS // 16 else None

    def _search(self, is_behind: Callable[[int], bool]) -> int:
        """The first record of which it is true; the last one that is signed when it is of none."""
        low, high = self._beginning.first_sequence, self._sealed.size
        while low < high:
            middle = (low + high) // 2
            if is_behind(middle):
                high = middle
            else:
                low = middle + 1
        return low

    def _time(self, sequence: int) -> int:
        stored = self._log.record(sequence)
        # What is damaged is evidence: nothing from there on is too old.
        return _NEVER if stored is None else parse_record(stored.record_bytes).time_unix_nanos

    def _bytes_up_to(self, sequence: int) -> int:
        """Bytes from the beginning to the first checkpoint with a record."""
        signed = self._seals.first_of(sequence)
        size = self._sealed.size if signed is None else signed.checkpoint.size
        return kept_bytes(Sealed(size, self._counted(size)), self._beginning)

    def _counted(self, size: int) -> int:
        """Bytes of all records of a checkpoint. What an older program signed is spread evenly."""
        return self._seals.record_bytes(size) or size * self._sealed.record_bytes // max(1, self._sealed.size)

    def _cut(self, sequence: int, why: Why) -> Cut | None:
        """The cut at the last checkpoint up to a record; the last one of all stays, with the record that it ends
        with: a start compares them."""
        signed = self._seals.at_most(min(sequence, self._sealed.size - 1))
        if signed is None or signed.checkpoint.size <= self._beginning.size:
            return None
        beginning = self._at(signed)
        removed = kept_bytes(Sealed(beginning.size, beginning.record_bytes), self._beginning)
        return Cut(beginning, why, removed)

    def _at(self, signed: SignedCheckpoint) -> Beginning:
        """The beginning behind a checkpoint. Raises `Undecodable`."""
        one = signed.checkpoint
        log_hash = self._beginning.log_hash
        if not log_hash and (first := self._log.record(1)) is not None:
            log_hash = first.record_hash
        frontier = frontier_of(StoredTree(self._seals), one.size)
        return Beginning(
            one.size + 1, one.chain_head, signed.note, tuple(frontier.hashes), log_hash, self._counted(one.size)
        )


def frontier_of(tree: StoredTree, size: int) -> Frontier:
    """The frontier of a tree of so many leaves."""
    frontier, first = Frontier(size), 0
    for bit in range(size.bit_length() - 1, -1, -1):
        if size >> bit & 1:
            frontier.hashes.append(tree.subtree(first, first + (1 << bit)))
            first += 1 << bit
    return frontier
