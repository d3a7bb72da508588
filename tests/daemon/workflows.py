"""Runs that are started, and people who decide, though the daemon and its workers are killed all the time."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import grpc

from fairlead.v1 import (
    approval_service_pb2,
    approval_service_pb2_grpc,
    audit_record_pb2,
    audit_service_pb2,
    audit_service_pb2_grpc,
    run_pb2,
    workflow_service_pb2,
    workflow_service_pb2_grpc,
)

from . import world
from .harness import ASHA_TOKEN, TOKEN, Daemon, bearer
from .world import World

HEAD = """\
apiVersion: fairlead/v1
operators:
  - {name: asha, token: {fromEnv: TEST_ASHA_TOKEN}, roles: [finance]}
tenants:
  - {name: acme, agents: [{name: bot, token: {fromEnv: TEST_BOT_TOKEN}}]}
approvals:
  tiers: [{name: high, require: [{role: finance}], expiresAfter: 72h}]
"""
ENDED = (
    run_pb2.RUN_STATE_SUCCEEDED,
    run_pb2.RUN_STATE_FAILED,
    run_pb2.RUN_STATE_CANCELLED,
    run_pb2.RUN_STATE_COMPENSATED,
)
# What a call gets when the daemon dies under it, or has not come back.
_GONE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
_PAUSE_SECONDS = 0.05
_CALL_SECONDS = 60.0
# A connection finds a daemon that has come back at once, not after gRPC's own growing pauses.
_OPTIONS = [
    ("grpc.default_authority", "localhost"),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 20),
    ("grpc.min_reconnect_backoff_ms", 20),
    ("grpc.max_reconnect_backoff_ms", 100),
]


def free_port() -> int:
    """A port for a daemon that comes back to where its workers look for it."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        port: int = held.getsockname()[1]
        return port


