"""pydantic's errors in the words of somebody who edits the YAML.

The messages are made from the kind of an error and the bounds of the field; the value itself is never quoted, because
it may be a secret in the wrong place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from fairlead.config.paths import select
from fairlead.config.schema import Config
from fairlead.config.sections.base import Section
from fairlead.config.violation import Path
from fairlead.prices import lookup

_FIXED: Mapping[str, str] = {
    "bool_type": "must be true or false",
    "dict_type": "must be a mapping",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "list_type": "must be a list",
    "model_type": "must be a mapping",
    "string_type": "must be a string: quote it",
    "tuple_type": "must be a list",
}
_PATTERNS: Mapping[str, str] = {
    "fromEnv": "must be the name of an environment variable: letters, digits and _",
    "fromFile": "must be an absolute path",
    "apiVersion": "must be a date such as 2024-10-21, with -preview where the product has it",
    "username": "must be visible ASCII without a colon, at most 256 characters",
    "caFile": "must be an absolute path",
    "path": "must be an absolute path",
    "tools": "must start with a letter or digit; letters, digits, . _ : / and - may follow, a * may stand at its end",
    "headers": "must be visible ASCII, at most 1024 characters",
}
_FREE_OF_CHARGE = (
    "a model without a price could spend without limit; one that costs nothing says price: {input: 0, output: 0}"
)


def translate(
    error: ValidationError, document: dict[str, Any], root: type[Section] = Config
) -> Iterator[tuple[Path, str]]:
    """Every error as (path in the document, message); `root` describes the document."""
    for details in error.errors(include_url=False, include_input=False):
        path = _path(details["loc"], document, missing=details["type"] in ("missing", "extra_forbidden"))
        if details["type"] == "too_short" and _value(path, document):
            # pydantic counts the valid entries; the broken ones are reported themselves.
            continue
        yield path, _message(details, path, document, root)


def _path(loc: tuple[int | str, ...], document: Any, *, missing: bool) -> Path:
    """The part of pydantic's location that exists in the document, and for a missing key its name as well."""
    path: list[int | str] = []
    value = document
    for part in loc:
        if isinstance(part, str) and part.startswith("<") and part.endswith(">"):
            continue
        if not _has(value, part):
            if missing and isinstance(value, dict):
                path.append(part)
            break
        value = value[part]
        path.append(part)
    return tuple(path)


def _value(path: Path, document: Any) -> Any:
    for part in path:
        document = document[part]
    return document


def _has(value: Any, part: int | str) -> bool:
    if isinstance(value, list):
        return isinstance(part, int) and part < len(value)
    return isinstance(value, dict) and part in value


def _message(details: ErrorDetails, path: Path, document: dict[str, Any], root: type[Section]) -> str:
    kind, context = details["type"], details.get("ctx", {})
    if kind in _FIXED:
        return _FIXED[kind]
    match kind:
        case "missing":
            return _missing(path, document, root)
        case "extra_forbidden":
            return _unknown_key(path, root)
        case "literal_error":
            return f"must be {context['expected']}"
        case "greater_than_equal":
            return f"must be at least {context['ge']:,}"
        case "less_than_equal":
            return f"must be at most {context['le']:,}"
        case "too_long":
            return f"must have at most {context['max_length']:,} entries"
        case "too_short" | "string_too_short":
            return "must not be empty"
        case "string_too_long":
            return f"must have at most {context['max_length']:,} characters"
        case "string_pattern_mismatch":
            return _pattern(path)
    # Our own errors: their text is ours.
    return details["msg"]


def _missing(path: Path, document: dict[str, Any], root: type[Section]) -> str:
    owner: Any = document
    name = None
    for part in path[:-1]:
        owner = owner[part]
        if isinstance(owner, dict) and isinstance(named := owner.get("name", owner.get("id")), str):
            name = named
    if len(path) == 3 and path[0] == "models" and path[-1] == "price":
        return f"model {name or ''!r} has no price{_in_books(path, document)}: {_FREE_OF_CHARGE}"
    return f"is missing{f' in {name!r}' if name else ''}: {_description(path, root)}"


def _in_books(path: Path, document: dict[str, Any]) -> str:
    """Where a price was looked for in vain."""
    named = select(document, "prices.files[*]")
    if next(named, None) is None or not isinstance(path[1], int):
        return ""
    sought = lookup.sought(document, path[1])
    return f", and no book in prices.files has {sought}" if sought else ""


def _unknown_key(path: Path, root: type[Section]) -> str:
    model = _model_at(path[:-1], root)
    known = sorted(field.alias or name for name, field in model.model_fields.items()) if model else []
    close = get_close_matches(str(path[-1]), known, n=1)
    return f"unknown key: did you mean {close[0]}?" if close else f"unknown key: known are {', '.join(known)}"


def _pattern(path: Path) -> str:
    for part in reversed(path):
        if part in _PATTERNS:
            return _PATTERNS[str(part)]
    if path and path[-1] == "when":
        return "must be a CEL expression"
    return "must start with a letter or digit and go on with letters, digits, dot, dash or underscore"


def _description(path: Path, root: type[Section]) -> str:
    model = _model_at(path[:-1], root)
    for field in model.model_fields.values() if model else ():
        if field.alias == path[-1] and field.description:
            return field.description
    return "it is required"


def _model_at(path: Path, root: type[Section]) -> type[Section] | None:
    """The model that describes the mapping at a path."""
    model: type[Section] | None = root
    for part in path:
        if isinstance(part, int) or model is None:
            continue
        annotation = next((f.annotation for f in model.model_fields.values() if f.alias == part), None)
        model = next(_models_in(annotation), None)
    return model


def _models_in(annotation: Any) -> Iterator[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)
