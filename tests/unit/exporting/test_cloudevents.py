"""CloudEvents over a webhook: the envelope, the signature, and a receiver that answers in every way."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from fairlead.audit.transparency.exported import verify_export
from fairlead.exporting.destination import TAKEN, Outcome, not_taken
from fairlead.exporting.settings import Exporter
from fairlead.exporting.thread import OneAtATime
from fairlead.exporting.webhook import WebhookDestination
from fairlead.notification.signature import signature
from tests.unit.audit.records import INVOCATION, T0
from tests.unit.exporting.logs import EVENTS, LOG, SOURCE, run
from tests.unit.exporting.test_otlp import http_answer
from tests.unit.notification.web import web

KEYS = (b"first-signing-key-0123456789", b"second-signing-key-0123456789")


def hook(port: int, **facts: Any) -> WebhookDestination:
    exporter = Exporter("siem", "cloudevents", url=f"http://127.0.0.1:{port}/in", keys=KEYS, headers={"x-team": "blue"})
    return WebhookDestination(replace(exporter, **facts), lambda: T0, "1.2.3", OneAtATime())


def test_a_receiver_gets_signed_batches_from_which_the_chain_can_be_verified() -> None:
    async def test() -> None:
        async with web() as server:
            destination = hook(server.port)
            assert await destination.deliver(EVENTS[:2], SOURCE) == TAKEN
            assert await destination.deliver(EVENTS[:2], SOURCE) == TAKEN
            assert await destination.deliver(EVENTS[2:5], SOURCE) == TAKEN
            await destination.close()
        first, again, second = server.requests
        line, headers, body = first
        assert line == "POST /in HTTP/1.1"
        assert headers["content-type"] == "application/cloudevents-batch+json"
        assert (headers["x-team"], headers["user-agent"]) == ("blue", "fairlead/1.2.3")
        # An attempt that is repeated is the same; other records are another one.
        ids = [request[1]["webhook-id"] for request in server.requests]
        assert again[2] == body and ids[0] == ids[1] != ids[2]
        seconds = int(headers["webhook-timestamp"])
        assert headers["webhook-signature"].split() == [signature(key, ids[0], seconds, body) for key in KEYS]
        events = json.loads(body) + json.loads(second[2])
        event = events[1]
        assert event.pop("data")["record"]["invocation"] == INVOCATION
        assert event == {
            "specversion": "1.0",
            "id": LOG[1].record_hash.hex(),
            "source": f"/fairlead/logs/{SOURCE.identity}",
            "type": "dev.fairlead.audit.invocation.admitted",
            "time": "2026-11-18T11:06:42.000000000Z",
            "sequence": "00000000000000000002",
            "datacontenttype": "application/json",
            "subject": INVOCATION,
            "tenant": "acme",
        }
        # Names of attributes as the specification has them.
        assert all(re.fullmatch("[a-z0-9]{1,20}", name) for one in events for name in one)
        lines = [json.dumps(one["data"]) for one in json.loads(body) + json.loads(second[2])]
        assert verify_export(lines, (5, LOG[4].record_hash)).valid

    run(test)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ("202 Accepted", TAKEN),
        ("204 No Content", TAKEN),
        ("302 Found", not_taken("status 302: redirects are not followed, write the final URL")),
        ("400 Bad Request", not_taken("status 400", unacceptable=True)),
        ("401 Unauthorized", not_taken("status 401")),
        ("404 Not Found", not_taken("status 404")),
        ("422 Unprocessable Content", not_taken("status 422", unacceptable=True)),
        ("410 Gone", not_taken("status 410: the receiver wants no more")),
        ("413 Content Too Large", not_taken("status 413", too_large=True)),
        ("429 Too Many Requests\r\nRetry-After: 11", not_taken("status 429", 11_000)),
        ("500 Internal Server Error", not_taken("status 500")),
        (None, not_taken("no answer within 0.2 s")),
    ],
)
def test_what_a_receiver_answers(answer: str | None, outcome: Outcome) -> None:
    async def test() -> None:
        async with web() as server:
            server.says = None if answer is None else http_answer(answer)
            destination = hook(server.port, timeout_seconds=0.2 if answer is None else 10)
            assert await destination.deliver(EVENTS[:2], SOURCE) == outcome
            await destination.close()

    run(test)


def test_a_receiver_that_is_not_there() -> None:
    async def test() -> None:
        async with web() as server:
            port = server.port
        destination = hook(port)
        assert await destination.deliver(EVENTS[:1], SOURCE) == not_taken("the connection is refused")
        await destination.close()

    run(test)
