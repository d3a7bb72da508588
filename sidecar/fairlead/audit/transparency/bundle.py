"""Files that prove something without the sidecar: JSON Lines, UTF-8, the first line says what the file is.

`fairlead-audit-bundle/1`: all records from the first on, as `fairlead audit export` writes them, and behind its last
record every checkpoint: `{"checkpoint": NOTE, "leaf_hashes": BASE64}`, the leaves since the checkpoint before.

`fairlead-audit-bundle/2`: the same of a log that was trimmed. Its second line is where the log begins, the signed
checkpoint of all records before: `{"beginning": NOTE, "frontier": [BASE64, …]}`, with the roots of the perfect subtrees
that its tree is made of, the largest first. Records follow from there on.

`fairlead-audit-evidence/1`: `{"checkpoint": NOTE}`, records with `"proof": [BASE64, …]` (inclusion, RFC 9162), and
`{"config_version": HEX, "config": TEXT}` for each configuration that decided.

`fairlead-audit-consistency/1`: `{"checkpoint": NOTE}` twice, the older one first, then `{"proof": [BASE64, …]}`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from typing import Any

from fairlead.audit.rendering import event_to_dict
from fairlead.v1 import audit_service_pb2

BUNDLE, TRIMMED_BUNDLE = "fairlead-audit-bundle/1", "fairlead-audit-bundle/2"
EVIDENCE, CONSISTENCY = "fairlead-audit-evidence/1", "fairlead-audit-consistency/1"
FORMATS = (BUNDLE, TRIMMED_BUNDLE, EVIDENCE, CONSISTENCY)


def bundle(
    identity: audit_service_pb2.GetAuditLogResponse,
    events: Iterable[audit_service_pb2.AuditEvent],
    ranges: Iterable[audit_service_pb2.SealedRange],
) -> Iterator[str]:
    """The lines of a bundle; both streams begin where the log does and go up in size."""
    begun = identity.beginning.size
    if begun:
        yield _head(TRIMMED_BUNDLE, identity)
        yield _line({"beginning": identity.beginning.note, "frontier": _listed(identity.beginning_frontier)})
    else:
        yield _head(BUNDLE, identity)
    sealed = (one for one in ranges if one.checkpoint.size > begun)
    upcoming = next(sealed, None)
    for event in events:
        yield _line(event_to_dict(event))
        while upcoming is not None and upcoming.checkpoint.size <= event.record.sequence:
            leaves = base64.b64encode(upcoming.leaf_hashes).decode()
            yield _line({"checkpoint": upcoming.checkpoint.note, "leaf_hashes": leaves})
            upcoming = next(sealed, None)


def evidence(
    identity: audit_service_pb2.GetAuditLogResponse,
    subject: str,
    proven: audit_service_pb2.ProveEventsResponse,
    configurations: Iterable[tuple[str, str]] = (),
) -> Iterator[str]:
    """The lines of evidence about `subject`: records with their proofs, and configurations as (version, text)."""
    yield _head(EVIDENCE, identity, subject=subject)
    yield _line({"checkpoint": proven.checkpoint.note})
    for one in proven.events:
        yield _line({**event_to_dict(one.event), "proof": _listed(one.proof)})
    for version, text in configurations:
        yield _line({"config_version": version, "config": text})


def consistency(
    identity: audit_service_pb2.GetAuditLogResponse, proven: audit_service_pb2.ProveConsistencyResponse
) -> Iterator[str]:
    """The lines that show that one checkpoint goes on from another."""
    yield _head(CONSISTENCY, identity)
    yield _line({"checkpoint": proven.old.note})
    yield _line({"checkpoint": proven.new.note})
    yield _line({"proof": _listed(proven.proof)})


def _head(format: str, identity: audit_service_pb2.GetAuditLogResponse, **more: str) -> str:
    # The keys are a convenience: whoever verifies brings his own.
    known = [identity.public_key, *identity.former_public_keys]
    return _line({"format": format, "origin": identity.origin, "public_keys": known, **more})


def _listed(hashes: Iterable[bytes]) -> list[str]:
    return [base64.b64encode(hash).decode() for hash in hashes]


def _line(fields: dict[str, Any]) -> str:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
