"""Spans of the real daemon: one trace from the agent, through decision, attempts, tool, approval, run and step."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.trace.v1 import trace_pb2

from fairlead.client import FairleadError, ToolOutcome
from fairlead.v1 import audit_record_pb2
from fairlead.v1 import workflow_service_pb2 as pb
from fairlead.v1.gate_service_pb2 import AdmitRequest
from fairlead.worker import StepContext

from . import people
from .harness import TIMEOUT_SECONDS, Daemon, bearer
from .people import client, granted, pending, refund, vote
from .provider import Provider
from .tracing import Backend, Span, said
from .workers import ended, running, runs, worker_of

TRACE_ID, AGENT_SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACE = f"00-{TRACE_ID}-{AGENT_SPAN}-01"
NOT_SAMPLED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
WORKFLOWS = """\
workflows:
  - name: report
    unknownTier: high
    steps:
      - {id: write, agent: writer, effect: read}
      - {id: sum, needs: [write], model: {route: chat, prompt: "sum it up"}}
      - {id: look, needs: [sum], approval: {tier: legal, show: {}}}
"""
CANARY = "canary-content-4711"
BODY = {"model": "chat", "messages": [{"role": "user", "content": CANARY}]}
ERROR = trace_pb2.Status.STATUS_CODE_ERROR


def config(backend: Backend, first: Provider, second: Provider, more: str = "", keys: str = "") -> str:
    """People, tools, two models and the back end."""
    tiers = "    - {name: legal, require: [{role: legal}], expiresAfter: 72h}\n"
    people_config = people.CONFIG.replace("  tiers:\n", f"  tiers:\n{tiers}")
    exporter = f'name: spans, kind: otlp-traces, url: "http://127.0.0.1:{backend.port}", compression: none{keys}'
    return f"""\
{people_config}
providers:
  - {{name: primary, kind: openai-compatible, baseUrl: "{first.url}"}}
  - {{name: secondary, kind: openai-compatible, baseUrl: "{second.url}"}}
models:
  - {{name: large, provider: primary, upstream: dev-large, price: {{input: 10, output: 20}}, maxOutputTokens: 1000}}
  - {{name: small, provider: secondary, upstream: dev-small, price: {{input: 1, output: 2}}, maxOutputTokens: 1000}}
routes:
  - name: chat
    match: {{model: chat}}
    targets: [{{model: large, weight: 1}}]
    fallback: {{chain: [small], on: [5xx]}}
    retry: {{attempts: 1}}
