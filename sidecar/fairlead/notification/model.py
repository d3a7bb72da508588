"""What follows from the answer to a notification. Pure: no I/O, no clock, no randomness of its own.

| state | event | state after | |
|---|---|---|---|
| PENDING | DELIVERED: 2xx | gone | |
| PENDING | GONE: 410 | DEAD | the receiver wants nothing of this kind |
| PENDING | REFUSED: another status, attempts left | PENDING | later notifications go on after the first wait |
| PENDING | UNREACHABLE: no answer, 408, 425, 429, 502 to 504, attempts left | PENDING | the receiver rests, all wait |
| PENDING | REFUSED, UNREACHABLE, no attempts left | DEAD | |
| PENDING, DEAD | an operator tries it again | PENDING, no attempts yet | at once |
| PENDING, DEAD | an operator drops it, or its receiver is removed | gone | |

INVARIANT (N1): as long as failures are the receiver's, not the notification's, what is sent is in the order of the log.
A rest ends with the oldest one that waits; one that is refused by itself does not hold back the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

_NANOS_PER_MILLI = 1_000_000
# Waits that a receiver asks for are kept up to here: a broken clock over there must not silence it for years.
RETRY_AFTER_MAX_MILLIS = 86_400_000
# The receiver, or what stands before it, has no time now: it says nothing about the notification.
_BUSY = frozenset((408, 425, 429, 502, 503, 504))
_GONE = 410


class Verdict(Enum):
    """What an attempt came to."""

    DELIVERED = "delivered"
    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Answer:
    """How an attempt ended; `problem` is in fixed words and never quotes what the receiver said."""

    verdict: Verdict
    status_code: int = 0
    problem: str = ""
    retry_after_millis: int = 0


def answer_of(status_code: int, retry_after_millis: int = 0) -> Answer:
    """What a status says."""
    if 200 <= status_code < 300:
        return Answer(Verdict.DELIVERED, status_code)
    problem = f"status {status_code}"
    if status_code == _GONE:
        return Answer(Verdict.GONE, status_code, f"{problem}: the receiver wants no more")
    if 300 <= status_code < 400:
        problem += ": redirects are not followed, write the final URL"
    verdict = Verdict.UNREACHABLE if status_code in _BUSY else Verdict.REFUSED
    return Answer(verdict, status_code, problem, retry_after_millis)


def unreachable(problem: str) -> Answer:
    """No answer came."""
    return Answer(Verdict.UNREACHABLE, problem=problem)


@dataclass(frozen=True, slots=True)
class Retry:
    """How often is tried, and how long is waited: `initial_millis` doubles up to `max_millis`."""

    attempts: int
    initial_millis: int
    max_millis: int

    def wait_millis(self, failures: int, random: float) -> int:
        """Wait after so many failures in a row, from 1; `random` from 0 to below 1 spreads its upper half, so that what
        failed together is not tried together."""
        doubled = self.initial_millis << min(failures - 1, 40)
        whole = min(doubled, self.max_millis)
        return whole // 2 + int(random * (whole - whole // 2))


class Move(Enum):
    """Where a delivery goes."""

    DELIVERED = "delivered"
    WAITS = "waits"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Step:
    """What becomes of a delivery and its receiver after an attempt. Times are Unix nanoseconds."""

    move: Move
    attempts: int
    # When the delivery is due again; 0 when it does not wait.
    due: int = 0
    # Until when nothing is sent to the receiver; 0 when it need not rest.
    rest_until: int = 0
    # Attempts in a row that did not reach the receiver.
    failures: int = 0


def after(answer: Answer, attempts: int, failures: int, retry: Retry, now: int, random: float) -> Step:
    """The step after an attempt: `attempts` of this delivery and `failures` of its receiver came before it."""
    attempts += 1
    if answer.verdict is Verdict.DELIVERED:
        return Step(Move.DELIVERED, attempts)
    failures = failures + 1 if answer.verdict is Verdict.UNREACHABLE else 0
    # A receiver that answers rests only shortly; one that does not is asked ever more rarely.
    rest = max(retry.wait_millis(max(failures, 1), random), min(answer.retry_after_millis, RETRY_AFTER_MAX_MILLIS))
    rest_until = now + rest * _NANOS_PER_MILLI
    if answer.verdict is Verdict.GONE or attempts >= retry.attempts:
        return Step(Move.DEAD, attempts, 0, 0 if answer.verdict is Verdict.GONE else rest_until, failures)
    wait = rest if answer.verdict is Verdict.UNREACHABLE else max(rest, retry.wait_millis(attempts, random))
    return Step(Move.WAITS, attempts, now + wait * _NANOS_PER_MILLI, rest_until, failures)


def longest_wait_nanos(retry: Retry) -> int:
    """No wait is longer: one that seems to be began before the clock was set back."""
    return max(retry.max_millis, RETRY_AFTER_MAX_MILLIS) * _NANOS_PER_MILLI
