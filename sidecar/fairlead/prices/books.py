"""A book's YAML, read and written; the starter book."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from fairlead.config import messages
from fairlead.config.document import TEXT_MAX_BYTES, read
from fairlead.config.sections.base import broken_rules
from fairlead.config.violation import ConfigError, Violation, render
from fairlead.prices.model import Book, Entry, Shelved

# What names the book that ships with the package.
STARTER = "starter"
_STARTER_FILE = Path(__file__).parent / "starter-2026-11.yaml"


@cache
def starter() -> Shelved:
    """The book that ships with the package."""
    return Shelved(STARTER, parse(_STARTER_FILE.read_bytes(), str(_STARTER_FILE)))


def open_book(name: str) -> Shelved:
    """A book by its path, or `starter`; raises `ConfigError` with every violation."""
    if name == STARTER:
        return starter()
    try:
        with open(name, "rb") as stream:
            text = stream.read(TEXT_MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError([Violation(name, 0, "", f"cannot be read: {error.strerror or 'unreadable'}")]) from None
    return Shelved(name, parse(text, name))


def parse(text: bytes | str, file: str = "") -> Book:
    """A book; raises `ConfigError` with every violation."""
    documents = read(text, file)
    document = documents[0]
    found = [Violation(*place, render(path), message) for path, place, message in document.faults]
    if len(documents) > 1:
        found.append(documents[1].violation((), "must be the only document of its file"))
    if not found:
        try:
            book = Book.model_validate(document.value)
        except ValidationError as error:
            found.extend(document.violation(*one) for one in messages.translate(error, document.value, Book))
        else:
            found.extend(document.violation(path, message) for path, message in broken_rules(book))
            if not found:
                return book
    raise ConfigError(found)


def write(book: Book, comments: tuple[str, ...] = ()) -> str:
    """The text of a book: one line for each model."""
    head = book.model_dump(mode="json", by_alias=True, exclude={"prices"})
    lines = [*(f"# {comment}" for comment in comments), *(f"{key}: {_flow(value)}" for key, value in head.items())]
    lines += ["prices:", *(f"  - {_flow(_plain(entry))}" for entry in book.prices)]
    return "\n".join((*lines, ""))


def _plain(entry: Entry) -> dict[str, Any]:
    return entry.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def _flow(value: Any) -> str:
    """Flow style. Strings are in quotes, so that a price stays the text that it is."""
    if isinstance(value, dict):
        return f"{{{', '.join(_pairs(value))}}}"
    if isinstance(value, list):
        return f"[{', '.join(_flow(item) for item in value)}]"
    return json.dumps(value)


def _pairs(value: dict[str, Any]) -> Iterator[str]:
    return (f"{key}: {_flow(item)}" for key, item in value.items())
