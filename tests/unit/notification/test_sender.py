"""One attempt over HTTP, and what came of it."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import subprocess
import sys
import threading
from typing import Any

import pytest
import trustme

from fairlead.notification.events import Selection
from fairlead.notification.lookup import Lookups, NameUnresolved
from fairlead.notification.model import Answer, Verdict
from fairlead.notification.receivers import Receiver
from fairlead.notification.sender import ANSWER_MAX_BYTES, HttpSender
from fairlead.notification.sending import SenderOnDemand
from tests.unit.audit.records import T0
from tests.unit.notification.fakes import run
from tests.unit.notification.test_signature import SECRET, key_of, signature
from tests.unit.notification.web import OK, Web, web

BODY = '{"type":"approval.opened","text":"\u00e9"}'.encode()
CANARY = "canary-path-and-header-31337"


def to(url: str, **fields: Any) -> Receiver:
    headers = {"authorization": f"Bearer {CANARY}"}
    return Receiver("desk", url, Selection(frozenset(), {}), (key_of(SECRET),), headers, **fields)


# The system's certificates take long to load, and here is nobody that they are for.
NOBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def sender(trust: ssl.SSLContext = NOBODY, **fields: Any) -> HttpSender:
    return HttpSender(lambda: T0, "1.2.3", trust, **fields)


async def attempt(server: Web, **fields: Any) -> Answer:
    made = sender()
    try:
        return await made.send(to(f"http://127.0.0.1:{server.port}/hook/{CANARY}?a=b", **fields), "ntf_1", BODY)
    finally:
        await made.close()


def test_what_is_sent() -> None:
    async def test() -> None:
        async with web() as server:
            answer = await attempt(server)
            assert (answer.verdict, answer.status_code, answer.problem) == (Verdict.DELIVERED, 200, "")
            ((line, headers, body),) = server.requests
            assert (line, body) == (f"POST /hook/{CANARY}?a=b HTTP/1.1", BODY)
            seconds = T0 // 10**9
            assert headers == {
                "host": f"127.0.0.1:{server.port}",
                "content-type": "application/json",
                "content-length": str(len(BODY)),
                "user-agent": "fairlead/1.2.3",
                "authorization": f"Bearer {CANARY}",
                "webhook-id": "ntf_1",
                "webhook-timestamp": str(seconds),
                "webhook-signature": signature(key_of(SECRET), "ntf_1", seconds, BODY),
            }

    run(test)


@pytest.mark.parametrize(
    ("says", "verdict", "status", "retry_after"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", Verdict.DELIVERED, 204, 0),
        (b"HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n", Verdict.REFUSED, 302, 0),
        (b"HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n", Verdict.GONE, 410, 0),
        (b"HTTP/1.1 429 Slow\r\nRetry-After: 7\r\ncontent-length: 0\r\n\r\n", Verdict.UNREACHABLE, 429, 7_000),
        (
            b"HTTP/1.1 503 No\r\nretry-after: Wed, 18 Nov 2026 11:07:40 GMT\r\ncontent-length: 0\r\n\r\n",
            Verdict.UNREACHABLE,
            503,
            60_000,
        ),
        (b"HTTP/1.1 503 No\r\nretry-after: soon, \xff\r\ncontent-length: 0\r\n\r\n", Verdict.UNREACHABLE, 503, 0),
        (b"HTTP/1.1 503 No\r\nretry-after: 99999999999999\r\ncontent-length: 0\r\n\r\n", Verdict.UNREACHABLE, 503, 0),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", Verdict.UNREACHABLE, 0, 0),
        (b"", Verdict.UNREACHABLE, 0, 0),
        # The head is the answer; what is wrong with the rest changes nothing.
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nnonsense\r\n", Verdict.DELIVERED, 200, 0),
    ],
)
def test_what_comes_back(says: bytes, verdict: Verdict, status: int, retry_after: int) -> None:
    async def test() -> None:
        def change(server: Web) -> None:
            server.says = says
            if not says:
                server.says = None

        async with web(change) as server:
            answer = await attempt(server, timeout_seconds=10 if says else 0.2)
            assert (answer.verdict, answer.status_code, answer.retry_after_millis) == (verdict, status, retry_after)
            # A redirect was not followed, and nothing is tried twice.
            assert len(server.requests) == 1

    run(test)


def test_an_attempt_is_bounded_as_a_whole_and_its_connection_ends() -> None:
    async def test() -> None:
        def hang(server: Web) -> None:
            server.says = None

        async with web(hang) as server:
            answer = await attempt(server, timeout_seconds=0.05)
            assert answer == Answer(Verdict.UNREACHABLE, problem="no answer within 0.05 s")

    run(test)


@pytest.mark.parametrize("seconds", [0.01, 30.0])
def test_what_was_taken_is_taken_however_long_or_slow_the_rest_is(
    monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    monkeypatch.setattr("fairlead.notification.sender.ANSWER_SECONDS", seconds)

    async def test() -> None:
        for rest in (b"", bytes(ANSWER_MAX_BYTES * 2)):

            def endless(server: Web, rest: bytes = rest) -> None:
                server.says = b"HTTP/1.1 200 OK\r\ncontent-length: 999999999\r\n\r\n" + rest

            async with web(endless) as server:
                assert (await attempt(server, timeout_seconds=1.0)).verdict is Verdict.DELIVERED

    run(test)


def test_a_burst_uses_one_connection() -> None:
    async def test() -> None:
        async with web() as server:
            made = sender()
            for _ in range(3):
                assert (await made.send(to(f"http://127.0.0.1:{server.port}/"), "ntf_1", BODY)).status_code == 200
            await made.close()
            assert (server.connections, len(server.requests)) == (1, 3)

    run(test)


def test_nobody_listens() -> None:
    async def test() -> None:
        with socket.create_server(("127.0.0.1", 0)) as held:
            port = held.getsockname()[1]
        made = sender()
        answer = await made.send(to(f"http://127.0.0.1:{port}/{CANARY}"), "ntf_1", BODY)
        assert answer == Answer(Verdict.UNREACHABLE, problem="the connection is refused")
        await made.close()

    run(test)


def test_only_certificates_that_are_trusted() -> None:
    async def test() -> None:
        authority = trustme.CA()
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(tls)
        trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        authority.configure_trust(trusting)
        strict = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        async with web(tls=tls) as server:
            lookups = Lookups(resolve=lambda host, port: [(0, 0, 0, "", ("127.0.0.1", port))])
            for trust, host, problem in (
                (trusting, "localhost", ""),
                (strict, "localhost", "the certificate is not trusted"),
                (trusting, "other.example", "the certificate is not trusted"),
            ):
                made = sender(trust=trust, lookups=lookups)
                answer = await made.send(to(f"https://{host}:{server.port}/{CANARY}"), "ntf_1", BODY)
                await made.close()
                assert answer.problem.startswith(problem) and bool(problem) is (answer.verdict is not Verdict.DELIVERED)
                assert CANARY not in answer.problem
        async with web() as plain:
            # It waits for a request and the client for its part of the handshake; afterwards the connection is closed.
            made = sender(trust=trusting)
            answer = await made.send(to(f"https://127.0.0.1:{plain.port}/", timeout_seconds=0.2), "ntf_1", BODY)
            assert answer.problem == "no answer within 0.2 s"

    run(test)


def test_nothing_of_it_is_logged_at_any_level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def test() -> None:
        async with web() as server:
            await attempt(server)

    run(test)
    assert CANARY not in caplog.text and SECRET[6:] not in caplog.text
    assert CANARY not in repr(to(f"http://127.0.0.1/{CANARY}")) and "key_of" not in repr(to("http://h/"))


def test_names_are_looked_up_on_a_few_threads_that_nobody_waits_for() -> None:
    async def test() -> None:
        asked, go_on = [threading.Event() for _ in range(2)], threading.Event()
        started = iter(asked)

        def hang(host: str, port: int) -> Any:
            next(started).set()
            go_on.wait(30)
            raise OSError("no name server")

        lookups = Lookups(most=2, resolve=hang)
        made = sender(lookups=lookups)
        waiting = [
            asyncio.ensure_future(made.send(to("http://a.example/", timeout_seconds=0.05), "1", b"{}")) for _ in asked
        ]
        for event in asked:
            await asyncio.to_thread(event.wait, 30)
        assert {answer.problem for answer in await asyncio.gather(*waiting)} == {"no answer within 0.05 s"}
        # Both still hang: who comes now is told at once, addresses need nobody.
        answer = await made.send(to("http://b.example/"), "1", b"{}")
        assert answer.problem == "the name of the host cannot be resolved"
        assert await lookups.addresses("::1", 80) == ["::1"]
        go_on.set()
        with pytest.raises(NameUnresolved, match="cannot be resolved"):
            await Lookups(resolve=hang_up).addresses("c.example", 80)
        await made.close()

    def hang_up(host: str, port: int) -> Any:
        raise socket.gaierror("unknown")

    run(test)


def test_every_address_of_a_name_is_tried() -> None:
    async def test() -> None:
        async with web() as server:
            # Nobody listens on the first one.
            both = [(0, 0, 0, "", (address, server.port)) for address in ("127.0.0.2", "127.0.0.1")]
            made = sender(lookups=Lookups(resolve=lambda host, port: both))
            assert (await made.send(to(f"http://desk.example:{server.port}/"), "1", b"{}")).status_code == 200
            await made.close()

    run(test)


def test_whoever_notifies_nobody_does_not_pay_for_the_library() -> None:
    code = (
        "import sys, fairlead.daemon; print('httpcore2' in sys.modules, 'fairlead.notification.service' in sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert loaded == "False True\n"


def test_the_library_is_there_when_something_is_sent() -> None:
    async def test() -> None:
        async with web(lambda server: setattr(server, "says", OK)) as server:
            made = SenderOnDemand(lambda: T0, "1.2.3")
            await made.close()
            both = [made.send(to(f"http://127.0.0.1:{server.port}/"), "1", b"{}") for _ in range(2)]
            assert [answer.status_code for answer in await asyncio.gather(*both)] == [200, 200]
            await made.close()

    run(test)
