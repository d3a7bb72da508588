"""What people are told about a run, its attempts, approvals and calls."""

from __future__ import annotations

import pytest

from fairlead.audit import explain_run as explaining
from fairlead.audit.explain import explain
from fairlead.audit.explain_run import explain_run
from fairlead.audit.run_narrative import ITEMS_TOLD, TROUBLE_TOLD, narrate_run
from fairlead.audit.store import AuditLog, Invocations
from fairlead.audit.summary import kind_name, kind_of, summarize
from fairlead.store import Family, keys
from fairlead.v1 import audit_record_pb2, audit_service_pb2, run_pb2
from fairlead.workflow.store import Runs
from tests.unit.audit.fakes import FakeStore
from tests.unit.audit.records import INVOCATION, T0, usd
from tests.unit.audit.run_records import (
    APPROVAL,
    NAME,
    OTHER_RUN,
    RUN,
    failure,
    leased,
    run,
    step,
    stored,
    story,
)
from tests.unit.audit.tool_records import CALL

COMPENSATED, RUNNING = run_pb2.RUN_STATE_COMPENSATED, run_pb2.RUN_STATE_RUNNING


def at(sequence: int) -> str:
    return (
        f"2026-11-18 11:06:{40 + sequence:02d}.000 UTC"
        if sequence < 20
        else f"2026-11-18 11:07:{sequence - 20:02d}.000 UTC"
    )


def test_a_run_from_its_start_to_its_compensation() -> None:
    assert narrate_run(story(), COMPENSATED) == [
        f"{at(2)}: agent support-bot of tenant acme started a run of workflow loan-approval, input of 20 bytes (digest "
        "abababababab).",
        "It keeps to version 777777777777 of the workflow; configuration in force 3fa2b1c09d1e.",
        f"{at(4)}: model call {INVOCATION} for step parse by agent support-bot: admitted, route classification "
        f"(fairlead explain {INVOCATION} has all of it).",
        f"{at(5)}: model call {INVOCATION}: claude-sonnet answered, charged $0.0027, 420 tokens.",
        f"{at(6)}: attempt 1 at step parse by worker w-1 of agent doc-bot (epoch 1), leased at {at(3)}, after 3 s: it "
        f"went wrong with LEASE_EXPIRED: silent; again at {at(7)}.",
        f"{at(8)}: attempt 2 at step parse by worker w-2 of agent doc-bot (epoch 2), leased at {at(7)}, after 1 s: it "
        "succeeded, result of 20 bytes (digest abababababab), settled $0.25.",
        f"{at(9)}: step review waits for approvals/{APPROVAL}, until 2026-11-18 12:06:40.000 UTC.",
        f"{at(10)}: is this loan good? waits for people, run {RUN}, step review: approval approvals/{APPROVAL}, tier "
        "high. Configuration in force: 3fa2b1c09d1e.",
        f"{at(11)}: asha (finance) approved approvals/{APPROVAL}: all there. Configuration in force: 3fa2b1c09d1e.",
        f"{at(12)}: step review succeeded, result of 30 bytes.",
        f"{at(13)}: approval approvals/{APPROVAL} is consumed. Configuration in force: 3fa2b1c09d1e.",
        f"{at(15)}: tool call {CALL} for step offer by agent support-bot: payments.refund: granted, rule ask.",
        f"{at(16)}: tool call {CALL}: payments.refund: it happened.",
        f"{at(17)}: attempt 1 at step offer by worker m-1 of agent doc-bot (epoch 1, key offer/7), leased at {at(14)}, "
        "after 3 s: it was interrupted, and nobody knows whether it happened (LEASE_EXPIRED: silent).",
        f"{at(18)}: step offer: people said what became of it: happened.",
        f"{at(19)}: step offer succeeded, result of 2 bytes.",
        f"{at(20)}: operator ben cancelled the run: customer withdrew.",
        f"{at(22)}: attempt 2 to take back step offer by worker m-2 of agent doc-bot (epoch 2), leased at {at(21)}, "
        "after 1 s: it took the result back.",
        f"{at(23)}: the run was ended and what it had done was taken back: CANCELLED: customer withdrew; spent in it: "
        "$0.2527.",
    ]


def test_who_began_it_and_what_it_repeats() -> None:
    repeated = run(
        2, "STARTED", who={"operator": "asha"}, rerun_of=OTHER_RUN, rerun_from="review", cost_avoided=usd(0.5)
    )
    child = run(3, "STARTED", parent=OTHER_RUN, parent_step="sub")
    told = narrate_run([repeated, child], RUNNING)
    assert told[0].startswith(f"{at(2)}: operator asha started a run")
    assert told[2] == f"It repeats runs/{OTHER_RUN} from step review on; results worth $0.50 were not paid again."
    assert told[5] == f"It is the child of runs/{OTHER_RUN}, step sub."
    assert told[-1] == "The run is running."


