"""As much HTTP/1.1 as a provider needs: requests with a known length, answers with one or in chunks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    408: "Request Timeout",
    413: "Content Too Large",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
    529: "Overloaded",
}
JSON = "application/json"
LAST_CHUNK = b"0\r\n\r\n"


@dataclass(frozen=True)
class Received:
    """A request. Names of headers are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""


def parse_head(head: bytes) -> Received:
    """The request's line and headers; raises ValueError."""
    lines = head.decode("latin-1").split("\r\n")
    method, path, _ = lines[0].split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:] if line)}
    return Received(method, path, headers)


def head(status: int, headers: Mapping[str, str]) -> bytes:
    """An answer's line and headers."""
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Status')}", *(f"{k}: {v}" for k, v in headers.items()), "", ""]
    return "\r\n".join(lines).encode()


def chunk(content: bytes) -> bytes:
    """One chunk of a body whose length is not known before."""
    return b"%x\r\n%s\r\n" % (len(content), content)


def event(name: str | None, data: dict[str, Any] | str) -> bytes:
    """A server-sent event."""
    text = data if isinstance(data, str) else json.dumps(data)
    return f"{f'event: {name}{chr(10)}' if name else ''}data: {text}\n\n".encode()


async def reply(
    writer: asyncio.StreamWriter,
    status: int,
    body: dict[str, Any] | bytes,
    headers: Mapping[str, str] | None = None,
) -> None:
    """A whole answer."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    base = {"content-type": JSON, "content-length": str(len(content))}
    writer.write(head(status, {**base, **(headers or {})}) + content)
    await writer.drain()


async def wait(reader: asyncio.StreamReader, seconds: float) -> bool:
    """Waits; False at once when the caller goes away meanwhile."""
    gone = asyncio.ensure_future(reader.read(1))
    done, _ = await asyncio.wait({gone}, timeout=seconds)
    if done:
        return False
    gone.cancel()
    await asyncio.wait({gone})  # a stream takes one reader at a time
    return True
