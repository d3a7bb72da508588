"""OTLP logs: what a record becomes, and real collectors over gRPC and HTTP that answer in every way."""

from __future__ import annotations

import asyncio
import gzip
import ssl
from dataclasses import replace
from typing import Any

import grpc
import pytest
import trustme
from opentelemetry.proto.logs.v1 import logs_pb2

from fairlead.audit.model import StoredRecord, event_of
from fairlead.exporting.destination import TAKEN, Outcome, not_taken
from fairlead.exporting.otlp.grpc_collector import GrpcCollector
from fairlead.exporting.otlp.http_collector import HttpCollector
from fairlead.exporting.otlp.mapping import log_record, request
from fairlead.exporting.settings import Exporter
from fairlead.exporting.thread import OneAtATime
from fairlead.v1 import amount_pb2, audit_record_pb2, decision_pb2
from tests.unit.audit.records import T0, admitted, chain, record, settled
from tests.unit.exporting.collecting import (
    Collector,
    Refuses,
    Request,
    Response,
    attribute,
    collecting,
    log_records,
    partial,
    sequence_of,
)
from tests.unit.exporting.logs import EVENTS, QUICK, SOURCE, run
from tests.unit.notification.web import web

SECOND = 1_000_000_000


def told(made: audit_record_pb2.AuditRecord) -> logs_pb2.LogRecord:
    (stored,) = chain([made])
    return log_record(event_of(StoredRecord(made.sequence, stored.record_hash, stored.record_bytes), bytes(32)))


def test_a_decision_and_its_settlement_have_the_names_of_the_conventions() -> None:
    decided = told(admitted(2, inputs=audit_record_pb2.DecisionInputs(model="chat", stream=True, session="s-1")))
    assert decided.event_name == "fairlead.invocation.admitted"
    assert decided.time_unix_nano == T0 + 2 * SECOND
    assert decided.severity_number == logs_pb2.SEVERITY_NUMBER_INFO
    names = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "chat",
        "gen_ai.request.stream": True,
        "gen_ai.request.max_tokens": 640,
        "gen_ai.conversation.id": "s-1",
        "gen_ai.provider.name": "openai",
        "gen_ai.agent.name": "support-bot",
        "fairlead.tenant": "acme",
        "fairlead.agent": "support-bot",
        "fairlead.audit.sequence": 2,
        "fairlead.decision.route": "classification",
        "fairlead.decision.rule": "cap-output",
        "fairlead.decision.models": ["gpt-4o-mini", "claude-sonnet"],
        "fairlead.reserved.nano_usd": 12_500_000,
    }
    assert {name: attribute(decided, name) for name in names} == names
    usage = amount_pb2.Usage(input=300, cached_input=50, cache_write=5, output=120, reasoning=30)
    attempt = decision_pb2.Attempt(model="claude-sonnet", usage=usage)
    charged = told(settled(3, attempts=[attempt, attempt]))
    counts = {
        "gen_ai.response.model": "claude-sonnet",
        "gen_ai.usage.input_tokens": 710,
        "gen_ai.usage.output_tokens": 300,
        "gen_ai.usage.cache_read.input_tokens": 100,
        "gen_ai.usage.cache_creation.input_tokens": 10,
        "gen_ai.usage.reasoning.output_tokens": 60,
        "fairlead.charged.nano_usd": 2_700_000,
    }
    assert {name: attribute(charged, name) for name in counts} == counts


def test_tools_and_runs_have_theirs_and_what_was_refused_is_a_warning() -> None:
    inputs = audit_record_pb2.ToolInputs(tool="payments.refund", session="s-1", arguments=b'{"card": "canary-card"}')
    refused = record(
        2,
        "TOOL_REJECTED",
        tenant="acme",
        agent="bot",
        invocation="grt_1",
        tool=audit_record_pb2.ToolDecisionRecord(inputs=inputs, rejection="POLICY_DENIED"),
    )
    made = told(refused)
    names = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "payments.refund",
        "gen_ai.tool.call.id": "grt_1",
        "fairlead.decision.rejection": "POLICY_DENIED",
    }
    assert {name: attribute(made, name) for name in names} == names
    assert made.severity_text == "WARN"
    # What people and programs said is not in it, unless it is asked for.
    assert b"canary" not in made.SerializeToString()
    (stored,) = chain([refused])
    whole = log_record(event_of(StoredRecord(2, stored.record_hash, stored.record_bytes), b""), include_record=True)
    assert attribute(whole, "fairlead.audit.record_bytes") == stored.record_bytes
    run_event = audit_record_pb2.RunEvent(run="run_1", workflow="loan")
    started = told(record(3, "RUN_STARTED", tenant="acme", agent="bot", run=run_event))
    assert attribute(started, "gen_ai.operation.name") == "invoke_workflow"
    assert attribute(started, "gen_ai.workflow.name") == "loan"


