"""Answers that are given again have passed the rules of the call that gets them, against the real process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .harness import Daemon
from .outputs import ADDRESS, HARMLESS, WORD, ask, config
from .provider import Provider


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider


@pytest.fixture(scope="module")
def daemon(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("kept-outputs"), config(provider.url, provider.url)) as daemon:
        yield daemon


def test_a_repeated_request_gets_the_answer_as_it_was_redacted(daemon: Daemon, provider: Provider) -> None:
    provider.say(f"write to {ADDRESS}")
    once = ask(daemon, "redact", headers={"idempotency_key": "redacted-1"})
    requests = provider.stats.requests
    again = ask(daemon, "redact", headers={"idempotency_key": "redacted-1"})
    assert (again.text(), again.invocation) == ("write to [redacted:email]", once.invocation)
    assert provider.stats.requests == requests


def test_a_refused_answer_is_not_kept(daemon: Daemon, provider: Provider) -> None:
    for said in (f"about {WORD}", f"{HARMLESS} and {HARMLESS} and {HARMLESS} until {WORD} comes"):
        provider.say(said)
        for stream in (False, True):
            for _ in range(2):
                answered = ask(daemon, "reject", model="kept", stream=stream)
                assert "x-fairlead-cache" not in answered.headers
                assert WORD not in answered.body.decode()
