"""`fairlead run`: start, list, look at, follow and steer runs of workflows."""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from fairlead.audit.wording import visible
from fairlead.budget.model import format_amount
from fairlead.cli import bounded, operator, run_endpoint, run_following, run_graph, run_view
from fairlead.cli.run_endpoint import Endpoint
from fairlead.cli.table import fitting, table
from fairlead.v1 import run_pb2
from fairlead.v1 import workflow_service_pb2 as pb
from fairlead.workflow.model import full_name, state_name, state_names, state_of

DEFAULT_LINES = 50
_LINES_MAX = 1_000_000
_PRIORITY_MAX = 100
_INPUT_MAX_BYTES = 64 << 20
_INVALID = 2
_NAME_HELP = "runs/run_… or run_…, as fairlead run list prints it"


class _Usage(Exception):
    """The command line says something that cannot be done."""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the commands."""
    group = subparsers.add_parser(
        "run",
        help="start, list, look at, follow and steer runs of workflows",
        description="Runs of workflows, through the operator socket or, with --as-agent, through the agent endpoint.",
        epilog="Exit codes: 0 done (of watch and --wait: it succeeded), 1 refused, failed or not there, 2 usage.",
    )
    group.set_defaults(run=_usage(group))
    commands = group.add_subparsers(metavar="COMMAND", title="commands")
    _register_start(commands)
    _register_list(commands)
    _register_show(commands)
    run_graph.register(commands, _NAME_HELP)

    watch = commands.add_parser("watch", help="follow one until its end; exit code 0 when it succeeded")
    watch.add_argument("name", metavar="RUN", type=full_name, help=_NAME_HELP)
    watch.add_argument("--from-start", action="store_true", help="begin with everything that has happened in it")
    watch.add_argument("--json", action="store_true", help="JSON, one line for each message")
    run_endpoint.add_arguments(watch)
    watch.set_defaults(run=run_watch)

    cancel = _steering(commands, "cancel", run_cancel, "end one: new work stops, what was done is taken back")
    cancel.add_argument("--reason", default="", help="why, for the audit log")
    pause = _steering(commands, "pause", run_pause, "let nothing new begin in one")
    pause.add_argument("--reason", default="", help="why, for the audit log")
    _steering(commands, "resume", run_resume, "let a paused one go on")
    rerun = _steering(commands, "rerun", run_rerun, "repeat one that has ended; what it has is not paid again")
    rerun.add_argument("--from", dest="from_step", default="", metavar="STEP", help="first step to do again")
    rerun.add_argument(
        "--current-definition", action="store_true", help="with the workflow as it is configured now, not as it was"
    )
    rerun.add_argument("--wait", action="store_true", help="follow it until its end; exit code 0 when it succeeded")
    signal = _steering(commands, "signal", run_signal, "send one a signal")
    signal.add_argument("signal", metavar="NAME", help="name of the signal")
    signal.add_argument("--payload", default="", metavar="JSON|@FILE", help="what it carries; - reads it from stdin")


def _register_start(commands: Any) -> None:
    start = commands.add_parser("start", help="start one", description="Starts a run of a workflow as it is now.")
    start.add_argument("workflow", metavar="WORKFLOW", help="name of the workflow")
    start.add_argument("--tenant", default="", help="the tenant to start it for; operators have to say so")
    start.add_argument(
        "--input", default="", metavar="JSON|@FILE", help="its input (default: {}); - reads it from stdin"
    )
    start.add_argument("--label", action="append", default=[], metavar="NAME=VALUE", help="label; can be repeated")
    start.add_argument("--priority", type=_priority, default=0, metavar="N", help="-100 to 100; higher goes first")
    start.add_argument("--at", type=_time, metavar="TIME", help="when to begin, such as 2026-12-24T18:00:00Z")
    start.add_argument("--session", default="", help="session of its calls (default: its own)")
    start.add_argument("--wait", action="store_true", help="follow it until its end; exit code 0 when it succeeded")
    _add_request(start)
    start.set_defaults(run=run_start)


def _register_list(commands: Any) -> None:
    listing = commands.add_parser("list", help="runs, the newest first")
    listing.add_argument("--tenant", default="", help="only this tenant's")
    listing.add_argument("--workflow", default="", help="only of this workflow")
    listing.add_argument(
        "--state", action="append", default=[], choices=state_names(), help="only in this state; can be repeated"
    )
    listing.add_argument("--label", action="append", default=[], metavar="NAME=VALUE", help="only with this label")
    listing.add_argument(
        "--since", type=_ago, metavar="TIME", help="only created since then: a time, or 2h for two hours ago"
    )
    listing.add_argument("--until", type=_ago, metavar="TIME", help="only created before then")
    listing.add_argument("--parent", default="", type=full_name, metavar="RUN", help="only children of this run")
    listing.add_argument(
        "-n",
        "--lines",
        type=bounded.number(1, _LINES_MAX),
        default=DEFAULT_LINES,
        metavar="N",
        help=f"at most N (default: {DEFAULT_LINES})",
    )
    listing.add_argument("--json", action="store_true", help="JSON instead of text; one line for each run")
    run_endpoint.add_arguments(listing)
    listing.set_defaults(run=run_list)


def _register_show(commands: Any) -> None:
    show = commands.add_parser("show", help="one run: its facts, and how each step fares")
    show.add_argument("name", metavar="RUN", type=full_name, help=_NAME_HELP)
    show.add_argument(
        "--step", default="", metavar="STEP", help="this step's input and output as well, such as score[3]"
    )
    show.add_argument("--payloads", action="store_true", help="all inputs and outputs as well; with --json")
    show.add_argument(
        "--graph", choices=("text", "mermaid", "svg"), help="its picture instead, as of fairlead run graph"
    )
    show.add_argument("--json", action="store_true", help="JSON instead of text")
    run_endpoint.add_arguments(show)
    show.set_defaults(run=run_show)


def run_start(arguments: argparse.Namespace) -> int:
    """Starts a run."""
    try:
        request = pb.StartRunRequest(
            request_id=arguments.request_id or str(uuid.uuid4()),
            workflow=arguments.workflow,
            input=_json_bytes(arguments.input, "--input"),
            labels=_labels(arguments.label),
            priority=arguments.priority,
            start_time=arguments.at,
            tenant=arguments.tenant,
            session=arguments.session,
        )
    except _Usage as error:
        print(f"fairlead run start: {error}", file=sys.stderr)
        return _INVALID
    return _change(arguments, "StartRun", request, wait=arguments.wait)


def run_list(arguments: argparse.Namespace) -> int:
    """Prints runs, the newest first."""
    try:
        labels = _labels(arguments.label)
    except _Usage as error:
        print(f"fairlead run list: {error}", file=sys.stderr)
        return _INVALID
    request = pb.ListRunsRequest(
        page_size=min(arguments.lines, 1000),
        tenant=arguments.tenant,
        workflow=arguments.workflow,
        states=map(state_of, arguments.state),
        labels=labels,
        created_from=arguments.since,
        created_until=arguments.until,
        parent=arguments.parent,
    )
    with operator.refusals_reported() as codes, run_endpoint.connected(arguments) as endpoint:
        found = itertools.islice(_pages(endpoint, request), arguments.lines)
        if arguments.json:
            for run in found:
                print(json.dumps(run_view.as_json(run), ensure_ascii=False))
        else:
            header = ("NAME", "STATE", "WORKFLOW", "STARTED BY", "STEPS", "SPENT", "CREATED")
            print("\n".join(map(fitting, table(header, map(_row, found), "<<<<>><"))))
        sys.stdout.flush()
    return codes[0] if codes else 0


def run_show(arguments: argparse.Namespace) -> int:
    """Prints one run."""
    if arguments.graph:
        arguments.format, arguments.output = arguments.graph, None
        return run_graph.run_graph(arguments)
    request = pb.GetRunRequest(name=arguments.name, step=arguments.step)
    request.without_payloads = not arguments.payloads and not arguments.step
    with operator.refusals_reported() as codes, run_endpoint.connected(arguments) as endpoint:
        run = endpoint.call("GetRun", request).run
        if arguments.json:
            print(json.dumps(run_view.as_json(run), ensure_ascii=False, indent=2))
        else:
            print("\n".join(_text(run, arguments.step)))
        sys.stdout.flush()
    return codes[0] if codes else 0


def run_watch(arguments: argparse.Namespace) -> int:
    """Follows a run until its end."""
    with operator.refusals_reported() as codes, run_endpoint.connected(arguments) as endpoint:
        return _follow(endpoint, arguments.name, from_start=arguments.from_start, as_json=arguments.json)
    return codes[0] if codes else 1


def run_cancel(arguments: argparse.Namespace) -> int:
    """Ends a run."""
    return _change(arguments, "CancelRun", _about(arguments, pb.CancelRunRequest, reason=arguments.reason))


def run_pause(arguments: argparse.Namespace) -> int:
    """Pauses a run."""
    return _change(arguments, "PauseRun", _about(arguments, pb.PauseRunRequest, reason=arguments.reason))


def run_resume(arguments: argparse.Namespace) -> int:
    """Lets a paused run go on."""
    return _change(arguments, "ResumeRun", _about(arguments, pb.ResumeRunRequest))


def run_rerun(arguments: argparse.Namespace) -> int:
    """Repeats a run."""
    fields = {"from_step": arguments.from_step, "current_definition": arguments.current_definition}
    return _change(arguments, "RerunRun", _about(arguments, pb.RerunRunRequest, **fields), wait=arguments.wait)


def run_signal(arguments: argparse.Namespace) -> int:
    """Sends a signal to a run."""
    try:
        payload = _json_bytes(arguments.payload, "--payload")
    except _Usage as error:
        print(f"fairlead run signal: {error}", file=sys.stderr)
        return _INVALID
    request = _about(arguments, pb.SignalRunRequest, signal=arguments.signal, payload=payload)
    return _change(arguments, "SignalRun", request)


def _change(arguments: argparse.Namespace, method: str, request: Any, *, wait: bool = False) -> int:
    """Makes a change and prints the run as it is afterwards, or with `wait` follows it."""
    again = "" if arguments.request_id else f"to try this same call again, add --request-id {request.request_id}"
    with operator.refusals_reported(again) as codes, run_endpoint.connected(arguments) as endpoint:
        run = endpoint.call(method, request).run
        if wait:
            if not arguments.json:
                print(visible(run.name), flush=True)
            return _follow(endpoint, run.name, from_start=True, as_json=arguments.json)
        if arguments.json:
            print(json.dumps(run_view.as_json(run), ensure_ascii=False))
        else:
            print("\n".join(run_view.facts(run)))
        sys.stdout.flush()
    return codes[0] if codes else 0


def _follow(endpoint: Endpoint, name: str, *, from_start: bool, as_json: bool) -> int:
    code = 1
    for response in run_following.follow(endpoint, name, from_start=from_start):
        print(run_following.line(response, as_json=as_json), flush=True)
        if response.WhichOneof("what") == "run":
            code = run_following.exit_code(response.run)
    return code


def _text(run: run_pb2.Run, step: str) -> Iterator[str]:
    yield from run_view.facts(run)
    yield ""
    yield from map(fitting, run_view.steps(run, time.time_ns()))
    for one in run.steps:
        if one.id == step:
            for label, content in (("input", one.input), ("output", one.output)):
                shown = json.dumps(run_view.payload(content), ensure_ascii=True, indent=2) if content else "none"
                yield f"\n{label} of {visible(step)}\n{shown}"


def _pages(endpoint: Endpoint, request: pb.ListRunsRequest) -> Iterator[run_pb2.Run]:
    while True:
        page = endpoint.call("ListRuns", request)
        yield from page.runs
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


def _row(run: run_pb2.Run) -> tuple[str, ...]:
    return (
        visible(run.name),
        state_name(run.state),
        visible(run.workflow),
        visible(f"{run.tenant}/{run.agent}" if run.agent else f"operator {run.operator} for {run.tenant}"),
        f"{run.steps_ended}/{run.steps_total}",
        format_amount(run.spent) if run.spent.nano_usd or run.spent.tokens else "-",
        f"{run.create_time.ToDatetime(tzinfo=UTC):%Y-%m-%d %H:%M:%S} UTC",
    )


def _about(arguments: argparse.Namespace, kind: Callable[..., Any], **fields: Any) -> Any:
    return kind(request_id=arguments.request_id or str(uuid.uuid4()), name=arguments.name, **fields)


def _steering(
    commands: Any, word: str, run: Callable[[argparse.Namespace], int], summary: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(word, help=summary)
    parser.add_argument("name", metavar="RUN", type=full_name, help=_NAME_HELP)
    _add_request(parser)
    parser.set_defaults(run=run)
    return parser


def _add_request(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--request-id", metavar="ID", help="makes a retry safe: the same id counts once in 24 hours")
    parser.add_argument("--json", action="store_true", help="JSON instead of text")
    run_endpoint.add_arguments(parser)


def _json_bytes(given: str, option: str) -> bytes:
    """JSON of a command line, of a file or of stdin; raises `_Usage`."""
    try:
        if given == "-":
            content = sys.stdin.buffer.read(_INPUT_MAX_BYTES)
        elif given.startswith("@"):
            with open(given[1:], "rb") as file:
                content = file.read(_INPUT_MAX_BYTES)
        else:
            content = given.encode()
    except OSError as error:
        raise _Usage(f"{given[1:]} cannot be read: {error.strerror or 'unreadable'}") from None
    if content:
        try:
            json.loads(content)
        except ValueError as error:
            raise _Usage(f"{option} is not JSON: {error}") from None
    return content


def _labels(given: list[str]) -> dict[str, str]:
    """Labels of a command line; raises `_Usage`."""
    labels = {}
    for pair in given:
        name, sign, value = pair.partition("=")
        if not name or not sign:
            raise _Usage(f"`{pair}` is not a label: write NAME=VALUE")
        labels[name] = value
    return labels


def _priority(text: str) -> int:
    try:
        found = int(text)
    except ValueError:
        found = _PRIORITY_MAX + 1
    if abs(found) > _PRIORITY_MAX:
        raise argparse.ArgumentTypeError(f"`{text}` is not a whole number from -{_PRIORITY_MAX} to {_PRIORITY_MAX}")
    return found


def _time(text: str) -> Timestamp:
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"`{text}` is not a time: write 2026-12-24T18:00:00Z") from None
    time = Timestamp()
    # Without a zone it is UTC, as all times here.
    time.FromDatetime(read if read.tzinfo is not None else read.replace(tzinfo=UTC))
    return time


def _ago(text: str) -> Timestamp:
    from fairlead.config.quantities import parse_duration

    try:
        millis = parse_duration(text)
    except ValueError:
        return _time(text)
    then = Timestamp()
    then.FromMilliseconds(time.time_ns() // 1_000_000 - millis)
    return then


def _usage(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], int]:
    def run(_: argparse.Namespace) -> int:
        parser.print_help()
        return 2

    return run
