"""Checkpoints to put, and a core that writes into a store at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from fairlead.checkpoint.model import PIECE_BYTES as PIECE_BYTES
from fairlead.checkpoint.model import CheckpointSettings
from fairlead.internal.v1 import checkpoint_pb2, command_pb2
from fairlead.store import Family, keys
from fairlead.store.database import Write
from fairlead.v1 import checkpoint_service_pb2 as pb

SETTINGS = CheckpointSettings(payload_bytes=4 << 20, put_bytes=6 << 20, threads=100, tenant_bytes=64 << 20)
SET, UNCHANGED, EMPTY = (
    pb.CHECKPOINT_CHANNEL_STATE_SET,
    pb.CHECKPOINT_CHANNEL_STATE_UNCHANGED,
    pb.CHECKPOINT_CHANNEL_STATE_EMPTY,
)
KEEP_LATEST, DELETE = pb.PRUNE_STRATEGY_KEEP_LATEST, pb.PRUNE_STRATEGY_DELETE


def payload(data: bytes) -> pb.CheckpointPayload:
    return pb.CheckpointPayload(type="msgpack", data=data)


def channel(name: str, version: str, value: bytes) -> pb.CheckpointChannel:
    return pb.CheckpointChannel(name=name, version=version, state=SET, value=payload(value))


def unchanged(name: str, version: str) -> pb.CheckpointChannel:
    return pb.CheckpointChannel(name=name, version=version, state=UNCHANGED)


def empty(name: str, version: str) -> pb.CheckpointChannel:
    return pb.CheckpointChannel(name=name, version=version, state=EMPTY)


def checkpoint(name: str, *channels: pb.CheckpointChannel, thread: str = "t", **fields: Any) -> pb.PutCheckpointRequest:
    made = pb.Checkpoint(
        thread=thread,
        checkpoint=name,
        channels=channels,
        body=payload(b"body of " + name.encode()),
        metadata=payload(b"metadata of " + name.encode()),
        **fields,
    )
    return pb.PutCheckpointRequest(checkpoint=made)


def written(task: str, index: int, value: bytes, path: str = "") -> pb.CheckpointWrite:
    return pb.CheckpointWrite(task=task, index=index, channel="c", task_path=path, value=payload(value))


def writes(name: str, *of_it: pb.CheckpointWrite, thread: str = "t", namespace: str = "") -> pb.PutWritesRequest:
    return pb.PutWritesRequest(thread=thread, namespace=namespace, checkpoint=name, writes=of_it)


def values(found: pb.Checkpoint) -> dict[str, bytes | None]:
    """What its channels have."""
    return {one.name: one.value.data if one.state == SET else None for one in found.channels}


class Scanned(Protocol):
    """A store to look into."""

    def scan(self, family: Family, /, *, prefix: bytes = b"") -> Any: ...


class Rejected(Exception):
    """The core said no."""


class WritingCore:
    """Applies control writes; with `left` it stops after so many, as a process that is killed."""

    def __init__(self, write: Any) -> None:
        self._write = write
        self.left: int | None = None
        self.records: list[tuple[str, str, Mapping[str, Any]]] = []
        self.unsynced = 0

    def apply(self, command: bytes) -> bytes:
        decoded = command_pb2.Command.FromString(command)
        control = decoded.control_write
        if self.left == 0:
            refused = command_pb2.Rejection(reason="STORE_UNAVAILABLE", message="killed")
            return command_pb2.CommandResult(rejection=refused).SerializeToString()
        if self.left is not None:
            self.left -= 1
        if control.HasField("record"):
            detail = dict(control.record.detail.items())
            self.records.append((decoded.caller.tenant, control.record.subject, detail))
        self.unsynced = 0 if control.power else self.unsynced + 1
        units: list[Write] = [(w.family, w.key, w.value if w.HasField("value") else None) for w in control.writes]
        self._write(units)
        return command_pb2.CommandResult(done=command_pb2.Done()).SerializeToString()

    def snapshot(self, query: bytes | None = None) -> bytes:
        raise AssertionError("nothing asks for it")


def garbage(store: Scanned, tenant: str) -> list[bytes]:
    """Incarnations that are marked as garbage."""
    prefix = keys.checkpoint_garbage(tenant)
    return [key[len(prefix) :] for key, _ in store.scan(Family.CHECKPOINTS, prefix=prefix)]


def check_whole(store: Scanned, tenant: str) -> None:
    """Everything in the family belongs to something: sizes and counts are right, and no value is there for nothing."""
    pairs = dict(store.scan(Family.CHECKPOINTS, prefix=keys.text(tenant)))
    threads = {}
    for key in [key for key in pairs if key.startswith(keys.checkpoint_threads(tenant))]:
        record = checkpoint_pb2.CheckpointThreadRecord.FromString(pairs.pop(key))
        threads[record.incarnation] = record
    made: set[bytes] = set()
    for incarnation, record in threads.items():
        prefix = keys.checkpoint_data(tenant, incarnation)
        data = {key: pairs.pop(key) for key in list(pairs) if key.startswith(prefix)}
        assert sum(len(key) + len(value) for key, value in data.items()) == record.size_bytes
        checkpoints = [key for key in data if key.startswith(keys.checkpoints(tenant, incarnation))]
        assert len(checkpoints) == record.checkpoints
        used: set[bytes] = set()
        for key in checkpoints:
            stored = checkpoint_pb2.CheckpointRecord.FromString(data[key])
            namespace_and_id = key[len(keys.checkpoints(tenant, incarnation)) :]
            namespace = namespace_and_id[2 : 2 + int.from_bytes(namespace_and_id[:2], "big")].decode()
            values_of_it = keys.checkpoint_values(tenant, incarnation, namespace)
            used |= {values_of_it + keys.checkpoint_value(c.name, c.digest) for c in stored.channels if c.digest}
            if stored.run:
                made.add(keys.checkpoint_run(tenant, stored.run, incarnation) + namespace_and_id)
        stored_values = {key[:-4] for key in data if key.startswith(prefix + b"v")}
        assert stored_values == used, "values that nothing refers to, or that are missing"
    assert {key for key in pairs if key.startswith(keys.text(tenant) + b"r")} == made
    assert not pairs.keys() - made, "something belongs to no thread"