class Office:
    """Connections that outlive the daemon: whoever starts runs, and the person who decides. Their calls are made again
    with the same request id until there is an answer, which then counts as acknowledged."""

    def __init__(self, daemon: Daemon, facts: World) -> None:
        endpoints = daemon.endpoints()
        self.agent, self.operator = (
            grpc.insecure_channel(endpoints[which], options=_OPTIONS) for which in ("agent", "operator")
        )
        self._facts = facts
        self._runs: Any = workflow_service_pb2_grpc.WorkflowServiceStub(self.agent)
        self._approvals: Any = approval_service_pb2_grpc.ApprovalServiceStub(self.operator)
        self.closing = threading.Event()
        # What was acknowledged: inputs by the names of their runs, and what people said, by approval.
        self.started: dict[str, int] = {}
        self.decided: dict[str, str] = {}

    def insist(self, call: Callable[..., Any], request: Any, token: str = TOKEN) -> Any:
        """The answer, as soon as somebody gives one."""
        while True:
            try:
                return call(request, metadata=bearer(token), timeout=_CALL_SECONDS)
            except grpc.RpcError as error:
                if error.code() not in _GONE or self.closing.wait(_PAUSE_SECONDS):
                    raise

    def start(self, workflow: str, number: int) -> str:
        """Starts a run; its name."""
        given = {"n": number, "invoice": number // 2}
        request = workflow_service_pb2.StartRunRequest(
            request_id=f"{workflow}-{number}", workflow=workflow, input=json.dumps(given).encode()
        )
        name: str = self.insist(self._runs.StartRun, request).run.name
        self.started[name] = number
        return name

    def run(self, name: str) -> run_pb2.Run:
        """The run as it is."""
        found: run_pb2.Run = self.insist(self._runs.GetRun, workflow_service_pb2.GetRunRequest(name=name)).run
        return found

    def listed(self, **filters: Any) -> list[run_pb2.Run]:
        """All runs that fit."""
        request = workflow_service_pb2.ListRunsRequest(page_size=1000, **filters)
        found: list[run_pb2.Run] = []
        while True:
            page = self.insist(self._runs.ListRuns, request)
            found += page.runs
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token

    def ends(self, names: Iterable[str], seconds: float) -> list[run_pb2.Run]:
        """The runs with their steps, when all have ended."""
        found = []
        for name in names:
            while (run := self.run(name)).state not in ENDED and seconds > 0:
                self.closing.wait(_PAUSE_SECONDS)
                seconds -= _PAUSE_SECONDS
            found.append(run)
        return found

    def decide_all(self) -> None:
        """A person who decides whatever comes, until the office closes."""
        while not self.closing.wait(_PAUSE_SECONDS):
            for approval in self.pending():
                self.decide(approval)

    def pending(self, most: int = 1000) -> list[approval_service_pb2.Approval]:
        """What people are asked, the newest first."""
        request = approval_service_pb2.ListApprovalsRequest(
            page_size=most, state=approval_service_pb2.APPROVAL_STATE_PENDING
        )
        found: list[approval_service_pb2.Approval] = list(
            self.insist(self._approvals.ListApprovals, request, ASHA_TOKEN).approvals
        )
        return found

    def decide(self, approval: approval_service_pb2.Approval) -> None:
        """Agrees; about an outcome that nobody knows: looks at the world and says what became of it."""
        request = approval_service_pb2.DecideApprovalRequest(
            request_id=f"vote-{approval.name}",
            name=approval.name,
            decision=approval_service_pb2.APPROVAL_DECISION_APPROVE,
            reason="looked at it",
            digest=approval.digest,
        )
        if approval.subject == approval_service_pb2.APPROVAL_SUBJECT_UNKNOWN_STEP:
            request.resolution.CopyFrom(self._truth(approval))
        try:
            self.insist(self._approvals.DecideApproval, request, ASHA_TOKEN)
        except grpc.RpcError as error:
            # Between the look and the vote it may have been withdrawn.
            if error.code() != grpc.StatusCode.FAILED_PRECONDITION:
                raise
        else:
            self.decided[approval.name] = approval_service_pb2.ApprovalSubject.Name(approval.subject)

    def _truth(self, approval: approval_service_pb2.Approval) -> approval_service_pb2.Resolution:
        name = f"runs/{approval.run.removeprefix('runs/')}"
        step = next(step for step in self.run(name).steps if step.id == approval.step)
        act = self._facts.looked_at(name, step.id, step.epoch, step.idempotency_key)
        if act is None:
            return approval_service_pb2.Resolution(outcome=approval_service_pb2.RESOLUTION_OUTCOME_DID_NOT_HAPPEN)
        return approval_service_pb2.Resolution(
            outcome=approval_service_pb2.RESOLUTION_OUTCOME_HAPPENED, result=json.dumps(act["result"]).encode()
        )

    def records(self) -> list[audit_record_pb2.AuditRecord]:
        """The whole audit log."""
        audit: Any = audit_service_pb2_grpc.AuditServiceStub(self.operator)
        request = audit_service_pb2.ListEventsRequest(page_size=1000)
        found: list[audit_record_pb2.AuditRecord] = []
        while True:
            page = audit.ListEvents(request, timeout=_CALL_SECONDS)
            found += [event.record for event in page.events]
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token

    def close(self) -> None:
        """Nobody insists any more."""
        self.closing.set()

    def disconnect(self) -> None:
        """Ends the connections, when all threads that use them have ended."""
        self.agent.close()
        self.operator.close()


class Workers:
    """Worker processes that are killed and replaced."""

    def __init__(self, daemon: Daemon, file: Path, count: int) -> None:
        self._command = [sys.executable, world.__file__, daemon.endpoints()["agent"], TOKEN, str(file)]
        self._environment = daemon.environment
        self._log = (file.parent / "workers.log").open("w")
        self._count = 0
        self._processes: list[subprocess.Popen[bytes]] = []
        for _ in range(count):
            self._start()

    def kill(self, which: int) -> None:
        """kill -9 to one of them, and another begins."""
        process = self._processes.pop(which % len(self._processes))
        assert process.poll() is None, "a worker ended by itself"
        process.kill()
        process.wait()
        self._start()

    def close(self) -> None:
        """Ends all of them."""
        for process in self._processes:
            process.kill()
            process.wait()
        self._log.close()

    def _start(self) -> None:
        self._count += 1
        command = [*self._command, f"worker-{self._count}"]
        # Its log is read by nobody but whoever looks into a failure.
        environment = {**os.environ, **self._environment}
        self._processes.append(subprocess.Popen(command, env=environment, stderr=self._log, stdout=self._log))
