"""The Python client: governed model calls against a Fairlead sidecar, sync and asyncio.

>>> from fairlead.client import Client
>>> with Client("127.0.0.1:7400", token="dev") as client:                       # doctest: +SKIP
...     with client.invocation(model="gpt-4o", input_bytes=1200) as invocation:
...         with invocation.attempt() as attempt:
...             answer = ask(attempt.upstream_model, invocation.max_output_tokens)
...             attempt.used(input=answer.input_tokens, output=answer.output_tokens)

Needs grpcio, protobuf and googleapis-common-protos only; none of the daemon's dependencies is imported.
"""

from fairlead.client._aio import AsyncClient, AsyncInvocation
from fairlead.client._attempt import AttemptRecorder
from fairlead.client._errors import (
    BudgetExhausted,
    ConnectionFailed,
    CredentialRefused,
    DeadlineExceeded,
    FairleadError,
    InvalidArgument,
    InvalidState,
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

__all__ = [
    "AsyncClient",
    "AsyncInvocation",
    "AttemptRecorder",
    "BudgetExhausted",
    "Client",
    "ConnectionFailed",
    "CredentialRefused",
    "DeadlineExceeded",
    "FairleadError",
    "InvalidArgument",
    "InvalidState",
    "Invocation",
    "NoRoute",
    "NotFound",
    "PayloadTooLarge",
    "PolicyDenied",
    "QueueFull",
    "RateLimited",
    "TargetsExhausted",
    "TemporarilyUnavailable",
]
