"""Tool calls of the asyncio client: the same as those of the blocking one."""

from __future__ import annotations

import asyncio
import contextlib
import time
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from types import TracebackType
from typing import Any

from fairlead.client import _requests
from fairlead.client._bound import Facts
from fairlead.client._errors import DeadlineExceeded, FairleadError, QueueFull
from fairlead.client._invocation import GIVE_BACK_SECONDS
from fairlead.client._tools import (
    ANSWER_SECONDS,
    WAIT_SECONDS,
    BegunCall,
    Pending,
    Ticket,
    TicketState,
    ToolAnswer,
    ToolEffect,
    ToolOutcome,
    answer_of,
    ask_again,
    note,
    nothing_happened,
    pending_error,
    request_of,
    settled,
    ticket_of,
)
from fairlead.v1 import gate_service_pb2


class AsyncToolCalls:
    """What a `AsyncClient` can do with tools."""

    _gate: Any
    _tickets: Any
    _facts: Facts

    @abstractmethod
    async def _call(self, method: Callable[..., Any], request: Any, timeout: float | None) -> Any:
        """One call, with the client's retries."""

    @abstractmethod
    def in_background(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs work that its caller does not wait for."""

    async def authorize_tool(
        self,
        tool: str,
        arguments: Mapping[str, Any] | bytes = b"",
        *,
        effect: ToolEffect | None = None,
        wait: float = 0.0,
        timeout: float | None = None,
        **facts: Any,
    ) -> ToolAnswer:
        """Asks for one tool call: `Granted`, `Pending` or `Replayed`. Raises PolicyDenied and other FairleadErrors.

        With `wait` (seconds) it waits for people when they have to agree, and asks again with their ticket; raises
        ApprovalRejected and ApprovalExpired, and gives `Pending` when they have not decided by then.
        `facts`: `idempotency_key`, `session`, `run`, `step`, `labels`, `ticket`, `request_id`.
        """
        return await self._authorize(
            request_of(tool, arguments, effect, self._facts.of_tool(tool, arguments, facts)), wait, timeout
        )

    async def complete_tool(
        self,
        grant: str,
        outcome: ToolOutcome,
        result: Any = None,
        *,
        request_id: str | None = None,
        timeout: float | None = None,
    ) -> tuple[str, ...]:
        """Reports how a granted call ended; `result` is a JSON value. Returns the labels of the session."""
        request = _requests.complete_tool(grant, outcome.value, _requests.encode_result(result), request_id)
        return await self._complete(request, timeout)

    async def get_ticket(self, ticket: str, *, timeout: float | None = None) -> Ticket:
        """The state of a ticket."""
        return ticket_of((await self._call(self._tickets.GetTicket, _requests.get_ticket(ticket), timeout)).ticket)

    async def wait_ticket(self, ticket: str, *, timeout: float, poll_after: float = 1.0) -> Ticket:
        """The ticket, as soon as it is not pending or when `timeout` seconds have passed.

        `poll_after` is how long to wait before asking again when the sidecar has no place for another waiter.
        """
        deadline = time.monotonic() + timeout
        while True:
            left = max(0.0, deadline - time.monotonic())
            asked = min(left, WAIT_SECONDS)
            request = _requests.wait_ticket(ticket, asked)
            try:
                found = ticket_of((await self._call(self._tickets.WaitTicket, request, asked + ANSWER_SECONDS)).ticket)
            except QueueFull:
                found = await self.get_ticket(ticket)
                if found.state is TicketState.PENDING:
                    await asyncio.sleep(max(0.0, min(deadline - time.monotonic(), poll_after)))
            if found.state is not TicketState.PENDING or time.monotonic() >= deadline:
                return found

    def tool_call(
        self,
        tool: str,
        arguments: Mapping[str, Any] | bytes = b"",
        *,
        effect: ToolEffect | None = None,
        wait: float = 0.0,
        not_called: tuple[type[BaseException], ...] = (),
        **facts: Any,
    ) -> AsyncToolCall:
        """A tool call as a block that reports its own end; see `BegunCall` for what is reported when. `not_called` are
        exceptions that mean that it did not happen. Entering raises ApprovalPending when people have not agreed after
        `wait` seconds."""
        return AsyncToolCall(
            self, request_of(tool, arguments, effect, self._facts.of_tool(tool, arguments, facts)), wait, not_called
        )

    async def call_tool(
        self,
        tool: str,
        arguments: Mapping[str, Any],
        function: Callable[[dict[str, Any]], Awaitable[Any]],
        **facts: Any,
    ) -> Any:
        """Awaits `function` with the arguments as granted and returns its result, a JSON value; when an earlier call
        with the same key has succeeded, returns that one's result instead. Takes what `tool_call` takes."""
        async with self.tool_call(tool, arguments, **facts) as call:
            if not call.replayed:
                call.succeeded(await function(call.arguments))
        return call.result

    async def _authorize(
        self, request: gate_service_pb2.AuthorizeToolRequest, wait: float, timeout: float | None
    ) -> ToolAnswer:
        """Asks, and again after people have agreed; `request` is then the one that was sent last."""
        answer = answer_of(await self._call(self._gate.AuthorizeTool, request, timeout))
        deadline = time.monotonic() + wait
        while isinstance(answer, Pending) and (left := deadline - time.monotonic()) > 0:
            ticket = await self.wait_ticket(answer.ticket, timeout=left, poll_after=answer.poll_after)
            if ticket.state is TicketState.PENDING:
                break
            settled(answer, ticket)
            ask_again(request, answer.ticket)
            answer = answer_of(await self._call(self._gate.AuthorizeTool, request, timeout))
        return answer

    async def _give_back(self, request: gate_service_pb2.AuthorizeToolRequest) -> None:
        """The same request id gets the first answer, so a grant that nobody will use can be named and ended."""
        with contextlib.suppress(FairleadError):  # it then becomes UNKNOWN, when its time is over
            response = await self._call(self._gate.AuthorizeTool, request, GIVE_BACK_SECONDS)
            if (completion := nothing_happened(response)) is not None:
                await self._complete(completion, GIVE_BACK_SECONDS)

    async def _complete(
        self, request: gate_service_pb2.CompleteToolRequest, timeout: float | None = None
    ) -> tuple[str, ...]:
        response = await self._call(self._gate.CompleteTool, request, timeout)
        return tuple(response.session_labels)


class AsyncToolCall(BegunCall):
    """A tool call in an `async with` block. Its end is shielded: a cancelled task still reports what it knows."""

    def __init__(
        self,
        client: AsyncToolCalls,
        request: gate_service_pb2.AuthorizeToolRequest,
        wait: float,
        not_called: tuple[type[BaseException], ...],
    ) -> None:
        super().__init__(request, not_called)
        self._client = client
        self._wait = wait

    async def __aenter__(self) -> AsyncToolCall:
        try:
            answer = await self._client._authorize(self._request, self._wait, None)
        except (asyncio.CancelledError, DeadlineExceeded):
            # Whether it was granted is unknown, and nobody will use it.
            self._client.in_background(self._client._give_back(self._request))
            raise
        if isinstance(answer, Pending):
            raise pending_error(answer)
        self._answer = answer
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if (request := self.completion(error)) is None:
            return
        try:
            self.session_labels = await asyncio.shield(asyncio.ensure_future(self._client._complete(request)))
        except FairleadError as failure:
            if error is None:
                raise
            note(error, failure)
