"""A log loses its beginning only up to a signed checkpoint, and what is left proves itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.audit.consumers import metrics as consumer_metrics
from fairlead.audit.erasure.model import commitment
from fairlead.audit.faults import faults_refused
from fairlead.audit.listing import Listing
from fairlead.audit.rendering import event_to_line
from fairlead.audit.store import AuditLog, Invocations
from fairlead.audit.tokens import START, PageToken, Position, filter_digest
from fairlead.audit.transparency.exported import verify_export
from fairlead.audit.transparency.merkle import TILE_LEAVES, check_consistency, check_inclusion, leaf_hash
from fairlead.audit.transparency.proofs import Proofs
from fairlead.audit.transparency.store import Seals, StoredTree
from fairlead.audit.trimming import metrics, removal
from fairlead.audit.trimming.beginning import LogTrimmed
from fairlead.audit.trimming.choice import frontier_of
from fairlead.audit.verification import LogVerification, verify_store
from fairlead.audit.watch import LogReader
from fairlead.config.sections.retention import AuditRetention
from fairlead.control.errors import CODES, Refusal
from fairlead.internal.v1 import state_pb2
from fairlead.store import Family, StoreUnavailable, keys
from fairlead.v1 import approval_service_pb2, audit_record_pb2, audit_service_pb2
from tests.unit.audit.transparency.logs import verified
from tests.unit.audit.trimming.lives import DAY, Life


def kept(age_days: int | None = None, size: int | None = None) -> AuditRetention:
    return AuditRetention.model_construct(age=None if age_days is None else age_days * 86_400_000, size=size)


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(300):
            await test()

    asyncio.run(bounded())


def check_whole(life: Life) -> None:
    """Everything that reads the log finds it whole from its beginning on."""
    log, proofs, beginning = AuditLog(life.store), Proofs(life.store), life.beginning
    found = verify_store(life.store)
    assert found.valid, found.problem
    assert (found.first_sequence, found.head_sequence) == (beginning.first_sequence, life.head)
    assert found.checked == life.head - beginning.size
    checkpoints = [one.checkpoint for one in life.checkpoints() if one.checkpoint.size >= beginning.size]
    if not checkpoints:
        return
    last = checkpoints[-1]
    sealed = [*range(beginning.first_sequence, last.size + 1)]
    for some in (sealed[at : at + 500] for at in range(0, len(sealed), 500)):
        for one in proofs.prove(some, last.size).events:
            leaf, index = leaf_hash(one.event.record_bytes), one.event.record.sequence - 1
            check_inclusion(leaf, index, last.size, list(one.proof), last.root)
    for one in checkpoints:
        proven = proofs.consistency(one.size, last.size)
        check_consistency(one.size, one.root, last.size, last.root, list(proven.proof))
    lines = life.bundle()
    assert lines[0]["format"] == f"fairlead-audit-bundle/{2 if beginning.size else 1}"
    anchors = [one.note for one in life.checkpoints() if one.checkpoint.size >= beginning.size]
    result = verified(lines, [life.log.key], anchors)
    assert result.valid, result.chain.problem
    assert result.anchors == len(anchors) and result.chain.first_sequence == beginning.first_sequence
    exported = [event_to_line(log.event(one, log.hash_before(one.sequence))) for one in log.after(0, 10_000, 1 << 30)]
    assert verify_export(exported).valid


def test_nothing_goes_unless_the_configuration_says_so() -> None:
    async def test() -> None:
        life = await (await Life().begin()).sealed(100, 100)
        life.now += 5000 * DAY
        assert not await life.trimming.trim()
        assert life.sequences() == [*range(1, 201)] and life.changes() == []

    run(test)


def test_what_is_too_old_goes_up_to_a_checkpoint_and_the_log_says_so() -> None:
    async def test() -> None:
        life = await (await Life().begin()).sealed(70, 30)
        life.kept = kept(age_days=30)
        life.now += 10 * DAY
        await life.sealed(50, 50)
        anchor = life.checkpoints()[1]
        life.now += 21 * DAY
        assert await life.trimming.trim()
        assert life.sequences() == [*range(101, 202)]
        (said,) = life.changes()
        assert (said["first_sequence"], said["records"], said["why"]) == (101, 100, "age")
        assert said["checkpoint"] == anchor.note and str(said["before"]).endswith("T00:00:00Z")
        assert life.beginning.prev_hash == anchor.checkpoint.chain_head
        # Not again on that day, and nothing more to record.
        assert not await life.trimming.trim(by_age=True)
        await life.log.seal()
        check_whole(life)
        check_whole(await (await life.again()).sealed(10))

    run(test)


def test_the_last_checkpoint_and_what_it_ends_with_stay() -> None:
    """A start compares them; and the chain goes on from the last record."""

    async def test() -> None:
        life = await (await Life().begin()).sealed(70, 30)
        life.kept = kept(age_days=1)
        life.now += 100 * DAY
        assert await life.trimming.trim()
        assert life.sequences() == [*range(71, 102)]
        again = await life.again()
        assert not await again.trimming.trim(), "the end was not signed behind the record of the trim yet"
        await again.log.seal()
        check_whole(again)

    run(test)


def test_a_log_that_is_too_large_is_trimmed_to_less_than_it_may_take() -> None:
    async def test() -> None:
        life = await Life(lag=10).begin()
        life.kept = kept(size=1 << 20)
        for _ in range(60):
            await life.sealed(16, size=4000)
            await life.trimming.trim()
            assert life.trimming.log_bytes <= 1 << 20
        assert all(said["why"] == "size" for said in life.changes())
        # Seldom, and as much at a time.
        assert 5 < len(life.changes()) < 30
        assert life.trimming.log_bytes > (1 << 20) * 3 // 4
        check_whole(life)
        first = life.beginning.first_sequence
        text = metrics.page(life.trimming)
        assert f"fairlead_audit_first_sequence {first}\n" in text
        assert f"fairlead_audit_trimmed_records_total {first - 1}\n" in text
        assert f"fairlead_audit_log_bytes {life.trimming.log_bytes}\n" in text

    run(test)


def test_what_is_read_for_a_consumer_within_the_bound_is_never_lost_and_beyond_it_is_told() -> None:
    async def test() -> None:
        life = await Life(lag=300).begin()
        life.kept = kept(size=1 << 20)
        slow, _ = await life.exporter("slow"), await life.exporter("gone")
        got: list[int] = []
        left: list[object] = []
        for _ in range(20):
            await life.sealed(64, size=8000)
            await life.trimming.trim()
            left += [one["consumer"] for one in life.changes("audit.consumer_left_behind") if not left]
            if life.head - slow.position.sequence > 200:
                batch = await slow.read(max_bytes=1 << 20)
                await slow.acknowledge(batch)
                got += [event.record.sequence for event in batch.events]
            # What it waits for is bounded, too.
            bound = (1 << 20) * 17 // 16 + 300 * 8200 + 2 * 64 * 8200
            assert life.trimming.log_bytes <= bound
        assert got == [*range(1, got[-1] + 1)]
        trims = life.changes()
        assert len(trims) > 3 and trims[-1]["not_waited_for"] == "export:gone"
        assert left == ["export:gone"], "recorded before anything went, and not of the other one"
        # It comes back, in another life.
        life = await life.again()
        missed = life.beginning.size
        assert f'missed_records{{consumer="export:gone"}} {missed}\n' in consumer_metrics.page(life.consumers, life.now)
        back = await life.exporter("gone")
        batch = await back.read()
        assert batch.events[0].record.sequence == missed + 1
        (said,) = life.changes("audit.records_missed")
        assert said == {
            "consumer": "export:gone",
            "acknowledged_sequence": 0,
            "first_sequence": missed + 1,
            "missed_records": missed,
        }
        # Told once: what it has missed is remembered.
        life = await life.again()
        await (await life.exporter("gone")).read()
        assert len(life.changes("audit.records_missed")) == 1
        assert f'missed_records{{consumer="export:gone"}} {missed}\n' in consumer_metrics.page(life.consumers, life.now)

    run(test)


def test_an_exporter_that_is_overtaken_while_it_delivers_goes_on() -> None:
    async def test() -> None:
        life = await (await Life(lag=10).begin()).sealed(64, 64, 64, size=8000)
        exporter = await life.exporter()
        held = await exporter.read(max_records=20)
        life.kept = kept(size=1 << 20)
        assert await life.trimming.trim()
        assert life.beginning.size >= 64
        # What it has in its hands is delivered and acknowledged like anything else.
        await exporter.acknowledge(held)
        assert (await exporter.read()).events[0].record.sequence == life.beginning.first_sequence
        (said,) = life.changes("audit.records_missed")
        assert said["missed_records"] == life.beginning.size - 20

    run(test)


def test_receivers_of_notifications_are_waited_for() -> None:
    async def test() -> None:
        life = await (await Life().begin()).sealed(50, 50, 50)
        life.kept = kept(age_days=1)
        life.now += 10 * DAY
        life.receivers.cursor = 60
        assert await life.trimming.trim()
        assert life.beginning.size == 50

    run(test)


def test_a_position_before_the_beginning_is_refused_with_the_way_on() -> None:
    async def test() -> None:
        life = await (await Life().begin()).sealed(50, 50, 50)
        log = AuditLog(life.store)
        before = [START, *(Position.after(one) for one in life.log.records()[:51])]
        life.kept = kept(age_days=1)
        life.now += 10 * DAY
        assert await life.trimming.trim() and life.beginning.size == 100
        for position in before:
            with pytest.raises(Refusal) as refused, faults_refused():
                log.contains(position)
            assert refused.value.reason == "EVENTS_TRIMMED" and refused.value.reason in CODES
            assert refused.value.metadata["first_sequence"] == "101"
            go_on = Position.decode(refused.value.metadata["resume_token"])
            assert log.contains(go_on) and go_on == log.begin_position()
            reader = LogReader(log, life.log.feed, go_on)
            assert [event.record.sequence for event in await reader.chunk(3)] == [101, 102, 103]
            with pytest.raises(LogTrimmed):
                await LogReader(log, life.log.feed, position).chunk()
        assert not log.contains(replace(log.begin_position(), fingerprint=bytes(8)))
        listing = Listing(log, Invocations(life.store))
        page = listing.page(audit_service_pb2.ListEventsRequest(page_size=2), None)
        assert [event.record.sequence for event in page.events] == [101, 102]
        assert page.events[0].prev_hash == life.beginning.prev_hash
        token = PageToken(7, False, filter_digest(audit_service_pb2.EventFilter()))
        with pytest.raises(LogTrimmed):
            listing.page(audit_service_pb2.ListEventsRequest(), token)
        down = listing.page(audit_service_pb2.ListEventsRequest(page_size=1000, descending=True), None)
        assert (down.events[-1].record.sequence, down.next_page_token) == (101, "")
        for asked in (lambda: Proofs(life.store).prove([100, 101]), lambda: Proofs(life.store).consistency(50)):
            with pytest.raises(LogTrimmed):
                asked()
        with pytest.raises(LogTrimmed):
            LogVerification(log, 1).step()

    run(test)


def test_a_verification_goes_on_where_the_log_begins_when_it_is_trimmed_meanwhile() -> None:
    async def test() -> None:
        life = await (await Life().begin()).sealed(50, 50, 50, 50)
        verification = LogVerification(AuditLog(life.store), 0, life.head)
        assert verification.step()
        life.kept = kept(age_days=1)
        life.now += 10 * DAY
        assert await life.trimming.trim() and life.beginning.size == 150
        while verification.step():
            pass
        result = verification.result()
        assert result.valid and (result.first_sequence, result.head_sequence) == (151, 200)

    run(test)


def test_what_lies_beside_trimmed_records_goes_with_them() -> None:
    async def test() -> None:
        life = await Life().begin()
        run_id = bytes(range(16))
        for salt in (b"a" * 16, b"b" * 16):
            text, write = commitment("somebody's name", salt)
            life.store.put(write.family, write.key, write.value)
            life.commit(1, budget=audit_record_pb2.BudgetEvent(reason=text))
            event = audit_record_pb2.RunEvent(run=f"run_{run_id.hex()}")
            life.commit(1, 100, run=event)
            tenant = "x" * 60
            life.store.put(Family.RUNS, keys.run_event(tenant, run_id, life.head), b"")
            await life.sealed(TILE_LEAVES)
        size = life.checkpoints()[0].checkpoint.size
        life.kept = kept(age_days=1)
        life.now += 10 * DAY
        assert await life.trimming.trim() and life.beginning.size == size
        seals = life.store.families[Family.SEALS]
        assert sum(key.startswith(b"v") for key in seals) == 1
        assert [keys.audit_sequence(key[-8:]) for key in life.store.families[Family.RUNS]] == [size + 2]
        assert [one.checkpoint.size for one in life.checkpoints()] == [size, 2 * size]
        assert keys.seal_tile(0) not in seals and keys.seal_tile(1) in seals
        await life.log.seal()
        check_whole(life)

    run(test)


def test_a_value_that_an_approval_or_a_later_record_has_stays_until_they_are_gone() -> None:
    async def test() -> None:
        life = await Life().begin()
        name = "apr_" + "0a" * 16
        approval = keys.approval_id_bytes(name)
        assert approval is not None
        life.store.put(Family.APPROVALS, keys.approval(approval), b"")
        kept_text, kept_write = commitment("as agreed with her", b"a" * 16)
        erased_text, _ = commitment("erased before", b"b" * 16)
        life.store.put(kept_write.family, kept_write.key, kept_write.value)

        def vote() -> None:
            for text in (kept_text, erased_text):
                given = approval_service_pb2.ApprovalVote(reason=text)
                life.commit(1, approval=audit_record_pb2.ApprovalEvent(approval=name, vote=given))

        async def trimmed() -> None:
            life.now += 10 * DAY
            assert await life.trimming.trim(by_age=True)

        def is_there() -> bool:
            seals = life.store.families[Family.SEALS]
            assert not [key for key in seals if key.startswith(keys.SEAL_TRIMMED_VALUE)] or kept_write.key in seals
            return kept_write.key in seals

        life.kept = kept(age_days=1)
        vote()
        await life.sealed(50, 50)
        await trimmed()
        assert is_there() and life.beginning.size == 52
        # A later record copies it, and then the approval is forgotten.
        vote()
        await life.sealed(50)
        del life.store.families[Family.APPROVALS][keys.approval(approval)]
        life.commit(5)
        await life.trimming.settle()
        noticed = life.head
        await life.sealed(50)
        await trimmed()
        assert life.beginning.size < noticed and is_there(), "records up to where that was noticed may have it"
        life = await life.again()
        await life.trimming.settle()
        assert is_there()
        await life.sealed(50)
        await trimmed()
        assert life.beginning.size >= noticed and not is_there()
        await life.log.seal()
        check_whole(life)

    run(test)


def test_a_life_that_ends_in_the_middle_is_gone_on_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removal, "SLICE_RECORDS", 40)

    async def test() -> None:
        life = await Life().begin()
        await life.sealed(20, 20, 20, 20, 20)
        life.kept = kept(age_days=1)
        life.now += 10 * DAY
        life.writer.breaks_after = 2
        with pytest.raises(StoreUnavailable):
            await life.trimming.trim()
        assert life.sequences()[0] == 41, "one slice is gone, the rest is still there"
        assert life.beginning.size == 80 and len(life.changes()) == 1
        assert verify_store(life.store).valid
        life = await life.again()
        await life.trimming.remove()
        assert life.sequences()[0] == 81 and len(life.changes()) == 1
        await life.log.seal()
        assert verify_store(life.store).valid

    run(test)


def test_a_beginning_that_was_not_signed_is_found() -> None:
    async def test() -> None:
        life = await (await Life().begin()).sealed(50, 50, 50)
        records = life.log.records()
        genuine = life.checkpoints()[1]
        tree = frontier_of(StoredTree(Seals(life.store)), 100)
        forged = state_pb2.AuditBeginningRecord(
            first_sequence=121, prev_hash=records[119].record_hash, note=genuine.note, frontier=tree.hashes
        )
        life.store.delete_ranges([(Family.AUDIT, b"", keys.audit(121))])
        assert verify_store(life.store).first_invalid_sequence == 1
        life.store.put(Family.SEALS, keys.SEAL_BEGINNING, forged.SerializeToString())
        found = verify_store(life.store)
        assert found.first_invalid_sequence == 121 and "not where its checkpoint says" in found.problem
        forged.note = genuine.note.replace("100\n", "120\n")
        life.store.put(Family.SEALS, keys.SEAL_BEGINNING, forged.SerializeToString())
        assert "not genuine" in verify_store(life.store).problem

    run(test)


def test_what_is_not_what_was_signed_is_not_trimmed() -> None:
    async def test() -> None:
        life = await (await Life().begin()).sealed(50, 50, 50)
        life.log.sealing.problem = "record 7 of the audit log is not the one that was signed"
        life.kept = kept(age_days=1, size=1)
        life.now += 10 * DAY
        assert not await life.trimming.trim()
        assert life.sequences() == [*range(1, 151)]

    run(test)


def test_a_log_whose_beginning_an_older_program_signed_is_trimmed_by_an_estimate() -> None:
    async def test() -> None:
        life = await (await Life(lag=10).begin()).sealed(*([16] * 25), size=4000)
        for key, value in list(life.store.families[Family.SEALS].items()):
            if key[:1] in (b"s", b"c"):
                kind = state_pb2.AuditSealRecord if key == b"s" else state_pb2.AuditCheckpointRecord
                record = kind.FromString(value)
                record.ClearField("record_bytes")
                life.store.put(Family.SEALS, key, record.SerializeToString())
        life = await life.again()
        life.kept = kept(size=1 << 20)
        await life.sealed(16, size=4000)
        assert await life.trimming.trim()
        assert (1 << 20) * 3 // 4 < life.trimming.log_bytes <= 1 << 20
        assert 0.7 < (life.head - life.beginning.size) * 4100 / (1 << 20) < 1.1
        await life.log.seal()
        check_whole(life)

    run(test)


def test_tampered_bundles_of_a_trimmed_log_are_found() -> None:
    async def test() -> None:
        life = await (await Life().begin()).sealed(50, 50, 50)
        older = life.checkpoints()[0]
        life.kept = kept(age_days=1)
        life.now += 10 * DAY
        assert await life.trimming.trim()
        await life.log.seal()
        lines, trusted = life.bundle(), [life.log.key]
        assert verified(lines, trusted).valid
        assert "says nothing about the anchor of 50" in verified(lines, trusted, [older.note]).chain.problem
        cut = [*lines[:2], *lines[4:]]
        assert verified(cut, trusted).chain.first_invalid_sequence == 101
        other = {**lines[1], "frontier": lines[1]["frontier"][::-1]}
        assert "frontier" in verified([lines[0], other, *lines[2:]], trusted).chain.problem
        assert "not in front" in verified([*lines[:3], lines[1], *lines[3:]], trusted).chain.problem
        assert verified([lines[0], *lines[2:]], trusted).chain.first_invalid_sequence == 1
        changed = {**lines[5], "record_bytes": lines[6]["record_bytes"]}
        assert verified([*lines[:5], changed, *lines[6:]], trusted).chain.first_invalid_sequence == 104

    run(test)


_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("commit"), st.integers(1, 90)),
        st.tuples(st.just("days"), st.integers(1, 40)),
        st.tuples(st.just("size"), st.integers(2_000, 40_000)),
        st.tuples(st.just("age"), st.integers(1, 60)),
        st.tuples(st.just("acknowledge"), st.integers(0, 2)),
        st.tuples(st.just("kill"), st.integers(0, 4)),
        st.tuples(st.just("again"), st.just(0)),
    ),
    min_size=5,
    max_size=40,
)


@settings(max_examples=25, deadline=None)
@given(_STEPS)
def test_whatever_happens_what_is_left_is_whole_and_nobody_within_the_bound_loses_anything(
    steps: list[tuple[str, int]],
) -> None:
    async def test() -> None:
        life = await (await Life(lag=80).begin()).sealed(30, 40, 7)
        names = ["a", "b", "c"]
        for name in names:
            await life.exporter(name)
        for step, value in steps:
            match step:
                case "commit":
                    await life.sealed(value)
                case "days":
                    life.now += value * DAY
                case "size":
                    life.kept = kept(size=value)
                case "age":
                    life.kept = kept(age_days=value)
                case "acknowledge":
                    consumer = await life.exporter(names[value])
                    if consumer.lag:
                        batch = await consumer.read()
                        assert batch.events[0].record.sequence > life.beginning.size
                        await consumer.acknowledge(batch)
                case "kill":
                    life.writer.breaks_after = value
                case "again":
                    life = await life.again()
                    await life.trimming.remove()
                    assert life.sequences()[0] == life.beginning.first_sequence
            waited_for = life.consumers.read_up_to(80)
            before = life.beginning.size
            try:
                await life.trimming.trim(by_age=True)
            except StoreUnavailable:
                life = await life.again()
            after = life.beginning.size
            assert before == after or after <= waited_for
            assert life.sequences() == [*range(life.sequences()[0], life.head + 1)]
        # Without a kill that is still to come.
        life = await life.again()
        await life.trimming.remove()
        await life.log.seal()
        check_whole(life)

    run(test)
