"""Power cuts: everything that was not synced may be gone, and what was acknowledged as durable must not be.

A process (`unplugged.py`) commits through the real core, writer and store in both classes of durability, and is killed
at a random moment. A kill leaves in the files what the operating system had; a power cut leaves less. So each
write-ahead log is cut to a random length between what a flush had synced and what was written, or the rest of it is
zeros, or there is a hole in it, or a file that was never synced is gone. What a table or the manifest holds is not
touched: RocksDB syncs them, and before them the logs that they replace, which the test counts as synced therefore:

    a log is synced as far as the last flush that has returned found it when it began; all of it when there is a table
    younger than the log's successor, because a family is flushed only after the logs closed by then were synced

Then the store has to open, the chain to hold without a gap, each unit to be there whole or not at all, and everything
that was acknowledged as durable, or before a flush that has returned, to be in it: control writes, calls, and runs with
their results, votes and signals. Four cuts follow one another on the same directory. FAIRLEAD_POWER_SEED repeats one,
FAIRLEAD_POWER_RUNS makes more.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fairlead.audit.model import parse_record
from fairlead.audit.store import AuditLog, Invocations
from fairlead.audit.verification import verify_store
from fairlead.store import Family, Store, keys, open_store
from tests.property import unplugged_runs
from tests.property.unplugged import FAMILIES, PREFIX, SUBJECT

ROOT = Path(__file__).parents[2]
CUTS = 4
MOST_LINES = 1000
PAGE = 4096


def seeds() -> list[int]:
    """The seeds of this run; the same every time in CI."""
    if given := os.environ.get("FAIRLEAD_POWER_SEED"):
        return [int(given)]
    runs = int(os.environ.get("FAIRLEAD_POWER_RUNS", "3"))
    choose = random.Random(20_261_121 if "CI" in os.environ else None)
    return [choose.randrange(1 << 32) for _ in range(runs)]


@dataclass
class Journal:
    """What the process said until it was killed."""

    synced: dict[str, int] = field(default_factory=dict)
    """How much of each log the flushes that have returned made durable."""
    durable: set[str] = field(default_factory=set)
    """Control writes, invocations, and what was said about runs, that a power cut must not take."""
    highest: int = 0
    """Highest sequence of them."""

    def read(self, lines: list[str]) -> None:
        """Takes all lines, the oldest first."""
        written: list[tuple[int, str]] = []
        # How much of that was acknowledged when a flush began.
        begun: dict[str, int] = {}
        for line in lines:
            word, _, rest = line.partition(" ")
            if word == "b":
                begun[rest] = len(written)
            elif word == "f":
                flush, _, sizes = rest.partition(" ")
                for log, size in json.loads(sizes).items():
                    self.synced[log] = max(size, self.synced.get(log, 0))
                self._keep(written[: begun[flush]])
            elif word == "a":
                sequence, kind, name = rest.split()
                written.append((int(sequence), name))
                if kind == "power":
                    self._keep(written[-1:])
            else:
                raise AssertionError(line)

    def _keep(self, units: list[tuple[int, str]]) -> None:
        for sequence, name in units:
            self.durable.add(name)
            self.highest = max(self.highest, sequence)


def run_and_kill(data: Path, seed: int, choose: random.Random) -> Journal:
    """One life of the process, killed after a random number of lines."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.property.unplugged", str(data), str(seed)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'sidecar'}"},
    ) as child:
        assert child.stdout is not None
        try:
            lines = [child.stdout.readline() for _ in range(choose.randrange(2, MOST_LINES))]
            assert child.poll() is None, "it has ended by itself"
        finally:
            child.kill()
        lines += child.stdout
    # The last one may be torn.
    journal = Journal()
    journal.read([line.rstrip("\n") for line in lines if line.endswith("\n")])
    return journal


def number(path: Path) -> int:
    return int(path.stem)


def cut_power(database: Path, synced: dict[str, int], choose: random.Random) -> list[str]:
    """Takes away what was not synced; says what."""
    logs = sorted(database.glob("*.log"), key=number)
    youngest_table = max((number(path) for path in database.glob("*.sst")), default=0)
    said = []
    for log, successor in zip(logs, [*logs[1:], None], strict=True):
        size = log.stat().st_size
        if successor is not None and youngest_table > number(successor):
            continue
        safe = synced.get(log.name, 0)
        assert safe <= size
        kept = choose.choice([safe, choose.randint(safe, size)])
        harm = choose.choice(["cut", "zeros", "hole", "gone"])
        if harm == "gone" and safe == 0:
            log.unlink()
        elif harm == "hole":
            # Pages reach the disk in any order.
            with log.open("r+b") as file:
                file.seek(kept)
                file.write(bytes(min(choose.choice([PAGE, 8 * PAGE]), size - kept)))
        else:
            os.truncate(log, kept)
            if harm == "zeros":
                # The file system had made room, but the data never came.
                os.truncate(log, size)
        said.append(f"{log.name}: {safe} of {size} synced, {kept} kept, {harm}")
    return said


def units(store: Store) -> set[str]:
    """What the log tells of, by the names of the journal; what was written with each record has to be there."""
    told: set[str] = set()
    log = AuditLog(store)
    sequence = 0
    while records := log.after(sequence, 512, 1 << 20):
        for stored in records:
            sequence = stored.sequence
            record = parse_record(stored.record_bytes)
            if record.control_changed.subject == SUBJECT:
                detail = dict(record.control_changed.detail)
                key = bytes.fromhex(str(detail["key"]))
                found = {int(family) for family in FAMILIES if store.get(family, key) is not None}
                assert found == set(detail["families"]), f"record {sequence} is there, its unit is not whole"
                told.add(key.hex())
            elif record.HasField("decision"):
                assert Invocations(store).find(record.invocation) is not None, f"record {sequence} without its call"
                told.add(record.invocation)
            elif (name := unplugged_runs.told(store, record)) is not None:
                told.add(name)
    return told


@pytest.mark.parametrize("seed", seeds())
def test_a_power_cut_takes_nothing_that_was_acknowledged_as_durable(memory: Path, seed: int) -> None:
    print(f"FAIRLEAD_POWER_SEED={seed}")
    choose = random.Random(seed)
    durable: set[str] = set()
    highest = 0
    for cut in range(CUTS):
        journal = run_and_kill(memory, seed + cut, choose)
        lost = cut_power(memory / "db", journal.synced, choose)
        context = f"seed {seed}, cut {cut}: {lost}"
        durable |= journal.durable
        highest = max(highest, journal.highest)
        with open_store(memory) as store:
            verification = verify_store(store)
            assert verification.valid, f"{verification.problem}; {context}"
            assert verification.head_sequence >= highest, context
            assert [keys.audit_sequence(key) for key, _ in store.scan(Family.AUDIT)] == list(
                range(1, verification.head_sequence + 1)
            ), context
            told = units(store)
            assert durable <= told, f"{len(durable - told)} durable units are gone; {context}"
            # And nothing is there that no record tells of.
            for family in FAMILIES:
                assert {key.hex() for key, _ in store.scan(family, prefix=PREFIX)} <= told, context
        # A sequence that was lost is given again.
        highest = verification.head_sequence
