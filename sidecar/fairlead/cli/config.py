"""`fairlead config`: validate a configuration offline; look at, apply, compare and roll back that of a sidecar."""

from __future__ import annotations

import argparse
import json
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairlead.cli import bounded, operator

if TYPE_CHECKING:
    from fairlead.config import Violation
    from fairlead.v1 import config_service_pb2

_INVALID = 2
_FAULT = 70


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command group."""
    group = subparsers.add_parser("config", help="work with configurations", description=__doc__)
    commands = group.add_subparsers(metavar="COMMAND", title="commands", required=True)

    validate = commands.add_parser(
        "validate", help="check a file without a sidecar: exit code 0 and its version, or 2 and every violation"
    )
    validate.add_argument("file", type=Path, metavar="FILE", help="a YAML file, or a directory of *.yaml files")
    validate.add_argument(
        "--no-secrets",
        action="store_true",
        help="do not look whether the secrets are there, as in a pull request's check",
    )
    _json(validate)
    validate.set_defaults(run=_validate)

    show = _remote(commands, "show", "print the running configuration, or an earlier version", _show)
    show.add_argument(
        "version", nargs="?", default="", metavar="VERSION", help="a version or its first 6 digits or more"
    )

    apply = _remote(commands, "apply", "make a configuration the running one", _apply)
    apply.add_argument("file", type=Path, metavar="FILE", help="a YAML file, or a directory of *.yaml files")
    apply.add_argument("--validate-only", action="store_true", help="check it in the sidecar and change nothing")
    apply.add_argument("--etag", default="", metavar="VERSION", help="refuse unless this version is running")

    diff = _remote(commands, "diff", "compare two versions; by default the one before with the running one", _diff)
    diff.add_argument(
        "before", nargs="?", default="", metavar="FROM", help="default: the version before the running one"
    )
    diff.add_argument("after", nargs="?", default="", metavar="TO", help="default: the running version")

    history = _remote(commands, "history", "list the versions that have been running, newest first", _history)
    history.add_argument(
        "--limit", type=bounded.number(1, 1_000_000), default=20, metavar="N", help="at most this many (default: 20)"
    )

    rollback = _remote(commands, "rollback", "make an earlier version the running one again", _rollback)
    rollback.add_argument("version", nargs="?", default="", metavar="VERSION", help="default: the one before")


def _remote(commands: Any, name: str, summary: str, run: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=summary, description=f"{summary}.".capitalize())
    operator.add_arguments(parser)
    _json(parser)

    def reported(arguments: argparse.Namespace) -> int:
        with operator.refusals_reported() as codes:
            codes.append(run(arguments))
        return codes[-1]

    parser.set_defaults(run=reported)
    return parser


def _json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")


def _validate(arguments: argparse.Namespace) -> int:
    import os

    from fairlead.config import ConfigError, Loader
    from fairlead.config.notices import notices

    try:
        from fairlead.native import Core
    except ImportError as error:
        print(f"fairlead: the native extension cannot be loaded: {error}", file=sys.stderr)
        return _FAULT
    loader = Loader(Core.compile, None if arguments.no_secrets else os.environ)
    try:
        loaded = loader.load(arguments.file)
    except ConfigError as error:
        if arguments.json:
            _print_json({"valid": False, "violations": [_as_json(violation) for violation in error.violations]})
        else:
            _print_violations(error.violations)
        return _INVALID
    told = notices(loaded.config, idle_books=loaded.idle_books)
    if arguments.json:
        _print_json({"valid": True, "version": loaded.version, "violations": [], "notices": told})
        return 0
    print(loaded.version)
    for notice in told:
        print(f"note: {notice}", file=sys.stderr)
    return 0


def _show(arguments: argparse.Namespace) -> int:
    from fairlead.v1 import config_service_pb2 as pb

    with operator.connected(arguments) as channel:
        response = _stub(channel).GetConfig(pb.GetConfigRequest(version=arguments.version), **_CALL)
    if arguments.json:
        _print_json({**_version(response.version), "config": json.loads(response.canonical_json)})
        return 0
    import yaml

    print(f"# {_line(response.version)}")
    dumped = yaml.safe_dump(json.loads(response.canonical_json), sort_keys=False, allow_unicode=True, width=120)
    print(dumped, end="")
    return 0


def _apply(arguments: argparse.Namespace) -> int:
    from fairlead.config import Violation
    from fairlead.config.text import joined
    from fairlead.v1 import config_service_pb2 as pb

    try:
        whole = joined(arguments.file)
    except OSError as error:
        print(f"fairlead: {error.filename or arguments.file} cannot be read: {error.strerror}", file=sys.stderr)
        return _INVALID
    request = pb.ApplyConfigRequest(yaml=whole.text, files=whole.workflows, etag=arguments.etag, validate_only=True)
    with operator.connected(arguments) as channel:
        # Only the check answers with every violation, however many there are.
        response = _stub(channel).ApplyConfig(request, **_CALL)
        if response.violations:
            violations = [
                whole.located(Violation(found.file, found.line, found.path, found.message))
                for found in response.violations
            ]
            if arguments.json:
                _print_json({"valid": False, "violations": [_as_json(violation) for violation in violations]})
            else:
                _print_violations(violations)
            return _INVALID
        if not arguments.validate_only:
            request.validate_only = False
            request.request_id = str(uuid.uuid4())
            response = _stub(channel).ApplyConfig(request, **_CALL)
    if arguments.json:
        _print_json({"valid": True, **_version(response.version), "violations": []})
    elif arguments.validate_only:
        print(f"{response.version.version}  valid{', and running already' if response.version.active else ''}")
    else:
        print(_line(response.version))
    return 0


def _diff(arguments: argparse.Namespace) -> int:
    from fairlead.v1 import config_service_pb2 as pb

    with operator.connected(arguments) as channel:
        before = arguments.before
        if not before:
            versions = _stub(channel).ListConfigVersions(pb.ListConfigVersionsRequest(page_size=2), **_CALL).versions
            before = next((entry.version for entry in versions if not entry.active), "")
            if not before:
                print("fairlead: no other configuration has run before this one", file=sys.stderr)
                return 1
        request = pb.DiffConfigRequest(from_version=before, to_version=arguments.after)
        changes = _stub(channel).DiffConfig(request, **_CALL).changes
    if arguments.json:
        _print_json(
            [
                {"path": change.path, "before": _parsed(change.before), "after": _parsed(change.after)}
                for change in changes
            ]
        )
        return 0
    for change in changes:
        if not change.before:
            print(f"+ {change.path}: {change.after}")
        elif not change.after:
            print(f"- {change.path}: {change.before}")
        else:
            print(f"~ {change.path}: {change.before} → {change.after}")
    return 0


def _history(arguments: argparse.Namespace) -> int:
    from fairlead.v1 import config_service_pb2 as pb

    entries: list[config_service_pb2.ConfigVersion] = []
    token = ""
    with operator.connected(arguments) as channel:
        while len(entries) < arguments.limit:
            request = pb.ListConfigVersionsRequest(page_size=min(arguments.limit - len(entries), 500), page_token=token)
            page = _stub(channel).ListConfigVersions(request, **_CALL)
            entries.extend(page.versions)
            token = page.next_page_token
            if not token:
                break
    if arguments.json:
        _print_json([_version(entry) for entry in entries])
        return 0
    for entry in entries:
        print(_line(entry))
    return 0


def _rollback(arguments: argparse.Namespace) -> int:
    from fairlead.v1 import config_service_pb2 as pb

    request = pb.RollbackConfigRequest(request_id=str(uuid.uuid4()), version=arguments.version)
    with operator.connected(arguments) as channel:
        response = _stub(channel).RollbackConfig(request, **_CALL)
    if arguments.json:
        _print_json(_version(response.version))
    else:
        print(_line(response.version))
        print(
            "the configuration file is as it was: its next change, or the next start, applies it again", file=sys.stderr
        )
    return 0


_CALL: dict[str, Any] = {"timeout": operator.DEFAULT_TIMEOUT_SECONDS}


def _stub(channel: Any) -> Any:
    from fairlead.v1 import config_service_pb2_grpc

    return config_service_pb2_grpc.ConfigServiceStub(channel)


def _version(entry: config_service_pb2.ConfigVersion) -> dict[str, Any]:
    return {
        "version": entry.version,
        "appliedAt": entry.applied_at.ToJsonString() if entry.HasField("applied_at") else None,
        "source": entry.source,
        "operator": entry.operator,
        "active": entry.active,
    }


def _line(entry: config_service_pb2.ConfigVersion) -> str:
    applied = entry.applied_at.ToDatetime().strftime("%Y-%m-%dT%H:%M:%SZ")
    by = f" by {entry.operator}" if entry.operator else ""
    return f"{entry.version}  {applied}  {entry.source}{by}{'  (running)' if entry.active else ''}"


def _as_json(violation: Violation) -> dict[str, Any]:
    return {"file": violation.file, "line": violation.line, "path": violation.path, "message": violation.message}


def _parsed(text: str) -> Any:
    return json.loads(text) if text else None


def _print_violations(violations: Any) -> None:
    for violation in violations:
        print(violation, file=sys.stderr)


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))
