"""The webhook as the API server sees it: HTTPS, bounds, a certificate that changes while it runs."""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from fairlead.injection.certificate import Certificate, CertificateUnusable
from fairlead.injection.webhook import BODY_MAX_BYTES, Webhook

from .samples import SETTINGS
from .test_review import REVIEW

ROOT = Path(__file__).parents[3]
HOST = "127.0.0.1"
SERVICE = "fairlead-webhook.fairlead.svc"
HEADERS = {"content-type": "application/json"}
BODY = json.dumps(REVIEW).encode()


def issue(authority: trustme.CA, directory: Path) -> tuple[Path, Path]:
    """A certificate in files that take the place of the last ones at once, as those of a mounted Secret do."""
    issued = authority.issue_cert(SERVICE, HOST)
    chain, key = directory / "tls.crt", directory / "tls.key"
    for path, content in ((key, issued.private_key_pem), (chain, b"".join(map(bytes_of, issued.cert_chain_pems)))):
        new = path.with_suffix(".new")
        new.write_bytes(bytes_of(content))
        new.replace(path)
    return chain, key


def bytes_of(blob: Any) -> bytes:
    return blob if isinstance(blob, bytes) else blob.bytes()


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def call(
    port: int, authority: trustme.CA, method: str, path: str, body: bytes = b"", **headers: str
) -> tuple[int, Any]:
    """One request on a connection of its own."""
    connection = http.client.HTTPSConnection(HOST, port, context=trusting(authority), timeout=30)
    try:
        connection.request(method, path, body, {**HEADERS, **{k.replace("_", "-"): v for k, v in headers.items()}})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


@asynccontextmanager
async def listening(authority: trustme.CA, directory: Path) -> AsyncIterator[tuple[Webhook, Certificate, int]]:
    certificate = Certificate(*issue(authority, directory))
    webhook = Webhook(SETTINGS, certificate)
    port = await webhook.start(HOST, 0)
    try:
        yield webhook, certificate, port
    finally:
        await webhook.stop(5)


def with_webhook(directory: Path, test: Callable[[int, trustme.CA], Any]) -> Any:
    """Runs a blocking test beside the webhook."""

    async def run() -> Any:
        authority = trustme.CA()
        async with listening(authority, directory) as (_, _, port):
            return await asyncio.to_thread(test, port, authority)

    return asyncio.run(run())


def test_a_review_gets_its_patch_and_probes_their_answer(tmp_path: Path) -> None:
    def test(port: int, authority: trustme.CA) -> None:
        status, answer = call(port, authority, "POST", "/mutate?timeout=10s", BODY)
        assert status == 200 and answer["response"]["uid"] == REVIEW["request"]["uid"]
        paths = [step["path"] for step in json.loads(base64.b64decode(answer["response"]["patch"]))]
        assert "/spec/initContainers" in paths
        assert call(port, authority, "GET", "/healthz")[0] == call(port, authority, "GET", "/readyz")[0] == 200

    with_webhook(tmp_path, test)


def test_a_connection_is_used_again(tmp_path: Path) -> None:
    def test(port: int, authority: trustme.CA) -> None:
        connection = http.client.HTTPSConnection(HOST, port, context=trusting(authority), timeout=30)
        for _ in range(3):
            connection.request("POST", "/mutate", BODY, HEADERS)
            answer = connection.getresponse()
            assert answer.status == 200 and json.loads(answer.read())["response"]["allowed"]
        connection.close()

    with_webhook(tmp_path, test)


@pytest.mark.parametrize(
    ("method", "path", "body", "kind", "status"),
    [
        ("POST", "/mutate", b"hello", "application/json", 400),
        ("POST", "/mutate", b"{}", "application/json", 400),
        ("POST", "/mutate", BODY, "text/plain", 415),
        ("GET", "/mutate", b"", "application/json", 405),
        ("POST", "/", BODY, "application/json", 404),
        ("POST", "/mutate", b" " * (BODY_MAX_BYTES + 1), "application/json", 413),
    ],
)
def test_what_is_no_review_is_refused_and_the_webhook_goes_on(
    tmp_path: Path, method: str, path: str, body: bytes, kind: str, status: int
) -> None:
    def test(port: int, authority: trustme.CA) -> None:
        try:
            got, answer = call(port, authority, method, path, body, content_type=kind)
            assert got == status and answer["error"]
        except (ConnectionError, ssl.SSLError):
            # It need not read all of what is too large.
            assert status == 413
        assert call(port, authority, "POST", "/mutate", BODY)[0] == 200

    with_webhook(tmp_path, test)


