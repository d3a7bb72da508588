"""Rules on what models say, against the real process: what clients get, what is recorded, and what is nowhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from . import people
from .calls import budgets, explained
from .harness import CONFIG, ROOT, Daemon
from .outputs import (
    ADDRESS,
    CARD,
    CHAT,
    DIALECTS,
    HARMLESS,
    MESSAGES,
    RESPONSES,
    TOKEN,
    WORD,
    ask,
    config,
    outcomes,
    settlement,
)
from .provider import Provider

BOTH = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
EVERY_DIALECT = pytest.mark.parametrize("dialect", DIALECTS)


@pytest.fixture(scope="module")
def providers() -> Iterator[tuple[Provider, Provider]]:
    with Provider() as first, Provider() as second:
        yield first, second


@pytest.fixture(scope="module")
def daemon(providers: tuple[Provider, Provider], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    first, second = providers
    environment = {"FAIRLEAD_LOG_LEVEL": "debug"}
    directory = tmp_path_factory.mktemp("outputs")
    with Daemon(directory, config(first.url, second.url), environment=environment) as daemon:
        yield daemon


@pytest.fixture
def first(providers: tuple[Provider, Provider]) -> Provider:
    """The provider of `large`, of which a test says what it says."""
    return providers[0]


@pytest.fixture(autouse=True)
def second(providers: tuple[Provider, Provider]) -> Provider:
    """The provider of `small`, which is harmless unless a test says otherwise."""
    providers[1].say(HARMLESS)
    return providers[1]


# Redacting ----------------------------------------------------------------------------------------------------------


@BOTH
@EVERY_DIALECT
def test_what_was_found_is_replaced_and_everything_else_is_as_it_was(
    daemon: Daemon, first: Provider, dialect: str, stream: bool
) -> None:
    # In a stream a word is an event: the card's number comes in four.
    first.say(f"write to {ADDRESS} or pay with {CARD} for Project  {WORD} today")
    answered = ask(daemon, "redact", dialect=dialect, stream=stream)
    expected = "write to [redacted:email] or pay with [redacted:credit-card] for [redacted:pattern] today"
    assert (answered.status, answered.model, answered.text()) == (200, "large", expected)
    told = answered.body.decode()
    assert ADDRESS not in told and CARD not in told and WORD not in told, "nor where a dialect says it twice"
    (attempt,) = outcomes(daemon, answered.invocation)
    assert attempt[:2] == ("large", "SUCCEEDED")
    assert sorted(attempt[2]) == [
        ("no-addresses", "credit-card", 1, "REDACTED"),
        ("no-addresses", "email", 1, "REDACTED"),
        ("no-addresses", "pattern", 1, "REDACTED"),
    ]
    assert settlement(daemon, answered.invocation).charged.nano_usd > 0


@BOTH
@pytest.mark.parametrize("dialect", [CHAT, RESPONSES])
def test_a_translated_answer_passes_the_same_rules(daemon: Daemon, first: Provider, dialect: str, stream: bool) -> None:
    first.say(f"write to {ADDRESS} or {ADDRESS} today")
    answered = ask(daemon, "redact", dialect=dialect, model="claude", stream=stream)
    assert first.received.path.endswith("/messages")
    assert answered.text() == "write to [redacted:email] or [redacted:email] today"
    assert ADDRESS not in answered.body.decode()
    assert outcomes(daemon, answered.invocation) == [
        ("claude", "SUCCEEDED", [("no-addresses", "email", 2, "REDACTED")])
    ]


def test_events_that_are_cut_anywhere_on_the_wire_are_read_as_a_whole(daemon: Daemon, first: Provider) -> None:
    first.say(f"pay with {CARD} now")
    for piece in (1, 7):
        first.fail(f"slow-drip:gap=0,bytes={piece}")
        answered = ask(daemon, "redact", stream=True)
        assert answered.text() == "pay with [redacted:credit-card] now"


@EVERY_DIALECT
def test_a_stream_that_breaks_off_has_passed_the_rules_to_its_last_word(
    daemon: Daemon, first: Provider, dialect: str
) -> None:
    before = f"{HARMLESS} " * 6
    first.say(f"{before}write to {ADDRESS} " + "and more " * 20)
    # In every dialect between the address and the end.
    first.fail("cut:after=90")
    answered = ask(daemon, "redact", dialect=dialect, stream=True)
    assert answered.model == "large"
    assert answered.text().startswith(f"{before}write to [redacted:email] and more")
    assert ADDRESS not in answered.body.decode()
    ((_, outcome, findings),) = outcomes(daemon, answered.invocation)
    assert (outcome, findings) == ("CUT", [("no-addresses", "email", 1, "REDACTED")])


def test_a_stream_that_breaks_off_while_all_of_it_is_held_back_has_not_begun(daemon: Daemon, first: Provider) -> None:
    first.say(f"write to {ADDRESS} and more and more")
    first.fail("cut:after=6")
    answered = ask(daemon, "redact", stream=True)
    assert (answered.model, answered.text()) == ("small", HARMLESS)
    assert [attempt[:2] for attempt in outcomes(daemon, answered.invocation)] == [
        ("large", "CUT"),
        ("small", "SUCCEEDED"),
    ]


@BOTH
@EVERY_DIALECT
def test_arguments_of_tools_stay_json(daemon: Daemon, first: Provider, dialect: str, stream: bool) -> None:
    schema = {"type": "object", "required": ["to"], "properties": {"to": {"const": ADDRESS}}}
    offered = {
        CHAT: {"type": "function", "function": {"name": "mail", "parameters": schema}},
        RESPONSES: {"type": "function", "name": "mail", "parameters": schema},
        MESSAGES: {"name": "mail", "input_schema": schema},
    }
    answered = ask(daemon, "redact", dialect=dialect, stream=stream, tools=[offered[dialect]])
    assert answered.status == 200
    assert ADDRESS not in answered.body.decode()
    if stream and dialect == MESSAGES:
        parts = [event["delta"].get("partial_json", "") for event in answered.events() if "delta" in event]
        assert json.loads("".join(parts)) == {"to": "[redacted:email]"}
    elif not stream and dialect == CHAT:
        (call,) = json.loads(answered.body)["choices"][0]["message"]["tool_calls"]
        assert json.loads(call["function"]["arguments"]) == {"to": "[redacted:email]"}
    assert outcomes(daemon, answered.invocation)[0][2] == [("no-addresses", "email", 1, "REDACTED")]


# Rejecting ----------------------------------------------------------------------------------------------------------


@BOTH
@EVERY_DIALECT
def test_a_refused_answer_is_billed_and_the_next_model_answers(
    daemon: Daemon, first: Provider, dialect: str, stream: bool
) -> None:
    first.say(f"about {WORD} then")
    answered = ask(daemon, "reject", dialect=dialect, stream=stream)
    assert (answered.status, answered.model, answered.text()) == (200, "small", HARMLESS)
    assert WORD not in answered.body.decode(), "nothing of the refused answer was passed on"
    assert outcomes(daemon, answered.invocation) == [
        ("large", "REJECTED", [("no-names", "pattern", 1, "REJECTED")]),
        ("small", "SUCCEEDED", []),
    ]
    refused = settlement(daemon, answered.invocation).attempts[0].usage
    assert refused.output > 0
    # A stream may be refused before the provider has told its usage.
    assert stream or not refused.estimated


@BOTH
def test_when_nobody_is_left_the_call_fails_with_its_reason(daemon: Daemon, first: Provider, stream: bool) -> None:
    first.say(f"about {WORD} then")
    answered = ask(daemon, "reject", model="alone", stream=stream, headers={"x_fairlead_run": f"left-{stream}"})
    assert (answered.status, answered.headers["x-fairlead-reason"]) == (503, "TARGETS_EXHAUSTED")
    message = json.loads(answered.body)["error"]["message"]
    assert "large REJECTED" in message and "no-names" in message and WORD not in message
    assert outcomes(daemon, answered.invocation) == [("large", "REJECTED", [("no-names", "pattern", 1, "REJECTED")])]
    assert settlement(daemon, answered.invocation).charged.tokens > 0
    assert budgets(daemon)[f"run/run=left-{stream}"].reserved.tokens == 0


@EVERY_DIALECT
def test_a_stream_that_has_begun_ends_with_an_error_and_is_charged(
    daemon: Daemon, first: Provider, second: Provider, dialect: str
) -> None:
    first.say(f"{HARMLESS} and {HARMLESS} and {HARMLESS} until {WORD} comes")
    before = second.stats.requests
    answered = ask(daemon, "reject", dialect=dialect, stream=True, headers={"x_fairlead_run": f"begun-{dialect}"})
    assert (answered.status, answered.model) == (200, "large")
    assert answered.text() and f"{HARMLESS} and {HARMLESS} and {HARMLESS} until".startswith(answered.text())
    told = answered.body.decode()
    assert WORD not in told and "[DONE]" not in told
    last = answered.events()[-1]
    assert "output_rejected" in json.dumps(last) and "error" in json.dumps(last)
    assert second.stats.requests == before, "what was passed on cannot be taken back"
    assert outcomes(daemon, answered.invocation) == [("large", "REJECTED", [("no-names", "pattern", 1, "REJECTED")])]
    assert settlement(daemon, answered.invocation).charged.tokens > 0
    budget = budgets(daemon)[f"run/run=begun-{dialect}"]
    assert (budget.reserved.tokens, budget.spent.tokens > 0) == (0, True)


@BOTH
def test_an_answer_that_does_not_meet_the_schema_is_refused(daemon: Daemon, first: Provider, stream: bool) -> None:
    second_says = '{"items": [1, 2]}'
    for said, refused in ((second_says, False), ('{"item": []}', True), ("no JSON at all", True)):
        first.say(said)
        answered = ask(daemon, "orders", model="alone", stream=stream)
        assert answered.status == (503 if refused else 200), said
        found = [("orders", "schema", 1, "REJECTED")] if refused else []
        assert outcomes(daemon, answered.invocation)[0][2] == found
        if not refused:
            assert answered.text() == said


@BOTH
def test_an_answer_that_is_too_long_is_refused(daemon: Daemon, first: Provider, stream: bool) -> None:
    for said, refused in (("x" * 64, False), ("x" * 65, True)):
        first.say(said)
        answered = ask(daemon, "short", model="alone", stream=stream)
        # One event: nothing of it was passed on.
        assert answered.status == (503 if refused else 200)
        assert outcomes(daemon, answered.invocation)[0][2] == ([("short", "size", 1, "REJECTED")] if refused else [])


def test_a_refusing_rule_says_nothing_about_the_health_of_a_model(daemon: Daemon, first: Provider) -> None:
    first.say(f"about {WORD} then")
    assert [ask(daemon, "reject").model for _ in range(8)] == ["small"] * 8
    assert ask(daemon, "none").model == "large"


# Detectors ----------------------------------------------------------------------------------------------------------


@BOTH
def test_what_is_only_noted_is_passed_on_byte_for_byte(daemon: Daemon, first: Provider, stream: bool) -> None:
    first.say(f"{TOKEN} of {ADDRESS} and {ADDRESS}")
    watched, unwatched = (ask(daemon, workload, stream=stream) for workload in ("flag", "none"))
    assert watched.body == unwatched.body
    ((_, outcome, findings),) = outcomes(daemon, watched.invocation)
    assert outcome == "SUCCEEDED"
    assert sorted(findings) == [
        ("watched", "aws-access-token", 1, "FLAGGED"),
        ("watched", "email", 2, "FLAGGED"),
    ]
    assert outcomes(daemon, unwatched.invocation) == [("large", "SUCCEEDED", [])]


@BOTH
@pytest.mark.parametrize(
    ("said", "detector"),
    [
        (f"use {TOKEN} for it", "aws-access-token"),
        ("-----BEGIN PRIVATE KEY----- MIIEvQIBADANBgkqhkiG9w0BAQ -----END PRIVATE KEY-----", "private-key"),
        ("use ghp_Zc1xQ9vR2mT7kL4pW8sN3bY6dF0hJ5gA1eU2 for it", "github-pat"),
    ],
)
def test_secrets_are_found_and_refused(daemon: Daemon, first: Provider, said: str, detector: str, stream: bool) -> None:
    first.say(said)
    answered = ask(daemon, "secrets", stream=stream)
    assert (answered.model, answered.text()) == ("small", HARMLESS)
    assert outcomes(daemon, answered.invocation)[0] == ("large", "REJECTED", [("keys", detector, 1, "REJECTED")])


# Records ------------------------------------------------------------------------------------------------------------


def test_what_was_found_is_told_and_its_content_is_nowhere(daemon: Daemon, first: Provider) -> None:
    everything = f"{ADDRESS} {CARD} {TOKEN} {WORD}"
    first.say(f"{everything} project {WORD} {HARMLESS * 4} {everything}")
    answers = [
        ask(daemon, workload, model=model, stream=stream)
        for workload in ("redact", "reject", "flag", "secrets", "orders", "short")
        for model in ("chat", "alone")
        for stream in (False, True)
    ]
    places = {"log": daemon.log_text()}
    with urllib.request.urlopen(f"http://{daemon.endpoints()['health']}/metrics", timeout=10) as page:
        places["metrics"] = page.read().decode()
    for words in (("audit", "export"), ("audit", "tail"), ("top", "--once")):
        places[" ".join(words)] = people.command(daemon, *words).stdout
    for answered in answers:
        places[f"explain {answered.invocation}"] = "\n".join(explained(daemon, answered.invocation).narrative)
        if answered.status != 200:
            places[f"error {answered.invocation}"] = f"{answered.headers} {answered.body.decode()}"
    for content in (ADDRESS, CARD, TOKEN, WORD, HARMLESS):
        assert [place for place, text in places.items() if content in text] == []
    assert len(places["log"]) > 1000 and "no-names" in places["audit export"]
    told = places[f"explain {answers[0].invocation}"]
    assert "Rules that the answer has to pass: no-addresses." in told
    assert "Output rule no-addresses: email found 2 times; replaced." in told


# Configuration ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("check", "path", "fragment"),
    [
        ("{patterns: [fine, '(']}", "policies[0].check.patterns[1]", "is not a regular expression of RE2 syntax"),
        ("{patterns: ['(?=x)']}", "policies[0].check.patterns[0]", "is not a regular expression of RE2 syntax"),
        ("{schema: {type: 7}}", "policies[0].check.schema", "is not a JSON Schema"),
        ("{detect: [email, passwords]}", "policies[0].check.detect[1]", "is not a detector"),
    ],
)
def test_a_rule_that_cannot_be_compiled_is_refused_with_its_place(
    tmp_path: Path, check: str, path: str, fragment: str
) -> None:
    rule = f"policies: [{{name: bad, on: model.output, check: {check}, effect: reject}}]\n"
    file = tmp_path / "fairlead.yaml"
    file.write_text(CONFIG + rule)
    command = [sys.executable, "-m", "fairlead.cli.main", "config", "validate", "--no-secrets", str(file)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "sidecar")}
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, check=False)
    assert (told.returncode, told.stdout) == (2, "")
    assert f"{path}: {fragment}" in told.stderr
