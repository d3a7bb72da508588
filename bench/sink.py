"""A receiver that takes everything and looks at nothing, over HTTP or gRPC: what is measured is who sends."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import grpc

_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Requests of one connection."""
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length))
            writer.write(_ANSWER)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


class Anything(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Answers every method with an empty message."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        async def answer(request: bytes, context: Any) -> bytes:
            return b""

        return grpc.unary_unary_rpc_method_handler(answer)


async def main() -> None:
    """Serves until standard input ends."""
    if sys.argv[1] == "http":
        server = await asyncio.start_server(take, "127.0.0.1", 0, limit=1 << 20)
        print(f"127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        server.close()
    else:
        calls = grpc.aio.server()
        calls.add_generic_rpc_handlers((Anything(),))
        port = calls.add_insecure_port("127.0.0.1:0")
        await calls.start()
        print(f"127.0.0.1:{port}", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        await calls.stop(None)


if __name__ == "__main__":
    asyncio.run(main())
