"""`fairlead budget`: what budgets stand at, and credits and debits by hand."""

from __future__ import annotations

import argparse
import json
import sys
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC

import grpc

from fairlead.audit.rendering import message_to_dict
from fairlead.audit.wording import visible
from fairlead.budget.model import count, encoded, format_amount, format_usd, parse_usd
from fairlead.cli import operator
from fairlead.cli.table import table
from fairlead.v1 import amount_pb2, budget_service_pb2_grpc
from fairlead.v1 import budget_service_pb2 as pb

_NAME_HELP = "tenants/TENANT/budgets/BUDGET/instances/INSTANCE, as fairlead budget list prints it"


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the commands."""
    group = subparsers.add_parser("budget", help="list and adjust budgets", description="Budgets of a running sidecar.")
    group.set_defaults(run=_usage(group))
    commands = group.add_subparsers(metavar="COMMAND", title="commands")

    listing = commands.add_parser("list", help="all instances and what is left of them")
    listing.add_argument("--tenant", default="-", help="only this tenant's (default: all)")
    listing.add_argument("--budget", default="", metavar="NAME", help="only instances of this budget")
    listing.set_defaults(run=run_list)

    show = commands.add_parser("show", help="one instance")
    show.add_argument("name", metavar="NAME", help=_NAME_HELP)
    show.set_defaults(run=run_show)

    adjust = commands.add_parser(
        "adjust",
        help="credit or debit one instance",
        description="A credit is taken off what is spent, a negative one adds to it. Goes into the audit log.",
    )
    adjust.add_argument("name", metavar="NAME", help=_NAME_HELP)
    adjust.add_argument(
        "--usd", type=_usd, default=0, metavar="AMOUNT", help="credit in USD, such as 2.50 or -0.000001"
    )
    adjust.add_argument("--tokens", type=int, default=0, metavar="N", help="credit in tokens")
    adjust.add_argument("--requests", type=int, default=0, metavar="N", help="credit in requests")
    adjust.add_argument("--reason", required=True, help="why, for the audit log")
    adjust.add_argument("--request-id", metavar="ID", help="makes a retry safe: the same id adjusts once in 24 hours")
    adjust.set_defaults(run=run_adjust)
    for command in (listing, show, adjust):
        command.add_argument("--json", action="store_true", help="JSON instead of text; one line for each instance")
        operator.add_arguments(command)


def run_list(arguments: argparse.Namespace) -> int:
    """Prints every instance."""
    parent = f"tenants/{arguments.tenant if arguments.tenant == '-' else encoded(arguments.tenant)}"
    with operator.refusals_reported() as codes, operator.connected(arguments) as channel:
        budgets = _pages(channel, pb.ListBudgetsRequest(parent=parent, page_size=1000, budget=arguments.budget))
        if arguments.json:
            for budget in budgets:
                print(_line(budget))
        else:
            rows = [_row(budget) for budget in budgets]
            print("\n".join(table(("NAME", "SPENT", "HELD", "LIMIT", "USED", "RESETS"), rows, "<>>>><")))
        sys.stdout.flush()
    return codes[0] if codes else 0


def run_show(arguments: argparse.Namespace) -> int:
    """Prints one instance."""
    with operator.refusals_reported() as codes, operator.connected(arguments) as channel:
        stub = budget_service_pb2_grpc.BudgetServiceStub(channel)
        answer = stub.GetBudget(pb.GetBudgetRequest(name=arguments.name), timeout=operator.DEFAULT_TIMEOUT_SECONDS)
        _print(answer.budget, as_json=arguments.json)
    return codes[0] if codes else 0


def run_adjust(arguments: argparse.Namespace) -> int:
    """Adjusts one instance and prints it."""
    credit = amount_pb2.Amount(nano_usd=arguments.usd, tokens=arguments.tokens, requests=arguments.requests)
    request = pb.AdjustBudgetRequest(
        request_id=arguments.request_id or str(uuid.uuid4()),
        name=arguments.name,
        credit=credit,
        reason=arguments.reason,
    )
    again = "" if arguments.request_id else f"to try this same adjustment again, add --request-id {request.request_id}"
    with operator.refusals_reported(again) as codes, operator.connected(arguments) as channel:
        stub = budget_service_pb2_grpc.BudgetServiceStub(channel)
        answer = stub.AdjustBudget(request, timeout=operator.DEFAULT_TIMEOUT_SECONDS)
        _print(answer.budget, as_json=arguments.json)
    return codes[0] if codes else 0


def used_percent(budget: pb.Budget) -> str:
    """How much of the limit is spent or held, of the unit that is nearest to it; `-` without a limit."""
    shares = [
        (spent + held, limit)
        for spent, held, limit in zip(_units(budget.spent), _units(budget.reserved), _units(budget.limit), strict=True)
        if limit
    ]
    return f"{max(100 * used / limit for used, limit in shares):.1f} %" if shares else "-"


def _pages(channel: grpc.Channel, request: pb.ListBudgetsRequest) -> Iterator[pb.Budget]:
    stub = budget_service_pb2_grpc.BudgetServiceStub(channel)
    while True:
        page = stub.ListBudgets(request, timeout=operator.DEFAULT_TIMEOUT_SECONDS)
        yield from page.budgets
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


def _row(budget: pb.Budget) -> tuple[str, str, str, str, str, str]:
    limit = _limited(budget.limit, budget.limit)
    return (
        visible(budget.name),
        _limited(budget.spent, budget.limit),
        _limited(budget.reserved, budget.limit),
        limit if budget.hard else f"{limit} (alert)",
        used_percent(budget),
        _resets(budget),
    )


def _print(budget: pb.Budget, *, as_json: bool) -> None:
    if as_json:
        print(_line(budget))
    else:
        facts = {
            "name": visible(budget.name),
            "limit": f"{format_amount(budget.limit)}, {'hard' if budget.hard else 'alert only'}",
            "spent": format_amount(budget.spent),
            "held": format_amount(budget.reserved),
            "used": used_percent(budget),
            "resets": _resets(budget),
        }
        for label, fact in facts.items():
            print(f"{label:<7} {fact}")
    sys.stdout.flush()


def _line(budget: pb.Budget) -> str:
    return json.dumps(message_to_dict(budget), ensure_ascii=False)


def _limited(amount: amount_pb2.Amount, limit: amount_pb2.Amount) -> str:
    """The units of an amount that are limited, zero or not."""
    cells = [
        written
        for written, limited in zip(
            (format_usd(amount.nano_usd), count(amount.tokens, "token"), count(amount.requests, "request")),
            _units(limit),
            strict=True,
        )
        if limited
    ]
    return ", ".join(cells) or "-"


def _resets(budget: pb.Budget) -> str:
    if not budget.HasField("resets_at"):
        return "never"
    return f"{budget.resets_at.ToDatetime(tzinfo=UTC):%Y-%m-%d %H:%M:%S} UTC"


def _units(amount: amount_pb2.Amount) -> tuple[int, int, int]:
    return amount.nano_usd, amount.tokens, amount.requests


def _usd(text: str) -> int:
    try:
        return parse_usd(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _usage(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], int]:
    def run(_: argparse.Namespace) -> int:
        parser.print_help()
        return 2

    return run
