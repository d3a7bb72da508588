"""`fairlead audit`: follow, verify and export the audit log, of a running sidecar or of a stopped one's directory."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from fairlead.audit.export import FORMAT
from fairlead.audit.model import HASH_BYTES, Verification, rewritten
from fairlead.audit.rendering import event_to_line
from fairlead.audit.summary import kind_names
from fairlead.audit.transparency.exported import verify_export
from fairlead.budget.model import count
from fairlead.cli import audit_consumers, audit_erase, audit_proofs, audit_source, bounded, operator
from fairlead.cli.audit_source import Source
from fairlead.v1 import audit_service_pb2

DEFAULT_LINES = 20
# Reads a number of records, or the sequence of one.
_SEQUENCE = bounded.number(0, (1 << 63) - 1)


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the commands."""
    group = subparsers.add_parser(
        "audit",
        help="follow, verify and export the audit log",
        description="The tamper-evident log: of a running sidecar through its operator socket, of a stopped one from "
        "its data directory.",
    )
    group.set_defaults(run=_usage(group))
    commands = group.add_subparsers(metavar="COMMAND", title="commands")

    tail = commands.add_parser("tail", help="print the last records, or follow the log")
    tail.add_argument("-n", "--lines", type=_SEQUENCE, default=DEFAULT_LINES, metavar="N", help="last N (default: 20)")
    tail.add_argument("--from-start", action="store_true", help="begin at the first record")
    tail.add_argument("-f", "--follow", action="store_true", help="go on with new records as they are committed")
    tail.add_argument("--json", action="store_true", help="JSON Lines in the format of fairlead audit export")
    tail.add_argument("--tenant", default="", help="only this tenant's")
    tail.add_argument("--invocation", default="", help="only this invocation's")
    tail.add_argument("--run", default="", dest="of_run", metavar="RUN", help="only this run's and its steps'")
    tail.add_argument("--kind", action="append", default=[], choices=kind_names(), metavar="KIND", help=_kinds())
    audit_source.add_arguments(tail)
    tail.set_defaults(run=run_tail)

    verify = commands.add_parser(
        "verify",
        help="recompute the hash chain; exit code 1 when it does not hold",
        description="Recomputes the hash of every record and the order of all of them. Keep the head that it prints "
        "somewhere else: with --expect-head a later run proves that nothing up to it was changed or removed.",
    )
    verify.add_argument(
        "--from", type=_SEQUENCE, default=0, dest="first", metavar="SEQUENCE", help="first record to check"
    )
    verify.add_argument("--to", type=_SEQUENCE, default=0, dest="last", metavar="SEQUENCE", help="last record to check")
    verify.add_argument("bundle", nargs="?", metavar="BUNDLE", help="verify a bundle, evidence or a proof, offline")
    verify.add_argument(
        "--public-key",
        type=Path,
        metavar="FILE",
        help="with BUNDLE or --file: who may have signed, a line for each key as fairlead audit key prints it",
    )
    verify.add_argument(
        "--anchor",
        type=Path,
        action="append",
        default=[],
        metavar="CHECKPOINT",
        help="with BUNDLE or --file: a checkpoint that was kept elsewhere and has to be of this log, or what an "
        "exporter wrote, whose last checkpoint counts; may be given again",
    )
    verify.add_argument(
        "--file",
        action="append",
        default=[],
        metavar="EXPORT",
        help="verify an export, or what an exporter wrote, instead of a log; several in the order of their records; - "
        "reads from stdin",
    )
    verify.add_argument(
        "--expect-head", type=_head, metavar="SEQUENCE:HASH", help="a head that was printed before and has to be there"
    )
    verify.add_argument("--json", action="store_true", help="the result as one JSON object")
    audit_source.add_arguments(verify)
    verify.set_defaults(run=run_verify)

    export = commands.add_parser(
        "export",
        help="write the log to stdout as JSON Lines",
        description="Writes every record with everything an outside verifier needs.",
        epilog=FORMAT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    export.add_argument(
        "--from", type=_SEQUENCE, default=0, dest="first", metavar="SEQUENCE", help="first record to write"
    )
    export.add_argument("--to", type=_SEQUENCE, default=0, dest="last", metavar="SEQUENCE", help="last record to write")
    export.add_argument(
        "--bundle",
        type=Path,
        metavar="FILE",
        help="write all of it with its signed checkpoints to a file that fairlead audit verify checks",
    )
    audit_source.add_arguments(export)
    export.set_defaults(run=run_export)
    audit_proofs.register(commands)
    audit_consumers.register(commands)
    audit_erase.register(commands)


def run_tail(arguments: argparse.Namespace) -> int:
    """Prints records until there are no more, or for ever with --follow."""
    from fairlead.cli.audit_tail import tail

    with operator.refusals_reported() as codes, audit_source.opened(arguments) as source:
        if arguments.follow and not isinstance(source, audit_source.OnlineLog):
            raise operator.Unreachable("--follow needs a running sidecar")
        tail(source, arguments)
    return codes[0] if codes else 0


def run_verify(arguments: argparse.Namespace) -> int:
    """Verifies; 1 when something is wrong."""
    if arguments.last and arguments.last < arguments.first:
        print("fairlead: --to must not be less than --from", file=sys.stderr)
        return 2
    if arguments.bundle is not None:
        return audit_proofs.run_verify_bundle(arguments)
    if arguments.file:
        if arguments.first or arguments.last:
            print("fairlead: --file checks the whole export: leave out --from and --to", file=sys.stderr)
            return 2
        if arguments.public_key is not None:
            return audit_proofs.run_verify_files(arguments)
        if arguments.anchor:
            print("fairlead: --anchor needs --public-key", file=sys.stderr)
            return 2
        return _verify_files(arguments)
    if arguments.public_key is not None or arguments.anchor:
        print("fairlead: --public-key and --anchor need a BUNDLE or --file", file=sys.stderr)
        return 2
    with operator.refusals_reported() as codes, audit_source.opened(arguments) as source:
        verification = source.verify(arguments.first, arguments.last)
        if arguments.expect_head is not None and verification.valid:
            verification = _compare_head(source, verification, *arguments.expect_head)
        return _report(verification, as_json=arguments.json)
    return codes[0] if codes else 0


def run_export(arguments: argparse.Namespace) -> int:
    """Writes the log up to the record that is the last one now."""
    if arguments.bundle is not None:
        return audit_proofs.run_export_bundle(arguments)
    with operator.refusals_reported() as codes, audit_source.opened(arguments) as source:
        everything = audit_service_pb2.EventFilter()
        newest = next(iter(source.pages(everything, descending=True, page_size=1)), None)
        if newest is not None:
            last = min(arguments.last or newest.record.sequence, newest.record.sequence)
            told = False
            for event in source.pages(everything):
                first = event.record.sequence
                if not told and first > max(1, arguments.first):
                    print(f"fairlead: the first record that is there is {first}", file=sys.stderr)
                told = True
                if event.record.sequence > last:
                    break
                if event.record.sequence >= arguments.first:
                    sys.stdout.write(event_to_line(event) + "\n")
        sys.stdout.flush()
    return codes[0] if codes else 0


def _verify_files(arguments: argparse.Namespace) -> int:
    try:
        verification = verify_export(audit_proofs.lines_of(arguments.file), arguments.expect_head)
    except (OSError, UnicodeDecodeError) as error:
        print(f"fairlead: a file cannot be read: {error}", file=sys.stderr)
        return 2
    return _report(verification, as_json=arguments.json)


def _compare_head(source: Source, verification: Verification, sequence: int, record_hash: bytes) -> Verification:
    """The verification of a log in which a known head has to be."""
    alone = source.verify(sequence, sequence)
    if not alone.valid:
        return replace(verification, first_invalid_sequence=alone.first_invalid_sequence, problem=alone.problem)
    if alone.head_hash != record_hash:
        return replace(verification, first_invalid_sequence=sequence, problem=rewritten(sequence, alone.head_hash))
    return verification


def _report(verification: Verification, *, as_json: bool) -> int:
    """Prints the result; the exit code."""
    head = verification.head_hash.hex()
    if as_json:
        fields = {
            "valid": verification.valid,
            "checked": verification.checked,
            "first_invalid_sequence": verification.first_invalid_sequence,
            "problem": verification.problem,
            "head_sequence": verification.head_sequence,
            "head_hash": head,
            "first_sequence": verification.first_sequence,
        }
        print(json.dumps(fields))
    else:
        print(f"{'valid' if verification.valid else 'INVALID'}: {count(verification.checked, 'record')} checked")
        if not verification.valid:
            print(f"problem at record {verification.first_invalid_sequence}: {verification.problem}")
        if verification.first_sequence > 1:
            print(f"it begins with record {verification.first_sequence}: those before were trimmed")
        if verification.checked:
            print(f"head{'' if verification.valid else ' before it'}: {verification.head_sequence}:{head}")
    sys.stdout.flush()
    return 0 if verification.valid else 1


def _head(text: str) -> tuple[int, bytes]:
    sequence, _, record_hash = text.partition(":")
    head = int(sequence), bytes.fromhex(record_hash)
    if head[0] < 1 or len(head[1]) != HASH_BYTES:
        raise argparse.ArgumentTypeError("must be SEQUENCE:HASH as fairlead audit verify prints it")
    return head


def _kinds() -> str:
    return f"only this kind, may be given again: {', '.join(kind_names())}"


def _usage(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], int]:
    def run(_: argparse.Namespace) -> int:
        parser.print_help()
        return 2

    return run
