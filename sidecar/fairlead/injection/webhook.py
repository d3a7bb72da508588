"""The mutating admission webhook: HTTPS in front of `review`.

| request | answer |
|---|---|
| `POST /mutate` with an AdmissionReview | 200 and the review's answer; 400 when it is none, 413 when it is too large |
| `GET /healthz` | 200 |
| `GET /readyz` | 200; 503 while it stops |

Everything is bounded: connections, what one sends, and how long it takes for it. State: none.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from typing import Any

import h11

from fairlead.injection.certificate import Certificate
from fairlead.injection.review import MalformedReview, review
from fairlead.injection.settings import Settings

# The API server takes requests of 3 MiB; a review has one such object and some fields.
BODY_MAX_BYTES = 4 << 20
_HEAD_MAX_BYTES = 32 << 10
_CONNECTIONS_MAX = 256
_HANDSHAKE_SECONDS = 10.0
# A client that was told goodbye and says nothing more.
_GOODBYE_SECONDS = 1.0
# The API server waits 30 s at most.
_REQUEST_SECONDS = 30.0
# It keeps connections, and calls again on them.
_IDLE_SECONDS = 120.0
_CHUNK_BYTES = 64 << 10

_log = logging.getLogger(__name__)


class _Refused(Exception):
    """A request that is answered with an error; the connection ends with it."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Webhook:
    """One listening webhook."""

    def __init__(self, settings: Settings, certificate: Certificate) -> None:
        self._settings, self._certificate = settings, certificate
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._busy: set[asyncio.Task[None]] = set()
        self._stopping = False

    async def start(self, host: str, port: int) -> int:
        """Listens; returns the port. Raises OSError."""
        self._server = await asyncio.start_server(
            self._on_connection,
            host,
            port,
            ssl=self._certificate.context(),
            ssl_handshake_timeout=_HANDSHAKE_SECONDS,
            ssl_shutdown_timeout=_GOODBYE_SECONDS,
        )
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def stop(self, grace_seconds: float) -> None:
        """Takes no more connections and lets reviews that have begun end."""
        self._stopping = True
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
        if len(self._connections) >= _CONNECTIONS_MAX:
            _log.warning("connection refused: there are %d", _CONNECTIONS_MAX)
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
            _log.exception("a review could not be answered")
        finally:
            self._connections.discard(task)
            self._busy.discard(task)
            writer.close()
            with contextlib.suppress(Exception):
                await writer.wait_closed()

    async def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, Any]:
        """Status and fields."""
        path = path.partition("?")[0]
        if path in ("/healthz", "/readyz"):
            return (503, {"ready": False}) if path == "/readyz" and self._stopping else (200, {"ready": True})
        if path != "/mutate":
            raise _Refused(404, "there is nothing here: reviews go to /mutate")
        if method != "POST":
            raise _Refused(405, "a review is posted")
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise _Refused(415, "a review is application/json")
        try:
            # A large pod takes a while to be copied; probes go on meanwhile.
            done = await asyncio.to_thread(review, body, self._settings)
        except MalformedReview as error:
            _log.warning("malformed review: %s", error)
            raise _Refused(400, str(error)) from None
        response = done.answer["response"]
        _log.info(
            "reviewed",
            extra={
                "outcome": done.outcome,
                "pod": done.pod,
                "uid": done.uid,
                **({"reason": response["status"]["message"]} if "status" in response else {}),
            },
        )
        return 200, done.answer

    def busy(self, task: asyncio.Task[None], now: bool) -> None:
        """A connection began or ended a request."""
        (self._busy.add if now else self._busy.discard)(task)

    @property
    def stopping(self) -> bool:
        """Whether connections are to end after their request."""
        return self._stopping


class _Connection:
    """One connection: requests one after the other."""

    def __init__(
        self,
        webhook: Webhook,
        task: asyncio.Task[None],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._webhook, self._task, self._reader, self._writer = webhook, task, reader, writer
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=_HEAD_MAX_BYTES)

    async def serve(self) -> None:
        """Until either side ends it."""
        while True:
            try:
                async with asyncio.timeout(_IDLE_SECONDS):
                    request = await self._event()
                if not isinstance(request, h11.Request):
                    return
                self._webhook.busy(self._task, True)
                async with asyncio.timeout(_REQUEST_SECONDS):
                    await self._serve_one(request)
            except h11.RemoteProtocolError as error:
                await self._refuse(error.error_status_hint, "this is not HTTP as it should be")
                return
            except _Refused as refused:
                await self._refuse(refused.status, str(refused))
                return
            self._webhook.busy(self._task, False)
            if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
                return
            if self._webhook.stopping:
                return
            self._http.start_next_cycle()

    async def _serve_one(self, request: h11.Request) -> None:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in request.headers}
        if int(headers.get("content-length", "0")) > BODY_MAX_BYTES:
            raise _Refused(413, f"the review is larger than {BODY_MAX_BYTES >> 20} MiB")
        if self._http.they_are_waiting_for_100_continue:
            self._send(h11.InformationalResponse(status_code=100, headers=[]))
        body = bytearray()
        while not isinstance(event := await self._event(), h11.EndOfMessage):
            if not isinstance(event, h11.Data):
                raise ConnectionError
            body += event.data
            if len(body) > BODY_MAX_BYTES:
                raise _Refused(413, f"the review is larger than {BODY_MAX_BYTES >> 20} MiB")
        method, path = request.method.decode("latin-1"), request.target.decode("latin-1")
        status, fields = await self._webhook.answer(method, path, headers, bytes(body))
        await self._answer(status, fields)

    async def _refuse(self, status: int, message: str) -> None:
        """Best effort, and the connection's last word."""
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            with contextlib.suppress(h11.LocalProtocolError):
                await self._answer(status, {"error": message}, last=True)

    async def _answer(self, status: int, fields: Any, *, last: bool = False) -> None:
        content = json.dumps(fields, separators=(",", ":")).encode()
        headers = [("content-type", "application/json"), ("content-length", str(len(content)))]
        if last or self._webhook.stopping:
            headers.append(("connection", "close"))
        self._send(h11.Response(status_code=status, headers=headers))
        self._send(h11.Data(data=content))
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
