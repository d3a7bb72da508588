"""Where the audit commands read from: the running sidecar's operator socket, or the directory of a stopped one.

A directory is read only when no sidecar holds it. A running one keeps the last records in memory and in a log that only
it may read to the end: what could be seen from outside would be stale, so the socket is asked instead.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from fairlead.audit.model import Verification
from fairlead.cli import operator
from fairlead.v1 import audit_service_pb2, audit_service_pb2_grpc, config_service_pb2, config_service_pb2_grpc

if TYPE_CHECKING:
    import grpc

    from fairlead.store import Store

PAGE_SIZE = 1000


class Source(Protocol):
    """The audit log, wherever it is."""

    def pages(
        self, filter: audit_service_pb2.EventFilter, *, descending: bool = False, page_size: int = PAGE_SIZE
    ) -> Iterator[audit_service_pb2.AuditEvent]:
        """All matching records, page by page."""
        ...

    def verify(self, first: int, last: int) -> Verification:
        """Recomputes the chain."""
        ...

    def explain(self, invocation: str) -> audit_service_pb2.ExplainInvocationResponse | None:
        """Everything about one invocation; None when it is not known."""
        ...

    def explain_run(self, name: str) -> audit_service_pb2.ExplainRunResponse | None:
        """Everything about one run; None when it is not known."""
        ...

    def identity(self) -> audit_service_pb2.GetAuditLogResponse:
        """Which log it is and who signs it."""
        ...

    def checkpoint(self, *, fresh: bool) -> audit_service_pb2.SignedCheckpoint:
        """The last checkpoint; a fresh one has everything, when there is a sidecar that can sign."""
        ...

    def ranges(self) -> Iterator[audit_service_pb2.SealedRange]:
        """All checkpoints with what each added."""
        ...

    def prove(self, sequences: Sequence[int]) -> audit_service_pb2.ProveEventsResponse:
        """Inclusion proofs."""
        ...

    def consistency(self, old_size: int, new_size: int) -> audit_service_pb2.ProveConsistencyResponse:
        """A consistency proof."""
        ...

    def configuration(self, version: str) -> str | None:
        """Canonical text of a version; None when it is not known."""
        ...


class OnlineLog:
    """The log of a running sidecar."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.stub = audit_service_pb2_grpc.AuditServiceStub(channel)
        self._config = config_service_pb2_grpc.ConfigServiceStub(channel)

    def pages(
        self, filter: audit_service_pb2.EventFilter, *, descending: bool = False, page_size: int = PAGE_SIZE
    ) -> Iterator[audit_service_pb2.AuditEvent]:
        request = audit_service_pb2.ListEventsRequest(page_size=page_size, filter=filter, descending=descending)
        while True:
            page = self.stub.ListEvents(request, timeout=operator.DEFAULT_TIMEOUT_SECONDS)
            yield from page.events
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def verify(self, first: int, last: int) -> Verification:
        # No deadline: a large log takes its time.
        request = audit_service_pb2.VerifyChainRequest(from_sequence=first, to_sequence=last)
        return Verification.from_response(self.stub.VerifyChain(request))

    def explain(self, invocation: str) -> audit_service_pb2.ExplainInvocationResponse | None:
        request = audit_service_pb2.ExplainInvocationRequest(invocation=invocation)
        explained: audit_service_pb2.ExplainInvocationResponse = self.stub.ExplainInvocation(
            request, timeout=operator.DEFAULT_TIMEOUT_SECONDS
        )
        return explained

    def explain_run(self, name: str) -> audit_service_pb2.ExplainRunResponse | None:
        explained: audit_service_pb2.ExplainRunResponse = self.stub.ExplainRun(
            audit_service_pb2.ExplainRunRequest(name=name), timeout=operator.DEFAULT_TIMEOUT_SECONDS
        )
        return explained

    def identity(self) -> audit_service_pb2.GetAuditLogResponse:
        identity: audit_service_pb2.GetAuditLogResponse = self.stub.GetAuditLog(
            audit_service_pb2.GetAuditLogRequest(), timeout=operator.DEFAULT_TIMEOUT_SECONDS
        )
        return identity

    def checkpoint(self, *, fresh: bool) -> audit_service_pb2.SignedCheckpoint:
        request = audit_service_pb2.GetLogCheckpointRequest(fresh=fresh)
        # No deadline: the first checkpoint of a long log takes its time.
        signed: audit_service_pb2.SignedCheckpoint = self.stub.GetLogCheckpoint(request).checkpoint
        return signed

    def ranges(self) -> Iterator[audit_service_pb2.SealedRange]:
        request = audit_service_pb2.ListLogCheckpointsRequest(page_size=PAGE_SIZE)
        while page := self.stub.ListLogCheckpoints(request, timeout=operator.DEFAULT_TIMEOUT_SECONDS).ranges:
            yield from page
            request.after_size = page[-1].checkpoint.size

    def prove(self, sequences: Sequence[int]) -> audit_service_pb2.ProveEventsResponse:
        proven: audit_service_pb2.ProveEventsResponse = self.stub.ProveEvents(
            audit_service_pb2.ProveEventsRequest(sequences=sequences)
        )
        return proven

    def consistency(self, old_size: int, new_size: int) -> audit_service_pb2.ProveConsistencyResponse:
        proven: audit_service_pb2.ProveConsistencyResponse = self.stub.ProveConsistency(
            audit_service_pb2.ProveConsistencyRequest(old_size=old_size, new_size=new_size)
        )
        return proven

    def configuration(self, version: str) -> str | None:
        import grpc

        try:
            request = config_service_pb2.GetConfigRequest(version=version)
            text: str = self._config.GetConfig(request, timeout=operator.DEFAULT_TIMEOUT_SECONDS).canonical_json
        except grpc.RpcError as error:
            if error.code() in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT):
                return None
            raise
        return text


