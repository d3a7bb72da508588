"""What people see of a run on a terminal."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fairlead.cli import run_view
from fairlead.v1 import amount_pb2, run_pb2
from tests.unit.approval.fakes import at
from tests.unit.audit.records import T0
from tests.unit.workflow.fakes import HOUR, MINUTE, name_of

NOW = T0 + HOUR


def step(id: str, state: str = "SUCCEEDED", kind: str = "AGENT", **fields: Any) -> run_pb2.Step:
    return run_pb2.Step(
        id=id,
        state=run_pb2.StepState.Value(f"STEP_STATE_{state}"),
        kind=run_pb2.StepKind.Value(f"STEP_KIND_{kind}"),
        **fields,
    )


def whole(*steps: run_pb2.Step, **fields: Any) -> run_pb2.Run:
    given: dict[str, Any] = {
        "name": name_of(1),
        "tenant": "acme",
        "agent": "support-bot",
        "workflow": "loan-approval",
        "workflow_version": "77" * 32,
        "state": run_pb2.RUN_STATE_RUNNING,
        "steps": steps,
        "steps_ended": 1,
        "steps_total": 1234,
        "create_time": at(T0),
        "spent": amount_pb2.Amount(nano_usd=250_000_000, tokens=1700),
    }
    return run_pb2.Run(**{**given, **fields})


def lines(*steps: run_pb2.Step) -> list[str]:
    """Without the columns' spaces."""
    return [" ".join(line.split()) for line in run_view.steps(whole(*steps), NOW)]


def test_the_facts_of_a_run() -> None:
    assert list(run_view.facts(whole(labels={"team": "loans", "a": "b"}, priority=5))) == [
        f"name       {name_of(1)}",
        "state      running",
        "workflow   loan-approval, version 777777777777",
        "tenant     acme",
        "started by agent support-bot",
        "labels     a=b, team=loans",
        "priority   5",
        "created    2026-11-18 11:06:40 UTC",
        "steps      1 of 1,234 have ended",
        "spent      $0.25, 1,700 tokens",
    ]
    ended = whole(
        state=run_pb2.RUN_STATE_FAILED,
        agent="",
        operator="asha",
        parent=name_of(2),
        parent_step="sub",
        rerun_of=name_of(3),
        rerun_from="review",
        cost_avoided=amount_pb2.Amount(nano_usd=500_000_000),
        end_time=at(T0 + 90 * MINUTE),
        start_time=at(T0 + MINUTE),
        failure=run_pb2.Failure(code="BAD_INPUT", message="no income", step="parse"),
    )
    told = list(run_view.facts(ended))
    for line in (
        "failure    step parse, BAD_INPUT: no income",
        "started by operator asha",
        f"child of   {name_of(2)}, step sub",
        f"repeats    {name_of(3)} from step review on, $0.50 not paid again",
        "begins     2026-11-18 11:07:40 UTC",
        "ended      2026-11-18 12:36:40 UTC, after 1 h 30 min",
    ):
        assert line in told


