"""A destination that takes OTLP logs over HTTP, as protobuf."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2

from fairlead.exporting import webhook
from fairlead.exporting.destination import TAKEN, Outcome, Source
from fairlead.exporting.otlp.answer import outcome_of
from fairlead.exporting.otlp.mapping import request
from fairlead.exporting.settings import Exporter
from fairlead.notification.sender import HttpSender
from fairlead.v1 import audit_service_pb2

_PATH = "/v1/logs"


class HttpCollector:
    """The collector. Belongs to one event loop."""

    def __init__(self, exporter: Exporter, clock: Callable[[], int], program_version: str) -> None:
        """`clock` gives Unix nanoseconds."""
        self._exporter = exporter
        self._program_version = program_version
        self._sender = HttpSender(clock, program_version, webhook.trusting(exporter.trusted))
        # A base URL gets the path of the specification; one with a path is meant as it is.
        bare = urlsplit(exporter.url).path in ("", "/")
        self._url = exporter.url.rstrip("/") + _PATH if bare else exporter.url

    async def deliver(self, events: Sequence[audit_service_pb2.AuditEvent], source: Source) -> Outcome:
        """Makes one request."""
        exporter = self._exporter
        body = await asyncio.to_thread(self._body, events, source)
        headers = {**exporter.headers, "content-type": "application/x-protobuf"}
        if exporter.gzip:
            headers["content-encoding"] = "gzip"
        answer, said = await self._sender.exchange(self._url, headers, body, exporter.timeout_seconds)
        outcome = webhook.outcome_of(answer)
        if not outcome.taken:
            return outcome
        try:
            return outcome_of(logs_service_pb2.ExportLogsServiceResponse.FromString(said), len(events))
        except DecodeError:
            # It has said 200.
            return TAKEN

    async def close(self) -> None:
        """Ends idle connections."""
        await self._sender.close()

    def _body(self, events: Sequence[audit_service_pb2.AuditEvent], source: Source) -> bytes:
        include = self._exporter.include_record
        message = request(events, source.identity, self._program_version, include_record=include).SerializeToString()
        return gzip.compress(message, compresslevel=6) if self._exporter.gzip else message
