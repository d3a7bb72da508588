"""What a record only commits to can be erased, and everything that was proven stays proven."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fairlead.audit.erasure.model import ERASED, commitment, digests, revealed
from fairlead.audit.erasure.service import ErasureService
from fairlead.audit.export import parse_fields
from fairlead.audit.rendering import event_to_dict
from fairlead.audit.store import AuditLog
from fairlead.control.errors import Refusal
from fairlead.store import Family
from fairlead.v1 import audit_record_pb2, audit_service_pb2
from tests.unit.audit.records import T0
from tests.unit.audit.transparency.logs import Recording, SealedLog, verified

SALT = bytes(range(16))
WORDS = "asked for by Jane Doe"


def adjusted(reason: str) -> audit_record_pb2.AuditRecord:
    return audit_record_pb2.AuditRecord(
        kind=audit_record_pb2.EVENT_KIND_BUDGET_ADJUSTED,
        budget=audit_record_pb2.BudgetEvent(budget="tenant-month", reason=reason),
    )


async def life() -> tuple[SealedLog, ErasureService]:
    """A log whose third record commits to a value."""
    log = SealedLog()
    await log.sealing.load()
    log.commit(2)
    said, kept = commitment(WORDS, SALT)
    log.store.put(kept.family, kept.key, kept.value)
    log.append(adjusted(said))
    log.commit(1)
    await log.seal()
    return log, ErasureService(Recording(log), log.store, lambda: T0)


def event(log: SealedLog, sequence: int) -> audit_service_pb2.AuditEvent:
    records = log.records()
    before = records[sequence - 2].record_hash
    return AuditLog(log.store).event(records[sequence - 1], before)


def request(**fields: Any) -> audit_service_pb2.EraseValuesRequest:
    return audit_service_pb2.EraseValuesRequest(**{"request_id": "e", "sequence": 3, "reason": "asked to", **fields})


def test_a_value_is_there_until_it_is_erased_and_the_log_verifies_all_the_same() -> None:
    async def test() -> None:
        log, erasure = await life()
        anchor = await log.seal()
        before = event(log, 3)
        assert revealed(before).budget.reason == WORDS
        assert WORDS not in str(before.record) and WORDS.encode() not in before.record_bytes
        assert not any(value.find(WORDS.encode()) >= 0 for value in log.store.families[Family.AUDIT].values())
        assert verified(log.lines(), [log.key], [anchor]).valid
        for _ in range(2):
            assert (await erasure.erase(request(), "asha")).erased == 1
        after = event(log, 3)
        assert not after.values and revealed(after).budget.reason == ERASED
        assert (after.record_bytes, after.record_hash) == (before.record_bytes, before.record_hash)
        for family in log.store.families.values():
            assert not any(WORDS.encode() in value for value in family.values())
        assert verified(log.lines(), [log.key], [anchor]).valid
        (told,) = [record for record in log.records() if b"audit.values_erased" in record.record_bytes]
        change = audit_record_pb2.AuditRecord.FromString(told.record_bytes).control_changed.detail
        assert (change["sequence"], change["reason"]) == (3, "asked to") and len(change["digests"]) == 1

    asyncio.run(test())


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"sequence": 1}, "INVALID_ARGUMENT"),
        ({"sequence": 0}, "INVALID_ARGUMENT"),
        ({"sequence": 1 << 63}, "INVALID_ARGUMENT"),
        ({"reason": " "}, "INVALID_ARGUMENT"),
        ({"reason": "x" * 1025}, "INVALID_ARGUMENT"),
        ({"request_id": ""}, "INVALID_ARGUMENT"),
        ({"sequence": 99}, "NOT_FOUND"),
    ],
)
def test_what_cannot_be_erased_is_refused(fields: dict[str, Any], reason: str) -> None:
    async def test() -> None:
        log, erasure = await life()
        with pytest.raises(Refusal) as refusal:
            await erasure.erase(request(**fields), "asha")
        assert refusal.value.reason == reason and event(log, 3).values

    asyncio.run(test())


def test_nothing_is_erased_twice() -> None:
    async def test() -> None:
        _, erasure = await life()
        await erasure.erase(request(), "asha")
        with pytest.raises(Refusal, match="were erased before"):
            await erasure.erase(request(request_id="again"), "asha")

    asyncio.run(test())


def test_another_value_or_salt_is_found_in_an_export() -> None:
    async def test() -> None:
        log, _ = await life()
        line = event_to_dict(event(log, 3))
        assert parse_fields(line)[2] == ""
        for name, wrong in (("value", "asked for by nobody"), ("salt", "00" * 16), ("digest", "00" * 32)):
            forged = {**line, "values": [{**line["values"][0], name: wrong}]}
            assert "is not the one that the record commits to" in parse_fields(forged)[2]
        lines = log.lines()
        lines[3]["values"][0]["value"] = "asked for by nobody"
        assert verified(lines, [log.key]).chain.first_invalid_sequence == 3
        # Who got a bundle before the value was erased may take it out as well.
        del lines[3]["values"]
        assert verified(lines, [log.key]).valid

    asyncio.run(test())


def test_texts_of_agents_are_no_commitments() -> None:
    said, _ = commitment(WORDS, SALT)
    record = audit_record_pb2.AuditRecord(decision=audit_record_pb2.DecisionRecord(rejection=said), tenant=said)
    assert not list(digests(record, record.SerializeToString()))
    for text in (said + "0", "x" + said, said.upper()):
        assert not list(digests(adjusted(text), adjusted(text).SerializeToString()))
    assert list(digests(adjusted(said), adjusted(said).SerializeToString()))
