"""`audit.exporters`: where the audit log goes besides the store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from fairlead.config.quantities import Duration, Size
from fairlead.config.sections.base import Name, OneOrMany, Section, no_repeats
from fairlead.config.sections.network import SECRET_HEADER, HeaderValue, Tls
from fairlead.config.sections.notifications import EXPOSED, SECRETS_MAX, ReceiverHeader, Url, is_exposed
from fairlead.config.sections.secret import AbsolutePath, SecretRef
from fairlead.config.violation import Path

ExporterKind = Literal["file", "stdout", "cloudevents", "otlp", "otlp-traces"]
_REMOTE = ("url", "headers", "tls", "insecure", "timeout")
# Keys that mean something with a kind only; the others are for all of them.
_OF_A_KIND: Mapping[str, tuple[str, ...]] = {
    "file": ("path", "rotate", "checkpoints"),
    "stdout": ("checkpoints",),
    "cloudevents": (*_REMOTE, "secret", "checkpoints"),
    "otlp": (*_REMOTE, "protocol", "compression", "include_record", "checkpoints"),
    "otlp-traces": (*_REMOTE, "protocol", "compression", "sample"),
}
_REQUIRED: Mapping[str, tuple[str, ...]] = {
    "file": ("path",),
    "cloudevents": ("url", "secret"),
    "otlp": ("url",),
    "otlp-traces": ("url",),
}


class Rotation(Section):
    """When a file is full, and how many are kept."""

    size: Annotated[int, Size("1KiB", "64GiB")] = Field(default=64 << 20, description="largest file")
    age: Annotated[int, Duration("1m", "366d")] = Field(
        default=86_400_000, description="longest time between the first record of a file and its last"
    )
    files: int = Field(
        default=8, ge=1, le=10_000, description="files that are kept, the one that is written to included"
    )


class ExportBatch(Section):
    """What goes out together. A single record may be larger."""

    records: int = Field(default=64, ge=1, le=1_000, description="most records")
    size: Annotated[int, Size("1KiB", "3MiB")] = Field(
        default=256 << 10, description="most bytes of records as they are stored"
    )


class ExportRetry(Section):
    """Waits between attempts. There is no last one."""

    initial: Annotated[int, Duration("10ms", "1h")] = Field(default=1_000, description="first wait; doubles up to max")
    max: Annotated[int, Duration("10ms", "1h")] = Field(default=60_000, description="longest wait between attempts")

    def rules(self) -> Iterator[tuple[Path, str]]:
        """It cannot begin with more than the longest."""
        if self.initial > self.max:
            yield ("initial",), "must not be longer than max"


class Exporter(Section):
    """One destination."""

    name: Name = Field(description="unique name; its position is remembered as the consumer export:NAME")
    kind: ExporterKind = Field(description="file, stdout, cloudevents, otlp or otlp-traces")
    start: Literal["first", "next"] = Field(
        default="first",
        description="where a name that is new begins: the first record of the log, or the next one that is written",
    )
    checkpoints: bool = Field(
        default=True,
        description="file, stdout, cloudevents, otlp: signed checkpoints go out beside the records",
    )
    batch: ExportBatch = Field(default=ExportBatch(), description="what goes out together")
    retry: ExportRetry = Field(default=ExportRetry(), description="waits between attempts")
    path: AbsolutePath | None = Field(default=None, description="file: absolute path of the file that is written to")
    rotate: Rotation = Field(default=Rotation(), description="file: when another one is begun, and how many are kept")
    url: Url | None = Field(
        default=None,
        description="cloudevents, otlp, otlp-traces: where to; a secret reference when the URL itself is a secret",
    )
    protocol: Literal["grpc", "http"] = Field(
        default="grpc", description="otlp, otlp-traces: grpc, or http with protobuf"
    )
    compression: Literal["none", "gzip"] = Field(default="gzip", description="otlp, otlp-traces: of requests")
    secret: Annotated[OneOrMany[SecretRef], AfterValidator(no_repeats)] = Field(
        default=(),
        max_length=SECRETS_MAX,
        description="cloudevents: signing secret, whsec_ and base64; while one is replaced, the old and the new one",
    )
    headers: dict[ReceiverHeader, HeaderValue] = Field(
        default={}, description="cloudevents, otlp, otlp-traces: further request headers: text, or a secret reference"
    )
    tls: Tls | None = Field(default=None, description="cloudevents, otlp, otlp-traces: trusted certificates")
    insecure: bool = Field(
        default=False, description="cloudevents, otlp, otlp-traces: true allows http to other machines"
    )
    timeout: Annotated[int, Duration("100ms", "5m")] = Field(
        default=10_000, description="cloudevents, otlp, otlp-traces: one attempt as a whole"
    )
    include_record: bool = Field(
        default=False, description="otlp: true sends the exact bytes of the record along, with everything in it"
    )
    sample: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="otlp-traces: share of traces that are sent; where the agent has decided, that counts",
    )

    def rules(self) -> Iterator[tuple[Path, str]]:
        """What is given means something, what is needed is there, nobody reads along, no credential is literal."""
        for name in _REQUIRED.get(self.kind, ()):
            if not getattr(self, name):
                yield (name,), f"is missing: kind: {self.kind} needs it"
        fields = type(self).model_fields
        for kind, names in _OF_A_KIND.items():
            for name in names if kind != self.kind else ():
                # A stored configuration has every default written out.
                if name not in _OF_A_KIND[self.kind] and getattr(self, name) != fields[name].default:
                    yield (fields[name].alias or name,), f"means nothing with kind: {self.kind}"
        if isinstance(self.url, str) and not self.insecure and is_exposed(self.url):
            yield ("url",), EXPOSED
        for name, value in self.headers.items():
            if isinstance(value, str) and SECRET_HEADER.search(name):
                yield ("headers", name), "looks like a credential: write {fromEnv: NAME} or {fromFile: /PATH}"
            if self.kind.startswith("otlp") and (name.startswith("grpc-") or name.endswith("-bin")):
                yield ("headers", name), "is a name that gRPC keeps for itself"
