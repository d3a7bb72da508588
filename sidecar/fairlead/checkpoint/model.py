"""Payloads, their pieces, and what may be deleted of a namespace. Pure: no I/O, no clock.

INVARIANT (K1): a value is in the store as long as a checkpoint of its namespace refers to it, and no longer.
INVARIANT (K2): as long as a checkpoint is there, so are the ancestors that its accumulating channels are added up from.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from fairlead.config.sections.durability import Durability
from fairlead.config.sections.limits import Limits
from fairlead.internal.v1 import checkpoint_pb2 as records
from fairlead.v1 import checkpoint_service_pb2 as pb

# RocksDB's write buffers have 8 MiB, and a reader takes a value as a whole.
PIECE_BYTES = 1 << 20
# Body, metadata, attributes and channels without their values: what every list has to look at.
HEAD_MAX_BYTES = 1 << 20
_DIGEST_BYTES = 16

ValueRef = tuple[str, bytes]
"""A value of a namespace: its channel and its digest."""


@dataclass(frozen=True, slots=True)
class CheckpointSettings:
    """The configuration, as far as it is about checkpoints."""

    payload_bytes: int
    """Largest payload."""
    put_bytes: int
    """All payloads of one request."""
    threads: int
    """Threads of a tenant."""
    tenant_bytes: int
    """Keys and values of all data of a tenant."""
    power: bool = True
    """Whether a put survives a power cut before it is answered."""

    @classmethod
    def of(cls, limits: Limits, durability: Durability) -> CheckpointSettings:
        """Of the two sections."""
        return cls(
            payload_bytes=limits.checkpoint_bytes,
            put_bytes=limits.checkpoint_put_bytes,
            threads=limits.checkpoint_threads,
            tenant_bytes=limits.checkpoint_tenant_bytes,
            power=durability.checkpoint == "power",
        )


def digest(payload: pb.CheckpointPayload) -> bytes:
    """Names the value: 16 bytes of the SHA-256 of type and data."""
    hashed = hashlib.sha256(payload.type.encode())
    hashed.update(b"\0")
    hashed.update(payload.data)
    return hashed.digest()[:_DIGEST_BYTES]


def first_piece(payload: pb.CheckpointPayload) -> records.StoredPayload:
    """What is stored as piece 0."""
    return records.StoredPayload(type=payload.type, data=payload.data[:PIECE_BYTES], size_bytes=len(payload.data))


def further_pieces(payload: pb.CheckpointPayload) -> Iterator[tuple[int, bytes]]:
    """What is stored as pieces 1, 2, …"""
    for piece, start in enumerate(range(PIECE_BYTES, len(payload.data), PIECE_BYTES), start=1):
        yield piece, payload.data[start : start + PIECE_BYTES]


@dataclass(frozen=True, slots=True)
class Facts:
    """What deleting has to know of a checkpoint."""

    parent: str
    run: str
    values: frozenset[ValueRef]
    """Values it refers to."""
    open: frozenset[str]
    """Accumulating channels that have no value here."""

    @classmethod
    def of(cls, record: records.CheckpointRecord) -> Facts:
        """Of a stored checkpoint."""
        values = frozenset((channel.name, channel.digest) for channel in record.channels if channel.digest)
        return cls(record.parent, record.run, values, frozenset(record.accumulating_channels) - {n for n, _ in values})

    @property
    def valued(self) -> frozenset[str]:
        """Channels that have a value here."""
        return frozenset(name for name, _ in self.values)


def ancestors_needed(facts: Mapping[str, Facts], kept: Iterable[str]) -> set[str]:
    """The checkpoints that those which are kept need (K2), and those that these need, by their ids."""
    needed: set[str] = set()
    # Which channels were followed through a checkpoint already: a chain is walked once, and a cycle ends.
    followed: dict[str, set[str]] = {}
    waiting = list(kept)
    while waiting:
        one = waiting.pop()
        cursor, channels = facts[one].parent, set(facts[one].open)
        while channels and cursor in facts:
            if cursor not in needed:
                needed.add(cursor)
                waiting.append(cursor)
            seen = followed.setdefault(cursor, set())
            channels -= seen
            seen |= channels
            channels -= facts[cursor].valued
            cursor = facts[cursor].parent
    return needed


def removal(facts: Mapping[str, Facts], removed: Iterable[str]) -> Iterator[tuple[str, list[ValueRef]]]:
    """The checkpoints to delete, the oldest first, each with the values that nothing refers to after it (K1)."""
    references = Counter(value for one in facts.values() for value in one.values)
    for checkpoint in sorted(removed, key=str.encode):
        unused = []
        for value in sorted(facts[checkpoint].values):
            references[value] -= 1
            if references[value] == 0:
                unused.append(value)
        yield checkpoint, unused
