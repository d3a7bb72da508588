"""The trace that an agent's call belongs to is kept with the records of everything that the call leads to."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

from fairlead.v1 import audit_record_pb2, audit_service_pb2, audit_service_pb2_grpc
from fairlead.v1 import workflow_service_pb2 as pb
from fairlead.worker import StepContext

from . import people
from .harness import TIMEOUT_SECONDS, Daemon, bearer
from .people import client, pending, refund, vote
from .provider import Provider
from .workers import ended, running, runs, worker_of

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
OTHER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
WORKFLOWS = """\
workflows:
  - name: report
    unknownTier: high
    steps:
      - {id: write, agent: writer, effect: read}
      - {id: sum, needs: [write], model: {route: chat, prompt: "sum it up"}}
      - {id: look, needs: [sum], approval: {tier: high, show: {}}}
"""


def config(provider: Provider, more: str = "") -> str:
    """People, tools, and one model."""
    return f"""\
{people.CONFIG}
providers: [{{name: primary, kind: openai-compatible, baseUrl: "{provider.url}"}}]
models: [{{name: small, provider: primary, upstream: dev-small, price: {{input: 1, output: 2}}, maxOutputTokens: 1000}}]
routes: [{{name: chat, match: {{model: chat}}, targets: [{{model: small, weight: 1}}]}}]
{more}"""


def records(daemon: Daemon) -> list[audit_record_pb2.AuditRecord]:
    """All of the tenant's, in order."""
    audit: Any = audit_service_pb2_grpc.AuditServiceStub(daemon.operator())
    page = audit.ListEvents(audit_service_pb2.ListEventsRequest(page_size=1000), timeout=TIMEOUT_SECONDS)
    return [event.record for event in page.events if event.record.tenant == "acme"]


def test_a_run_with_its_steps_calls_and_approvals_is_in_the_trace_of_its_start(tmp_path: Path) -> None:
    with Provider() as provider:
        with Daemon(tmp_path, config(provider, WORKFLOWS), environment=people.ENVIRONMENT) as daemon:
            worker = worker_of(daemon)

            @worker.step("writer")
            def write(_: Any, step: StepContext) -> Any:
                assert step.headers["traceparent"] == TRACE
                answer = step.client.generate({"model": "small", "messages": [{"role": "user", "content": "hello"}]})
                return json.loads(answer.body)["choices"][0]["message"]["content"]

            request = pb.StartRunRequest(request_id=str(uuid.uuid4()), workflow="report")
            metadata = (*bearer(), ("traceparent", TRACE))
            name = runs(daemon).StartRun(request, metadata=metadata, timeout=TIMEOUT_SECONDS).run.name
            with running(worker):
                asked = people.wait_for_record(daemon, audit_record_pb2.EVENT_KIND_APPROVAL_OPENED)
                for who in ("asha", "ben"):
                    vote(daemon, who, "approve", asked.approval.approval)
                run = ended(daemon, name)
            found = records(daemon)
    kinds = {audit_record_pb2.EventKind.Name(record.kind).removeprefix("EVENT_KIND_") for record in found}
    of_the_run = {"RUN_STARTED", "STEP_LEASED", "STEP_SUCCEEDED", "RUN_ENDED", "APPROVAL_OPENED", "APPROVAL_ENDED"}
    assert kinds >= of_the_run | {"INVOCATION_ADMITTED", "INVOCATION_SETTLED", "APPROVAL_VOTED"}, run
    assert {record.traceparent for record in found} == {TRACE}


def test_each_call_has_the_trace_that_it_came_with(tmp_path: Path) -> None:
    with Provider() as provider:
        with Daemon(tmp_path, config(provider), environment=people.ENVIRONMENT) as daemon:
            body = {"model": "small", "messages": [{"role": "user", "content": "hello"}]}
            with client(daemon) as agent:
                agent.bound(traceparent=TRACE).generate(body)
                agent.bound(traceparent="00-not-a-trace-01").generate(body)
                ticket = pending(refund(agent.bound(traceparent=OTHER), "r-1"))
            vote(daemon, "asha", "approve", ticket.approval)
            found = records(daemon)
    first, second = (
        [record for record in found if record.invocation == name]
        for name in dict.fromkeys(record.invocation for record in found if record.invocation.startswith("inv_"))
    )
    assert {record.traceparent for record in first} == {TRACE} and len(first) >= 2
    assert {record.traceparent for record in second} == {""}
    # What people say about it is in the trace of the call, not of whoever says it.
    of_the_tool = [record for record in found if record.HasField("tool") or record.HasField("approval")]
    assert {record.traceparent for record in of_the_tool} == {OTHER} and len(of_the_tool) == 2
