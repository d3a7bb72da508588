"""`fairlead prices`: the community's price file as a price book, and which prices are in force."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairlead.cli.table import table

if TYPE_CHECKING:
    from fairlead.config.sections.models import Price
    from fairlead.prices.community import Imported

_INVALID = 2
_NOTES_SHOWN = 20
_COLUMNS = ("input", "cachedInput", "cacheWrite", "output")


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command group."""
    group = subparsers.add_parser("prices", help="import and show price books", description=__doc__)
    commands = group.add_subparsers(metavar="COMMAND", title="commands", required=True)

    importing = commands.add_parser(
        "import",
        help="make a price book of the community's JSON price file",
        description="Reads model_prices_and_context_window.json as LiteLLM publishes it and prints a price book. What "
        "was decided on the way is said on stderr.",
    )
    importing.add_argument("file", metavar="FILE", help="the JSON file; - reads it from stdin")
    importing.add_argument(
        "--provider", action="append", metavar="NAME", help="only models of this provider; can be repeated"
    )
    importing.add_argument(
        "--only",
        action="append",
        metavar="PATTERN",
        help="only models whose PROVIDER/NAME fits, such as 'openai/gpt-*'",
    )
    importing.add_argument(
        "--priority",
        action="store_true",
        help="count the prices of service_tier priority as well: each price is the dearest of the tiers",
    )
    importing.add_argument("--date", type=_day, help="day of the prices (default: today, UTC)")
    importing.add_argument("--output", type=Path, metavar="BOOK", help="write the book here instead of to stdout")
    importing.add_argument("--verbose", action="store_true", help="say everything that was decided")
    importing.set_defaults(run=_import)

    show = commands.add_parser(
        "show",
        help="print prices and where each comes from",
        description="Prices of a configuration's models, or of a price book; by default of the one that ships with "
        "Fairlead. USD per million tokens.",
    )
    show.add_argument("model", nargs="*", metavar="MODEL", help="only these; a name, or a pattern such as 'gpt-*'")
    place = show.add_mutually_exclusive_group()
    place.add_argument("--config", type=Path, metavar="FILE", help="configuration: a YAML file or a directory")
    place.add_argument(
        "--book", action="append", metavar="BOOK", help="price book; can be repeated, the first one wins"
    )
    show.add_argument("--json", action="store_true", help="print JSON")
    show.set_defaults(run=_show)


def _import(arguments: argparse.Namespace) -> int:
    from pydantic import ValidationError

    from fairlead.config import ConfigError
    from fairlead.config.document import TEXT_MAX_BYTES
    from fairlead.prices import books, community
    from fairlead.prices.model import ENTRIES_MAX, Book

    name = "stdin" if arguments.file == "-" else arguments.file
    try:
        text = _read(arguments.file, community.FILE_MAX_BYTES + 1)
        imported = community.load(
            text, lambda provider, model: _wanted(arguments, provider, model), priority=arguments.priority
        )
    except OSError as error:
        print(f"fairlead: {name} cannot be read: {error.strerror or 'unreadable'}", file=sys.stderr)
        return _INVALID
    except community.NotAPriceFile as error:
        for problem in error.problems:
            print(f"{name}: {problem}", file=sys.stderr)
        return _INVALID
    if not imported.entries:
        print(f"fairlead: {name} has no model that was asked for", file=sys.stderr)
        return 1
    digest = hashlib.sha256(text).hexdigest()[:12]
    book = {
        "apiVersion": "fairlead/prices/v1",
        "date": arguments.date or f"{datetime.now(UTC):%Y-%m-%d}",
        "version": digest,
        "source": f"{_printable(Path(name).name)}, SHA-256 {digest}…",
        "prices": imported.entries,
    }
    try:
        # It is written only when it can be read again.
        written = books.write(
            Book.model_validate(book), ("USD per million tokens. Check the prices you rely on with their provider.",)
        )
        books.parse(written.encode())
    except (ConfigError, ValidationError):
        print(
            f"fairlead: {len(imported.entries)} models make a book that is too large: "
            f"a book has at most {ENTRIES_MAX} models and {TEXT_MAX_BYTES >> 20} MiB; import a part with --provider "
            "or --only",
            file=sys.stderr,
        )
        return _INVALID
    if arguments.output is None:
        sys.stdout.write(written)
        sys.stdout.flush()
    else:
        try:
            arguments.output.write_text(written, encoding="utf-8")
        except OSError as error:
            print(f"fairlead: {arguments.output} cannot be written: {error.strerror}", file=sys.stderr)
            return _INVALID
    _say(imported, everything=arguments.verbose)
    return 0


