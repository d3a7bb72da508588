"""The chain: what verifies, and that nothing else does."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.audit.model import GENESIS, ChainVerifier, StoredRecord, Verification, event_of, link
from fairlead.audit.store import AuditLog, split_entry
from fairlead.audit.verification import SLICE_RECORDS, LogVerification, verify_store
from fairlead.store import Family, StoreUnavailable, keys
from tests.unit.audit.fakes import FakeStore
from tests.unit.audit.records import INVOCATION, chain, ended, log, started

LENGTH = 8
LOG = log(LENGTH)


def stored(records: list[StoredRecord]) -> FakeStore:
    store = FakeStore()
    store.append(records)
    return store


def verified(store: FakeStore, first: int = 0, last: int = 0, at_least: int = 0) -> Verification:
    verification = LogVerification(AuditLog(store), first, last, at_least)
    while verification.step():
        pass
    return verification.result()


def test_the_definition_of_the_hash() -> None:
    assert link(GENESIS, b"abc") == hashlib.sha256(bytes(32) + b"abc").digest()
    assert link(LOG[0].record_hash, LOG[1].record_bytes) == LOG[1].record_hash


def test_an_untouched_log_is_valid() -> None:
    assert verified(stored(LOG)) == Verification(LENGTH, LENGTH, LOG[-1].record_hash)


def test_an_empty_log_is_valid_and_has_no_head() -> None:
    assert verified(FakeStore()) == Verification(0, 0, b"")


def test_a_log_longer_than_a_slice_is_verified_in_slices() -> None:
    records = log(2 * SLICE_RECORDS + 3)
    store = stored(records)
    assert verified(store) == Verification(len(records), len(records), records[-1].record_hash)
    assert store.largest_scan == SLICE_RECORDS


@pytest.mark.parametrize(("first", "last", "checked", "head"), [(1, 3, 3, 3), (4, 6, 3, 6), (5, 0, 4, 8), (8, 8, 1, 8)])
def test_a_range_is_verified_from_the_hash_before_it(first: int, last: int, checked: int, head: int) -> None:
    assert verified(stored(LOG), first, last) == Verification(checked, head, LOG[head - 1].record_hash)


def test_damage_outside_the_range_does_not_matter() -> None:
    store = stored(LOG)
    store.put(Family.AUDIT, keys.audit(2), b"x" * 40)
    assert verified(store, 4, 6).valid
    assert not verified(store, 3, 6).valid


def test_a_range_that_follows_nothing_is_invalid() -> None:
    store = stored(LOG)
    store.put(Family.AUDIT, keys.audit(4), None)
    result = verified(store, 5, 6)
    assert (result.valid, result.first_invalid_sequence, result.checked) == (False, 5, 0)
    assert "record 4" in result.problem


def test_a_range_beyond_the_end_is_invalid() -> None:
    result = verified(stored(LOG), 7, 10)
    assert (result.valid, result.first_invalid_sequence, result.checked) == (False, LENGTH + 1, 2)
    assert result.head_sequence == LENGTH


def test_the_cut_off_end_is_found_when_its_sequence_is_known() -> None:
    result = verified(stored(LOG[:-2]), at_least=LENGTH)
    assert (result.valid, result.first_invalid_sequence) == (False, LENGTH - 1)
    assert verified(stored(LOG[:-2])).valid


def test_the_cut_off_end_is_found_by_what_else_the_store_knows() -> None:
    store = stored(LOG[:-2])
    store.put_invocation(ended(sequences=[6, 7]))
    result = verify_store(store)
    assert (result.valid, result.first_invalid_sequence) == (False, LENGTH - 1)
    store.append(LOG[-2:])
    assert verify_store(store).valid


def test_the_kept_head_has_to_be_in_the_log() -> None:
    def check(records: list[StoredRecord], sequence: int, expected: bytes) -> Verification:
        verifier = ChainVerifier(expected_head=(sequence, expected))
        for record in records:
            verifier.feed(record)
        return verifier.finish()

    kept = LOG[4].record_hash
    assert check(LOG, 5, kept).valid
    assert check(LOG[:4], 5, kept).first_invalid_sequence == 5
    # A log that was written anew as a whole is consistent in itself: only the kept head betrays it.
    anew = chain([started(sequence) for sequence in range(1, LENGTH + 1)])
    assert verified(stored(anew)).valid
    assert check(anew, 5, kept).first_invalid_sequence == 5


@given(st.data())
def test_any_flipped_byte_is_found_at_its_record(data: st.DataObject) -> None:
    index = data.draw(st.integers(0, LENGTH - 1))
    value = bytearray(LOG[index].record_hash + LOG[index].record_bytes)
    position = data.draw(st.integers(0, len(value) - 1))
    value[position] ^= data.draw(st.integers(1, 255))
    store = stored(LOG)
    store.put(Family.AUDIT, keys.audit(index + 1), bytes(value))
    result = verified(store)
    assert (result.valid, result.first_invalid_sequence, result.checked) == (False, index + 1, index)
    assert result.head_sequence == index


@given(st.integers(0, LENGTH - 2))
def test_any_dropped_record_is_found_where_it_was(index: int) -> None:
    store = stored(LOG[:index] + LOG[index + 1 :])
    result = verified(store)
    assert (result.valid, result.first_invalid_sequence, result.checked) == (False, index + 1, index)
    assert f"record {index + 1} is missing" in result.problem


@given(st.lists(st.integers(0, LENGTH - 1), min_size=2, max_size=2, unique=True))
def test_any_two_swapped_records_are_found_at_the_first(pair: list[int]) -> None:
    first, second = sorted(pair)
    store = stored(LOG)
    for place, other in ((first, second), (second, first)):
        value = LOG[other].record_hash + LOG[other].record_bytes
        store.put(Family.AUDIT, keys.audit(place + 1), value)
    result = verified(store)
    assert (result.valid, result.first_invalid_sequence) == (False, first + 1)
    assert f"says that it is record {second + 1}" in result.problem


@given(st.integers(0, LENGTH - 1), st.integers(0, 31))
def test_any_truncated_value_is_found(index: int, length: int) -> None:
    store = stored(LOG)
    store.put(Family.AUDIT, keys.audit(index + 1), bytes(length))
    result = verified(store)
    assert (result.valid, result.first_invalid_sequence, result.checked) == (False, index + 1, index)


@given(st.integers(0, LENGTH - 1))
def test_a_record_that_was_written_anew_with_a_fitting_hash_breaks_the_next_link(index: int) -> None:
    before = LOG[index - 1].record_hash if index else GENESIS
    forged = started(index + 1).SerializeToString() + b"\x32\x01x"
    store = stored(LOG)
    store.put(Family.AUDIT, keys.audit(index + 1), link(before, forged) + forged)
    result = verified(store, at_least=LENGTH)
    if index == LENGTH - 1:
        assert result.valid and result.head_hash != LOG[-1].record_hash
    else:
        assert (result.valid, result.first_invalid_sequence) == (False, index + 2)


def test_an_undecodable_record_is_found_although_its_hash_fits() -> None:
    before = LOG[3].record_hash
    store = stored(LOG[:4])
    store.put(Family.AUDIT, keys.audit(5), link(before, b"\xff\xff") + b"\xff\xff")
    result = verified(store)
    assert (result.valid, result.first_invalid_sequence) == (False, 5)
    assert "cannot be decoded" in result.problem


def test_a_malformed_key_is_found() -> None:
    store = stored(LOG)
    store.put(Family.AUDIT, keys.audit(3) + b"\x07", b"x" * 64)
    result = verified(store)
    assert (result.valid, result.first_invalid_sequence, result.checked) == (False, 4, 3)


def test_an_unreadable_part_of_a_stopped_log_is_damage_at_its_first_record() -> None:
    class Damaged(FakeStore):
        """Reading anything from record 6 on fails, as with a damaged block of a file."""

        def scan(self, family, **bounds):  # type: ignore[no-untyped-def]
            page = list(super().scan(family, **bounds))
            if family == Family.AUDIT and any(key >= keys.audit(6) for key, _ in page):
                raise StoreUnavailable("reading audit failed: Corruption: block checksum mismatch")
            return iter(page)

    store = Damaged()
    store.append(LOG)
    store.put_invocation(ended(INVOCATION))
    result = verify_store(store)
    assert (result.valid, result.first_invalid_sequence, result.checked) == (False, 6, 5)
    assert "checksum mismatch" in result.problem


def test_the_result_survives_the_wire() -> None:
    result = verified(stored(LOG), at_least=LENGTH + 1)
    assert Verification.from_response(result.response()) == result


def test_an_event_has_its_place_in_the_chain() -> None:
    entry = split_entry(keys.audit(2), LOG[1].record_hash + LOG[1].record_bytes)
    event = event_of(entry, LOG[0].record_hash)
    assert event.record.sequence == 2
    assert link(event.prev_hash, event.record_bytes) == event.record_hash
