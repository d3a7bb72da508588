"""Storing checkpoints and writes. For threads that may block; the caller keeps everybody else off the thread.

| a channel is | its value |
|---|---|
| SET | is stored under its digest, unless the namespace has it |
| UNCHANGED | is the one that the parent has at the same version, else the one that the replaced checkpoint has |
| EMPTY | there is none |

Versions alone do not tell values apart: two forks of a checkpoint may count to the same version. So it is the parent
that is asked, and when it does not know, the agent, who has the value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fairlead.checkpoint.changes import Ledger, ThreadChange
from fairlead.checkpoint.model import Facts, digest, first_piece
from fairlead.control.identity import Identity
from fairlead.internal.v1 import checkpoint_pb2 as records
from fairlead.store import Family, keys
from fairlead.v1 import checkpoint_service_pb2 as pb

_Versions = Mapping[tuple[str, str], bytes]


def put_checkpoint(ledger: Ledger, caller: Identity, checkpoint: pb.Checkpoint) -> list[str]:
    """Stores a checkpoint and its writes in one unit; returns the channels that it did not store it for."""
    change = ThreadChange(ledger, caller, checkpoint.thread)
    key = change.data.checkpoint_key(checkpoint.namespace, checkpoint.checkpoint)
    old = ledger.reader.get(Family.CHECKPOINTS, key)
    replaced = None if old is None else records.CheckpointRecord.FromString(old)
    channels, missing = _channels(change, checkpoint, replaced)
    if missing:
        return missing
    record = records.CheckpointRecord(
        parent=checkpoint.parent,
        run=checkpoint.run,
        attributes=checkpoint.attributes,
        body=first_piece(checkpoint.body),
        metadata=first_piece(checkpoint.metadata),
        channels=channels,
        accumulating_channels=sorted(set(checkpoint.accumulating_channels)),
    )
    change.put(key, record.SerializeToString(deterministic=True), old)
    if replaced is None:
        change.record.checkpoints += 1
    else:
        _forget(change, checkpoint, replaced, record)
    change.made_by(checkpoint.run, checkpoint.namespace, checkpoint.checkpoint)
    _put_writes(ledger, change, checkpoint.namespace, checkpoint.checkpoint, checkpoint.writes)
    change.commit(power=ledger.settings().power)
    return []


def put_writes(ledger: Ledger, caller: Identity, request: pb.PutWritesRequest) -> None:
    """Stores writes in one unit."""
    change = ThreadChange(ledger, caller, request.thread)
    _put_writes(ledger, change, request.namespace, request.checkpoint, request.writes)
    # What is there already was committed before this call could begin.
    if change.writes:
        change.commit(power=ledger.settings().power)


def _channels(
    change: ThreadChange, checkpoint: pb.Checkpoint, replaced: records.CheckpointRecord | None
) -> tuple[list[records.StoredChannel], list[str]]:
    """The channels as they are stored, their new values being written, and those whose value is not known."""
    known: _Versions | None = None
    channels, missing = [], []
    for channel in checkpoint.channels:
        found: bytes | None = b""
        if channel.state == pb.CHECKPOINT_CHANNEL_STATE_SET:
            found = digest(channel.value)
            change.put_value(checkpoint.namespace, (channel.name, found), channel.value)
        elif channel.state == pb.CHECKPOINT_CHANNEL_STATE_UNCHANGED:
            known = _known(change, checkpoint, replaced) if known is None else known
            found = known.get((channel.name, channel.version))
        if found is None:
            missing.append(channel.name)
        else:
            channels.append(records.StoredChannel(name=channel.name, version=channel.version, digest=found))
    return channels, missing


def _known(change: ThreadChange, checkpoint: pb.Checkpoint, replaced: records.CheckpointRecord | None) -> _Versions:
    parent = change.data.checkpoint(checkpoint.namespace, checkpoint.parent) if checkpoint.parent else None
    versions: dict[tuple[str, str], bytes] = {}
    # The parent's count first.
    for record in (replaced, parent):
        if record is not None:
            versions.update({(channel.name, channel.version): channel.digest for channel in record.channels})
    return versions


def _forget(
    change: ThreadChange,
    checkpoint: pb.Checkpoint,
    replaced: records.CheckpointRecord,
    record: records.CheckpointRecord,
) -> None:
    """Deletes what only the replaced checkpoint had (K1)."""
    if replaced.run != record.run:
        change.made_by(replaced.run, checkpoint.namespace, checkpoint.checkpoint, any_more=False)
    unused = Facts.of(replaced).values - Facts.of(record).values
    if unused:
        for one, facts in change.data.facts(checkpoint.namespace).items():
            if one != checkpoint.checkpoint:
                unused -= facts.values
    for value in sorted(unused):
        change.delete_all(change.data.value_key(checkpoint.namespace, value))


def _put_writes(
    ledger: Ledger, change: ThreadChange, namespace: str, checkpoint: str, writes: Iterable[pb.CheckpointWrite]
) -> None:
    prefix = change.data.writes_key(namespace, checkpoint)
    wanted: dict[tuple[str, int], pb.CheckpointWrite] = {}
    for one in writes:
        # A write that stays as it is stays so inside a request, too.
        if one.index < 0 or (one.task, one.index) not in wanted:
            wanted[one.task, one.index] = one
    for (task, index), one in wanted.items():
        key = prefix + keys.checkpoint_write(task, index)
        first = key + keys.checkpoint_piece(0)
        old = ledger.reader.get(Family.CHECKPOINTS, first)
        if old is not None:
            if index >= 0:
                continue
            for piece, value in change.data.pairs(key):
                if piece != first:
                    change.delete(piece, len(value))
        record = records.CheckpointWriteRecord(
            channel=one.channel, task_path=one.task_path, value=first_piece(one.value)
        )
        change.put(first, record.SerializeToString(deterministic=True), old)
        change.put_pieces(key, one.value)
