"""Random runs of random workflows under random faults, through the core, its commit writer and the store on disk.

INVARIANT (W1) to (W7), seen from outside: whatever is killed at whatever boundary of a commit, whatever a power cut
takes, however late or often anything is said, and wherever the clock stands, runs end as if nothing had happened
(`simulation/oracles.py` says what that is). The same seed does the same again:

    FAIRLEAD_SIMULATION_SEED=7 pytest tests/property/test_run_simulation.py

FAIRLEAD_SIMULATION_RUNS makes more of them (thousands for a long run). The state machine alone is simulated by
native/engine/tests/specification/workflow_simulation.rs, much faster.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.property.simulation import oracles
from tests.property.simulation.world import World

TURNS, RUNS = 260, 9
SEEDS = 10


def seeds() -> list[int]:
    """The seeds of this run; the same ones every time."""
    if given := os.environ.get("FAIRLEAD_SIMULATION_SEED"):
        return [int(given)]
    return list(range(int(os.environ.get("FAIRLEAD_SIMULATION_RUNS", SEEDS))))


def ended(directory: Path, seed: int, *, faults: bool) -> World:
    """A world in which every run has ended."""
    directory.mkdir()
    world = World(directory, seed, faults=faults)
    world.on_restart = [oracles.what_was_acknowledged_is_there, oracles.the_books_are_right]
    if faults:
        world.chaos(TURNS, RUNS)
    else:
        world.to_start = list(range(RUNS))[::-1]
    world.calm()
    return world


@pytest.mark.parametrize("seed", seeds())
def test_interrupted_runs_end_as_if_nobody_had_interrupted_them(memory: Path, seed: int) -> None:
    print(f"FAIRLEAD_SIMULATION_SEED={seed}")
    world = ended(memory / "interrupted", seed, faults=True)
    print(f"{sum(world.deaths.values())} deaths: {dict(world.deaths)}, {world.refused_late} reports came too late")
    # Everything that was said is there after one more end of everything.
    world.restart()
    world.tick()
    oracles.everything_ended_well(world)
    oracles.the_log_tells_the_same(world)
    reference = ended(memory / "undisturbed", seed, faults=False)
    oracles.everything_ended_well(reference)
    oracles.same_as_uninterrupted(world, reference)
    for one in (world, reference):
        one.sidecar.end(power=False)
