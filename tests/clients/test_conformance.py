"""Clients in every language go through the same scenes against a real sidecar, and see the same.

The client in Python is the reference: what it sees is asserted here, and every other has to see exactly that.
"""

from __future__ import annotations

import pytest

from tests.clients.building import Builds
from tests.clients.conftest import Played
from tests.clients.conversation import Scenes
from tests.clients.languages import ALL, LEFT_OUT, BuildFailed, Language, check, wanted

PYTHON, *OTHERS = wanted()


@pytest.fixture(scope="module")
def scenes(played: Played) -> Scenes:
    return played(PYTHON)


@pytest.mark.parametrize("language", OTHERS, ids=lambda language: language.name)
def test_a_client_sees_what_the_reference_sees(
    language: Language, scenes: Scenes, played: Played, builds: Builds
) -> None:
    assert played(language) == scenes
    print({name: round(seconds) for name, seconds in builds.seconds.items()})


def test_a_call_is_admitted_once_for_its_request_id_and_settled(scenes: Scenes) -> None:
    admitted, settled = scenes["admit"], scenes["settle"]
    assert admitted["invocation"] == admitted["again"]
    assert (admitted["model"], admitted["max_output_tokens"]) == ("small", 50)
    # 100 tokens at 1 USD, 50 and then 20 at 2 USD the million.
    assert (admitted["held"]["nano_usd"], settled["charged"]["nano_usd"]) == (200_000, 140_000)
    assert settled["released"]["nano_usd"] == 60_000


@pytest.mark.parametrize(
    ("case", "code", "reason", "facts"),
    [
        ("budget", 8, "BUDGET_EXHAUSTED", {"budget": "tiny", "limit": "10", "requested": "150"}),
        ("policy", 7, "POLICY_DENIED", {"rule": "not-that-work"}),
        ("rate", 8, "RATE_LIMITED", {"limit": "slowly"}),
        ("state", 9, "INVALID_STATE", {"state": "SETTLED"}),
        ("argument", 3, "INVALID_ARGUMENT", {}),
        ("credential", 16, "CREDENTIAL_INVALID", {}),
        ("missing", 5, "NOT_FOUND", {}),
    ],
)
def test_a_refusal_has_a_reason_and_its_facts(
    scenes: Scenes, case: str, code: int, reason: str, facts: dict[str, str]
) -> None:
    said = scenes["refusals"][case]
    assert (said["code"], said["reason"]) == (code, reason)
    assert facts.items() <= said["metadata"].items()
    assert said["retry"] is (case == "rate")
    assert said["fields"] == (["input", "request_id"] if case == "argument" else [])


def test_a_tool_call_waits_for_a_person_and_is_made_once(scenes: Scenes) -> None:
    tool = scenes["tool"]
    assert tool["ticket"] == "APPROVAL_STATE_APPROVED"
    assert (tool["arguments"], tool["key"]) == ({"amount": 250}, "refund/4711")
    assert (tool["replayed"], tool["replayed_grant"]) == ({"paid": 250}, tool["grant"])


def test_a_worker_keeps_a_lease_takes_the_next_step_with_its_result_and_fails_it(scenes: Scenes) -> None:
    run, work = scenes["run"], scenes["work"]
    assert run["run"] == run["again"] == work["leased"]["run"]
    assert work["leased"]["input"] == {"document": "d-1"} and work["leased"]["labels"] == {"team": "desk"}
    assert work["extended"] and not work["cancel_requested"]
    assert (work["next"]["step"], work["next"]["input"]) == ("score", {"pages": 3})
    assert (work["stale"]["code"], work["stale"]["reason"]) == (10, "LEASE_LOST")
    assert work["step_state"] == "STEP_STATE_FAILED"


def test_a_run_is_watched_and_the_stream_goes_on_behind_any_message(scenes: Scenes) -> None:
    watched = scenes["watch_run"]
    assert watched["seen"][0] == "RUN_STATE_RUNNING" and watched["seen"][-1] == "RUN_STATE_FAILED"
    assert watched["seen"][-2] == "EVENT_KIND_RUN_ENDED"
    assert watched["resumed"] == watched["seen"][3:]


def test_the_audit_log_goes_on_where_its_token_says(scenes: Scenes) -> None:
    events = scenes["events"]
    assert events["kinds"] == [
        f"EVENT_KIND_{kind}"
        for kind in ("RUN_STARTED", "STEP_LEASED", "STEP_SUCCEEDED", "STEP_LEASED", "STEP_FAILED", "RUN_CANCELLING")
    ]
    assert events["rising"] and events["acknowledged"]
    assert events["next"] == events["kinds"][3]


def test_a_deadline_ends_the_call_and_not_what_it_waits_for(scenes: Scenes) -> None:
    assert scenes["deadline"] == {"code": 4, "ticket": "APPROVAL_STATE_PENDING"}


def test_after_a_kill_the_same_request_id_gets_the_same_answer(scenes: Scenes) -> None:
    reconnected = scenes["reconnect"]
    assert reconnected["while_down"] == 14
    assert reconnected["before"] == reconnected["after"]


def test_a_missing_toolchain_is_an_error_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.clients.languages.SEARCHED", "/nowhere")
    for language in ALL[1:]:
        with pytest.raises(BuildFailed, match=f"{language.name} cannot be built: install .*{LEFT_OUT}={language.name}"):
            check(language)


def test_only_what_is_named_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LEFT_OUT, "go")
    assert [language.name for language in wanted()] == [one.name for one in ALL if one.name != "go"]
    monkeypatch.setenv(LEFT_OUT, "cobol")
    with pytest.raises(ValueError, match="names what is no client: cobol"):
        wanted()
