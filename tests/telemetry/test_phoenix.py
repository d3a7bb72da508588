"""Arize Phoenix displays what Fairlead exports: one trace, its kinds of spans, model names and tokens."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

from fairlead.client import ToolOutcome
from fairlead.v1 import audit_record_pb2
from fairlead.v1 import workflow_service_pb2 as pb
from fairlead.worker import StepContext
from tests.daemon import people
from tests.daemon.harness import TIMEOUT_SECONDS, Daemon, bearer
from tests.daemon.people import client, granted, pending, refund, vote
from tests.daemon.provider import Provider
from tests.daemon.workers import ended, running, runs, worker_of

from .receivers import asked, phoenix, until

TRACE_ID, AGENT_SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACE = f"00-{TRACE_ID}-{AGENT_SPAN}-01"
BODY = {"model": "small", "messages": [{"role": "user", "content": "hello"}]}
# Of the run, the tool call and the model call that the agent makes itself.
NAMES = {
    *(
        "invoke_workflow report",
        "step write",
        "step sum",
        "step look",
        "attempt write",
        "attempt sum",
        "approval legal",
    ),
    *("execute_tool payments.refund", "approval high", "chat small", "chat chat", "decide", "attempt small"),
}


def config(provider: Provider, http: str, grpc: str) -> str:
    """Both protocols send the same spans to the same place."""
    tiers = "    - {name: legal, require: [{role: legal}], expiresAfter: 72h}\n"
    return f"""\
{people.CONFIG.replace("  tiers:", f"  tiers:{chr(10)}{tiers.rstrip()}", 1)}
providers: [{{name: primary, kind: openai-compatible, baseUrl: "{provider.url}"}}]
models: [{{name: small, provider: primary, upstream: dev-small, price: {{input: 1, output: 2}}, maxOutputTokens: 1000}}]
routes: [{{name: chat, match: {{model: chat}}, targets: [{{model: small, weight: 1}}]}}]
workflows:
  - name: report
    unknownTier: high
    steps:
      - {{id: write, agent: writer, effect: read}}
      - {{id: sum, needs: [write], model: {{route: chat, prompt: "sum it up"}}}}
      - {{id: look, needs: [sum], approval: {{tier: legal, show: {{}}}}}}
audit:
  exporters:
    - {{name: over-http, kind: otlp-traces, protocol: http, url: "{http}"}}
    - {{name: over-grpc, kind: otlp-traces, url: "{grpc}"}}
"""


def work(daemon: Daemon) -> None:
    """A run with a worker and people, a tool call that people agree to, and a model call, all of one trace."""
    worker = worker_of(daemon)

    @worker.step("writer")
    def write(_: Any, step: StepContext) -> Any:
        return json.loads(step.client.generate(BODY).body)["choices"][0]["message"]["content"]

    request = pb.StartRunRequest(request_id=str(uuid.uuid4()), workflow="report")
    metadata = (*bearer(), ("traceparent", TRACE))
    name = runs(daemon).StartRun(request, metadata=metadata, timeout=TIMEOUT_SECONDS).run.name
    with running(worker):
        opened = people.wait_for_record(daemon, audit_record_pb2.EVENT_KIND_APPROVAL_OPENED)
        vote(daemon, "ben", "approve", opened.approval.approval)
        ended(daemon, name)
    with client(daemon) as whole:
        agent = whole.bound(traceparent=TRACE)
        ticket = pending(refund(agent, "r-1"))
        for who in ("asha", "ben"):
            vote(daemon, who, "approve", ticket.approval)
        agent.complete_tool(granted(refund(agent, "r-1", ticket=ticket.ticket)).grant, ToolOutcome.SUCCEEDED, {})
        agent.generate(BODY)


def test_it_shows_one_trace_with_models_and_tokens(tmp_path: Path) -> None:
    with Provider() as provider, phoenix(tmp_path) as (http, grpc):
        with Daemon(tmp_path, config(provider, http, grpc), environment=people.ENVIRONMENT) as daemon:
            work(daemon)

            def displayed() -> list[dict[str, Any]] | None:
                found = asked(f"{http}/v1/projects/default/spans", trace_id=TRACE_ID, limit=1000)["data"]
                calls = sum(one["span_kind"] == "LLM" for one in found)
                return found if {one["name"] for one in found} >= NAMES and calls >= 3 else None

            spans = until(displayed)
            traces = asked(f"{http}/v1/projects/default/traces")["data"]
            # The stop delivers what is there, over both protocols: nothing is displayed twice.
            assert daemon.terminate() == 0
        again = asked(f"{http}/v1/projects/default/spans", trace_id=TRACE_ID, limit=1000)["data"]
    assert [one["trace_id"] for one in traces] == [TRACE_ID]
    assert {one["name"] for one in spans} == NAMES
    ids = [one["context"]["span_id"] for one in again]
    assert len(set(ids)) == len(ids) == len(spans)
    # Everything hangs together, below the agent's span, which is not Fairlead's.
    assert {one["parent_id"] for one in spans} - set(ids) == {AGENT_SPAN}
    models = [one["attributes"] for one in spans if one["span_kind"] == "LLM"]
    assert sorted(facts["llm.model_name"] for facts in models) == ["chat", "small", "small"]
    for facts in models:
        # What answered is a model of the provider, whatever was asked for.
        assert "dev-small" in json.dumps(facts)
        assert facts["llm.token_count.prompt"] > 0 and facts["llm.token_count.completion"] > 0
    (tool,) = (one for one in spans if one["span_kind"] == "TOOL")
    assert tool["attributes"]["tool.name"] == "payments.refund"
