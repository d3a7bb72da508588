"""A worker leases what it can begin at once, does all of it, and needs one round trip for a step."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import grpc
import pytest

from fairlead.client import CredentialRefused
from tests.unit.client.sidecar import Refusal
from tests.unit.worker.service import (
    UNAVAILABLE,
    Service,
    outputs,
    running,
    serving,
    until_a_slot_is_free,
    until_draining,
    worker_of,
)

Sidecar = tuple[Service, str]


def sync_function(work: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def function(value: Any) -> Any:
        return work(value)

    return function


def async_function(work: Callable[[Any], Any]) -> Callable[[Any], Any]:
    async def function(value: Any) -> Any:
        return work(value)

    return function


KINDS = pytest.mark.parametrize("kind", [sync_function, async_function], ids=["sync", "async"])


@KINDS
def test_a_thousand_steps_are_done_once_each_with_at_most_one_round_trip_a_step(sidecar: Sidecar, kind: Any) -> None:
    service, address = sidecar
    leases = [service.add(number) for number in range(1000)]
    worker = worker_of(address)
    worker.step("q")(kind(lambda number: number * 2))
    with running(worker):
        service.ended(*leases)
    assert outputs(service, leases) == [number * 2 for number in range(1000)]
    assert not service.failed
    assert sorted(service.results()) == sorted(leases)
    # The first request brings eight; all the others come with results, of which some share a call.
    early = [name for name, _ in service.asked]
    while not early[-1].startswith("Complete"):
        early.pop()
    assert early.count("LeaseSteps") <= 3
    assert service.peak <= 8


def test_with_one_slot_steps_are_done_in_the_order_in_which_they_come(sidecar: Sidecar) -> None:
    service, address = sidecar
    leases = [service.add(number) for number in range(50)]
    seen: list[int] = []
    worker = worker_of(address, concurrency=1)
    worker.step("q")(async_function(seen.append))
    with running(worker):
        service.ended(*leases)
    assert seen == list(range(50))
    assert [request.attempt.lease for request in service.of("CompleteStep")] == leases


def test_a_sidecar_that_takes_one_result_at_a_time_gets_them_so(sidecar: Sidecar) -> None:
    service, address = sidecar
    service.script["CompleteSteps"] = [Refusal(grpc.StatusCode.UNIMPLEMENTED, "")] * 1000
    leases = [service.add(number) for number in range(200)]
    worker = worker_of(address)
    worker.step("q")(async_function(lambda number: number))
    with running(worker):
        service.ended(*leases)
    assert outputs(service, leases) == list(range(200))
    assert len(service.of("CompleteSteps")) <= 1


@KINDS
def test_no_more_steps_are_leased_than_can_begin_at_once(sidecar: Sidecar, kind: Any) -> None:
    """Eight functions hold until all eight run; the ninth step stays where it is."""
    service, address = sidecar
    leases = [service.add(number) for number in range(40)]
    together, go_on = threading.Barrier(8 + 1), threading.Event()

    def hold(number: int) -> int:
        if number < 8:
            together.wait(20)
            go_on.wait(20)
        return number

    worker = worker_of(address)
    # Blocking ones must not block the loop: only the sync kind can hold.
    worker.step("q")(sync_function(hold) if kind is sync_function else async_function(lambda number: number))
    with running(worker):
        if kind is sync_function:
            together.wait(20)
            assert len(service.open) == 8 and len(service.ready) == 32
            go_on.set()
        service.ended(*leases)
    assert service.peak <= 8
    assert all(request.wish.max_steps <= 8 for request in service.of("LeaseSteps"))


def test_slots_that_are_free_are_used_by_the_next_answer(sidecar: Sidecar) -> None:
    """A request for one step waits when another slot gets free; the next result asks for a step for that one, too."""
    service, address = sidecar
    go_on = {1: threading.Event(), 2: threading.Event()}
    # The request that waits at the end has to outlive the rest of the test, however long that takes.
    worker = worker_of(address, concurrency=3, poll=60.0, grace=60.0)
    worker.step("q")(lambda number: go_on[number].wait(20))
    with running(worker):
        first, second = service.add(1), service.add(2)
        service.wait(lambda: len(service.open) == 2 and service.waiting_wishes == 1)
        go_on[1].set()
        service.ended(first)
        until_a_slot_is_free(worker)
        go_on[2].set()
        service.ended(second)
        worker.request_stop()
        until_draining(worker)
        # The request that waits is not cancelled; this ends it.
        service.ended(service.add(3))
    assert [request.next.max_steps for request in service.of("CompleteStep")] == [1, 2]
    assert service.peak <= 3


def test_more_steps_than_asked_for_go_back_without_having_begun(sidecar: Sidecar) -> None:
    service, address = sidecar
    seen: list[int] = []
    service.surplus = 3
    leases = [service.add(number) for number in range(4)]
    worker = worker_of(address, concurrency=1)
    worker.step("q")(async_function(seen.append))
    with running(worker):
        service.ended(*leases)
    assert set(service.completed) == {leases[0]} and seen == [0]
    assert all(service.failed[lease].returned for lease in leases[1:])


def test_a_step_of_a_queue_without_a_function_goes_back(sidecar: Sidecar, caplog: pytest.LogCaptureFixture) -> None:
    service, address = sidecar
    service.offers_anything = True
    lease = service.add(9, queue="elsewhere")
    worker = worker_of(address)
    worker.step("q")(async_function(lambda value: value))
    with running(worker):
        service.ended(lease)
    assert service.failed[lease].returned
    assert "queue `elsewhere`, which has no function" in caplog.text


def test_all_queues_are_asked_for_with_the_name_and_the_token(sidecar: Sidecar) -> None:
    service, address = sidecar
    worker = worker_of(address)
    for queue in ("b", "a"):
        worker.step(queue)(async_function(lambda value: value))
    with running(worker):
        service.wait(lambda: service.of("LeaseSteps"))
    wish = service.of("LeaseSteps")[0].wish
    assert (wish.worker, list(wish.queues), wish.max_steps) == ("w-1", ["b", "a"], 8)
    assert set(service.authorizations) == {"Bearer secret-token"}


def test_a_sidecar_that_is_away_is_asked_again(sidecar: Sidecar, caplog: pytest.LogCaptureFixture) -> None:
    service, address = sidecar
    away = [Refusal(UNAVAILABLE.code, reason) for reason in ("DRAINING", "NOT_READY", "STORE_UNAVAILABLE", "")]
    full = Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL", retry_after=0.01)
    service.script["LeaseSteps"] = [*away, full]
    lease = service.add(1)
    worker = worker_of(address)
    worker.step("q")(async_function(lambda value: value))
    with caplog.at_level("INFO"), running(worker):
        service.ended(lease)
    assert len(service.of("LeaseSteps")) >= 6
    # Said once, not with every try.
    assert caplog.text.count("gets no steps at the moment") == 1
    assert "is connected again" in caplog.text


def test_a_restart_of_the_sidecar_costs_no_result(sidecar: Sidecar) -> None:
    """The second one knows the steps of the first, as a real one reads them back."""
    first, address = sidecar
    worker = worker_of(address, concurrency=2)
    begun, go_on = threading.Event(), threading.Event()

    @worker.step("q")
    def work(value: int) -> int:
        begun.set()
        assert go_on.wait(20)
        return value

    with running(worker):
        lease = first.add(1)
        assert begun.wait(20)
        held = dict(first.open)
        first.shut_down()
        go_on.set()
        with serving(port=int(address.rpartition(":")[2])) as (second, _):
            second.open |= held
            after = second.add(2, lease="of the second")
            second.ended(lease, after)
    assert outputs(second, [lease, after]) == [1, 2]


def test_a_refused_token_ends_the_worker_with_that_error(sidecar: Sidecar) -> None:
    service, address = sidecar
    service.script["LeaseSteps"] = [None, Refusal(grpc.StatusCode.UNAUTHENTICATED, "CREDENTIAL_INVALID")]
    lease = service.add(1)
    worker = worker_of(address, concurrency=2)
    worker.step("q")(async_function(lambda value: value))
    with pytest.raises(CredentialRefused), running(worker) as thread:
        service.ended(lease)
        thread.join(20)
        assert not thread.is_alive()
