"""No secret and no content comes out where it does not belong: canaries are planted everywhere, everything is grepped.

Secrets (tokens, keys, headers, passwords of proxies) may appear nowhere at all, files of the data directory included.
Content (prompts, answers, arguments of tools) may be in the answers to its own caller; arguments in what operators see
of an approval, and in the files that keep it. It is in no log, metric, error of Fairlead's own or audit record.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from fairlead.client import Client, Granted, InvalidArgument, Pending, PolicyDenied, ToolOutcome

from .calls import post
from .echoing import ANSWER, EchoingProvider
from .harness import TIMEOUT_SECONDS, Daemon

SECRETS = {
    "TEST_BOT_TOKEN": "canary-agent-token-7f3a",
    "TEST_OTHER_TOKEN": "canary-other-token-91bc",
    "TEST_ASHA_TOKEN": "canary-operator-token-55de",
    "CANARY_KEY": "sk-canary/provider+key-0a1b",
    "CANARY_WORD": "sk-canary-provider-word-77aa",
    "CANARY_HEADER": 'canary-"header"-value-c2d3',
    "CANARY_PROXY": "canary-proxy-password-e4f5",
    "CANARY_PROXY_HEADER": "Bearer canary-proxy-header-0909",
}
# How else a secret may be written.
WRITTEN = {
    **SECRETS,
    "CANARY_HEADER as JSON": 'canary-\\"header\\"-value-c2d3',
    "CANARY_KEY with slashes escaped": "sk-canary\\/provider+key-0a1b",
    "CANARY_PROXY in Basic": base64.b64encode(b"canary:canary-proxy-password-e4f5").decode(),
    "CANARY_PROXY_HEADER without its scheme": "canary-proxy-header-0909",
}
PROMPT, ARGUMENT, RESULT = "canary-prompt-1122", "canary-argument-5566", "canary-result-7788"
CONFIG = """\
apiVersion: fairlead/v1
operators: [{name: asha, token: {fromEnv: TEST_ASHA_TOKEN}, roles: [finance]}]
tenants:
  - {name: acme, agents: [{name: bot, token: {fromEnv: TEST_BOT_TOKEN}}]}
  - {name: other, agents: [{name: bot, token: {fromEnv: TEST_OTHER_TOKEN}}]}
providers:
  - name: chat
    kind: openai-compatible
    dialects: [openai-chat, openai-responses]
    baseUrl: "URL/v1"
    apiKey: {fromEnv: CANARY_KEY}
    headers: {x-extra-auth: {fromEnv: CANARY_HEADER}}
    breaker: PATIENT
  - {name: messages, kind: anthropic, baseUrl: "URL/v1", apiKey: {fromEnv: CANARY_WORD}, breaker: PATIENT}
  - name: behind-a-proxy
    kind: openai-compatible
    baseUrl: "http://provider.invalid/v1"
    apiKey: {fromEnv: CANARY_KEY}
    proxy: {url: "URL", username: canary, password: {fromEnv: CANARY_PROXY}}
    breaker: PATIENT
  - name: behind-another
    kind: anthropic
    baseUrl: "http://provider.invalid/v1"
    apiKey: {fromEnv: CANARY_WORD}
    proxy: {url: "URL", authorization: {fromEnv: CANARY_PROXY_HEADER}}
    breaker: PATIENT
models:
  - {name: gpt, provider: chat, price: {input: 1, output: 2}, maxOutputTokens: 100}
  - {name: claude, provider: messages, price: {input: 1, output: 2}, maxOutputTokens: 100}
  - {name: proxied-gpt, provider: behind-a-proxy, price: {input: 1, output: 2}, maxOutputTokens: 100}
  - {name: proxied-claude, provider: behind-another, price: {input: 1, output: 2}, maxOutputTokens: 100}
tools:
  - {name: files.read, effect: read, risk: low, arguments: {schema: {type: object, required: [path]}}}
  - {name: payments.refund, effect: side_effect, risk: high}
policies:
  - {name: reading, on: tool.call, match: {tool: files.read}, effect: allow}
  - {name: asking, on: tool.call, match: {tool: payments.refund}, effect: {requireApproval: high}}
  - {name: no-secrets, on: model.call, match: {labels: {data: secret}}, effect: deny}
approvals: {tiers: [{name: high, require: [{role: finance}]}]}
budgets:
  - {name: run, scope: [run], limit: {tokens: 1}, window: lifetime}