def test_everything_else_that_happens() -> None:
    told = narrate_run(
        [
            run(2, "PAUSED", "PAUSED", {"operator": "asha"}, reason="look first"),
            run(3, "RESUMED", who={"operator": "asha"}),
            run(4, "SIGNALLED", signal="payment", content_bytes=2),
            run(5, "REPAIRED", who={}, reason="a timer was missing"),
            step(6, "SKIPPED", failure=failure("", "its condition is false")),
            step(7, "REPLAYED", replayed_from=OTHER_RUN, idempotency_key="offer/7"),
            step(8, "WAITING", due_at_unix_nanos=T0),
            run(9, "CANCELLING", "CANCELLING", {}, reason="a step failed", failure=failure("BAD_INPUT", "no", "parse")),
            step(10, "FAILED", failure=failure("BAD_INPUT", "no income")),
            leased(11, "offer", worker="", worker_agent=""),
        ],
        run_pb2.RUN_STATE_CANCELLING,
    )
    assert told == [
        f"{at(2)}: operator asha paused the run: look first.",
        f"{at(3)}: operator asha resumed the run.",
        f"{at(4)}: agent support-bot of tenant acme sent signal payment, payload of 2 bytes.",
        f"{at(5)}: the run was not as it has to be and was repaired: a timer was missing.",
        f"{at(6)}: step parse was skipped: its condition is false.",
        f"{at(7)}: step parse was not done again: it got the result that runs/{OTHER_RUN} has under key offer/7.",
        f"{at(8)}: step parse waits for a time, until 2026-11-18 11:06:40.000 UTC.",
        f"{at(9)}: the run began to wind down: a step failed, because of step parse, BAD_INPUT: no.",
        f"{at(10)}: step parse failed for good with BAD_INPUT: no income.",
        f"attempt 1 at step offer by the sidecar (epoch 1) began at {at(11)} and has not ended.",
        "The run is winding down.",
    ]


def test_of_many_items_those_with_trouble_are_told() -> None:
    records, sequence = [], 2
    for item in range(100):
        name = f"score[{item}]"
        records += [leased(sequence, name, worker=f"w-{item % 3}"), step(sequence + 1, "SUCCEEDED", name)]
        sequence += 2
    records.append(step(sequence, "RETRIED", "score[99]", failure=failure("OOPS")))
    records.append(step(sequence + 1, "SUCCEEDED", "score"))
    told = narrate_run(records, run_pb2.RUN_STATE_SUCCEEDED)
    assert len(told) == ITEMS_TOLD + 3
    assert [sentence.split(":")[3].split(" by")[0] for sentence in told[:ITEMS_TOLD]] == [
        f" attempt 1 at step score[{item}]" for item in range(ITEMS_TOLD)
    ]
    assert "step score[99] went wrong with OOPS" in told[ITEMS_TOLD]
    assert told[-2] == ("Items of step score: 95 more succeeded without trouble by 3 workers; all 100 took 3 min.")
    assert told[-1].endswith("step score succeeded, result of 0 bytes.")


def test_even_of_trouble_not_all_is_told() -> None:
    failed = [step(2 + n, "FAILED", f"score[{n}]", failure=failure("OOPS")) for n in range(TROUBLE_TOLD + 5)]
    told = narrate_run(failed, RUNNING)
    assert len(told) == TROUBLE_TOLD + 2
    assert "and 5 more records of trouble (fairlead audit tail --run has them)" in told[-2]


def test_text_from_outside_cannot_act_on_a_terminal() -> None:
    evil = "a\x1b[2Jb\n" + "x" * 500
    records = [
        run(2, "STARTED", who={"agent": evil}),
        run(3, "CANCELLING", reason=evil),
        leased(4, evil, worker=evil, worker_agent=evil, idempotency_key=evil),
        step(5, "FAILED", evil, failure=failure(evil, evil, evil)),
        run(6, "SIGNALLED", signal=evil),
    ]
    for sentence in [*narrate_run(records, RUNNING), *map(summarize, records)]:
        assert sentence.isprintable() and len(sentence) < 1500


# Lists ---------------------------------------------------------------------------------------------------------------


