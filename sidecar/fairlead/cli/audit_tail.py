"""Following the log on the command line: what `fairlead audit tail` prints, and how it outlives a restart."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from itertools import islice

import grpc

from fairlead.audit.erasure.model import revealed
from fairlead.audit.rendering import event_to_line
from fairlead.audit.summary import kind_name, kind_of, summarize, who
from fairlead.audit.wording import utc
from fairlead.cli.audit_source import OnlineLog, Source
from fairlead.cli.table import fitting
from fairlead.v1 import audit_service_pb2
from fairlead.workflow.model import full_name

# Of one response: a log that is followed from its start comes in few of them.
_MAX_EVENTS = 1000
# Between two tries to reach a sidecar that went away.
_RETRY_SECONDS = 0.5


def tail(source: Source, arguments: argparse.Namespace) -> None:
    """Prints the records that the arguments ask for."""
    filter = audit_service_pb2.EventFilter(
        tenant=arguments.tenant,
        kinds=[kind_of(name) for name in arguments.kind],
        invocation=arguments.invocation,
        run=full_name(arguments.of_run),
    )
    if not arguments.follow:
        events = source.pages(filter) if arguments.from_start else newest(source, filter, arguments.lines)
    elif isinstance(source, OnlineLog):
        lines = None if arguments.from_start else arguments.lines
        events = follow(source, filter, lines)
    else:
        raise ValueError("only a running sidecar can be followed")
    for event in events:
        print(event_to_line(event) if arguments.json else fitting(line(event)), flush=arguments.follow)
    sys.stdout.flush()


def line(event: audit_service_pb2.AuditEvent) -> str:
    """A record for people."""
    record = revealed(event)
    return (
        f"{record.sequence:>8}  {utc(record.time_unix_nanos)}  {kind_name(record.kind):<20}  {who(record):<20}  "
        f"{record.invocation or '-':<36}  {summarize(record)}"
    ).rstrip()


def newest(
    source: Source, filter: audit_service_pb2.EventFilter, lines: int, up_to: int | None = None
) -> list[audit_service_pb2.AuditEvent]:
    """The last matching records, oldest first; none after `up_to`."""
    backwards = source.pages(filter, descending=True)
    wanted = (event for event in backwards if up_to is None or event.record.sequence <= up_to)
    return list(islice(wanted, lines))[::-1]


def follow(
    log: OnlineLog, filter: audit_service_pb2.EventFilter, lines: int | None
) -> Iterator[audit_service_pb2.AuditEvent]:
    """The last `lines` records (None: all), then new ones, each once and none left out, also when the sidecar restarts.

    The stream is opened first, so that nothing can fall between it and the list; what both know is taken from the list.
    """
    request = audit_service_pb2.WatchEventsRequest(from_start=lines is None, filter=filter, max_events=_MAX_EVENTS)
    call = log.stub.WatchEvents(request)
    seen = 0
    if lines is not None:
        call.initial_metadata()
        seen = next((event.record.sequence for event in log.pages(_EVERYTHING, descending=True, page_size=1)), 0)
        yield from newest(log, filter, lines, seen)
    connected = False
    while True:
        try:
            for response in call:
                connected = True
                for event in response.events:
                    if event.record.sequence > seen:
                        seen = event.record.sequence
                        yield event
                request.resume_token = response.resume_token
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE or not (connected or lines is not None):
                raise
            print("fairlead: the sidecar went away; going on as soon as it is back", file=sys.stderr)
            time.sleep(_RETRY_SECONDS)
        # Without a token nothing has come yet: from the start, leaving out what has been seen.
        request.from_start = True
        call = log.stub.WatchEvents(request, wait_for_ready=True)


_EVERYTHING = audit_service_pb2.EventFilter()
