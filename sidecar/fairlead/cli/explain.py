"""`fairlead explain`: what one invocation, tool call or run did, and why, from the audit log alone."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from google.protobuf.timestamp_pb2 import Timestamp

from fairlead.audit.erasure.model import revealed
from fairlead.audit.rendering import event_to_dict
from fairlead.audit.summary import kind_name, summarize
from fairlead.audit.wording import utc
from fairlead.cli import audit_source, operator
from fairlead.cli.table import fitting, table, wrapped
from fairlead.store import keys
from fairlead.v1 import audit_record_pb2, audit_service_pb2
from fairlead.workflow.model import COLLECTION, full_name
from fairlead.workflow.model import state_name as run_state_name


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = subparsers.add_parser(
        "explain",
        help="what an invocation or a run did, and why",
        description="Tells from the audit log alone who asked, which configuration, rules and route decided, what was "
        "held in which budget, every attempt and the settlement, and whether the budget was checked first. Of a tool "
        "call: what the catalogue says of it, the rules, who agreed, and how it ended. Of a run: who started it, every "
        "attempt at every step, its calls and approvals, and its end.",
    )
    parser.add_argument(
        "thing",
        metavar="THING",
        help="id such as inv_0197…, grt_0197… of a tool call or the name of its approval, or run_0197…",
    )
    parser.add_argument("--json", action="store_true", help="everything, as one JSON object")
    audit_source.add_arguments(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Prints the explanation; 1 when there is no such thing."""
    with operator.refusals_reported() as codes, audit_source.opened(arguments) as source:
        name = full_name(arguments.thing)
        about_run = keys.run_id_bytes(name.removeprefix(COLLECTION)) is not None
        told = _of_run(source, name) if about_run else _of_invocation(source, arguments.thing)
        if told is None:
            print(f"fairlead: {'run' if about_run else 'invocation'} {arguments.thing} is not known", file=sys.stderr)
            return 1
        print(told.json() if arguments.json else told.text())
        sys.stdout.flush()
    return codes[0] if codes else 0


@dataclass(frozen=True)
class _Told:
    """An explanation, whatever it is about."""

    kind: str
    name: str
    state: str
    create_time: Timestamp
    narrative: Sequence[str]
    events: Sequence[audit_service_pb2.AuditEvent]

    def json(self) -> str:
        """Everything, as one object."""
        return json.dumps(
            {
                self.kind: self.name,
                "state": self.state,
                "create_time": self.create_time.ToJsonString(),
                "narrative": list(self.narrative),
                "events": [event_to_dict(event) for event in self.events],
            },
            ensure_ascii=False,
            indent=2,
        )

    def text(self) -> str:
        """Sentences, then the records."""
        lines = [f"{self.name}  {self.state}", ""]
        for sentence in self.narrative:
            lines += wrapped(sentence, "  - ")
        rows = [
            (
                str(event.record.sequence),
                utc(event.record.time_unix_nanos),
                kind_name(event.record.kind),
                event.record_hash.hex()[:12],
                summarize(revealed(event)),
            )
            for event in self.events
        ]
        lines += ["", *(fitting(line) for line in table(("RECORD", "TIME", "KIND", "HASH", "WHAT"), rows, "><<<<"))]
        return "\n".join(lines)


def _of_invocation(source: audit_source.Source, name: str) -> _Told | None:
    found = source.explain(name)
    if found is None:
        return None
    return _Told("invocation", found.invocation, _state(found), found.create_time, found.narrative, found.events)


def _of_run(source: audit_source.Source, name: str) -> _Told | None:
    found = source.explain_run(name)
    if found is None:
        return None
    state = run_state_name(found.state).upper()
    return _Told("run", found.name, state, found.create_time, found.narrative, found.events)


def state_name(state: audit_record_pb2.InvocationState) -> str:
    """A state as people read it: `SETTLED`."""
    try:
        return audit_record_pb2.InvocationState.Name(state).removeprefix("INVOCATION_STATE_")
    except ValueError:
        return f"STATE {state}"


def _state(explained: audit_service_pb2.ExplainInvocationResponse) -> str:
    if not explained.tool_call_state:
        # An approval of a step has a story, but is neither.
        return state_name(explained.state) if explained.state else "APPROVAL"
    try:
        return audit_record_pb2.ToolCallState.Name(explained.tool_call_state).removeprefix("TOOL_CALL_STATE_")
    except ValueError:
        return f"STATE {explained.tool_call_state}"
