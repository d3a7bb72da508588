"""Manifests as text: those with pods are rewritten with their comments, everything else stays byte for byte."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.util import load_yaml_guess_indent

from fairlead.injection.pod import NotInjectable
from fairlead.injection.settings import Settings
from fairlead.injection.workload import inject_object

MAX_BYTES = 16 << 20
# At the beginning of a line it is a marker wherever it stands, also where a text is expected.
_MARKER = re.compile(r"^---(?=[ \t\r\n]|$)", re.MULTILINE)
_NULL = "tag:yaml.org,2002:null"
# A key with keys of its own below it: how far they are indented.
_NESTED = re.compile(r"^[^\s#-][^\n]*:[ \t]*\n( +)[^\s#-]", re.MULTILINE)
# Longer than a line can be: texts are not folded.
_WIDTH = 1 << 20


class NotReadable(Exception):
    """This is no YAML; the message has the line."""


@dataclass(frozen=True, slots=True)
class Rewritten:
    """The manifests, and what their reader should know."""

    text: str
    changed: int
    warnings: list[str] = field(default_factory=list)


def rewrite(text: str, settings: Settings, *, only_asked: bool = False) -> Rewritten:
    """Adds the sidecar to all documents of a text, or to none: raises NotReadable or NotInjectable."""
    written: list[str] = []
    warnings: list[str] = []
    changed = 0
    for marker, document, line in _documents(text):
        parsed = _parse(document, line)
        if isinstance(parsed, dict):
            try:
                done = inject_object(parsed, settings, only_asked=only_asked)
            except (AttributeError, TypeError, RecursionError) as error:
                raise NotInjectable(f"the document in line {line} has not the shape of its kind") from error
            warnings += done.warnings
            if done.changed:
                changed += 1
                document = ("\n" if marker else "") + _write(parsed, document)
        written.append(marker + document)
    return Rewritten("".join(written), changed, warnings)


def _documents(text: str) -> Iterator[tuple[str, str, int]]:
    """Marker (or nothing), what follows it, and the line where that begins."""
    begins = 0
    marker = ""
    for found in _MARKER.finditer(text):
        if found.start() > 0:
            yield marker, text[begins : found.start()], text.count("\n", 0, begins) + 1
        marker, begins = found[0], found.end()
    yield marker, text[begins:], text.count("\n", 0, begins) + 1


def _yaml() -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = _WIDTH
    # As kubectl writes it; by default it would become nothing.
    yaml.representer.add_representer(type(None), lambda representer, _: representer.represent_scalar(_NULL, "null"))
    return yaml


def _json(document: str) -> Any:
    """What it is as JSON, which is written as JSON again; None when it is YAML."""
    if not document.lstrip().startswith("{"):
        return None
    try:
        return json.loads(document)
    except (ValueError, RecursionError):
        return None


def _parse(document: str, line: int) -> Any:
    as_json = _json(document)
    if as_json is not None:
        return as_json
    try:
        return _yaml().load(document)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        where = line + mark.line if mark is not None else line
        raise NotReadable(f"line {where}: {error.problem or 'is not YAML'}") from None
    except (YAMLError, ValueError, RecursionError) as error:
        raise NotReadable(f"the document in line {line} is not YAML: {type(error).__name__}") from None


def _write(parsed: Any, document: str) -> str:
    if type(parsed) is dict:
        return json.dumps(parsed, indent=2, ensure_ascii=False) + "\n"
    for pod in _new_lists(parsed):
        # Where a reader looks for it: before the containers that it starts before.
        moved = pod.pop("initContainers")
        pod.insert(list(pod).index("containers"), "initContainers", moved)
    yaml = _yaml()
    dashes = load_yaml_guess_indent(document)[2] or 0
    nested = _NESTED.search(document)
    yaml.indent(mapping=len(nested[1]) if nested else 2, sequence=dashes + 2, offset=dashes)
    out = io.StringIO()
    yaml.dump(parsed, out)
    return out.getvalue()


def _new_lists(parsed: Any) -> Iterator[Any]:
    """Pod specifications whose init containers are behind the containers, as a new key is."""
    seen: set[int] = set()
    left = [parsed]
    while left:
        value = left.pop()
        # An alias is the same value again, perhaps inside of itself.
        if not isinstance(value, dict | list) or id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, dict):
            keys = list(value)
            both = "initContainers" in keys and "containers" in keys
            if both and keys.index("initContainers") > keys.index("containers") and len(value["initContainers"]) == 1:
                yield value
        left += value.values() if isinstance(value, dict) else value
