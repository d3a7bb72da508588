"""Agents that call tools and people who vote on them, against a real daemon."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from fairlead.client import Client, Granted, Pending
from fairlead.v1 import audit_record_pb2, audit_service_pb2, audit_service_pb2_grpc

from .harness import ASHA_TOKEN, OTHER_TOKEN, ROOT, TIMEOUT_SECONDS, TOKEN, Daemon

BEN_TOKEN = "ben-token-0001"
CARLA_TOKEN = "carla-token-0001"
TOKENS = {"asha": ASHA_TOKEN, "ben": BEN_TOKEN, "carla": CARLA_TOKEN}
ENVIRONMENT = {"TEST_BEN_TOKEN": BEN_TOKEN, "TEST_CARLA_TOKEN": CARLA_TOKEN}

CONFIG = """\
apiVersion: fairlead/v1
operators:
  - {name: asha, token: {fromEnv: TEST_ASHA_TOKEN}, roles: [finance]}
  - {name: ben, token: {fromEnv: TEST_BEN_TOKEN}, roles: [finance, legal]}
  - {name: carla, token: {fromEnv: TEST_CARLA_TOKEN}, roles: [support]}
tenants:
  - name: acme
    agents:
      - {name: bot, token: {fromEnv: TEST_BOT_TOKEN}}
      - {name: other-bot, token: {fromEnv: TEST_PROVIDER_KEY}}
  - name: other
    agents: [{name: bot, token: {fromEnv: TEST_OTHER_TOKEN}}]
tools:
  - name: payments.refund
    effect: side_effect
    risk: high
    arguments:
      schema: {type: object, required: [amount], properties: {amount: {type: number}, card: {type: string}}}
  - {name: web.fetch, effect: read, risk: low, labels: [saw_untrusted]}
  - {name: crm.read, effect: read, risk: low, labels: [read_private]}
  - {name: "mail.*", effect: side_effect, risk: medium, labels: [can_egress]}
policies:
  - {name: no-unknown-tools, on: tool.call, when: tool.risk == "destructive", effect: deny, invariant: true}
  - {name: no-night-mail, on: tool.call, match: {tool: mail.night}, effect: deny}
  - name: never-all-three
    on: tool.call
    match: {tool: "mail.*"}
    when: '"saw_untrusted" in session.labels && "read_private" in session.labels'
    effect: deny
    invariant: true
  - name: cap
    on: tool.call
    match: {tool: payments.refund}
    effect: {constrain: {arguments: [{pointer: /amount, maximum: 500}, {pointer: /card, redact: true}]}}
  - {name: ask-finance, on: tool.call, when: 'has(args.amount) && args.amount > 100', effect: {requireApproval: high}}
  - {name: ask-soon, on: tool.call, match: {tool: mail.soon}, effect: {requireApproval: soon}}
approvals:
  tiers:
    - {name: high, require: [{role: finance, count: 2}], expiresAfter: 72h}
    - {name: soon, require: [{role: legal}], expiresAfter: 1s}
defaults: {tool.call: allow}
"""


def client(daemon: Daemon, token: str = TOKEN) -> Client:
    """An agent; a context manager."""
    return Client(daemon.endpoints()["agent"], token=token, timeout=TIMEOUT_SECONDS)


def stranger(daemon: Daemon) -> Client:
    """An agent of another tenant."""
    return client(daemon, OTHER_TOKEN)


def refund(agent: Client, key: str, amount: float = 1200, **facts: Any) -> Any:
    """Asks for a refund."""
    arguments = {"amount": amount, "card": "canary-card-4711"}
    return agent.authorize_tool("payments.refund", arguments, idempotency_key=key, **facts)


def granted(answer: Any) -> Granted:
    """The answer, which has to be a grant."""
    assert isinstance(answer, Granted), answer
    return answer


def pending(answer: Any) -> Pending:
    """The answer, which has to be a ticket."""
    assert isinstance(answer, Pending), answer
    return answer


def command(daemon: Daemon, *arguments: str, token: str = "") -> subprocess.CompletedProcess[str]:
    """`fairlead …` on the daemon's data directory, as the operator of the token."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "sidecar"), "FAIRLEAD_OPERATOR_TOKEN": token}
    return subprocess.run(
        [sys.executable, "-m", "fairlead.cli.main", *arguments, "--data", str(daemon.data)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def vote(daemon: Daemon, who: str, word: str, approval: str, reason: str = "as agreed by phone") -> dict[str, Any]:
    """Votes on the command line; the approval afterwards."""
    done = command(daemon, "approvals", word, approval, "--reason", reason, "--json", token=TOKENS[who])
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def wait_for_record(daemon: Daemon, kind: audit_record_pb2.EventKind) -> audit_record_pb2.AuditRecord:
    """The first record of a kind, as soon as it is there."""
    audit: Any = audit_service_pb2_grpc.AuditServiceStub(daemon.operator())
    request = audit_service_pb2.WatchEventsRequest(from_start=True)
    request.filter.kinds.append(kind)
    stream = audit.WatchEvents(request, timeout=TIMEOUT_SECONDS)
    found: audit_record_pb2.AuditRecord = next(stream).event.record
    stream.cancel()
    return found
