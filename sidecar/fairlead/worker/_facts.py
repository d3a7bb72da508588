"""What both kinds of step context say. No I/O."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from fairlead.client import ApprovalPending
from fairlead.v1 import run_pb2, worker_service_pb2
from fairlead.worker._attempt import Attempt
from fairlead.worker._errors import StepCancelled, ToolPending

PROGRESS_MAX_CHARACTERS = 512
# How often a function that waits for people looks whether it has been cancelled.
WAIT_SLICE_SECONDS = 5.0
# Of an attempt without an end.
LONGEST_WAIT_SECONDS = 3600.0
_KEY_MAX_CHARACTERS = 256


class StepEffect(Enum):
    """What the workflow says that a step does."""

    PURE = run_pb2.STEP_EFFECT_PURE
    READ = run_pb2.STEP_EFFECT_READ
    WRITE = run_pb2.STEP_EFFECT_WRITE
    SIDE_EFFECT = run_pb2.STEP_EFFECT_SIDE_EFFECT


class StepFacts:
    """The attempt that a function makes."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._lease = attempt.lease

    @property
    def run(self) -> str:
        """Resource name of the run, `runs/run_…`."""
        return self._lease.run

    @property
    def step(self) -> str:
        """Step, such as `parse` or `score[17]`."""
        return self._lease.step

    @property
    def attempt(self) -> int:
        """Attempt, from 1."""
        return self._lease.attempt

    @property
    def epoch(self) -> int:
        """Fencing number: grows with every attempt at the step, for whoever can refuse an older one."""
        return self._lease.epoch

    @property
    def idempotency_key(self) -> str:
        """Key under which the step acts once, to be handed on: of the business, as the workflow says, or of run and
        step."""
        return self._lease.idempotency_key

    @property
    def effect(self) -> StepEffect:
        """What the step does, as the workflow says."""
        return StepEffect(self._lease.effect or run_pb2.STEP_EFFECT_SIDE_EFFECT)

    @property
    def labels(self) -> dict[str, str]:
        """Labels of the run."""
        return dict(self._lease.labels)

    @property
    def session(self) -> str:
        """Session of the run's calls."""
        return self._lease.session

    @property
    def traceparent(self) -> str:
        """W3C trace context that the run was started in; empty when there is none."""
        return self._lease.traceparent

    @property
    def workflow(self) -> str:
        """Name of the workflow."""
        return self._lease.workflow

    @property
    def queue(self) -> str:
        """Queue that the step came from."""
        return self._lease.queue

    @property
    def compensation(self) -> bool:
        """True: undo what the step did. The input is the step's, `result` what it returned."""
        return self._lease.compensation

    @property
    def result(self) -> Any:
        """Result to take back, of a compensation; else None."""
        return json.loads(self._lease.compensates) if self._lease.compensates else None

    @property
    def deadline(self) -> datetime | None:
        """When the attempt ends whatever the worker says; None when it has no end."""
        if not self._lease.HasField("attempt_expire_time"):
            return None
        return self._lease.attempt_expire_time.ToDatetime(tzinfo=UTC)

    @property
    def cancelled(self) -> threading.Event:
        """Set when the function should stop: the run is cancelled, the lease is lost, or the worker ends."""
        return self._attempt.cancelled

    def check_cancelled(self) -> None:
        """Raises StepCancelled when the function should stop. To be called where nothing has happened yet that would
        have to be told, or when what has happened may be done again."""
        if self._attempt.cancelled.is_set():
            raise StepCancelled(f"{self._attempt} was asked to stop")

    def progress(self, text: str) -> None:
        """What the next heartbeat says of the attempt, for people; the first 512 characters count."""
        self._attempt.progress = text[:PROGRESS_MAX_CHARACTERS]

    @property
    def headers(self) -> dict[str, str]:
        """Headers that bind the calls of any HTTP SDK to the run: its budgets, its session, its trace and its story.
        Give them as `default_headers` or `extra_headers`."""
        named = {
            "x-fairlead-run": self.run,
            "x-fairlead-step": self.step,
            "x-fairlead-session": self.session,
            "traceparent": self.traceparent,
        }
        return {name: value for name, value in named.items() if value}

    def openai_headers(self) -> dict[str, str]:
        """The same as `headers`, for `OpenAI(base_url=…, default_headers=step.openai_headers())`."""
        return self.headers

    def tool_key(self, tool: str, arguments: Mapping[str, Any] | bytes) -> str:
        """The idempotency key of a tool call that comes without one: the same in every attempt at this step, another
        one for another tool or other arguments."""
        return tool_key(self._lease, tool, arguments)

    def _waits_until(self, wait: bool | float) -> float:
        """When waiting for people that begins now ends, on the monotonic clock; True: with the attempt."""
        if wait is not True:
            return time.monotonic() + wait
        deadline = self.deadline
        left = LONGEST_WAIT_SECONDS if deadline is None else (deadline - datetime.now(UTC)).total_seconds()
        return time.monotonic() + max(0.0, left)

    def _bound(self) -> dict[str, Any]:
        """What the step's client says by itself."""
        return {
            "session": self.session,
            "run": self.run,
            "step": self.step,
            "tool_key": self.tool_key,
            "traceparent": self.traceparent,
        }


def tool_key(lease: worker_service_pb2.StepLease, tool: str, arguments: Mapping[str, Any] | bytes) -> str:
    """The step's own key, or run and step, then the tool and a digest of its arguments.

    >>> lease = worker_service_pb2.StepLease(run="runs/run_1", step="pay", idempotency_key="offer/7")
    >>> tool_key(lease, "mail.send", {"b": 1, "a": 2}) == tool_key(lease, "mail.send", b'{"a": 2, "b": 1}')
    True
    """
    value = json.loads(arguments or b"{}") if isinstance(arguments, bytes) else arguments
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    digest = hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()
    of_step = lease.idempotency_key or f"{lease.run}/{lease.step}"
    # Taking back is another call than doing, even of the same tool.
    undo = "undo/" if lease.compensation else ""
    key = f"{of_step}/{undo}{tool}/{digest[:32]}"
    if len(key) <= _KEY_MAX_CHARACTERS:
        return key
    return f"step/{hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()}"


def waited_for(pending: ApprovalPending) -> ToolPending:
    """The same news, typed for steps."""
    return ToolPending(
        pending.message, reason=pending.reason, metadata=pending.metadata, retry_after=pending.retry_after
    )
