"""Audit record → CloudEvents 1.0 in the JSON format. Pure.

`source` and `id` together are unique, as the specification asks: the identity of the log and the record's hash.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from fairlead.audit.rendering import event_to_dict
from fairlead.notification.events import event_name
from fairlead.v1 import audit_service_pb2

BATCH_TYPE = "application/cloudevents-batch+json"
_PREFIX = "dev.fairlead.audit."


def batch(events: Sequence[audit_service_pb2.AuditEvent], identity: str) -> bytes:
    """The batch as it is sent; `identity` is that of the log."""
    documents = [cloud_event(event, identity) for event in events]
    return json.dumps(documents, ensure_ascii=False, separators=(",", ":")).encode()


def cloud_event(event: audit_service_pb2.AuditEvent, identity: str) -> dict[str, Any]:
    """One record; `sequence` and `tenant` are extension attributes, `data` is a line of `fairlead audit export`."""
    record = event.record
    seconds, rest = divmod(record.time_unix_nanos, 1_000_000_000)
    made = {
        "specversion": "1.0",
        "id": event.record_hash.hex(),
        "source": f"/fairlead/logs/{identity}",
        "type": _PREFIX + event_name(record.kind),
        "time": f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z",
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
