"""No secret and no content comes out where it does not belong: canaries are planted everywhere, everything is grepped.

Secrets (tokens, keys, headers) may appear nowhere at all, files of the data directory included. Content (prompts,
answers, arguments of tools) may be in the answers to their own caller and in what is kept for repetition, but in no
log, metric, error or audit record.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from fairlead.v1 import gate_service_pb2, gate_service_pb2_grpc

from .calls import post, refused
from .harness import Daemon, bearer

SECRETS = {
    "TEST_BOT_TOKEN": "canary-agent-token-7f3a",
    "TEST_OTHER_TOKEN": "canary-other-token-91bc",
    "TEST_ASHA_TOKEN": "canary-operator-token-55de",
    "CANARY_KEY": "sk-canary-provider-key-0a1b",
    "CANARY_HEADER": "canary-header-value-c2d3",
    "CANARY_PROXY": "canary-proxy-password-e4f5",
}
PROMPT, ANSWER, ARGUMENT = "canary-prompt-1122", "canary-answer-3344", "canary-argument-5566"
CONFIG = """\
apiVersion: fairlead/v1
operators: [{name: asha, token: {fromEnv: TEST_ASHA_TOKEN}, roles: [finance]}]
tenants:
  - {name: acme, agents: [{name: bot, token: {fromEnv: TEST_BOT_TOKEN}}]}
  - {name: other, agents: [{name: bot, token: {fromEnv: TEST_OTHER_TOKEN}}]}
providers:
  - name: echoing
    kind: openai
    baseUrl: "URL/v1"
    apiKey: {fromEnv: CANARY_KEY}
    headers: {x-extra-auth: {fromEnv: CANARY_HEADER}}
  - {name: echoing-messages, kind: anthropic, baseUrl: "URL/v1", apiKey: {fromEnv: CANARY_KEY}}
  - name: behind-a-proxy
    kind: openai
    baseUrl: "URL/v1"
    apiKey: {fromEnv: CANARY_KEY}
    proxy: {url: "http://127.0.0.1:9", username: canary, password: {fromEnv: CANARY_PROXY}}
models:
  - {name: gpt, provider: echoing, price: {input: 1, output: 2}, maxOutputTokens: 100}
  - {name: claude, provider: echoing-messages, price: {input: 1, output: 2}, maxOutputTokens: 100}
  - {name: proxied, provider: behind-a-proxy, price: {input: 1, output: 2}, maxOutputTokens: 100}
tools:
  - {name: files.read, effect: read, risk: low}
policies:
  - {name: reading, on: tool.call, match: {tool: files.read}, effect: allow}
  - {name: no-secrets, on: model.call, match: {labels: {data: secret}}, effect: deny}
budgets:
  - {name: run, scope: [run], limit: {tokens: 1}, window: lifetime}
"""


class Echo(BaseHTTPRequestHandler):
    """The worst provider: every refusal repeats what it was sent, headers and all."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        said = json.dumps({"error": {"message": f"bad {dict(self.headers)} {body.decode()}", "type": "invalid"}})
        if b"answer-please" in body:
            message = {"role": "assistant", "content": ANSWER}
            said = json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
            self.send_response(200)
        elif b"cut-please" in body:
            self.send_response(200)
            said = '{"choices": [{"index": 0, "message": {"content": "' + ANSWER
        elif b"overload-please" in body:
            self.send_response(503)
        else:
            self.send_response(401)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@dataclass
class Heard:
    """Everything that came out, by where it came out."""

    anywhere: dict[str, str] = field(default_factory=dict)
    records: dict[str, str] = field(default_factory=dict)
    """Logs, metrics, errors of Fairlead's own and audit records: no content either."""


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Heard]:
    directory = tmp_path_factory.mktemp("canaries")
    provider = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=provider.serve_forever, daemon=True)
    thread.start()
    config = CONFIG.replace("URL", f"http://127.0.0.1:{provider.server_address[1]}")
    environment = {**SECRETS, "FAIRLEAD_LOG_LEVEL": "debug"}
    try:
        with Daemon(directory, config, environment=environment) as daemon:
            result = provoke(daemon)
            daemon.terminate()
            result.records["log"] = daemon.log_text()
            for file in filter(Path.is_file, daemon.data.rglob("*")):
                result.anywhere[f"file {file.name}"] = file.read_bytes().decode("latin-1")
        yield result
    finally:
        provider.shutdown()
        thread.join(10)
        provider.server_close()