def test_a_request_says_which_sidecar_it_is_from() -> None:
    made = request(EVENTS[:2], "4711", "1.2.3", include_record=False)
    (logs,) = made.resource_logs
    assert {pair.key: pair.value.string_value for pair in logs.resource.attributes} == {
        "service.name": "fairlead",
        "service.version": "1.2.3",
        "service.instance.id": "4711",
    }
    assert [sequence_of(one) for one in log_records(made)] == [1, 2]
    assert attribute(log_records(made)[1], "fairlead.audit.prev_hash") == EVENTS[0].record_hash.hex()


def grpc_exporter(port: int, **facts: Any) -> GrpcCollector:
    made = Exporter("otlp", "otlp", url=f"http://127.0.0.1:{port}", retry=QUICK, headers={"x-team": "blue"})
    return GrpcCollector(replace(made, **facts), "1.2.3", OneAtATime())


@pytest.mark.parametrize("compressed", [True, False])
def test_a_collector_gets_every_record_over_grpc(compressed: bool) -> None:
    async def test() -> None:
        async with collecting() as collector:
            destination = grpc_exporter(collector.port, gzip=compressed)
            assert await destination.deliver(EVENTS[:3], SOURCE) == TAKEN
            assert await destination.deliver(EVENTS[3:5], SOURCE) == TAKEN
            await destination.close()
        assert [[sequence_of(one) for one in log_records(request)] for request in collector.requests] == [
            [1, 2, 3],
            [4, 5],
        ]
        assert collector.metadata[0]["x-team"] == "blue"

    run(test)


def refusing(code: grpc.StatusCode, message: str = "canary", retry_seconds: int = 0) -> Any:
    def answer(request: Request) -> Response:
        raise Refuses(code, message, retry_seconds)

    return answer


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (
            lambda request: partial(2),
            Outcome(True, "partial success: the collector has refused some records", refused=2),
        ),
        (
            lambda request: partial(99),
            Outcome(True, "partial success: the collector has refused some records", refused=3),
        ),
        (lambda request: partial(0), TAKEN),
        (refusing(grpc.StatusCode.UNAVAILABLE), not_taken("status UNAVAILABLE")),
        (refusing(grpc.StatusCode.INVALID_ARGUMENT), not_taken("status INVALID_ARGUMENT", unacceptable=True)),
        (refusing(grpc.StatusCode.UNAUTHENTICATED), not_taken("status UNAUTHENTICATED")),
        (refusing(grpc.StatusCode.RESOURCE_EXHAUSTED, "busy", 7), not_taken("status RESOURCE_EXHAUSTED", 7_000)),
    ],
)
def test_what_a_collector_answers_over_grpc(answer: Any, outcome: Outcome) -> None:
    async def test() -> None:
        async with collecting() as collector:
            collector.answer = answer
            destination = grpc_exporter(collector.port)
            assert await destination.deliver(EVENTS[:3], SOURCE) == outcome
            await destination.close()

    run(test)


def test_a_collector_that_takes_less_at_once_says_so() -> None:
    async def test() -> None:
        async with collecting(**{"grpc.max_receive_message_length": 3000}) as collector:
            destination = grpc_exporter(collector.port, gzip=False)
            outcome = await destination.deliver(EVENTS[:30], SOURCE)
            assert not outcome.taken and outcome.too_large
            assert await destination.deliver(EVENTS[:2], SOURCE) == TAKEN
            await destination.close()

    run(test)


