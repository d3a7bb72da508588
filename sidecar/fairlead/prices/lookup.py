"""Which entry of which book is a model's, and a configuration with the prices that its models leave to the books.

A price is looked up as `provider/upstream name`. The provider is the kind of the model's provider; of an
`openai-compatible` one it is who answers at its base URL, because the same model has another price elsewhere.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from typing import Any
from urllib.parse import urlsplit

from fairlead.config.document import Document
from fairlead.config.paths import select
from fairlead.config.violation import ConfigError, Path
from fairlead.prices import books
from fairlead.prices.model import Entry, Shelved

# Who answers at the base URL of an `openai-compatible` provider, in the words of the community's price file.
_HOSTS: Mapping[str, str] = {
    "api.cerebras.ai": "cerebras",
    "api.deepseek.com": "deepseek",
    "api.fireworks.ai": "fireworks_ai",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral",
    "api.moonshot.ai": "moonshot",
    "api.openai.com": "openai",
    "api.perplexity.ai": "perplexity",
    "api.together.xyz": "together_ai",
    "api.x.ai": "xai",
    "generativelanguage.googleapis.com": "gemini",
    "openrouter.ai": "openrouter",
}


@dataclass(frozen=True, slots=True)
class Priced:
    """A document with the prices of its books filled in. `origins` has the book and entry of every model whose price
    came from one, by its index; `faults` is what is wrong with the books."""

    document: Document
    origins: dict[int, tuple[Shelved, Entry]] = field(default_factory=dict)
    faults: list[tuple[Path, str]] = field(default_factory=list)


def priced(document: Document) -> Priced:
    """Fills in what books know. A book that cannot be read is a fault, and the others are used."""
    result = Priced(document)
    shelf = _shelf(document, result)
    models = document.value.get("models")
    if not shelf or not isinstance(models, list):
        return result
    providers = _providers(document.value)
    filled = list(models)
    for index, model in enumerate(models):
        if not isinstance(model, dict) or "price" in model:
            continue
        key = _key(model, providers)
        found = find(shelf, *key) if key else None
        if found is not None:
            price = found[1].price.model_dump(mode="json", by_alias=True, exclude_none=True)
            filled[index] = {**model, "price": price}
            result.origins[index] = found
    return replace(result, document=replace(document, value={**document.value, "models": filled}))


def find(shelf: list[Shelved], provider: str, model: str) -> tuple[Shelved, Entry] | None:
    """The entry of a model in the first book that has one."""
    for shelved in shelf:
        entry = shelved.find(provider, model)
        if entry is not None:
            return shelved, entry
    return None


def vendor(kind: str, base_url: str) -> str:
    """What a provider is called in books."""
    if kind != "openai-compatible":
        return kind
    try:
        return _HOSTS.get(urlsplit(base_url).hostname or "", kind)
    except ValueError:
        return kind


def sought(document: Mapping[str, Any], index: int) -> str:
    """`provider/upstream name` of a model of a document; empty when its provider is not known."""
    key = _key(document["models"][index], _providers(document))
    return "/".join(key) if key else ""


def book_files(document: Document) -> frozenset[FilePath]:
    """The files of the books that a document names, readable or not."""
    return frozenset(FilePath(name) for _, name in _named(document) if name not in ("", books.STARTER))


def _shelf(document: Document, result: Priced) -> list[Shelved]:
    shelf: list[Shelved] = []
    for path, name in _named(document):
        if not name:
            result.faults.append((path, "must be an absolute path: this text is in no directory"))
            continue
        try:
            shelf.append(books.open_book(name))
        except ConfigError as error:
            first, *others = error.violations
            more = f", and {len(others)} more" if others else ""
            result.faults.append((path, f"is not a price book that can be used: {first}{more}"))
    return shelf


def _named(document: Document) -> list[tuple[Path, str]]:
    """The books that a document names: absolute paths, `starter`, or nothing for a path that leads nowhere. A relative
    path is relative to the file it is written in."""
    found: list[tuple[Path, str]] = []
    for path, name in select(document.value, "prices.files[*]"):
        if not isinstance(name, str) or not name or "\0" in name:
            continue
        if name != books.STARTER and not name.startswith("/"):
            file, _ = document.place(path)
            name = os.path.join(os.path.dirname(os.path.abspath(file)), name) if file else ""
        found.append((path, name))
    return found


def _providers(document: Mapping[str, Any]) -> dict[str, str]:
    """What every provider is called in books, by its name."""
    providers = document.get("providers")
    return {
        provider["name"]: vendor(provider["kind"], str(provider.get("baseUrl", "")))
        for provider in (providers if isinstance(providers, list) else ())
        if isinstance(provider, dict)
        and isinstance(provider.get("name"), str)
        and isinstance(provider.get("kind"), str)
    }


def _key(model: Mapping[str, Any], providers: Mapping[str, str]) -> tuple[str, str] | None:
    upstream, provider = model.get("upstream", model.get("name")), model.get("provider")
    if isinstance(upstream, str) and isinstance(provider, str) and provider in providers:
        return providers[provider], upstream
    return None
