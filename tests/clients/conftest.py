"""Builds the clients once, and lets each meet a sidecar of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.clients.building import Builds
from tests.clients.conversation import Scenes, converse, normalised
from tests.clients.languages import LEFT_OUT, Language, wanted
from tests.clients.sidecar import sidecar

Played = Callable[[Language], Scenes]


@pytest.fixture(scope="session")
def builds() -> Iterator[Builds]:
    with ThreadPoolExecutor(2) as pool:
        yield Builds(wanted(), pool)


@pytest.fixture(scope="session")
def played(builds: Builds, tmp_path_factory: pytest.TempPathFactory) -> Played:
    """What a client says in the scenes; each goes through them once."""
    known: dict[str, Scenes] = {}

    def play(language: Language) -> Scenes:
        if language.name not in known:
            builds.wait(language)
            with sidecar(tmp_path_factory.mktemp(language.name)) as daemon:
                known[language.name] = normalised(converse(language.run, daemon))
        return known[language.name]

    return play


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was left out is said, never passed over."""
    if left_out := os.environ.get(LEFT_OUT):
        terminalreporter.write_line(f"not tested, because {LEFT_OUT} says so: {left_out}", yellow=True)
