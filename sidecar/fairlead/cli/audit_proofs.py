"""`fairlead audit key`, `checkpoint`, `prove`, `evidence`, and bundles: what convinces who trusts only a key."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from itertools import takewhile
from pathlib import Path
from typing import TextIO

from fairlead.audit.transparency import bundle
from fairlead.audit.transparency.evidence import EvidenceVerification, verify_consistency, verify_evidence
from fairlead.audit.transparency.exported import ExportVerifier, feed_lines
from fairlead.audit.transparency.lines import BadLine, Line, parse_line, text_of
from fairlead.audit.transparency.note import InvalidKey, InvalidNote, VerifierKey
from fairlead.audit.transparency.verify import BundleVerification, BundleVerifier
from fairlead.audit.wording import utc
from fairlead.budget.model import count
from fairlead.cli import audit_source, bounded, operator
from fairlead.cli.audit_source import Source
from fairlead.v1 import audit_service_pb2
from fairlead.workflow.model import full_name

_SEQUENCE = bounded.number(1, (1 << 63) - 1)
# A proof of each record beside the record: what one answer of the sidecar has room for.
_PROOFS_AT_ONCE = 500


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the commands below `fairlead audit`."""
    key = commands.add_parser(
        "key",
        help="print the public key that verifies this log's checkpoints",
        description="Keep it where whoever holds the data directory cannot change it.",
    )
    key.add_argument("--all", action="store_true", help="also the keys that signed before, the last one first")
    key.set_defaults(run=run_key)

    checkpoint = commands.add_parser(
        "checkpoint",
        help="sign everything and print the checkpoint",
        description="Keep it somewhere else as an anchor: a later fairlead audit verify BUNDLE --anchor proves that "
        "nothing up to it was changed, cut off or rolled back.",
    )
    checkpoint.set_defaults(run=run_checkpoint)

    prove = commands.add_parser(
        "prove",
        help="prove that records are in the signed log, or that one checkpoint goes on from another",
        description="Writes a file for fairlead audit verify.",
    )
    prove.add_argument("sequences", type=_SEQUENCE, nargs="*", metavar="SEQUENCE", help="records")
    prove.add_argument("--from-checkpoint", type=_SEQUENCE, metavar="SIZE", help="size of the older checkpoint")
    prove.add_argument(
        "--to-checkpoint", type=_SEQUENCE, default=0, metavar="SIZE", help="size of the newer one (default: the last)"
    )
    prove.set_defaults(run=run_prove)

    evidence = commands.add_parser(
        "evidence",
        help="write everything about one run, call or approval, with proofs and the configurations that decided",
        description="Writes a file that fairlead audit verify checks without the sidecar, with a public key alone.",
    )
    evidence.add_argument("subject", metavar="NAME", help="runs/run_… or run_…, inv_…, grt_… or approvals/apr_…")
    evidence.set_defaults(run=run_evidence)
    for command in (prove, evidence):
        command.add_argument("--to", type=Path, metavar="FILE", help="write to a file (default: stdout)")
    for command in (key, checkpoint, prove, evidence):
        audit_source.add_arguments(command)


def run_key(arguments: argparse.Namespace) -> int:
    """Prints public keys."""
    with operator.refusals_reported() as codes, audit_source.opened(arguments) as source:
        source.checkpoint(fresh=True)
        identity = source.identity()
        print(identity.public_key)
        for former in identity.former_public_keys if arguments.all else ():
            print(former)
        sys.stdout.flush()
    return codes[0] if codes else 0


def run_checkpoint(arguments: argparse.Namespace) -> int:
    """Prints the last checkpoint."""
    with operator.refusals_reported() as codes, audit_source.opened(arguments) as source:
        sys.stdout.write(source.checkpoint(fresh=True).note)
        sys.stdout.flush()
    return codes[0] if codes else 0


def run_prove(arguments: argparse.Namespace) -> int:
    """Writes inclusion proofs, or a consistency proof."""
    if bool(arguments.sequences) == (arguments.from_checkpoint is not None):
        print("fairlead: name records, or --from-checkpoint SIZE", file=sys.stderr)
        return 2
    with operator.refusals_reported() as codes, audit_source.opened(arguments) as source:
        newest = source.checkpoint(fresh=True)
        if arguments.from_checkpoint is not None:
            proven = source.consistency(arguments.from_checkpoint, arguments.to_checkpoint or newest.size)
            _write(arguments.to, bundle.consistency(source.identity(), proven))
        else:
            subject = " ".join(f"record {sequence}" for sequence in arguments.sequences)
            records = source.prove(arguments.sequences)
            _write(arguments.to, bundle.evidence(source.identity(), subject, records))
    return codes[0] if codes else 0


