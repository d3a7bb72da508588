"""Keeps leases, and learns what became of them.

One thread sends the heartbeat of every attempt after a third of the time by which it extends the lease, so that two may
be lost. It waits for nobody: answers come as callbacks.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc

from fairlead.client import FairleadError, LeaseLost, NotFound
from fairlead.client._errors import from_rpc_error
from fairlead.v1 import worker_service_pb2 as pb
from fairlead.v1 import worker_service_pb2_grpc
from fairlead.worker._attempt import Attempt

logger = logging.getLogger("fairlead.worker")

PER_EXTENSION = 3
# Of a lease that does not say how long a heartbeat extends it.
_EXTENSION_SECONDS = 30.0
_SHORTEST_SECONDS = 0.05
_LONGEST_CALL_SECONDS = 10.0
# One that fails is sent again after this part of the interval.
_AGAIN = 0.25
# Once the attempt's own time is over, only the sidecar can say what became of it.
_AFTER_THE_END_SECONDS = 0.05


@dataclass(slots=True, eq=False)
class _Beat:
    attempt: Attempt
    interval: float
    due: float
    ends: float
    in_flight: bool = False
    fails: bool = False


class Heartbeats:
    """`cancelled` and `lost` are called from other threads than the one that made this."""

    def __init__(
        self,
        channel: grpc.Channel,
        metadata: tuple[tuple[str, str], ...],
        cancelled: Callable[[Attempt], None],
        lost: Callable[[Attempt], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._channel, self._metadata = channel, metadata
        stub: Any = worker_service_pb2_grpc.WorkerServiceStub(channel)
        self._send = stub.HeartbeatStep.future
        self._cancelled, self._lost, self._clock = cancelled, lost, clock
        self._beats: dict[Attempt, _Beat] = {}
        self._changed = threading.Condition()
        self._wakes_at: float | None = None
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="fairlead-heartbeats", daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread and the connection."""
        with self._changed:
            self._stopped = True
            self._beats.clear()
            self._changed.notify()
        self._thread.join()
        self._channel.close()

    def add(self, attempt: Attempt) -> None:
        """From now on its lease is kept."""
        lease, now = attempt.lease, self._clock()
        extension = lease.extension.seconds + lease.extension.nanos / 1e9
        interval = max((extension or _EXTENSION_SECONDS) / PER_EXTENSION, _SHORTEST_SECONDS)
        ends = float("inf")
        if lease.HasField("attempt_expire_time"):
            # The sidecar is on the same machine: its wall clock is this one's.
            expires = lease.attempt_expire_time.seconds + lease.attempt_expire_time.nanos / 1e9
            ends = now + max(0.0, expires - time.time()) + _AFTER_THE_END_SECONDS
        beat = _Beat(attempt, interval, min(now + interval, ends), ends)
        with self._changed:
            self._beats[attempt] = beat
            # Steps come by the thousand and nearly all end before their first heartbeat: nobody is woken for those.
            if self._wakes_at is None or beat.due < self._wakes_at:
                self._wakes_at = beat.due
                self._changed.notify()

    def remove(self, attempt: Attempt) -> None:
        """Its lease is kept no longer."""
        with self._changed:
            self._beats.pop(attempt, None)

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._stopped:
                    return
                now = self._clock()
                due = [beat for beat in self._beats.values() if not beat.in_flight and beat.due <= now]
                for beat in due:
                    beat.in_flight = True
                if not due:
                    coming = [beat.due for beat in self._beats.values() if not beat.in_flight]
                    self._wakes_at = min(coming, default=None)
                    self._changed.wait(None if self._wakes_at is None else max(0.0, self._wakes_at - now))
                    continue
            for beat in due:
                self._beat(beat)

    def _beat(self, beat: _Beat) -> None:
        request = pb.HeartbeatStepRequest(attempt=beat.attempt.ref, progress=beat.attempt.progress)
        try:
            call = self._send(request, timeout=min(beat.interval, _LONGEST_CALL_SECONDS), metadata=self._metadata)
        except ValueError:
            return  # the channel is closed: the worker has ended
        call.add_done_callback(lambda done: self._answered(beat, done))

    def _answered(self, beat: _Beat, call: Any) -> None:
        try:
            response: pb.HeartbeatStepResponse = call.result()
        except grpc.RpcError as error:
            self._failed(beat, from_rpc_error(error))
        except grpc.FutureCancelledError:
            return  # the worker has ended
        else:
            beat.fails = False
            self._again(beat, beat.interval)
            if response.cancel_requested:
                self._cancelled(beat.attempt)

    def _failed(self, beat: _Beat, error: FairleadError) -> None:
        if isinstance(error, LeaseLost | NotFound):
            with self._changed:
                was_kept = self._beats.pop(beat.attempt, None) is not None
            if was_kept:
                self._lost(beat.attempt)
            return
        level = logging.DEBUG if beat.fails else logging.WARNING
        logger.log(level, "the heartbeat of %s failed and is sent again until it is taken: %s", beat.attempt, error)
        beat.fails = True
        self._again(beat, beat.interval * random.uniform(_AGAIN / 2, _AGAIN))

    def _again(self, beat: _Beat, seconds: float) -> None:
        with self._changed:
            now = self._clock()
            beat.in_flight = False
            beat.due = now + seconds
            if now < beat.ends < beat.due:
                beat.due = beat.ends
            if self._wakes_at is None or beat.due < self._wakes_at:
                self._wakes_at = beat.due
                self._changed.notify()
