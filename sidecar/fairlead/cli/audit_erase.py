"""`fairlead audit erase`: removes what a record only commits to."""

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
        help="erase the values that a record only commits to; the log still verifies",
        description="Removes the texts that lie beside a record. The record, its hash and every proof stay what they "
        "are; that it was done, by whom and why is recorded. Backups, exports and consumers keep their copies.",
    )
    erase.add_argument("sequence", type=_SEQUENCE, metavar="SEQUENCE", help="the record")
    erase.add_argument("--reason", required=True, metavar="TEXT", help="why; recorded for ever, so nothing personal")
    erase.add_argument("--request-id", metavar="ID", help="makes a repetition safe: the same id counts once")
    operator.add_arguments(erase)
    erase.set_defaults(run=run_erase)


def run_erase(arguments: argparse.Namespace) -> int:
    """Erases."""
    hint = "the values may be erased or not: look with fairlead audit tail --json"
    with operator.refusals_reported(hint) as codes, operator.connected(arguments) as channel:
        request = audit_service_pb2.EraseValuesRequest(
            request_id=arguments.request_id or str(uuid.uuid4()), sequence=arguments.sequence, reason=arguments.reason
        )
        stub = audit_service_pb2_grpc.AuditServiceStub(channel)
        erased = stub.EraseValues(request, timeout=operator.DEFAULT_TIMEOUT_SECONDS).erased
        print(f"{count(erased, 'value')} of record {arguments.sequence} erased")
        sys.stdout.flush()
    return codes[0] if codes else 0
