"""`audit`: what the audit log keeps of prompts and answers, and where it goes besides the store."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from fairlead.config.sections.base import Listed, Section
from fairlead.config.sections.exporters import Exporter
from fairlead.config.sections.secret import SecretRef
from fairlead.config.violation import Path


def _served(value: Any) -> Any:
    if value in ("redacted", "full"):
        raise PydanticCustomError("unavailable", f"{value} is not available in this version: only digest is")
    return value


class Audit(Section):
    """The audit log."""

    content: Annotated[Literal["digest"], BeforeValidator(_served)] = Field(
        default="digest", description="digest: SHA-256 and size of prompts and answers, never their text"
    )
    signing_key: SecretRef | None = Field(
        default=None,
        description="Ed25519 key in PEM (PKCS #8) that signs checkpoints; without it the sidecar makes one in its data "
        "directory",
    )
    exporters: Listed[Exporter] = Field(
        default=(), max_length=16, description="destinations that get every record besides the store"
    )

    def rules(self) -> Iterator[tuple[Path, str]]:
        """No two write into the same place."""
        places: dict[str, str] = {}
        for index, exporter in enumerate(self.exporters):
            place = {"file": exporter.path, "stdout": ""}.get(exporter.kind)
            if place is None:
                continue
            if place in places:
                key = "path" if place else "kind"
                yield ("exporters", index, key), f"is where exporter {places[place]} writes to"
            places.setdefault(place, exporter.name)
