"""The asyncio client: the same calls as the blocking one."""

from __future__ import annotations

import asyncio
import contextlib
import copy
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc
import grpc.aio

from fairlead.client import _requests
from fairlead.client._aio_checkpoints import AsyncCheckpointCalls
from fairlead.client._aio_tools import AsyncToolCalls
from fairlead.client._bound import Facts, ToolKey
from fairlead.client._errors import DeadlineExceeded, FairleadError, from_rpc_error
from fairlead.client._invocation import GIVE_BACK_SECONDS, AdmittedCall
from fairlead.client._retry import Deadline, RetryPolicy, delay_before_retry
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


class AsyncClient(AsyncToolCalls, AsyncCheckpointCalls):
    """A connection to one sidecar, for one event loop. `await close()`, or use it with `async with`.

    `timeout` bounds every call, retries included, in seconds. Cancelling a call cancels it at the sidecar.
    """

    def __init__(
        self,
        target: str | None = None,
        *,
        token: str | None = None,
        timeout: float = 60.0,
        retry: RetryPolicy | None = None,
    ) -> None:
        self._channel = grpc.aio.insecure_channel(
            _requests.target_or_default(target), options=_requests.CHANNEL_OPTIONS
        )
        self._metadata = _requests.credentials(token)
        self._facts, self._is_bound = Facts(), False
        self._timeout = timeout
        self._retry = retry or RetryPolicy()
        self._background: set[asyncio.Future[None]] = set()
        self._gate: Any = gate_service_pb2_grpc.GateServiceStub(self._channel)
        self._models: Any = model_service_pb2_grpc.ModelServiceStub(self._channel)
        self._tickets: Any = approval_service_pb2_grpc.ApprovalTicketServiceStub(self._channel)
        self._budgets: Any = budget_service_pb2_grpc.BudgetServiceStub(self._channel)
        self._checkpoints: Any = checkpoint_service_pb2_grpc.CheckpointServiceStub(self._channel)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def in_background(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs work that its caller does not wait for; `close` does."""
        task = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

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

    async def close(self) -> None:
        """Closes the connection; calls in flight are cancelled, holds that are being given back are waited for."""
        if self._is_bound:
            return
        if self._background:
            await asyncio.wait(self._background)
        await self._channel.close(None)

    async def admit(
        self, request: gate_service_pb2.AdmitRequest, *, timeout: float | None = None
    ) -> gate_service_pb2.AdmitResponse:
        """Asks for one call. Raises a FairleadError when it may not be made."""
        response: gate_service_pb2.AdmitResponse = await self._call(
            self._gate.Admit, self._facts.of_admission(request), timeout
        )
        return response

    async def settle(
        self, request: gate_service_pb2.SettleRequest, *, timeout: float | None = None
    ) -> gate_service_pb2.SettleResponse:
        """Charges what was used."""
        response: gate_service_pb2.SettleResponse = await self._call(self._gate.Settle, request, timeout)
        return response

    async def release(
        self, request: gate_service_pb2.ReleaseRequest, *, timeout: float | None = None
    ) -> gate_service_pb2.ReleaseResponse:
        """Gives the hold back."""
        response: gate_service_pb2.ReleaseResponse = await self._call(self._gate.Release, request, timeout)
        return response

    def invocation(self, **facts: Any) -> AsyncInvocation:
        """A call the agent makes itself; see `fairlead.client._requests.admit` for the facts it takes."""
        return AsyncInvocation(self, _requests.admit(**self._facts.of_call(facts)))

    async def generate(
        self,
        body: Mapping[str, Any] | bytes,
        *,
        request_id: str | None = None,
        timeout: float | None = None,
        **context: Any,
    ) -> model_service_pb2.GenerateResponse:
        """Has the sidecar make one call; `body` is the OpenAI chat request."""
        response: model_service_pb2.GenerateResponse = await self._call(
            self._models.Generate, _requests.generate(body, request_id, self._facts.of_call(context)), timeout
        )
        return response

    async def stream_generate(
        self,
        body: Mapping[str, Any] | bytes,
        *,
        request_id: str | None = None,
        timeout: float | None = None,
        **context: Any,
    ) -> AsyncIterator[model_service_pb2.StreamGenerateResponse]:
        """Has the sidecar make one streaming call. Never repeated: a part may have been delivered.

        Closing the iterator cancels the call; what was produced is settled.
        """
        call = self._models.StreamGenerate(
            _requests.stream_generate(body, request_id, self._facts.of_call(context)),
            timeout=timeout or self._timeout,
            metadata=self._metadata,
        )
        try:
            async for part in call:
                yield part
        except grpc.RpcError as error:
            raise from_rpc_error(error) from None
        finally:
            call.cancel()

    async def budgets(self) -> list[budget_service_pb2.Budget]:
        """All budget instances of the caller's own tenant."""
        found: list[budget_service_pb2.Budget] = []
        request = budget_service_pb2.ListBudgetsRequest()
        while True:
            page = await self._call(self._budgets.ListBudgets, request, None)
            found.extend(page.budgets)
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token

    async def _call(
        self, method: Callable[..., Coroutine[Any, Any, Response]], request: Any, timeout: float | None
    ) -> Response:
        deadline = Deadline(timeout or self._timeout)
        delays = self._retry.delays()
        while True:
            try:
                return await method(request, timeout=deadline.remaining(), metadata=self._metadata)
            except grpc.RpcError as error:
                failure = from_rpc_error(error)
                backoff = next(delays, None)
                delay = None if backoff is None else delay_before_retry(failure, backoff, deadline)
                if delay is None:
                    raise failure from None
            await asyncio.sleep(delay)


class AsyncInvocation(AdmittedCall):
    """An admitted call. Leaving the block always ends it: with attempts it is settled, without any it is released.

    The end is shielded from cancellation: a cancelled task still settles what it used.
    """

    def __init__(self, client: AsyncClient, request: gate_service_pb2.AdmitRequest) -> None:
        super().__init__()
        self._client = client
        self._request = request

    async def __aenter__(self) -> AsyncInvocation:
        try:
            self.admission = await self._client.admit(self._request)
        except (asyncio.CancelledError, DeadlineExceeded):
            # Whether it was admitted is unknown, and nobody will use it.
            self._client.in_background(self._give_back())
            raise
        return self

    async def _give_back(self) -> None:
        """The same request id gets the first answer, so the hold can be named and released."""
        with contextlib.suppress(FairleadError):  # it then ends by itself, when its time is over
            self.admission = await self._client.admit(self._request, timeout=GIVE_BACK_SECONDS)
            await self._client.release(self._release(), timeout=GIVE_BACK_SECONDS)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.shield(asyncio.ensure_future(self._end()))

    async def _end(self) -> None:
        if request := self._settlement():
            self.settlement = await self._client.settle(request)
        else:
            await self._client.release(self._release())
