"""When checkpoints are signed, by whom, and when never."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fairlead.audit.store import AuditLog
from fairlead.audit.streaming import ResponseReader, Wish, responses
from fairlead.audit.tokens import START, Position
from fairlead.audit.transparency import bundle, metrics
from fairlead.audit.transparency.checkpoint import Checkpoint, SignedCheckpoint
from fairlead.audit.transparency.evidence import verify_consistency, verify_evidence
from fairlead.audit.transparency.keys import KEY_FILE, KeyUnusable, own_key, private_key
from fairlead.audit.transparency.lines import parse_line
from fairlead.audit.transparency.merkle import check_inclusion, leaf_hash, root_of
from fairlead.audit.transparency.note import InvalidKey, InvalidNote, SignerKey, VerifierKey, open_note, sign
from fairlead.audit.transparency.proofs import Proofs
from fairlead.audit.transparency.sealing import EVERY_RECORDS
from fairlead.audit.transparency.store import Seals, StoredTree
from fairlead.internal.v1 import command_pb2
from fairlead.store import Family, keys
from fairlead.v1 import audit_service_pb2
from tests.unit.audit.transparency.logs import Recording, SealedLog, grown, private, verified


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await test()

    asyncio.run(bounded())


def test_a_known_key_signs_a_known_note() -> None:
    """RFC 8032's first key and C2SP's form, so that other implementations find what they expect."""
    key = SignerKey("fairlead.audit/00", private_key(PEM))
    verifier = key.verifier
    assert verifier.public.hex() == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert VerifierKey.parse(str(verifier)) == verifier
    note = sign("some text\n", [key])
    assert note.startswith("some text\n\n— fairlead.audit/00 ") and note.endswith("\n")
    assert open_note(note, [verifier]) == ("some text\n", [verifier])
    with pytest.raises(InvalidNote, match="none of the given"):
        open_note(note, [VerifierKey("fairlead.audit/01", verifier.public)])
    with pytest.raises(InvalidNote, match="is not the one of key"):
        open_note(note.replace("some", "same"), [verifier])
    for broken in ("", "\n\n", "text\n", "text\n\nx\n", note[:-1], note.replace("— ", "- ")):
        with pytest.raises(InvalidNote):
            open_note(broken, [verifier])
    for wrong in ("", "a+b", str(verifier)[:-4], str(verifier).replace("+", "+0", 1)):
        with pytest.raises(InvalidKey):
            VerifierKey.parse(wrong)


PEM = """\
-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
"""


def test_a_checkpoint_is_read_as_it_was_written() -> None:
    checkpoint = Checkpoint("fairlead.audit/" + "0f" * 16, 12, bytes(range(32)), bytes(32), 1_795_000_000_000_000_000)
    assert checkpoint.text().splitlines()[:2] == ["fairlead.audit/" + "0f" * 16, "12"]
    assert Checkpoint.parse(checkpoint.text()) == checkpoint
    assert Checkpoint.parse(checkpoint.text() + "later versions say more\n") == checkpoint
    for broken in ("", checkpoint.text()[:-1], checkpoint.text().replace("12\n", "012\n"), "x" + checkpoint.text()):
        with pytest.raises(InvalidNote):
            Checkpoint.parse(broken)


def test_the_sidecars_own_key_is_made_once_and_is_nobody_elses(tmp_path: Path) -> None:
    made = own_key(tmp_path)
    assert (tmp_path / KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert own_key(tmp_path).public == made.public
    (tmp_path / KEY_FILE).write_text("nonsense")
    with pytest.raises(KeyUnusable, match=r"audit\.key is not a private key"):
        own_key(tmp_path)


def test_sealing_goes_on_after_a_restart_without_reading_the_log_again() -> None:
    async def test() -> None:
        log, notes = await grown([300, 5])
        again = SealedLog(log.store)
        log.store.largest_scan = 0
        await again.sealing.load()
        assert (again.sealing.size, again.sealing.problem) == (305, "")
        assert log.store.largest_scan < 10
        again.commit(300)
        notes.append(await again.seal())
        result = verified(again.lines(), [log.key], notes)
        assert result.valid and result.checkpoints == 3
        tree = StoredTree(Seals(log.store))
        data = [leaf_hash(record.record_bytes) for record in again.records()]
        assert tree.subtree(0, 605) == root_of(data) and Seals(log.store).tile(1) == root_of(data[256:512])

    run(test)


def test_a_checkpoint_comes_with_64_records_and_what_waits_hears_of_it() -> None:
    async def test() -> None:
        log = SealedLog()
        await log.sealing.load()
        running = asyncio.ensure_future(log.sealing.run())
        log.commit(EVERY_RECORDS)
        await log.sealing.wait_newer(0)
        assert log.sealing.last is not None and log.sealing.last.checkpoint.size == EVERY_RECORDS
        running.cancel()

    run(test)


def test_nothing_is_signed_twice_and_nothing_when_the_store_refuses() -> None:
    async def test() -> None:
        log, (note,) = await grown([3])
        assert await log.seal() == note and log.sealing.made == 1
        core = log.sealing._core
        assert isinstance(core, Recording)
        core.reject = command_pb2.Rejection(reason="STORE_UNAVAILABLE", message="the store takes no writes")
        log.commit(2)
        await log.sealing.stop()
        assert log.sealing.last is not None and log.sealing.last.checkpoint.size == 3
        core.reject = None
        await log.seal()
        assert verified(log.lines(), [log.key]).valid

    run(test)


@pytest.mark.parametrize("what", ["record", "frontier", "note"])
def test_a_log_that_is_not_what_was_signed_is_never_signed(what: str) -> None:
    async def test() -> None:
        log, _ = await grown([4, 3])
        store = log.store
        match what:
            case "record":
                store.put(Family.AUDIT, keys.audit(7), bytes(32) + log.records()[6].record_bytes)
            case "frontier":
                state = Seals(store).state()
                assert state is not None
                state.frontier[0] = bytes(32)
                store.put(Family.SEALS, keys.SEAL_STATE, state.SerializeToString())
            case "note":
                value = store.families[Family.SEALS][keys.seal_checkpoint(7)]
                store.put(Family.SEALS, keys.seal_checkpoint(7), value.replace(b"\n7\n", b"\n8\n"))
        again = SealedLog(store)
        await again.sealing.load()
        again.commit(3)
        await again.sealing.seal()
        assert again.sealing.problem
        assert Seals(store).exactly(10) is None
        assert "fairlead_audit_sealing 0\n" in metrics.page(again.sealing)

    run(test)


def test_a_record_that_does_not_follow_is_not_signed() -> None:
    async def test() -> None:
        log, _ = await grown([4])
        log.commit(2)
        log.store.put(Family.AUDIT, keys.audit(5), bytes(32) + log.records()[4].record_bytes)
        assert (await log.sealing.seal()) == log.sealing.last
        assert "record 5" in log.sealing.problem and log.sealing.size == 4

    run(test)


def test_who_trusts_the_former_key_can_trust_the_one_it_announces() -> None:
    async def test() -> None:
        log, notes = await grown([4])
        former = log.key
        log.sealing.use(private(2))
        log.commit(2)
        notes.append(await log.seal())
        log.commit(2)
        notes.append(await log.seal())
        assert log.key != former and log.sealing.former_public_keys == [str(former)]
        sizes = [SignedCheckpoint.unverified(note).checkpoint.size for note in notes]
        assert sizes == [4, 7, 9], "the former key signed 6, both signed the record of the change"
        for trusted in ([former], [log.key, former]):
            result = verified(log.lines(), trusted)
            assert result.valid and result.signed is not None and result.signed.size == 9, result.chain.problem
        # The new key alone says nothing of what came before it.
        assert not verified(log.lines(), [log.key]).valid

    run(test)


def test_a_new_key_signs_at_once_and_one_that_never_signed_is_not_missed() -> None:
    async def test() -> None:
        log, _ = await grown([4])
        former = log.key
        running = asyncio.ensure_future(log.sealing.run())
        log.sealing.use(private(2))
        log.sealing.use(private(3))
        await log.sealing.wait_newer(4)
        running.cancel()
        assert log.sealing.former_public_keys == [str(former)]
        assert verified(log.lines(), [former]).valid

    run(test)


def test_a_key_whose_former_one_is_gone_has_to_be_given() -> None:
    async def test() -> None:
        log, _ = await grown([4])
        former = log.key
        again = SealedLog(log.store, seed=3)
        await again.sealing.load()
        await again.seal()
        assert not verified(again.lines(), [former]).valid
        assert verified(again.lines(), [former, again.key]).valid

    run(test)


def test_proofs_hold_for_every_record_and_only_for_it() -> None:
    async def test() -> None:
        log, _ = await grown([70, 200, 300, 13])
        proofs = Proofs(log.store)
        proven = proofs.prove([1, 70, 71, 256, 257, 583])
        root = proven.checkpoint.root_hash
        for one in proven.events:
            leaf = leaf_hash(one.event.record_bytes)
            check_inclusion(leaf, one.event.record.sequence - 1, 583, list(one.proof), root)
        assert proofs.prove([70]).checkpoint.size == 70, "the first checkpoint that has it"
        consistent = proofs.consistency(70)
        assert (consistent.old.size, consistent.new.size) == (70, 583)

    run(test)


def test_evidence_and_consistency_are_verified_with_the_key_alone() -> None:
    async def test() -> None:
        log, notes = await grown([70, 30])
        proofs = Proofs(log.store)
        identity = proofs.identity()

        def lines(*, changed: int = 0) -> list[dict[str, Any]]:
            made = list(map(parse_line, bundle.evidence(identity, "inv", proofs.prove([3, 90]))))[1:]
            if changed:
                raw = bytearray(base64.b64decode(made[changed]["record_bytes"]))
                raw[-1] ^= 1
                made[changed]["record_bytes"] = base64.b64encode(bytes(raw)).decode()
            return made

        good = verify_evidence(lines(), [log.key], notes)
        assert good.valid and good.records == 2 and good.signed is not None and good.signed.size == 100
        bad = verify_evidence(lines(changed=2), [log.key])
        assert not bad.valid and bad.first_invalid_sequence == 90
        assert not verify_evidence(lines()[1:], [log.key]).valid
        assert not verify_evidence(lines(), [replace(log.key, public=bytes(32))]).valid

        two = list(map(parse_line, bundle.consistency(identity, proofs.consistency(70))))[1:]
        shown = verify_consistency(two, [log.key], notes)
        assert shown.valid and shown.older is not None and shown.older.size == 70
        two[-1]["proof"] = two[-1]["proof"][1:]
        assert not verify_consistency(two, [log.key]).valid

    run(test)


def test_a_stream_has_a_checkpoint_behind_its_records_also_when_it_comes_later() -> None:
    async def test() -> None:
        log, _ = await grown([3])
        log.commit(2)
        draining = asyncio.Event()
        everything = Wish(audit_service_pb2.EventFilter())
        stream = responses(ResponseReader(AuditLog(log.store), log.feed, START, everything), draining, log.sealing)

        async def take() -> int:
            response = audit_service_pb2.WatchEventsResponse.FromString(await anext(stream))
            if response.HasField("checkpoint"):
                assert Position.decode(response.resume_token).sequence >= response.checkpoint.size
                return -response.checkpoint.size
            return response.event.record.sequence

        assert [await take() for _ in range(6)] == [1, 2, 3, 4, 5, -3]
        waiting = asyncio.ensure_future(take())
        await asyncio.sleep(0)
        await log.seal()
        assert await waiting == -5
        log.commit(1)
        assert await take() == 6
        await stream.aclose()

    run(test)
