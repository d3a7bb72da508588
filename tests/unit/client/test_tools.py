"""A tool call is reported as what it was, is never made twice for one key, and goes on when people have agreed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from fairlead.client import (
    ApprovalExpired,
    ApprovalPending,
    ApprovalRejected,
    AsyncClient,
    Client,
    DeadlineExceeded,
    Granted,
    InvalidState,
    Pending,
    PolicyDenied,
    QueueFull,
    Replayed,
    TicketState,
    ToolEffect,
    ToolNotCalled,
    ToolOutcome,
)
from fairlead.v1 import approval_service_pb2, gate_service_pb2, tool_pb2
from tests.unit.client.sidecar import Gate, Refusal, serving

AT = datetime(2026, 11, 18, 12, tzinfo=UTC)
STAMP = Timestamp(seconds=int(AT.timestamp()))
GRANTED = gate_service_pb2.AuthorizeToolResponse(
    granted=gate_service_pb2.ToolGranted(
        grant="grt_1",
        idempotency_key="refund/4711",
        constraints=gate_service_pb2.ToolConstraints(arguments=b'{"amount":100}', changed=["/amount"]),
        expires_at=STAMP,
    )
)
PENDING = gate_service_pb2.AuthorizeToolResponse(
    pending=gate_service_pb2.ToolPending(
        ticket="tkt_1", approval="approvals/apr_1", expires_at=STAMP, poll_after=Duration(nanos=1_000_000)
    )
)
REPLAYED = gate_service_pb2.AuthorizeToolResponse(
    replayed=gate_service_pb2.ToolReplayed(result=b'{"refund":"r-1"}', grant="grt_0")
)


def ticket(state: str, reason: str = "") -> approval_service_pb2.Ticket:
    return approval_service_pb2.Ticket(
        ticket="tkt_1",
        approval="approvals/apr_1",
        state=approval_service_pb2.ApprovalState.Value(f"APPROVAL_STATE_{state}"),
        reason=reason,
        expire_time=STAMP,
    )


@pytest.fixture
def sidecar() -> Iterator[tuple[Gate, Client]]:
    with serving() as (gate, address), Client(address, token="secret-token", timeout=5) as client:
        gate.tools = [GRANTED]
        yield gate, client


def sent(gate: Gate, kind: type[Any]) -> list[Any]:
    return [request for request in gate.requests if isinstance(request, kind)]


def outcome(gate: Gate) -> tuple[str, bytes]:
    (completion,) = sent(gate, gate_service_pb2.CompleteToolRequest)
    assert completion.grant == "grt_1" and completion.request_id
    return gate_service_pb2.ToolOutcome.Name(completion.outcome).removeprefix("TOOL_OUTCOME_"), completion.result


def test_a_request_says_everything_and_answers_are_typed(sidecar: tuple[Gate, Client]) -> None:
    gate, client = sidecar
    gate.tools = [GRANTED, PENDING, REPLAYED]
    granted = client.authorize_tool(
        "payments.refund",
        {"amount": 20000},
        effect=ToolEffect.SIDE_EFFECT,
        idempotency_key="refund/4711",
        session="s-1",
        run="r-1",
        step="pay",
        labels={"team": "support"},
    )
    assert isinstance(granted, Granted)
    assert (granted.grant, granted.arguments, granted.changed, granted.expires_at) == (
        "grt_1",
        {"amount": 100},
        ("/amount",),
        AT,
    )
    pending, replayed = client.authorize_tool("t"), client.authorize_tool("t", b'{"a": 1}')
    assert isinstance(pending, Pending) and (pending.ticket, pending.poll_after) == ("tkt_1", 0.001)
    assert isinstance(replayed, Replayed) and replayed.result == {"refund": "r-1"}
    first, second, third = sent(gate, gate_service_pb2.AuthorizeToolRequest)
    assert (first.effect, first.session, first.run, first.step) == (
        tool_pb2.TOOL_EFFECT_SIDE_EFFECT,
        "s-1",
        "r-1",
        "pay",
    )
    assert (json.loads(first.arguments), dict(first.labels)) == ({"amount": 20000}, {"team": "support"})
    assert (second.arguments, third.arguments) == (b"", b'{"a": 1}')
    assert len({first.request_id, second.request_id, third.request_id}) == 3


def test_a_grant_says_that_people_changed_the_arguments(sidecar: tuple[Gate, Client]) -> None:
    gate, client = sidecar
    edited = gate_service_pb2.AuthorizeToolResponse()
    edited.CopyFrom(GRANTED)
    edited.granted.arguments = edited.granted.constraints.arguments
    gate.tools, gate.tickets = [PENDING, edited], [ticket("APPROVED")]
    used: list[Any] = []
    client.call_tool("payments.refund", {"amount": 20000}, used.append, wait=5)
    assert used == [{"amount": 100}], "called with what people agreed to"
    gate.tools = [edited, GRANTED]
    first, second = (client.authorize_tool("payments.refund", {"amount": 20000}) for _ in range(2))
    assert isinstance(first, Granted) and isinstance(second, Granted)
    assert (first.differs, second.differs) == (True, False)


def test_a_denial_is_an_error(sidecar: tuple[Gate, Client]) -> None:
    gate, client = sidecar
    gate.refusals = [Refusal(grpc.StatusCode.PERMISSION_DENIED, "POLICY_DENIED", {"rule": "no"})]
    with pytest.raises(PolicyDenied) as denied:
        client.authorize_tool("t")
    assert denied.value.metadata == {"rule": "no"}


def test_arguments_that_are_no_json_are_not_sent(sidecar: tuple[Gate, Client]) -> None:
    gate, client = sidecar
    with pytest.raises(ValueError, match="JSON compliant"):
        client.authorize_tool("t", {"amount": float("nan")})
    assert gate.requests == []


def test_a_grant_is_completed_by_hand(sidecar: tuple[Gate, Client]) -> None:
    gate, client = sidecar
    assert client.complete_tool("grt_1", ToolOutcome.SUCCEEDED, {"refund": "r-1"}) == ("saw_untrusted",)
    assert outcome(gate) == ("SUCCEEDED", b'{"refund":"r-1"}')


def test_a_block_reports_its_result(sidecar: tuple[Gate, Client]) -> None:
    gate, client = sidecar
    with client.tool_call("payments.refund", {"amount": 20000}) as call:
        assert call.arguments == {"amount": 100} and not call.replayed
        call.succeeded({"refund": "r-2"})
    assert outcome(gate) == ("SUCCEEDED", b'{"refund":"r-2"}')
    assert (call.session_labels, call.result) == (("saw_untrusted",), {"refund": "r-2"})


class Unreachable(Exception):
    pass


def _failed(call: Any) -> None:
    call.failed()


def _raises(error: BaseException) -> Callable[[Any], None]:
    def body(_: Any) -> None:
        raise error

    return body


@pytest.mark.parametrize(
    ("body", "effect", "reported"),
    [
        (lambda _: None, None, "SUCCEEDED"),
        (_failed, None, "FAILED"),
        (_raises(ToolNotCalled("card refused")), None, "FAILED"),
        (_raises(Unreachable()), None, "FAILED"),
        (_raises(TimeoutError()), None, "UNKNOWN"),
        (_raises(TimeoutError()), ToolEffect.WRITE, "UNKNOWN"),
        (_raises(TimeoutError()), ToolEffect.READ, "FAILED"),
        (_raises(KeyboardInterrupt()), ToolEffect.SIDE_EFFECT, "UNKNOWN"),
    ],
)
def test_how_a_block_ends_decides_what_is_reported(
    sidecar: tuple[Gate, Client], body: Callable[[Any], None], effect: ToolEffect | None, reported: str
) -> None:
    gate, client = sidecar
    raised: BaseException | None = None
    try:
        with client.tool_call("t", effect=effect, not_called=(Unreachable,)) as call:
            body(call)
    except BaseException as error:
        raised = error
    assert outcome(gate) == (reported, b"")
    assert (raised is None) == (body.__name__ in ("<lambda>", "_failed"))


def test_a_result_that_is_no_json_does_not_unmake_the_call(sidecar: tuple[Gate, Client]) -> None:
    gate, client = sidecar
    with pytest.raises(TypeError, match="not JSON serializable"), client.tool_call("t") as call:
        call.succeeded({"refund": object()})
    assert outcome(gate) == ("SUCCEEDED", b"")


def test_a_replayed_call_cannot_be_made_again_by_mistake(sidecar: tuple[Gate, Client]) -> None:
    gate, client = sidecar
    gate.tools = [REPLAYED]
    with client.tool_call("t") as call:
        assert call.replayed and call.result == {"refund": "r-1"}
        with pytest.raises(InvalidState):
            _ = call.arguments
    assert sent(gate, gate_service_pb2.CompleteToolRequest) == []


def test_a_function_is_called_once_for_a_key(sidecar: tuple[Gate, Client]) -> None:
    gate, client = sidecar
    gate.tools = [GRANTED, REPLAYED]
    made: list[dict[str, Any]] = []

    def refund(arguments: dict[str, Any]) -> dict[str, str]:
        made.append(arguments)
        return {"refund": "r-1"}

    results = [client.call_tool("t", {"amount": 1}, refund, idempotency_key="refund/4711") for _ in range(2)]
    assert results == [{"refund": "r-1"}] * 2 and made == [{"amount": 100}]


def test_an_outcome_that_cannot_be_reported_does_not_hide_why_the_block_failed(sidecar: tuple[Gate, Client]) -> None:
    gate, client = sidecar
    with pytest.raises(TimeoutError) as caught, client.tool_call("t"):
        gate.refusals = [Refusal(grpc.StatusCode.FAILED_PRECONDITION, "INVALID_STATE")]
        raise TimeoutError
    assert "was not reported" in caught.value.__notes__[0]
    with pytest.raises(InvalidState), client.tool_call("t") as call:
        gate.refusals = [Refusal(grpc.StatusCode.FAILED_PRECONDITION, "INVALID_STATE")]
        call.succeeded()


def test_people_agree_and_the_same_call_goes_on_with_its_ticket(sidecar: tuple[Gate, Client]) -> None:
    gate, client = sidecar
    gate.tools = [PENDING, GRANTED]
    gate.tickets = [ticket("PENDING"), ticket("APPROVED")]
    answer = client.authorize_tool("t", {"amount": 1}, idempotency_key="k", wait=30)
    assert isinstance(answer, Granted)
    first, second = sent(gate, gate_service_pb2.AuthorizeToolRequest)
    assert (first.ticket, second.ticket) == ("", "tkt_1") and first.request_id != second.request_id
    assert (first.tool, first.arguments, first.idempotency_key) == (
        second.tool,
        second.arguments,
        second.idempotency_key,
    )
    # One WaitTicket lasts as long as the sidecar lets it.
    assert all(0 < wait.timeout.seconds <= 60 for wait in sent(gate, approval_service_pb2.WaitTicketRequest))


def test_refused_expired_and_still_pending_calls_are_typed(sidecar: tuple[Gate, Client]) -> None:
    gate, client = sidecar
    gate.tools = [PENDING]
    gate.tickets = [ticket("REJECTED", "not ours")]
    with pytest.raises(ApprovalRejected, match="not ours") as refused, client.tool_call("t", wait=30):
        raise AssertionError("a refused call must not begin")
    assert refused.value.metadata["approval"] == "approvals/apr_1"
    gate.tickets = [ticket("EXPIRED")]
    with pytest.raises(ApprovalExpired):
        client.authorize_tool("t", wait=30)
    for state, kind in (("REJECTED", ApprovalRejected), ("EXPIRED", ApprovalExpired), ("CONSUMED", PolicyDenied)):
        gate.refusals = [
            Refusal(grpc.StatusCode.PERMISSION_DENIED, "POLICY_DENIED", {"cause": "approval", "state": state})
        ]
        with pytest.raises(PolicyDenied) as over:
            client.authorize_tool("t", ticket="tkt_1")
        assert type(over.value) is kind
    with pytest.raises(ApprovalPending) as pending, client.tool_call("t"):
        raise AssertionError("a pending call must not begin")
    assert (pending.value.metadata["ticket"], pending.value.retry_after) == ("tkt_1", 0.001)
    assert sent(gate, gate_service_pb2.CompleteToolRequest) == []


def test_a_ticket_is_looked_at_and_waited_for(sidecar: tuple[Gate, Client]) -> None:
    gate, client = sidecar
    gate.tickets = [ticket("PENDING")]
    found = client.get_ticket("tkt_1")
    assert (found.state, found.approval, found.expires_at) == (TicketState.PENDING, "approvals/apr_1", AT)
    assert client.wait_ticket("tkt_1", timeout=0).state is TicketState.PENDING


def test_a_sidecar_without_room_for_a_waiter_is_asked_again_later(sidecar: tuple[Gate, Client]) -> None:
    gate, client = sidecar
    gate.refusals = [Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL")]
    gate.tickets = [ticket("PENDING"), ticket("APPROVED")]
    assert client.wait_ticket("tkt_1", timeout=30, poll_after=0.001).state is TicketState.APPROVED
    gate.refusals = [Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL")]
    with pytest.raises(QueueFull):
        client.authorize_tool("t")


def test_what_was_decided_meanwhile_is_said_at_once_without_waiting_again(sidecar: tuple[Gate, Client]) -> None:
    gate, client = sidecar
    gate.refusals = [Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL")]
    gate.tickets = [ticket("APPROVED")]
    # An hour would end this test long before it ended.
    assert client.wait_ticket("tkt_1", timeout=7200, poll_after=3600).state is TicketState.APPROVED


def test_one_wait_is_never_given_more_time_than_the_sidecar_takes(sidecar: tuple[Gate, Client]) -> None:
    gate, client = sidecar
    gate.tickets = [ticket("APPROVED")]
    client.wait_ticket("tkt_1", timeout=7200)
    # A minute of waiting and a little for the answer; how much has passed, and how it was rounded, is the machine's.
    assert 0 < gate.time_remaining < 100


def test_a_grant_whose_answer_was_lost_is_given_back() -> None:
    with serving() as (gate, address), Client(address) as client:
        gate.tools = [GRANTED]
        gate.refusals = [Refusal(grpc.StatusCode.DEADLINE_EXCEEDED, "")]
        with pytest.raises(DeadlineExceeded), client.tool_call("t"):
            raise AssertionError("the answer did not arrive")
        first, again = sent(gate, gate_service_pb2.AuthorizeToolRequest)
        assert first == again
        assert outcome(gate)[0] == "FAILED"


# The asyncio client ---------------------------------------------------------------------------------------------------


def asynchronously(test: Callable[[Gate, AsyncClient], Any]) -> None:
    async def run() -> None:
        with serving() as (gate, address):
            gate.tools = [GRANTED]
            async with asyncio.timeout(30), AsyncClient(address, token="t", timeout=5) as client:
                await test(gate, client)

    asyncio.run(run())


def test_the_asyncio_client_waits_for_people_and_reports_the_result() -> None:
    async def test(gate: Gate, client: AsyncClient) -> None:
        gate.tools = [PENDING, GRANTED]
        gate.tickets = [ticket("PENDING"), ticket("APPROVED")]

        async def refund(arguments: dict[str, Any]) -> dict[str, Any]:
            return {"refunded": arguments["amount"]}

        result = await client.call_tool("t", {"amount": 20000}, refund, idempotency_key="k", wait=30)
        assert result == {"refunded": 100}
        assert outcome(gate) == ("SUCCEEDED", b'{"refunded":100}')
        assert (await client.get_ticket("tkt_1")).state is TicketState.APPROVED
        assert await client.complete_tool("grt_1", ToolOutcome.FAILED) == ("saw_untrusted",)

    asynchronously(test)


def test_a_cancelled_task_still_reports_that_nobody_knows() -> None:
    async def test(gate: Gate, client: AsyncClient) -> None:
        begun = asyncio.Event()

        async def work() -> None:
            async with client.tool_call("t"):
                begun.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(work())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert outcome(gate) == ("UNKNOWN", b"")

    asynchronously(test)


def test_a_task_that_is_cancelled_before_its_grant_arrives_gives_it_back() -> None:
    async def test(gate: Gate, client: AsyncClient) -> None:
        gate.answering.clear()

        async def work() -> None:
            async with client.tool_call("t"):
                raise AssertionError("the answer did not arrive")

        task = asyncio.create_task(work())
        await asyncio.to_thread(gate.admitted.wait)
        task.cancel()
        gate.answering.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        await client.close()
        assert outcome(gate)[0] == "FAILED"

    asynchronously(test)


def test_the_asyncio_client_raises_what_the_ticket_says() -> None:
    async def test(gate: Gate, client: AsyncClient) -> None:
        gate.tools = [PENDING]
        gate.tickets = [ticket("REJECTED", "no")]
        with pytest.raises(ApprovalRejected):
            await client.authorize_tool("t", wait=30)
        with pytest.raises(ApprovalPending):
            async with client.tool_call("t"):
                raise AssertionError("a pending call must not begin")

    asynchronously(test)
