"""Leases are kept while functions run, whatever those block; cancellation and lost leases reach the functions."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import grpc
import pytest

from fairlead.worker import AsyncStepContext, StepCancelled, StepContext
from tests.unit.client.sidecar import Refusal
from tests.unit.worker.service import PURE, SIDE_EFFECT, UNAVAILABLE, WRITE, Service, running, worker_of

Sidecar = tuple[Service, str]
EXTENSION_SECONDS = 0.3


def test_heartbeats_go_on_while_a_sync_function_blocks(sidecar: Sidecar) -> None:
    service, address = sidecar
    lease = service.add(extension=EXTENSION_SECONDS)
    worker = worker_of(address)

    @worker.step("q")
    def block(_: Any, step: StepContext) -> str:
        step.progress("x" * 600)
        service.wait(lambda: len(service.beats(lease)) >= 4)
        return "done"

    with running(worker):
        service.ended(lease)
    assert service.completed[lease] == b'"done"'
    assert service.beats(lease)[-1].progress == "x" * 512
    assert service.beats(lease)[0].attempt == service.of("CompleteStep")[0].attempt


def test_the_lease_of_a_step_that_has_ended_is_not_kept(sidecar: Sidecar) -> None:
    service, address = sidecar
    short, long = (service.add(value, extension=EXTENSION_SECONDS) for value in ("short", "long"))
    worker = worker_of(address)

    @worker.step("q")
    def block(value: str) -> None:
        if value == "long":
            service.wait(lambda: short in service.completed)
            before = len(service.beats(long))
            service.wait(lambda: len(service.beats(long)) >= before + 3)

    with running(worker):
        service.ended(short, long)
    ended = service.asked.index(("CompleteStep", service.of("CompleteStep")[0]))
    late = [request for name, request in service.asked[ended:] if name == "HeartbeatStep"]
    assert {request.attempt.lease for request in late} == {long}


def test_heartbeats_go_on_while_an_async_function_blocks_the_loop(sidecar: Sidecar) -> None:
    service, address = sidecar
    leases = [service.add(extension=EXTENSION_SECONDS) for _ in range(2)]
    worker = worker_of(address)

    @worker.step("q")
    async def block(_: Any, step: AsyncStepContext) -> None:
        service.wait(lambda: all(len(service.beats(lease)) >= 3 for lease in leases))

    with running(worker):
        service.ended(*leases)
    assert set(service.completed) == set(leases)


def test_a_heartbeat_that_fails_is_sent_again(sidecar: Sidecar) -> None:
    service, address = sidecar
    service.script["HeartbeatStep"] = [UNAVAILABLE, Refusal(grpc.StatusCode.INTERNAL, "INTERNAL"), None]
    lease = service.add(extension=EXTENSION_SECONDS)
    worker = worker_of(address)

    @worker.step("q")
    def block(_: Any) -> None:
        service.wait(lambda: len(service.beats(lease)) >= 5)

    with running(worker):
        service.ended(lease)
    assert lease in service.completed


def test_the_end_of_the_attempt_is_asked_about_at_once(sidecar: Sidecar) -> None:
    """The lease would be kept for another ten seconds; the sidecar ends the attempt at its time."""
    service, address = sidecar
    ends = int(time.time()) + 2
    lease = service.add(extension=30.0, attempt_expire_time={"seconds": ends})
    worker = worker_of(address)
    seen = threading.Event()

    @worker.step("q")
    def block(_: Any, step: StepContext) -> None:
        service.wait(lambda: service.beats(lease))
        seen.set()

    with running(worker):
        assert seen.wait(20)
        assert ends <= time.time() < ends + 5
        service.ended(lease)


def test_the_cancellation_of_a_run_reaches_a_sync_function(sidecar: Sidecar) -> None:
    service, address = sidecar
    lease = service.add(extension=EXTENSION_SECONDS, effect=SIDE_EFFECT)
    service.cancelling.add(lease)
    worker = worker_of(address)

    @worker.step("q")
    def block(_: Any, step: StepContext) -> None:
        step.check_cancelled()
        assert step.cancelled.wait(20)
        step.check_cancelled()

    with running(worker):
        service.ended(lease)
    failed = service.failed[lease]
    # The function itself says that nothing has happened.
    assert (failed.code, failed.outcome_unknown, failed.non_retryable, failed.returned) == (
        "CANCELLED",
        False,
        False,
        False,
    )


@pytest.mark.parametrize("fields", [{"effect": PURE}, {"effect": WRITE, "idempotency_key": "k"}])
def test_the_cancellation_of_a_run_interrupts_an_async_function_once(sidecar: Sidecar, fields: dict[str, Any]) -> None:
    service, address = sidecar
    lease = service.add(extension=EXTENSION_SECONDS, **fields)
    service.cancelling.add(lease)
    worker = worker_of(address)

    @worker.step("q")
    async def block(_: Any, step: AsyncStepContext) -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            # Several heartbeats later it may still clean up.
            beats = len(service.beats(lease))
            await asyncio.to_thread(service.wait, lambda: len(service.beats(lease)) >= beats + 3)
            service.note("cleaned up")

    with running(worker):
        service.ended(lease)
    assert service.of("cleaned up")
    failed = service.failed[lease]
    assert (failed.code, failed.outcome_unknown, failed.non_retryable) == ("CANCELLED", False, False)


@pytest.mark.parametrize("fields", [{"effect": SIDE_EFFECT, "idempotency_key": "k"}, {"effect": WRITE}, {"effect": 0}])
def test_an_async_function_with_an_effect_is_told_and_may_finish(sidecar: Sidecar, fields: dict[str, Any]) -> None:
    service, address = sidecar
    lease = service.add(extension=EXTENSION_SECONDS, **fields)
    service.cancelling.add(lease)
    worker = worker_of(address)

    @worker.step("q")
    async def pay(_: Any, step: AsyncStepContext) -> str:
        while not step.cancelled.is_set():
            await asyncio.sleep(0.01)
        await asyncio.to_thread(service.wait, lambda: len(service.beats(lease)) >= 3)
        return "paid"

    with running(worker):
        service.ended(lease)
    assert service.completed[lease] == b'"paid"'


@pytest.mark.parametrize(("stops", "unknown"), [("by itself", False), ("in the middle", True)])
def test_an_interrupted_effect_is_unknown_unless_the_function_says_otherwise(
    sidecar: Sidecar, stops: str, unknown: bool
) -> None:
    service, address = sidecar
    lease = service.add(extension=EXTENSION_SECONDS, effect=SIDE_EFFECT)
    service.cancelling.add(lease)
    worker = worker_of(address)

    @worker.step("q", interrupt=True)
    async def pay(_: Any) -> None:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            if stops == "by itself":
                raise StepCancelled from None
            raise

    with running(worker):
        service.ended(lease)
    assert (service.failed[lease].code, service.failed[lease].outcome_unknown) == ("CANCELLED", unknown)


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_lost_lease_stops_the_function_and_nothing_is_reported(
    sidecar: Sidecar, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    service, address = sidecar
    lease = service.add(extension=EXTENSION_SECONDS, effect=SIDE_EFFECT)
    worker = worker_of(address, concurrency=1)
    begun, ended = threading.Event(), threading.Event()

    def block(_: Any, step: StepContext) -> str:
        begun.set()
        assert step.cancelled.wait(20)
        ended.set()
        return "too late"

    async def wait(_: Any) -> None:
        begun.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.set()

    worker.step("q")(block if kind == "sync" else wait)
    worker.step("next")(lambda value: value)
    with running(worker):
        assert begun.wait(20)
        service.lose(lease)
        assert ended.wait(20)
        # Its slot is free again.
        after = service.add(queue="next")
        service.ended(after)
    assert lease not in service.completed and lease not in service.failed
    said = [request for name in ("CompleteStep", "FailStep") for request in service.of(name)]
    assert [request.attempt.lease for request in said] == [after]
    assert "its lease was lost while it ran; how it ended is not reported" in caplog.text


def test_a_lease_that_is_lost_just_before_the_end_drops_the_result(
    sidecar: Sidecar, caplog: pytest.LogCaptureFixture
) -> None:
    """As after a SIGSTOP: the first news is the answer to the result."""
    service, address = sidecar
    lease, other = service.add(1), service.add(2)
    worker = worker_of(address)

    @worker.step("q")
    def work(value: int) -> str:
        if value == 1:
            service.lose(lease)
        return "mine"

    with running(worker):
        service.ended(other)
        service.wait(lambda: len(service.results()) == 2)
    assert lease not in service.completed and not service.failed
    assert "its lease was lost before its result was taken; the result is dropped" in caplog.text
