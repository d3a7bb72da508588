"""Up to when what has ended is forgotten. Pure: no I/O, no clock."""

from __future__ import annotations

from dataclasses import dataclass

NANOS_PER_MILLI = 1_000_000
DAY_NANOS = 86_400 * 10**9


@dataclass(frozen=True, slots=True)
class Cutoffs:
    """Unix nanoseconds before which invocations and tool calls are forgotten; 0 keeps all of them.

    On the beginning of a day, UTC: a sweep has something to do, and to record, once a day.
    """

    invocations: int = 0
    tool_calls: int = 0

    @classmethod
    def of(cls, now_unix_nanos: int, invocations_millis: int | None, tool_calls_millis: int | None) -> Cutoffs:
        """From how long each is kept; none is for ever."""
        return cls(cutoff(now_unix_nanos, invocations_millis), cutoff(now_unix_nanos, tool_calls_millis))

    def not_after(self, unix_nanos: int | None) -> Cutoffs:
        """The same, but nothing goes that is younger than this time."""
        if unix_nanos is None:
            return self
        day = max(0, unix_nanos // DAY_NANOS * DAY_NANOS)
        return Cutoffs(min(self.invocations, day), min(self.tool_calls, day))


def cutoff(now_unix_nanos: int, kept_millis: int | None) -> int:
    """The beginning of the last day, UTC, that is over for so long; 0 for what is kept for ever. Unix nanoseconds."""
    if kept_millis is None:
        return 0
    return max(0, (now_unix_nanos - kept_millis * NANOS_PER_MILLI) // DAY_NANOS * DAY_NANOS)
