"""Attempts of one invocation, as they will be settled."""

from __future__ import annotations

import asyncio
import time
from types import TracebackType

from fairlead.v1 import amount_pb2, decision_pb2

_Outcome = decision_pb2.AttemptOutcome


class AttemptRecorder:
    """One try at one model. Leaving the block without `used` or `failed` counts as answered with unknown usage,
    which is charged as the worst case; an exception counts as a failed attempt and goes on to the caller."""

    def __init__(self, target: decision_pb2.PlannedTarget, earlier: AttemptRecorder | None = None) -> None:
        """Begins now; `earlier` is the attempt before."""
        self._target = target
        self._started = time.monotonic()
        self._ended: float | None = None
        self._message = decision_pb2.Attempt(model=target.model)
        if earlier is not None and earlier._ended is not None:
            self._message.delay.FromNanoseconds(int((self._started - earlier._ended) * 1e9))

    @property
    def model(self) -> str:
        """Name of the model in Fairlead's configuration."""
        return self._target.model

    @property
    def upstream_model(self) -> str:
        """Name of the model at its provider."""
        return self._target.upstream_model

    def used(self, *, input: int, output: int, cached_input: int = 0, cache_write: int = 0, reasoning: int = 0) -> None:
        """Reports the tokens of a complete answer, as the provider reported them."""
        self._message.outcome = _Outcome.ATTEMPT_OUTCOME_SUCCEEDED
        self._message.status_code = self._message.status_code or 200
        self._message.usage.CopyFrom(
            amount_pb2.Usage(
                input=input, cached_input=cached_input, cache_write=cache_write, output=output, reasoning=reasoning
            )
        )

    def failed(self, *, status_code: int = 0, retry_after: float | None = None, detail: str = "") -> None:
        """Reports that the provider did not answer well. `retry_after` is in seconds."""
        timed_out = status_code == 0 and detail == "timeout"
        self._message.outcome = _Outcome.ATTEMPT_OUTCOME_TIMED_OUT if timed_out else _Outcome.ATTEMPT_OUTCOME_FAILED
        self._message.status_code = status_code
        self._message.detail = detail
        if retry_after is not None:
            self._message.retry_after.FromNanoseconds(int(retry_after * 1e9))

    def __enter__(self) -> AttemptRecorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended = time.monotonic()
        self._message.latency.FromNanoseconds(int((self._ended - self._started) * 1e9))
        if self._message.outcome != _Outcome.ATTEMPT_OUTCOME_UNSPECIFIED:
            return
        if error is None:
            self._message.outcome = _Outcome.ATTEMPT_OUTCOME_SUCCEEDED
        elif isinstance(error, asyncio.CancelledError | KeyboardInterrupt | GeneratorExit):
            self._message.outcome = _Outcome.ATTEMPT_OUTCOME_CANCELLED
        elif isinstance(error, TimeoutError):
            self._message.outcome = _Outcome.ATTEMPT_OUTCOME_TIMED_OUT
        else:
            # The provider SDKs put the HTTP status on their errors under this name. The text of the error stays
            # out: it may quote the prompt.
            status = getattr(error, "status_code", 0)
            self._message.status_code = status if isinstance(status, int) else 0
            self._message.outcome = _Outcome.ATTEMPT_OUTCOME_FAILED
            self._message.detail = type(error).__name__

    def message(self) -> decision_pb2.Attempt:
        """The attempt as it is settled; one that was begun and never ended was answered, as far as anybody knows."""
        if self._message.outcome == _Outcome.ATTEMPT_OUTCOME_UNSPECIFIED:
            self._message.outcome = _Outcome.ATTEMPT_OUTCOME_SUCCEEDED
        return self._message
