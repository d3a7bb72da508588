"""Tells the sidecar how attempts ended."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from fairlead.client import FairleadError, InvalidState, LeaseLost, NotFound, PolicyDenied
from fairlead.client._errors import from_outcome
from fairlead.v1 import worker_service_pb2 as pb
from fairlead.worker import _outcome
from fairlead.worker._attempt import Attempt
from fairlead.worker._outcome import Failed
from fairlead.worker._wire import Wire, delays, is_worth_repeating

logger = logging.getLogger("fairlead.worker")


@dataclass(frozen=True, slots=True)
class Result:
    """What a function has returned, JSON."""

    attempt: Attempt
    output: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of results: the refusal of each, and the steps that came with it."""

    refusals: Sequence[FairleadError | None]
    leases: Sequence[pb.StepLease]


Request = TypeVar("Request", pb.CompleteStepRequest, pb.FailStepRequest)
# gRPC's own answers to a message that is too large; they come without a reason of Fairlead's.
_TOO_LARGE = ("RESOURCE_EXHAUSTED", "OUT_OF_RANGE")
_OVER = (LeaseLost, NotFound, InvalidState)


class Reports:
    """INVARIANT (L2): what a function has returned is sent until the sidecar has it, says that the lease is lost, or
    refuses it for good; or until the worker has to end. Sending the same again is safe: the attempt names it."""

    def __init__(self, wire: Wire, secret: str | None) -> None:
        self._wire = wire
        self._secret = secret
        self.takes_several = True
        """False: this sidecar is older than the call for several results."""

    async def complete(self, results: Sequence[Result], wish: pb.LeaseWish | None) -> Answer | None:
        """Reports results and asks for the next steps; None when there was no answer: then `complete_later`."""
        try:
            if len(results) > 1:
                return await self._complete_several(results, wish)
            (result,) = results
            request = pb.CompleteStepRequest(attempt=result.attempt.ref, output=result.output, next=wish)
            return Answer([None], (await self._wire.complete(request)).leases)
        except FairleadError as error:
            # A denial is about what was asked for besides: the configuration has taken a queue away from the agent. And
            # what is refused of several at once is found out one by one.
            if len(results) > 1 or is_worth_repeating(error) or isinstance(error, PolicyDenied):
                for result in results:
                    logger.warning("%s: its result could not be reported yet: %s", result.attempt, error)
                self.takes_several = self.takes_several and error.reason != "UNIMPLEMENTED"
                return None
            return Answer([error], ())

    async def _complete_several(self, results: Sequence[Result], wish: pb.LeaseWish | None) -> Answer:
        completions = [pb.StepCompletion(attempt=result.attempt.ref, output=result.output) for result in results]
        response = await self._wire.complete_all(pb.CompleteStepsRequest(completions=completions, next=wish))
        refusals = [
            from_outcome(outcome.reason, outcome.message, outcome.metadata) if outcome.reason else None
            for outcome in response.outcomes
        ]
        return Answer(refusals, response.leases)

    async def complete_later(self, attempt: Attempt, output: bytes) -> None:
        """Reports a result until it is taken, and asks for nothing: an answer that is lost may have leased steps that
        nobody knows of then, and asking for others with every try would leave more of them behind."""
        try:
            await self._send(
                self._wire.complete, pb.CompleteStepRequest(attempt=attempt.ref, output=output), str(attempt)
            )
        except FairleadError as error:
            await self.refused(attempt, error)

    async def fail(self, attempt: pb.AttemptRef, named: str, failed: Failed) -> None:
        """Reports that there is no result."""
        level = logging.INFO if failed.returned else logging.WARNING
        verb = "is given back" if failed.returned else "failed"
        logger.log(level, "%s %s: %s: %s", named, verb, failed.code, failed.message, exc_info=failed.error)
        await self._fail(attempt, named, failed)

    async def refused(self, attempt: Attempt, error: FairleadError) -> None:
        """A result that is refused for good ends the attempt; the sidecar may have ended it already."""
        if isinstance(error, LeaseLost):
            logger.warning("%s: its lease was lost before its result was taken; the result is dropped", attempt)
            return
        logger.error("%s: its result is refused: %s", attempt, error)
        code = "PAYLOAD_TOO_LARGE" if error.reason in _TOO_LARGE else _outcome.code_of(error.reason)
        await self._fail(attempt.ref, str(attempt), Failed(code, error.message, non_retryable=True))

    async def _fail(self, attempt: pb.AttemptRef, named: str, failed: Failed) -> None:
        try:
            await self._send(self._wire.fail, _outcome.report(attempt, failed, self._secret), named)
        except _OVER as error:
            logger.info("%s: has ended already: %s", named, error)
        except FairleadError as error:
            logger.error("%s: its failure is refused: %s", named, error)

    async def _send(self, call: Callable[[Request], Awaitable[Any]], request: Request, named: str) -> Any:
        """Sends it until there is an answer. Raises what is not worth repeating."""
        waits, level = delays(), logging.WARNING
        try:
            while True:
                try:
                    return await call(request)
                except FairleadError as error:
                    if not is_worth_repeating(error):
                        raise
                    delay = max(next(waits), error.retry_after or 0.0)
                    logger.log(level, "%s: its end could not be reported yet: %s", named, error)
                    level = logging.DEBUG
                await asyncio.sleep(delay)
        except asyncio.CancelledError:
            logger.error("%s: its end could not be reported before the worker had to stop", named)
            raise
