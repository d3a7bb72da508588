"""What is seen of the webhook on its plain port."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from fairlead.injection import webhook as module
from fairlead.injection.certificate import Certificate
from fairlead.injection.webhook import BODY_MAX_BYTES, Webhook
from fairlead.top.metrics import Page, read

from .samples import SETTINGS
from .test_webhook import BODY, HEADERS, HOST, REVIEW, call, issue, trusting

POD = REVIEW["request"]["object"]
ON_THE_NODES_NETWORK = json.dumps(
    {**REVIEW, "request": {**REVIEW["request"], "object": {**POD, "spec": {**POD["spec"], "hostNetwork": True}}}}
).encode()
UNASKED = b'{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {"uid": "1"}}'


def ask(port: int, path: str, method: str = "GET", body: bytes = b"") -> tuple[int, str]:
    """One request on the plain port."""
    connection = http.client.HTTPConnection(HOST, port, timeout=30)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def announce(port: int, authority: trustme.CA, length: int) -> None:
    """A review of this many bytes, none of which are sent: it is refused by then."""
    connection = http.client.HTTPSConnection(HOST, port, context=trusting(authority), timeout=30)
    try:
        connection.request("POST", "/mutate", headers={**HEADERS, "content-length": str(length)})
        assert connection.getresponse().status == 413
    finally:
        connection.close()


def seen(port: int) -> Page:
    status, text = ask(port, "/metrics")
    assert status == 200
    return read(text)


def reviews(port: int) -> dict[str, float]:
    """How many ended in each way, those that none did left out."""
    found = seen(port).of("fairlead_webhook_reviews_total")
    return {labels["outcome"]: value for labels, value in found if value}


def with_ports(
    directory: Path, test: Callable[[int, int, trustme.CA, Certificate], Any], clock: Callable[[], float] | None = None
) -> None:
    """Runs a blocking test beside the webhook: with the ports of reviews and of health."""

    async def run() -> None:
        authority = trustme.CA()
        certificate = Certificate(*issue(authority, directory))
        webhook = Webhook(SETTINGS, certificate, *([clock] if clock else []))
        ports = await webhook.start(HOST, 0), await webhook.start_health(HOST, 0)
        try:
            await asyncio.to_thread(test, *ports, authority, certificate)
        finally:
            await webhook.stop(5)

    asyncio.run(run())


def test_reviews_are_counted_by_how_they_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def test(port: int, health: int, authority: trustme.CA, certificate: Certificate) -> None:
        def post(body: bytes) -> None:
            call(port, authority, "POST", "/mutate", body)

        assert reviews(health) == {}
        for body in (BODY, ON_THE_NODES_NETWORK, UNASKED, b"hello"):
            post(body)
        announce(port, authority, BODY_MAX_BYTES + 1)
        assert call(port, authority, "GET", "/nothing")[0] == 404
        assert reviews(health) == {"injected": 1, "refused": 1, "unchanged": 1, "malformed": 2}

        def broken(*given: Any) -> Any:
            raise RuntimeError("a fault")

        monkeypatch.setattr(module, "review", broken)
        with pytest.raises((ConnectionError, http.client.HTTPException)):
            post(BODY)
        assert reviews(health)["failed"] == 1

    with_ports(tmp_path, test)


def test_the_latency_is_a_histogram(tmp_path: Path) -> None:
    def times() -> Iterator[float]:
        for took in (0.002, 0.002, 0.3, 9.0):
            yield 100.0
            yield 100.0 + took

    ticks = times()

    def test(port: int, health: int, authority: trustme.CA, certificate: Certificate) -> None:
        for _ in range(4):
            assert call(port, authority, "POST", "/mutate", BODY)[0] == 200
        page = seen(health)
        below = {labels["le"]: value for labels, value in page.of("fairlead_webhook_review_seconds_bucket")}
        assert (below["0.001"], below["0.0025"], below["0.25"], below["0.5"], below["5.0"]) == (0, 2, 2, 3, 3)
        assert below["+Inf"] == next(page.of("fairlead_webhook_review_seconds_count"))[1] == 4
        assert next(page.of("fairlead_webhook_review_seconds_sum"))[1] == pytest.approx(9.304)

    with_ports(tmp_path, test, clock=lambda: next(ticks))


def test_the_end_of_the_certificate_in_use_is_told_and_whether_its_files_are_used(tmp_path: Path) -> None:
    def test(port: int, health: int, authority: trustme.CA, certificate: Certificate) -> None:
        def gauge(name: str) -> float:
            ((_, value),) = seen(health).of(f"fairlead_webhook_certificate_{name}")
            return value

        first = gauge("expiry_timestamp_seconds")
        assert first == certificate.expires.timestamp() and gauge("failing") == 0
        kept = {name: (tmp_path / name).read_bytes() for name in ("tls.crt", "tls.key")}
        status = os.stat(tmp_path / "tls.key")
        (tmp_path / "tls.key").rename(tmp_path / "away")
        assert not certificate.read_again()
        assert (gauge("failing"), gauge("expiry_timestamp_seconds")) == (1, first)
        # The very same file comes back.
        (tmp_path / "away").rename(tmp_path / "tls.key")
        assert os.stat(tmp_path / "tls.key").st_mtime_ns == status.st_mtime_ns
        assert certificate.read_again() and gauge("failing") == 0
        other = authority.issue_cert(HOST)
        (tmp_path / "tls.key").write_bytes(other.private_key_pem.bytes())
        assert not certificate.read_again() and gauge("failing") == 1
        (tmp_path / "tls.key").write_bytes(kept["tls.key"])
        assert certificate.read_again() and gauge("failing") == 0

    with_ports(tmp_path, test)


def test_a_plain_port_tells_health_and_metrics_and_takes_no_reviews(tmp_path: Path) -> None:
    def test(port: int, health: int, authority: trustme.CA, certificate: Certificate) -> None:
        assert ask(health, "/healthz")[0] == ask(health, "/readyz")[0] == 200
        assert ask(health, "/mutate", "POST")[0] == 404
        assert ask(health, "/metrics", "PUT")[0] == 405
        assert ask(health, "/metrics", "GET", b"x")[0] == 413
        assert call(port, authority, "GET", "/metrics")[0] == 404
        assert POD["metadata"]["namespace"] not in ask(health, "/metrics")[1]

    with_ports(tmp_path, test)
