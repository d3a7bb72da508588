"""What a step function raises to say how it ended.

| raised | the attempt |
|---|---|
| `NonRetryable(code, message)` | failed for good, whatever the workflow says about retries |
| `Retry(code, message, after=…)` | failed; the next one begins no earlier than `after` seconds from now |
| `OutcomeUnknown(message)` | may or may not have had its effect: the step's `onUnknown` decides |
| `StepCancelled` | stopped as asked, and nothing happened |
| a `FairleadError` | failed with its reason as the code; for good when asking again cannot help |
| anything else | failed with code `EXCEPTION`: the type's name and the message are reported, no traceback |
"""

from __future__ import annotations

from fairlead.client import ApprovalPending


class StepError(Exception):
    """A failure that the function itself names. `code` is stable, such as `BAD_INPUT`: upper-case letters, digits and
    underscores, at most 64; `message` is for people and must not hold secrets."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        # Said in an `except` block, where nobody wants a second surprise: anything that is not text is made one.
        self.code = str(code)
        self.message = str(message)


class NonRetryable(StepError):
    """No further attempt can help."""


class Retry(StepError):
    """The attempt failed, a later one may succeed. `after` is in seconds; None: as the workflow says."""

    def __init__(self, code: str, message: str, *, after: float | None = None) -> None:
        super().__init__(code, message)
        self.after = after


class OutcomeUnknown(StepError):
    """Nobody knows whether the effect has happened."""

    def __init__(self, message: str) -> None:
        super().__init__("OUTCOME_UNKNOWN", message)


class StepCancelled(Exception):
    """The attempt stops because it was asked to, and nothing has happened that would have to be told."""


class ToolPending(ApprovalPending):
    """People have to agree to a tool call, and have not yet. Let through by a function, the step is tried again after
    `retry_after` seconds and then asks for the same approval."""

    @property
    def ticket(self) -> str:
        """To be waited for, or given with the same call again."""
        return self.metadata["ticket"]
