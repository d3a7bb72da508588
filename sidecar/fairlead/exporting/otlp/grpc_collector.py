"""A destination that takes OTLP logs or traces over gRPC."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

from fairlead.audit.transparency.checkpoint import SignedCheckpoint
from fairlead.exporting.destination import TAKEN, Outcome, Source, not_taken
from fairlead.exporting.otlp.signals import Logs, Signal
from fairlead.exporting.settings import Exporter
from fairlead.exporting.thread import OneAtATime
from fairlead.v1 import audit_service_pb2

_DEFAULT_PORT = 4317
# How servers in the field say that a message is larger than they take, with the same code as for overload.
_LARGER = "larger than max"
_DETAILS = "grpc-status-details-bin"


class GrpcCollector:
    """The collector. Belongs to one event loop."""

    def __init__(
        self, exporter: Exporter, program_version: str, computing: OneAtATime, signal: Signal | None = None
    ) -> None:
        """`signal` is logs unless it is given."""
        self._computing = computing
        self._exporter = exporter
        self._signal = signal or Logs(program_version, include_record=exporter.include_record)
        self._channel: grpc.aio.Channel | None = None

    async def deliver(self, events: Sequence[audit_service_pb2.AuditEvent], source: Source) -> Outcome:
        """Makes one call."""
        return await self._send(await self._computing.run(lambda: self._signal.message(events, source)), len(events))

    async def publish(self, checkpoint: SignedCheckpoint, source: Source) -> Outcome:
        """Makes one call."""
        return await self._send(self._signal.checkpoint(checkpoint, source), 1)

    async def _send(self, message: Message | None, records: int) -> Outcome:
        if message is None:
            return TAKEN
        exporter = self._exporter
        if self._channel is None:
            self._channel = self._connected(await asyncio.to_thread(_roots, exporter.trusted))
        export = self._signal.export(self._channel)
        try:
            response = await export(message, timeout=exporter.timeout_seconds, metadata=tuple(exporter.headers.items()))
        except grpc.aio.AioRpcError as error:
            too_large = error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and _LARGER in (error.details() or "")
            problem = f"status {error.code().name}"
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                problem = f"no answer within {exporter.timeout_seconds:g} s"
            unacceptable = error.code() is grpc.StatusCode.INVALID_ARGUMENT
            return not_taken(problem, _retry_after_millis(error), too_large=too_large, unacceptable=unacceptable)
        return self._signal.outcome(response, records)

    async def close(self) -> None:
        """Ends the connection."""
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close(None)

    def _connected(self, roots: bytes | None) -> grpc.aio.Channel:
        parts = urlsplit(self._exporter.url)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        target = f"{host}:{parts.port or _DEFAULT_PORT}"
        options = [
            # The environment's proxies are not asked, and connections are nobody else's.
            ("grpc.enable_http_proxy", 0),
            ("grpc.use_local_subchannel_pool", 1),
            # When is tried again is decided here.
            ("grpc.enable_retries", 0),
            ("grpc.initial_reconnect_backoff_ms", self._exporter.retry.initial_millis),
            # By this name gRPC means how long a connection may take to be made.
            ("grpc.min_reconnect_backoff_ms", int(self._exporter.timeout_seconds * 1000)),
            ("grpc.max_reconnect_backoff_ms", self._exporter.retry.initial_millis),
        ]
        compression = grpc.Compression.Gzip if self._exporter.gzip else grpc.Compression.NoCompression
        if parts.scheme == "http":
            return grpc.aio.insecure_channel(target, options=options, compression=compression)
        credentials = grpc.ssl_channel_credentials(root_certificates=roots)
        return grpc.aio.secure_channel(target, credentials, options=options, compression=compression)


def _roots(trusted: str | None) -> bytes | None:
    """The certificates that are trusted, PEM: gRPC would bring its own instead of the system's."""
    if trusted is not None:
        return trusted.encode("ascii")
    file = ssl.get_default_verify_paths().cafile
    return None if file is None else Path(file).read_bytes()


def _retry_after_millis(error: grpc.aio.AioRpcError) -> int:
    """What the collector asks to wait; 0 when it does not."""
    metadata: Any = error.trailing_metadata()
    for key, value in metadata or ():
        if key == _DETAILS and isinstance(value, bytes):
            with contextlib.suppress(DecodeError):
                for detail in status_pb2.Status.FromString(value).details:
                    info = error_details_pb2.RetryInfo()
                    if detail.Unpack(info):
                        return max(0, int(info.retry_delay.ToMilliseconds()))
    return 0
