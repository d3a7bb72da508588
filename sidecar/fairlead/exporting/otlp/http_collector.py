"""A destination that takes OTLP logs or traces over HTTP, as protobuf."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from google.protobuf.message import DecodeError, Message

from fairlead.audit.transparency.checkpoint import SignedCheckpoint
from fairlead.exporting import webhook
from fairlead.exporting.destination import TAKEN, Outcome, Source
from fairlead.exporting.otlp.signals import Logs, Signal
from fairlead.exporting.settings import Exporter
from fairlead.exporting.thread import OneAtATime
from fairlead.notification.sender import HttpSender
from fairlead.v1 import audit_service_pb2


class HttpCollector:
    """The collector. Belongs to one event loop."""

    def __init__(
        self,
        exporter: Exporter,
        clock: Callable[[], int],
        program_version: str,
        computing: OneAtATime,
        signal: Signal | None = None,
    ) -> None:
        """`clock` gives Unix nanoseconds; `signal` is logs unless it is given."""
        self._computing = computing
        self._exporter = exporter
        self._signal = signal or Logs(program_version, include_record=exporter.include_record)
        self._sender = HttpSender(clock, program_version, webhook.trusting(exporter.trusted))
        # A base URL gets the path of the specification; one with a path is meant as it is.
        bare = urlsplit(exporter.url).path in ("", "/")
        self._url = exporter.url.rstrip("/") + self._signal.path if bare else exporter.url

    async def deliver(self, events: Sequence[audit_service_pb2.AuditEvent], source: Source) -> Outcome:
        """Makes one request."""
        body = await self._computing.run(lambda: self._body(self._signal.message(events, source)))
        return await self._send(body, len(events))

    async def publish(self, checkpoint: SignedCheckpoint, source: Source) -> Outcome:
        """Makes one request."""
        return await self._send(self._body(self._signal.checkpoint(checkpoint, source)), 1)

    async def _send(self, body: bytes | None, records: int) -> Outcome:
        if body is None:
            return TAKEN
        exporter = self._exporter
        headers = {**exporter.headers, "content-type": "application/x-protobuf"}
        if exporter.gzip:
            headers["content-encoding"] = "gzip"
        answer, said = await self._sender.exchange(self._url, headers, body, exporter.timeout_seconds)
        outcome = webhook.outcome_of(answer)
        if not outcome.taken:
            return outcome
        try:
            return self._signal.outcome(said, records)
        except DecodeError:
            # It has said 200.
            return TAKEN

    async def close(self) -> None:
        """Ends idle connections."""
        await self._sender.close()

    def _body(self, made: Message | None) -> bytes | None:
        if made is None:
            return None
        message = made.SerializeToString()
        return gzip.compress(message, compresslevel=6) if self._exporter.gzip else message