audit:
  exporters:
    - {{{exporter}, retry: {{initial: 10ms, max: 100ms}}}}
{more}"""


def is_in(span: Span, parent: Span) -> bool:
    return span.parent_span_id == parent.span_id and span.trace_id == parent.trace_id


def test_a_call_is_one_trace_from_the_agents_span_to_each_attempt(tmp_path: Path) -> None:
    with Provider() as first, Provider() as second, Backend() as backend:
        with Daemon(tmp_path, config(backend, first, second), environment=people.ENVIRONMENT) as daemon:
            first.fail("503")
            with client(daemon) as agent:
                # What its agent does not record is not sent: it came first.
                agent.bound(traceparent=NOT_SAMPLED).generate(BODY)
                first.fail("503")
                agent.bound(traceparent=TRACE, session="s-1").generate(BODY)
            found = backend.named("chat chat", "decide", "attempt large", "attempt small")
            sent = list(backend.sent)
    chat = found["chat chat"]
    assert (chat.trace_id.hex(), chat.parent_span_id.hex()) == (TRACE_ID, AGENT_SPAN)
    assert {one.trace_id.hex() for one in sent} == {TRACE_ID} and len(sent) == 4
    facts = said(chat)
    assert facts["gen_ai.operation.name"] == "chat" and facts["gen_ai.provider.name"] == "secondary"
    assert (facts["gen_ai.request.model"], facts["gen_ai.response.model"]) == ("chat", "dev-small")
    assert facts["gen_ai.usage.input_tokens"] > 0 and facts["gen_ai.usage.output_tokens"] == 12
    assert (facts["gen_ai.agent.name"], facts["gen_ai.conversation.id"]) == ("bot", "s-1")
    assert facts["fairlead.tenant"] == "acme" and facts["fairlead.charged.nano_usd"] > 0
    large, small, decided = found["attempt large"], found["attempt small"], found["decide"]
    assert is_in(large, chat) and is_in(small, chat) and is_in(decided, chat)
    assert large.status.code == ERROR and said(large)["http.response.status_code"] == 503
    assert small.status.code != ERROR and said(small)["fairlead.attempt.outcome"] == "succeeded"
    assert said(decided)["fairlead.decision.route"] == "chat"
    assert said(decided)["fairlead.decision.models"] == ["large", "small"]
    assert chat.start_time_unix_nano <= large.start_time_unix_nano <= large.end_time_unix_nano
    assert large.end_time_unix_nano <= small.start_time_unix_nano < small.end_time_unix_nano <= chat.end_time_unix_nano
    assert CANARY not in repr(sent)


def test_a_tool_call_has_the_approval_that_it_waited_for(tmp_path: Path) -> None:
    with Provider() as first, Provider() as second, Backend() as backend:
        with Daemon(tmp_path, config(backend, first, second), environment=people.ENVIRONMENT) as daemon:
            with client(daemon) as whole:
                agent = whole.bound(traceparent=TRACE)
                asked = pending(refund(agent, "r-1"))
                vote(daemon, "asha", "approve", asked.approval)
                vote(daemon, "ben", "approve", asked.approval)
                agent.complete_tool(
                    granted(refund(agent, "r-1", ticket=asked.ticket)).grant, ToolOutcome.SUCCEEDED, {"done": CANARY}
                )
                refused = pending(refund(agent, "r-2"))
                vote(daemon, "asha", "reject", refused.approval)
            spans = backend.wait_for(lambda sent: sum(one.name.startswith("execute_tool") for one in sent) == 2)
    (paid, approved), (unpaid, rejected) = _pairs(spans)
    assert paid.trace_id.hex() == TRACE_ID and paid.parent_span_id.hex() == AGENT_SPAN
    assert is_in(approved, paid) and is_in(rejected, unpaid)
    assert paid.start_time_unix_nano == approved.start_time_unix_nano
    assert approved.end_time_unix_nano <= paid.end_time_unix_nano
    assert said(paid)["gen_ai.tool.name"] == "payments.refund" and said(paid)["fairlead.tool.outcome"] == "succeeded"
    assert [event.name for event in approved.events] == ["voted", "voted"]
    assert said(approved)["fairlead.approval.state"] == "approved"
    assert said(unpaid)["error.type"] == "approval_rejected" and said(rejected)["error.type"] == "rejected"
    assert "canary" not in repr(spans) and "by phone" not in repr(spans)


def _pairs(spans: list[Span]) -> tuple[tuple[Span, Span], tuple[Span, Span]]:
    """Tool call and approval: those that came to a good end, and those that did not."""

    def one(name: str, failed: bool) -> Span:
        (found,) = (span for span in spans if span.name.startswith(name) and (span.status.code == ERROR) == failed)
        return found

    return (one("execute_tool", False), one("approval", False)), (one("execute_tool", True), one("approval", True))


def test_a_run_is_one_trace_and_the_same_one_after_a_crash(tmp_path: Path) -> None:
    """The back end stalls, so that nothing is acknowledged, and the daemon dies: everything is sent again, the same."""
    with Provider() as first, Provider() as second, Backend() as backend:
        text = config(backend, first, second, WORKFLOWS, ", batch: {records: 1000}, timeout: 100ms")
        with Daemon(tmp_path, text, environment=people.ENVIRONMENT) as daemon:
            worker = worker_of(daemon)

            @worker.step("writer")
            def write(_: Any, step: StepContext) -> Any:
                answer = step.client.generate(BODY)
                return json.loads(answer.body)["choices"][0]["message"]["content"]

            backend.answers.clear()
            request = pb.StartRunRequest(request_id=str(uuid.uuid4()), workflow="report")
            metadata = (*bearer(), ("traceparent", TRACE))
            name = runs(daemon).StartRun(request, metadata=metadata, timeout=TIMEOUT_SECONDS).run.name
            with running(worker):
                asked = people.wait_for_record(daemon, audit_record_pb2.EVENT_KIND_APPROVAL_OPENED)
                vote(daemon, "ben", "approve", asked.approval.approval)
                ended(daemon, name)
            before = backend.wait_for(bool)
            daemon.kill()
            seen = len(backend.sent)
            backend.answers.set()
            daemon.start()
            backend.wait_for(lambda sent: any(one.name == "invoke_workflow report" for one in sent[seen:]))
            after = backend.sent[seen:]
    by_id = {one.span_id: one for one in after}
    assert len(by_id) == len(after)
    for one in before:
        assert by_id[one.span_id] == one
    assert {one.trace_id.hex() for one in after} == {TRACE_ID}
    of = {one.name: one for one in after}
    run = of["invoke_workflow report"]
    assert run.parent_span_id.hex() == AGENT_SPAN
    assert said(run)["gen_ai.operation.name"] == "invoke_workflow" and said(run)["gen_ai.workflow.name"] == "report"
    for step in ("step write", "step sum", "step look"):
        assert is_in(of[step], run), step
        assert run.start_time_unix_nano <= of[step].start_time_unix_nano <= of[step].end_time_unix_nano
    assert is_in(of["attempt write"], of["step write"])
    assert said(of["attempt write"])["fairlead.worker"]
    assert is_in(of["approval legal"], of["step look"])
    calls = [one for one in after if one.name.startswith("chat ")]
    assert {one.parent_span_id for one in calls} == {of["step write"].span_id, of["step sum"].span_id}
    assert len(calls) == 2 and CANARY not in repr(after)


def test_what_is_refused_or_given_again_shows_and_a_share_of_traces_is_left_out(tmp_path: Path) -> None:
    with Provider() as first, Provider() as second, Backend() as backend:
        text = config(backend, first, second, keys=", sample: 0")
        with Daemon(tmp_path, text, environment=people.ENVIRONMENT) as daemon:
            with client(daemon) as whole:
                # Nobody has decided about its trace, and the share is nothing.
                whole.generate(BODY)
                agent = whole.bound(traceparent=TRACE)
                with pytest.raises(FairleadError, match="NO_ROUTE"):
                    agent.admit(AdmitRequest(request_id="r-1", model="nobody-has-this", input_tokens=10))
                paid = granted(refund(agent, "r-1", amount=80))
                agent.complete_tool(paid.grant, ToolOutcome.SUCCEEDED, {})
                refund(agent, "r-1", amount=80)
            spans = backend.wait_for(lambda sent: sum(one.name.startswith("execute_tool") for one in sent) == 2)
    refused, decided, done, again = spans
    assert {one.trace_id.hex() for one in spans} == {TRACE_ID}
    assert refused.name == "chat nobody-has-this" and refused.status.code == ERROR
    assert said(refused)["error.type"] == "NO_ROUTE" and is_in(decided, refused)
    assert done.status.code != ERROR and not done.links
    assert said(again)["fairlead.tool.replayed"] is True and again.span_id != done.span_id
    assert [link.span_id for link in again.links] == [done.span_id]
