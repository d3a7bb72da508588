"""`fairlead audit erase`: removes what records only commit to."""

from __future__ import annotations

import argparse
import sys
import uuid

from fairlead.budget.model import count
from fairlead.cli import bounded, operator
from fairlead.v1 import audit_service_pb2, audit_service_pb2_grpc

_SEQUENCE = bounded.number(1, (1 << 63) - 1)


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command below `fairlead audit`."""
    erase = commands.add_parser(
        "erase",
        help="erase the texts that records only commit to; the log still verifies",
        description="Removes the texts that lie beside records: of the records that are given, or of everything about "
        "a run, an approval or a call. The records, their hashes and every proof stay what they are; that it was done, "
        "by whom and why is recorded. Backups, exports and consumers keep their copies.",
    )
    what = erase.add_mutually_exclusive_group(required=True)
    what.add_argument("sequences", type=_SEQUENCE, nargs="*", default=[], metavar="SEQUENCE", help="the records")
    what.add_argument(
        "--run", dest="name", metavar="NAME", help="a run with its steps, calls and approvals: runs/run_… or the id"
    )
    what.add_argument("--approval", dest="name", metavar="NAME", help="an approval, and the call that asked for it")
    what.add_argument("--invocation", dest="name", metavar="ID", help="a call and its approval: inv_… or grt_…")
    erase.add_argument("--reason", required=True, metavar="TEXT", help="why; recorded for ever, so nothing personal")
    erase.add_argument("--request-id", metavar="ID", help="makes a repetition safe: the same id counts once")
    operator.add_arguments(erase)
    erase.set_defaults(run=run_erase)


def run_erase(arguments: argparse.Namespace) -> int:
    """Erases. Of several records each is done by itself; the first that cannot be ends it."""
    hint = "the values may be erased or not: look with fairlead audit tail --json"
    name = arguments.name or ""
    first_id = arguments.request_id or str(uuid.uuid4())
    with operator.refusals_reported(hint) as codes, operator.connected(arguments) as channel:
        stub = audit_service_pb2_grpc.AuditServiceStub(channel)
        for place, sequence in enumerate(arguments.sequences or [0]):
            request = audit_service_pb2.EraseValuesRequest(
                request_id=f"{first_id}/{sequence}" if place else first_id,
                sequence=sequence,
                name=name,
                reason=arguments.reason,
            )
            answer = stub.EraseValues(request, timeout=operator.DEFAULT_TIMEOUT_SECONDS)
            print(f"{count(answer.erased, 'value')} of {name or f'record {sequence}'} erased")
            sys.stdout.flush()
            for note in answer.notes:
                print(f"fairlead: {note}", file=sys.stderr)
    return codes[0] if codes else 0
