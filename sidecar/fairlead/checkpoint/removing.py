"""Deleting: threads, what runs made, what is old, and what is left of all that.

Everything here is a generator that commits something at every step and blocks for that long: the caller takes the steps
one by one, lets others in between, and keeps everybody else off the thread until the last one.

A thread is gone with its record; what was in it is garbage from that unit on, named by a marker, and swept up
afterwards, or after the next start when the sidecar stops in between. Old checkpoints go from the oldest on, each unit
with the values that nothing refers to after it, so that what is left is whole at every moment.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from fairlead.checkpoint.changes import Ledger, ThreadChange, write
from fairlead.checkpoint.model import Facts, ancestors_needed, removal
from fairlead.checkpoint.store import ThreadData, checkpoint_of
from fairlead.control.errors import Refusal
from fairlead.control.identity import Identity
from fairlead.internal.v1 import checkpoint_pb2 as records
from fairlead.internal.v1 import command_pb2
from fairlead.store import keys

# A step is about that many writes.
STEP_WRITES = 512

THREAD_DELETED = "checkpoints.thread_deleted"
PRUNED = "checkpoints.pruned"
RUNS_DELETED = "checkpoints.runs_deleted"


def delete_thread(ledger: Ledger, caller: Identity, thread: str) -> Iterator[int]:
    """Deletes a thread; yields how many checkpoints went at each step."""
    record = ledger.threads.get(caller.tenant, thread)
    if record is None:
        return
    gone = [
        write(keys.checkpoint_thread(caller.tenant, thread), None),
        write(keys.checkpoint_garbage(caller.tenant, record.incarnation), b""),
    ]
    detail = {"thread": thread, "checkpoints": record.checkpoints, "bytes": record.size_bytes}
    with ledger.usage.changing(caller.tenant, -1, -record.size_bytes, ledger.settings()):
        ledger.commit(caller, gone, subject=THREAD_DELETED, detail=detail)
    yield record.checkpoints
    yield from sweep(ledger, caller, record.incarnation)


def sweep(ledger: Ledger, caller: Identity, incarnation: bytes) -> Iterator[int]:
    """Deletes what is left of an incarnation, and its marker last."""
    data = ThreadData(ledger.reader, caller.tenant, incarnation)
    checkpoints = keys.checkpoints(caller.tenant, incarnation)
    while True:
        writes: list[command_pb2.Write] = []
        for key, value in data.pairs(limit=STEP_WRITES):
            writes.append(write(key, None))
            if key.startswith(checkpoints):
                run = records.CheckpointRecord.FromString(value).run
                if run:
                    namespace, checkpoint = checkpoint_of(key, checkpoints)
                    writes.append(write(data.run_key(run, namespace, checkpoint), None))
        if not writes:
            ledger.commit(caller, [write(keys.checkpoint_garbage(caller.tenant, incarnation), None)], power=False)
            return
        ledger.commit(caller, writes, power=False)
        yield 0


def prune(ledger: Ledger, caller: Identity, thread: str) -> Iterator[int]:
    """Keeps the latest checkpoint of every namespace, and what it needs; yields how many went at each step."""
    record = ledger.threads.get(caller.tenant, thread)
    if record is None:
        return
    data = ThreadData(ledger.reader, caller.tenant, record.incarnation)
    for namespace in list(data.namespaces()):
        facts = data.facts(namespace)
        latest = max(facts, key=str.encode, default="")
        kept = {latest} | ancestors_needed(facts, [latest])
        yield from _remove(ledger, caller, thread, namespace, facts, facts.keys() - kept, PRUNED, latest)


def delete_made_by(
    ledger: Ledger, caller: Identity, thread: str, incarnation: bytes, namespace: str, removed: Collection[str]
) -> Iterator[int]:
    """Deletes checkpoints of a namespace; raises `Refusal` when one that stays needs one of them."""
    record = ledger.threads.get(caller.tenant, thread)
    if record is None or record.incarnation != incarnation:
        return
    facts = ThreadData(ledger.reader, caller.tenant, incarnation).facts(namespace)
    going = facts.keys() & set(removed)
    if cut := going & ancestors_needed(facts, facts.keys() - going):
        needed = sorted(cut)[0]
        raise Refusal(
            "INVALID_STATE",
            f"checkpoint {needed} of thread {thread} is what channels of later ones are added up from: "
            "delete the thread, or the later runs, too",
            {"thread": thread, "checkpoint": needed},
        )
    yield from _remove(ledger, caller, thread, namespace, facts, going, RUNS_DELETED)


def _remove(
    ledger: Ledger,
    caller: Identity,
    thread: str,
    namespace: str,
    facts: dict[str, Facts],
    removed: Collection[str],
    subject: str,
    orphans_before: str = "",
) -> Iterator[int]:
    """Deletes checkpoints of a namespace, and writes on such as are not there with an id before a given one."""
    change = ThreadChange(ledger, caller, thread)
    gone = 0

    def commit() -> None:
        change.record.checkpoints -= gone
        detail = {"thread": thread, "namespace": namespace, "checkpoints": gone}
        change.commit(subject=subject, detail=detail)

    for checkpoint, unused in removal(facts, removed):
        change.delete_one(change.data.checkpoint_key(namespace, checkpoint))
        change.delete_all(change.data.writes_key(namespace, checkpoint))
        change.made_by(facts[checkpoint].run, namespace, checkpoint, any_more=False)
        for reference in unused:
            change.delete_all(change.data.value_key(namespace, reference))
        gone += 1
        if change.writes >= STEP_WRITES:
            commit()
            yield gone
            gone = 0
    for checkpoint, key, value in change.data.written_on(namespace) if orphans_before else ():
        if checkpoint not in facts and checkpoint.encode() < orphans_before.encode():
            change.delete(key, len(value))
            if change.writes >= STEP_WRITES:
                commit()
                yield gone
                gone = 0
    if change.writes:
        commit()
        yield gone
