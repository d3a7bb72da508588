"""Looks into the store of a backup: can this program open it, and does its log hold up to the manifest's head?"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import BinaryIO

from fairlead.audit.model import Verification
from fairlead.audit.verification import verify_store
from fairlead.backup.model import BackupError, Manifest
from fairlead.backup.reading import unpack
from fairlead.store import Store, StoreError, StoreUnavailable, open_store
from fairlead.store.lock import DirectoryLock


def verify(backup: str, standard_input: BinaryIO) -> tuple[Manifest, Verification]:
    """Checks everything about a backup and changes nothing in it; raises BackupError, OSError.

    An archive is unpacked for it into the directory for temporary files (TMPDIR), which takes its size there.
    """
    with tempfile.TemporaryDirectory(prefix="fairlead-backup-") as scratch:
        place = Path(scratch)
        manifest = unpack(backup, place, standard_input, link=True)
        # A reader of a stopped daemon's directory takes its lock: there has to be one.
        DirectoryLock(place).release()
        with opened(place, read_only=True) as store:
            return manifest, check_log(store, manifest)


def opened(data: Path, *, read_only: bool) -> Store:
    """The store of an unpacked backup; raises BackupError when this program cannot use it."""
    try:
        return open_store(data, read_only=read_only)
    except StoreError as error:
        raise BackupError(f"the store of the backup cannot be opened: {error}") from error


def check_log(store: Store, manifest: Manifest) -> Verification:
    """Recomputes the audit log's chain; raises BackupError unless it ends with the record that the manifest names."""
    moment = manifest.moment
    try:
        verification = verify_store(store)
    except StoreUnavailable as error:
        raise BackupError(f"the store of the backup cannot be read: {error}") from error
    if not verification.valid:
        raise BackupError(
            f"the audit log does not hold at record {verification.first_invalid_sequence}: {verification.problem}"
        )
    if (verification.head_sequence, verification.head_hash) != (moment.audit_sequence, moment.audit_head):
        raise BackupError(
            f"the audit log ends with {verification.head_sequence}:{verification.head_hash.hex()}, the manifest says "
            f"{moment.head()}"
        )
    return verification
