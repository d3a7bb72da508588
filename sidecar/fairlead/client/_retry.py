"""What is repeated, and when.

Every call that changes something carries a request id, so a repetition returns the first answer. Only answers that
say "not now" are repeated, never a refusal: a refused call stays refused until its caller changes something.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass

from fairlead.client._errors import ConnectionFailed, FairleadError, TemporarilyUnavailable


@dataclass(frozen=True)
class RetryPolicy:
    """Exponential backoff with full jitter, in seconds, bounded by the call's deadline."""

    attempts: int = 5
    initial: float = 0.05
    maximum: float = 2.0

    def delays(self) -> Iterator[float]:
        """One delay before each further attempt."""
        for number in range(self.attempts - 1):
            yield random.uniform(0, min(self.maximum, self.initial * 2**number))


class Deadline:
    """The moment a call has to be over, on the monotonic clock."""

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    def remaining(self) -> float:
        """Seconds left; never below a millisecond, so that gRPC reports the deadline itself."""
        return max(0.001, self._at - time.monotonic())

    def allows(self, delay: float) -> bool:
        """True when there is time for `delay` and an attempt after it."""
        return time.monotonic() + delay < self._at


def delay_before_retry(error: FairleadError, backoff: float, deadline: Deadline) -> float | None:
    """Seconds to wait before repeating a call that failed with `error`; None when it must not be repeated."""
    if not isinstance(error, TemporarilyUnavailable | ConnectionFailed):
        return None
    delay = max(backoff, error.retry_after or 0.0)
    return delay if deadline.allows(delay) else None
