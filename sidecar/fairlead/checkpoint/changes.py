"""A change of one thread: everything that becomes one commit unit, and what it does to the thread's size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf import struct_pb2

from fairlead.checkpoint.model import CheckpointSettings, ValueRef, first_piece, further_pieces
from fairlead.checkpoint.store import Reader, ThreadData, Threads
from fairlead.checkpoint.usage import Usage
from fairlead.control.commands import Core, apply_here
from fairlead.control.identity import Identity
from fairlead.internal.v1 import checkpoint_pb2 as records
from fairlead.internal.v1 import command_pb2
from fairlead.store import Family, keys
from fairlead.v1 import audit_record_pb2
from fairlead.v1 import checkpoint_service_pb2 as pb

Detail = dict[str, Any]
"""What a record says of a change: small, and nothing out of a payload."""


class Ledger:
    """What all changes need: the core, the totals and the bounds. For threads that may block."""

    def __init__(
        self,
        core: Core,
        reader: Reader,
        settings: Callable[[], CheckpointSettings],
        new_incarnation: Callable[[], bytes],
    ) -> None:
        self._core = core
        self.reader = reader
        self.threads = Threads(reader)
        self.usage = Usage(self.threads)
        self.settings = settings
        self.new_incarnation = new_incarnation

    def commit(
        self,
        caller: Identity,
        writes: list[command_pb2.Write],
        *,
        subject: str = "",
        detail: Detail | None = None,
        power: bool = True,
    ) -> None:
        """Commits a unit, with a record when it has a subject; raises `Refusal`."""
        control = command_pb2.ControlWrite(writes=writes, power=power)
        if subject:
            said = struct_pb2.Struct()
            said.update(detail or {})
            control.record.CopyFrom(audit_record_pb2.ControlChanged(subject=subject, detail=said))
        who = command_pb2.Caller(tenant=caller.tenant, agent=caller.agent)
        apply_here(self._core, command_pb2.Command(caller=who, control_write=control))


class ThreadChange:
    """Collects the writes of a unit. The caller keeps everybody else off the thread until it is committed."""

    def __init__(self, ledger: Ledger, caller: Identity, thread: str) -> None:
        self._ledger = ledger
        self._caller = caller
        self._thread = thread
        found = ledger.threads.get(caller.tenant, thread)
        self._is_new = found is None
        self.record = found or records.CheckpointThreadRecord(incarnation=ledger.new_incarnation())
        self.data = ThreadData(ledger.reader, caller.tenant, self.record.incarnation)
        self._writes: list[command_pb2.Write] = []
        self._grown_bytes = 0

    @property
    def is_new(self) -> bool:
        """True when the thread was not there."""
        return self._is_new

    @property
    def writes(self) -> int:
        """How many writes it has by now."""
        return len(self._writes)

    def put(self, key: bytes, value: bytes, old: bytes | None = None) -> None:
        """Writes a key of the thread's data; `old` is what it had."""
        self._write(key, value)
        self._grown_bytes += len(value) + (len(key) if old is None else -len(old))

    def delete(self, key: bytes, old_bytes: int) -> None:
        """Deletes a key of the thread's data whose value has that many bytes."""
        self._write(key, None)
        self._grown_bytes -= len(key) + old_bytes

    def put_pieces(self, key: bytes, payload: pb.CheckpointPayload) -> None:
        """Writes the pieces of a payload behind the first one."""
        for piece, data in further_pieces(payload):
            self.put(key + keys.checkpoint_piece(piece), data)

    def put_value(self, namespace: str, value: ValueRef, payload: pb.CheckpointPayload) -> None:
        """Writes a value of a channel, unless it is there."""
        key = self.data.value_key(namespace, value)
        if self.data.value(namespace, value) is None:
            self.put(key + keys.checkpoint_piece(0), first_piece(payload).SerializeToString())
            self.put_pieces(key, payload)

    def delete_one(self, key: bytes) -> None:
        """Deletes a key of the thread's data, if it is there."""
        value = self._ledger.reader.get(Family.CHECKPOINTS, key)
        if value is not None:
            self.delete(key, len(value))

    def delete_all(self, prefix: bytes) -> None:
        """Deletes every key of the thread's data that begins so."""
        for key, value in self.data.pairs(prefix):
            self.delete(key, len(value))

    def made_by(self, run: str, namespace: str, checkpoint: str, *, any_more: bool = True) -> None:
        """Says that a run made a checkpoint, or does not say so any more."""
        if run:
            self._write(self.data.run_key(run, namespace, checkpoint), self._thread.encode() if any_more else None)

    def commit(self, *, subject: str = "", detail: Detail | None = None, power: bool = True) -> None:
        """Commits what was collected, with the thread's record; raises `Refusal`. It can then collect again.

        A thread in which nothing is left is gone.
        """
        self.record.revision += 1
        self.record.size_bytes += self._grown_bytes
        is_left = self.record.size_bytes > 0
        self._write(
            keys.checkpoint_thread(self._caller.tenant, self._thread),
            self.record.SerializeToString(deterministic=True) if is_left else None,
        )
        more_threads = int(is_left) - int(not self._is_new)
        usage, settings = self._ledger.usage, self._ledger.settings()
        with usage.changing(self._caller.tenant, more_threads, self._grown_bytes, settings):
            self._ledger.commit(self._caller, self._writes, subject=subject, detail=detail, power=power)
        self._is_new, self._writes, self._grown_bytes = False, [], 0

    def _write(self, key: bytes, value: bytes | None) -> None:
        self._writes.append(write(key, value))


def write(key: bytes, value: bytes | None) -> command_pb2.Write:
    """A write of the family; no value deletes."""
    return command_pb2.Write(family=Family.CHECKPOINTS, key=key, value=value)
