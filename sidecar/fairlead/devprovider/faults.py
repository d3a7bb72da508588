"""Faults that a development provider shows on demand.

A fault is asked for by a request's own header `x-dev-fault`, armed for a number of requests, or drawn for a share of
them from a seeded generator, so that a run can be repeated exactly.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

HEADER = "x-dev-fault"


class FaultKind(StrEnum):
    """What goes wrong."""

    STATUS = "status"  # an error status, with Retry-After when given
    HANG = "hang"  # the head of the answer never comes
    HANG_MID = "hang_mid_stream"  # the answer stops in the middle, the connection stays
    REFUSE = "refuse"  # the connection is closed without an answer
    CUT = "cut"  # the answer breaks off in the middle, with the connection
    GARBAGE = "garbage"  # 200 with a web page that claims to be JSON
    MALFORMED_JSON = "malformed_json"  # JSON that ends too early, in a whole answer or in one event of a stream
    MALFORMED_SSE = "malformed_sse"  # bytes that are no event inside a stream; events where JSON was asked for
    WRONG_CONTENT_TYPE = "wrong_content_type"  # 200 with a web page, as a captive portal answers
    EMPTY_BODY = "empty_body"  # 200 and nothing
    SLOW_DRIP = "slow_drip"  # the right answer, a few bytes at a time
    ERROR_EVENT = "error_event"  # a stream whose first event is an error
    ABSURD_USAGE = "absurd_usage"  # usage far beyond what was asked for
    NO_USAGE = "no_usage"  # usage is left out


_ALIASES = {"hang_before_headers": "hang", "cut_mid_stream": "cut"}
# Faults after which nobody would bill anything.
_UNBILLED = frozenset(
    (
        FaultKind.STATUS,
        FaultKind.HANG,
        FaultKind.REFUSE,
        FaultKind.GARBAGE,
        FaultKind.WRONG_CONTENT_TYPE,
        FaultKind.EMPTY_BODY,
    )
)


@dataclass(frozen=True)
class Fault:
    """One fault. `status` and `retry_after` (seconds or an HTTP date) belong to STATUS only."""

    kind: FaultKind
    status: int = 500
    retry_after: str = ""
    after_events: int = 3  # CUT, HANG_MID, MALFORMED_…: events of a stream that still go out
    gap_seconds: float = 0.05  # SLOW_DRIP: time between two pieces
    piece_bytes: int = 16  # SLOW_DRIP: size of a piece

    @property
    def answers(self) -> bool:
        """True when the model did its work, whatever becomes of the answer."""
        return self.kind not in _UNBILLED

    @classmethod
    def parse(cls, text: str) -> Fault:
        """Reads `429`, `503`, `429:retry-after=2`, `cut:after=1`, `hang`, `slow-drip:gap=0.2,bytes=8`, …; raises
        ValueError naming what is accepted. Dashes and underscores are the same."""
        name, _, options = text.partition(":")
        values = dict(option.split("=", 1) for option in options.split(",") if "=" in option)
        if name.isascii() and name.isdigit() and 400 <= int(name) <= 599:
            return cls(FaultKind.STATUS, status=int(name), retry_after=values.get("retry-after", ""))
        word = name.replace("-", "_")
        try:
            return cls(
                FaultKind(_ALIASES.get(word, word)),
                after_events=int(values.get("after", "3")),
                gap_seconds=float(values.get("gap", "0.05")),
                piece_bytes=max(1, int(values.get("bytes", "16"))),
            )
        except ValueError:
            known = ", ".join(kind.value.replace("_", "-") for kind in FaultKind if kind is not FaultKind.STATUS)
            raise ValueError(f"unknown fault `{text}`: use a status such as 429, or one of {known}") from None


class FaultPlan:
    """Decides for each request whether it fails, and how."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._armed: list[tuple[Fault, int | None]] = []
        self._shares: list[tuple[Fault, float]] = []

    def arm(self, fault: Fault, times: int | None) -> None:
        """The next `times` requests show the fault; None means until `clear`."""
        self._armed.append((fault, times))

    def share(self, fault: Fault, probability: float) -> None:
        """Every request shows the fault with this probability."""
        self._shares.append((fault, probability))

    def clear(self) -> None:
        """No more faults."""
        self._armed.clear()
        self._shares.clear()

    def next(self) -> Fault | None:
        """The fault of the next request."""
        if self._armed:
            fault, times = self._armed[0]
            if times is None:
                return fault
            if times > 1:
                self._armed[0] = (fault, times - 1)
            else:
                self._armed.pop(0)
            return fault
        for fault, probability in self._shares:
            if self._random.random() < probability:
                return fault
        return None

    def apply(self, command: dict[str, Any]) -> None:
        """Takes a command of the control endpoint: `{"fault": "429", "times": 3}` or `{"clear": true}`."""
        if command.get("clear"):
            self.clear()
        if "fault" in command:
            times = command.get("times", 1)
            self.arm(Fault.parse(str(command["fault"])), None if times is None else int(times))
