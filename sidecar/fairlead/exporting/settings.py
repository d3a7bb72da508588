"""Where the audit log goes: the exporters of the configuration with their secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from fairlead.notification.model import Retry
from fairlead.notification.signature import key_of

if TYPE_CHECKING:
    from fairlead.config import Config, ResolvedSecrets
    from fairlead.config.sections.exporters import ExporterKind


@dataclass(frozen=True, slots=True)
class Rotation:
    """When another file is begun, and how many are kept, the current one included."""

    size_bytes: int = 64 << 20
    age_nanos: int = 86_400_000_000_000
    files: int = 8


@dataclass(frozen=True, slots=True)
class Exporter:
    """An exporter, ready to run. Printing it shows no secret; the URL may be one."""

    name: str
    kind: ExporterKind
    from_start: bool = True
    # Signed checkpoints go out beside the records.
    checkpoints: bool = True
    batch_records: int = 64
    batch_bytes: int = 256 << 10
    # An exporter does not give up: the number of attempts means nothing.
    retry: Retry = Retry(1, 1_000, 60_000)  # noqa: RUF009 - immutable
    path: str = ""
    rotation: Rotation = Rotation()
    url: str = field(default="", repr=False)
    protocol: Literal["grpc", "http"] = "grpc"
    gzip: bool = True
    # A receiver takes whichever it knows.
    keys: tuple[bytes, ...] = field(default=(), repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    # PEM; None: the system's.
    trusted: str | None = field(default=None, repr=False)
    timeout_seconds: float = 10.0
    include_record: bool = False
    sample: float = 1.0


def exporters_of(config: Config, secrets: ResolvedSecrets) -> tuple[Exporter, ...]:
    """The exporters of a configuration, whose secrets have been read."""
    exporters = []
    for entry in config.audit.exporters:
        reached = secrets.exporters[entry.name]
        exporters.append(
            Exporter(
                name=entry.name,
                kind=entry.kind,
                from_start=entry.start == "first",
                checkpoints=entry.checkpoints and entry.kind != "otlp-traces",
                batch_records=entry.batch.records,
                batch_bytes=entry.batch.size,
                retry=Retry(1, entry.retry.initial, entry.retry.max),
                path=entry.path or "",
                rotation=Rotation(entry.rotate.size, entry.rotate.age * 1_000_000, entry.rotate.files),
                url=reached.url,
                protocol=entry.protocol,
                gzip=entry.compression == "gzip",
                keys=tuple(map(key_of, reached.signing)),
                headers=reached.headers,
                trusted=reached.trusted,
                timeout_seconds=entry.timeout / 1000,
                include_record=entry.include_record,
                sample=entry.sample,
            )
        )
    return tuple(exporters)
