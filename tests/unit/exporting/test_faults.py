"""Whatever happens to a destination: nothing is lost, nothing overtakes, and the log says once what is wrong."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import ssl
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme

from fairlead.audit.consumers.service import Consumers
from fairlead.audit.transparency.exported import verify_export
from fairlead.exporting import metrics
from fairlead.exporting.destination import Destination, not_taken
from fairlead.exporting.file import FileDestination
from fairlead.exporting.lane import Lane
from fairlead.exporting.otlp.grpc_collector import GrpcCollector
from fairlead.exporting.settings import Exporter
from fairlead.exporting.thread import OneAtATime
from fairlead.exporting.webhook import WebhookDestination
from fairlead.notification.model import Retry
from fairlead.notification.signature import signature
from tests.unit.audit.records import T0
from tests.unit.exporting.collecting import collecting, log_records, sequence_of
from tests.unit.exporting.logs import EVENTS, LOG, QUICK, SOURCE, Desk, Life, run
from tests.unit.notification.web import OK, Web, web

COMPUTING = OneAtATime
HOUR_SECONDS = 3600
USUAL = Retry(1, 1_000, 60_000)


class Clock:
    """Time passes only where a lane waits to try again."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = 0.0
        self.waits: list[float] = []
        self.at: list[tuple[float, Callable[[], None]]] = []
        clock = self

        async def pause(_: Lane, seconds: float, acknowledged: int) -> None:
            clock.seconds += seconds
            clock.waits.append(seconds)
            for moment, happens in list(clock.at):
                if clock.seconds >= moment:
                    clock.at.remove((moment, happens))
                    happens()
            await asyncio.sleep(0)

        monkeypatch.setattr(Lane, "_pause", pause)


def hook(exporter: Exporter) -> Destination:
    return WebhookDestination(exporter, lambda: T0, "1.2.3", COMPUTING())


def otlp(exporter: Exporter) -> Destination:
    return GrpcCollector(exporter, "1.2.3", COMPUTING())


def taken(server: Web) -> list[int]:
    """Sequences in the order in which a receiver was sent them."""
    return [int(event["sequence"]) for _, _, body in server.requests for event in json.loads(body)]


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [str(record.__dict__["problem"]) for record in caplog.records if "problem" in record.__dict__]


FAILS = "records were not taken by an exporter's destination, they are sent again"


def test_an_end_point_that_is_down_for_an_hour_gets_everything_and_is_not_stormed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock(monkeypatch)

    async def test() -> None:
        async with collecting() as collector:
            pass
        # Nobody listens on its port now. Records go on meanwhile.
        life = Life(otlp)
        back = asyncio.Event()
        clock.at = [(60 * number, lambda: life.commit(1)) for number in range(1, 41)]
        clock.at.append((HOUR_SECONDS, back.set))
        life.commit(10)
        life.start(kind="otlp", url=f"http://127.0.0.1:{collector.port}", retry=USUAL, timeout_seconds=0.5)
        await back.wait()
        page = metrics.page(life.exporting)
        assert 'fairlead_audit_export_failing{exporter="desk"} 1\n' in page
        assert life.consumers.loaded()[0].position.sequence == 0
        # Half of the longest wait at least: no more than two a minute once it has slowed down.
        assert len(clock.waits) < 2 * 60 + 10 and max(clock.waits) <= 60
        async with collecting(collector=collector):
            await life.acknowledged(50)
            found = [sequence_of(one) for request in collector.requests for one in log_records(request)]
            assert found == list(range(1, 51))
            await life.exporting.stop(5)

    with caplog.at_level("INFO"):
        run(test)
    assert [record.message for record in caplog.records if record.name.endswith("lane")] == [
        FAILS,
        "the destination of an exporter takes records again",
    ]


def test_who_asks_to_wait_is_not_asked_before(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)

    async def test() -> None:
        async with web() as server:
            server.says = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 120\r\ncontent-length: 0\r\n\r\n"

            def relents() -> None:
                server.says = OK

            clock.at = [(300, relents)]
            life = Life(hook)
            life.commit(6)
            life.start(kind="cloudevents", url=f"http://127.0.0.1:{server.port}/", retry=USUAL)
            await life.acknowledged(6)
            await life.exporting.stop(5)
            assert clock.waits == [120, 120, 120]
            assert taken(server) == [1, 2, 3, 4] * 4 + [5, 6]

    run(test)


