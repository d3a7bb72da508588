"""`fairlead approvals watch`: what waits, then every change as it comes, also when the sidecar restarts."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator

import grpc

from fairlead.approval.model import state_name
from fairlead.audit.wording import decision_word, visible
from fairlead.cli import approval_text, operator
from fairlead.cli.table import fitting
from fairlead.v1 import approval_service_pb2 as pb
from fairlead.v1 import approval_service_pb2_grpc

# Between two tries to reach a sidecar that went away.
_RETRY_SECONDS = 0.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what is watched."""
    parser.add_argument("--tenant", default="", help="only this tenant's")
    parser.add_argument("--resume-token", default="", metavar="TOKEN", help="go on behind this place, from --json")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Prints approvals until it is interrupted."""
    with operator.refusals_reported() as codes, operator.connected(arguments) as channel:
        try:
            for response in follow(channel, arguments):
                if arguments.json:
                    print(_as_json(response), flush=True)
                elif response.HasField("approval"):
                    print(fitting(_as_text(response.approval)), flush=True)
        except KeyboardInterrupt:
            return 0
    return codes[0] if codes else 0


def follow(channel: grpc.Channel, arguments: argparse.Namespace) -> Iterator[pb.WatchApprovalsResponse]:
    """The open ones, then every change, none left out."""
    stub = approval_service_pb2_grpc.ApprovalServiceStub(channel)
    request = pb.WatchApprovalsRequest(resume_token=arguments.resume_token, tenant=arguments.tenant)
    connected = False
    while True:
        try:
            for response in stub.WatchApprovals(request, wait_for_ready=connected):
                connected = True
                request.resume_token = response.resume_token or request.resume_token
                yield response
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE or not connected:
                raise
            print("fairlead: the sidecar went away; going on as soon as it is back", file=sys.stderr)
            time.sleep(_RETRY_SECONDS)


def _as_text(approval: pb.Approval) -> str:
    *_, missing, expires = approval_text.row(approval)
    last = approval.votes[-1] if approval.votes else None
    said = f", {visible(last.operator)} {decision_word(last.decision)}" if last is not None else ""
    left = f", missing {missing}" if missing != "-" else ""
    who = visible(f"{approval.tenant}/{approval.agent or approval.requested_by_operator}")
    name, state = visible(approval.name), state_name(approval.state)
    return (
        f"{name}  {state:<9}  {who}  {visible(approval.tool)}: {visible(approval.tier)}{said}{left}, expires {expires}"
    )


def _as_json(response: pb.WatchApprovalsResponse) -> str:
    fields = {"resume_token": response.resume_token, "initial": response.initial}
    if response.HasField("approval"):
        return approval_text.dumps({**fields, "approval": approval_text.fields_of(response.approval)})
    return approval_text.dumps(fields)
