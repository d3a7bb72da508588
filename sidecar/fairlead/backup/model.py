"""What a backup is: the files of one checkpoint of the store, and a manifest that names each with its SHA-256.

As a directory, or as a tar archive with the same names; the manifest is written last, so what has none is not whole:

    manifest.json        db/CURRENT        db/MANIFEST-000005        db/000015.sst        …

INVARIANT (B1): a manifest is there only when every file is, and the log in the files ends with the record that the
manifest names. Pure: no I/O, no clock.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

FORMAT = 1
MANIFEST = "manifest.json"
# A manifest of a million files is smaller; what is larger was not written by this program.
MANIFEST_MAX_BYTES = 256 << 20
HASH_BYTES = 32
# The directory of the database, and the only one there is.
DATABASE = "db"
_NAME = re.compile(rf"{DATABASE}/[A-Za-z0-9][A-Za-z0-9._-]{{0,254}}")


class BackupError(Exception):
    """A backup cannot be made, is not whole, or cannot be used. Messages name the file and say what to do."""


@dataclass(frozen=True, slots=True)
class BackupFile:
    """One file: its name in the backup, its size in bytes, and the SHA-256 of its content."""

    name: str
    size_bytes: int
    sha256: bytes


@dataclass(frozen=True, slots=True)
class Moment:
    """The store at one moment: when that was (Unix nanoseconds), and the end of its audit log.

    Sequence 0 and an empty hash when the log has no record.
    """

    time_unix_nanos: int
    audit_sequence: int
    audit_head: bytes

    def head(self) -> str:
        """The log's end as `fairlead audit verify` prints it."""
        return f"{self.audit_sequence}:{self.audit_head.hex()}" if self.audit_sequence else "empty"

    def time(self) -> str:
        """When that was, as RFC 3339 in UTC."""
        return _timestamp(self.time_unix_nanos).ToJsonString()


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything about a backup but its files' content."""

    moment: Moment
    program_version: str
    store_format: str
    files: tuple[BackupFile, ...]

    @property
    def size_bytes(self) -> int:
        """Size of all files together."""
        return sum(file.size_bytes for file in self.files)

    def to_json(self) -> bytes:
        """As it is kept."""
        fields = {
            "format": FORMAT,
            "create_time": self.moment.time(),
            "program_version": self.program_version,
            "store_format": self.store_format,
            "audit_sequence": self.moment.audit_sequence,
            "audit_head": self.moment.audit_head.hex(),
            "files": [
                {"name": file.name, "bytes": file.size_bytes, "sha256": file.sha256.hex()} for file in self.files
            ],
        }
        return json.dumps(fields, indent=1).encode() + b"\n"

    @classmethod
    def from_json(cls, content: bytes) -> Manifest:
        """Reads what was kept; raises BackupError."""
        try:
            fields = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise BackupError(f"{MANIFEST} is not JSON: the backup is damaged") from error
        found = fields.get("format") if isinstance(fields, dict) else None
        if found != FORMAT:
            raise BackupError(
                f"{MANIFEST} has format version {found!r}; this program knows {FORMAT}: "
                "use the version of fairlead that made the backup"
            )
        try:
            return cls._of(fields)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BackupError(f"{MANIFEST} is not complete: the backup is damaged") from error

    @classmethod
    def _of(cls, fields: Mapping[str, Any]) -> Manifest:
        created = Timestamp()
        created.FromJsonString(fields["create_time"])
        files = tuple(
            BackupFile(checked_name(entry["name"]), _size(entry["bytes"]), _digest(entry["sha256"]))
            for entry in fields["files"]
        )
        if len({file.name for file in files}) != len(files):
            raise ValueError("a file is named twice")
        sequence = _size(fields["audit_sequence"])
        head = _digest(fields["audit_head"]) if sequence else b""
        moment = Moment(created.ToNanoseconds(), sequence, head)
        return cls(moment, str(fields["program_version"]), str(fields["store_format"]), files)


def checked_name(name: str) -> str:
    """The name of a file of a backup; raises ValueError for what could leave its directory."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not the name of a file of a backup")
    return name


def _timestamp(unix_nanos: int) -> Timestamp:
    stamp = Timestamp()
    stamp.FromNanoseconds(unix_nanos)
    return stamp


def _size(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError("not a size")
    return value


def _digest(value: Any) -> bytes:
    digest = bytes.fromhex(value)
    if len(digest) != HASH_BYTES:
        raise ValueError("not a SHA-256")
    return digest
