"""Large requests wait for each other, small ones for nobody."""

from __future__ import annotations

import asyncio

from fairlead.injection.connections import Answer, Port, Request, answer_json

from .test_webhook import HOST

SMALL, LARGE = b"x", b"x" * 20


async def ask(port: int, body: bytes, *, chunked: bool = False) -> bytes:
    """One request on a connection of its own; its answer."""
    reader, writer = await asyncio.open_connection(HOST, port)
    told = "transfer-encoding: chunked" if chunked else f"content-length: {len(body)}"
    sent = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if chunked else body
    writer.write(f"POST / HTTP/1.1\r\nhost: x\r\n{told}\r\nconnection: close\r\n\r\n".encode() + sent)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


def test_large_bodies_are_answered_one_at_a_time_and_small_ones_beside_them() -> None:
    under_way: list[int] = []
    most = 0

    async def run() -> None:
        entered, leave = asyncio.Event(), asyncio.Event()

        async def answer(request: Request) -> Answer:
            nonlocal most
            if len(request.body) > len(SMALL):
                under_way.append(1)
                most = max(most, len(under_way))
                entered.set()
                await leave.wait()
                under_way.pop()
            return answer_json(200, {})

        port = Port(answer, connections_max=8, body_max_bytes=100, large_bytes=10)
        bound = await port.start(HOST, 0)
        first = asyncio.create_task(ask(bound, LARGE))
        await entered.wait()
        others = [asyncio.create_task(ask(bound, LARGE, chunked=chunked)) for chunked in (False, True)]
        for _ in range(10):
            assert (await ask(bound, SMALL)).startswith(b"HTTP/1.1 200")
        assert len(under_way) == 1
        leave.set()
        for answered in await asyncio.gather(first, *others):
            assert answered.startswith(b"HTTP/1.1 200")
        await port.stop(5)

    asyncio.run(run())
    assert most == 1
