"""A destination that takes batches of CloudEvents over HTTP, signed like notifications."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Callable, Sequence

from fairlead.audit.transparency.checkpoint import SignedCheckpoint
from fairlead.exporting.cloudevents import BATCH_TYPE, batch, checkpoint_batch
from fairlead.exporting.destination import TAKEN, Outcome, Source, not_taken
from fairlead.exporting.settings import Exporter
from fairlead.exporting.thread import OneAtATime
from fairlead.notification import signature
from fairlead.notification.model import Answer, Verdict
from fairlead.notification.sender import HttpSender
from fairlead.v1 import audit_service_pb2

_NANOS = 1_000_000_000
_TOO_LARGE = 413
# What a receiver says of the content, not of who sends it, where to or when.
_UNACCEPTABLE = frozenset((400, 422))


class WebhookDestination:
    """The webhook. Belongs to one event loop."""

    def __init__(
        self, exporter: Exporter, clock: Callable[[], int], program_version: str, computing: OneAtATime
    ) -> None:
        """`clock` gives Unix nanoseconds."""
        self._computing = computing
        self._exporter = exporter
        self._clock = clock
        self._sender = HttpSender(clock, program_version, trusting(exporter.trusted))

    async def deliver(self, events: Sequence[audit_service_pb2.AuditEvent], source: Source) -> Outcome:
        """Makes one request."""
        body = await self._computing.run(lambda: batch(events, source.identity))
        return await self._send(batch_id(self._exporter.name, events[0].record_hash, events[-1].record_hash), body)

    async def publish(self, checkpoint: SignedCheckpoint, source: Source) -> Outcome:
        """Makes one request, with one event."""
        return await self._send(
            batch_id(self._exporter.name, hashlib.sha256(checkpoint.note.encode()).digest()),
            checkpoint_batch(checkpoint, source.identity),
        )

    async def _send(self, message_id: str, body: bytes) -> Outcome:
        exporter = self._exporter
        headers = {
            **exporter.headers,
            "content-type": BATCH_TYPE,
            **signature.headers(exporter.keys, message_id, self._clock() // _NANOS, body),
        }
        answer, _ = await self._sender.exchange(exporter.url, headers, body, exporter.timeout_seconds)
        return outcome_of(answer)

    async def close(self) -> None:
        """Ends idle connections."""
        await self._sender.close()


def outcome_of(answer: Answer) -> Outcome:
    """What an answer means for an exporter: what is not taken is sent again, whatever the status."""
    if answer.verdict is Verdict.DELIVERED:
        return TAKEN
    return not_taken(
        answer.problem,
        answer.retry_after_millis,
        too_large=answer.status_code == _TOO_LARGE,
        unacceptable=answer.status_code in _UNACCEPTABLE,
    )


def trusting(certificates: str | None) -> ssl.SSLContext | None:
    """Trusts these certificates, PEM, alone; None: the system's."""
    return None if certificates is None else ssl.create_default_context(cadata=certificates)


def batch_id(exporter: str, *hashes: bytes) -> str:
    """The id of a request: the same for every attempt with the same content, another one for every exporter and log."""
    parts = (*hashes, exporter.encode())
    return "exp_" + hashlib.sha256(b"fairlead.export.v1\0" + b"".join(parts)).hexdigest()[:32]
