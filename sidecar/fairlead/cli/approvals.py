"""`fairlead approvals`: what waits for people, and their votes."""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC
from typing import Any

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from fairlead.approval.model import COLLECTION, quorums, state_name, state_names, state_of
from fairlead.audit.rendering import message_to_dict
from fairlead.audit.wording import decision_word, tool_effect, tool_risk, visible
from fairlead.cli import bounded, operator, operator_token
from fairlead.cli.table import fitting, table
from fairlead.v1 import approval_service_pb2 as pb
from fairlead.v1 import approval_service_pb2_grpc

DEFAULT_LINES = 50
_LINES_MAX = 1_000_000
_NAME_HELP = "approvals/apr_…, as fairlead approvals list prints it"
_APPROVE, _REJECT = pb.APPROVAL_DECISION_APPROVE, pb.APPROVAL_DECISION_REJECT


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the commands."""
    group = subparsers.add_parser(
        "approvals",
        help="list what waits for people, and approve or reject it",
        description="Tool calls that people have to agree to. A vote counts for the operator whose token it comes "
        "with; without a token nobody's roles apply.",
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

    show = commands.add_parser("show", help="one approval: the exact arguments, who asked for it and who is missing")
    show.add_argument("name", metavar="NAME", type=_name, help=_NAME_HELP)
    show.set_defaults(run=run_show)

    for word, decision, summary in (
        ("approve", _APPROVE, "agree to one"),
        ("reject", _REJECT, "refuse one, which ends it"),
    ):
        vote = commands.add_parser(word, help=summary, description="The vote and its reason go into the audit log.")
        vote.add_argument("name", metavar="NAME", type=_name, help=_NAME_HELP)
        vote.add_argument("--reason", required=True, help="why, for the audit log; the agent sees that of a refusal")
        vote.add_argument(
            "--digest", metavar="HEX", help="digest of what you saw (default: of what is stored, which never changes)"
        )
        vote.add_argument("--request-id", metavar="ID", help="makes a retry safe: the same id votes once in 24 hours")
        vote.set_defaults(run=run_vote, decision=decision)
        _add_common(vote)
    for command in (listing, show):
        _add_common(command)


def run_list(arguments: argparse.Namespace) -> int:
    """Prints approvals, the newest first."""
    request = pb.ListApprovalsRequest(tenant=arguments.tenant, page_size=min(arguments.lines, 1000))
    if arguments.state:
        request.state = state_of(arguments.state)
    with operator.refusals_reported() as codes, operator.connected(arguments) as channel:
        found = itertools.islice(_pages(channel, request), arguments.lines)
        if arguments.json:
            for approval in found:
                print(_line(approval))
        else:
            header = ("NAME", "STATE", "AGENT", "TOOL", "TIER", "MISSING", "EXPIRES")
            print("\n".join(map(fitting, table(header, map(_row, found), "<" * len(header)))))
        sys.stdout.flush()
    return codes[0] if codes else 0


def run_show(arguments: argparse.Namespace) -> int:
    """Prints one approval."""
    with operator.refusals_reported() as codes, operator.connected(arguments) as channel:
        _print(_get(channel, arguments.name), as_json=arguments.json)
    return codes[0] if codes else 0


def run_vote(arguments: argparse.Namespace) -> int:
    """Votes on one approval and prints it as it is afterwards."""
    request = pb.DecideApprovalRequest(
        request_id=arguments.request_id or str(uuid.uuid4()),
        name=arguments.name,
        decision=arguments.decision,
        reason=arguments.reason,
    )
    again = "" if arguments.request_id else f"to try this same vote again, add --request-id {request.request_id}"
    with operator.refusals_reported(again) as codes, operator.connected(arguments) as channel:
        request.digest = arguments.digest or _get(channel, arguments.name).digest
        stub = approval_service_pb2_grpc.ApprovalServiceStub(channel)
        answer = stub.DecideApproval(request, timeout=operator.DEFAULT_TIMEOUT_SECONDS)
        _print(answer.approval, as_json=arguments.json)
    if codes and arguments.token_file is None and not os.environ.get(operator_token.ENVIRONMENT):
        print(
            f"fairlead: a vote needs your own token: give --token-file, or set {operator_token.ENVIRONMENT}",
            file=sys.stderr,
        )
    return codes[0] if codes else 0


def exact(arguments: bytes) -> str:
    """JSON as it is, without anything a terminal would act on or hide: such characters become their JSON escapes."""
    text = arguments.decode("utf-8", "replace")
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text)


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


def _row(approval: pb.Approval) -> tuple[str, ...]:
    return (
        visible(approval.name),
        state_name(approval.state),
        visible(f"{approval.tenant}/{approval.agent}"),
        visible(approval.tool),
        visible(approval.tier),
        _missing(approval),
        _time(approval.expire_time),
    )


def _missing(approval: pb.Approval) -> str:
    return quorums(approval.missing) if approval.state == pb.APPROVAL_STATE_PENDING and approval.missing else "-"


def _print(approval: pb.Approval, *, as_json: bool) -> None:
    print(_line(approval) if as_json else "\n".join(_text(approval)))
    sys.stdout.flush()


def _text(approval: pb.Approval) -> Iterator[str]:
    facts = {
        "name": visible(approval.name),
        "state": state_name(approval.state),
        "asked by": f"agent {visible(approval.agent)} of tenant {visible(approval.tenant)}",
        "session": visible(approval.session),
        "run": visible(approval.run),
        "step": visible(approval.step),
        "tool": f"{visible(approval.tool)} ({tool_effect(approval.effect)}, {tool_risk(approval.risk)} risk)",
        "key": visible(approval.idempotency_key),
        "arguments": exact(approval.arguments),
        "digest": visible(approval.digest),
        "rule": f"{visible(approval.rule)} of configuration {visible(approval.config_version[:12])}",
        "tier": f"{visible(approval.tier)}: {visible(quorums(approval.require))}",
        "missing": _missing(approval),
        "asked at": _time(approval.create_time),
        "expires": _time(approval.expire_time),
        "ended": _time(approval.end_time) if approval.HasField("end_time") else "",
    }
    for label, fact in facts.items():
        if fact:
            yield f"{label:<9} {fact}"
    for vote in approval.votes:
        roles = f" ({', '.join(map(visible, vote.roles))})" if vote.roles else ""
        said = f"{visible(vote.operator)}{roles} {decision_word(vote.decision)}: {visible(vote.reason)}"
        yield f"{'vote':<9} {_time(vote.vote_time)} {said}"


def _line(approval: pb.Approval) -> str:
    fields: dict[str, Any] = message_to_dict(approval)
    # As text: the mapping's base64 would hide from `jq` what people have to agree to.
    fields["arguments"] = approval.arguments.decode("utf-8", "replace")
    return json.dumps(fields, ensure_ascii=False)


def _time(time: Timestamp) -> str:
    return f"{time.ToDatetime(tzinfo=UTC):%Y-%m-%d %H:%M:%S} UTC"


def _name(text: str) -> str:
    """The id alone will do."""
    return text if text.startswith(COLLECTION) else COLLECTION + text


def _add_common(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="JSON instead of text; one line for each approval")
    operator.add_arguments(command)


def _usage(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], int]:
    def run(_: argparse.Namespace) -> int:
        parser.print_help()
        return 2

    return run
