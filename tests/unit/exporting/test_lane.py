"""Exporters over a log: nothing is lost, nothing overtakes, and the position moves only behind what was taken."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from fairlead.audit.consumers.service import CAUGHT_UP, LEFT_BEHIND, SKIPPED
from fairlead.audit.model import StoredRecord
from fairlead.control.errors import Refusal
from fairlead.exporting import lane, metrics
from fairlead.exporting.destination import Outcome, not_taken
from fairlead.internal.v1 import command_pb2
from fairlead.v1 import audit_service_pb2
from tests.unit.exporting.logs import LOG, Desk, Life, run

DOWN = not_taken("the connection is refused")


def test_records_go_out_in_order_in_bounded_batches_and_are_acknowledged() -> None:
    async def test() -> None:
        desk = Desk()
        life = Life(desk)
        life.commit(10)
        life.start()
        await desk.until(lambda: len(desk.taken) == 10)
        assert desk.attempts == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10]]
        life.commit(1)
        await life.acknowledged(11)
        await life.exporting.stop(5)
        assert desk.closed == 1
        # The next life begins behind that.
        again = Life(desk, life.store)
        again.commit(2)
        again.start()
        await again.acknowledged(13)
        assert desk.taken == list(range(1, 14))
        await again.exporting.stop(5)

    run(test)


def test_a_destination_that_is_down_gets_the_same_records_again_and_the_first_failure_is_a_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def test() -> None:
        desk = Desk()
        desk.answer = lambda asked: DOWN
        life = Life(desk)
        life.commit(6)
        life.start()
        await desk.until(lambda: len(desk.attempts) == 4)
        assert desk.attempts == [[1, 2, 3, 4]] * 4
        assert life.consumers.loaded()[0].position.sequence == 0
        page = metrics.page(life.exporting)
        assert 'fairlead_audit_export_failing{exporter="desk"} 1\n' in page
        desk.answer = Desk().answer
        await life.acknowledged(6)
        assert desk.taken == list(range(1, 7))
        page = metrics.page(life.exporting)
        assert 'fairlead_audit_export_records_total{exporter="desk"} 6\n' in page
        assert 'fairlead_audit_export_failed_total{exporter="desk"} 4\n' in page
        assert 'fairlead_audit_export_failing{exporter="desk"} 0\n' in page
        await life.exporting.stop(5)

    with caplog.at_level("INFO"):
        run(test)
    said = [record.message for record in caplog.records if record.name.startswith("fairlead.exporting")]
    assert said == [
        "records were not taken by an exporter's destination, they are sent again",
        "the destination of an exporter takes records again",
    ]


def test_what_is_too_large_is_sent_in_parts() -> None:
    async def test() -> None:
        desk = Desk()
        desk.answer = lambda asked: not_taken("status 413", too_large=True) if len(asked) > 1 else Outcome(True)
        life = Life(desk)
        life.commit(4)
        life.start()
        await life.acknowledged(4)
        assert desk.attempts == [[1, 2, 3, 4], [1, 2], [1], [2], [3], [4]]
        await life.exporting.stop(5)

    run(test)


def test_records_that_were_refused_for_good_are_counted_and_not_sent_again() -> None:
    async def test() -> None:
        desk = Desk()
        desk.answer = lambda asked: Outcome(True, "partial success", refused=1)
        life = Life(desk)
        life.commit(4)
        life.start()
        await life.acknowledged(4)
        assert desk.attempts == [[1, 2, 3, 4]]
        page = metrics.page(life.exporting)
        assert 'fairlead_audit_export_refused_records_total{exporter="desk"} 1\n' in page
        assert 'fairlead_audit_export_records_total{exporter="desk"} 3\n' in page
        await life.exporting.stop(5)

    run(test)


def test_the_destination_s_wish_to_wait_is_kept() -> None:
    async def test() -> None:
        desk = Desk()
        life = Life(desk)
        exporter = life.start()
        await life.exporting.reconcile()
        running = life.exporting.lanes()[0]
        assert running._wait_seconds(not_taken("status 429", 90_000), 1) == 90
        assert running._wait_seconds(not_taken("status 429", 10**12), 1) == 86_400
        assert running._wait_seconds(DOWN, 9) == exporter.retry.max_millis / 2 / 1000
        await life.exporting.stop(5)

    run(test)


def test_a_destination_that_is_away_for_long_is_told_of_once_and_gets_everything_when_it_is_back() -> None:
    """The log is the queue: beyond the bound retention waits no longer, the exporter does."""

    async def test() -> None:
        desk = Desk()
        desk.answer = lambda asked: DOWN
        life = Life(desk)
        life.start()
        life.commit(20)
        await desk.until(lambda: len(desk.attempts) > 1)
        await life.consumers.check()
        assert await life.consumers.unread_since() is not None
        life.commit(30)
        await life.consumers.check()
        assert await life.consumers.unread_since() is None
        desk.answer = Desk().answer
        await life.acknowledged(50)
        await life.consumers.check()
        assert desk.taken == list(range(1, 51))
        # A batch of memory, however long it took.
        assert max(map(len, desk.attempts)) == 4
        changes = [command.control_write.record for command in life.core.applied]
        said = [(change.subject, change.detail["consumer"]) for change in changes if change.subject]
        assert said == [(LEFT_BEHIND, "export:desk"), (CAUGHT_UP, "export:desk")]
        await life.exporting.stop(5)

    run(test)


def test_one_that_stalls_holds_up_no_other_and_a_stop_does_not_wait_for_it() -> None:
    async def test() -> None:
        desk = Desk()
        desk.stalled = asyncio.Event()
        life = Life(desk)
        life.commit(5)
        life.start()
        await desk.until(lambda: len(desk.attempts) == 1)
        await life.exporting.stop(0.01)
        assert desk.taken == [] and desk.closed == 1
        # It was not acknowledged, so it comes again.
        desk.stalled = None
        again = Life(desk, life.store)
        again.start()
        await again.acknowledged(5)
        assert desk.taken == [1, 2, 3, 4, 5]
        await again.exporting.stop(5)

    run(test)


def test_a_stop_delivers_what_is_there() -> None:
    async def test() -> None:
        desk = Desk()
        life = Life(desk)
        life.start()
        life.commit(1)
        await life.acknowledged(1)
        life.commit(30)
        await life.exporting.stop(20)
        assert desk.taken == list(range(1, 32))
        assert life.consumers.loaded()[0].position.sequence == 31

    run(test)


def test_a_stop_does_not_wait_for_a_destination_that_is_down() -> None:
    async def test() -> None:
        desk = Desk()
        desk.answer = lambda asked: not_taken("status 503", 3_600_000)
        life = Life(desk)
        life.commit(3)
        life.start()
        await desk.until(lambda: len(desk.attempts) == 1)
        await life.exporting.stop(20)
        assert len(desk.attempts) <= 2

    run(test)


def test_a_change_takes_effect_at_once_and_what_is_removed_stops_and_keeps_its_position() -> None:
    async def test() -> None:
        desk = Desk()
        desk.answer = lambda asked: not_taken("status 503", 3_600_000)
        life = Life(desk)
        life.commit(3)
        life.start()
        await desk.until(lambda: len(desk.attempts) == 1)
        # Whatever it waits for: the correction is tried right away.
        desk.answer = Desk().answer
        changed = life.made[0].__class__("desk", "stdout", batch_records=2)
        life.exporting.configure([changed])
        await life.acknowledged(3)
        assert desk.attempts[1:] == [[1, 2], [3]]
        assert life.made[1] is changed and desk.closed == 1
        # The same again is no change.
        life.exporting.configure([changed])
        await life.exporting.reconcile()
        assert len(life.made) == 2
        with pytest.raises(Refusal, match="has an open stream"):
            await life.consumers.remove(
                audit_service_pb2.RemoveConsumerRequest(request_id="r", name="export:desk"), "a"
            )
        life.exporting.configure([])
        await life.exporting.reconcile()
        life.commit(2)
        assert life.exporting.lanes() == [] and metrics.page(life.exporting) == ""
        assert life.consumers.loaded()[0].position.sequence == 3
        life.exporting.configure([changed])
        await life.acknowledged(5)
        assert desk.taken == [1, 2, 3, 4, 5]
        await life.exporting.stop(5)

    run(test)


def test_while_the_store_takes_nothing_what_was_taken_is_not_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane, "FAULT_SECONDS", 0.01)

    async def test() -> None:
        desk = Desk()
        life = Life(desk)
        refused = threading.Event()
        apply = life.core.apply

        def refusing(command: bytes) -> bytes:
            if desk.taken and not refused.is_set():
                refused.set()
                rejection = command_pb2.Rejection(reason="STORE_UNAVAILABLE", message="injected")
                return command_pb2.CommandResult(rejection=rejection).SerializeToString()
            return apply(command)

        monkeypatch.setattr(life.core, "apply", refusing)
        life.commit(2)
        life.start()
        await life.acknowledged(2)
        assert refused.is_set() and desk.attempts == [[1, 2]]
        await life.exporting.stop(5)

    run(test)


def test_damage_of_the_log_stops_an_exporter_before_it(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        desk = Desk()
        broken = [*LOG[:3], StoredRecord(4, LOG[3].record_hash, b"\xff\xff"), *LOG[4:]]
        life = Life(desk, records=broken)
        life.commit(6)
        life.start()
        await life.acknowledged(3)
        await life.exporting.stop(5)
        assert desk.taken == [1, 2, 3]

    run(test)
    assert any("damaged at record 4" in str(getattr(record, "error", "")) for record in caplog.records)


# Records that are refused --------------------------------------------------------------------------------------------


def refusing(sequence: int) -> Callable[[list[int]], Outcome]:
    """A destination that refuses whatever has this record in it, and asks to come again in a day."""
    return lambda asked: not_taken("status 400", 86_400_000, unacceptable=True) if sequence in asked else Outcome(True)


async def skip(life: Life, to_sequence: int, request_id: str = "r") -> audit_service_pb2.SkipEventsResponse:
    request = audit_service_pb2.SkipEventsRequest(
        request_id=request_id, name="export:desk", to_sequence=to_sequence, reason="the SIEM cannot read it"
    )
    return await life.consumers.skip(request, "ana")


def test_a_record_that_is_refused_is_named_and_an_operator_passes_over_it(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        desk = Desk()
        desk.answer = refusing(6)
        life = Life(desk)
        life.commit(12)
        life.start()
        # What comes before it goes out: it stands alone at last.
        await desk.until(lambda: desk.attempts[-1:] == [[6]])
        await life.acknowledged(5)
        while 'fairlead_audit_export_refused_sequence{exporter="desk"} 6\n' not in metrics.page(life.exporting):
            await asyncio.sleep(0)
        assert desk.taken == [1, 2, 3, 4, 5]
        # It waits for a day, but not for the operator.
        answer = await skip(life, 6)
        assert answer.first_sequence == 6
        await life.acknowledged(12)
        assert desk.taken == [1, 2, 3, 4, 5, *range(7, 13)]
        assert 'fairlead_audit_export_refused_sequence{exporter="desk"} 0\n' in metrics.page(life.exporting)
        (change,) = [one for one in life.core.applied if one.control_write.HasField("record")]
        assert change.caller.operator == "ana" and change.control_write.record.subject == SKIPPED
        detail = change.control_write.record.detail
        assert (detail["consumer"], detail["first_sequence"], detail["last_sequence"]) == ("export:desk", 6, 6)
        assert detail["reason"] == "the SIEM cannot read it"
        await life.exporting.stop(5)

    with caplog.at_level("INFO"):
        run(test)
    said = [record for record in caplog.records if record.name.startswith("fairlead.exporting")]
    assert [record.message for record in said] == [
        "an exporter's destination refuses a record: correct the destination, or pass over the record",
        "an operator has passed over records: the destination does not get them",
        "the destination of an exporter takes records again",
    ]
    assert said[0].__dict__["first_sequence"] == 6
    assert said[0].__dict__["pass_over_with"] == "fairlead audit consumers skip export:desk --to 6 --reason TEXT"


@pytest.mark.parametrize("to_sequence", [2, 4, 7, 12])
def test_a_position_may_move_into_a_batch_or_far_beyond_it(to_sequence: int) -> None:
    async def test() -> None:
        desk = Desk()
        desk.answer = lambda asked: not_taken("status 503", 86_400_000)
        life = Life(desk)
        life.commit(12)
        life.start()
        await desk.until(lambda: len(desk.attempts) == 1)
        desk.answer = lambda asked: Outcome(True)
        await skip(life, to_sequence)
        life.commit(3)
        await life.acknowledged(15)
        assert desk.taken == list(range(to_sequence + 1, 16))
        await life.exporting.stop(5)

    run(test)


def test_a_damaged_record_is_passed_over_as_well() -> None:
    async def test() -> None:
        desk = Desk()
        broken = [*LOG[:3], StoredRecord(4, LOG[3].record_hash, b"\xff\xff"), *LOG[4:]]
        life = Life(desk, records=broken)
        life.commit(6)
        life.start()
        await life.acknowledged(3)
        await skip(life, 4)
        await life.acknowledged(6)
        assert desk.taken == [1, 2, 3, 5, 6]
        await life.exporting.stop(5)

    run(test)


def test_a_position_moves_forward_only_and_only_to_what_is_there() -> None:
    async def test() -> None:
        desk = Desk()
        life = Life(desk)
        life.commit(6)
        life.start()
        await life.acknowledged(6)
        life.commit(2)
        await life.acknowledged(8)
        for to_sequence, problem in ((8, "it never goes back"), (3, "never goes back"), (9, "ends with record 8")):
            with pytest.raises(Refusal, match=problem):
                await skip(life, to_sequence, str(to_sequence))
        for wrong in (
            audit_service_pb2.SkipEventsRequest(request_id="a", name="export:desk", to_sequence=9),
            audit_service_pb2.SkipEventsRequest(request_id="a", name="export:desk", reason="x"),
            audit_service_pb2.SkipEventsRequest(request_id="a", name="export:none", to_sequence=9, reason="x"),
            audit_service_pb2.SkipEventsRequest(name="export:desk", to_sequence=9, reason="x"),
            audit_service_pb2.SkipEventsRequest(request_id="a", name="export:desk", to_sequence=9, reason="x" * 1025),
        ):
            with pytest.raises(Refusal):
                await life.consumers.skip(wrong, "ana")
        assert life.consumers.sequence("export:desk") == 8
        await life.exporting.stop(5)

    run(test)


def test_the_same_request_passes_over_once() -> None:
    async def test() -> None:
        desk = Desk()
        desk.answer = lambda asked: DOWN
        life = Life(desk)
        life.commit(6)
        life.start()
        await desk.until(lambda: len(desk.attempts) == 1)
        first = await skip(life, 2)
        assert await skip(life, 2) == first and first.first_sequence == 1
        assert life.consumers.sequence("export:desk") == 2
        await life.exporting.stop(5)

    run(test)
