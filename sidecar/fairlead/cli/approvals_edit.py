"""`fairlead approvals edit`: other arguments, from a file, from single values, or from an editor.

Numbers that nobody touches keep their spelling, so that an edit of one argument does not round another one.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from fairlead.v1 import approval_service_pb2 as pb

_DEFAULT_EDITOR = "vi"


class NothingToSay(Exception):
    """What was given cannot be sent."""


class _Spelled(str):
    """A number as it is written."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds where the new arguments come from."""
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--arguments", metavar="FILE", help="file with all of them as JSON; - reads them from standard input"
    )
    source.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="POINTER=VALUE",
        help="one of them, by its JSON pointer, such as /amount=80; a value that is no JSON is a text; may be repeated "
        "(default: all of them in $VISUAL or $EDITOR)",
    )


def edited(arguments: argparse.Namespace, approval: pb.Approval) -> bytes:
    """The new arguments as JSON; raises `NothingToSay`."""
    if arguments.arguments is not None:
        return _checked(_read(arguments.arguments))
    if arguments.set:
        value = _parse(approval.arguments.decode("utf-8", "replace"))
        for one in arguments.set:
            value = _with(value, one)
        return _dump(value).encode()
    return _checked(_in_an_editor(approval))


def _read(place: str) -> str:
    try:
        return sys.stdin.read() if place == "-" else Path(place).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise NothingToSay(f"{place} cannot be read: {error}") from error


def _checked(text: str) -> bytes:
    """The text as it is, when it is JSON."""
    _parse(text)
    return text.strip().encode()


def _parse(text: str) -> Any:
    try:
        return json.loads(text, parse_int=_Spelled, parse_float=_Spelled)
    except (ValueError, RecursionError) as error:
        raise NothingToSay(f"the arguments are no JSON: {error}") from error


def _dump(value: Any) -> str:
    if isinstance(value, _Spelled):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(name)}:{_dump(member)}" for name, member in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_dump, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _with(document: Any, setting: str) -> Any:
    """The document with one value changed or added."""
    pointer, separator, text = setting.partition("=")
    if not separator or not pointer.startswith("/"):
        raise NothingToSay(f"--set {setting}: write a JSON pointer and a value, such as /amount=80")
    try:
        value = json.loads(text, parse_int=_Spelled, parse_float=_Spelled)
    except ValueError:
        value = text
    *way, last = (step.replace("~1", "/").replace("~0", "~") for step in pointer[1:].split("/"))
    place = document
    for step in way:
        place = _member(place, step, pointer)
    if isinstance(place, dict):
        place[last] = value
    elif isinstance(place, list) and last == "-":
        place.append(value)
    else:
        _member(place, last, pointer)
        place[int(last)] = value
    return document


def _member(place: Any, step: str, pointer: str) -> Any:
    if isinstance(place, dict) and step in place:
        return place[step]
    if isinstance(place, list) and step.isascii() and step.isdigit() and int(step) < len(place):
        return place[int(step)]
    raise NothingToSay(f"--set {pointer}: there is nothing at {step!r}")


def _in_an_editor(approval: pb.Approval) -> str:
    """What the operator leaves in an editor that begins with what is shown."""
    before = approval.arguments.decode("utf-8", "replace")
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or _DEFAULT_EDITOR
    if not sys.stdin.isatty() and "VISUAL" not in os.environ and "EDITOR" not in os.environ:
        raise NothingToSay("there is no terminal for an editor: give --arguments or --set, or set EDITOR")
    with tempfile.TemporaryDirectory(prefix="fairlead-") as directory:
        # Nobody else's to read: arguments may be confidential.
        file = Path(directory, "arguments.json")
        file.write_text(before, encoding="utf-8")
        try:
            ended = subprocess.run([*shlex.split(editor), str(file)], check=False).returncode
        except (OSError, ValueError) as error:
            raise NothingToSay(f"the editor {editor} cannot be started: {error}") from error
        if ended != 0:
            raise NothingToSay(f"the editor {editor} ended with {ended}: nothing was changed")
        after = _read(str(file))
    if after.strip() == before.strip():
        raise NothingToSay("nothing was changed")
    return after
