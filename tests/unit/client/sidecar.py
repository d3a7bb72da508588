"""A gate that a test scripts: it answers what it is told and remembers what it was asked."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NoReturn

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

from fairlead.v1 import (
    approval_service_pb2,
    approval_service_pb2_grpc,
    decision_pb2,
    gate_service_pb2,
    gate_service_pb2_grpc,
    model_service_pb2,
    model_service_pb2_grpc,
)


@dataclass
class Refusal:
    """An error the gate answers with."""

    code: grpc.StatusCode
    reason: str
    metadata: dict[str, str] = field(default_factory=dict)
    retry_after: float | None = None


class Gate(  # type: ignore[misc]
    gate_service_pb2_grpc.GateServiceServicer,
    model_service_pb2_grpc.ModelServiceServicer,
    approval_service_pb2_grpc.ApprovalTicketServiceServicer,
):
    """Answers with the scripted refusals first, then well; tools and tickets as scripted, the last one for ever."""

    def __init__(self) -> None:
        self.time_remaining = 0.0
        self.refusals: list[Refusal] = []
        self.requests: list[object] = []
        self.authorizations: list[str] = []
        self.admitted, self.answering = threading.Event(), threading.Event()
        self.answering.set()
        self.tools: list[gate_service_pb2.AuthorizeToolResponse] = []
        self.tickets: list[approval_service_pb2.Ticket] = []

    def Admit(
        self, request: gate_service_pb2.AdmitRequest, context: grpc.ServicerContext
    ) -> gate_service_pb2.AdmitResponse:
        self._record(request, context)
        self.admitted.set()
        self.answering.wait(5)
        plan = [decision_pb2.PlannedTarget(model=name, upstream_model=f"up-{name}") for name in ("first", "second")]
        return gate_service_pb2.AdmitResponse(invocation="inv_1", plan=plan, max_output_tokens=64)

    def Settle(
        self, request: gate_service_pb2.SettleRequest, context: grpc.ServicerContext
    ) -> gate_service_pb2.SettleResponse:
        self._record(request, context)
        return gate_service_pb2.SettleResponse()

    def Release(
        self, request: gate_service_pb2.ReleaseRequest, context: grpc.ServicerContext
    ) -> gate_service_pb2.ReleaseResponse:
        self._record(request, context)
        return gate_service_pb2.ReleaseResponse()

    def AuthorizeTool(
        self, request: gate_service_pb2.AuthorizeToolRequest, context: grpc.ServicerContext
    ) -> gate_service_pb2.AuthorizeToolResponse:
        self._record(request, context)
        self.admitted.set()
        self.answering.wait(5)
        return self.tools.pop(0) if len(self.tools) > 1 else self.tools[0]

    def CompleteTool(
        self, request: gate_service_pb2.CompleteToolRequest, context: grpc.ServicerContext
    ) -> gate_service_pb2.CompleteToolResponse:
        self._record(request, context)
        return gate_service_pb2.CompleteToolResponse(session_labels=["saw_untrusted"])

    def GetTicket(
        self, request: approval_service_pb2.GetTicketRequest, context: grpc.ServicerContext
    ) -> approval_service_pb2.GetTicketResponse:
        self._record(request, context)
        return approval_service_pb2.GetTicketResponse(ticket=self._next_ticket())

    def WaitTicket(
        self, request: approval_service_pb2.WaitTicketRequest, context: grpc.ServicerContext
    ) -> approval_service_pb2.WaitTicketResponse:
        self._record(request, context)
        self.time_remaining = context.time_remaining()
        return approval_service_pb2.WaitTicketResponse(ticket=self._next_ticket())

    def _next_ticket(self) -> approval_service_pb2.Ticket:
        return self.tickets.pop(0) if len(self.tickets) > 1 else self.tickets[0]

    def StreamGenerate(
        self, request: model_service_pb2.StreamGenerateRequest, context: grpc.ServicerContext
    ) -> Iterator[model_service_pb2.StreamGenerateResponse]:
        self.requests.append(request)
        yield model_service_pb2.StreamGenerateResponse(start=model_service_pb2.StreamStart(invocation="inv_2"))
        yield model_service_pb2.StreamGenerateResponse(event=b"{}")
        self._refuse(context)

    def _record(self, request: object, context: grpc.ServicerContext) -> None:
        self.requests.append(request)
        self.authorizations.append(str(dict(context.invocation_metadata()).get("authorization", "")))
        self._refuse(context)

    def _refuse(self, context: grpc.ServicerContext) -> None:
        if self.refusals:
            refuse(self.refusals.pop(0), context)


def refuse(refusal: Refusal, context: grpc.ServicerContext) -> NoReturn:
    """Ends a call with the error."""
    if not refusal.reason:
        context.abort(refusal.code, "no details")
    details = [error_details_pb2.ErrorInfo(reason=refusal.reason, domain="fairlead", metadata=refusal.metadata)]
    packed = [any_pb2.Any() for _ in details]
    for target, detail in zip(packed, details, strict=True):
        target.Pack(detail)
    if refusal.retry_after is not None:
        delay = duration_pb2.Duration()
        delay.FromNanoseconds(int(refusal.retry_after * 1e9))
        retry = any_pb2.Any()
        retry.Pack(error_details_pb2.RetryInfo(retry_delay=delay))
        packed.append(retry)
    status = status_pb2.Status(code=refusal.code.value[0], message="refused", details=packed)
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(refusal.code, "refused")


@contextmanager
def serving() -> Iterator[tuple[Gate, str]]:
    """Runs a gate on a free port; yields it and its address."""
    gate = Gate()
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
    gate_service_pb2_grpc.add_GateServiceServicer_to_server(gate, server)
    approval_service_pb2_grpc.add_ApprovalTicketServiceServicer_to_server(gate, server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(gate, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield gate, f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()