class OfflineLog:
    """The log of a stopped sidecar."""

    def __init__(self, store: Store) -> None:
        from fairlead.audit.store import AuditLog, Invocations
        from fairlead.audit.transparency.proofs import Proofs

        self._store = store
        self._proofs = Proofs(store)
        self._log = AuditLog(store)
        self._invocations = Invocations(store)

    def pages(
        self, filter: audit_service_pb2.EventFilter, *, descending: bool = False, page_size: int = PAGE_SIZE
    ) -> Iterator[audit_service_pb2.AuditEvent]:
        from fairlead.audit.listing import Listing
        from fairlead.audit.tokens import PageToken

        listing = Listing(self._log, self._invocations)
        request = audit_service_pb2.ListEventsRequest(page_size=page_size, filter=filter, descending=descending)
        token: PageToken | None = None
        while True:
            page = listing.page(request, token)
            yield from page.events
            if not page.next_page_token:
                return
            token = PageToken.decode(page.next_page_token)

    def verify(self, first: int, last: int) -> Verification:
        from fairlead.audit.verification import verify_store

        return verify_store(self._store, first, last)

    def explain(self, invocation: str) -> audit_service_pb2.ExplainInvocationResponse | None:
        from fairlead.audit.explain import explain

        return explain(self._log, self._invocations, invocation)

    def explain_run(self, name: str) -> audit_service_pb2.ExplainRunResponse | None:
        from fairlead.audit.explain_run import explain_run
        from fairlead.workflow.store import Runs

        return explain_run(self._log, self._invocations, Runs(self._store), name)

    def identity(self) -> audit_service_pb2.GetAuditLogResponse:
        return self._proofs.identity()

    def checkpoint(self, *, fresh: bool) -> audit_service_pb2.SignedCheckpoint:
        # Nobody signs here: what was signed last is all there is.
        return self._proofs.checkpoint(0).checkpoint

    def ranges(self) -> Iterator[audit_service_pb2.SealedRange]:
        request = audit_service_pb2.ListLogCheckpointsRequest(page_size=PAGE_SIZE)
        while page := self._proofs.page(request).ranges:
            yield from page
            request.after_size = page[-1].checkpoint.size

    def prove(self, sequences: Sequence[int]) -> audit_service_pb2.ProveEventsResponse:
        return self._proofs.prove(sequences)

    def consistency(self, old_size: int, new_size: int) -> audit_service_pb2.ProveConsistencyResponse:
        return self._proofs.consistency(old_size, new_size)

    def configuration(self, version: str) -> str | None:
        from fairlead.config.versions import ConfigVersions

        return ConfigVersions(self._store).text(version)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what says where the log is."""
    operator.add_arguments(parser)
    parser.add_argument(
        "--offline", action="store_true", help="read the data directory itself; no sidecar may be running on it"
    )


@contextmanager
def opened(arguments: argparse.Namespace) -> Iterator[Source]:
    """The log that the arguments name: online when a sidecar answers, else offline. Raises `operator.Unreachable`."""
    if not arguments.offline and (arguments.socket is not None or operator.answers(arguments)):
        with operator.connected(arguments) as channel:
            yield OnlineLog(channel)
        return
    if arguments.socket is not None:
        raise operator.Unreachable("--offline needs a data directory: name it with --data instead of --socket")
    from fairlead.audit.model import Undecodable
    from fairlead.audit.trimming.beginning import LogTrimmed
    from fairlead.audit.watch import LogDamaged
    from fairlead.control.errors import Refusal
    from fairlead.store import StoreError, StoreLocked, StoreUnavailable, open_store

    try:
        store = open_store(arguments.data, read_only=True)
    except StoreLocked as error:
        instead = "leave out --offline" if arguments.offline else "its operator socket does not answer"
        raise operator.Unreachable(f"{error}; its log can only be read through the sidecar: {instead}") from error
    except StoreError as error:
        raise operator.Unreachable(str(error)) from error
    with store:
        if not arguments.offline:
            print(f"fairlead: no sidecar runs on {arguments.data}: reading it offline", file=sys.stderr)
        try:
            yield OfflineLog(store)
        except (StoreUnavailable, LogDamaged, LogTrimmed, Undecodable, Refusal) as error:
            raise operator.Unreachable(str(error)) from error
