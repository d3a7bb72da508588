"""The sidecar that every client meets: the same configuration, an empty data directory, an address that it keeps."""

from __future__ import annotations

import socket
from pathlib import Path

from tests.daemon.harness import MODELS, Daemon
from tests.daemon.people import vote

WORKFLOW = """\
name: two-steps
steps:
  - {id: parse, agent: parser, effect: read, input: {document: "${input.document}"}}
  - {id: score, needs: [parse], agent: scorer, effect: pure, input: {pages: "${steps.parse.output.pages}"}}
"""

CONFIG = f"""\
apiVersion: fairlead/v1
operators:
  - {{name: asha, token: {{fromEnv: TEST_ASHA_TOKEN}}, roles: [finance]}}
tenants:
  - name: acme
    agents: [{{name: bot, token: {{fromEnv: TEST_BOT_TOKEN}}}}]
{MODELS}\
tools:
  - {{name: payments.refund, effect: side_effect, risk: high}}
policies:
  - {{name: not-that-work, on: model.call, match: {{workload: forbidden}}, effect: deny}}
  - {{name: ask-finance, on: tool.call, when: 'args.amount > 100', effect: {{requireApproval: high}}}}
approvals:
  tiers:
    - {{name: high, require: [{{role: finance}}], expiresAfter: 72h}}
budgets:
  - {{name: tenant-life, scope: [tenant], limit: {{usd: 1000}}, window: lifetime}}
  - {{name: tiny, scope: [tenant], match: {{labels: {{tier: tiny}}}}, limit: {{tokens: 10}}, window: lifetime}}
rateLimits:
  - {{name: slowly, scope: [tenant], match: {{labels: {{pace: slow}}}}, requestsPerMinute: 1}}
defaults: {{tool.call: allow}}
workflows: [{{file: two-steps.yaml}}]
"""


def sidecar(directory: Path) -> Daemon:
    """A daemon that was not started yet. It comes back on its address after it was killed."""
    (directory / "two-steps.yaml").write_text(WORKFLOW)
    return Daemon(directory, CONFIG, "--agent-listen", f"127.0.0.1:{_free_port()}")


def approve(daemon: Daemon, approval: str) -> None:
    """A person agrees, on the command line."""
    vote(daemon, "asha", "approve", approval)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
