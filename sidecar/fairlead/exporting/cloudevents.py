"""Audit records and signed checkpoints → CloudEvents 1.0 in the JSON format. Pure.

`source` and `id` together are unique, as the specification asks: the identity of the log, and the record's hash or that
of the checkpoint's text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from fairlead.audit.json_mapping import to_json
from fairlead.audit.rendering import checkpoint_to_dict, event_to_dict
from fairlead.audit.transparency.checkpoint import SignedCheckpoint
from fairlead.notification.events import event_name
from fairlead.v1 import audit_service_pb2

BATCH_TYPE = "application/cloudevents-batch+json"
_PREFIX = "dev.fairlead.audit."


def batch(events: Sequence[audit_service_pb2.AuditEvent], identity: str) -> bytes:
    """The batch as it is sent; `identity` is that of the log."""
    return _encoded([cloud_event(event, identity) for event in events])


def checkpoint_batch(checkpoint: SignedCheckpoint, identity: str) -> bytes:
    """The batch of a checkpoint, which is alone in it."""
    return _encoded([checkpoint_event(checkpoint, identity)])


def cloud_event(event: audit_service_pb2.AuditEvent, identity: str) -> dict[str, Any]:
    """One record; `sequence` and `tenant` are extension attributes, `data` is a line of `fairlead audit export`."""
    record = event.record
    made = {
        "specversion": "1.0",
        "id": event.record_hash.hex(),
        "source": _source(identity),
        "type": _PREFIX + event_name(record.kind),
        "time": _time(record.time_unix_nanos),
        # By the extension's specification a text whose order is that of the events.
        "sequence": f"{record.sequence:020d}",
        "datacontenttype": "application/json",
        "data": event_to_dict(event),
    }
    if record.tenant:
        made["tenant"] = record.tenant
    if record.invocation:
        made["subject"] = record.invocation
    return made


def checkpoint_event(checkpoint: SignedCheckpoint, identity: str) -> dict[str, Any]:
    """A checkpoint; `data` is its line of an export. The note itself makes the id: another signature is another one."""
    return {
        "specversion": "1.0",
        "id": hashlib.sha256(checkpoint.note.encode()).hexdigest(),
        "source": _source(identity),
        "type": _PREFIX + "checkpoint",
        "time": _time(checkpoint.checkpoint.time),
        "datacontenttype": "application/json",
        "data": checkpoint_to_dict(checkpoint.note),
    }


def _source(identity: str) -> str:
    return f"/fairlead/logs/{identity}"


def _time(unix_nanos: int) -> str:
    seconds, rest = divmod(unix_nanos, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def _encoded(documents: Sequence[dict[str, Any]]) -> bytes:
    return to_json(documents).encode()
