"""The blocking client."""

from __future__ import annotations

import contextlib
import copy
import time
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc

from fairlead.client import _requests
from fairlead.client._bound import Facts, ToolKey
from fairlead.client._errors import DeadlineExceeded, FairleadError, from_rpc_error
from fairlead.client._invocation import GIVE_BACK_SECONDS, AdmittedCall
from fairlead.client._retry import Deadline, RetryPolicy, delay_before_retry
from fairlead.client._sync_checkpoints import CheckpointCalls
from fairlead.client._sync_tools import ToolCalls
from fairlead.v1 import (
    approval_service_pb2_grpc,
    budget_service_pb2,
    budget_service_pb2_grpc,
    checkpoint_service_pb2_grpc,
    gate_service_pb2,
    gate_service_pb2_grpc,
    model_service_pb2,
    model_service_pb2_grpc,
)

Response = TypeVar("Response")


class Client(ToolCalls, CheckpointCalls):
    """A connection to one sidecar. Safe to share between threads; `close` it, or use it as a context manager.

    `timeout` bounds every call, retries included, in seconds.
    """

    def __init__(
        self,
        target: str | None = None,
        *,
        token: str | None = None,
        timeout: float = 60.0,
        retry: RetryPolicy | None = None,
    ) -> None:
        self._channel = grpc.insecure_channel(_requests.target_or_default(target), options=_requests.CHANNEL_OPTIONS)
        self._metadata = _requests.credentials(token)
        self._facts, self._is_bound = Facts(), False
        self._timeout = timeout
        self._retry = retry or RetryPolicy()
        self._gate: Any = gate_service_pb2_grpc.GateServiceStub(self._channel)
        self._models: Any = model_service_pb2_grpc.ModelServiceStub(self._channel)
        self._tickets: Any = approval_service_pb2_grpc.ApprovalTicketServiceStub(self._channel)
        self._budgets: Any = budget_service_pb2_grpc.BudgetServiceStub(self._channel)
        self._checkpoints: Any = checkpoint_service_pb2_grpc.CheckpointServiceStub(self._channel)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def bound(
        self,
        *,
        session: str = "",
        run: str = "",
        step: str = "",
        tool_key: ToolKey | None = None,
        traceparent: str = "",
    ) -> Self:
        """The same connection for calls that carry these facts unless they say otherwise. `tool_key` makes the
        idempotency key of tool calls that come without one, `traceparent` is the W3C trace context that they belong to.
        Closing it does nothing."""
        other = copy.copy(self)
        other._facts, other._is_bound = Facts(session, run, step, tool_key), True
        if traceparent:
            other._metadata = (*self._metadata, ("traceparent", traceparent))
        return other

    def close(self) -> None:
        """Closes the connection; calls in flight are cancelled."""
        if not self._is_bound:
            self._channel.close()

    def admit(
        self, request: gate_service_pb2.AdmitRequest, *, timeout: float | None = None
    ) -> gate_service_pb2.AdmitResponse:
        """Asks for one call. Raises a FairleadError when it may not be made."""
        response: gate_service_pb2.AdmitResponse = self._call(
            self._gate.Admit, self._facts.of_admission(request), timeout
        )
        return response

    def settle(
        self, request: gate_service_pb2.SettleRequest, *, timeout: float | None = None
    ) -> gate_service_pb2.SettleResponse:
        """Charges what was used."""
        response: gate_service_pb2.SettleResponse = self._call(self._gate.Settle, request, timeout)
        return response

    def release(
        self, request: gate_service_pb2.ReleaseRequest, *, timeout: float | None = None
    ) -> gate_service_pb2.ReleaseResponse:
        """Gives the hold back."""
        response: gate_service_pb2.ReleaseResponse = self._call(self._gate.Release, request, timeout)
        return response

    def invocation(self, **facts: Any) -> Invocation:
        """A call the agent makes itself; see `fairlead.client._requests.admit` for the facts it takes."""
        return Invocation(self, _requests.admit(**self._facts.of_call(facts)))

    def generate(
        self,
        body: Mapping[str, Any] | bytes,
        *,
        request_id: str | None = None,
        timeout: float | None = None,
        **context: Any,
    ) -> model_service_pb2.GenerateResponse:
        """Has the sidecar make one call; `body` is the OpenAI chat request."""
        response: model_service_pb2.GenerateResponse = self._call(
            self._models.Generate, _requests.generate(body, request_id, self._facts.of_call(context)), timeout
        )
        return response

    def stream_generate(
        self,
        body: Mapping[str, Any] | bytes,
        *,
        request_id: str | None = None,
        timeout: float | None = None,
        **context: Any,
    ) -> Iterator[model_service_pb2.StreamGenerateResponse]:
        """Has the sidecar make one streaming call. Never repeated: a part may have been delivered.

        Closing the iterator cancels the call; what was produced is settled.
        """
        call = self._models.StreamGenerate(
            _requests.stream_generate(body, request_id, self._facts.of_call(context)),
            timeout=timeout or self._timeout,
            metadata=self._metadata,
        )
        try:
            yield from call
        except grpc.RpcError as error:
            raise from_rpc_error(error) from None
        finally:
            call.cancel()

    def budgets(self) -> list[budget_service_pb2.Budget]:
        """All budget instances of the caller's own tenant."""
        found: list[budget_service_pb2.Budget] = []
        request = budget_service_pb2.ListBudgetsRequest()
        while True:
            page = self._call(self._budgets.ListBudgets, request, None)
            found.extend(page.budgets)
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token

    def _call(self, method: Callable[..., Response], request: Any, timeout: float | None) -> Response:
        deadline = Deadline(timeout or self._timeout)
        delays = self._retry.delays()
        while True:
            try:
                return method(request, timeout=deadline.remaining(), metadata=self._metadata)
            except grpc.RpcError as error:
                failure = from_rpc_error(error)
                backoff = next(delays, None)
                delay = None if backoff is None else delay_before_retry(failure, backoff, deadline)
                if delay is None:
                    raise failure from None
            time.sleep(delay)


class Invocation(AdmittedCall):
    """An admitted call. Leaving the block always ends it: with attempts it is settled, without any it is released."""

    def __init__(self, client: Client, request: gate_service_pb2.AdmitRequest) -> None:
        super().__init__()
        self._client = client
        self._request = request

    def __enter__(self) -> Invocation:
        try:
            self.admission = self._client.admit(self._request)
        except (KeyboardInterrupt, DeadlineExceeded):
            # Whether it was admitted is unknown, and nobody will use it.
            self._give_back()
            raise
        return self

    def _give_back(self) -> None:
        """The same request id gets the first answer, so the hold can be named and released."""
        with contextlib.suppress(FairleadError):  # it then ends by itself, when its time is over
            self.admission = self._client.admit(self._request, timeout=GIVE_BACK_SECONDS)
            self._client.release(self._release(), timeout=GIVE_BACK_SECONDS)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if request := self._settlement():
            self.settlement = self._client.settle(request)
        else:
            self._client.release(self._release())
