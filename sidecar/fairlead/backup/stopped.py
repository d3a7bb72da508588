"""A backup of a directory without a sidecar: its database as it lies there, with the directory held meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fairlead.audit.store import AuditLog
from fairlead.backup.model import Moment
from fairlead.backup.parts import parts
from fairlead.store import open_store
from fairlead.v1 import backup_service_pb2 as pb


@contextmanager
def stopped(data: Path, now_unix_nanos: int, program_version: str) -> Iterator[Iterator[pb.CreateBackupResponse]]:
    """The parts of a backup of the data directory of a sidecar that does not run, also of one that was killed.

    No sidecar can start on it until the context is left. Raises StoreError, StoreLocked while one runs,
    StoreUnavailable, Undecodable.
    """
    with open_store(data, read_only=True) as store:
        head = AuditLog(store).head()
        end = (0, b"") if head is None else (head.sequence, head.record_hash)
        yield parts(store.path, Moment(now_unix_nanos, *end), program_version)
