"""From the files of a database to the parts of a backup: what the API streams, and what is kept offline as well."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from fairlead.backup.model import DATABASE, BackupError, Moment
from fairlead.store import FORMAT_VERSION
from fairlead.v1 import backup_service_pb2 as pb

# One part: small enough that reading and hashing it is over within a millisecond.
CHUNK_BYTES = 256 << 10
# RocksDB's lock and its own information log say nothing about what is stored.
_NOT_KEPT = ("LOCK", "LOG")


def parts(database: Path, moment: Moment, program_version: str) -> Iterator[pb.CreateBackupResponse]:
    """A backup of a database's directory, in which nothing changes meanwhile: a checkpoint, or a stopped one's.

    Every step of the iteration blocks for one read. Raises BackupError, OSError.
    """
    files = [(path, path.stat().st_size) for path in sorted(database.iterdir()) if _kept(path)]
    started = pb.BackupStarted(
        program_version=program_version,
        store_format=FORMAT_VERSION.decode(),
        audit_sequence=moment.audit_sequence,
        audit_head=moment.audit_head,
        files=len(files),
        bytes=sum(size for _, size in files),
    )
    started.create_time.FromNanoseconds(moment.time_unix_nanos)
    yield pb.CreateBackupResponse(started=started)
    for path, size in files:
        yield from _file(path, size)
    yield pb.CreateBackupResponse(end=pb.BackupEnd())


def _file(path: Path, size: int) -> Iterator[pb.CreateBackupResponse]:
    name = f"{DATABASE}/{path.name}"
    yield pb.CreateBackupResponse(file=pb.BackupFile(name=name, bytes=size))
    digest, left = hashlib.sha256(), size
    with path.open("rb") as file:
        while left:
            chunk = file.read(min(left, CHUNK_BYTES))
            if not chunk:
                raise BackupError(f"{path} became shorter while it was read")
            left -= len(chunk)
            digest.update(chunk)
            yield pb.CreateBackupResponse(data=chunk)
    yield pb.CreateBackupResponse(file_end=pb.BackupFileEnd(sha256=digest.digest()))


def _kept(path: Path) -> bool:
    return path.name.partition(".")[0] not in _NOT_KEPT and path.is_file()
