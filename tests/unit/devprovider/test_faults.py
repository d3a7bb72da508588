"""Every fault looks the same on the wire, whichever dialect is spoken: status, headers, and how the body ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest

from fairlead.devprovider.faults import Fault, FaultKind
from fairlead.devprovider.server import DevProvider

PATHS = ("/v1/chat/completions", "/v1/responses", "/v1/messages")
# The client is patient for as long as this, in which nothing has to happen.
QUIET_SECONDS = 0.2


class Exchange:
    """One request over a connection of its own."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def head(self) -> tuple[int, dict[str, str]]:
        line, *fields = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        return int(line.split()[1]), dict(field.split(": ", 1) for field in fields if field)

    async def rest(self, headers: dict[str, str]) -> bytes:
        """The body; raises IncompleteReadError when the connection ends first."""
        if "content-length" in headers:
            return await self.reader.readexactly(int(headers["content-length"]))
        body = b""
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            body += (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readexactly(2)
        return body

    async def is_silent(self) -> bool:
        try:
            await asyncio.wait_for(self.reader.read(1), QUIET_SECONDS)
        except TimeoutError:
            return True
        return False


async def asked(server: DevProvider, path: str, fault: str, *, stream: bool) -> Exchange:
    assert server._server is not None
    reader, writer = await asyncio.open_connection(*server._server.sockets[0].getsockname())
    body = json.dumps({"model": "m", "max_tokens": 9, "messages": [], "input": "x", "stream": stream}).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: h\r\nx-dev-fault: {fault}\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    return Exchange(reader, writer)


@pytest.fixture(params=PATHS)
def path(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def run(
    path: str, fault: str, scenario: Callable[[DevProvider, Exchange], Awaitable[None]], *, stream: bool = False
) -> None:
    async def main() -> None:
        server = DevProvider()
        await server.start()
        exchange = await asked(server, path, fault, stream=stream)
        try:
            await scenario(server, exchange)
        finally:
            exchange.writer.close()
            await server.close()

    asyncio.run(main())


@pytest.mark.parametrize("status", [401, 403, 404, 408, 413, 429, 500, 503, 529])
def test_a_status_comes_with_an_error_of_the_dialect(path: str, status: int) -> None:
    async def scenario(_: DevProvider, exchange: Exchange) -> None:
        answered, headers = await exchange.head()
        assert (answered, headers["retry-after"]) == (status, "120")
        body = json.loads(await exchange.rest(headers))
        assert str(status) in body["error"]["message"]
        assert ("type" in body) is (path == "/v1/messages")

    run(path, f"{status}:retry-after=120", scenario)


@pytest.mark.parametrize("stream", [False, True])
def test_it_hangs_before_the_head_or_in_the_middle(path: str, stream: bool) -> None:
    async def never(server: DevProvider, exchange: Exchange) -> None:
        assert await exchange.is_silent()
        assert server.stats.requests == 1

    async def half(_: DevProvider, exchange: Exchange) -> None:
        status, headers = await exchange.head()
        assert status == 200
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(exchange.rest(headers), QUIET_SECONDS)

    run(path, "hang-before-headers", never, stream=stream)
    run(path, "hang-mid-stream", half, stream=stream)


@pytest.mark.parametrize("stream", [False, True])
def test_a_cut_ends_the_connection_before_the_body_is_whole(path: str, stream: bool) -> None:
    async def scenario(_: DevProvider, exchange: Exchange) -> None:
        _, headers = await exchange.head()
        with pytest.raises(asyncio.IncompleteReadError):
            await exchange.rest(headers)

    run(path, "cut-mid-stream:after=2", scenario, stream=stream)


def test_a_refused_connection_ends_without_an_answer(path: str) -> None:
    async def scenario(_: DevProvider, exchange: Exchange) -> None:
        assert await exchange.reader.read() == b""

    run(path, "refuse", scenario)


@pytest.mark.parametrize(
    ("fault", "stream", "content_type", "broken"),
    [
        ("malformed-json", False, "application/json", lambda body: not parses(body)),
        ("malformed-json", True, "text/event-stream", lambda body: not all(map(parses, data(body)))),
        ("malformed-sse", False, "application/json", lambda body: b"data: {" in body),
        ("malformed-sse", True, "text/event-stream", lambda body: b"\xff\xfe" in body),
        ("garbage", False, "application/json", lambda body: body.startswith(b"<html>")),
        ("wrong-content-type", False, "text/html", lambda body: body.startswith(b"<html>")),
        ("wrong-content-type", True, "text/html", lambda body: body.startswith(b"<html>")),
        ("empty-body", False, "application/json", lambda body: body == b""),
        ("empty-body", True, "text/event-stream", lambda body: body == b""),
        ("error-event", True, "text/event-stream", lambda body: b'"error"' in body and body.count(b"data: ") == 1),
        ("slow-drip:gap=0,bytes=64", False, "application/json", lambda body: parses(body)),
        (
            "slow-drip:gap=0",
            True,
            "text/event-stream",
            lambda body: len(data(body)) > 3 and all(map(parses, data(body))),
        ),
    ],
)
def test_a_broken_answer_is_broken_in_the_way_that_was_asked_for(
    path: str, fault: str, stream: bool, content_type: str, broken: Callable[[bytes], bool]
) -> None:
    async def scenario(_: DevProvider, exchange: Exchange) -> None:
        status, headers = await exchange.head()
        assert (status, headers["content-type"].partition(";")[0]) == (200, content_type)
        assert broken(await exchange.rest(headers))

    run(path, fault, scenario, stream=stream)


def test_a_slow_answer_comes_in_pieces(path: str) -> None:
    async def scenario(_: DevProvider, exchange: Exchange) -> None:
        await exchange.head()
        assert len(await exchange.reader.readexactly(8)) == 8
        assert await exchange.is_silent()

    run(path, "slow-drip:gap=60,bytes=8", scenario)


def test_usage_is_left_out_or_absurd_on_demand(path: str) -> None:
    async def scenario(server: DevProvider, exchange: Exchange) -> None:
        _, headers = await exchange.head()
        assert not json.loads(await exchange.rest(headers)).get("usage")
        second = await asked(server, path, "absurd_usage", stream=False)
        _, headers = await second.head()
        assert 1_000_000 in json.loads(await second.rest(headers))["usage"].values()
        second.writer.close()

    run(path, "no-usage", scenario)


def test_a_fault_that_is_not_known_is_the_callers_mistake(path: str) -> None:
    async def scenario(_: DevProvider, exchange: Exchange) -> None:
        status, headers = await exchange.head()
        assert status == 400
        assert b"unknown fault `explode`" in await exchange.rest(headers)

    run(path, "explode", scenario)


@pytest.mark.parametrize("kind", [kind for kind in FaultKind if kind is not FaultKind.STATUS])
def test_every_kind_can_be_named_with_dashes(kind: FaultKind) -> None:
    assert Fault.parse(kind.value.replace("_", "-")).kind is kind


def parses(body: bytes) -> bool:
    try:
        json.loads(body)
    except ValueError:
        return body == b"[DONE]"
    return True


def data(body: bytes) -> list[bytes]:
    return [line.removeprefix(b"data: ") for line in body.splitlines() if line.startswith(b"data: ")]
