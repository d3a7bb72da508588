"""`fairlead import`: the configuration of another gateway as one of Fairlead."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fairlead.importing.draft import Draft

_INVALID = 2


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command group."""
    group = subparsers.add_parser(
        "import",
        help="turn the configuration of another gateway into one of Fairlead",
        description="Prints an equivalent configuration with comments, and what has no equivalent on stderr. A secret "
        "is never printed: where the file has one, there is the name of a variable for it.",
    )
    products = group.add_subparsers(metavar="PRODUCT", title="products", required=True)
    litellm = products.add_parser("litellm", help="LiteLLM's proxy configuration")
    litellm.add_argument("file", nargs=1, metavar="FILE", help="config.yaml; - reads it from stdin")
    litellm.set_defaults(run=_litellm)
    orchvynt = products.add_parser("orchvynt", help="OrchVynt's routing, fallback, budgets and hitl")
    orchvynt.add_argument("file", nargs="+", metavar="FILE", help="its YAML files; they are read together")
    orchvynt.set_defaults(run=_orchvynt)
    for product in (litellm, orchvynt):
        product.add_argument("--output", type=Path, metavar="FILE", help="write the configuration here")


def _litellm(arguments: argparse.Namespace) -> int:
    from fairlead.importing import litellm

    return _run(arguments, lambda documents: litellm.convert(documents[0]))


def _orchvynt(arguments: argparse.Namespace) -> int:
    from fairlead.importing import orchvynt

    return _run(arguments, orchvynt.convert)


def _run(arguments: argparse.Namespace, convert: Any) -> int:
    from fairlead.importing import source, writing

    documents: list[dict[str, Any]] = []
    for file in arguments.file:
        try:
            documents.append(source.read(_read(file, source.FILE_MAX_BYTES + 1)))
        except OSError as error:
            print(f"fairlead: {file} cannot be read: {error.strerror or 'unreadable'}", file=sys.stderr)
            return _INVALID
        except source.NotReadable as error:
            print(f"{file}: {error}", file=sys.stderr)
            return _INVALID
    draft = convert(documents)
    written = writing.write(draft, ", ".join("stdin" if file == "-" else Path(file).name for file in arguments.file))
    if arguments.output is None:
        sys.stdout.write(written)
        sys.stdout.flush()
    else:
        try:
            arguments.output.write_text(written, encoding="utf-8")
        except OSError as error:
            print(f"fairlead: {arguments.output} cannot be written: {error.strerror}", file=sys.stderr)
            return _INVALID
    _say(draft)
    return 0


def _say(draft: Draft) -> None:
    for title, notes in (("no equivalent", draft.lost), ("decided", draft.decided)):
        for note in notes:
            print(f"{title}: {' '.join(note.split())}", file=sys.stderr)


def _read(file: str, most: int) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read(most)
    with open(file, "rb") as stream:
        return stream.read(most)
