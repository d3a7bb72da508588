"""What follows from an answer: every state and every verdict."""

from __future__ import annotations

from itertools import pairwise

import pytest

from fairlead.notification.model import (
    RETRY_AFTER_MAX_MILLIS,
    Answer,
    Move,
    Retry,
    Verdict,
    after,
    answer_of,
    unreachable,
)

NOW = 1_795_000_000 * 10**9
RETRY = Retry(attempts=4, initial_millis=1_000, max_millis=5_000)
MILLI = 1_000_000


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, Verdict.DELIVERED),
        (204, Verdict.DELIVERED),
        (299, Verdict.DELIVERED),
        (301, Verdict.REFUSED),
        (307, Verdict.REFUSED),
        (400, Verdict.REFUSED),
        (404, Verdict.REFUSED),
        (408, Verdict.UNREACHABLE),
        (410, Verdict.GONE),
        (429, Verdict.UNREACHABLE),
        (500, Verdict.REFUSED),
        (502, Verdict.UNREACHABLE),
        (503, Verdict.UNREACHABLE),
        (504, Verdict.UNREACHABLE),
    ],
)
def test_what_a_status_says(status: int, verdict: Verdict) -> None:
    answer = answer_of(status)
    assert answer.verdict is verdict and bool(answer.problem) is (verdict is not Verdict.DELIVERED)


@pytest.mark.parametrize("verdict", list(Verdict))
@pytest.mark.parametrize("attempts", [0, 2, 3])
def test_every_attempt_and_every_verdict(verdict: Verdict, attempts: int) -> None:
    step = after(Answer(verdict), attempts, 0, RETRY, NOW, 0.0)
    last = attempts + 1 == RETRY.attempts
    if verdict is Verdict.DELIVERED:
        assert (step.move, step.due, step.rest_until, step.failures) == (Move.DELIVERED, 0, 0, 0)
    elif verdict is Verdict.GONE or last:
        assert (step.move, step.due) == (Move.DEAD, 0)
    else:
        assert step.move is Move.WAITS and step.due > NOW
    assert step.attempts == attempts + 1
    assert step.failures == (1 if verdict is Verdict.UNREACHABLE else 0)


def test_a_receiver_that_does_not_answer_rests_ever_longer_and_its_oldest_one_waits_no_longer() -> None:
    steps = [after(unreachable("down"), 0, failures, RETRY, NOW, 0.0) for failures in range(6)]
    rests = [(step.rest_until - NOW) // MILLI for step in steps]
    assert rests == [500, 1000, 2000, 2500, 2500, 2500]
    assert all(step.due == step.rest_until for step in steps)
    assert [step.failures for step in steps] == [1, 2, 3, 4, 5, 6]


def test_what_is_refused_by_itself_waits_longer_than_the_receiver_rests() -> None:
    steps = [after(answer_of(400), attempts, 3, RETRY, NOW, 0.0) for attempts in range(3)]
    assert [(step.due - NOW) // MILLI for step in steps] == [500, 1000, 2000]
    assert {(step.rest_until - NOW) // MILLI for step in steps} == {500} and {step.failures for step in steps} == {0}


def test_waits_are_spread_over_their_upper_half() -> None:
    waits = [RETRY.wait_millis(2, random) for random in (0.0, 0.5, 0.999)]
    assert waits == [1000, 1500, 1999] and all(a < b for a, b in pairwise(waits))
    assert RETRY.wait_millis(10_000, 0.999) < RETRY.max_millis
    assert Retry(1, 1, 1).wait_millis(1, 0.0) == 0


def test_a_wait_that_the_receiver_asks_for_is_kept_but_not_for_ever() -> None:
    asked = after(answer_of(429, 60_000), 0, 0, RETRY, NOW, 0.0)
    assert asked.due == asked.rest_until == NOW + 60_000 * MILLI
    absurd = after(answer_of(503, 10**12), 0, 0, RETRY, NOW, 0.0)
    assert absurd.rest_until == NOW + RETRY_AFTER_MAX_MILLIS * MILLI
    # A shorter one than ours does not hurry us.
    assert after(answer_of(429, 1), 0, 3, RETRY, NOW, 0.0).due == NOW + 2500 * MILLI
