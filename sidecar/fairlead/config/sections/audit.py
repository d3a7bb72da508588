"""`audit`: what the audit log keeps of prompts and answers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from fairlead.config.sections.base import Section
from fairlead.config.sections.secret import SecretRef


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
