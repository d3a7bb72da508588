"""WorkerService as the worker calls it: errors are FairleadErrors, and one place says what is tried again.

Steps go over `grpc.aio` on the loop of the worker. Heartbeats go over a blocking channel of their own, because neither
a busy loop nor a busy function may keep them back.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import grpc
import grpc.aio

from fairlead.client import (
    ConnectionFailed,
    CredentialRefused,
    DeadlineExceeded,
    FairleadError,
    QueueFull,
    RateLimited,
    TemporarilyUnavailable,
)
from fairlead.client import _requests as requests
from fairlead.client._errors import from_rpc_error
from fairlead.v1 import worker_service_pb2 as pb
from fairlead.v1 import worker_service_pb2_grpc

# What an answer may take; of LeaseSteps, beyond the time that it waits.
CALL_SECONDS = 30.0
ANSWER_SECONDS = 10.0
# Short against a lease: after a restart of the sidecar leases have their whole length again, and no more.
FIRST_DELAY_SECONDS, LONGEST_DELAY_SECONDS = 0.05, 2.0
OPTIONS = (
    *requests.CHANNEL_OPTIONS,
    # gRPC's own default goes up to two minutes: a sidecar that has restarted would wait that long for its workers.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
)

_NOT_NOW = (TemporarilyUnavailable, ConnectionFailed, DeadlineExceeded, QueueFull, RateLimited)
# A fault of the sidecar may pass; a server that stops, or a connection that it closes, cancels the calls in flight.
_FAULTS = ("INTERNAL", "UNKNOWN", "CANCELLED", "ABORTED")


def is_passing(error: FairleadError) -> bool:
    """True when the same request may succeed later."""
    return isinstance(error, _NOT_NOW) or error.reason in _FAULTS


def is_worth_repeating(error: FairleadError) -> bool:
    """The same of a report: it is kept also while the token is refused, which a rotation may repair."""
    return is_passing(error) or isinstance(error, CredentialRefused)


def delays() -> Iterator[float]:
    """Seconds before each further try, for ever: exponential, with jitter."""
    longest = FIRST_DELAY_SECONDS
    while True:
        yield random.uniform(longest / 2, longest)
        longest = min(longest * 2, LONGEST_DELAY_SECONDS)


def heartbeat_channel(target: str | None) -> grpc.Channel:
    """The blocking channel."""
    return grpc.insecure_channel(requests.target_or_default(target), options=OPTIONS)


class Wire:
    """The calls about steps, for one event loop."""

    def __init__(self, target: str | None, token: str | None) -> None:
        self._channel = grpc.aio.insecure_channel(requests.target_or_default(target), options=OPTIONS)
        self._metadata = requests.credentials(token)
        stub: Any = worker_service_pb2_grpc.WorkerServiceStub(self._channel)
        self._lease_steps, self._fail_step = stub.LeaseSteps, stub.FailStep
        self._complete_step, self._complete_steps = stub.CompleteStep, stub.CompleteSteps

    async def lease(self, wish: pb.LeaseWish, seconds: float) -> pb.LeaseStepsResponse:
        """Waits up to `seconds` for steps."""
        request = pb.LeaseStepsRequest(wish=wish)
        request.timeout.FromNanoseconds(int(seconds * 1e9))
        response: pb.LeaseStepsResponse = await self._call(self._lease_steps, request, seconds + ANSWER_SECONDS)
        return response

    async def complete(self, request: pb.CompleteStepRequest) -> pb.CompleteStepResponse:
        """Ends an attempt with a result."""
        response: pb.CompleteStepResponse = await self._call(self._complete_step, request, CALL_SECONDS)
        return response

    async def complete_all(self, request: pb.CompleteStepsRequest) -> pb.CompleteStepsResponse:
        """Ends several attempts, each with its result."""
        response: pb.CompleteStepsResponse = await self._call(self._complete_steps, request, CALL_SECONDS)
        return response

    async def fail(self, request: pb.FailStepRequest) -> pb.FailStepResponse:
        """Ends an attempt without one."""
        response: pb.FailStepResponse = await self._call(self._fail_step, request, CALL_SECONDS)
        return response

    async def close(self) -> None:
        """Closes the connection; calls in flight are cancelled."""
        await self._channel.close(None)

    async def _call(self, method: Any, request: Any, seconds: float) -> Any:
        try:
            return await method(request, timeout=seconds, metadata=self._metadata)
        except grpc.RpcError as error:
            raise from_rpc_error(error) from None
