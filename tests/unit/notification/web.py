"""A web server on loopback that answers exactly what it is told to, byte for byte."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@dataclass
class Web:
    """What it got, and what it says; None never answers."""

    says: bytes | None = OK
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
                headers = {
                    name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:]) if name
                }
                body = await reader.readexactly(int(headers["content-length"]))
                self.requests.append((head[0], headers, body))
                self.asked.set()
                if self.says is None:
                    await reader.read()
                    return
                writer.write(self.says)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


@asynccontextmanager
async def web(
    change: Callable[[Web], None] = lambda web: None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Web]:
    """The server, while the block runs."""
    made = Web()
    change(made)
    ended: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended.append(cast("asyncio.Task[None]", asyncio.current_task()))
        await made.serve(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        # Whoever sent has closed its connections by now.
        await asyncio.gather(*ended)
