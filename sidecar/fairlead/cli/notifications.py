"""`fairlead notifications`: what waits for its receiver, what was given up, and a test."""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from fairlead.audit.rendering import message_to_dict
from fairlead.audit.wording import visible
from fairlead.cli import bounded, operator
from fairlead.cli.table import fitting, table
from fairlead.v1 import notification_service_pb2 as pb
from fairlead.v1 import notification_service_pb2_grpc

DEFAULT_LINES = 50
_LINES_MAX = 1_000_000
# A test lasts as long as the receiver's `timeout`, which is at most a minute.
_TEST_TIMEOUT_SECONDS = 90.0
_NAME_HELP = "receivers/…/deliveries/…, as fairlead notifications list prints it"
_STATES = {"pending": pb.DELIVERY_STATE_PENDING, "dead": pb.DELIVERY_STATE_DEAD}
_WORDS = {state: word for word, state in _STATES.items()}


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the commands."""
    group = subparsers.add_parser(
        "notifications",
        help="list notifications on their way, try them again, drop them, and test receivers",
        description="Notifications that wait for their receiver, and those that were given up. What was delivered is "
        "not listed.",
    )
    group.set_defaults(run=_usage(group))
    commands = group.add_subparsers(metavar="COMMAND", title="commands")

    listing = commands.add_parser("list", help="what waits, then what was given up, the oldest of each receiver first")
    listing.add_argument("--state", choices=list(_STATES), help="only in this state (default: both)")
    listing.add_argument("--receiver", default="", metavar="NAME", help="only of this receiver")
    listing.add_argument(
        "-n",
        "--lines",
        type=bounded.number(1, _LINES_MAX),
        default=DEFAULT_LINES,
        metavar="N",
        help=f"at most N (default: {DEFAULT_LINES})",
    )
    listing.set_defaults(run=run_list)

    retry = commands.add_parser(
        "retry", help="try some again at once", description="Those that were given up wait again, with all attempts."
    )
    retry.add_argument("names", metavar="NAME", nargs="*", help=_NAME_HELP)
    retry.add_argument("--receiver", default="", metavar="NAME", help="all of this receiver that were given up")
    retry.set_defaults(run=run_retry)

    drop = commands.add_parser("drop", help="remove one: it will not be delivered")
    drop.add_argument("name", metavar="NAME", help=_NAME_HELP)
    drop.set_defaults(run=run_drop)
    for command in (retry, drop):
        command.add_argument("--request-id", metavar="ID", help="makes a repetition safe: the same id counts once")

    test = commands.add_parser("test", help="send a test notification to a receiver, once, whatever waits for it")
    test.add_argument("receiver", metavar="RECEIVER", help="name of the receiver in the configuration")
    test.set_defaults(run=run_test)
    for command in (listing, retry, drop, test):
        command.add_argument("--json", action="store_true", help="JSON instead of text; one line for each delivery")
        operator.add_arguments(command)


def run_list(arguments: argparse.Namespace) -> int:
    """Prints deliveries."""
    request = pb.ListDeliveriesRequest(receiver=arguments.receiver, page_size=min(arguments.lines, 1000))
    if arguments.state:
        request.state = _STATES[arguments.state]
    with operator.refusals_reported() as codes, operator.connected(arguments) as channel:
        found = itertools.islice(_pages(_stub(channel), request), arguments.lines)
        if arguments.json:
            for delivery in found:
                print(_line(delivery))
        else:
            header = ("NAME", "STATE", "EVENT", "ATTEMPTS", "NEXT", "PROBLEM")
            print("\n".join(map(fitting, table(header, map(_row, found), "<<<><<"))))
        sys.stdout.flush()
    return codes[0] if codes else 0


def run_retry(arguments: argparse.Namespace) -> int:
    """Tries deliveries again and prints how many."""
    if bool(arguments.names) == bool(arguments.receiver):
        print("fairlead: name deliveries, or a receiver with --receiver", file=sys.stderr)
        return 2
    request_id, retried = arguments.request_id or str(uuid.uuid4()), 0
    with operator.refusals_reported(_again(arguments, request_id)) as codes, operator.connected(arguments) as channel:
        for part in itertools.count(1):
            # Each part is a request of its own, also when the whole is repeated.
            request = pb.RetryDeliveriesRequest(
                request_id=request_id if part == 1 else f"{request_id}/{part}",
                names=arguments.names,
                receiver=arguments.receiver,
            )
            answer = _stub(channel).RetryDeliveries(request, timeout=operator.DEFAULT_TIMEOUT_SECONDS)
            retried += answer.retried
            if not answer.more:
                break
        print(json.dumps({"retried": retried}) if arguments.json else f"{retried} will be tried again now")
        sys.stdout.flush()
    return codes[0] if codes else 0


def run_drop(arguments: argparse.Namespace) -> int:
    """Removes one delivery and prints what it was."""
    request = pb.DropDeliveryRequest(request_id=arguments.request_id or str(uuid.uuid4()), name=arguments.name)
    hint = _again(arguments, request.request_id)
    with operator.refusals_reported(hint) as codes, operator.connected(arguments) as channel:
        dropped = _stub(channel).DropDelivery(request, timeout=operator.DEFAULT_TIMEOUT_SECONDS).delivery
        print(_line(dropped) if arguments.json else f"dropped {visible(dropped.name)} ({visible(dropped.event)})")
        sys.stdout.flush()
    return codes[0] if codes else 0


def run_test(arguments: argparse.Namespace) -> int:
    """Sends a test and prints what became of it; 1 when the receiver did not take it."""
    taken = False
    with operator.refusals_reported() as codes, operator.connected(arguments) as channel:
        request = pb.TestReceiverRequest(receiver=arguments.receiver)
        answer = _stub(channel).TestReceiver(request, timeout=_TEST_TIMEOUT_SECONDS)
        taken = answer.delivered
        if arguments.json:
            print(json.dumps(message_to_dict(answer), ensure_ascii=False))
        else:
            said = f"took it (status {answer.status_code})" if taken else f"did not take it: {visible(answer.problem)}"
            print(f"{visible(arguments.receiver)} {said}, {answer.latency.ToMilliseconds()} ms")
        sys.stdout.flush()
    return codes[0] if codes else 0 if taken else 1


def _stub(channel: grpc.Channel) -> notification_service_pb2_grpc.NotificationServiceStub:
    return notification_service_pb2_grpc.NotificationServiceStub(channel)


def _pages(
    stub: notification_service_pb2_grpc.NotificationServiceStub, request: pb.ListDeliveriesRequest
) -> Iterator[pb.Delivery]:
    while True:
        page = stub.ListDeliveries(request, timeout=operator.DEFAULT_TIMEOUT_SECONDS)
        yield from page.deliveries
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


def _row(delivery: pb.Delivery) -> tuple[str, ...]:
    return (
        visible(delivery.name),
        _WORDS.get(delivery.state, f"state-{delivery.state}"),
        visible(delivery.event),
        str(delivery.attempts),
        _time(delivery.next_attempt_time) if delivery.HasField("next_attempt_time") else "-",
        visible(delivery.problem) or "-",
    )


def _line(delivery: pb.Delivery) -> str:
    return json.dumps(message_to_dict(delivery), ensure_ascii=False)


def _time(time: Timestamp) -> str:
    return f"{time.ToDatetime(tzinfo=UTC):%Y-%m-%d %H:%M:%S} UTC"


def _again(arguments: argparse.Namespace, request_id: str) -> str:
    return "" if arguments.request_id else f"to try this same request again, add --request-id {request_id}"


def _usage(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], int]:
    def run(_: argparse.Namespace) -> int:
        parser.print_help()
        return 2

    return run
