"""The audit log of the real daemon: streams go on across a restart, and decisions can be recomputed from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fairlead.config import from_canonical, to_engine_bytes
from fairlead.native import Core
from fairlead.v1 import (
    audit_record_pb2,
    audit_service_pb2,
    audit_service_pb2_grpc,
    config_service_pb2,
    config_service_pb2_grpc,
)

from .calls import Agent, events, refused
from .harness import CONFIG, Daemon

RULES = """\
policies:
  - {name: cap, on: model.call, match: {workload: capped}, effect: {constrain: {maxOutputTokens: 50}}}
  - {name: no, on: model.call, when: 'has(attributes.secret) && attributes.secret == true', effect: deny}
rateLimits:
  - {name: per-session, scope: [session], requestsPerMinute: 2}
"""


def watch(daemon: Daemon, token: str, count: int) -> tuple[list[int], str]:
    """Sequences of the next events after a token, and the token behind them."""
    stub: Any = audit_service_pb2_grpc.AuditServiceStub(daemon.operator())
    request = audit_service_pb2.WatchEventsRequest(resume_token=token, from_start=True)
    stream = stub.WatchEvents(request, timeout=30)
    found: list[int] = []
    for answer in stream:
        found.append(answer.event.record.sequence)
        token = answer.resume_token
        if len(found) == count:
            break
    stream.cancel()
    return found, token


def test_a_stream_goes_on_after_a_kill_with_nothing_skipped_or_repeated(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        agent = Agent(daemon)
        for number in range(10):
            agent.admit(f"before-{number}")
        first, token = watch(daemon, "", 7)
        daemon.kill()
        daemon.start()
        agent = Agent(daemon)
        for number in range(10):
            agent.admit(f"after-{number}")
        total = len(events(daemon))
        second, _ = watch(daemon, token, total - 7)
        assert first + second == list(range(1, total + 1))


def test_every_decision_is_recomputed_from_its_record_and_the_stored_configuration(tmp_path: Path) -> None:
    with Daemon(tmp_path, CONFIG + RULES) as daemon:
        agent = Agent(daemon)
        for number in range(5):
            agent.admit(f"plain-{number}", labels={"n": str(number)}, attributes={"depth": number})
        agent.admit("capped", workload="capped")
        refused(lambda: agent.admit("denied", attributes={"secret": True}))
        refused(lambda: [agent.admit(f"rate-{number}", session="s") for number in range(5)])
        refused(lambda: agent.admit("none", model="nobody"))
        daemon.config.write_text((CONFIG + RULES).replace("usd: 1000", "usd: 2000"))
        daemon.wait_log("configuration applied")
        agent.admit("after-reload")
        stub: Any = config_service_pb2_grpc.ConfigServiceStub(daemon.operator())
        recomputed = 0
        for record in events(daemon):
            if record.WhichOneof("body") != "decision":
                continue
            stored = stub.GetConfig(config_service_pb2.GetConfigRequest(version=record.config_version), timeout=10)
            config = to_engine_bytes(from_canonical(stored.canonical_json), record.config_version)
            again = audit_record_pb2.DecisionRecord.FromString(Core.recompute(config, record.SerializeToString()))
            assert again == record.decision
            recomputed += 1
        assert recomputed == 11
