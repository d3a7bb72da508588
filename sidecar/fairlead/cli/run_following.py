"""Following a run on the command line: one line for each event, across restarts of the sidecar, until its end."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator

import grpc

from fairlead.audit.rendering import message_to_dict
from fairlead.audit.summary import kind_name, summarize
from fairlead.audit.wording import utc, visible
from fairlead.budget.model import format_amount
from fairlead.cli.run_endpoint import Endpoint
from fairlead.cli.table import fitting
from fairlead.v1 import run_pb2
from fairlead.v1 import workflow_service_pb2 as pb
from fairlead.workflow.model import ENDED, state_name

# Between two tries to reach a sidecar that went away.
_RETRY_SECONDS = 0.5
# The first record of every log is its sidecar's start: no run has anything before it.
_BEFORE_EVERYTHING = 1


def follow(endpoint: Endpoint, name: str, *, from_start: bool) -> Iterator[pb.WatchRunResponse]:
    """The run as it is or (`from_start`) all that has happened, then what happens, at last the run as it ended."""
    request = pb.WatchRunRequest(name=name, after_sequence=_BEFORE_EVERYTHING if from_start else 0)
    connected = False
    while True:
        try:
            for response in endpoint.stream("WatchRun", request, wait_for_ready=connected):
                connected = True
                request.after_sequence = max(request.after_sequence, response.sequence)
                yield response
                if response.WhichOneof("what") == "run" and response.run.state in ENDED:
                    return
            return
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE or not connected:
                raise
        print("fairlead: the sidecar went away; going on as soon as it is back", file=sys.stderr)
        time.sleep(_RETRY_SECONDS)


def line(response: pb.WatchRunResponse, *, as_json: bool) -> str:
    """One message for people, or as JSON."""
    if as_json:
        return json.dumps(message_to_dict(response), ensure_ascii=False)
    if response.WhichOneof("what") == "run":
        run = response.run
        ended = f"{run.steps_ended:,} of {run.steps_total:,} steps ended"
        return fitting(f"{visible(run.name)} {state_name(run.state)}, {ended}, spent {format_amount(run.spent)}")
    record = response.event
    said = summarize(record).removeprefix(f"{record.run.run or record.step.run} ")
    return fitting(f"{utc(record.time_unix_nanos)}  {kind_name(record.kind):<17}  {said}")


def exit_code(run: run_pb2.Run) -> int:
    """0 when it succeeded, 1 for every other end."""
    return 0 if run.state == run_pb2.RUN_STATE_SUCCEEDED else 1
