"""Workflow files that are checked before they run: by themselves, or as a part of a configuration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

from pydantic import TypeAdapter, ValidationError

from fairlead.config.document import Document
from fairlead.config.paths import select
from fairlead.config.references import REFERENCES
from fairlead.config.sections.base import ModelName, Name
from fairlead.config.violation import Path
from fairlead.config.workflow_files import included

_ANYBODY = "anybody"


def alone(files: Sequence[FilePath]) -> Document:
    """A configuration of these workflows in which every other name that they use is known: models, tiers, tenants and
    child workflows are taken for granted."""
    document = within(Document(value={"apiVersion": "fairlead/v1"}), files)
    written = included(document).document.value
    used: dict[str, set[str]] = {kind: set() for kind in REFERENCES.values()}
    for pattern, kind in REFERENCES.items():
        used[kind].update(name for _, name in select(written, pattern) if _can_be(kind, name))
    children = used["workflow"].difference(name for name in _names(written) if name is not None)
    granted: dict[str, Any] = {
        "operators": [{"name": _ANYBODY, "token": _TOKEN, "roles": [_ANYBODY]}],
        "tenants": [{"name": name, "agents": [_AGENT]} for name in sorted(used["tenant"])],
        "providers": [{"name": _ANYBODY, "kind": "ollama"}],
        "models": [{"name": name, "provider": _ANYBODY, "price": _FREE} for name in sorted(used["route or model"])],
        "approvals": {"tiers": [{"name": name, "require": [_VOTE]} for name in sorted(used["approval tier"])]},
        "workflows": [
            *document.value["workflows"],
            *({"name": name, "steps": [_STEP]} for name in sorted(children)),
        ],
    }
    return replace(document, value={**document.value, **granted})


def _can_be(kind: str, name: Any) -> bool:
    """Whether something of this kind could have the name; where it is used, the schema says so if not."""
    try:
        _NAMES.get(kind, _NAME).validate_python(name, strict=True)
    except ValidationError:
        return False
    return True


_NAME: TypeAdapter[str] = TypeAdapter(Name)
_NAMES: dict[str, TypeAdapter[str]] = {"route or model": TypeAdapter(ModelName)}
_TOKEN = {"fromEnv": "TOKEN"}
_STEP = {"id": "step", "agent": _ANYBODY, "effect": "pure"}
_AGENT = {"name": _ANYBODY, "token": _TOKEN}
_FREE = {"input": 0, "output": 0}
_VOTE = {"role": _ANYBODY}


def within(configuration: Document, files: Sequence[FilePath]) -> Document:
    """A configuration with these workflows; each takes the place of one that has its name."""
    entries = configuration.value.get("workflows", [])
    if not isinstance(entries, list):
        return configuration
    entries, places = list(entries), dict(configuration.places)
    names = _names(included(configuration).document.value)
    for file in files:
        reference = {"file": str(file.absolute())}
        (name,) = _names(included(Document(value={"workflows": [reference]})).document.value)
        index = names.index(name) if name is not None and name in names else len(entries)
        entries[index : index + 1] = [reference]
        # Of two candidates with the same name neither replaces the other: that is a violation.
        names[index : index + 1] = [None]
        at: Path = ("workflows", index)
        places = {path: place for path, place in places.items() if path[:2] != at}
        places[at] = (reference["file"], 0)
    return replace(configuration, value={**configuration.value, "workflows": entries}, places=places)


def _names(value: dict[str, Any]) -> list[str | None]:
    """The name of every workflow, None where there is none."""
    entries = value.get("workflows", [])
    return [entry.get("name") if isinstance(entry, dict) else None for entry in entries]
