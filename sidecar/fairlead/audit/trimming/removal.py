"""What goes with the records that lie before the beginning, in slices: found beside everything else, removed between
two batches. Nothing has to be remembered: what is left is what is still there, and the next life goes on with it.

| goes | found by |
|---|---|
| checkpoints before the beginning, with their leaves, and roots of the tree | two ranges of keys, at once |
| values that nothing else commits to; others go [later](shared.py) | the records |
| which records are about a run | the records |
| records | a range of keys for each slice, in the same batch as what is found by them |
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from fairlead.audit.erasure.model import digests
from fairlead.audit.model import Undecodable, parse_record
from fairlead.audit.store import Reader, split_entry
from fairlead.audit.transparency.merkle import TILE_LEAVES
from fairlead.audit.trimming.beginning import Beginning
from fairlead.audit.trimming.shared import Shared, Write, subjects_of
from fairlead.store import Family, keys

Range = tuple[Family, bytes, bytes]
"""A family, a first key and the key behind the last."""
# Of one pause between two batches: one tombstone for the records, and one for each value and each record of a run.
SLICE_RECORDS = 4096
# Most that is read for a slice.
SLICE_BYTES = 8 << 20
_RUN = b"run_"


class Removing(Reader, Protocol):
    """What is needed of the store on the writer's thread."""

    def write(self, writes: list[tuple[int, bytes, bytes | None]], /) -> None:
        """Writes all or nothing; no value deletes."""
        ...

    def delete_ranges(self, ranges: list[Range], /) -> None:
        """Deletes keys from the first on, up to but without the second."""
        ...


@dataclass(frozen=True, slots=True)
class Slice:
    """Some records that go, from the first one that is there."""

    records: int
    end: bytes
    """The key behind the last one."""
    beside: tuple[tuple[Family, bytes], ...]
    """Keys of what goes with them."""
    shared: tuple[Shared, ...]
    """Values that stay for others."""

    def remove(self, store: Removing) -> None:
        """Removes it. Only between two batches of the commit writer. INVARIANT: what is found by the records goes
        first; when only that has gone, it is looked for again."""
        writes: list[Write] = [(family, key, None) for family, key in self.beside]
        for one in self.shared:
            writes += one.writes(store)
        if writes:
            store.write(writes)
        store.delete_ranges([(Family.AUDIT, b"", self.end)])


def slices(reader: Reader, beginning: Beginning) -> Iterator[Slice]:
    """What is left of the records before the beginning, a slice at a time. Blocks for as long as it reads."""
    found, size = _Found(), 0
    for key, value in reader.scan(Family.AUDIT, end=keys.audit(beginning.first_sequence)):
        size += len(value)
        found.add(key, value)
        if found.records == SLICE_RECORDS or size >= SLICE_BYTES:
            yield found.slice(key + b"\0")
            found, size = _Found(), 0
    if found.records:
        yield found.slice(keys.audit(beginning.first_sequence))


def proofs(beginning: Beginning) -> list[Range]:
    """What was kept for proofs about what lies before the beginning; its own checkpoint stays."""
    return [
        (Family.SEALS, keys.seal_checkpoint(0), keys.seal_checkpoint(beginning.size)),
        (Family.SEALS, keys.seal_tile(0), keys.seal_tile(beginning.size // TILE_LEAVES)),
    ]


@dataclass(slots=True)
class _Found:
    """What was found of a slice."""

    records: int = 0
    beside: list[tuple[Family, bytes]] = field(default_factory=list)
    shared: dict[bytes, frozenset[bytes]] = field(default_factory=dict)

    def add(self, key: bytes, value: bytes) -> None:
        """Takes an entry of the log."""
        self.records += 1
        try:
            stored = split_entry(key, value)
            record = parse_record(stored.record_bytes)
        except Undecodable:
            # It goes; what it may have committed to cannot be told.
            return
        subjects = subjects_of(record, stored.record_bytes)
        for digest in digests(record, stored.record_bytes):
            if subjects is None:
                self.beside.append((Family.SEALS, keys.erasable_value(digest)))
            else:
                self.shared[digest] = self.shared.get(digest, frozenset()) | subjects
        # Cheap: most records have none.
        if _RUN in stored.record_bytes:
            run = keys.run_id_bytes(record.run.run or record.step.run)
            if run is not None:
                self.beside.append((Family.RUNS, keys.run_event(record.tenant, run, stored.sequence)))

    def slice(self, end: bytes) -> Slice:
        """All of it, up to a key."""
        shared = (Shared(digest, subjects) for digest, subjects in self.shared.items())
        return Slice(self.records, end, tuple(self.beside), tuple(shared))
