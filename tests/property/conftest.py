"""What property tests share."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

MEMORY = Path("/dev/shm")


@pytest.fixture
def memory() -> Iterator[Path]:
    """A directory in memory, where there is such a file system: for tests that know what is synced without a disk,
    which would only be slow."""
    made = Path(tempfile.mkdtemp(prefix="fairlead-", dir=MEMORY if MEMORY.is_dir() else None))
    yield made
    shutil.rmtree(made)
