"""Copying a thread. A generator as in `removing`, for which nobody changes source or target until its last step.

The copy is made as garbage, which nobody can see and which is swept up when the sidecar stops in the middle. With the
last unit it stops to be garbage and is the target. A target that is there is not mixed with or replaced: unless it is a
copy of the same state of the source already, which a repeated request finds, the caller has to delete it first.
"""

from __future__ import annotations

from collections.abc import Iterator

from fairlead.checkpoint.changes import Ledger, write
from fairlead.checkpoint.removing import sweep
from fairlead.checkpoint.store import ThreadData, checkpoint_of
from fairlead.control.errors import Refusal
from fairlead.control.identity import Identity
from fairlead.internal.v1 import checkpoint_pb2 as records
from fairlead.internal.v1 import command_pb2
from fairlead.store import keys

STEP_BYTES = 1 << 20


def copy_thread(ledger: Ledger, caller: Identity, source: str, target: str, incarnation: bytes) -> Iterator[int]:
    """Copies everything into a new incarnation; yields how many checkpoints there are at the last step."""
    tenant = caller.tenant
    original = ledger.threads.get(tenant, source)
    if original is None:
        raise Refusal("NOT_FOUND", f"thread {source} is not known", {"thread": source})
    state = records.CopiedThread(incarnation=original.incarnation, revision=original.revision)
    found = ledger.threads.get(tenant, target)
    if found is not None:
        if found.revision == 0 and found.copied_from == state:
            yield original.checkpoints
            return
        message = f"thread {target} is there already: delete it first, or copy to another one"
        raise Refusal("INVALID_STATE", message, {"thread": target})
    with ledger.usage.changing(tenant, 1, original.size_bytes, ledger.settings()):
        marker = keys.checkpoint_garbage(tenant, incarnation)
        ledger.commit(caller, [write(marker, b"")], power=False)
        try:
            for writes in _steps(ThreadData(ledger.reader, tenant, original.incarnation), target, incarnation):
                ledger.commit(caller, writes, power=False)
                yield 0
            copy = records.CheckpointThreadRecord(
                incarnation=incarnation,
                size_bytes=original.size_bytes,
                checkpoints=original.checkpoints,
                copied_from=state,
            )
            value = copy.SerializeToString(deterministic=True)
            # Everything before it is durable with it.
            ledger.commit(caller, [write(marker, None), write(keys.checkpoint_thread(tenant, target), value)])
        except Refusal:
            yield from sweep(ledger, caller, incarnation)
            raise
    yield original.checkpoints


def _steps(source: ThreadData, target: str, incarnation: bytes) -> Iterator[list[command_pb2.Write]]:
    """The writes of the copy, in steps."""
    copy = ThreadData(source.reader, source.tenant, incarnation)
    here = keys.checkpoint_data(source.tenant, source.incarnation)
    there = keys.checkpoint_data(source.tenant, incarnation)
    checkpoints = keys.checkpoints(source.tenant, source.incarnation)
    writes: list[command_pb2.Write] = []
    size = 0
    for key, value in source.pairs():
        writes.append(write(there + key[len(here) :], value))
        size += len(key) + len(value)
        if key.startswith(checkpoints):
            run = records.CheckpointRecord.FromString(value).run
            if run:
                namespace, checkpoint = checkpoint_of(key, checkpoints)
                writes.append(write(copy.run_key(run, namespace, checkpoint), target.encode()))
        if size >= STEP_BYTES:
            yield writes
            writes, size = [], 0
    if writes:
        yield writes
