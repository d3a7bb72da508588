"""HTTP/1.1 on a bounded number of connections: what both ports of the webhook have in common.

Everything is bounded: connections, what one sends, and how long it takes for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import h11

_HEAD_MAX_BYTES = 32 << 10
_HANDSHAKE_SECONDS = 10.0
# A client that was told goodbye and says nothing more.
_GOODBYE_SECONDS = 1.0
# The API server waits 30 s at most.
_REQUEST_SECONDS = 30.0
# It keeps connections, and calls again on them.
_IDLE_SECONDS = 120.0
_CHUNK_BYTES = 64 << 10

_log = logging.getLogger(__name__)


class Refused(Exception):
    """A request that is answered with an error; the connection ends with it."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """One request. Names of headers are in lower case; `path` is without the query."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, body and what it is."""

    status: int
    content: bytes
    content_type: str


def answer_json(status: int, fields: Any) -> Answer:
    """These fields as JSON."""
    return Answer(status, json.dumps(fields, separators=(",", ":")).encode(), "application/json")


class Port:
    """One port that is listened on. `answer` may raise Refused; `refused` is told of the status of every refusal.

    Bodies above `large_bytes` are read and answered one at a time: memory is bounded by one of them, and by
    `connections_max` of the others."""

    def __init__(
        self,
        answer: Callable[[Request], Awaitable[Answer]],
        *,
        connections_max: int,
        body_max_bytes: int,
        large_bytes: int = 0,
        refused: Callable[[int], None] = lambda status: None,
    ) -> None:
        self.answer, self.refused = answer, refused
        self.body_max_bytes = body_max_bytes
        self._connections_max = connections_max
        self._large_bytes = large_bytes
        self._large = asyncio.Semaphore(1)
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._busy: set[asyncio.Task[None]] = set()
        self.stopping = False

    async def start(self, host: str, port: int, context: ssl.SSLContext | None = None) -> int:
        """Listens, with TLS if there is a context; returns the port. Raises OSError."""
        tls: dict[str, Any] = {
            "ssl": context,
            "ssl_handshake_timeout": _HANDSHAKE_SECONDS,
            "ssl_shutdown_timeout": _GOODBYE_SECONDS,
        }
        self._server = await asyncio.start_server(self._on_connection, host, port, **(tls if context else {}))
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def stop(self, grace_seconds: float) -> None:
        """Takes no more connections and lets requests that have begun end."""
        self.stopping = True
        if self._server is not None:
            self._server.close()
        for idle in self._connections - self._busy:
            idle.cancel()
        if self._busy:
            await asyncio.wait(set(self._busy), timeout=grace_seconds)
        for late in tuple(self._connections):
            late.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _on_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(self._connections) >= self._connections_max:
            _log.warning("connection refused: there are %d", self._connections_max)
            writer.close()
            return
        self._connections.add(task)
        try:
            await _Connection(self, task, reader, writer).serve()
        except (OSError, TimeoutError, asyncio.CancelledError):
            # It went away, took too long, or the webhook stops: nobody is there to be told.
            pass
        except Exception:
            # The API server sees a broken connection, and its failure policy says what that means.
            _log.exception("a request could not be answered")
        finally:
            self._connections.discard(task)
            self._busy.discard(task)
            writer.close()
            with contextlib.suppress(Exception):
                await writer.wait_closed()

    def room(self, length: int | None) -> contextlib.AbstractAsyncContextManager[Any]:
        """Waits until a body of this length, or of none that is known, may be read."""
        large = length is None or length > self._large_bytes
        return self._large if large else contextlib.nullcontext()

    def busy(self, task: asyncio.Task[None], now: bool) -> None:
        """A connection began or ended a request."""
        (self._busy.add if now else self._busy.discard)(task)


class _Connection:
    """One connection: requests one after the other."""

    def __init__(
        self, port: Port, task: asyncio.Task[None], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._port, self._task, self._reader, self._writer = port, task, reader, writer
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=_HEAD_MAX_BYTES)

    async def serve(self) -> None:
        """Until either side ends it."""
        while True:
            try:
                async with asyncio.timeout(_IDLE_SECONDS):
                    request = await self._event()
                if not isinstance(request, h11.Request):
                    return
                self._port.busy(self._task, True)
                async with asyncio.timeout(_REQUEST_SECONDS):
                    await self._serve_one(request)
            except h11.RemoteProtocolError as error:
                await self._refuse(error.error_status_hint, "this is not HTTP as it should be")
                return
            except Refused as refused:
                self._port.refused(refused.status)
                await self._refuse(refused.status, str(refused))
                return
            self._port.busy(self._task, False)
            if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
                return
            if self._port.stopping:
                return
            self._http.start_next_cycle()

    async def _serve_one(self, request: h11.Request) -> None:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in request.headers}
        length = int(headers.get("content-length", "0"))
        if length > self._port.body_max_bytes:
            raise self._too_large()
        async with self._port.room(None if "transfer-encoding" in headers else length):
            method, path = request.method.decode("latin-1"), request.target.decode("latin-1").partition("?")[0]
            await self._answer(await self._port.answer(Request(method, path, headers, await self._body())))

    async def _body(self) -> bytes:
        if self._http.they_are_waiting_for_100_continue:
            self._send(h11.InformationalResponse(status_code=100, headers=[]))
        body = bytearray()
        while not isinstance(event := await self._event(), h11.EndOfMessage):
            if not isinstance(event, h11.Data):
                raise ConnectionError
            body += event.data
            if len(body) > self._port.body_max_bytes:
                raise self._too_large()
        return bytes(body)

    def _too_large(self) -> Refused:
        return Refused(413, f"the request is larger than {self._port.body_max_bytes} bytes")

    async def _refuse(self, status: int, message: str) -> None:
        """Best effort, and the connection's last word."""
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            with contextlib.suppress(h11.LocalProtocolError):
                await self._answer(answer_json(status, {"error": message}), last=True)

    async def _answer(self, answer: Answer, *, last: bool = False) -> None:
        headers = [("content-type", answer.content_type), ("content-length", str(len(answer.content)))]
        if last or self._port.stopping:
            headers.append(("connection", "close"))
        self._send(h11.Response(status_code=answer.status, headers=headers))
        self._send(h11.Data(data=answer.content))
        self._send(h11.EndOfMessage())
        await self._writer.drain()

    async def _event(self) -> Any:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(await self._reader.read(_CHUNK_BYTES))
        return event

    def _send(self, event: Any) -> None:
        data = self._http.send(event)
        if data:
            self._writer.write(data)
