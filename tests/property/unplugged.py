"""The process whose plug is pulled: the real core, writer and store, under load, with a journal of what was synced.

`python -m tests.property.unplugged DATA SEED` runs until it is killed and prints, one per line:

| line | means |
|---|---|
| `b NUMBER` | a flush of the write-ahead log begins |
| `f NUMBER {"000012.log": 4096, …}` | it has returned; the sizes are those of its beginning: that much is synced |
| `a SEQUENCE CLASS NAME` | acknowledged, `power` or `process`; NAME is the key of a control write, an invocation, or
something about a run (`unplugged_runs.py`) |
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

from fairlead.internal.v1 import command_pb2, engine_config_pb2
from fairlead.native import Core
from fairlead.store import Family, Store, recovery, tuning
from fairlead.store.lock import DirectoryLock
from fairlead.store.writer import CommitWriter
from fairlead.v1 import audit_record_pb2, gate_service_pb2
from tests.property import unplugged_runs
from tests.property.core import CALLER, OUTCOME
from tests.unit.workflow.life import config_of

# Families that a control write of this test writes to, all under the same key.
FAMILIES = (Family.STATE, Family.RUNS, Family.KEYS, Family.OUTBOX)
PREFIX = b"\0\0mpower-"
SUBJECT = "test.power"
KIB = 1 << 10


def say(line: str) -> None:
    """One write, so that lines of several threads do not mix."""
    os.write(1, line.encode() + b"\n")


class Journalling(Store):
    """A store that says what every flush has synced."""

    flushes = itertools.count()

    def flush_wal(self) -> None:
        """Flushes; what lay in the log before is synced then, what came meanwhile may not be."""
        sizes = {}
        for log in self.path.glob("*.log"):
            # One that is not needed any more goes at any time.
            with contextlib.suppress(FileNotFoundError):
                sizes[log.name] = log.stat().st_size
        # Two threads flush: the flusher, and the writer when it closes a log.
        number = next(self.flushes)
        say(f"b {number}")
        super().flush_wal()
        say(f"f {number} {json.dumps(sizes)}")


def main() -> None:
    """Runs until it is killed."""
    data, seed = Path(sys.argv[1]), int(sys.argv[2])
    # Small, so that many logs are closed and families flushed before it is killed.
    tuning.LOG_BYTES, tuning.SYNC_AHEAD_BYTES = 64 * KIB, 56 * KIB
    config = config_of(*(unplugged_runs.chain(number) for number in range(2)))
    config.limits.request_ids = config.limits.open_reservations = 1 << 20
    config.limits.open_approvals = 1_000_000
    core = Core(config.SerializeToString(), engine_config_pb2.Secrets().SerializeToString())
    data.mkdir(exist_ok=True)
    store = Journalling(data / "db", DirectoryLock(data), read_only=False)
    recovery.recover(core, store, time.time_ns())
    writer = CommitWriter(core, store, committed=lambda n: None, available=lambda on, why: None, fault=fail)
    writer.start()
    apply(core, start=command_pb2.Start(program_version="test"))
    callers = [threading.Thread(target=admissions, args=(core, seed, number)) for number in range(2)]
    callers += [threading.Thread(target=control_writes, args=(core, seed, number)) for number in range(2)]
    callers += [threading.Thread(target=runs, args=(core, store, seed, number)) for number in range(2)]
    for caller in callers:
        caller.start()


def fail(error: BaseException) -> None:
    """What must not happen: the parent finds no more lines."""
    say(f"fault {error}")
    os._exit(1)


def apply(core: Core, caller: command_pb2.Caller = CALLER, **command: Any) -> command_pb2.CommandResult:
    """Applies a command and waits for its commit."""
    given = command_pb2.Command(caller=caller, **command)
    result = OUTCOME.FromString(core.apply(given.SerializeToString()))
    if result.WhichOneof("result") == "rejection":
        fail(AssertionError(str(result.rejection)))
    return result


def admissions(core: Core, seed: int, number: int) -> None:
    """Admits and releases, in the class `process`."""
    turn = 0
    while True:
        turn += 1
        name = f"{seed}-{number}-{turn}"
        request = gate_service_pb2.AdmitRequest(request_id=name, run="r", input_tokens=1, max_output_tokens=1)
        result = apply(core, admit=request)
        say(f"a {result.sequence} process {result.admitted.invocation}")
        if turn % 8:
            end = gate_service_pb2.ReleaseRequest(request_id=f"{name}-end", invocation=result.admitted.invocation)
            apply(core, release=end)


def control_writes(core: Core, seed: int, number: int) -> None:
    """Writes in both classes, of sizes that fill one family before the other."""
    choose = random.Random(f"{seed}/{number}")
    turn = 0
    while True:
        turn += 1
        key = PREFIX + f"{seed}-{number}-{turn}".encode()
        power = choose.random() < 0.5
        value = bytes(choose.choice([10, 300, 3000]))
        # Not every family each time: they are flushed apart from each other.
        families = [FAMILIES[0], *(family for family in FAMILIES[1:] if choose.random() < 0.5)]
        record = audit_record_pb2.ControlChanged(subject=SUBJECT)
        record.detail.update({"key": key.hex(), "families": [int(family) for family in families]})
        writes = [command_pb2.Write(family=family, key=key, value=value) for family in families]
        change = command_pb2.ControlWrite(writes=writes, record=record, power=power)
        sequence = apply(core, control_write=change).sequence
        say(f"a {sequence} {'power' if power else 'process'} {key.hex()}")


def runs(core: Core, store: Store, seed: int, number: int) -> None:
    """Starts runs, and does, votes on and signals what they wait for; all of it in the class `power`."""
    unplugged_runs.runs(
        partial(apply, core), lambda sequence, name: say(f"a {sequence} power {name}"), store, seed, number
    )


if __name__ == "__main__":
    main()