def _say(imported: Imported, *, everything: bool) -> None:
    """What was decided."""
    shown = imported.notes if everything else imported.notes[:_NOTES_SHOWN]
    for note in shown:
        print(note, file=sys.stderr)
    if len(shown) < len(imported.notes):
        print(f"… and {len(imported.notes) - len(shown)} more: see them with --verbose", file=sys.stderr)
    left_out = ", ".join(f"{count} ({reason})" for reason, count in imported.left_out.most_common())
    print(f"{len(imported.entries)} models priced; left out: {left_out or 'none'}", file=sys.stderr)


def _show(arguments: argparse.Namespace) -> int:
    from fairlead.config import ConfigError

    try:
        rows = list(_of_config(arguments.config) if arguments.config else _of_books(arguments.book or ["starter"]))
    except ConfigError as error:
        for violation in error.violations:
            print(violation, file=sys.stderr)
        return _INVALID
    rows = [row for row in rows if not arguments.model or any(_fits(row, pattern) for pattern in arguments.model)]
    if not rows:
        print("fairlead: no such model", file=sys.stderr)
        return 1
    if arguments.json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
        return 0
    cells = [(row["model"], *(row["price"].get(key, "-") for key in _COLUMNS), row["from"]) for row in rows]
    header = ("MODEL", "INPUT", "CACHED", "CACHE WRITE", "OUTPUT", "FROM")
    print("\n".join(table(header, cells, "<>>>><")))
    return 0


def _of_config(path: Path) -> Iterator[dict[str, Any]]:
    """Every model of a configuration; raises `ConfigError`."""
    from fairlead.config import Loader
    from fairlead.config.loader import read_files
    from fairlead.prices import lookup

    document = read_files(path)
    config = Loader(None, None).check(document).config
    origins = lookup.priced(document).origins
    for index, model in enumerate(config.models):
        if index in origins:
            shelved, entry = origins[index]
            place = f"{shelved.name} of {shelved.book.date}: {entry.key}"
        else:
            file, line = document.place(("models", index))
            place = f"{file}:{line}"
        yield _row(model.name, model.upstream or model.name, model.price, place)


def _of_books(names: list[str]) -> Iterator[dict[str, Any]]:
    """Every entry of the books that no book before has; raises `ConfigError`."""
    from fairlead.prices import books

    seen: set[str] = set()
    for name in names:
        shelved = books.open_book(name)
        for entry in shelved.book.prices:
            if entry.key not in seen:
                seen.add(entry.key)
                row = _row(entry.key, entry.model, entry.price, f"{shelved.name} of {shelved.book.date}")
                sizes = {"contextTokens": entry.context_tokens, "maxOutputTokens": entry.max_output_tokens}
                yield {**row, **sizes, "capabilities": list(entry.capabilities), "note": entry.note}


def _row(name: str, upstream: str, price: Price, place: str) -> dict[str, Any]:
    written = price.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {"model": name, "upstream": upstream, "price": written, "from": place}


def _fits(row: dict[str, Any], pattern: str) -> bool:
    return fnmatchcase(row["model"], pattern) or fnmatchcase(row["upstream"], pattern)


def _wanted(arguments: argparse.Namespace, provider: str, model: str) -> bool:
    if arguments.provider and provider not in arguments.provider:
        return False
    key = f"{provider}/{model}"
    return not arguments.only or any(fnmatchcase(key, pattern) for pattern in arguments.only)


def _read(file: str, most: int) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read(most)
    with open(file, "rb") as stream:
        return stream.read(most)


def _printable(name: str) -> str:
    """A file's name, as far as it can be part of a book."""
    return "".join(character if character.isprintable() else "?" for character in name)[:255]


def _day(text: str) -> str:
    try:
        return f"{datetime.strptime(text, '%Y-%m-%d'):%Y-%m-%d}"
    except ValueError:
        raise argparse.ArgumentTypeError(f"`{text}` is not a day: write 2026-11-21") from None
