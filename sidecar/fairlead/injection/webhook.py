"""The mutating admission webhook: HTTPS in front of `review`, and a plain port for who watches it.

| port | request | answer |
|---|---|---|
| reviews | `POST /mutate` with an AdmissionReview | 200 and the answer; 400 when it is none, 413 when it is too large |
| both | `GET /healthz` | 200 |
| both | `GET /readyz` | 200; 503 while it stops |
| health | `GET /metrics` | Prometheus text |

State: none, but for what it counts.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from fairlead.injection.certificate import Certificate
from fairlead.injection.connections import Answer, Port, Refused, Request, answer_json
from fairlead.injection.metrics import Counted
from fairlead.injection.review import MalformedReview, Reviewed, review
from fairlead.injection.settings import Settings

# The API server takes requests of 3 MiB; a review has one such object and some fields.
BODY_MAX_BYTES = 4 << 20
# Most pods' are a tenth of it. One of the largest takes about a hundred megabytes while it is reviewed.
_LARGE_BYTES = 64 << 10
_CONNECTIONS_MAX = 256
# Probes and scrapes; apart, so that whoever reaches this port takes no connection from the API server.
_HEALTH_CONNECTIONS_MAX = 32
_MALFORMED = (400, 413, 415)
_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_log = logging.getLogger(__name__)


class Webhook:
    """The webhook with its two ports."""

    def __init__(
        self, settings: Settings, certificate: Certificate, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        """`clock` tells seconds of any beginning."""
        self._settings, self._certificate, self._clock = settings, certificate, clock
        self._counted = Counted()
        self._reviews = Port(
            self._on_review_port,
            connections_max=_CONNECTIONS_MAX,
            body_max_bytes=BODY_MAX_BYTES,
            large_bytes=_LARGE_BYTES,
            refused=self._on_refused,
        )
        self._health = Port(self._on_health_port, connections_max=_HEALTH_CONNECTIONS_MAX, body_max_bytes=0)
        self._stopping = False

    async def start(self, host: str, port: int) -> int:
        """Listens for reviews; returns the port. Raises OSError."""
        return await self._reviews.start(host, port, self._certificate.context())

    async def start_health(self, host: str, port: int) -> int:
        """Listens for probes and scrapes, without TLS; returns the port. Raises OSError."""
        return await self._health.start(host, port)

    async def stop(self, grace_seconds: float) -> None:
        """Takes no more connections and lets reviews that have begun end."""
        self._stopping = True
        await self._reviews.stop(grace_seconds)
        # Last: until then it says that the webhook is not ready.
        await self._health.stop(0)

    async def _on_review_port(self, request: Request) -> Answer:
        if request.path in ("/healthz", "/readyz"):
            return self._probed(request)
        if request.path != "/mutate":
            raise Refused(404, "there is nothing here: reviews go to /mutate")
        if request.method != "POST":
            raise Refused(405, "a review is posted")
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise Refused(415, "a review is application/json")
        begun = self._clock()
        try:
            # A large pod takes a while to be copied; probes go on meanwhile.
            done = await asyncio.to_thread(review, request.body, self._settings)
        except MalformedReview as error:
            _log.warning("malformed review: %s", error)
            raise Refused(400, str(error)) from None
        except Exception:
            self._counted.ended("failed")
            raise
        answer = answer_json(200, done.answer)
        self._counted.took(self._clock() - begun)
        self._counted.ended(done.outcome)
        _say(done)
        return answer

    async def _on_health_port(self, request: Request) -> Answer:
        if request.path not in ("/healthz", "/readyz", "/metrics"):
            raise Refused(404, "there is nothing here: /healthz, /readyz and /metrics are")
        if request.method != "GET":
            raise Refused(405, "this is read with GET")
        if request.path != "/metrics":
            return self._probed(request)
        page = self._counted.page(self._certificate.expires, not self._certificate.failing)
        return Answer(200, page.encode(), _METRICS_TYPE)

    def _probed(self, request: Request) -> Answer:
        ready = not (request.path == "/readyz" and self._stopping)
        return answer_json(200 if ready else 503, {"ready": ready})

    def _on_refused(self, status: int) -> None:
        if status in _MALFORMED:
            self._counted.ended("malformed")


def _say(done: Reviewed) -> None:
    response = done.answer["response"]
    reason = {"reason": response["status"]["message"]} if "status" in response else {}
    _log.info("reviewed", extra={"outcome": done.outcome, "pod": done.pod, "uid": done.uid, **reason})