def test_a_collector_that_stalls_or_disappears_is_given_up_and_found_again() -> None:
    async def test() -> None:
        collector = Collector()
        async with collecting(collector=collector):
            destination = grpc_exporter(collector.port, timeout_seconds=0.2)
            collector.stalled = asyncio.Event()
            assert await destination.deliver(EVENTS[:1], SOURCE) == not_taken("no answer within 0.2 s")
            collector.stalled.set()
        outcome = await destination.deliver(EVENTS[:1], SOURCE)
        assert not outcome.taken
        async with collecting(collector=collector):
            while not (await destination.deliver(EVENTS[:1], SOURCE)).taken:
                pass
        await destination.close()

    run(test)


def test_tls_is_trusted_by_the_given_certificates_alone() -> None:
    authority, other = trustme.CA(), trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    chain_pem = b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
    credentials = grpc.ssl_server_credentials([(certificate.private_key_pem.bytes(), chain_pem)])

    async def test() -> None:
        async with collecting(credentials) as collector:
            url = f"https://127.0.0.1:{collector.port}"
            for trusted, taken in ((authority, True), (other, False)):
                pem = trusted.cert_pem.bytes().decode()
                destination = grpc_exporter(0, url=url, trusted=pem)
                assert (await destination.deliver(EVENTS[:1], SOURCE)).taken is taken
                await destination.close()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        async with web(tls=context) as server:
            for trusted, taken in ((authority, True), (other, False)):
                collector_of = http_exporter(server.port, "https", trusted=trusted.cert_pem.bytes().decode())
                assert (await collector_of.deliver(EVENTS[:1], SOURCE)).taken is taken
                await collector_of.close()

    run(test)


def http_exporter(port: int, scheme: str = "http", **facts: Any) -> HttpCollector:
    made = Exporter("otlp", "otlp", url=f"{scheme}://127.0.0.1:{port}", protocol="http", headers={"x-team": "blue"})
    return HttpCollector(replace(made, **facts), lambda: T0, "1.2.3", OneAtATime())


def http_answer(status: str, body: bytes = b"", *headers: str) -> bytes:
    head = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", *headers]
    return "\r\n".join([*head, "", ""]).encode() + body


@pytest.mark.parametrize("compressed", [True, False])
def test_a_collector_gets_every_record_over_http(compressed: bool) -> None:
    async def test() -> None:
        async with web() as server:
            server.says = http_answer("200 OK", Response().SerializeToString())
            destination = http_exporter(server.port, gzip=compressed)
            assert await destination.deliver(EVENTS[:3], SOURCE) == TAKEN
            await destination.close()
        ((line, headers, body),) = server.requests
        assert line == "POST /v1/logs HTTP/1.1"
        assert (headers["content-type"], headers["x-team"]) == ("application/x-protobuf", "blue")
        assert headers.get("content-encoding") == ("gzip" if compressed else None)
        request = Request.FromString(gzip.decompress(body) if compressed else body)
        assert [sequence_of(one) for one in log_records(request)] == [1, 2, 3]

    run(test)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (
            http_answer("200 OK", partial(1).SerializeToString()),
            Outcome(True, "partial success: the collector has refused some records", refused=1),
        ),
        (http_answer("200 OK", b"not a message"), TAKEN),
        (http_answer("400 Bad Request", b"canary"), not_taken("status 400", unacceptable=True)),
        (http_answer("413 Content Too Large"), not_taken("status 413", too_large=True)),
        (http_answer("429 Too Many Requests", b"", "Retry-After: 9"), not_taken("status 429", 9_000)),
        (http_answer("503 Service Unavailable"), not_taken("status 503")),
        (b"", not_taken("the answer is not HTTP, or the connection ended before it")),
        (None, not_taken("no answer within 0.2 s")),
    ],
)
def test_what_a_collector_answers_over_http(answer: bytes | None, outcome: Outcome) -> None:
    async def test() -> None:
        async with web() as server:
            server.says = answer
            if answer == b"":
                server.says = b"garbage\r\n\r\n"
            destination = http_exporter(server.port, timeout_seconds=0.2 if answer is None else 10)
            assert await destination.deliver(EVENTS[:3], SOURCE) == outcome
            await destination.close()

    run(test)


def test_a_path_that_is_given_is_meant() -> None:
    async def test() -> None:
        async with web() as server:
            destination = http_exporter(0, url=f"http://127.0.0.1:{server.port}/otlp/logs?tenant=a")
            assert (await destination.deliver(EVENTS[:1], SOURCE)).taken
            await destination.close()
            assert server.requests[0][0] == "POST /otlp/logs?tenant=a HTTP/1.1"

    run(test)
