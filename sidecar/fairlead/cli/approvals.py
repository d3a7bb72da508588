"""`fairlead approvals`: what waits for people, and what they say to it."""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import uuid
from collections.abc import Callable, Iterator

import grpc

from fairlead.approval.model import COLLECTION, state_names, state_of
from fairlead.cli import approval_text, approvals_edit, approvals_watch, bounded, operator, operator_token
from fairlead.cli.table import fitting, table
from fairlead.v1 import approval_service_pb2 as pb
from fairlead.v1 import approval_service_pb2_grpc

DEFAULT_LINES = 50
_LINES_MAX = 1_000_000
_NAME_HELP = "approvals/apr_…, as fairlead approvals list prints it"
_APPROVE, _REJECT, _EDIT = pb.APPROVAL_DECISION_APPROVE, pb.APPROVAL_DECISION_REJECT, pb.APPROVAL_DECISION_EDIT
_RESOLUTIONS = {
    "happened": pb.RESOLUTION_OUTCOME_HAPPENED,
    "did-not-happen": pb.RESOLUTION_OUTCOME_DID_NOT_HAPPEN,
}


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the commands."""
    group = subparsers.add_parser(
        "approvals",
        help="list what waits for people, and approve, edit or reject it",
        description="Tool calls, model calls and steps that people have to agree to. A vote counts for the operator "
        "whose token it comes with; without a token nobody's roles apply.",
    )
    group.set_defaults(run=_usage(group))
    commands = group.add_subparsers(metavar="COMMAND", title="commands")

    listing = commands.add_parser("list", help="approvals, the newest first")
    listing.add_argument("--tenant", default="", help="only this tenant's")
    listing.add_argument("--state", choices=state_names(), help="only in this state")
    listing.add_argument(
        "-n",
        "--lines",
        type=bounded.number(1, _LINES_MAX),
        default=DEFAULT_LINES,
        metavar="N",
        help=f"at most N (default: {DEFAULT_LINES})",
    )
    listing.set_defaults(run=run_list)

    show = commands.add_parser("show", help="one approval: exactly what will be done, who asked and who is missing")
    show.set_defaults(run=run_show)

    watching = commands.add_parser("watch", help="what waits, then every change as it comes")
    approvals_watch.add_arguments(watching)

    approve = commands.add_parser("approve", help="agree to one", description=_ON_RECORD)
    approve.add_argument(
        "--resolution", choices=sorted(_RESOLUTIONS), help="of an interrupted step: what became of it; reject stops it"
    )
    approve.add_argument("--result", metavar="JSON", help="of an interrupted step that happened: its result")
    reject = commands.add_parser("reject", help="refuse one, which ends it", description=_ON_RECORD)
    edit = commands.add_parser(
        "edit",
        help="put other arguments in the place of those that are shown",
        description=f"{_ON_RECORD} All votes begin anew, and whoever edits has not agreed yet.",
    )
    approvals_edit.add_arguments(edit)
    for vote, decision in ((approve, _APPROVE), (reject, _REJECT), (edit, _EDIT)):
        vote.add_argument("--reason", required=True, help="why, for the audit log; the agent sees that of a refusal")
        vote.add_argument(
            "--digest",
            metavar="HEX",
            help="digest of what you saw (default: of what is stored, as long as nobody has edited it)",
        )
        vote.add_argument("--request-id", metavar="ID", help="makes a retry safe: the same id votes once in 24 hours")
        vote.set_defaults(run=run_vote, decision=decision)
    for command in (show, approve, reject, edit):
        command.add_argument("name", metavar="NAME", type=_name, help=_NAME_HELP)
    for command in (listing, show, watching, approve, reject, edit):
        command.add_argument("--json", action="store_true", help="JSON instead of text; one line for each approval")
        operator.add_arguments(command)


_ON_RECORD = "What you say and its reason go into the audit log."


def run_list(arguments: argparse.Namespace) -> int:
    """Prints approvals, the newest first."""
    request = pb.ListApprovalsRequest(tenant=arguments.tenant, page_size=min(arguments.lines, 1000))
    if arguments.state:
        request.state = state_of(arguments.state)
    with operator.refusals_reported() as codes, operator.connected(arguments) as channel:
        found = itertools.islice(_pages(channel, request), arguments.lines)
        if arguments.json:
            for approval in found:
                print(approval_text.line(approval))
        else:
            header = approval_text.HEADER
            lines = table(header, map(approval_text.row, found), "<" * len(header))
            print("\n".join(map(fitting, lines)))
        sys.stdout.flush()
    return codes[0] if codes else 0


def run_show(arguments: argparse.Namespace) -> int:
    """Prints one approval."""
    with operator.refusals_reported() as codes, operator.connected(arguments) as channel:
        _print(_get(channel, arguments.name), as_json=arguments.json)
    return codes[0] if codes else 0


def run_vote(arguments: argparse.Namespace) -> int:
    """Says something about one approval and prints it as it is afterwards."""
    request = pb.DecideApprovalRequest(
        request_id=arguments.request_id or str(uuid.uuid4()),
        name=arguments.name,
        decision=arguments.decision,
        reason=arguments.reason,
    )
    again = "" if arguments.request_id else f"to try this same vote again, add --request-id {request.request_id}"
    with operator.refusals_reported(again) as codes, operator.connected(arguments) as channel:
        approval = _get(channel, arguments.name)
        try:
            _fill(request, arguments, approval)
        except approvals_edit.NothingToSay as refusal:
            print(f"fairlead: {refusal}", file=sys.stderr)
            return 2
        stub = approval_service_pb2_grpc.ApprovalServiceStub(channel)
        answer = stub.DecideApproval(request, timeout=operator.DEFAULT_TIMEOUT_SECONDS)
        _print(answer.approval, as_json=arguments.json)
    if codes and arguments.token_file is None and not os.environ.get(operator_token.ENVIRONMENT):
        print(
            f"fairlead: a vote needs your own token: give --token-file, or set {operator_token.ENVIRONMENT}",
            file=sys.stderr,
        )
    return codes[0] if codes else 0


def _fill(request: pb.DecideApprovalRequest, arguments: argparse.Namespace, approval: pb.Approval) -> None:
    """What is said, and of what; raises `NothingToSay`."""
    edits = [vote for vote in approval.votes if vote.decision == _EDIT]
    if arguments.digest is None and edits and arguments.decision == _APPROVE:
        # What is stored may be another thing than what was looked at.
        raise approvals_edit.NothingToSay(
            f"{edits[-1].operator} has edited it: look at it with fairlead approvals show and give --digest"
        )
    request.digest = arguments.digest or approval.digest
    if arguments.decision == _EDIT:
        request.edited_arguments = approvals_edit.edited(arguments, approval)
    if arguments.decision == _APPROVE and arguments.resolution is not None:
        request.resolution.outcome = _RESOLUTIONS[arguments.resolution]
        request.resolution.result = (arguments.result or "").encode()
    elif arguments.decision == _APPROVE and arguments.result is not None:
        raise approvals_edit.NothingToSay("--result is for --resolution happened")


def _get(channel: grpc.Channel, name: str) -> pb.Approval:
    stub = approval_service_pb2_grpc.ApprovalServiceStub(channel)
    answer: pb.GetApprovalResponse = stub.GetApproval(
        pb.GetApprovalRequest(name=name), timeout=operator.DEFAULT_TIMEOUT_SECONDS
    )
    return answer.approval


def _pages(channel: grpc.Channel, request: pb.ListApprovalsRequest) -> Iterator[pb.Approval]:
    stub = approval_service_pb2_grpc.ApprovalServiceStub(channel)
    while True:
        page = stub.ListApprovals(request, timeout=operator.DEFAULT_TIMEOUT_SECONDS)
        yield from page.approvals
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


def _print(approval: pb.Approval, *, as_json: bool) -> None:
    print(approval_text.line(approval) if as_json else "\n".join(approval_text.text(approval)))
    sys.stdout.flush()


def _name(text: str) -> str:
    """The id alone will do."""
    return text if text.startswith(COLLECTION) else COLLECTION + text


def _usage(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], int]:
    def run(_: argparse.Namespace) -> int:
        parser.print_help()
        return 2

    return run
