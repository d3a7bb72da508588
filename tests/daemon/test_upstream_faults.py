"""What providers and clients do wrong: every call ends, is charged for what it used, and says how it went."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path
from typing import Any

import grpc

from fairlead.client import Client, TargetsExhausted
from fairlead.devprovider.server import Latency
from fairlead.v1 import audit_record_pb2, audit_service_pb2, audit_service_pb2_grpc, decision_pb2

from .calls import Agent, budgets, events, explained, post, refused
from .harness import TOKEN, Daemon
from .provider import Provider, routed

KIND = audit_record_pb2.EventKind
OUTCOME = decision_pb2.AttemptOutcome
BODY = {"model": "chat", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 20}
BUDGET = "budgets: [{name: run, scope: [run], limit: {tokens: 5000}, window: lifetime}]\n"
SHORT = "connect: 500ms, firstByte: 300ms, idle: 300ms, attempt: 2s"


def settlement(daemon: Daemon, invocation: str) -> audit_record_pb2.SettlementRecord:
    story = explained(daemon, invocation)
    (record,) = [event.record for event in story.events if event.record.kind == KIND.EVENT_KIND_INVOCATION_SETTLED]
    return record.settlement


def wait_for(daemon: Daemon, kind: int) -> audit_record_pb2.AuditRecord:
    """The first record of this kind, now or when it comes."""
    stub: Any = audit_service_pb2_grpc.AuditServiceStub(daemon.operator())
    request = audit_service_pb2.WatchEventsRequest(from_start=True)
    request.filter.kinds.append(kind)
    stream = stub.WatchEvents(request, timeout=30)
    record: audit_record_pb2.AuditRecord = next(iter(stream)).event.record
    stream.cancel()
    return record


def test_an_upstream_that_never_answers_times_out_and_the_next_one_answers(tmp_path: Path) -> None:
    with (
        Provider() as first,
        Provider() as second,
        Daemon(tmp_path, routed(first.url, second.url, timeouts=SHORT)) as daemon,
    ):
        first.fail("hang")
        status, headers, _ = post(daemon, BODY)
        assert (status, headers["x-fairlead-model"]) == (200, "small")
        attempts = settlement(daemon, headers["x-fairlead-invocation"]).attempts
        assert [attempt.outcome for attempt in attempts] == [
            OUTCOME.ATTEMPT_OUTCOME_TIMED_OUT,
            OUTCOME.ATTEMPT_OUTCOME_SUCCEEDED,
        ]


def test_when_every_target_fails_the_reservation_is_not_left_open(tmp_path: Path) -> None:
    with Provider() as first, Provider() as second, Daemon(tmp_path, routed(first.url, second.url, BUDGET)) as daemon:
        first.fail("500", None)
        second.fail("garbage", None)
        status, headers, answer = post(daemon, BODY, x_fairlead_run="r")
        assert (status, headers["x-fairlead-reason"]) == (503, "TARGETS_EXHAUSTED")
        assert "500" in json.loads(answer)["error"]["message"]
        budget = budgets(daemon)["run/run=r"]
        assert budget.reserved.tokens == 0
        assert budget.spent.tokens > 0, "failed attempts that reached the provider cost their input"


def test_a_client_error_of_the_provider_reaches_the_agent_as_it_is(tmp_path: Path) -> None:
    with Provider() as first, Provider() as second, Daemon(tmp_path, routed(first.url, second.url)) as daemon:
        first.fail("404")
        status, _, answer = post(daemon, BODY)
        assert status == 404
        assert json.loads(answer)["error"]["message"] == "the development provider was told to answer 404"
        assert second.stats.requests == 0, "what the agent did wrong is wrong everywhere"


def test_a_cut_stream_is_charged_for_what_arrived_and_says_so(tmp_path: Path) -> None:
    with Provider() as first, Provider() as second, Daemon(tmp_path, routed(first.url, second.url, BUDGET)) as daemon:
        first.fail("cut:after=5")
        status, headers, answer = post(daemon, {**BODY, "stream": True}, x_fairlead_run="r")
        assert status == 200
        assert b"[DONE]" not in answer
        assert b'"error"' in answer.strip().split(b"\n\n")[-1]
        settled = settlement(daemon, headers["x-fairlead-invocation"])
        assert settled.attempts[0].outcome == OUTCOME.ATTEMPT_OUTCOME_CUT
        assert settled.attempts[0].usage.estimated
        assert settled.charged.tokens > 0
        assert budgets(daemon)["run/run=r"].reserved.tokens == 0


def test_a_client_that_goes_away_cancels_the_upstream_and_is_charged(tmp_path: Path) -> None:
    slow = Latency(between_events=0.05)
    with (
        Provider(slow) as first,
        Provider() as second,
        Daemon(tmp_path, routed(first.url, second.url, BUDGET)) as daemon,
    ):
        body = json.dumps({**BODY, "stream": True, "max_tokens": 800, "seed": 800}).encode()
        host, _, port = daemon.endpoints()["agent"].rpartition(":")
        with socket.create_connection((host, int(port))) as client:
            head = (
                "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
                f"authorization: Bearer {TOKEN}\r\ncontent-length: {len(body)}\r\nx-fairlead-run: r\r\n\r\n"
            )
            client.sendall(head.encode() + body)
            received = b""
            while received.count(b"data: ") < 4:
                received += client.recv(4096)
        record = wait_for(daemon, KIND.EVENT_KIND_INVOCATION_SETTLED)
        (attempt,) = record.settlement.attempts
        assert attempt.outcome == OUTCOME.ATTEMPT_OUTCOME_CANCELLED
        assert 0 < record.settlement.charged.tokens < 1500
        assert budgets(daemon)["run/run=r"].reserved.tokens == 0
        # The provider saw the caller go: it did not produce 800 words at 50 ms each.
        first.wait_for(lambda stats: stats.cancelled == 1)


def test_usage_beyond_what_was_asked_for_is_charged_in_full_and_blocks_the_next_call(tmp_path: Path) -> None:
    with Provider() as first, Provider() as second, Daemon(tmp_path, routed(first.url, second.url, BUDGET)) as daemon:
        first.fail("absurd_usage")
        status, headers, _ = post(daemon, BODY, x_fairlead_run="r")
        assert status == 200
        assert settlement(daemon, headers["x-fairlead-invocation"]).overdraft
        assert events(daemon, KIND.EVENT_KIND_BUDGET_OVERDRAFT)
        assert budgets(daemon)["run/run=r"].spent.tokens > 1_000_000
        status, headers, _ = post(daemon, BODY, x_fairlead_run="r")
        assert (status, headers["x-fairlead-reason"]) == (429, "BUDGET_EXHAUSTED")


def test_an_answer_without_usage_is_charged_by_an_estimate_that_is_marked(tmp_path: Path) -> None:
    with Provider() as first, Provider() as second, Daemon(tmp_path, routed(first.url, second.url)) as daemon:
        first.fail("no_usage")
        _, headers, _ = post(daemon, BODY)
        (attempt,) = settlement(daemon, headers["x-fairlead-invocation"]).attempts
        assert attempt.usage.estimated and attempt.usage.output > 0


def test_a_provider_that_keeps_failing_is_left_alone(tmp_path: Path) -> None:
    breaker = "breaker: {consecutiveFailures: 3, open: 1h, maxOpen: 1h}"
    config = routed("http://FIRST", "http://SECOND").replace('"http://FIRST"', '"http://FIRST", ' + breaker)
    with Provider() as first, Provider() as second:
        with Daemon(tmp_path, config.replace("http://FIRST", first.url).replace("http://SECOND", second.url)) as daemon:
            first.fail("500", None)
            answers = [post(daemon, BODY)[1]["x-fairlead-model"] for _ in range(8)]
            assert answers == ["small"] * 8
            assert first.stats.requests == 3
            agent = Agent(daemon)
            plan = agent.admit("after", model="chat")
            assert [target.model for target in plan.plan] == ["small"]
            assert [d.reason for d in plan.dropped if d.model == "large"] == [decision_pb2.DROP_REASON_UNHEALTHY]


def test_a_long_retry_after_closes_the_target_for_that_long(tmp_path: Path) -> None:
    with Provider() as first, Provider() as second, Daemon(tmp_path, routed(first.url, second.url)) as daemon:
        first.fail("429:retry-after=600")
        assert [post(daemon, BODY)[1]["x-fairlead-model"] for _ in range(3)] == ["small"] * 3
        assert first.stats.requests == 1


def test_generate_over_grpc_returns_the_same_answer_and_the_decision(tmp_path: Path) -> None:
    with Provider() as first, Provider() as second, Daemon(tmp_path, routed(first.url, second.url)) as daemon:
        with Client(daemon.endpoints()["agent"], token=TOKEN) as client:
            answer = client.generate(BODY, request_id="g-1", run="r-1")
            assert json.loads(answer.body)["object"] == "chat.completion"
            assert (answer.model, answer.decision.route) == ("large", "chat")
            assert answer.charged.nano_usd > 0
            again = client.generate(BODY, request_id="g-1", run="r-1")
            assert (again.body, again.invocation) == (answer.body, answer.invocation)
            assert first.stats.requests == 1
            parts = list(client.stream_generate(BODY, run="r-1"))
            assert [part.WhichOneof("part") for part in (parts[0], parts[1], parts[-1])] == ["start", "event", "end"]
            first.fail("500", None)
            second.fail("500", None)
            try:
                client.generate(BODY)
            except TargetsExhausted as error:
                assert "large" in str(error.metadata) and "small" in str(error.metadata)
            else:
                raise AssertionError("it was not refused")


def test_a_hold_expires_is_charged_and_a_late_settlement_corrects_it(tmp_path: Path) -> None:
    config = routed("http://127.0.0.1:9/v1", "http://127.0.0.1:9/v1", BUDGET + "reservations: {ttl: 1s}\n")
    with Daemon(tmp_path, config) as daemon:
        agent = Agent(daemon)
        invocation = agent.admit("expires", run="r", max_output_tokens=100).invocation
        assert wait_for(daemon, KIND.EVENT_KIND_INVOCATION_EXPIRED).invocation == invocation
        worst = budgets(daemon)["run/run=r"].spent.tokens
        assert worst >= 110
        late = agent.settle("late", invocation, input=10, output=20)
        assert late.late
        assert budgets(daemon)["run/run=r"].spent.tokens == 30
        assert agent.settle("late", invocation, input=10, output=20) == late
        assert refused(lambda: agent.settle("later", invocation)).reason == "INVALID_STATE"
        assert explained(daemon, invocation).state == audit_record_pb2.INVOCATION_STATE_SETTLED


def test_a_stop_under_load_lets_calls_in_flight_end(tmp_path: Path) -> None:
    slow = Latency(low=0.3, high=0.3)
    with Provider(slow) as first, Provider() as second, Daemon(tmp_path, routed(first.url, second.url)) as daemon:
        address = daemon.endpoints()["agent"]
        outcomes: list[int] = []
        threads = [threading.Thread(target=lambda: outcomes.append(post(daemon, BODY)[0])) for _ in range(8)]
        for thread in threads:
            thread.start()
        first.wait_for(lambda stats: stats.requests == 8)
        assert daemon.terminate() == 0
        for thread in threads:
            thread.join(30)
        assert outcomes == [200] * 8
        with Client(address, token=TOKEN, timeout=1) as client:
            try:
                client.budgets()
            except Exception as error:
                assert "answer" in str(error) or "connect" in str(error).lower() or isinstance(error, grpc.RpcError)
            else:
                raise AssertionError("it still answers")
