"""What was acknowledged is there: across `kill -9`, and across faults that come and go."""

import random
import subprocess
import sys
import threading
from pathlib import Path

from fairlead.store import Family, StoreUnavailable, open_store

from .test_writer import Bench, put

ROOT = Path(__file__).parents[3]
SEED = 20_261_121

PROGRAM = """
import sys
from pathlib import Path
from fairlead.store import Family, open_store
from fairlead.store.writer import CommitWriter
from tests.unit.store.fake_core import FakeCore
core, store = FakeCore(), open_store(Path(sys.argv[1]))
CommitWriter(core, store, committed=lambda n: None, available=lambda on, why: None, fault=print).start()
n = int(sys.argv[2])
while True:
    assert core.commit((Family.AUDIT, n.to_bytes(8, "big"), b"x" * 500), (Family.STATE, b"n", b"%d" % n))
    print(n, flush=True)
    n += 1
"""


def test_a_kill_at_any_moment_loses_nothing_acknowledged(tmp_path: Path) -> None:
    choose = random.Random(SEED)
    first = 1
    for _ in range(4):
        with subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(tmp_path), str(first)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={"PYTHONPATH": f"{ROOT}:{ROOT / 'sidecar'}"},
        ) as child:
            assert child.stdout is not None
            for _ in range(choose.randrange(1, 300)):
                assert child.stdout.readline()
            child.kill()
            # What it managed to say before it was gone counts, too; the last line may be torn.
            last = max(int(line) for line in ["0", *child.stdout] if line.endswith("\n") or line == "0")
        with open_store(tmp_path) as store:
            numbers = [int.from_bytes(key, "big") for key, _ in store.scan(Family.AUDIT)]
            # A prefix without a hole, and a unit is there as a whole.
            assert numbers == list(range(1, len(numbers) + 1))
            assert numbers[-1] >= last
            assert store.get(Family.STATE, b"n") == b"%d" % numbers[-1]
        first = numbers[-1] + 1


def test_faults_that_come_and_go_lose_nothing_acknowledged(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.writer.start()
    acknowledged: list[int] = []
    refused: list[int] = []

    def caller(number: int) -> None:
        for turn in range(150):
            n = number * 1000 + turn
            done = bench.core.commit(put(n.to_bytes(8, "big"), family=Family.AUDIT), power=n % 3 == 0)
            (acknowledged if done else refused).append(n)

    callers = [threading.Thread(target=caller, args=(number,)) for number in range(4)]
    choose = random.Random(SEED)
    for thread in callers:
        thread.start()
    for _ in range(6):
        bench.recovered.clear()
        bench.changed.clear()
        where = choose.choice(["write_fault", "flush_fault"])
        setattr(bench.store, where, StoreUnavailable("no space"))
        # A write in the flush case lets the fault be found.
        bench.core.commit(put(b"probe"), power=True)
        assert bench.changed.wait(10)
        setattr(bench.store, where, None)
        assert bench.recovered.wait(10)
    for thread in callers:
        thread.join(30)
    bench.close()
    assert refused
    assert not bench.faults
    with open_store(tmp_path) as store:
        stored = {int.from_bytes(key, "big") for key, _ in store.scan(Family.AUDIT)}
    assert set(acknowledged) <= stored
