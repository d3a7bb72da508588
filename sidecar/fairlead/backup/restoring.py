"""A data directory out of a backup: all of it checked before anything gets the database's name.

| step | a failure leaves |
|---|---|
| the directory is empty and nobody uses it | the directory as it was |
| files are copied into `restoring/` and compared with the manifest | the directory as it was |
| the store is opened there, its log is verified, the restore is noted in it | the directory as it was |
| `restoring/db` becomes `db` | |

A restore that is killed leaves `restoring/`: the daemon does not start beside it, because it would start with nothing;
another restore takes it away.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import BinaryIO

from fairlead.audit.model import Verification
from fairlead.backup.model import DATABASE, BackupError, Manifest
from fairlead.backup.reading import unpack
from fairlead.backup.verification import check_log, opened
from fairlead.backup.writing import sync_directory
from fairlead.internal.v1 import state_pb2
from fairlead.store import RESTORING, Family, Store, keys
from fairlead.store.lock import NAME as LOCK
from fairlead.store.lock import DirectoryLock

# What a volume or an earlier try has in a directory that is empty for us.
_NOTHING = {"lost+found", LOCK, RESTORING}


def restore(backup: str, data: Path, standard_input: BinaryIO, now_unix_nanos: int) -> tuple[Manifest, Verification]:
    """Makes the data directory of a backup; returns what it is of.

    Raises StoreError when the directory is not empty or in use, BackupError for the backup, OSError.
    """
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    _refuse_used(data)
    with DirectoryLock(data):
        # Looked at again: now nobody can begin to use it.
        _refuse_used(data)
        staging = data / RESTORING
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(mode=0o700)
        try:
            manifest = unpack(backup, staging, standard_input)
            with opened(staging, read_only=False) as store:
                verification = check_log(store, manifest)
                _note(store, manifest, now_unix_nanos)
            sync_directory(staging / DATABASE)
            (staging / DATABASE).rename(data / DATABASE)
            sync_directory(data)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    return manifest, verification


class NotEmpty(BackupError):
    """There is something in the data directory, which a restore would replace."""


def _refuse_used(data: Path) -> None:
    for found in sorted(path.name for path in data.iterdir()):
        if found not in _NOTHING:
            raise NotEmpty(
                f"data directory {data} is not empty ({found} is there): restore into an empty one, and keep this one "
                "until you know that you do not need it"
            )


def _note(store: Store, manifest: Manifest, now_unix_nanos: int) -> None:
    """Lets the next start record the restore."""
    moment = manifest.moment
    record = state_pb2.RestoreRecord(
        restore_time_unix_nanos=now_unix_nanos,
        backup_time_unix_nanos=moment.time_unix_nanos,
        program_version=manifest.program_version,
        audit_sequence=moment.audit_sequence,
        audit_head=moment.audit_head,
    )
    store.write([(Family.STATE, keys.RESTORED, record.SerializeToString(deterministic=True))])
    store.flush_wal()
