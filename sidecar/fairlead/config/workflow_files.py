"""Workflows in files of their own: an entry `{file: PATH}` of `workflows` becomes what the file says.

From here on the workflow is a part of the configuration like any other, so its text is stored, compared and rolled back
with it; only violations still name the workflow's own file, and the path inside it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from types import MappingProxyType
from typing import Any

from fairlead.config.document import TEXT_MAX_BYTES, Document, read
from fairlead.config.paths import select
from fairlead.config.violation import Path

# Of the texts of all workflows together.
TEXTS_MAX_BYTES = 16 << 20
_NAMED = "workflows[*].file"
_NO_TEXTS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Included:
    """A document with its workflows written out. `faults` is what is wrong with entries; `unread` are the entries whose
    file could not be read, of which nothing else can be said."""

    document: Document
    faults: list[tuple[Path, str]] = field(default_factory=list)
    unread: set[Path] = field(default_factory=set)


class _Unusable(ValueError):
    """A file cannot be used; the message says why."""


def included(document: Document, sent: Mapping[str, str] = _NO_TEXTS) -> Included:
    """Writes out every workflow that is a file of its own. `sent` has the texts that came with the document, by the
    names that it calls the files; all others are read."""
    entries = document.value.get("workflows")
    if not isinstance(entries, list) or not any(_is_reference(entry) for entry in entries):
        return Included(document)
    filled = list(entries)
    whole = replace(
        document,
        value={**document.value, "workflows": filled},
        places=dict(document.places),
        faults=list(document.faults),
        mounted=dict(document.mounted),
    )
    result = Included(whole)
    left = TEXTS_MAX_BYTES
    for index, entry in enumerate(entries):
        if not _is_reference(entry):
            continue
        at: Path = ("workflows", index)
        if len(entry) > 1:
            others = ", ".join(key for key in entry if key != "file")
            result.faults.append(((*at, "file"), f"stands for the whole workflow: write {others} into the file"))
        try:
            file, text = _text(document, (*at, "file"), entry["file"], sent)
            left -= len(text)
            if left < 0:
                raise _Unusable(f"makes the texts of all workflows larger than {TEXTS_MAX_BYTES >> 20}MiB")
            part = _only(read(text, file))
        except _Unusable as error:
            result.faults.append(((*at, "file"), str(error)))
            result.unread.add(at)
            filled[index] = {}
            continue
        filled[index] = _mount(whole, at, part, file)
        if any(not path for path, _, _ in part.faults):
            result.unread.add(at)
    return result


def named_files(document: Document) -> frozenset[FilePath]:
    """The files of the workflows that a document names, readable or not."""
    found = ((path, name) for path, name in select(document.value, _NAMED) if isinstance(name, str))
    return frozenset(FilePath(file) for path, name in found if (file := _beside(document, path, name)))


def without_workflows(parts: Iterable[tuple[FilePath, list[Document]]]) -> Iterator[tuple[FilePath, list[Document]]]:
    """The files of a directory that are configurations themselves, and not workflows that one of the others names."""
    parts = list(parts)
    named = {
        os.path.realpath(file) for _, documents in parts for document in documents for file in named_files(document)
    }
    return ((file, documents) for file, documents in parts if os.path.realpath(file) not in named)


def _is_reference(entry: Any) -> bool:
    return isinstance(entry, dict) and "file" in entry


def _text(document: Document, path: Path, name: Any, sent: Mapping[str, str]) -> tuple[str, bytes]:
    """The file that an entry names, and its text; raises `_Unusable`."""
    if not isinstance(name, str) or not name or "\0" in name:
        raise _Unusable("must be the path of a file")
    if name in sent:
        return name, sent[name].encode("utf-8", "surrogatepass")
    file = _beside(document, path, name)
    if not file:
        raise _Unusable("must be an absolute path, or its text has to come along: this text is in no directory")
    try:
        # One byte more than is taken: a huge file is refused without reading it.
        with open(file, "rb") as stream:
            return file, stream.read(TEXT_MAX_BYTES + 1)
    except OSError as error:
        raise _Unusable(f"{file} cannot be read: {error.strerror or 'unreadable'}") from None


def _beside(document: Document, path: Path, name: str) -> str:
    """A relative path is relative to the file it is written in; empty where there is none."""
    if not name or "\0" in name or name.startswith("/"):
        return name if "\0" not in name else ""
    file, _ = document.place(path)
    return os.path.join(os.path.dirname(os.path.abspath(file)), name) if file else ""


def _only(documents: list[Document]) -> Document:
    if len(documents) > 1:
        raise _Unusable("has several documents (---): a workflow is one")
    return documents[0]


def _mount(whole: Document, at: Path, part: Document, file: str) -> dict[str, Any]:
    """Takes the places and faults of a workflow over; returns its value."""
    whole.mounted[at] = file
    whole.places.update(((*at, *path), place) for path, place in part.places.items())
    if () not in part.places:
        whole.places[at] = part.faults[0][1]
    whole.faults.extend(((*at, *path), place, message) for path, place, message in part.faults)
    return part.value