"""
MODELS = ("gpt", "claude", "proxied-gpt", "proxied-claude")
WISHES = ("refusal", "slashes", "answer", "cut", "overload")


@dataclass
class Heard:
    """Everything that came out, by where it came out."""

    answers: dict[str, str] = field(default_factory=dict)
    """To the agent that asked, and to operators who have to see what they approve."""
    records: dict[str, str] = field(default_factory=dict)
    """Logs, metrics, errors of Fairlead's own and audit records: no content either."""
    files: dict[str, str] = field(default_factory=dict)
    """The data directory."""

    def places(self, text: str) -> list[str]:
        """Where it is."""
        return [place for place, said in {**self.answers, **self.records, **self.files}.items() if text in said]


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Heard]:
    environment = {**SECRETS, "FAIRLEAD_LOG_LEVEL": "debug", "FAIRLEAD_TOKEN": SECRETS["TEST_BOT_TOKEN"]}
    with EchoingProvider() as provider:
        # Every call is to reach its provider, whatever the ones before it came to.
        patient = "{consecutiveFailures: 10000, minimumCalls: 1000000}"
        config = CONFIG.replace("URL", provider.url).replace("PATIENT", patient)
        with Daemon(tmp_path_factory.mktemp("canaries"), config, environment=environment) as daemon:
            heard = Heard()
            model_calls(daemon, heard)
            refusals(daemon, heard)
            tool_calls(daemon, heard)
            questions(daemon, heard)
            while_it_runs = files(daemon)
            assert daemon.terminate() == 0
            heard.records["log"] = daemon.log_text()
            heard.files = {**while_it_runs, **{f"{name} afterwards": text for name, text in files(daemon).items()}}
            heard.records["audit of a stopped one"] = cli(daemon, "audit", "export")
        yield heard


def model_calls(daemon: Daemon, heard: Heard) -> None:
    """Calls in every dialect to every provider, answered and failing in every way."""
    for model in MODELS:
        for wish in WISHES:
            for path, body in bodies(model, wish):
                ask(daemon, heard, path, body)
        for wish in ("early", "late", "overload"):
            for path, body in bodies(model, wish):
                ask(daemon, heard, path, {**body, "stream": True})
    # Kept for repetition, in a file: not the request, and no secret.
    path, body = bodies("gpt", "refusal")[0]
    forgettable: dict[str, Any] = json.loads(json.dumps(body).replace(PROMPT, "forgettable"))
    for _ in range(2):
        ask(daemon, heard, path, forgettable, x_fairlead_request_id="canary-repeated")
    for wish in ("answer", "refusal"):
        said = cli(daemon, "call", "--model", "claude", f"{PROMPT} {wish}-please", code=int(wish == "refusal"))
        heard.answers[f"call {wish}"] = said


