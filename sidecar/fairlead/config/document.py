"""YAML text → plain values with the line of every one of them.

The reader builds its tree from PyYAML's parser events and constructs nothing but mappings, lists and scalars, so no tag
can run code. It is stricter than YAML where YAML is known to bite:

- scalars follow the YAML 1.2 core schema: `on`, `no` and `5:30` are strings, `true` and `false` are booleans;
- numbers with a point or an exponent become `Decimal`, digit for digit as written;
- duplicate keys, merge keys (`<<`), tags, null values and keys that are not strings are violations;
- text, depth and the number of values after the expansion of aliases are bounded ("billion laughs").

Messages never quote the text: a value in the wrong place may be a secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import yaml

from fairlead.config.violation import Path, Violation, render

TEXT_MAX_BYTES = 1 << 20
DEPTH_MAX = 48
VALUES_MAX = 100_000

# libyaml's parser when PyYAML was built with it: ten times faster, same events.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# Styles of scalars that are strings whatever they look like: quoted, and block.
_QUOTED = frozenset(("'", '"', "|", ">"))
_NULLS = frozenset(("", "~", "null", "Null", "NULL"))
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?[0-9]{1,30}", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?", re.ASCII)


# File and line.
Place = tuple[str, int]


@dataclass(slots=True)
class Node:
    """A value and where it is. `value` is a scalar, a list of nodes, or a mapping of keys to (line of key, node)."""

    line: int
    value: Any


@dataclass(slots=True)
class Document:
    """Plain values, the place of each, and what is wrong with the YAML itself as (path, place, message). `mounted` has
    the values that are a file of their own, by their paths: violations in such a file name the path inside it."""

    value: dict[str, Any] = field(default_factory=dict)
    places: dict[Path, Place] = field(default_factory=dict)
    faults: list[tuple[Path, Place, str]] = field(default_factory=list)
    mounted: dict[Path, str] = field(default_factory=dict)

    def place(self, path: Path) -> Place:
        """File and line of the value, or of the nearest one that contains it."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.places:
                return self.places[path[:end]]
        return ("", 0)

    def violation(self, path: Path, message: str, place: Place | None = None) -> Violation:
        """A violation at the value's place."""
        file, line = place or self.place(path)
        inside = next((path[end:] for end in range(1, len(path) + 1) if self.mounted.get(path[:end]) == file), path)
        return Violation(file, line, render(inside), message)


