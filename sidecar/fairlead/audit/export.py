"""The export format: one JSON object per line, from which anybody can recompute the chain without Fairlead.

`FORMAT` tells its readers what they need to know; it is printed by `fairlead audit export --help`.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from google.protobuf import json_format

from fairlead.audit.erasure.model import digest_of, digests
from fairlead.audit.model import StoredRecord, Undecodable, parse_record
from fairlead.audit.rendering import message_to_dict
from fairlead.v1 import audit_record_pb2

FORMAT = """\
format: JSON Lines, UTF-8, one object per record in sequence order, with the fields
  sequence      number, from 1 without gaps
  prev_hash     64 hex digits: record_hash of the record before; 64 zeros for record 1
  record_hash   64 hex digits: SHA-256(prev_hash ‖ record_bytes), over the 32 + n raw bytes
  record_bytes  base64 (RFC 4648, padded) of the exact bytes that were hashed: a protobuf fairlead.v1.AuditRecord
  record        the same record in words: protobuf's JSON mapping with the field names of audit_record.proto
                (64-bit integers are strings, bytes are base64, times are Unix nanoseconds)
  values        only where the record commits to values: each with digest (hex), salt (hex) and value; the record has
                erasable:sha256:DIGEST in the place of the value, and DIGEST is SHA-256(salt ‖ value)
Exporters write signed checkpoints in between, in lines of their own with the field
  checkpoint    a signed note (C2SP) over the record_hash of a record that came before, in the line "chain"

To verify a line without Fairlead: decode record_bytes, put the 32 bytes of prev_hash before them, compare their SHA-256
with record_hash, and compare prev_hash with the record_hash of the line before.
"""


def parse_fields(fields: Any) -> tuple[StoredRecord, bytes, str]:
    """Record, hash before it, and what is wrong with a line, which is decoded already, if anything."""
    try:
        record = StoredRecord(
            int(fields["sequence"]),
            bytes.fromhex(fields["record_hash"]),
            base64.b64decode(fields["record_bytes"], validate=True),
        )
        prev_hash = bytes.fromhex(fields["prev_hash"])
        told = fields["record"]
        values = [
            (bytes.fromhex(one["digest"]), bytes.fromhex(one["salt"]), str(one["value"]))
            for one in fields.get("values", ())
        ]
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        return StoredRecord(0, b"", b""), b"", f"the line is not one of an export: {error!r}"
    try:
        parsed = parse_record(record.record_bytes)
        agrees = _same(told, parsed)
    except Undecodable as error:
        return record, prev_hash, f"record {record.sequence} cannot be decoded: {error}"
    committed = set(digests(parsed, record.record_bytes))
    if any(digest not in committed or digest_of(value, salt) != digest for digest, salt, value in values):
        return record, prev_hash, f"a value of record {record.sequence} is not the one that the record commits to"
    return record, prev_hash, "" if agrees else f"what line {record.sequence} says in words is not what its bytes say"


def _same(told: Any, record: audit_record_pb2.AuditRecord) -> bool:
    """True when `told` is the JSON of `record`, whatever the order and spelling of its fields."""
    if told == message_to_dict(record):
        return True
    try:
        return bool(json_format.ParseDict(told, audit_record_pb2.AuditRecord()) == record)
    except (json_format.ParseError, TypeError, AttributeError):
        return False