def provoke(daemon: Daemon) -> Heard:
    """Calls that succeed and fail in every way, then everything that can be asked about them."""
    heard = Heard()
    token = SECRETS["TEST_BOT_TOKEN"]
    chat = {"messages": [{"role": "user", "content": PROMPT}], "max_tokens": 10}
    message = {"messages": [{"role": "user", "content": f"{PROMPT} answer-please"}], "max_tokens": 10}
    wishes = [{"role": "user", "content": f"{PROMPT} {wish}-please"} for wish in ("answer", "cut", "overload")]
    bodies = [
        ("/v1/chat/completions", {**chat, "model": "gpt"}),
        ("/v1/messages", {**chat, "model": "claude"}),
        ("/v1/responses", {"model": "gpt", "input": PROMPT, "max_output_tokens": 16}),
        ("/v1/chat/completions", {**chat, "model": "claude"}),
        ("/v1/chat/completions", {**chat, "model": "proxied"}),
        ("/v1/messages", {**message, "model": "claude"}),
        *(("/v1/chat/completions", {**chat, "model": "gpt", "messages": [wish]}) for wish in wishes),
        ("/v1/chat/completions", {**chat, "model": "gpt", "messages": wishes[:1], "stream": True}),
    ]
    for number, (path, body) in enumerate(bodies):
        _, headers, answer = post(daemon, body, path=path, token=token)
        heard.anywhere[f"answer {number}"] = f"{headers} {answer.decode()}"
    refusals = [
        ({**chat, "model": "no-such-model"}, token, {}),
        ({**chat, "model": "gpt", "n": PROMPT}, token, {}),
        ({**chat, "model": "gpt"}, token, {"x_fairlead_labels": "data=secret"}),
        ({**chat, "model": "gpt"}, token, {"x_fairlead_run": "r"}),
        ({**chat, "model": "gpt"}, token + "x", {}),
    ]
    for number, (body, credential, more) in enumerate(refusals):
        status, headers, answer = post(daemon, body, token=credential, **more)
        assert 400 <= status < 500
        heard.records[f"refusal {number}"] = f"{headers} {answer.decode()}"
    heard.records |= tool_calls(daemon, token)
    with urllib.request.urlopen(f"http://{daemon.endpoints()['health']}/metrics", timeout=10) as answered:
        heard.records["metrics"] = answered.read().decode()
    for words in (
        ("audit", "tail"),
        ("audit", "export"),
        ("audit", "verify"),
        ("budget", "list"),
        ("config", "versions"),
        ("prices", "show"),
        ("approvals", "list"),
        ("top", "--once"),
    ):
        heard.records[" ".join(words)] = cli(daemon, *words)
    return heard


def tool_calls(daemon: Daemon, token: str) -> dict[str, str]:
    """A granted and a refused tool call, with canaries in arguments and result."""
    gate: Any = gate_service_pb2_grpc.GateServiceStub(daemon.agent())
    arguments = json.dumps({"path": ARGUMENT}).encode()

    def authorize(request_id: str, tool: str) -> gate_service_pb2.AuthorizeToolResponse:
        request = gate_service_pb2.AuthorizeToolRequest(request_id=request_id, tool=tool, arguments=arguments)
        response: gate_service_pb2.AuthorizeToolResponse = gate.AuthorizeTool(
            request, metadata=bearer(token), timeout=10
        )
        return response

    granted = authorize("canary-1", "files.read").granted
    gate.CompleteTool(
        gate_service_pb2.CompleteToolRequest(
            request_id="canary-2",
            grant=granted.grant,
            outcome=gate_service_pb2.TOOL_OUTCOME_SUCCEEDED,
            result=json.dumps(ANSWER).encode(),
        ),
        metadata=bearer(token),
        timeout=10,
    )
    return {"refused tool": str(refused(lambda: authorize("canary-3", "payments.refund")))}


def cli(daemon: Daemon, *words: str) -> str:
    """What a command prints."""
    command = [sys.executable, "-m", "fairlead.cli.main", *words, "--data", str(daemon.data)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, env=daemon.environment)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout + ran.stderr


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_nowhere(heard: Heard, name: str) -> None:
    everything = {**heard.anywhere, **heard.records}
    assert [place for place, text in everything.items() if SECRETS[name] in text] == []


@pytest.mark.parametrize("content", [PROMPT, ANSWER, ARGUMENT])
def test_content_is_in_no_log_metric_error_or_record(heard: Heard, content: str) -> None:
    assert [place for place, text in heard.records.items() if content in text] == []


def test_the_canaries_were_really_sent(heard: Heard) -> None:
    """A test that hears nothing would find nothing."""
    assert any("[redacted]" in text for text in heard.anywhere.values()), "the provider's echo came through"
    assert any(ANSWER in text for text in heard.anywhere.values())
    assert len(heard.records["log"]) > 1000 and "fairlead_" in heard.records["metrics"]
