"""The durable part of `make bench`; `python -m bench.durable.run` measures it alone and prints it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from bench.durable import configuration, steps, waiting
from bench.processes import Sidecar, build
from bench.results import Result, table


def measured() -> list[Result]:
    """Every figure. FAIRLEAD_WAITING=0 leaves the waiting runs out, which take a minute or two."""
    with tempfile.TemporaryDirectory(prefix="fairlead-bench-") as name:
        for part in ("steps", "waiting"):
            (Path(name) / part).mkdir()
        sidecar = Sidecar(Path(name) / "steps", configuration.text())
        sidecar.start()
        try:
            results = steps.speed(sidecar)
        finally:
            sidecar.kill()
        return [*results, *steps.disk(), *waiting.measured(Path(name) / "waiting")]


if __name__ == "__main__":
    build()
    print(table(measured()))
