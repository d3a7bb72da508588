"""One control plane for all tests: each makes namespaces of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .apiserver import Cluster, control_plane


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with control_plane(tmp_path_factory.mktemp("cluster")) as running:
        yield running