def run_evidence(arguments: argparse.Namespace) -> int:
    """Writes the evidence of a run, a call or an approval."""
    with operator.refusals_reported() as codes, audit_source.opened(arguments) as source:
        is_run = arguments.subject.startswith(("run_", "runs/"))
        name = full_name(arguments.subject) if is_run else arguments.subject
        explained = source.explain_run(name) if is_run else source.explain(name)
        if explained is None:
            raise operator.Unreachable(f"{name} is not known")
        source.checkpoint(fresh=True)
        sequences = [event.record.sequence for event in explained.events]
        if len(sequences) > _PROOFS_AT_ONCE:
            raise operator.Unreachable(
                f"{name} has {len(sequences)} records, more than the {_PROOFS_AT_ONCE} that one file of evidence has "
                "room for: export a bundle of the whole log instead"
            )
        proven = source.prove(sequences)
        versions = sorted({event.record.config_version for event in explained.events} - {""})
        texts = [(version, text) for version in versions if (text := source.configuration(version)) is not None]
        identity = source.identity()
        _write(arguments.to, bundle.evidence(identity, name, proven, texts))
        if identity.beginning.size:
            begins = f"the log begins with record {identity.first_sequence}"
            print(f"{begins}: what was recorded of {name} before was trimmed and is not in it", file=sys.stderr)
    return codes[0] if codes else 0


def run_export_bundle(arguments: argparse.Namespace) -> int:
    """Writes the whole log with its checkpoints, up to one that is signed now."""
    if arguments.first or arguments.last:
        print("fairlead: a bundle is the whole log: leave out --from and --to", file=sys.stderr)
        return 2
    with operator.refusals_reported() as codes, audit_source.opened(arguments) as source:
        size = source.checkpoint(fresh=True).size
        identity = source.identity()
        events = takewhile(lambda event: event.record.sequence <= size, _all(source, identity.first_sequence))
        _write(arguments.bundle, bundle.bundle(identity, events, source.ranges()))
        print(f"{count(size - identity.beginning.size, 'record')} in {arguments.bundle}", file=sys.stderr)
        if identity.beginning.size:
            print(f"the log begins with record {identity.first_sequence}: those before were trimmed", file=sys.stderr)
    return codes[0] if codes else 0


def run_verify_bundle(arguments: argparse.Namespace) -> int:
    """Verifies a file of any of the formats; 1 when something is wrong."""
    if arguments.public_key is None:
        print("fairlead: a BUNDLE needs --public-key FILE, from elsewhere than the bundle", file=sys.stderr)
        return 2
    try:
        trusted = _keys(arguments.public_key)
        anchors = [_anchor(path) for path in arguments.anchor]
        with open(arguments.bundle, encoding="utf-8") as file:
            return _verify(file, trusted, anchors, as_json=arguments.json)
    except (OSError, UnicodeDecodeError) as error:
        print(f"fairlead: a file cannot be read: {error}", file=sys.stderr)
    except (InvalidKey, BadLine) as error:
        print(f"fairlead: {error}", file=sys.stderr)
    except InvalidNote as error:
        print(f"fairlead: the anchor cannot be used: {error}", file=sys.stderr)
    return 2


def run_verify_files(arguments: argparse.Namespace) -> int:
    """Verifies what was exported line by line, signatures included; 1 when something is wrong."""
    try:
        verifier = ExportVerifier(
            _keys(arguments.public_key), [_anchor(path) for path in arguments.anchor], arguments.expect_head
        )
        feed_lines(verifier, lines_of(arguments.file))
        return _report_bundle(verifier.finish(), as_json=arguments.json)
    except (OSError, UnicodeDecodeError) as error:
        print(f"fairlead: a file cannot be read: {error}", file=sys.stderr)
    except InvalidKey as error:
        print(f"fairlead: {error}", file=sys.stderr)
    except (InvalidNote, BadLine) as error:
        print(f"fairlead: the anchor cannot be used: {error}", file=sys.stderr)
    return 2


def lines_of(paths: Iterable[str]) -> Iterator[str]:
    """The lines of files, of stdin for `-`, one file after the other. What an exporter is writing at this moment, a
    last line without its end that is no JSON yet, is left out, and told."""
    last = ""
    for path in paths:
        with nullcontext(sys.stdin) if path == "-" else open(path, encoding="utf-8") as file:
            for line in file:
                if last:
                    yield last
                last = line
    if last and not last.endswith("\n") and not _is_whole(last):
        print("fairlead: the last line has no end yet: it is left out", file=sys.stderr)
    elif last:
        yield last


def _is_whole(line: str) -> bool:
    try:
        parse_line(line)
    except BadLine:
        return False
    return True


def _anchor(path: Path) -> str:
    """The note in a file: all of it, or the last one in what an exporter wrote. Raises `BadLine`."""
    text = path.read_text(encoding="utf-8")
    if not text.startswith("{"):
        return text
    found = ""
    for line in lines_of([str(path)]):
        # Cheap: most lines are records.
        if line.startswith('{"checkpoint"'):
            found = text_of(parse_line(line), "checkpoint")
    if not found:
        raise BadLine(f"{path} has no checkpoint in it")
    return found


