"""What a step function gets beside its input: `StepContext` for `def`, `AsyncStepContext` for `async def`."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack
from typing import Any

from fairlead.client import (
    ApprovalPending,
    AsyncClient,
    AsyncInvocation,
    Client,
    Invocation,
    TicketState,
)
from fairlead.v1 import gate_service_pb2, model_service_pb2
from fairlead.worker._attempt import Attempt
from fairlead.worker._facts import WAIT_SLICE_SECONDS, StepFacts, waited_for

Body = Mapping[str, Any] | bytes


class StepContext(StepFacts):
    """For functions that block. Its calls carry run, step and session, so that the run's budgets hold for them and
    its story tells of them."""

    def __init__(self, attempt: Attempt, client: Callable[[], Client]) -> None:
        super().__init__(attempt)
        self._shared_client = client
        self._client: Client | None = None

    @property
    def client(self) -> Client:
        """A client bound to this step; tool calls without an idempotency key get `tool_key`."""
        if self._client is None:
            self._client = self._shared_client().bound(**self._bound())
        return self._client

    def generate(self, body: Body, **context: Any) -> model_service_pb2.GenerateResponse:
        """Has the sidecar make one model call; see `Client.generate`."""
        return self.client.generate(body, **context)

    def stream_generate(self, body: Body, **context: Any) -> Iterator[model_service_pb2.StreamGenerateResponse]:
        """Has the sidecar make one streaming model call; see `Client.stream_generate`."""
        return self.client.stream_generate(body, **context)

    def admit(self, request: gate_service_pb2.AdmitRequest) -> gate_service_pb2.AdmitResponse:
        """Asks for a model call that the function makes itself; see `Client.admit`."""
        return self.client.admit(request)

    def invocation(self, **facts: Any) -> Invocation:
        """A model call that the function makes itself, as a block; see `Client.invocation`."""
        return self.client.invocation(**facts)

    def call_tool(
        self,
        tool: str,
        arguments: Mapping[str, Any],
        function: Callable[[dict[str, Any]], Any],
        *,
        wait: bool | float = True,
        **facts: Any,
    ) -> Any:
        """Calls `function` with the arguments as granted, once for its key, and returns its result or the recorded one
        of an earlier call; see `Client.call_tool`.

        When people have to agree first: waits for them, by default until the attempt ends, or `wait` seconds, and
        raises ToolPending when they have not decided by then; at once with `wait=False`. Raises StepCancelled when the
        function is asked to stop while it waits.
        """
        until: float | None = None
        while True:
            with ExitStack() as block:
                try:
                    call = block.enter_context(self.client.tool_call(tool, arguments, **facts))
                except ApprovalPending as pending:
                    until = self._waits_until(wait) if until is None else until
                    facts["ticket"] = self._agreed(pending, until)
                    continue
                if not call.replayed:
                    call.succeeded(function(call.arguments))
            return call.result

    def _agreed(self, pending: ApprovalPending, until: float) -> str:
        """The ticket, when people have decided."""
        ticket = pending.metadata["ticket"]
        while (left := until - time.monotonic()) > 0:
            self.check_cancelled()
            found = self.client.wait_ticket(ticket, timeout=min(left, WAIT_SLICE_SECONDS))
            if found.state is not TicketState.PENDING:
                return ticket
        raise waited_for(pending) from None


class AsyncStepContext(StepFacts):
    """The same for `async def` functions."""

    def __init__(self, attempt: Attempt, client: Callable[[], AsyncClient]) -> None:
        super().__init__(attempt)
        self._shared_client = client
        self._client: AsyncClient | None = None

    @property
    def client(self) -> AsyncClient:
        """A client bound to this step; tool calls without an idempotency key get `tool_key`."""
        if self._client is None:
            self._client = self._shared_client().bound(**self._bound())
        return self._client

    async def generate(self, body: Body, **context: Any) -> model_service_pb2.GenerateResponse:
        """Has the sidecar make one model call; see `AsyncClient.generate`."""
        return await self.client.generate(body, **context)

    def stream_generate(self, body: Body, **context: Any) -> AsyncIterator[model_service_pb2.StreamGenerateResponse]:
        """Has the sidecar make one streaming model call; see `AsyncClient.stream_generate`."""
        return self.client.stream_generate(body, **context)

    async def admit(self, request: gate_service_pb2.AdmitRequest) -> gate_service_pb2.AdmitResponse:
        """Asks for a model call that the function makes itself; see `AsyncClient.admit`."""
        return await self.client.admit(request)

    def invocation(self, **facts: Any) -> AsyncInvocation:
        """A model call that the function makes itself, as a block; see `AsyncClient.invocation`."""
        return self.client.invocation(**facts)

    async def call_tool(
        self,
        tool: str,
        arguments: Mapping[str, Any],
        function: Callable[[dict[str, Any]], Awaitable[Any]],
        *,
        wait: bool | float = True,
        **facts: Any,
    ) -> Any:
        """Awaits `function` with the arguments as granted; see `StepContext.call_tool`."""
        until: float | None = None
        while True:
            async with AsyncExitStack() as block:
                try:
                    call = await block.enter_async_context(self.client.tool_call(tool, arguments, **facts))
                except ApprovalPending as pending:
                    until = self._waits_until(wait) if until is None else until
                    facts["ticket"] = await self._agreed(pending, until)
                    continue
                if not call.replayed:
                    call.succeeded(await function(call.arguments))
            return call.result

    async def _agreed(self, pending: ApprovalPending, until: float) -> str:
        """The ticket, when people have decided."""
        ticket = pending.metadata["ticket"]
        while (left := until - time.monotonic()) > 0:
            self.check_cancelled()
            found = await self.client.wait_ticket(ticket, timeout=min(left, WAIT_SLICE_SECONDS))
            if found.state is not TicketState.PENDING:
                return ticket
        raise waited_for(pending) from None