class _Unreadable(Exception):
    """Reading cannot go on behind this line."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


def read(text: bytes | str, file: str = "") -> list[Document]:
    """The documents of a stream, one for each `---`; what is wrong is in their `faults`."""
    try:
        nodes = list(_nodes(_decoded(text)))
    except _Unreadable as error:
        return [Document(faults=[((), (file, error.line), error.message)])]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = f"is not YAML: {error.problem or error.context or 'cannot be parsed'}"
        return [Document(faults=[((), (file, mark.line + 1 if mark else 0), message)])]
    except yaml.YAMLError:
        return [Document(faults=[((), (file, 0), "is not YAML: it contains a character that YAML forbids")])]
    return [_Expansion(file).document(node) for node in nodes] or [Document(places={(): (file, 1)})]


def _decoded(text: bytes | str) -> str:
    if len(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")) > TEXT_MAX_BYTES:
        raise _Unreadable(0, f"is larger than {TEXT_MAX_BYTES} bytes")
    if isinstance(text, str):
        return text
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _Unreadable(text[: error.start].count(b"\n") + 1, "is not UTF-8 text") from None


def _nodes(text: str) -> Iterator[Node]:
    """The root of every document in the stream."""
    events = iter(yaml.parse(text, Loader=_Loader))
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            node = _compose(next(events), events, {}, 0)
            if not (isinstance(node.value, _Scalar) and node.value.is_null):
                yield node


@dataclass(slots=True)
class _Scalar:
    value: str | int | bool | Decimal | None
    is_null: bool = False
    key: str | None = None


def _compose(event: Any, events: Iterator[Any], anchors: dict[str, Node], depth: int) -> Node:
    """The node that starts with the event."""
    line = event.start_mark.line + 1
    if depth > DEPTH_MAX:
        raise _Unreadable(line, f"is nested deeper than {DEPTH_MAX} levels")
    if isinstance(event, yaml.AliasEvent):
        # An anchor is known when its value is complete: a value cannot contain itself.
        if event.anchor not in anchors:
            raise _Unreadable(line, "refers to an anchor that is not defined before this line")
        return anchors[event.anchor]
    if event.tag not in (None, "!") or (event.tag == "!" and not isinstance(event, yaml.ScalarEvent)):
        raise _Unreadable(line, "has a tag: tags are not supported")
    node = Node(line, None)
    if isinstance(event, yaml.ScalarEvent):
        node.value = _scalar(event)
    elif isinstance(event, yaml.SequenceStartEvent):
        node.value = []
        while not isinstance(item := next(events), yaml.SequenceEndEvent):
            node.value.append(_compose(item, events, anchors, depth + 1))
    else:
        node.value = ()
        pairs = []
        while not isinstance(item := next(events), yaml.MappingEndEvent):
            key = _compose(item, events, anchors, depth + 1)
            pairs.append((item.start_mark.line + 1, key, _compose(next(events), events, anchors, depth + 1)))
        node.value = tuple(pairs)
    if event.anchor is not None:
        anchors[event.anchor] = node
    return node


def _scalar(event: Any) -> _Scalar:
    text: str = event.value
    if event.style in _QUOTED or event.tag == "!":
        return _Scalar(text, key=text)
    if text in _NULLS:
        return _Scalar(None, is_null=True)
    if text in _BOOLEANS:
        return _Scalar(_BOOLEANS[text])
    if _INTEGER.fullmatch(text):
        return _Scalar(int(text))
    if _FLOAT.fullmatch(text):
        return _Scalar(Decimal(text))
    return _Scalar(text, key=text)


class _Expansion:
    """Turns nodes into plain values: aliases are written out, places are recorded."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._document = Document()
        self._left = VALUES_MAX

    def document(self, root: Node) -> Document:
        self._document.places[()] = (self._file, root.line)
        if not isinstance(root.value, tuple):
            self._wrong((), root.line, "must be a mapping of keys to values")
            return self._document
        try:
            self._document.value = self._expand(root, ())
        except _Unreadable as error:
            self._document.value = {}
            self._wrong((), error.line, error.message)
        return self._document

    def _expand(self, node: Node, path: Path) -> Any:
        self._left -= 1
        if self._left < 0:
            raise _Unreadable(node.line, f"has more than {VALUES_MAX} values once its aliases are written out")
        if isinstance(node.value, list):
            return [self._item(item, (*path, index)) for index, item in enumerate(node.value)]
        if isinstance(node.value, tuple):
            return self._mapping(node, path)
        if node.value.is_null:
            self._wrong(path, node.line, "has no value: give it one, or remove the key")
        return node.value.value

    def _item(self, node: Node, path: Path) -> Any:
        self._document.places[path] = (self._file, node.line)
        return self._expand(node, path)

    def _mapping(self, node: Node, path: Path) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for line, key_node, value in node.value:
            key = key_node.value.key if isinstance(key_node.value, _Scalar) else None
            if key is None:
                self._wrong(path, line, "has a key that is not a string: quote it")
            elif key == "<<":
                self._wrong(path, line, "has a merge key (<<): merge keys are not supported")
            elif key in values:
                first = self._document.places[(*path, key)][1]
                self._wrong((*path, key), line, f"is given twice: first in line {first}")
            else:
                self._document.places[(*path, key)] = (self._file, line)
                values[key] = self._expand(value, (*path, key))
        return values

    def _wrong(self, path: Path, line: int, message: str) -> None:
        self._document.faults.append((path, (self._file, line), message))