def _verify(file: TextIO, trusted: list[VerifierKey], anchors: list[str], *, as_json: bool) -> int:
    content = (line for line in file if line.strip())
    format = parse_line(next(content, "{}")).get("format")
    lines = map(parse_line, content)
    if format in (bundle.BUNDLE, bundle.TRIMMED_BUNDLE):
        verifier = BundleVerifier(trusted, anchors)
        for line in _readable(lines, verifier):
            if not verifier.feed(line):
                break
        return _report_bundle(verifier.finish(), as_json=as_json)
    if format == bundle.EVIDENCE:
        return _report_evidence(verify_evidence(lines, trusted, anchors), as_json=as_json)
    if format == bundle.CONSISTENCY:
        return _report_evidence(verify_consistency(lines, trusted, anchors), as_json=as_json)
    raise BadLine(f"the first line names none of the formats {', '.join(bundle.FORMATS)}")


def _readable(lines: Iterator[Line], verifier: BundleVerifier) -> Iterator[Line]:
    """The lines up to one that is none, which is a bad record."""
    try:
        yield from lines
    except BadLine as error:
        verifier.damaged(str(error))


def _report_bundle(result: BundleVerification, *, as_json: bool) -> int:
    chain, signed = result.chain, result.signed
    if as_json:
        fields = {
            "valid": result.valid,
            "checked": chain.checked,
            "first_invalid_sequence": chain.first_invalid_sequence,
            "problem": chain.problem,
            "origin": result.origin,
            "signed_size": 0 if signed is None else signed.size,
            "signed_at_unix_nanos": 0 if signed is None else signed.time,
            "checkpoints": result.checkpoints,
            "anchors": result.anchors,
            "first_sequence": chain.first_sequence,
        }
        print(json.dumps(fields))
    else:
        print(f"{'valid' if result.valid else 'INVALID'}: {count(chain.checked, 'record')} checked of {result.origin}")
        if not result.valid:
            print(f"problem at record {chain.first_invalid_sequence}: {chain.problem}")
        if chain.first_sequence > 1:
            print(
                f"it begins with record {chain.first_sequence}, behind a signed checkpoint: those before were trimmed"
            )
        if signed is not None:
            print(f"signed up to record {signed.size} at {utc(signed.time)}, {count(result.checkpoints, 'checkpoint')}")
            if result.valid and chain.head_sequence > signed.size:
                print(f"behind it {count(chain.head_sequence - signed.size, 'record')} that nobody has signed")
        if result.anchors:
            print(f"{count(result.anchors, 'anchor')} found in it")
    sys.stdout.flush()
    return 0 if result.valid else 1


def _report_evidence(result: EvidenceVerification, *, as_json: bool) -> int:
    signed = result.signed
    if as_json:
        fields = {
            "valid": result.valid,
            "problem": result.problem,
            "first_invalid_sequence": result.first_invalid_sequence,
            "records": result.records,
            "configurations": result.configurations,
            "signed_size": 0 if signed is None else signed.size,
        }
        print(json.dumps(fields))
    elif not result.valid:
        print(f"INVALID: {result.problem}")
    elif result.older is not None and signed is not None:
        print(f"valid: the log of {signed.size} records goes on from that of {result.older.size}")
    elif signed is not None:
        decided = f" and {count(result.configurations, 'configuration')}" if result.configurations else ""
        print(f"valid: {count(result.records, 'record')}{decided}, of {signed.origin}")
        print(f"signed with {signed.size} records at {utc(signed.time)}")
    sys.stdout.flush()
    return 0 if result.valid else 1


def _keys(path: Path) -> list[VerifierKey]:
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    if not lines:
        raise InvalidKey(f"{path} has no public key")
    return [VerifierKey.parse(line) for line in lines]


def _all(source: Source, first_sequence: int) -> Iterator[audit_service_pb2.AuditEvent]:
    """All records; the first one has to be the one that it is said to be."""
    for number, event in enumerate(source.pages(audit_service_pb2.EventFilter())):
        # An older sidecar does not say where its log begins: at record 1.
        if not number and event.record.sequence != max(1, first_sequence):
            raise operator.Unreachable("the log was trimmed meanwhile: export it again")
        yield event


def _write(path: Path | None, lines: Iterable[str]) -> None:
    with _opened(path) as file:
        for line in lines:
            file.write(line + "\n")


@contextmanager
def _opened(path: Path | None) -> Iterator[TextIO]:
    """Stdout, or a file that gets its name when all of it is there."""
    if path is None:
        yield sys.stdout
        sys.stdout.flush()
        return
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        with open(partial, "x", encoding="utf-8", opener=_private) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.rename(path)
    except OSError as error:
        raise operator.Unreachable(f"{path} cannot be written: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