def test_a_body_of_unknown_length_is_bounded_as_well(tmp_path: Path) -> None:
    def test(port: int, authority: trustme.CA) -> None:
        with trusting(authority).wrap_socket(
            socket.create_connection((HOST, port), 30), server_hostname=HOST
        ) as connection:
            head = ("POST /mutate HTTP/1.1", "host: x", "content-type: application/json", "transfer-encoding: chunked")
            connection.sendall("\r\n".join([*head, "", ""]).encode())
            chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
            with pytest.raises((ConnectionError, ssl.SSLError, AssertionError)):
                for _ in range(2 * BODY_MAX_BYTES // 65536):
                    connection.sendall(chunk)
                assert b"413" not in connection.recv(4096)
        assert call(port, authority, "POST", "/mutate", BODY)[0] == 200

    with_webhook(tmp_path, test)


@pytest.mark.parametrize(
    "sent", [b"hello", b"GET / HTTP/1.1\r\n\r\n", b"\r\n" * 9, b"A" * 70_000, b"GET /\x00 HTTP/1.1\r\n\r\n"]
)
def test_what_is_no_http_ends_its_connection_only(tmp_path: Path, sent: bytes) -> None:
    def test(port: int, authority: trustme.CA) -> None:
        with trusting(authority).wrap_socket(
            socket.create_connection((HOST, port), 30), server_hostname=HOST
        ) as connection:
            connection.sendall(sent)
            if len(sent) > 20:
                answer = connection.recv(4096)
                assert answer == b"" or answer.startswith(b"HTTP/1.1 4")
        with socket.create_connection((HOST, port), 30) as plain:
            plain.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
        assert call(port, authority, "GET", "/healthz")[0] == 200

    with_webhook(tmp_path, test)


def test_a_rotated_certificate_serves_new_connections_and_open_ones_go_on(tmp_path: Path) -> None:
    async def run() -> None:
        old, new = trustme.CA(), trustme.CA()
        async with listening(old, tmp_path) as (_, certificate, port):
            kept = http.client.HTTPSConnection(HOST, port, context=trusting(old), timeout=30)

            def ask() -> int:
                kept.request("POST", "/mutate", BODY, HEADERS)
                answer = kept.getresponse()
                answer.read()
                return answer.status

            assert await asyncio.to_thread(ask) == 200
            assert not certificate.read_again()
            issue(new, tmp_path)
            assert certificate.read_again()
            assert not certificate.read_again()
            assert (await asyncio.to_thread(call, port, new, "POST", "/mutate", BODY))[0] == 200
            with pytest.raises(ssl.SSLCertVerificationError):
                await asyncio.to_thread(call, port, old, "POST", "/mutate", BODY)
            assert await asyncio.to_thread(ask) == 200
            kept.close()

    asyncio.run(run())


def test_a_certificate_that_cannot_be_used_leaves_the_last_one(tmp_path: Path) -> None:
    async def run() -> None:
        authority = trustme.CA()
        async with listening(authority, tmp_path) as (_, certificate, port):
            # The chain of one and the key of the other, as in the middle of a rotation without symlinks.
            other = trustme.CA().issue_cert(SERVICE)
            (tmp_path / "tls.crt").write_bytes(other.cert_chain_pems[0].bytes())
            for spoil in (lambda: None, (tmp_path / "tls.key").unlink, lambda: (tmp_path / "tls.key").write_text("x")):
                spoil()
                assert not certificate.read_again()
                assert (await asyncio.to_thread(call, port, authority, "POST", "/mutate", BODY))[0] == 200
            issue(authority, tmp_path)
            assert certificate.read_again()

    asyncio.run(run())


def test_a_start_without_a_usable_certificate_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CertificateUnusable, match=r"tls.crt cannot be read: No such file"):
        Certificate(tmp_path / "tls.crt", tmp_path / "tls.key")
    chain, key = issue(trustme.CA(), tmp_path)
    with pytest.raises(CertificateUnusable, match="do not fit"):
        Certificate(key, chain)


@pytest.fixture
def process(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """`fairlead webhook` with the certificate in this directory."""
    command = [sys.executable, "-m", "fairlead.cli.main", "webhook", "--listen", f"{HOST}:0"]
    command += ["--health-listen", f"{HOST}:0"]
    files = ["--tls-cert", str(tmp_path / "tls.crt"), "--tls-key", str(tmp_path / "tls.key")]
    authority = trustme.CA()
    (tmp_path / "ca.pem").write_bytes(authority.cert_pem.bytes())
    issue(authority, tmp_path)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "sidecar")}
    with subprocess.Popen([*command, *files], env=environment, stderr=subprocess.PIPE, text=True) as started:
        try:
            yield started
        finally:
            started.kill()


def wait_for(process: subprocess.Popen[str], message: str) -> dict[str, Any]:
    """The next line of its log with this message."""
    assert process.stderr is not None
    for text in process.stderr:
        line: dict[str, Any] = json.loads(text)
        if line["message"] == message:
            return line
    raise AssertionError(f"it never said {message}")


def test_the_command_serves_reads_rotated_files_and_stops_as_asked(
    process: subprocess.Popen[str], tmp_path: Path
) -> None:
    serving = wait_for(process, "serving")
    port = int(serving["webhook"].rpartition(":")[2])
    context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    connection = http.client.HTTPSConnection(HOST, port, context=context, timeout=30)
    connection.request("POST", "/mutate", BODY, HEADERS)
    with connection.getresponse() as answer:
        assert answer.status == 200 and answer.read()
    # It is still open when the webhook stops.
    reviewed = wait_for(process, "reviewed")
    assert (reviewed["outcome"], reviewed["pod"]) == ("injected", "support/support-bot-6c9f8b7d4f-")
    authority = trustme.CA()
    issue(authority, tmp_path)
    wait_for(process, "certificate read again")
    assert call(port, authority, "GET", "/readyz")[0] == 200
    with urllib.request.urlopen(f"http://{serving['health']}/metrics", timeout=30) as page:
        assert b'fairlead_webhook_reviews_total{outcome="injected"} 1\n' in page.read()
    process.send_signal(signal.SIGTERM)
    wait_for(process, "stopped")
    assert process.wait(30) == 0
    connection.close()
