"""`fairlead explain`: what one invocation or tool call did, and why, from the audit log alone."""

from __future__ import annotations

import argparse
import json
import sys

from fairlead.audit.rendering import event_to_dict
from fairlead.audit.summary import kind_name, summarize
from fairlead.audit.wording import utc
from fairlead.cli import audit_source, operator
from fairlead.cli.table import fitting, table, wrapped
from fairlead.v1 import audit_record_pb2, audit_service_pb2


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "explain",
        help="what an invocation did, and why",
        description="Tells from the audit log alone who asked, which configuration, rules and route decided, what was "
        "held in which budget, every attempt and the settlement, and whether the budget was checked first. Of a tool "
        "call: what the catalogue says of it, the rules, who agreed, and how it ended.",
    )
    parser.add_argument(
        "invocation",
        metavar="INVOCATION",
        help="id such as inv_0197…, grt_0197… of a tool call, or the name of its approval",
    )
    parser.add_argument("--json", action="store_true", help="everything, as one JSON object")
    audit_source.add_arguments(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Prints the explanation; 1 when there is no such invocation."""
    with operator.refusals_reported() as codes, audit_source.opened(arguments) as source:
        explained = source.explain(arguments.invocation)
        if explained is None:
            print(f"fairlead: invocation {arguments.invocation} is not known", file=sys.stderr)
            return 1
        print(_json(explained) if arguments.json else _text(explained))
        sys.stdout.flush()
    return codes[0] if codes else 0


def state_name(state: audit_record_pb2.InvocationState) -> str:
    """A state as people read it: `SETTLED`."""
    try:
        return audit_record_pb2.InvocationState.Name(state).removeprefix("INVOCATION_STATE_")
    except ValueError:
        return f"STATE {state}"


def _state(explained: audit_service_pb2.ExplainInvocationResponse) -> str:
    if not explained.tool_call_state:
        return state_name(explained.state)
    try:
        return audit_record_pb2.ToolCallState.Name(explained.tool_call_state).removeprefix("TOOL_CALL_STATE_")
    except ValueError:
        return f"STATE {explained.tool_call_state}"


def _json(explained: audit_service_pb2.ExplainInvocationResponse) -> str:
    return json.dumps(
        {
            "invocation": explained.invocation,
            "state": _state(explained),
            "create_time": explained.create_time.ToJsonString(),
            "narrative": list(explained.narrative),
            "events": [event_to_dict(event) for event in explained.events],
        },
        ensure_ascii=False,
        indent=2,
    )


def _text(explained: audit_service_pb2.ExplainInvocationResponse) -> str:
    lines = [f"{explained.invocation}  {_state(explained)}", ""]
    for sentence in explained.narrative:
        lines += wrapped(sentence, "  - ")
    rows = [
        (
            str(event.record.sequence),
            utc(event.record.time_unix_nanos),
            kind_name(event.record.kind),
            event.record_hash.hex()[:12],
            summarize(event.record),
        )
        for event in explained.events
    ]
    lines += ["", *(fitting(line) for line in table(("RECORD", "TIME", "KIND", "HASH", "WHAT"), rows, "><<<<"))]
    return "\n".join(lines)
