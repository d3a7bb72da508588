"""Configuration versions in the store: their texts, their history and which one runs.

Family `config`:
- `v` ‖ version → canonical JSON. Texts are never deleted: records of the audit log name them for ever.
- `h` ‖ u64 big-endian → `ConfigVersion`, one entry for each version, at the place of its latest start. A version that
  runs again moves to the end; the order of all starts is in the audit log.
- `current` → the version that runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Protocol

from fairlead.control.errors import Refusal, invalid_argument
from fairlead.internal.v1 import command_pb2
from fairlead.v1 import config_service_pb2 as pb

CONFIG = 3
CURRENT = b"current"
PREFIX_MIN_CHARACTERS = 6
_PREFIX = re.compile(r"[0-9a-f]{1,64}")


class Reader(Protocol):
    """What is needed of the store."""

    def get(self, family: int, key: bytes, /) -> bytes | None:
        """The value of a key, or None."""
        ...

    def scan(
        self, family: int, /, *, prefix: bytes = b"", reverse: bool = False, limit: int | None = None
    ) -> Iterable[tuple[bytes, bytes]]:
        """The pairs whose key begins with `prefix`, in key order or backwards, at most `limit`."""
        ...


class ConfigVersions:
    """Reads versions and computes what an application writes. Every method blocks for the length of a read."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def current(self) -> str:
        """The version that was applied last; empty before the first."""
        return (self._reader.get(CONFIG, CURRENT) or b"").decode()

    def text(self, version: str) -> str | None:
        """The canonical text of a whole version."""
        value = self._reader.get(CONFIG, b"v" + version.encode())
        return None if value is None else value.decode()

    def history(self) -> Iterator[tuple[int, pb.ConfigVersion]]:
        """Every version with the counter of its latest start, the latest first."""
        current = self.current()
        for key, value in self._reader.scan(CONFIG, prefix=b"h", reverse=True):
            entry = pb.ConfigVersion.FromString(value)
            entry.active = entry.version == current
            yield int.from_bytes(key[1:], "big"), entry

    def find(self, prefix: str, field: str = "version") -> pb.ConfigVersion:
        """The version that begins with the prefix, the running one for an empty prefix; raises `Refusal`."""
        wanted = prefix or self.current()
        if _PREFIX.fullmatch(wanted) is None or len(wanted) < PREFIX_MIN_CHARACTERS:
            raise invalid_argument((field, f"must be at least {PREFIX_MIN_CHARACTERS} hex digits of a version"))
        found = [entry for _, entry in self.history() if entry.version.startswith(wanted)]
        if len(found) > 1:
            raise invalid_argument((field, f"{wanted} is the beginning of {len(found)} versions: give more digits"))
        if not found:
            raise Refusal("NOT_FOUND", f"no configuration version begins with {wanted}", {"version": wanted})
        return found[0]

    def previous(self) -> pb.ConfigVersion | None:
        """The version that ran before the running one, if any."""
        return next((entry for _, entry in self.history() if not entry.active), None)

    def writes(self, entry: pb.ConfigVersion, canonical: str) -> list[command_pb2.Write]:
        """What makes the version the running one; belongs into the unit that loads it."""
        stored = pb.ConfigVersion()
        stored.CopyFrom(entry)
        stored.ClearField("active")
        written = []
        last = 0
        for counter, other in self.history():
            last = max(last, counter)
            if other.version == entry.version:
                written.append(command_pb2.Write(family=CONFIG, key=_history_key(counter)))
        return [
            *written,
            command_pb2.Write(family=CONFIG, key=b"v" + entry.version.encode(), value=canonical.encode()),
            command_pb2.Write(
                family=CONFIG, key=_history_key(last + 1), value=stored.SerializeToString(deterministic=True)
            ),
            command_pb2.Write(family=CONFIG, key=CURRENT, value=entry.version.encode()),
        ]


def _history_key(counter: int) -> bytes:
    return b"h" + counter.to_bytes(8, "big")
