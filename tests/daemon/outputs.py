"""Models that say what a test wants, calls of every dialect, and what a client reads of the answers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from fairlead.v1 import audit_record_pb2, decision_pb2

from .calls import explained, post
from .harness import Daemon

CHAT, RESPONSES, MESSAGES = "openai-chat", "openai-responses", "anthropic-messages"
DIALECTS = (CHAT, RESPONSES, MESSAGES)
PATHS = {CHAT: "/v1/chat/completions", RESPONSES: "/v1/responses", MESSAGES: "/v1/messages"}
# What rules look for. No request has them, so whatever contains them comes from an answer.
ADDRESS, CARD, TOKEN, WORD = "ann@example.org", "4111 1111 1111 1111", "AKIAQYLPMN5HHHFPZAM2", "nightfall"
HARMLESS = "the line keeps the ship at her berth while the tide pulls"
Finding = tuple[str, str, int, str]


def config(first: str, second: str) -> str:
    """Model `chat` goes to `first`, then to `second`; `alone` has nobody after it; `claude` speaks Messages only. The
    workload of a call says which rules its answer has to pass."""
    everything = "kind: openai-compatible, dialects: [openai-chat, openai-responses, anthropic-messages]"
    model = "price: {input: 1, output: 2}, maxOutputTokens: 1000"
    return f"""\
apiVersion: fairlead/v1
tenants:
  - name: acme
    agents: [{{name: bot, token: {{fromEnv: TEST_BOT_TOKEN}}}}]
providers:
  - {{name: first, {everything}, baseUrl: "{first}"}}
  - {{name: second, {everything}, baseUrl: "{second}"}}
  - {{name: messages, kind: anthropic, baseUrl: "{first}", apiKey: {{fromEnv: TEST_PROVIDER_KEY}}}}
models:
  - {{name: large, provider: first, upstream: dev-large, {model}}}
  - {{name: small, provider: second, upstream: dev-small, {model}}}
  - {{name: claude, provider: messages, upstream: dev-large, {model}}}
routes:
  - {{name: alone, match: {{model: alone}}, targets: [{{model: large, weight: 1}}]}}
  - name: kept
    match: {{model: kept}}
    targets: [{{model: large, weight: 1}}]
    cache: {{ttl: 1h}}
  - name: chat
    match: {{model: chat}}
    targets: [{{model: large, weight: 1}}]
    fallback: {{chain: [small]}}
policies:
  - name: no-addresses
    on: model.output
    match: {{workload: redact}}
    check: {{detect: [email, credit-card], patterns: ['(?i)project\\s+{WORD}']}}
    effect: redact
  - name: no-addresses-in-runs
    on: model.output
    match: {{workload: redact}}
    when: request.run != ""
    check: {{detect: [iban]}}
    effect: redact
  - name: no-names
    on: model.output
    match: {{workload: reject}}
    check: {{patterns: ['(?i){WORD}'], window: 64B}}
    effect: reject
  - {{name: watched, on: model.output, match: {{workload: flag}}, check: {{detect: [secrets, pii]}}, effect: flag}}
  - {{name: keys, on: model.output, match: {{workload: secrets}}, check: {{detect: [secrets]}}, effect: reject}}
  - name: orders
    on: model.output
    match: {{workload: orders}}
    check: {{schema: {{type: object, required: [items]}}}}
    effect: reject
  - {{name: short, on: model.output, match: {{workload: short}}, check: {{maxBytes: 64B}}, effect: reject}}
budgets:
  - {{name: run, scope: [run], limit: {{tokens: 100000}}, window: lifetime}}
"""


@dataclass(frozen=True)
class Answered:
    """What a client got."""

    dialect: str
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def invocation(self) -> str:
        """Id of the call."""
        return self.headers["x-fairlead-invocation"]

    @property
    def model(self) -> str:
        """Name of the model that answered."""
        return self.headers["x-fairlead-model"]

    def events(self) -> list[dict[str, Any]]:
        """The JSON of the events of a stream; an end marker has none."""
        lines = (line.removeprefix("data: ") for line in self.body.decode().splitlines() if line.startswith("data: "))
        return [json.loads(line) for line in lines if line != "[DONE]"]

    def text(self) -> str:
        """The answer text, of a whole answer or joined from a stream."""
        if self.headers["content-type"].startswith("text/event-stream"):
            return "".join(_piece(self.dialect, event) for event in self.events())
        return _whole(self.dialect, json.loads(self.body))


def ask(
    daemon: Daemon, workload: str, *, dialect: str = CHAT, model: str = "chat", stream: bool = False, **more: Any
) -> Answered:
    """One call. `headers` are headers; everything else is laid over the body."""
    headers = {"x_fairlead_workload": workload, **more.pop("headers", {})}
    if dialect == RESPONSES:
        body: dict[str, Any] = {"input": "hello", "max_output_tokens": 50}
    else:
        body = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 50}
    status, answered, content = post(
        daemon, {"model": model, "stream": stream, **body, **more}, PATHS[dialect], **headers
    )
    return Answered(dialect, status, answered, content)


def settlement(daemon: Daemon, invocation: str) -> audit_record_pb2.SettlementRecord:
    """How a call ended."""
    kind = audit_record_pb2.EventKind.EVENT_KIND_INVOCATION_SETTLED
    (record,) = [event.record for event in explained(daemon, invocation).events if event.record.kind == kind]
    return record.settlement


def outcomes(daemon: Daemon, invocation: str) -> list[tuple[str, str, list[Finding]]]:
    """Of each attempt: model, outcome, and what the rules found."""
    return [
        (
            attempt.model,
            decision_pb2.AttemptOutcome.Name(attempt.outcome).removeprefix("ATTEMPT_OUTCOME_"),
            [
                (one.rule, one.detector, one.count, decision_pb2.FindingAction.Name(one.action).rpartition("_")[2])
                for one in attempt.findings
            ],
        )
        for attempt in settlement(daemon, invocation).attempts
    ]


def _whole(dialect: str, body: dict[str, Any]) -> str:
    if dialect == CHAT:
        return str(body["choices"][0]["message"]["content"])
    if dialect == MESSAGES:
        return "".join(block["text"] for block in body["content"] if block["type"] == "text")
    contents = [item["content"] for item in body["output"] if item["type"] == "message"]
    return "".join(part["text"] for content in contents for part in content)


def _piece(dialect: str, event: dict[str, Any]) -> str:
    if dialect == CHAT:
        return "".join(choice["delta"].get("content") or "" for choice in event.get("choices", ()))
    if dialect == MESSAGES:
        return str(event.get("delta", {}).get("text", ""))
    return str(event["delta"]) if event["type"] == "response.output_text.delta" else ""