def test_each_state_says_what_is_going_on() -> None:
    began = {"start_time": at(T0)}
    approval = "approvals/apr_" + "1" * 32
    assert lines(
        step("a", start_time=at(T0), end_time=at(T0 + 1_500_000_000), worker="w-1", attempts=2, queue="doc-parser"),
        step("b", "LEASED", worker="w-2", due_time=at(NOW + 30_000_000_000), attempts=1, **began),
        step("c", "WAITING_APPROVAL", "APPROVAL", approval=approval, due_time=at(NOW + 71 * HOUR), **began),
        step("d", "WAITING", "WAIT", signal="payment", **began),
        step("e", "WAITING", "WORKFLOW", child=name_of(2), **began),
        step("f", "RETRY_WAIT", due_time=at(NOW + 4_000_000_000), failure=run_pb2.Failure(code="OOPS", message="no")),
        step("g", "UNKNOWN", approval=approval, failure=run_pb2.Failure(code="LEASE_EXPIRED")),
        step("h", "READY", due_time=at(NOW - 1)),
        step("i", "BLOCKED", needs=["a", "b"]),
        step("j", "FAILED", failure=run_pb2.Failure(code="BAD_INPUT", message="no income")),
        step("k", "SUCCEEDED", "MODEL", replayed=True, spent=amount_pb2.Amount(nano_usd=1_234_500)),
        step("l", "SKIPPED", failure=run_pb2.Failure(message="its condition is false")),
    ) == [
        "STEP KIND STATE ATTEMPTS SPENT WHAT",
        "✓ a agent doc-parser succeeded 2 - took 1.5 s by w-1",
        "▶ b agent leased 1 - by w-2 for 1 h, lease ends in 30 s",
        f"? c approval waiting approval - - {approval} for 1 h, expires in 2 d 23 h",
        "… d wait waiting - - signal payment for 1 h",
        f"… e workflow waiting - - {name_of(2)} for 1 h",
        "↻ f agent retry wait - - again in 4 s, OOPS: no",
        f"! g agent unknown - - nobody knows whether it happened {approval}, LEASE_EXPIRED",
        "○ h agent ready - - fails without a worker now",
        "· i agent blocked - - needs a, b",
        "✗ j agent failed - - BAD_INPUT: no income",
        "✓ k model succeeded - $0.0012 result of another run",
        "- l agent skipped - - its condition is false",
    ]


def test_a_for_each_has_a_bar_and_the_items_with_trouble() -> None:
    items = [step(f"score[{n}]") for n in range(5)]
    items.append(step("score[5]", "FAILED", failure=run_pb2.Failure(code="OOPS"), attempts=2))
    shown = lines(step("score", "WAITING", "FOR_EACH", items_total=10, items_succeeded=5, items_failed=1), *items)
    assert shown[1:] == [
        "… score forEach waiting 2 - [████████████░░░░░░░░] 6 of 10, 1 failed",
        "✗ score[5] agent failed 2 - OOPS",
    ]
    many = lines(step("score", "WAITING", "FOR_EACH"), *(step(f"score[{n}]", "LEASED") for n in range(15)))
    assert len(many) == 13 and many[-1] == "… 5 more items"


@given(st.permutations(["a", "b", "c", "d"]))
def test_steps_stand_behind_those_that_they_need(order: list[str]) -> None:
    needs = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]}
    found = [line.split()[1] for line in lines(*(step(id, needs=needs[id]) for id in order))[1:]]
    assert sorted(found) == ["a", "b", "c", "d"]
    assert all(found.index(need) < found.index(id) for id in found for need in needs[id])


def test_a_damaged_order_is_shown_all_the_same() -> None:
    around = [step("a", needs=["b"]), step("b", needs=["a", "b"])]
    assert [line.split()[1] for line in lines(*around)[1:]] == ["a", "b"]


def test_text_from_outside_cannot_act_on_a_terminal() -> None:
    evil = "a\x1b[2Jb\u202e"
    why = run_pb2.Failure(code=evil, message=evil, step=evil)
    run = whole(
        step(evil, "LEASED", worker=evil, queue=evil, failure=why),
        step("b", "WAITING", signal=evil, needs=[evil]),
        step("c", "WAITING_APPROVAL", approval=evil),
        step("d", "BLOCKED", needs=[evil]),
        step("e", "FAILED", child=evil),
        name=evil,
        workflow=evil,
        failure=why,
        labels={evil: evil},
        parent=evil,
        parent_step=evil,
        rerun_of=evil,
        rerun_from=evil,
        tenant=evil,
        agent=evil,
    )
    for line in (*run_view.facts(run), *run_view.steps(run, NOW)):
        assert line.isprintable()


def test_payloads_are_shown_as_the_json_that_they_are() -> None:
    run = whole(step("parse", output=b'{"income":1}', input=b"not json"), input=b"[1]", output=b"null")
    shown = run_view.as_json(run)
    assert (shown["input"], shown["output"]) == ([1], None)
    assert (shown["steps"][0]["output"], shown["steps"][0]["input"]) == ({"income": 1}, "not json")