def test_a_certificate_that_nobody_trusts_is_told_and_the_right_one_is_taken_at_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    authority, other = trustme.CA(), trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    def pem(of: trustme.CA) -> str:
        return of.cert_pem.bytes().decode()

    async def test() -> None:
        async with web(tls=context) as server:
            life = Life(hook)
            life.commit(3)
            url = f"https://127.0.0.1:{server.port}/"
            long = Retry(1, 3_600_000, 3_600_000)
            exporter = life.start(kind="cloudevents", url=url, trusted=pem(other), retry=long)
            await failing(life)
            assert server.requests == []
            # The file with the certificates was corrected: what it waits for does not matter.
            life.exporting.configure([replace(exporter, trusted=pem(authority))])
            await life.acknowledged(3)
            await life.exporting.stop(5)
            assert taken(server) == [1, 2, 3]

        async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            writer.close()

        server_of_another = await asyncio.start_server(plain, "127.0.0.1", 0)
        port = server_of_another.sockets[0].getsockname()[1]
        destination = hook(replace(exporter, url=f"https://127.0.0.1:{port}/"))
        assert await destination.deliver(EVENTS[:1], SOURCE) == not_taken("TLS cannot be agreed on")
        await destination.close()
        server_of_another.close()

    with caplog.at_level("INFO"):
        run(test)
    assert said(caplog) == ["the certificate is not trusted: unable to get local issuer certificate"]


async def failing(life: Life) -> None:
    """Returns when an attempt has failed."""
    while not life.exporting.lanes() or not life.exporting.lanes()[0].counted.failed:
        await asyncio.sleep(0)


def test_a_secret_that_is_rotated_signs_what_the_receiver_had_refused() -> None:
    old, new = b"old-signing-key-0123456789012345", b"new-signing-key-0123456789012345"

    def signed_with(request: tuple[str, dict[str, str], bytes], key: bytes) -> bool:
        _, headers, body = request
        made = signature(key, headers["webhook-id"], int(headers["webhook-timestamp"]), body)
        return made in headers["webhook-signature"].split()

    async def test() -> None:
        async with web() as server:
            server.says = b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n"
            life = Life(hook)
            life.commit(3)
            long = Retry(1, 3_600_000, 3_600_000)
            url = f"http://127.0.0.1:{server.port}/"
            exporter = life.start(kind="cloudevents", url=url, keys=(old,), retry=long)
            await failing(life)
            assert life.exporting.lanes()[0].counted.refused_sequence == 0, "no record is to blame"
            server.says = OK
            # While it is replaced, both; then the new one alone.
            life.exporting.configure([replace(exporter, keys=(new, old))])
            await life.acknowledged(3)
            life.exporting.configure([replace(exporter, keys=(new,))])
            await life.exporting.reconcile()
            life.commit(1)
            await life.acknowledged(4)
            await life.exporting.stop(5)
            refused, both, alone = server.requests
            assert taken(server) == [1, 2, 3, 1, 2, 3, 4]
            assert signed_with(refused, old) and signed_with(both, old) and signed_with(both, new)
            assert signed_with(alone, new) and not signed_with(alone, old)
            # The same records are the same message, whoever signs: a receiver that has it already can tell.
            assert refused[1]["webhook-id"] == both[1]["webhook-id"] != alone[1]["webhook-id"]

    run(test)


