"""Round trips of Admit from the example client of every language, one call after the other.

The sidecar has what every figure has: 100 rules, routing, three budgets, a rate limit and the durable audit log. By
itself: `python -m bench.clients`.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from bench import configuration
from bench.processes import ROOT, Sidecar, in_turns
from bench.results import Result, table
from tests.clients.building import Builds
from tests.clients.languages import RUST, RUST_TARGET, SEARCHED, Language, run, wanted

CALLS = 2000
REFERENCE = "python"
# Tests use the client in Rust as it is built fastest; here it is built to be fast.
OPTIMISED = ("cargo", "build", "--manifest-path", RUST, "--target-dir", RUST_TARGET, "--locked", "--quiet", "--release")


def build() -> None:
    """Builds the clients. Raises BuildFailed for what cannot be built."""
    languages = wanted()
    with ThreadPoolExecutor(2) as pool:
        builds = Builds(languages, pool)
        for language in languages:
            builds.wait(language)
    if any(language.name == "rust" for language in languages):
        run(OPTIMISED, "the client in rust could not be built for speed")


def measured() -> list[Result]:
    """The clients in turns, each beside the SDK for Python."""
    languages = wanted()
    with tempfile.TemporaryDirectory(prefix="fairlead-bench-") as name:
        sidecar = Sidecar(Path(name), _configuration())
        sidecar.start()
        try:
            calling: Sequence[Callable[[], dict[str, float]]] = [
                partial(_calling, language, sidecar) for language in languages
            ]
            figures = dict(zip((language.name for language in languages), in_turns(*calling), strict=True))
        finally:
            sidecar.kill()
    reference = figures[REFERENCE]["p50_us"]
    return [
        Result(f"Admit p50 from the client in {name}", found["p50_us"], "us", REFERENCE, found["p50_us"] / reference)
        for name, found in figures.items()
    ]


def _configuration() -> str:
    """The configuration of all figures, with the model that the clients ask for."""
    config = json.loads(configuration.text("127.0.0.1:9", "127.0.0.1:9"))
    model = next(model for model in config["models"] if model["name"] == "dev-small")
    config["models"].append({**model, "name": "small"})
    return json.dumps(config)


def _calling(language: Language, sidecar: Sidecar) -> dict[str, float]:
    """One run of a client."""
    environment = {
        **os.environ,
        "PATH": SEARCHED,
        "FAIRLEAD_ENDPOINT": sidecar.address,
        "FAIRLEAD_TOKEN": configuration.TOKEN,
        "FAIRLEAD_OPERATOR_SOCKET": str(sidecar.data / "admin.sock"),
    }
    program = language.run[0].replace(f"{RUST_TARGET}/debug", f"{RUST_TARGET}/release")
    command = [program, *language.run[1:], "--bench", str(CALLS)]
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
    said = json.loads(done.stdout)
    return {name: float(said[name]) for name in ("p50_us", "p99_us")}


if __name__ == "__main__":
    build()
    print(table(measured()))
