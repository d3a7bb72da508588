"""Where checkpoints and the tree are in the store: family `seals`.

| key | value |
|---|---|
| `s` | `AuditSealRecord`: which log, its frontier, who signs |
| `b` | `AuditBeginningRecord`: where the log begins since it was trimmed (`trimming.beginning`) |
| `c` ‖ size | `AuditCheckpointRecord`: the note, and the leaves since the checkpoint before |
| `t` ‖ number | root of the 256 leaves from 256 times the number on, so that a proof reads few leaves |
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from google.protobuf.message import DecodeError

from fairlead.audit.model import Undecodable
from fairlead.audit.store import Reader
from fairlead.audit.transparency.checkpoint import SignedCheckpoint
from fairlead.audit.transparency.merkle import HASH_BYTES, TILE_LEAVES, node_hash, root_of, split
from fairlead.audit.transparency.note import InvalidNote
from fairlead.audit.trimming.beginning import Beginning, LogTrimmed, beginning_of
from fairlead.internal.v1 import state_pb2
from fairlead.store import Family, keys


class Seals:
    """Reads what was sealed. Every call blocks for a read, or some."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def state(self) -> state_pb2.AuditSealRecord | None:
        """Which log it is and how far the tree has come; none before the first checkpoint. Raises `Undecodable`."""
        value = self._reader.get(Family.SEALS, keys.SEAL_STATE)
        try:
            return None if value is None else state_pb2.AuditSealRecord.FromString(value)
        except DecodeError as error:
            raise Undecodable(f"what is stored of the log's checkpoints cannot be read: {error}") from error

    def last(self) -> SignedCheckpoint | None:
        """The last checkpoint."""
        for _, value in self._reader.scan(Family.SEALS, prefix=keys.SEAL_CHECKPOINT, reverse=True, limit=1):
            return _checkpoint(value)[0]
        return None

    def first_of(self, min_size: int) -> SignedCheckpoint | None:
        """The smallest checkpoint with at least so many records."""
        for checkpoint, _ in self.after(max(0, min_size - 1)):
            return checkpoint
        return None

    def at_most(self, size: int) -> SignedCheckpoint | None:
        """The largest checkpoint with no more records than that."""
        end = keys.seal_checkpoint(size + 1)
        for _, value in self._reader.scan(Family.SEALS, prefix=keys.SEAL_CHECKPOINT, end=end, reverse=True, limit=1):
            return _checkpoint(value)[0]
        return None

    def record_bytes(self, size: int) -> int:
        """Bytes of all records of the checkpoint of that size; 0 when an older program signed it, or there is none."""
        value = self._reader.get(Family.SEALS, keys.seal_checkpoint(size))
        try:
            return 0 if value is None else state_pb2.AuditCheckpointRecord.FromString(value).record_bytes
        except DecodeError as error:
            raise Undecodable(f"a stored checkpoint cannot be read: {error}") from error

    def beginning(self) -> Beginning:
        """Where the log begins: what the tree has of the records before is its frontier there. Raises `Undecodable`."""
        return beginning_of(self._reader)

    def exactly(self, size: int) -> SignedCheckpoint | None:
        """The checkpoint of that size."""
        value = self._reader.get(Family.SEALS, keys.seal_checkpoint(size))
        return None if value is None else _checkpoint(value)[0]

    def after(self, size: int) -> Iterator[tuple[SignedCheckpoint, bytes]]:
        """The checkpoints of more than `size` records with the leaves that each added; raises `Undecodable`."""
        start = keys.seal_checkpoint(size + 1)
        for _, value in self._reader.scan(Family.SEALS, prefix=keys.SEAL_CHECKPOINT, start=start):
            yield _checkpoint(value)

    def upto(self, size: int, most: int) -> Iterator[SignedCheckpoint]:
        """The checkpoints of at most `size` records, the largest first, and no more than `most` of them; raises
        `Undecodable`."""
        bounds = {"start": keys.SEAL_CHECKPOINT, "end": keys.seal_checkpoint(size + 1)}
        for _, value in self._reader.scan(Family.SEALS, **bounds, reverse=True, limit=most):
            yield _checkpoint(value)[0]

    def leaves(self, first: int, last: int) -> list[bytes]:
        """Hashes of the leaves from `first`, up to but without `last`, from 0; raises `Undecodable`."""
        found: list[bytes] = []
        wanted = first
        for checkpoint, packed in self.after(first):
            begin = checkpoint.checkpoint.size - len(packed) // HASH_BYTES
            if begin > wanted:
                break
            for index in range(wanted, min(last, checkpoint.checkpoint.size)):
                offset = (index - begin) * HASH_BYTES
                found.append(packed[offset : offset + HASH_BYTES])
            wanted = first + len(found)
            if wanted >= last:
                break
        if len(found) != last - first:
            raise Undecodable(f"the hash of record {first + len(found) + 1} in the tree is missing")
        return found

    def tile(self, number: int) -> bytes | None:
        """Root of a whole tile."""
        return self._reader.get(Family.SEALS, keys.seal_tile(number))


class StoredTree:
    """Roots of subtrees of what was sealed. Remembers what it has read: one for each request.

    Of the leaves that were trimmed there is the frontier: a proof about a record or a checkpoint behind them needs no
    other subtree of theirs, because each is the left neighbour of something on its way.
    """

    def __init__(self, seals: Seals) -> None:
        self._seals = seals
        self._beginning = seals.beginning()
        self._known = dict(_places(self._beginning))

    def subtree(self, first: int, last: int) -> bytes:
        """Root of the leaves from `first`, up to but without `last`; raises `Undecodable`, `LogTrimmed`."""
        known = self._known.get((first, last))
        if known is None:
            known = self._known[first, last] = self._read(first, last)
        return known

    def _read(self, first: int, last: int) -> bytes:
        trimmed = first < self._beginning.size
        if trimmed and last - first == 1:
            raise LogTrimmed(last, self._beginning)
        if trimmed or last - first > TILE_LEAVES:
            middle = first + split(last - first)
            return node_hash(self.subtree(first, middle), self.subtree(middle, last))
        if last - first == TILE_LEAVES and first % TILE_LEAVES == 0:
            tile = self._seals.tile(first // TILE_LEAVES)
            if tile is not None:
                return tile
        return root_of(self._seals.leaves(first, last))


def _places(beginning: Beginning) -> Iterator[tuple[tuple[int, int], bytes]]:
    """Which leaves each root of a frontier is over."""
    first = 0
    bits = (bit for bit in range(beginning.size.bit_length() - 1, -1, -1) if beginning.size >> bit & 1)
    for bit, root in zip(bits, beginning.frontier, strict=False):
        yield (first, first + (1 << bit)), root
        first += 1 << bit


def page_after(seals: Seals, size: int, limit: int) -> list[tuple[SignedCheckpoint, bytes]]:
    """At most `limit` checkpoints of more than `size` records."""
    return list(islice(seals.after(size), limit))


def _checkpoint(value: bytes) -> tuple[SignedCheckpoint, bytes]:
    try:
        record = state_pb2.AuditCheckpointRecord.FromString(value)
        return SignedCheckpoint.unverified(record.note), record.leaf_hashes
    except (DecodeError, InvalidNote) as error:
        raise Undecodable(f"a stored checkpoint cannot be read: {error}") from error