def bodies(model: str, wish: str) -> list[tuple[str, dict[str, Any]]]:
    """The same call in the three dialects, with a tool call in its history."""
    text = f"{PROMPT} {wish}-please"
    arguments = json.dumps({"path": ARGUMENT})
    called = {"id": "call_1", "type": "function", "function": {"name": "read", "arguments": arguments}}
    chat = [
        {"role": "user", "content": text},
        {"role": "assistant", "tool_calls": [called]},
        {"role": "tool", "tool_call_id": "call_1", "content": RESULT},
    ]
    use = {"type": "tool_use", "id": "call_1", "name": "read", "input": {"path": ARGUMENT}}
    messages = [
        {"role": "user", "content": text},
        {"role": "assistant", "content": [use]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_1", "content": RESULT}]},
    ]
    items = [
        {"role": "user", "content": text},
        {"type": "function_call", "call_id": "call_1", "name": "read", "arguments": arguments},
        {"type": "function_call_output", "call_id": "call_1", "output": RESULT},
    ]
    schema = {"type": "object", "properties": {"path": {"type": "string"}}}
    return [
        (
            "/v1/chat/completions",
            {
                "model": model,
                "messages": chat,
                "max_tokens": 16,
                "tools": [{"type": "function", "function": {"name": "read", "parameters": schema}}],
            },
        ),
        (
            "/v1/messages",
            {
                "model": model,
                "messages": messages,
                "max_tokens": 16,
                "tools": [{"name": "read", "input_schema": schema}],
            },
        ),
        (
            "/v1/responses",
            {
                "model": model,
                "input": items,
                "max_output_tokens": 16,
                "tools": [{"type": "function", "name": "read", "parameters": schema}],
            },
        ),
    ]


def ask(daemon: Daemon, heard: Heard, path: str, body: dict[str, Any], **headers: str) -> None:
    status, answered, answer = post(daemon, body, path=path, token=SECRETS["TEST_BOT_TOKEN"], **headers)
    heard.answers[f"{len(heard.answers)} {path} {body['model']}"] = f"{status} {answered} {answer.decode()}"


def refusals(daemon: Daemon, heard: Heard) -> None:
    """What Fairlead itself refuses; its words contain neither secrets nor content."""
    token = SECRETS["TEST_BOT_TOKEN"]
    refused = [
        ({"model": "no-such-model"}, token, {}),
        ({"n": PROMPT, "max_tokens": PROMPT}, token, {}),
        ({}, token, {"x_fairlead_labels": "data=secret"}),
        ({}, token, {"x_fairlead_run": "r"}),
        ({}, token + "x", {}),
    ]
    for changed, credential, headers in refused:
        for path, body in bodies("gpt", "answer"):
            status, answered, answer = post(daemon, {**body, **changed}, path=path, token=credential, **headers)
            if changed.keys() & {"n", "max_tokens"} and status == 200:
                continue  # a field that this dialect does not know
            assert 400 <= status < 500, answer
            heard.records[f"refusal {len(heard.records)} {path}"] = f"{answered} {answer.decode()}"
    broken = f'{{"model": "gpt", "messages": [{{"role": "user", "content": "{PROMPT}'.encode()
    heard.records["broken JSON"] = str(post(daemon, broken, token=token))


def tool_calls(daemon: Daemon, heard: Heard) -> None:
    """Tool calls that are granted, refused and approved, with canaries in arguments and result."""
    arguments = {"path": ARGUMENT}
    endpoint = daemon.endpoints()["agent"]
    with Client(endpoint, token=SECRETS["TEST_BOT_TOKEN"], timeout=TIMEOUT_SECONDS) as agent:
        read = agent.authorize_tool("files.read", arguments, idempotency_key="read")
        assert isinstance(read, Granted)
        agent.complete_tool(read.grant, ToolOutcome.SUCCEEDED, {"text": RESULT})
        for tool, wrong in (("files.write", arguments), ("files.read", {"paths": ARGUMENT})):
            with pytest.raises((PolicyDenied, InvalidArgument)) as refusal:
                agent.authorize_tool(tool, wrong)
            heard.records[f"refused {tool}"] = f"{refusal.value} {refusal.value!r} {vars(refusal.value)}"
        asked = agent.authorize_tool("payments.refund", arguments, idempotency_key="refund")
        assert isinstance(asked, Pending)
        heard.records["approvals list"] = cli(daemon, "approvals", "list")
        heard.answers["approvals show"] = cli(daemon, "approvals", "show", asked.approval)
        operator = {"FAIRLEAD_OPERATOR_TOKEN": SECRETS["TEST_ASHA_TOKEN"]}
        heard.answers["approve"] = cli(daemon, "approvals", "approve", asked.approval, "--reason", "fine", **operator)
        refund = agent.authorize_tool("payments.refund", arguments, idempotency_key="refund", ticket=asked.ticket)
        assert isinstance(refund, Granted)
        agent.complete_tool(refund.grant, ToolOutcome.FAILED, {"text": RESULT})
    for told in (read.grant, refund.grant, asked.approval):
        for more in ((), ("--json",)):
            heard.records[f"explain {told} {more}"] = cli(daemon, "explain", told, *more)


def questions(daemon: Daemon, heard: Heard) -> None:
    """Everything that can be asked about it."""
    with urllib.request.urlopen(f"http://{daemon.endpoints()['health']}/metrics", timeout=10) as answered:
        heard.records["metrics"] = answered.read().decode()
    for words in (
        ("audit", "tail"),
        ("audit", "export"),
        ("audit", "verify"),
        ("budget", "list"),
        ("config", "show"),
        ("config", "history"),
        ("config", "validate", str(daemon.config)),
        ("prices", "show", "--config", str(daemon.config)),
        ("top", "--once"),
    ):
        heard.records[" ".join(words)] = cli(daemon, *words)
    told = {word for word in heard.records["audit export"].split('"') if word.startswith("inv_")}
    for invocation in sorted(told)[-3:]:
        heard.records[f"explain {invocation}"] = cli(daemon, "explain", invocation)


def files(daemon: Daemon) -> dict[str, str]:
    """The files of the data directory."""
    found = filter(Path.is_file, daemon.data.rglob("*"))
    return {f"file {file.name}": file.read_bytes().decode("latin-1") for file in found}


def cli(daemon: Daemon, *words: str, code: int = 0, **environment: str) -> str:
    """What a command prints."""
    command = [sys.executable, "-m", "fairlead.cli.main", *words]
    # Of a file something is said without a daemon.
    where = [] if str(daemon.config) in words else ["--data", str(daemon.data)]
    ran = subprocess.run(
        [*command, *where], capture_output=True, text=True, timeout=60, env={**daemon.environment, **environment}
    )
    assert ran.returncode == code, ran.stderr
    return ran.stdout + ran.stderr


@pytest.mark.parametrize("name", WRITTEN)
def test_a_secret_is_nowhere(heard: Heard, name: str) -> None:
    assert heard.places(WRITTEN[name]) == []


@pytest.mark.parametrize("content", [PROMPT, ANSWER, ARGUMENT, RESULT])
def test_content_is_in_no_log_metric_error_or_record(heard: Heard, content: str) -> None:
    assert [place for place, text in heard.records.items() if content in text] == []


def test_prompts_and_answers_of_models_are_in_no_file(heard: Heard) -> None:
    assert [place for place, text in heard.files.items() if PROMPT in text or ANSWER in text] == []


def test_operators_see_what_they_approve(heard: Heard) -> None:
    assert ARGUMENT in heard.answers["approvals show"]


def test_the_canaries_were_really_sent(heard: Heard) -> None:
    """A test that hears nothing would find nothing."""
    for model in MODELS:
        said = [text for place, text in heard.answers.items() if place.endswith(model)]
        assert any("[redacted]" in text for text in said), f"the echo of {model} came through"
        assert any(ANSWER in text for text in said), f"{model} answered"
    assert len(heard.records["log"]) > 1000 and "fairlead_" in heard.records["metrics"]
