"""The HTTP server of the development provider: asyncio streams, HTTP/1.1 with keep-alive, nothing else.

| request | answer |
|---|---|
| `POST /v1/chat/completions` | an answer, a stream, or the next fault |
| `GET /v1/models` | two models |
| `POST /_dev/faults` | arms or clears faults: `{"fault": "429:retry-after=2", "times": 3}` |
| `GET /_dev/stats` | `{"requests", "answered", "cancelled", "faults", "prompt_tokens", "completion_tokens"}` |
"""

from __future__ import annotations

import asyncio
import json
import random
import ssl
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from fairlead.devprovider.answers import Answer, answer
from fairlead.devprovider.faults import Fault, FaultKind, FaultPlan

MAX_BODY_BYTES = 64 << 20


@dataclass
class Stats:
    """What the provider has seen and would bill."""

    requests: int = 0
    answered: int = 0
    cancelled: int = 0
    faults: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass
class Latency:
    """Seconds before an answer, drawn evenly from a seeded generator; seconds between two events of a stream."""

    low: float = 0.0
    high: float = 0.0
    between_events: float = 0.0
    seed: int = 0
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def draw(self) -> float:
        """Seconds until the next answer."""
        return self._random.uniform(self.low, self.high)


class DevProvider:
    """One provider on 127.0.0.1. `start` binds it, `close` ends it and every connection."""

    def __init__(self, latency: Latency | None = None, seed: int = 0) -> None:
        self.faults = FaultPlan(seed)
        self.stats = Stats()
        self._latency = latency or Latency(seed=seed)
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None) -> int:
        """Binds and returns the port; 0 picks a free one. With `tls` it speaks https."""
        self._server = await asyncio.start_server(self._accept, host, port, limit=1 << 20, ssl=tls)
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def close(self) -> None:
        """Ends the server."""
        if self._server is not None:
            self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            while await self._exchange(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the peer is gone, or the server closes: both end the connection
        finally:
            self._connections.discard(task)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Serves one request; False when the connection is over."""
        head = await reader.readuntil(b"\r\n\r\n")
        method, path, headers = _parse_head(head)
        length = int(headers.get("content-length", "0"))
        if length > MAX_BODY_BYTES:
            await _reply(writer, 413, {"error": {"message": "body too large"}})
            return False
        body = await reader.readexactly(length)
        match method, path.partition("?")[0]:
            case "POST", "/v1/chat/completions":
                return await self._chat(reader, writer, body)
            case "GET", "/v1/models":
                models = [{"id": name, "object": "model", "owned_by": "dev"} for name in ("dev-large", "dev-small")]
                await _reply(writer, 200, {"object": "list", "data": models})
            case "POST", "/_dev/faults":
                try:
                    self.faults.apply(json.loads(body))
                except (ValueError, TypeError) as error:
                    await _reply(writer, 400, {"error": {"message": str(error)}})
                else:
                    await _reply(writer, 200, {})
            case "GET", "/_dev/stats":
                await _reply(writer, 200, asdict(self.stats))
            case _:
                await _reply(writer, 404, {"error": {"message": f"no such path: {path}"}})
        return True

    async def _chat(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes) -> bool:
        self.stats.requests += 1
        fault = self.faults.next()
        self.stats.faults += fault is not None
        try:
            request = json.loads(body)
        except ValueError:
            await _reply(writer, 400, {"error": {"message": "the body is not JSON", "type": "invalid_request_error"}})
            return True
        delay = 3600.0 if fault and fault.kind is FaultKind.HANG else self._latency.draw()
        if delay and not await _wait(reader, delay):
            self.stats.cancelled += 1
            return False
        if fault and not _answers(fault):
            return await self._fail(writer, fault)
        reply = answer(request, body, absurd_usage=fault is not None and fault.kind is FaultKind.ABSURD_USAGE)
        without_usage = fault is not None and fault.kind is FaultKind.NO_USAGE
        if request.get("stream"):
            options = request.get("stream_options") or {}
            alive = await self._stream(
                reader, writer, reply, bool(options.get("include_usage")) and not without_usage, fault
            )
        elif fault and fault.kind is FaultKind.CUT:
            text = json.dumps(reply.completion()).encode()
            _write_head(writer, 200, {"content-type": "application/json", "content-length": str(len(text))})
            writer.write(text[: len(text) // 2])
            await writer.drain()
            alive = False
        else:
            await _reply(writer, 200, reply.completion(usage=not without_usage))
            alive = True
        self.stats.answered += 1
        self.stats.prompt_tokens += reply.usage["prompt_tokens"]
        self.stats.completion_tokens += reply.usage["completion_tokens"]
        return alive

    async def _fail(self, writer: asyncio.StreamWriter, fault: Fault) -> bool:
        match fault.kind:
            case FaultKind.STATUS:
                headers = {"retry-after": fault.retry_after} if fault.retry_after else {}
                kind = "rate_limit_exceeded" if fault.status == 429 else "server_error"
                error = {"message": f"the development provider was told to answer {fault.status}", "type": kind}
                await _reply(writer, fault.status, {"error": error}, headers)
                return True
            case FaultKind.GARBAGE:
                await _reply(writer, 200, b"<html>this is not the JSON you are looking for</html>")
                return True
            case _:
                return False  # REFUSE

    async def _stream(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        reply: Answer,
        usage: bool,
        fault: Fault | None,
    ) -> bool:
        """Streams; False when the connection is over, because it was cut or the caller went away."""
        _write_head(writer, 200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"})
        if fault and fault.kind is FaultKind.ERROR_EVENT:
            _write_event(writer, json.dumps({"error": {"message": "overloaded", "code": "server_error"}}))
            writer.write(b"0\r\n\r\n")
            await writer.drain()
            return True
        for number, chunk in enumerate(reply.chunks(usage)):
            if fault and fault.kind is FaultKind.CUT and number >= fault.after_events:
                return False
            _write_event(writer, json.dumps(chunk))
            await writer.drain()
            if self._latency.between_events and not await _wait(reader, self._latency.between_events):
                self.stats.cancelled += 1
                return False
        _write_event(writer, "[DONE]")
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True


def _answers(fault: Fault) -> bool:
    """True when the fault still sends something of an answer."""
    return fault.kind not in (FaultKind.STATUS, FaultKind.GARBAGE, FaultKind.REFUSE)


async def _wait(reader: asyncio.StreamReader, seconds: float) -> bool:
    """Waits; False at once when the caller goes away meanwhile."""
    gone = asyncio.ensure_future(reader.read(1))
    done, _ = await asyncio.wait({gone}, timeout=seconds)
    if done:
        return False
    gone.cancel()
    await asyncio.wait({gone})  # a stream takes one reader at a time
    return True


def _parse_head(head: bytes) -> tuple[str, str, dict[str, str]]:
    lines = head.decode("latin-1").split("\r\n")
    method, path, _ = lines[0].split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:] if line)}
    return method, path, headers


REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 413: "Content Too Large", 429: "Too Many Requests"}


def _write_head(writer: asyncio.StreamWriter, status: int, headers: Mapping[str, str]) -> None:
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Status')}", *(f"{k}: {v}" for k, v in headers.items()), "", ""]
    writer.write("\r\n".join(lines).encode())


def _write_event(writer: asyncio.StreamWriter, data: str) -> None:
    event = f"data: {data}\n\n".encode()
    writer.write(b"%x\r\n%s\r\n" % (len(event), event))


async def _reply(
    writer: asyncio.StreamWriter,
    status: int,
    body: dict[str, Any] | bytes,
    headers: Mapping[str, str] | None = None,
) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    base = {"content-type": "application/json", "content-length": str(len(content))}
    _write_head(writer, status, {**base, **(headers or {})})
    writer.write(content)
    await writer.drain()
