"""A real database that really cannot write: a limit on the size of files makes it fail like a full disk.

It runs in a process of its own, because the limit would hit the output of the tests as well.
"""

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import resource, sys, threading
from pathlib import Path
from fairlead.store import Family, open_store
from fairlead.store.writer import CommitWriter, WriterSettings
from tests.unit.store.fake_core import FakeCore

def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

data = Path(sys.argv[1])
core, store = FakeCore(), open_store(data)
back = threading.Event()
writer = CommitWriter(core, store, committed=lambda n: None, available=lambda on, why: back.set() if on else None,
                      fault=lambda error: print("fault", error), settings=WriterSettings(retry_seconds=0.01))
writer.start()
acknowledged, value = [], bytes(1000)
limit(200_000)
for n in range(1000):
    if not core.commit((Family.AUDIT, n.to_bytes(8, "big"), value), power=n % 3 == 0):
        break
    acknowledged.append(n)
assert 50 < len(acknowledged) < 250, len(acknowledged)
assert store.get(Family.AUDIT, acknowledged[-1].to_bytes(8, "big")) == value, "reads go on"
limit(resource.RLIM_INFINITY)
assert back.wait(20)
assert {k for f, k, v in core.recovered if f == Family.AUDIT} <= {n.to_bytes(8, "big") for n in (n, acknowledged[-1])}
assert core.commit((Family.AUDIT, (5000).to_bytes(8, "big"), value), power=True)
writer.stop()
store.close()
with open_store(data) as store:
    stored = {int.from_bytes(key, "big") for key, _ in store.scan(Family.AUDIT)}
assert stored >= {*acknowledged, 5000}, sorted(set(acknowledged) - stored)
print("ok")
"""


def test_nothing_acknowledged_is_lost_when_the_disk_is_full(tmp_path: Path) -> None:
    root = Path(__file__).parents[3]
    child = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=root,
        env={**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{root / 'sidecar'}"},
    )
    assert child.stdout.splitlines()[-1:] == ["ok"], child.stdout + child.stderr
