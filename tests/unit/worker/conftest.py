"""A service for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.worker.service import Service, serving


@pytest.fixture
def sidecar() -> Iterator[tuple[Service, str]]:
    """A service and its address."""
    with serving() as served:
        yield served
