"""`fairlead audit consumers`: who reads the log to the end, how far behind each is, how one passes over records that it
cannot take, and how one is forgotten."""

from __future__ import annotations

import argparse
import json
import sys
import uuid
from collections.abc import Callable, Iterator

from fairlead.audit.rendering import message_to_dict
from fairlead.audit.wording import utc
from fairlead.budget.model import count
from fairlead.cli import bounded, operator
from fairlead.cli.table import fitting, table
from fairlead.v1 import audit_service_pb2, audit_service_pb2_grpc

_SEQUENCE = bounded.number(1, (1 << 63) - 1)


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the commands below `fairlead audit`."""
    group = commands.add_parser(
        "consumers",
        help="list the named consumers of the log, pass over records, or forget one",
        description="Collectors and exporters that acknowledge what they have. Retention waits for them, as far as "
        "limits.consumerLag says.",
    )
    group.set_defaults(run=_usage(group))
    nested = group.add_subparsers(metavar="COMMAND", title="commands")
    listing = nested.add_parser("list", help="all of them, by name")
    listing.add_argument("--json", action="store_true", help="JSON instead of text, one line for each")
    listing.set_defaults(run=run_list)
    skip = nested.add_parser(
        "skip",
        help="pass over records that a consumer cannot take: it goes on behind them, and never gets them",
        description="For a destination that refuses a record for good, also of an exporter that runs (export:NAME). "
        "Who did it and why is recorded; the records stay in the log.",
    )
    skip.add_argument("name", metavar="NAME", help="as fairlead audit consumers list prints it")
    skip.add_argument(
        "--to", type=_SEQUENCE, required=True, metavar="SEQUENCE", help="the last record that is passed over"
    )
    skip.add_argument("--reason", required=True, metavar="TEXT", help="why; recorded for ever, so nothing personal")
    skip.add_argument("--request-id", metavar="ID", help="makes a repetition safe: the same id counts once")
    skip.set_defaults(run=run_skip)
    remove = nested.add_parser("remove", help="forget one and its position: nothing waits for it any more")
    remove.add_argument("name", metavar="NAME", help="as fairlead audit consumers list prints it")
    remove.add_argument("--request-id", metavar="ID", help="makes a repetition safe: the same id counts once")
    remove.set_defaults(run=run_remove)
    for command in (listing, skip, remove):
        operator.add_arguments(command)


def run_list(arguments: argparse.Namespace) -> int:
    """Prints the consumers."""
    with operator.refusals_reported() as codes, operator.connected(arguments) as channel:
        stub = audit_service_pb2_grpc.AuditServiceStub(channel)
        request = audit_service_pb2.ListConsumersRequest()
        consumers = stub.ListConsumers(request, timeout=operator.DEFAULT_TIMEOUT_SECONDS).consumers
        if arguments.json:
            for consumer in consumers:
                print(json.dumps(message_to_dict(consumer), ensure_ascii=False))
        elif not consumers:
            print("no consumer has read the audit log under a name", file=sys.stderr)
        else:
            header = ("NAME", "ACKNOWLEDGED", "BEHIND", "STREAMS", "LAST ACKNOWLEDGEMENT", "")
            for line in table(header, map(_row, consumers), "<>>><<"):
                print(fitting(line))
        sys.stdout.flush()
    return codes[0] if codes else 0


def run_skip(arguments: argparse.Namespace) -> int:
    """Moves a consumer forward."""
    hint = "they may be passed over or not: look with fairlead audit consumers list"
    with operator.refusals_reported(hint) as codes, operator.connected(arguments) as channel:
        request = audit_service_pb2.SkipEventsRequest(
            request_id=arguments.request_id or str(uuid.uuid4()),
            name=arguments.name,
            to_sequence=arguments.to,
            reason=arguments.reason,
        )
        stub = audit_service_pb2_grpc.AuditServiceStub(channel)
        first = stub.SkipEvents(request, timeout=operator.DEFAULT_TIMEOUT_SECONDS).first_sequence
        print(f"consumer {arguments.name} passes over records {first} to {arguments.to}")
        sys.stdout.flush()
    return codes[0] if codes else 0


def run_remove(arguments: argparse.Namespace) -> int:
    """Forgets a consumer."""
    hint = "it may be forgotten or not: look with fairlead audit consumers list"
    with operator.refusals_reported(hint) as codes, operator.connected(arguments) as channel:
        request = audit_service_pb2.RemoveConsumerRequest(
            request_id=arguments.request_id or str(uuid.uuid4()), name=arguments.name
        )
        stub = audit_service_pb2_grpc.AuditServiceStub(channel)
        stub.RemoveConsumer(request, timeout=operator.DEFAULT_TIMEOUT_SECONDS)
        print(f"consumer {arguments.name} is forgotten")
        sys.stdout.flush()
    return codes[0] if codes else 0


def _row(consumer: audit_service_pb2.AuditConsumer) -> tuple[str, ...]:
    acknowledged = consumer.HasField("acknowledge_time")
    return (
        consumer.name,
        str(consumer.sequence),
        str(consumer.lag_records),
        str(consumer.streams),
        utc(consumer.acknowledge_time.ToNanoseconds()) if acknowledged else "never",
        ", ".join(_told(consumer)),
    )


def _told(consumer: audit_service_pb2.AuditConsumer) -> Iterator[str]:
    if consumer.left_behind:
        yield "LEFT BEHIND"
    if consumer.missed_records:
        yield f"{count(consumer.missed_records, 'record')} trimmed before"


def _usage(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], int]:
    def run(_: argparse.Namespace) -> int:
        parser.print_help()
        return 2

    return run
