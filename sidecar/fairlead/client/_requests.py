"""Builds the requests that both clients send."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from fairlead.v1 import (
    approval_service_pb2,
    decision_pb2,
    gate_service_pb2,
    model_service_pb2,
    tool_pb2,
)

DEFAULT_TARGET = "127.0.0.1:7400"
CHANNEL_OPTIONS: tuple[tuple[str, int], ...] = (
    # Retries are the client's own: gRPC's know nothing of request ids and reasons.
    ("grpc.enable_retries", 0),
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.max_send_message_length", 64 << 20),
)


def target_or_default(target: str | None) -> str:
    """The sidecar's address: the argument, else FAIRLEAD_ENDPOINT, else 127.0.0.1:7400."""
    return target or os.environ.get("FAIRLEAD_ENDPOINT") or DEFAULT_TARGET


def credentials(token: str | None) -> tuple[tuple[str, str], ...]:
    """Call metadata with the agent's token: the argument, else FAIRLEAD_TOKEN."""
    token = token or os.environ.get("FAIRLEAD_TOKEN")
    return (("authorization", f"Bearer {token}"),) if token else ()


def new_request_id() -> str:
    """An id that is safe to repeat a request with."""
    return str(uuid.uuid4())


def admit(
    *,
    model: str = "",
    workload: str = "",
    session: str = "",
    run: str = "",
    step: str = "",
    labels: Mapping[str, str] | None = None,
    attributes: Mapping[str, Any] | None = None,
    input_tokens: int | None = None,
    input_bytes: int | None = None,
    max_output_tokens: int = 0,
    min_output_tokens: int = 0,
    min_quality: float | None = None,
    capabilities: Sequence[str] = (),
    stream: bool = False,
    ticket: str = "",
    request_id: str | None = None,
) -> gate_service_pb2.AdmitRequest:
    """An admission. Exactly one of `input_tokens` and `input_bytes` (bytes of prompt text) is needed. `ticket` is that
    of an earlier ApprovalPending, to go on with the same call."""
    request = gate_service_pb2.AdmitRequest(
        request_id=request_id or new_request_id(),
        model=model,
        workload=workload,
        session=session,
        run=run,
        step=step,
        labels=dict(labels or {}),
        max_output_tokens=max_output_tokens,
        min_output_tokens=min_output_tokens,
        capabilities=capabilities,
        stream=stream,
        ticket=ticket,
    )
    if input_tokens is not None:
        request.input_tokens = input_tokens
    if input_bytes is not None:
        request.input_bytes = input_bytes
    if min_quality is not None:
        request.min_quality = min_quality
    if attributes:
        request.attributes.update(attributes)
    return request


def settle(
    invocation: str, attempts: Sequence[decision_pb2.Attempt], request_id: str | None = None
) -> gate_service_pb2.SettleRequest:
    """A settlement of all attempts."""
    return gate_service_pb2.SettleRequest(
        request_id=request_id or new_request_id(), invocation=invocation, attempts=attempts
    )


def release(invocation: str, reason: str, request_id: str | None = None) -> gate_service_pb2.ReleaseRequest:
    """A release of the whole hold."""
    return gate_service_pb2.ReleaseRequest(
        request_id=request_id or new_request_id(), invocation=invocation, reason=reason
    )


def authorize_tool(
    tool: str,
    arguments: Mapping[str, Any] | bytes,
    effect: tool_pb2.ToolEffect,
    *,
    idempotency_key: str = "",
    session: str = "",
    run: str = "",
    step: str = "",
    labels: Mapping[str, str] | None = None,
    ticket: str = "",
    request_id: str | None = None,
) -> gate_service_pb2.AuthorizeToolRequest:
    """A tool call. `idempotency_key` is the business's own, such as `refund/4711`; Fairlead makes one when it is
    empty."""
    return gate_service_pb2.AuthorizeToolRequest(
        request_id=request_id or new_request_id(),
        tool=tool,
        arguments=arguments if isinstance(arguments, bytes) else _json(arguments),
        effect=effect,
        idempotency_key=idempotency_key,
        session=session,
        run=run,
        step=step,
        labels=dict(labels or {}),
        ticket=ticket,
    )


def complete_tool(
    grant: str, outcome: gate_service_pb2.ToolOutcome, result: bytes, request_id: str | None = None
) -> gate_service_pb2.CompleteToolRequest:
    """The end of a granted tool call; `result` is JSON, empty for none."""
    return gate_service_pb2.CompleteToolRequest(
        request_id=request_id or new_request_id(), grant=grant, outcome=outcome, result=result
    )


def encode_result(result: Any) -> bytes:
    """A JSON value as JSON, None as nothing; raises TypeError and ValueError when it is no JSON value."""
    return b"" if result is None else _json(result)


def get_ticket(ticket: str) -> approval_service_pb2.GetTicketRequest:
    """The state of a ticket."""
    return approval_service_pb2.GetTicketRequest(ticket=ticket)


def wait_ticket(ticket: str, seconds: float) -> approval_service_pb2.WaitTicketRequest:
    """The state of a ticket once it is not pending."""
    request = approval_service_pb2.WaitTicketRequest(ticket=ticket)
    request.timeout.FromNanoseconds(int(seconds * 1e9))
    return request


def generate(
    body: Mapping[str, Any] | bytes, request_id: str | None, context: Mapping[str, Any]
) -> model_service_pb2.GenerateRequest:
    """A unary call in the OpenAI chat dialect; `context` may have the `ticket` of an earlier ApprovalPending."""
    return model_service_pb2.GenerateRequest(
        request_id=request_id or new_request_id(),
        dialect=model_service_pb2.DIALECT_OPENAI_CHAT,
        body=_encode(body),
        context=_context(context),
        ticket=context.get("ticket", ""),
    )


def stream_generate(
    body: Mapping[str, Any] | bytes, request_id: str | None, context: Mapping[str, Any]
) -> model_service_pb2.StreamGenerateRequest:
    """A streaming call in the OpenAI chat dialect; `context` as in `generate`."""
    return model_service_pb2.StreamGenerateRequest(
        request_id=request_id or new_request_id(),
        dialect=model_service_pb2.DIALECT_OPENAI_CHAT,
        body=_encode(body),
        context=_context(context),
        ticket=context.get("ticket", ""),
    )


def _encode(body: Mapping[str, Any] | bytes) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body, separators=(",", ":")).encode()


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def _context(values: Mapping[str, Any]) -> model_service_pb2.CallContext:
    values = dict(values)
    attributes = values.pop("attributes", None)
    values.pop("ticket", None)
    context = model_service_pb2.CallContext(**values)
    if attributes:
        context.attributes.update(attributes)
    return context
