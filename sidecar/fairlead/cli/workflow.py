"""`fairlead workflow`: validate workflow files offline, and draw them."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fairlead.config import Violation
    from fairlead.internal.v1 import workflow_pb2

_INVALID = 2
_FAULT = 70
# By the ending of the file that is written.
_FORMATS = {".svg": "svg", ".mmd": "mermaid", ".mermaid": "mermaid"}


class _CannotLoad(Exception):
    """Why there is nothing to work with, and the exit code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class _Invalid(Exception):
    """Files that are not valid workflows."""

    def __init__(self, violations: list[Violation]) -> None:
        super().__init__()
        self.violations = violations


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command group."""
    group = subparsers.add_parser("workflow", help="validate and draw workflows", description=__doc__)
    commands = group.add_subparsers(metavar="COMMAND", title="commands", required=True)

    validate = commands.add_parser(
        "validate",
        help="check workflow files: exit code 0 and their versions, or 2 and every violation",
        description="Checks workflow files without a sidecar. Models, routes, tiers, tenants and child workflows that "
        "are not in the files are taken for granted, unless --config says where they are.",
    )
    validate.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a workflow's YAML file")
    _config(validate)
    validate.add_argument("--json", action="store_true", help="print JSON")
    validate.set_defaults(run=_validate)

    graph = commands.add_parser(
        "graph",
        help="draw a workflow as Mermaid, SVG or text",
        description="Checks a workflow file and draws it.",
    )
    graph.add_argument("file", type=Path, metavar="FILE", help="a workflow's YAML file")
    graph.add_argument(
        "--format",
        choices=("mermaid", "svg", "text"),
        help="default: text, or what the ending of --output says (.svg, .mmd)",
    )
    graph.add_argument("--output", type=Path, metavar="FILE", help="write it here instead of to stdout")
    _config(graph)
    graph.set_defaults(run=_graph)


def _config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config",
        type=Path,
        metavar="CONFIG",
        help="check it as a part of this configuration: a YAML file, or a directory of *.yaml files",
    )


def _validate(arguments: argparse.Namespace) -> int:
    try:
        checked = _checked(arguments.files, arguments.config)
    except _CannotLoad as error:
        print(f"fairlead: {error}", file=sys.stderr)
        return error.code
    except _Invalid as error:
        if arguments.json:
            _print_json({"valid": False, "violations": [_as_json(violation) for violation in error.violations]})
        else:
            _print_violations(error.violations)
        return _INVALID
    if arguments.json:
        workflows = [
            {"file": str(file), "name": workflow.name, "version": workflow.version, "steps": len(workflow.steps)}
            for file, workflow in checked
        ]
        _print_json({"valid": True, "workflows": workflows, "violations": []})
        return 0
    for _, workflow in checked:
        print(f"{workflow.version}  {workflow.name}")
    return 0


def _graph(arguments: argparse.Namespace) -> int:
    from fairlead.workflow import graph

    try:
        ((_, workflow),) = _checked([arguments.file], arguments.config)
    except _CannotLoad as error:
        print(f"fairlead: {error}", file=sys.stderr)
        return error.code
    except _Invalid as error:
        _print_violations(error.violations)
        return _INVALID
    ending = arguments.output.suffix.lower() if arguments.output is not None else ""
    draw = {"mermaid": graph.mermaid, "svg": graph.draw_svg, "text": graph.text}
    drawn = draw[arguments.format or _FORMATS.get(ending, "text")](workflow)
    if arguments.output is None:
        print(drawn, end="")
        return 0
    try:
        arguments.output.write_text(drawn, encoding="utf-8")
    except OSError as error:
        print(f"fairlead: {arguments.output} cannot be written: {error.strerror}", file=sys.stderr)
        return _INVALID
    return 0


def _checked(files: list[Path], config: Path | None) -> list[tuple[Path, workflow_pb2.WorkflowDefinition]]:
    """The workflow of each file; raises `_CannotLoad` and `_Invalid`."""
    from fairlead.config import ConfigError, Loader, Violation, to_engine
    from fairlead.config.candidates import alone, within
    from fairlead.config.loader import read_files

    try:
        from fairlead.native import Core
    except ImportError as error:
        raise _CannotLoad(_FAULT, f"the native extension cannot be loaded: {error}") from None
    files = list(dict.fromkeys(files))
    for file in files:
        try:
            file.open("rb").close()
        except OSError as error:
            raise _CannotLoad(_INVALID, f"{file} cannot be read: {error.strerror}") from None
    document = alone(files) if config is None else within(read_files(config), files)
    try:
        loaded = Loader(Core.compile, None).check(document)
    except ConfigError as error:
        # Violations name files as they were given.
        given = {str(file.absolute()): str(file) for file in files}
        raise _Invalid(
            [
                Violation(given.get(found.file, found.file), found.line, found.path, found.message)
                for found in error.violations
            ]
        ) from None
    by_file = {
        entry["file"]: workflow
        for entry, workflow in zip(document.value["workflows"], to_engine(loaded.config).workflows, strict=True)
        if "file" in entry
    }
    return [(file, by_file[str(file.absolute())]) for file in files]


def _as_json(violation: Violation) -> dict[str, Any]:
    return {"file": violation.file, "line": violation.line, "path": violation.path, "message": violation.message}


def _print_violations(violations: list[Violation]) -> None:
    for violation in violations:
        print(violation, file=sys.stderr)


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))
