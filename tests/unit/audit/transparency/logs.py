"""Sealed logs in memory, and what somebody with a text editor or a database tool can do to them."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Sequence
from typing import Any

from fairlead.audit.model import GENESIS, StoredRecord, link
from fairlead.audit.store import AuditLog
from fairlead.audit.transparency.bundle import bundle
from fairlead.audit.transparency.keys import pem_of, private_key
from fairlead.audit.transparency.note import VerifierKey
from fairlead.audit.transparency.proofs import Proofs
from fairlead.audit.transparency.sealing import Sealing
from fairlead.audit.transparency.verify import BundleVerification, BundleVerifier
from fairlead.internal.v1 import command_pb2
from fairlead.native import SigningKey
from fairlead.store import CommitFeed, Family, keys
from fairlead.v1 import audit_record_pb2, audit_service_pb2
from tests.unit.audit.fakes import FakeCore, FakeStore
from tests.unit.audit.records import T0


class SealedLog:
    """A log that grows and is signed."""

    def __init__(self, store: FakeStore | None = None, seed: int = 1) -> None:
        self.store = store or FakeStore()
        self.feed = CommitFeed(asyncio.get_running_loop())
        self.feed.publish(len(self.records()))
        self.sealing = Sealing(Recording(self), self.store, self.feed, lambda: T0, lambda n: bytes(range(n)))
        self.sealing.use(private(seed))

    def records(self) -> list[StoredRecord]:
        values = sorted(self.store.families.get(Family.AUDIT, {}).items())
        return [StoredRecord(keys.audit_sequence(key), value[:32], value[32:]) for key, value in values]

    def commit(self, count: int, word: str = "acme") -> None:
        for _ in range(count):
            self.append(audit_record_pb2.AuditRecord(tenant=word))

    def append(self, record: audit_record_pb2.AuditRecord) -> None:
        records = self.records()[-1:]
        record.sequence = records[0].sequence + 1 if records else 1
        data = record.SerializeToString(deterministic=True)
        head = link(records[0].record_hash if records else GENESIS, data)
        self.store.append([StoredRecord(record.sequence, head, data)])
        self.feed.publish(record.sequence)

    async def seal(self) -> str:
        """Signs; the note."""
        signed = await self.sealing.seal()
        assert signed is not None, self.sealing.problem
        return signed.note

    @property
    def key(self) -> VerifierKey:
        return VerifierKey.parse(self.sealing.public_key)

    def lines(self) -> list[dict[str, Any]]:
        """The bundle, line by line; the first one is the head."""
        proofs = Proofs(self.store)
        events, before = [], GENESIS
        for record in self.records():
            events.append(AuditLog(self.store).event(record, before))
            before = record.record_hash
        ranges = proofs.page(audit_service_pb2.ListLogCheckpointsRequest(page_size=1000)).ranges
        return [json.loads(line) for line in bundle(proofs.identity(), events, ranges)]


class Recording(FakeCore):
    """A core that also writes the record of a change into the chain."""

    def __init__(self, log: SealedLog) -> None:
        super().__init__(log.store)
        self.log = log

    def apply(self, command: bytes) -> bytes:
        decoded = command_pb2.Command.FromString(command)
        if decoded.control_write.HasField("record") and self.reject is None:
            record = audit_record_pb2.AuditRecord(
                kind=audit_record_pb2.EVENT_KIND_CONTROL_CHANGED, control_changed=decoded.control_write.record
            )
            self.log.append(record)
        return super().apply(command)


def private(seed: int) -> SigningKey:
    """The same key for the same seed."""
    return private_key(pem_of(bytes([seed]) * 32))


async def grown(sizes: Sequence[int]) -> tuple[SealedLog, list[str]]:
    """A log with a checkpoint after each so many records, and their notes."""
    log = SealedLog()
    await log.sealing.load()
    notes = []
    for size in sizes:
        log.commit(size)
        notes.append(await log.seal())
    return log, notes


def verified(
    lines: Sequence[dict[str, Any]], trusted: Sequence[VerifierKey], anchors: Sequence[str] = ()
) -> BundleVerification:
    """What a verifier says of a bundle's lines."""
    verifier = BundleVerifier(trusted, anchors)
    for fields in lines[1:]:
        if not verifier.feed(fields):
            break
    return verifier.finish()


def rewritten(fields: dict[str, Any], prev_hash: bytes, tenant: str | None = None) -> dict[str, Any]:
    """A record line with other content, and all its hashes made anew."""
    record = audit_record_pb2.AuditRecord.FromString(base64.b64decode(fields["record_bytes"]))
    record.tenant = record.tenant if tenant is None else tenant
    data = record.SerializeToString(deterministic=True)
    return {
        **fields,
        "prev_hash": prev_hash.hex(),
        "record_hash": link(prev_hash, data).hex(),
        "record_bytes": base64.b64encode(data).decode(),
        "record": {**fields["record"], "tenant": record.tenant},
    }
