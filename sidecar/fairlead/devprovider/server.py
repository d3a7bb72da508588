"""The HTTP server of the development provider: asyncio streams, HTTP/1.1 with keep-alive, nothing else.

| request | answer |
|---|---|
| `POST /v1/chat/completions`, `/v1/responses`, `/v1/messages` | an answer, a stream, or the next fault |
| `POST /openai/v1/…`, `/openai/deployments/NAME/…` | the same, where Azure has them |
| `GET /v1/models` | two models |
| `POST /_dev/faults` | arms or clears faults: `{"fault": "429:retry-after=2", "times": 3}` |
| `POST /_dev/say` | what answers say from now on: `{"text": "…"}`; null: their own words again |
| `GET /_dev/stats` | `{"requests", "answered", "cancelled", "faults", "prompt_tokens", "completion_tokens"}` |

A request with the header `x-dev-fault: FAULT` shows that fault, whatever is armed.
"""

from __future__ import annotations

import asyncio
import json
import random
import ssl
from dataclasses import asdict, dataclass, field, replace

from fairlead.devprovider import delivery, faults, http
from fairlead.devprovider.answers import Answer, answer
from fairlead.devprovider.delivery import Delivery, End
from fairlead.devprovider.dialects import Dialect, of_path
from fairlead.devprovider.faults import Fault, FaultKind, FaultPlan
from fairlead.devprovider.http import Received, reply, wait
from fairlead.devprovider.responses import NotKept

MAX_BODY_BYTES = 64 << 20
# Longer than any timeout: what hangs does so until the caller goes away.
_HANG_SECONDS = 3600.0


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
        # The text of answers; None: their own words.
        self.say: str | None = None
        # The last call as it came.
        self.received: Received | None = None
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
        received = http.parse_head(await reader.readuntil(b"\r\n\r\n"))
        length = int(received.headers.get("content-length", "0"))
        if length > MAX_BODY_BYTES:
            await reply(writer, 413, {"error": {"message": "body too large"}})
            return False
        received = replace(received, body=await reader.readexactly(length))
        path = received.path.partition("?")[0]
        spoken = of_path(path) if received.method == "POST" else None
        if spoken is not None:
            return await self._call(reader, writer, received, *spoken)
        match received.method, path:
            case "GET", "/v1/models":
                models = [{"id": name, "object": "model", "owned_by": "dev"} for name in ("dev-large", "dev-small")]
                await reply(writer, 200, {"object": "list", "data": models})
            case "POST", "/_dev/faults":
                try:
                    self.faults.apply(json.loads(received.body))
                except (ValueError, TypeError) as error:
                    await reply(writer, 400, {"error": {"message": str(error)}})
                else:
                    await reply(writer, 200, {})
            case "POST", "/_dev/say":
                try:
                    self.say = _said(json.loads(received.body))
                except ValueError as error:
                    await reply(writer, 400, {"error": {"message": str(error)}})
                else:
                    await reply(writer, 200, {})
            case "GET", "/_dev/stats":
                await reply(writer, 200, asdict(self.stats))
            case _:
                await reply(writer, 404, {"error": {"message": f"no such path: {received.path}"}})
        return True

    async def _call(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        received: Received,
        dialect: Dialect,
        deployment: str,
    ) -> bool:
        """Serves one call of a model."""
        self.received = received
        self.stats.requests += 1
        try:
            fault = self._fault(received)
            request = json.loads(received.body)
            if not isinstance(request, dict):
                raise ValueError("the body is not a JSON object")
            asked = dialect.read({"model": deployment, **request} if deployment else request)
        except NotKept as error:
            await reply(writer, 400, dialect.error(400, str(error)))
            return True
        except ValueError as error:
            message = "the body is not JSON" if isinstance(error, json.JSONDecodeError) else str(error)
            await reply(writer, 400, dialect.error(400, message))
            return True
        self.stats.faults += fault is not None
        kind = fault.kind if fault else None
        delay = _HANG_SECONDS if kind is FaultKind.HANG else self._latency.draw()
        if delay and not await wait(reader, delay):
            self.stats.cancelled += 1
            return False
        if fault and kind is FaultKind.STATUS:
            headers = {"retry-after": fault.retry_after} if fault.retry_after else {}
            message = f"the development provider was told to answer {fault.status}"
            await reply(writer, fault.status, dialect.error(fault.status, message), headers)
            return True
        if kind is FaultKind.REFUSE:
            return False
        said = answer(
            asked,
            received.body,
            absurd_usage=kind is FaultKind.ABSURD_USAGE,
            no_usage=kind is FaultKind.NO_USAGE,
            say=self.say,
        )
        if asked.stream:
            alive = await self._deliver(
                reader,
                writer,
                delivery.stream(dialect, said, fault, usage=asked.stream_usage and said.usage is not None),
            )
        else:
            alive = await self._deliver(reader, writer, delivery.unary(dialect, said, fault))
        if fault is None or fault.answers:
            self._bill(said)
        return alive

    def _fault(self, received: Received) -> Fault | None:
        """The request's own fault, else the next of the plan; raises ValueError for one that is not known."""
        own = received.headers.get(faults.HEADER)
        return Fault.parse(own) if own else self.faults.next()

    def _bill(self, said: Answer) -> None:
        self.stats.answered += 1
        self.stats.prompt_tokens += said.billed.input
        self.stats.completion_tokens += said.billed.output

    async def _deliver(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sent: Delivery) -> bool:
        """Sends a body; False when the connection is over, because it was cut or the caller went away."""
        chunked = sent.length is None
        framing = {"transfer-encoding": "chunked"} if chunked else {"content-length": str(sent.length)}
        writer.write(http.head(200, {"content-type": sent.content_type, **framing}))
        pause = sent.gap_seconds or (self._latency.between_events if chunked else 0.0)
        for part in sent.parts:
            writer.write(http.chunk(part) if chunked else part)
            await writer.drain()
            if pause and not await wait(reader, pause):
                self.stats.cancelled += 1
                return False
        if sent.end is End.HANG:
            await writer.drain()
            self.stats.cancelled += not await wait(reader, _HANG_SECONDS)
            return False
        if sent.end is End.CUT:
            return False
        if chunked:
            writer.write(http.LAST_CHUNK)
        await writer.drain()
        return True


def _said(command: object) -> str | None:
    """The text of a command of the control endpoint; raises ValueError for anything else."""
    text = command.get("text") if isinstance(command, dict) else ...
    if text is None or isinstance(text, str):
        return text
    raise ValueError('write {"text": "…"}, or {"text": null} for answers of its own')
