"""Small things that tests say to a daemon over and over."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from fairlead.v1 import (
    audit_record_pb2,
    audit_service_pb2,
    audit_service_pb2_grpc,
    budget_service_pb2,
    budget_service_pb2_grpc,
    decision_pb2,
    gate_service_pb2,
    gate_service_pb2_grpc,
)

from .harness import TOKEN, Daemon, bearer


@dataclass(frozen=True)
class Refused:
    """An error of a gRPC call, decoded."""

    code: grpc.StatusCode
    reason: str
    metadata: dict[str, str]
    fields: list[str]
    retry_seconds: float | None
    message: str


def refused(call: Callable[[], object]) -> Refused:
    """The error the call ends with; it must be one of Fairlead's, small enough for every client."""
    try:
        answer = call()
    except grpc.RpcError as error:
        status = rpc_status.from_call(error)
        assert status is not None, error
        assert status.ByteSize() < 4096
        infos, fields, retry = [], [], None
        for detail in status.details:
            info, bad, delay = (
                error_details_pb2.ErrorInfo(),
                error_details_pb2.BadRequest(),
                error_details_pb2.RetryInfo(),
            )
            if detail.Unpack(info):
                infos.append(info)
            elif detail.Unpack(bad):
                fields = [violation.field for violation in bad.field_violations]
            elif detail.Unpack(delay):
                retry = delay.retry_delay.ToTimedelta().total_seconds()
        (info,) = infos
        assert info.domain == "fairlead"
        return Refused(error.code(), info.reason, dict(info.metadata), fields, retry, status.message)
    raise AssertionError(f"it was not refused: {answer}")


class Agent:
    """Calls the gate as one agent."""

    def __init__(self, daemon: Daemon, token: str = TOKEN) -> None:
        self._gate: Any = gate_service_pb2_grpc.GateServiceStub(daemon.agent())
        self._metadata = bearer(token)

    def admit(self, request_id: str, **fields: Any) -> gate_service_pb2.AdmitResponse:
        """Admits; model `small`, 10 input and 100 output tokens unless told otherwise."""
        if not {"input_tokens", "input_bytes"} & fields.keys():
            fields["input_tokens"] = 10
        request = gate_service_pb2.AdmitRequest(
            request_id=request_id, **{"model": "small", "max_output_tokens": 100, **fields}
        )
        response: gate_service_pb2.AdmitResponse = self._gate.Admit(request, metadata=self._metadata, timeout=10)
        return response

    def settle(
        self,
        request_id: str,
        invocation: str,
        *,
        model: str = "small",
        input: int = 10,
        output: int = 20,
        **fields: Any,
    ) -> gate_service_pb2.SettleResponse:
        """Settles with one successful attempt."""
        attempt = decision_pb2.Attempt(model=model, outcome=decision_pb2.ATTEMPT_OUTCOME_SUCCEEDED, status_code=200)
        attempt.usage.input, attempt.usage.output = input, output
        request = gate_service_pb2.SettleRequest(
            request_id=request_id, invocation=invocation, **{"attempts": [attempt], **fields}
        )
        response: gate_service_pb2.SettleResponse = self._gate.Settle(request, metadata=self._metadata, timeout=10)
        return response

    def release(self, request_id: str, invocation: str) -> gate_service_pb2.ReleaseResponse:
        """Releases."""
        request = gate_service_pb2.ReleaseRequest(request_id=request_id, invocation=invocation, reason="test")
        response: gate_service_pb2.ReleaseResponse = self._gate.Release(request, metadata=self._metadata, timeout=10)
        return response


def events(daemon: Daemon, kind: int | None = None) -> list[audit_record_pb2.AuditRecord]:
    """The records of the audit log, of one kind or all."""
    audit: Any = audit_service_pb2_grpc.AuditServiceStub(daemon.operator())
    request = audit_service_pb2.ListEventsRequest(page_size=1000)
    found: list[audit_record_pb2.AuditRecord] = []
    while True:
        page = audit.ListEvents(request, timeout=30)
        found += [event.record for event in page.events if kind is None or event.record.kind == kind]
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


def budgets(daemon: Daemon, tenant: str = "acme") -> dict[str, budget_service_pb2.Budget]:
    """Budget instances of a tenant by `budget/instance`."""
    stub: Any = budget_service_pb2_grpc.BudgetServiceStub(daemon.operator())
    request = budget_service_pb2.ListBudgetsRequest(parent=f"tenants/{tenant}", page_size=1000)
    found: dict[str, budget_service_pb2.Budget] = {}
    while True:
        page = stub.ListBudgets(request, timeout=30)
        found |= {"/".join(budget.name.split("/")[3::2]): budget for budget in page.budgets}
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


def explained(daemon: Daemon, invocation: str) -> audit_service_pb2.ExplainInvocationResponse:
    """What the log says about an invocation."""
    audit: Any = audit_service_pb2_grpc.AuditServiceStub(daemon.operator())
    request = audit_service_pb2.ExplainInvocationRequest(invocation=invocation)
    response: audit_service_pb2.ExplainInvocationResponse = audit.ExplainInvocation(request, timeout=30)
    return response


def post(
    daemon: Daemon, body: bytes | dict[str, Any], path: str = "/v1/chat/completions", token: str = TOKEN, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """One HTTP request to the agent port: status, headers in lower case, body."""
    connection = http.client.HTTPConnection(daemon.endpoints()["agent"], timeout=30)
    try:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        extra = {name.replace("_", "-"): value for name, value in headers.items()}
        base = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        # It may answer and stop reading before all of it was sent.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.request("POST", path, content, {**base, **extra})
        response = connection.getresponse()
        return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
    finally:
        connection.close()
