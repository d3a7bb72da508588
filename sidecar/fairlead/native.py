"""The native core. The only module that imports the extension; everything else names it from here."""

from __future__ import annotations

from fairlead._native import (
    ClosedError,
    ConfigError,
    Core,
    DoesNotFit,
    EngineFault,
    SigningKey,
    Tree,
    encode_events,
    is_signed,
)

__all__ = [
    "ClosedError",
    "ConfigError",
    "Core",
    "DoesNotFit",
    "EngineFault",
    "SigningKey",
    "Tree",
    "compile_config",
    "encode_events",
    "is_signed",
]


def compile_config(config: bytes) -> list[tuple[str, str]]:
    """Violations of a serialized `EngineConfig` as (path, message); empty when it is valid."""
    return Core.compile(config)
