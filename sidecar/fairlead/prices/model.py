"""A price book and its entries."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from fairlead.config.sections.base import Listed, Name, Section
from fairlead.config.sections.models import Price
from fairlead.config.violation import Path

ENTRIES_MAX = 20_000


def _day(value: str) -> str:
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", value, re.ASCII) is None:
            raise ValueError
        date.fromisoformat(value)
    except ValueError:
        raise PydanticCustomError("day", 'is not a day: write it in quotes, such as "2026-11-21"') from None
    return value


def _pattern(value: str) -> str:
    if "*" in value[:-1]:
        raise PydanticCustomError("pattern", "may have a * at its end only")
    return value


class Entry(Section):
    """What one model costs, and what is known about it: that is for people, a configuration takes the price."""

    provider: Name = Field(
        description="kind of the provider, or for openai-compatible ones who is behind the base URL, such as groq"
    )
    model: Annotated[str, StringConstraints(min_length=1, max_length=256), AfterValidator(_pattern)] = Field(
        description="name at the provider; may end in *"
    )
    price: Price = Field(description="prices in USD per million tokens")
    context_tokens: int | None = Field(default=None, ge=1, le=1_000_000_000, description="context window")
    max_output_tokens: int | None = Field(default=None, ge=1, le=1_000_000_000, description="longest answer")
    capabilities: Listed[Name] = Field(default=(), description="what it can do, such as tools, json, vision")
    note: Annotated[str, StringConstraints(max_length=512)] = Field(default="", description="what to know about it")

    @property
    def key(self) -> str:
        """`provider/model`."""
        return f"{self.provider}/{self.model}"


class Book(Section):
    """A price book."""

    api_version: Literal["fairlead/prices/v1"] = Field(description="version of this format: fairlead/prices/v1")
    date: Annotated[str, AfterValidator(_day)] = Field(description="day on which the prices were looked up")
    version: Annotated[str, StringConstraints(min_length=1, max_length=128)] = Field(
        description="what tells this book from others of its source"
    )
    source: Annotated[str, StringConstraints(min_length=1, max_length=512)] = Field(description="where they come from")
    prices: Listed[Entry] = Field(max_length=ENTRIES_MAX, description="what each model costs")

    def rules(self) -> Iterator[tuple[Path, str]]:
        """No model twice."""
        first: dict[str, int] = {}
        for index, entry in enumerate(self.prices):
            if first.setdefault(entry.key, index) != index:
                yield ("prices", index), f"is priced twice: first as prices[{first[entry.key]}]"


class Shelved:
    """A book with its name: a path, or `starter`."""

    def __init__(self, name: str, book: Book) -> None:
        self.name = name
        self.book = book
        self._named = {(entry.provider, entry.model): entry for entry in book.prices}
        # The longest prefix first.
        prefixes = [entry for entry in book.prices if entry.model.endswith("*")]
        self._prefixes = sorted(prefixes, key=lambda entry: -len(entry.model))

    def find(self, provider: str, model: str) -> Entry | None:
        """The entry of a model: its own, else that with the longest prefix."""
        own = self._named.get((provider, model))
        fitting = (one for one in self._prefixes if one.provider == provider and model.startswith(one.model[:-1]))
        return own or next(fitting, None)
