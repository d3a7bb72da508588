"""The Python client: governed model calls and tool calls against a Fairlead sidecar, sync and asyncio.

>>> from fairlead.client import Client
>>> with Client("127.0.0.1:7400", token="dev") as client:                       # doctest: +SKIP
...     with client.invocation(model="gpt-4o", input_bytes=1200) as invocation:
...         with invocation.attempt() as attempt:
...             answer = ask(attempt.upstream_model, invocation.max_output_tokens)
...             attempt.used(input=answer.input_tokens, output=answer.output_tokens)

A tool call is made once for its key, whatever crashes; a later caller gets the recorded result:

>>> refunded = client.call_tool(                                                # doctest: +SKIP
...     "payments.refund", {"amount": 20}, refund, idempotency_key="refund/4711", wait=600
... )

Needs grpcio, protobuf and googleapis-common-protos only; none of the daemon's dependencies is imported.
"""

from fairlead.client._aio import AsyncClient, AsyncInvocation
from fairlead.client._aio_tools import AsyncToolCall
from fairlead.client._attempt import AttemptRecorder
from fairlead.client._errors import (
    ApprovalExpired,
    ApprovalPending,
    ApprovalRejected,
    BudgetExhausted,
    ConnectionFailed,
    CredentialRefused,
    DeadlineExceeded,
    FairleadError,
    InvalidArgument,
    InvalidState,
    LeaseLost,
    NoRoute,
    NotFound,
    PayloadTooLarge,
    PolicyDenied,
    QueueFull,
    RateLimited,
    TargetsExhausted,
    TemporarilyUnavailable,
)
from fairlead.client._sync import Client, Invocation
from fairlead.client._sync_tools import ToolCall
from fairlead.client._tools import (
    Granted,
    Pending,
    Replayed,
    Ticket,
    TicketState,
    ToolAnswer,
    ToolEffect,
    ToolNotCalled,
    ToolOutcome,
)

__all__ = [
    "ApprovalExpired",
    "ApprovalPending",
    "ApprovalRejected",
    "AsyncClient",
    "AsyncInvocation",
    "AsyncToolCall",
    "AttemptRecorder",
    "BudgetExhausted",
    "Client",
    "ConnectionFailed",
    "CredentialRefused",
    "DeadlineExceeded",
    "FairleadError",
    "Granted",
    "InvalidArgument",
    "InvalidState",
    "Invocation",
    "LeaseLost",
    "NoRoute",
    "NotFound",
    "PayloadTooLarge",
    "Pending",
    "PolicyDenied",
    "QueueFull",
    "RateLimited",
    "Replayed",
    "TargetsExhausted",
    "TemporarilyUnavailable",
    "Ticket",
    "TicketState",
    "ToolAnswer",
    "ToolCall",
    "ToolEffect",
    "ToolNotCalled",
    "ToolOutcome",
]