@pytest.mark.parametrize("kind", ["desk", "file"])
def test_a_crash_between_sending_and_acknowledging_sends_the_same_again_and_no_file_has_it_twice(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "audit.jsonl"

    async def test() -> None:
        desk = Desk()
        made: Destination | Callable[[Exporter], Destination] = desk
        if kind == "file":
            made = lambda exporter: FileDestination(exporter, COMPUTING())  # noqa: E731
        reached, never = asyncio.Event(), asyncio.Event()

        async def dies(consumers: Consumers, name: str, position: Any) -> None:
            reached.set()
            await never.wait()

        life = Life(made)
        life.commit(3)
        with monkeypatch.context() as crash:
            crash.setattr(Consumers, "advance", dies)
            life.start(kind="file", path=str(path))
            await reached.wait()
            # What a kill -9 leaves: sent, or written, and nothing remembered.
            await life.exporting.stop(0)
        assert life.consumers.loaded()[0].position.sequence == 0
        again = Life(made, life.store)
        again.commit(2)
        again.start(kind="file", path=str(path))
        await again.acknowledged(5)
        await again.exporting.stop(5)
        if kind == "file":
            assert verify_export(path.read_text().splitlines(), (5, LOG[4].record_hash)).checked == 5
            assert path.read_text().count("\n") == 5
        else:
            assert desk.attempts == [[1, 2, 3], [1, 2, 3, 4], [5]]

    run(test)


def test_a_full_disk_is_told_of_and_leaves_whole_lines_until_there_is_room_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "audit.jsonl"
    write, room = os.write, [700]

    def limited(descriptor: int, data: Any) -> int:
        """A disk with so much room: what does not fit is written in part, and then nothing is."""
        if len(data) <= room[0]:
            room[0] -= len(data)
            return write(descriptor, data)
        if not room[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        count, room[0] = room[0], 0
        return write(descriptor, bytes(data)[:count])

    async def test() -> None:
        monkeypatch.setattr("fairlead.exporting.file.os.write", limited)
        life = Life(lambda exporter: FileDestination(exporter, COMPUTING()))
        life.commit(6)
        life.start(kind="file", path=str(path))
        await failing(life)
        assert 'fairlead_audit_export_failing{exporter="desk"} 1\n' in metrics.page(life.exporting)
        assert life.consumers.loaded()[0].position.sequence == 0
        text = path.read_bytes()
        assert text == b"" or text.endswith(b"\n"), "readers see whole lines"
        room[0] = 1 << 20
        await life.acknowledged(6)
        await life.exporting.stop(5)

    with caplog.at_level("INFO"):
        run(test)
    monkeypatch.undo()
    assert verify_export(path.read_text().splitlines(), (6, LOG[5].record_hash)).checked == 6
    assert said(caplog) == ["the file cannot be written: no space left on device"]


def test_a_reload_while_an_attempt_is_under_way_sends_the_same_to_the_new_place_and_nothing_overtakes() -> None:
    async def test() -> None:
        first, second = Desk(), Desk()
        first.stalled = asyncio.Event()
        life = Life(lambda exporter: first if exporter.path == "/first" else second)
        life.commit(6)
        exporter = life.start(path="/first")
        await first.until(lambda: first.attempts == [[1, 2, 3, 4]])
        life.exporting.configure([replace(exporter, path="/second")])
        await life.acknowledged(6)
        assert first.closed == 1 and second.taken == [1, 2, 3, 4, 5, 6]
        # What the old place would have said does not count any more.
        first.stalled.set()
        life.commit(1)
        await life.acknowledged(7)
        assert first.taken == [] and second.taken == list(range(1, 8))
        await life.exporting.stop(5)

    run(test)


GARBAGE = [b"\0" * 4096, b"HTTP/9.9 what\r\n\r\n", b"HTTP/1.1 200\r\n" + b"x: " + b"y" * (1 << 20), b"\r\n" * 99]


@pytest.mark.parametrize("answer", GARBAGE, ids=["zeros", "version", "endless head", "lines"])
@pytest.mark.parametrize("kind", ["cloudevents", "otlp"])
def test_an_answer_that_is_garbage_is_a_failure_like_any_other(kind: str, answer: bytes) -> None:
    """Also for gRPC: whatever listens there by mistake."""

    async def test() -> None:
        serving: list[asyncio.Task[None] | None] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            serving.append(asyncio.current_task())
            try:
                await reader.read(1 << 16)
                writer.write(answer)
                await writer.drain()
                await reader.read()
            except ConnectionError:
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        exporter = Exporter("desk", "otlp", url=f"http://127.0.0.1:{port}/", timeout_seconds=0.5, retry=QUICK)
        destination = hook(exporter) if kind == "cloudevents" else otlp(exporter)
        outcome = await destination.deliver(EVENTS[:2], SOURCE)
        assert not outcome.taken and not outcome.too_large and not outcome.unacceptable
        assert outcome.problem and "yyy" not in outcome.problem
        await destination.close()
        server.close()
        await asyncio.gather(*filter(None, serving))

    run(test)


def test_an_answer_that_never_ends_is_an_answer() -> None:
    async def test() -> None:
        async with web() as server:
            server.says = b"HTTP/1.1 200 OK\r\ncontent-length: 999999999\r\n\r\n" + b"x" * (1 << 20)
            destination = hook(Exporter("desk", "cloudevents", url=f"http://127.0.0.1:{server.port}/"))
            assert (await destination.deliver(EVENTS[:1], SOURCE)).taken
            await destination.close()

    run(test)