def test_every_kind_has_a_name_and_a_line() -> None:
    lines = {kind_name(made.kind): summarize(made) for made in story()}
    assert lines["run-started"] == f"{RUN} loan-approval: started"
    assert lines["run-cancelling"] == f"{RUN} loan-approval: winding down (customer withdrew)"
    assert lines["run-ended"] == f"{RUN} loan-approval: compensated, CANCELLED: customer withdrew, spent $0.2527"
    assert lines["step-leased"] == f"{RUN} offer: taking back, attempt 2 by m-2"
    assert lines["step-retried"] == f"{RUN} parse: attempt 1 went wrong, LEASE_EXPIRED: silent, again at {at(7)}"
    assert lines["step-unknown"] == f"{RUN} offer: nobody knows whether attempt 1 happened, LEASE_EXPIRED: silent"
    assert lines["step-resolved"] == f"{RUN} offer: people said: happened"
    assert lines["step-waiting"].startswith(f"{RUN} review: waits for approvals/{APPROVAL}, until ")
    assert lines["step-compensated"] == f"{RUN} offer: its result was taken back"
    assert lines["step-succeeded"] == f"{RUN} offer: succeeded, result of 2 bytes"
    others = {
        f"{RUN} loan-approval: paused (why)": run(2, "PAUSED", "PAUSED", reason="why"),
        f"{RUN} loan-approval: running": run(2, "RESUMED"),
        f"{RUN} loan-approval: signal payment, 2 bytes": run(2, "SIGNALLED", signal="payment", content_bytes=2),
        f"{RUN} loan-approval: repaired (why)": run(2, "REPAIRED", reason="why"),
        f"{RUN} loan-approval: started, a repetition of {OTHER_RUN}": run(2, "STARTED", rerun_of=OTHER_RUN),
        f"{RUN} loan-approval: started as a child of {OTHER_RUN}": run(2, "STARTED", parent=OTHER_RUN),
        f"{RUN} parse: failed, BAD: no": step(2, "FAILED", failure=failure("BAD", "no")),
        f"{RUN} parse: skipped, its condition is false": step(
            2, "SKIPPED", failure=failure("", "its condition is false")
        ),
        f"{RUN} parse: got the result that {OTHER_RUN} had recorded under the same key": step(
            2, "REPLAYED", replayed_from=OTHER_RUN
        ),
    }
    assert {summarize(made): made for made in others.values()} == others
    for kind in audit_record_pb2.EventKind.values():
        if kind:
            assert kind_of(kind_name(kind)) == kind


def test_an_approval_of_a_step_has_a_story_that_leads_to_its_run() -> None:
    store = stored()
    people = Invocations(store).find_approval(APPROVAL)
    assert people is not None
    people.approval.run, people.approval.step = RUN, "review"
    store.put(Family.APPROVALS, keys.approval(keys.approval_id_bytes(APPROVAL) or b""), people.SerializeToString())
    found = explain(AuditLog(store), Invocations(store), f"approvals/{APPROVAL}")
    assert found is not None and found.invocation == f"approvals/{APPROVAL}"
    assert [event.record.sequence for event in found.events] == [10, 11, 13]
    assert list(found.narrative) == [
        f"{at(10)}: is this loan good? waits for people, run {RUN}, step review: approval approvals/{APPROVAL}, tier "
        "high.",
        f"{at(11)}: asha (finance) approved approvals/{APPROVAL}: all there.",
        f"{at(13)}: approval approvals/{APPROVAL} is consumed.",
        f"It is about step review of {NAME}: fairlead explain {NAME} tells the rest.",
    ]


# ExplainRun ----------------------------------------------------------------------------------------------------------


def explained(store: FakeStore) -> audit_service_pb2.ExplainRunResponse:
    found = explain_run(AuditLog(store), Invocations(store), Runs(store), NAME)
    assert found is not None
    return found


def test_the_calls_and_approvals_of_a_run_are_found() -> None:
    found = explained(stored())
    assert [event.record.sequence for event in found.events] == list(range(2, 24))
    assert list(found.narrative) == narrate_run(story(), COMPENSATED)
    assert (found.name, found.state, found.create_time.ToNanoseconds()) == (NAME, COMPENSATED, T0)


def test_what_another_tenant_says_of_the_run_is_not_told() -> None:
    store = stored()
    raw = keys.run_id_bytes(RUN) or b""
    kept = Runs(store).record("acme", raw)
    assert kept is not None
    kept.tenant = "globex"
    store.put(Family.RUNS, keys.run("acme", raw), None)
    store.put(Family.RUNS, keys.run("globex", raw), kept.SerializeToString())
    store.put(Family.RUNS, keys.run_event("globex", raw, 2), b"")
    store.put(Family.RUNS, keys.run_event("globex", raw, 23), b"")
    assert not explained(store).events


def test_a_missing_record_is_said_and_the_others_are_told() -> None:
    store = stored()
    store.put(Family.AUDIT, keys.audit(8), None)
    found = explained(store)
    assert 8 not in [event.record.sequence for event in found.events]
    assert found.narrative[-1] == "Record 8 of this run is missing from the log: run fairlead audit verify."


def test_what_does_not_fit_is_left_out_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explaining, "MAX_EVENTS", 5)
    monkeypatch.setattr(explaining, "MAX_SENTENCES", 3)
    found = explained(stored())
    assert len(found.events) == 5
    assert list(found.narrative)[3:] == [
        f"17 more records are left out here: fairlead audit tail --run {NAME} has them.",
        "2 more sentences are left out.",
    ]
    monkeypatch.setattr(explaining, "MAX_SENTENCES", 100)
    monkeypatch.setattr(explaining, "MAX_SCANNED", 10)
    monkeypatch.setattr(explaining, "CHUNK_RECORDS", 5)
    assert explained(stored()).narrative[-2].startswith("Calls that name this run were looked for up to record 11 only")


def test_a_run_that_is_not_there_has_no_story() -> None:
    store = FakeStore()
    assert explain_run(AuditLog(store), Invocations(store), Runs(store), NAME) is None
