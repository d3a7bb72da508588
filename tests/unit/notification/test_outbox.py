"""The outbox over a log in memory: what is kept, in which order it goes out, what survives."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest

from fairlead.audit.store import AuditLog
from fairlead.audit.trimming.beginning import Beginning
from fairlead.audit.watch import LogDamaged
from fairlead.control.errors import Refusal
from fairlead.internal.v1 import command_pb2, workflow_pb2
from fairlead.notification.metrics import page
from fairlead.notification.model import answer_of, unreachable
from fairlead.notification.service import UNSTORED_RECORDS, Outbox
from fairlead.store import Family, keys
from fairlead.v1 import audit_record_pb2
from tests.unit.config.samples import load
from tests.unit.notification.fakes import RETRY, SECOND, World, drain, opened, receiver, run

DOWN = unreachable("the connection is refused")
UNAVAILABLE = command_pb2.Rejection(reason="STORE_UNAVAILABLE", message="the disk is full")


async def begun(world: World, *receivers: Any, limit: int = 100) -> Outbox:
    """An outbox that has looked at its configuration and delivers only when told to."""
    outbox = world.outbox()
    outbox.configure(receivers or (receiver(),), limit)
    await outbox.load()
    await drain(outbox)
    return outbox


async def deliver(outbox: Outbox, name: str = "desk") -> int | None:
    """Attempts until nothing is due; what `deliver_once` says then."""
    while (wait := await outbox.deliver_once(name)) == 0:
        pass
    return wait


def test_what_is_recorded_after_the_receiver_is_configured_is_delivered_in_order() -> None:
    async def test() -> None:
        world = World()
        world.say()
        outbox = await begun(world)
        one, body = opened()
        world.keep(one)
        world.say("TOOL_PENDING", **body)
        world.say("INVOCATION_ADMITTED")
        world.say()
        await drain(outbox)
        assert await deliver(outbox) is None
        bodies = [json.loads(body) for _, _, body in world.sender.sent]
        assert [(body["type"], body["data"]["sequence"]) for body in bodies] == [
            ("approval.opened", 2), ("approval.voted", 4),
        ]  # fmt: skip
        assert bodies[0]["data"]["approval"]["name"] == one.name
        assert world.outbox_keys() == [keys.outbox_cursor("desk")]

    run(test)


def test_one_unit_moves_the_cursor_and_keeps_the_delivery_and_survives_a_power_cut() -> None:
    async def test() -> None:
        world = World()
        outbox = await begun(world)
        world.say()
        world.core.applied.clear()
        await drain(outbox)
        (command,) = world.core.applied
        unit = command.control_write
        assert {write.key for write in unit.writes} == {
            keys.outbox_cursor("desk"), keys.outbox_delivery("desk", 1, dead=False),
        }  # fmt: skip
        assert unit.power and not unit.HasField("record")

    run(test)


def test_records_that_nobody_wants_cost_no_writes_until_there_are_many() -> None:
    async def test() -> None:
        world = World()
        outbox = await begun(world)
        world.core.applied.clear()
        for _ in range(300):
            world.say("INVOCATION_ADMITTED")
        await drain(outbox)
        assert not world.core.applied and outbox.lanes()[0].cursor == 300
        outbox.lanes()[0].stored_cursor = 301 - UNSTORED_RECORDS
        world.say("INVOCATION_ADMITTED")
        await drain(outbox)
        (command,) = world.core.applied
        assert not command.control_write.power
        assert outbox.deliveries.cursor("desk") == 301

    run(test)


def test_a_log_that_is_trimmed_keeps_what_receivers_still_read_and_they_go_on_behind_a_gap(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def test() -> None:
        world = World()
        outbox = await begun(world)
        world.say("INVOCATION_ADMITTED")
        await drain(outbox)
        # After a start, not read yet how far it is: nothing goes.
        starting = world.outbox()
        await starting.load()
        assert (starting.read_up_to(1000), outbox.read_up_to(1000)) == (0, 1)
        for _ in range(5):
            world.say()
        assert outbox.read_up_to(1000) == 1
        await drain(outbox)
        assert outbox.read_up_to(1000) == 6
        (write,) = outbox.put_cursors()
        assert write.key == keys.outbox_cursor("desk")
        for _ in range(20):
            world.say()
        # Whoever is too far behind is not waited for.
        assert (outbox.read_up_to(20), outbox.read_up_to(19)) == (6, 26)
        gone = AuditLog(world.store).record(12)
        assert gone is not None
        beginning = Beginning(13, gone.record_hash, "note").write()
        world.store.put(beginning.family, beginning.key, beginning.value)
        world.store.delete_ranges([(Family.AUDIT, b"", keys.audit(13))])
        with caplog.at_level(logging.ERROR):
            await drain(outbox)
        (line,) = [record for record in caplog.records if "trimmed" in record.message]
        assert vars(line)["records"] == 6 and vars(line)["receivers"] == "desk"
        await deliver(outbox)
        told = [json.loads(body)["data"]["sequence"] for _, _, body in world.sender.sent]
        assert told == [*range(2, 7), *range(13, 27)]

    run(test)


def test_a_restart_goes_on_with_attempts_and_times_and_sends_nothing_twice() -> None:
    async def test() -> None:
        world = World()
        outbox = await begun(world)
        world.sender.answers = lambda receiver, message_id: DOWN
        for _ in range(2):
            world.say()
        await drain(outbox)
        assert await deliver(outbox) == SECOND * 3 // 4
        outbox = await begun(world)
        # The receiver still rests: what is newer does not overtake.
        assert await deliver(outbox) == SECOND * 3 // 4 and len(world.sender.sent) == 1
        world.sender.answers = lambda receiver, message_id: answer_of(204)
        world.now += 10 * SECOND
        await deliver(outbox)
        first, again, second = world.sender.ids()
        assert first == again != second and len(world.outbox_keys()) == 1

    run(test)


def test_a_receiver_that_is_down_is_asked_for_the_oldest_one_only_and_others_go_on() -> None:
    async def test() -> None:
        world = World()
        outbox = await begun(world, receiver(), receiver("other"))
        world.sender.answers = lambda receiver, message_id: DOWN if receiver.name == "desk" else answer_of(200)
        for _ in range(3):
            world.say()
        await drain(outbox)
        for _ in range(2):
            await deliver(outbox, "desk")
            world.now += 10 * SECOND
        await deliver(outbox, "other")
        assert len(world.sender.ids()) == 2 and len(set(world.sender.ids())) == 1
        assert len(world.sender.ids("other")) == 3
        world.sender.answers = lambda receiver, message_id: answer_of(200)
        await deliver(outbox, "desk")
        assert len(set(world.sender.ids())) == 3 and not set(world.sender.ids()) & set(world.sender.ids("other"))

    run(test)


def test_one_that_is_refused_by_itself_does_not_hold_back_the_others() -> None:
    async def test() -> None:
        world = World()
        outbox = await begun(world)
        refused: list[str] = []

        def poisoned(receiver: Any, message_id: str) -> Any:
            refused[:] = refused or [message_id]
            return answer_of(400 if message_id == refused[0] else 200)

        world.sender.answers = poisoned
        for _ in range(3):
            world.say()
        await drain(outbox)
        for _ in range(10):
            await deliver(outbox)
            world.now += SECOND
        lane = outbox.lane("desk")
        assert lane is not None and len(lane.queue) == 0
        assert len(set(world.sender.ids())) == 3 and world.sender.ids().count(refused[0]) == RETRY.attempts
        assert lane.dead == {1} and (lane.counted.delivered, lane.counted.failed, lane.counted.dead) == (2, 3, 1)

    run(test)


def test_what_is_given_up_is_recorded_and_kept_and_the_oldest_makes_room(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        world = World()
        outbox = await begun(world, limit=2)
        world.sender.answers = lambda receiver, message_id: answer_of(410)
        for _ in range(3):
            world.say()
            await drain(outbox)
            await deliver(outbox)
        assert [one.sequence for one in outbox.deliveries.of("desk", dead=True)] == [2, 3]
        records = [
            command.control_write.record for command in world.core.applied if command.control_write.record.subject
        ]
        assert [record.subject for record in records] == ["notification.dead"] * 3
        last = dict(records[-1].detail.items())
        assert (last["receiver"], last["sequence"], last["dropped"]) == ("desk", 3, 1)
        assert caplog.text.count("a notification was given up") == 3
        # A restart knows them.
        lane = (await begun(world, limit=2)).lane("desk")
        assert lane is not None and lane.dead == {2, 3}

    run(test)


def test_at_its_share_a_cursor_stops_and_goes_on_when_there_is_room(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def test() -> None:
        world = World()
        outbox = await begun(world, receiver(), receiver("other"), limit=8)
        world.sender.answers = lambda receiver, message_id: DOWN
        for _ in range(10):
            world.say()
        await drain(outbox)
        desk = outbox.lane("desk")
        assert desk is not None and (desk.cursor, len(desk.queue), desk.full) == (4, 4, True)
        assert caplog.text.count("limits.notifications is reached") == 2
        world.sender.answers = lambda receiver, message_id: answer_of(200)
        assert await outbox.deliver_once("desk") == 0
        await drain(outbox)
        assert (desk.cursor, len(desk.queue), desk.full) == (5, 4, True)
        while not (len(desk.queue) == 0 and desk.cursor == 10):
            await deliver(outbox)
            await drain(outbox)
        assert len(world.sender.ids()) == len(set(world.sender.ids())) == 10
        assert outbox.lane("other").cursor == 4  # type: ignore[union-attr]
        # The share is that of the receivers there are.
        outbox.configure([receiver("other")], 8)
        await drain(outbox)
        assert outbox.lane("other").cursor == 8  # type: ignore[union-attr]

    run(test)


def test_one_that_is_far_behind_does_not_hold_up_the_others() -> None:
    async def test() -> None:
        world = World()
        outbox = await begun(world, receiver("slow"), limit=10_000)
        for _ in range(1_000):
            world.say("INVOCATION_ADMITTED")
        outbox.configure([receiver("slow"), receiver("fresh")], 10_000)
        await outbox.follow_once()
        world.say()
        for _ in range(3):
            await outbox.follow_once()
        fresh, slow = outbox.lane("fresh"), outbox.lane("slow")
        assert fresh is not None and slow is not None
        assert fresh.cursor == 1_001 and slow.cursor < 1_000

    run(test)


def test_a_receiver_that_is_removed_is_forgotten_with_all_that_waits(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        world = World()
        outbox = await begun(world, receiver(), receiver("other"))
        for _ in range(2):
            world.say()
        await drain(outbox)
        outbox.configure([receiver("other")], 100)
        world.core.applied.clear()
        await drain(outbox)
        assert outbox.lane("desk") is None and not any(b"desk" in key for key in world.outbox_keys())
        record = world.core.applied[0].control_write.record
        assert record.subject == "notification.receiver.removed"
        assert dict(record.detail.items()) == {"receiver": "desk", "pending": 2, "dead": 0}
        assert "configured no more" in caplog.text
        # Also when it was removed while nothing ran; and what comes back under its name is new.
        outbox = await begun(world, receiver("third"))
        assert not any(b"other" in key for key in world.outbox_keys())
        outbox = await begun(world, receiver())
        assert await deliver(outbox) is None and world.sender.ids() == []

    run(test)


def test_a_change_of_the_receiver_tries_what_waits_at_once() -> None:
    async def test() -> None:
        world = World()
        outbox = await begun(world)
        world.sender.answers = lambda receiver, message_id: DOWN
        world.say()
        await drain(outbox)
        await deliver(outbox)
        moved = receiver(timeout_seconds=2.0)
        outbox.configure([moved], 100)
        world.sender.answers = lambda receiver, message_id: answer_of(200 if receiver == moved else 500)
        await drain(outbox)
        await deliver(outbox)
        assert len(world.outbox_keys()) == 1

    run(test)


def test_the_unit_that_applies_a_configuration_says_where_a_new_receiver_begins() -> None:
    async def test() -> None:
        world = World()
        world.say()
        config = load(CONFIG)
        outbox = world.outbox()
        await outbox.load()
        (write,) = outbox.first_cursors(config)
        world.store.put(write.family, write.key, write.value)
        # Recorded behind the configuration, before the outbox looked at it; or it never did, because of a crash.
        world.say()
        outbox = await begun(world)
        assert outbox.first_cursors(config) == []
        await deliver(outbox)
        assert len(world.sender.ids()) == 1

    run(test)


CONFIG = """\
apiVersion: fairlead/v1
notifications: [{name: desk, url: "https://desk.example", secret: {fromEnv: SIGNING}, events: approval.voted}]
"""


def test_a_log_that_is_shorter_than_it_was_does_not_silence_a_receiver(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        world = World()
        outbox = await begun(world)
        for _ in range(3):
            world.say()
        await drain(outbox)
        shorter = World()
        shorter.store.families[Family.OUTBOX] = dict(world.store.families[Family.OUTBOX])
        shorter.say()
        outbox = await begun(shorter)
        assert outbox.lanes()[0].cursor == 1 and "ends before" in caplog.text
        shorter.say()
        await drain(outbox)
        assert 2 in outbox.lanes()[0].queue

    run(test)


def test_a_damaged_log_is_not_skipped() -> None:
    async def test() -> None:
        world = World()
        outbox = await begun(world)
        for _ in range(3):
            world.say()
        world.store.put(Family.AUDIT, keys.audit(2), None)
        for _ in range(2):
            with pytest.raises(LogDamaged, match="record 2"):
                await drain(outbox)
        assert outbox.lanes()[0].cursor == 0

    run(test)


def test_what_the_store_does_not_take_now_is_kept_when_it_does() -> None:
    async def test() -> None:
        world = World()
        outbox = await begun(world)
        world.say()
        world.core.reject = UNAVAILABLE
        with pytest.raises(Refusal, match="the disk is full"):
            await drain(outbox)
        world.core.reject = None
        await drain(outbox)
        await deliver(outbox)
        assert len(world.sender.ids()) == 1

    run(test)


def test_the_answer_is_not_forgotten_when_it_cannot_be_stored_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fairlead.notification.service.FAULT_SECONDS", 0.001)

    async def test() -> None:
        world = World()
        outbox = await begun(world)
        world.say()
        await drain(outbox)
        world.core.reject = UNAVAILABLE
        delivering = asyncio.ensure_future(outbox.deliver_once("desk"))
        while not world.sender.sent:
            await asyncio.sleep(0)
        world.core.reject = None
        assert await delivering == 0
        assert len(world.sender.ids()) == 1 and len(world.outbox_keys()) == 1

    run(test)


def test_steps_and_approvals_are_of_the_workflow_of_their_run() -> None:
    async def test() -> None:
        world = World()
        loans = receiver("desk", "step.*", "approval.*", "run.ended", match={"workflow": ("loan*",)})
        outbox = await begun(world, loans)
        for number, workflow in enumerate(("loan-approval", "other"), 1):
            run_id = f"run_{number:032x}"
            raw = keys.run_id_bytes(run_id)
            assert raw is not None
            value = workflow_pb2.RunRecord(run=run_id, workflow=workflow).SerializeToString()
            world.store.put(Family.RUNS, keys.run("acme", raw), value)
            world.say("STEP_UNKNOWN", step=audit_record_pb2.StepEvent(run=run_id, step="offer"))
            world.say(approval=audit_record_pb2.ApprovalEvent(approval="approvals/apr_1", run=run_id))
            world.say("RUN_ENDED", run=audit_record_pb2.RunEvent(run=run_id, workflow=workflow))
        world.say("STEP_UNKNOWN", step=audit_record_pb2.StepEvent(run="the-agents-own", step="x"))
        await drain(outbox)
        await deliver(outbox)
        told = [json.loads(body)["data"] for _, _, body in world.sender.sent]
        assert [(data["sequence"], data["workflow"]) for data in told] == [
            (1, "loan-approval"), (2, "loan-approval"), (3, "loan-approval"),
        ]  # fmt: skip

    run(test)


def test_what_a_scrape_sees() -> None:
    async def test() -> None:
        world = World()
        outbox = await begun(world, receiver(), receiver("other"), limit=6)
        assert page(await begun(World(), receiver()), world.now).count("# TYPE") == 7
        world.sender.answers = lambda receiver, message_id: answer_of(410)
        world.say()
        await drain(outbox)
        await deliver(outbox)
        world.sender.answers = lambda receiver, message_id: DOWN if receiver.name == "desk" else answer_of(200)
        for _ in range(5):
            world.say()
        await drain(outbox)
        await deliver(outbox)
        await deliver(outbox, "other")
        world.now += 90 * SECOND
        seen = dict(line.rsplit(" ", 1) for line in page(outbox, world.now).splitlines() if not line.startswith("#"))
        gauges = ("pending", "oldest_pending_seconds", "backlog_records", "dead")
        counters = ("delivered_total", "failed_total", "dead_total")
        told = [seen[f'fairlead_notifications_{name}{{receiver="desk"}}'] for name in (*gauges, *counters)]
        assert told == ["3", "90", "2", "1", "0", "2", "1"]
        assert seen['fairlead_notifications_delivered_total{receiver="other"}'] == "3"
        assert page(world.outbox(), world.now) == ""

    run(test)


def test_it_runs_by_itself_follows_what_comes_and_stops() -> None:
    async def test() -> None:
        world = World()
        outbox = world.outbox()
        outbox.configure([receiver()], 100)
        await outbox.load()
        taken = asyncio.Event()
        world.sender.answers = lambda receiver, message_id: (taken.set(), answer_of(200))[1]
        outbox.start()
        while not outbox.lanes():
            await asyncio.sleep(0)
        for _ in range(2):
            taken.clear()
            world.say()
            await taken.wait()
        await outbox.stop(5)
        assert world.sender.closed and len(world.sender.ids()) == 2

    run(test)


def test_what_fails_by_itself_is_said_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("fairlead.notification.service.FAULT_SECONDS", 0.001)

    async def test() -> None:
        world = World()
        outbox = world.outbox()
        outbox.configure([receiver()], 100)
        await outbox.load()
        taken = asyncio.Event()
        answers = [RuntimeError("a fault of ours"), None]

        def answer(receiver: Any, message_id: str) -> Any:
            if (fault := answers.pop(0)) is not None:
                raise fault
            taken.set()
            return answer_of(200)

        world.sender.answers = answer
        outbox.start()
        while not outbox.lanes():
            await asyncio.sleep(0)
        world.say()
        await taken.wait()
        await outbox.stop(5)
        assert "notifications are not delivered" in caplog.text and "a fault of ours" in caplog.text

    run(test)
