"""What goes with the records that lie before the beginning, in slices: found beside everything else, removed between
two batches. Nothing has to be remembered: what is left is what is still there, and the next life goes on with it.

| goes | found by |
|---|---|
| checkpoints before the beginning, with their leaves, and roots of the tree | two ranges of keys, at once |
| values that nothing else commits to | the records |
| which records are about a run | the records |
| records | a range of keys for each slice, in the same batch as what is found by them |
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from fairlead.audit.erasure.model import digests
from fairlead.audit.model import Undecodable, parse_record
from fairlead.audit.store import Reader, split_entry
from fairlead.audit.transparency.merkle import TILE_LEAVES
from fairlead.audit.trimming.beginning import Beginning
from fairlead.store import Family, keys

Range = tuple[Family, bytes, bytes]
"""A family, a first key and the key behind the last."""
# Of one pause between two batches: one tombstone for the records, and one for each value and each record of a run.
SLICE_RECORDS = 4096
# Most that is read for a slice.
SLICE_BYTES = 8 << 20
_RUN = b"run_"
# Their values may be those of an approval or a run as well, or of later records: they stay.
_SHARED = ("decision", "tool", "approval", "run", "step")


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

    def remove(self, store: Removing) -> None:
        """Removes it. Only between two batches of the commit writer. INVARIANT: what is found by the records goes
        first; when only that has gone, it is looked for again."""
        if self.beside:
            store.write([(family, key, None) for family, key in self.beside])
        store.delete_ranges([(Family.AUDIT, b"", self.end)])


def slices(reader: Reader, beginning: Beginning) -> Iterator[Slice]:
    """What is left of the records before the beginning, a slice at a time. Blocks for as long as it reads."""
    records, size, beside = 0, 0, list[tuple[Family, bytes]]()
    for key, value in reader.scan(Family.AUDIT, end=keys.audit(beginning.first_sequence)):
        records += 1
        size += len(value)
        beside += _beside(key, value)
        if records == SLICE_RECORDS or size >= SLICE_BYTES:
            yield Slice(records, key + b"\0", tuple(beside))
            records, size, beside = 0, 0, []
    if records:
        yield Slice(records, keys.audit(beginning.first_sequence), tuple(beside))


def proofs(beginning: Beginning) -> list[Range]:
    """What was kept for proofs about what lies before the beginning; its own checkpoint stays."""
    return [
        (Family.SEALS, keys.seal_checkpoint(0), keys.seal_checkpoint(beginning.size)),
        (Family.SEALS, keys.seal_tile(0), keys.seal_tile(beginning.size // TILE_LEAVES)),
    ]


def _beside(key: bytes, value: bytes) -> Iterator[tuple[Family, bytes]]:
    try:
        stored = split_entry(key, value)
        record = parse_record(stored.record_bytes)
    except Undecodable:
        # It goes; what it may have committed to cannot be told.
        return
    if record.WhichOneof("body") not in _SHARED:
        for digest in digests(record, stored.record_bytes):
            yield Family.SEALS, keys.erasable_value(digest)
    # Cheap: most records have none.
    if _RUN in stored.record_bytes:
        run = keys.run_id_bytes(record.run.run or record.step.run)
        if run is not None:
            yield Family.RUNS, keys.run_event(record.tenant, run, stored.sequence)
