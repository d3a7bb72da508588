"""Starts and changes that meet a wrong clock, a full disk, strange limits or a careless umask."""

from __future__ import annotations

import json
import os
import socket
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest

from fairlead.config import Loader, to_engine_bytes
from fairlead.internal.v1 import command_pb2, engine_config_pb2
from fairlead.native import Core
from fairlead.store import open_store, recovery
from fairlead.v1 import (
    audit_record_pb2,
    config_service_pb2,
    config_service_pb2_grpc,
    gate_service_pb2,
    gate_service_pb2_grpc,
)

from .calls import Agent, events, post, refused
from .harness import CONFIG, ENVIRONMENT, MODELS, Daemon, bearer
from .provider import Provider, routed

AHEAD_SECONDS = 86_400


def live_tomorrow(data: Path) -> None:
    """A life of the sidecar a day ahead: its start is recorded then."""
    loaded = Loader(Core.compile, ENVIRONMENT).load_text(CONFIG)
    core = Core(to_engine_bytes(loaded.config, loaded.version), engine_config_pb2.Secrets().SerializeToString())
    tomorrow = time.time_ns() + AHEAD_SECONDS * 10**9
    start = command_pb2.Command(start=command_pb2.Start(program_version="test")).SerializeToString()
    with open_store(data) as store:
        recovery.recover(core, store, tomorrow)
        core.apply(start, tomorrow, None, False)
        batch = core.next_batch(512, 0)
        assert batch is not None
        store.write(batch[2])
        store.flush_wal()


def free_addresses(count: int) -> list[str]:
    """Loopback addresses nobody listens on; held together until all are known, so that they differ."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [f"127.0.0.1:{taken.getsockname()[1]}" for taken in sockets]


def test_a_start_with_the_clock_set_back_waits_and_says_how_far_it_is_behind(tmp_path: Path) -> None:
    agent, health = free_addresses(2)
    daemon = Daemon(tmp_path, CONFIG, "--agent-listen", agent, "--health-listen", health)
    live_tomorrow(daemon.data)
    daemon.spawn()
    try:
        line = daemon.wait_log("the start waits: this has to pass first")
        assert (line["reason"], line["cause"]) == ("NOT_READY", "clock_set_back")
        assert 0 < AHEAD_SECONDS * 1000 - int(line["behind_millis"]) < 60_000
        assert "set it right or wait" in line["error"]
        # Alive, but not ready.
        with urllib.request.urlopen(f"http://{health}/healthz", timeout=10) as answer:
            assert answer.status == 200
        with pytest.raises(urllib.error.HTTPError) as not_ready:
            urllib.request.urlopen(f"http://{health}/readyz", timeout=10)
        with not_ready.value as error:
            assert (error.code, json.load(error)["phase"]) == (503, "starting")
        with grpc.insecure_channel(agent) as channel:
            gate: Any = gate_service_pb2_grpc.GateServiceStub(channel)
            request = gate_service_pb2.AdmitRequest(request_id="r-1", model="small")
            assert refused(lambda: gate.Admit(request, metadata=bearer(), timeout=10)).reason == "NOT_READY"
        assert not (daemon.data / "endpoints.json").exists()
        assert daemon.terminate() == 0
    finally:
        daemon.close()


def test_a_clock_set_back_under_a_known_configuration_refuses_the_calls(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        assert daemon.terminate() == 0
        live_tomorrow(daemon.data)
        daemon.start()
        refusal = refused(lambda: Agent(daemon).admit("r-1"))
        assert (refusal.reason, refusal.metadata["cause"]) == ("NOT_READY", "clock_set_back")
        assert daemon.terminate() == 0


def test_everything_in_the_data_directory_is_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        daemon = Daemon(tmp_path)
        daemon.spawn()
    finally:
        os.umask(before)
    try:
        daemon.wait_log("serving")
        Agent(daemon).admit("r-1")
        for path in (daemon.data, *daemon.data.rglob("*")):
            mode = path.stat().st_mode & 0o777
            assert mode == (0o700 if path.is_dir() else mode & 0o600), f"{path} has mode {mode:o}"
    finally:
        daemon.close()


def test_a_small_bound_of_requests_bounds_requests_only(tmp_path: Path) -> None:
    with Provider() as provider:
        text = routed(provider.url, provider.url, "limits: {requestBytes: 1KiB}\n")
        body = {"model": "chat", "messages": [{"role": "user", "content": "long"}], "max_tokens": 900, "seed": 900}
        with Daemon(tmp_path, text) as daemon:
            first = post(daemon, body, idempotency_key="once")
            assert first[0] == 200 and len(first[2]) > 4096, "it has to be larger than what a request may be"
            # The kept answer is read from the store.
            assert post(daemon, body, idempotency_key="once")[2] == first[2]
            for number in range(20):
                Agent(daemon).admit(f"r-{number}")
            # More than a page of 4 KiB.
            assert len(events(daemon)) > 20
            config: Any = config_service_pb2_grpc.ConfigServiceStub(daemon.operator())
            longer = text.replace("1KiB", "2KiB") + "# a long comment\n" * 1000
            request = config_service_pb2.ApplyConfigRequest(request_id="longer", yaml=longer)
            assert config.ApplyConfig(request, timeout=10).version.active


def rotating(secret: Path) -> str:
    """A configuration whose only token is in a file."""
    return f"""\
apiVersion: fairlead/v1
tenants:
  - name: acme
    agents: [{{name: bot, token: {{fromFile: {secret}}}}}]
{MODELS}"""


@pytest.mark.parametrize("arguments", [(), ("--dev",)], ids=["with a file", "without"])
def test_secrets_of_a_configuration_that_was_applied_by_hand_are_followed(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    token = tmp_path / "token"
    token.write_text("first-token-0001")
    with Daemon(tmp_path, tmp_path / "none.yaml" if arguments else CONFIG, *arguments) as daemon:
        config: Any = config_service_pb2_grpc.ConfigServiceStub(daemon.operator())
        config.ApplyConfig(
            config_service_pb2.ApplyConfigRequest(request_id="by-hand", yaml=rotating(token)), timeout=10
        )
        # At once: it may have been read already, but nobody has looked at it since.
        mark = daemon.mark()
        (tmp_path / "rotated").write_text("second-token-0001")
        (tmp_path / "rotated").rename(token)
        daemon.wait_log("secrets read anew", after=mark)
        assert Agent(daemon, "second-token-0001").admit("r-2").invocation
        assert refused(lambda: Agent(daemon, "first-token-0001").admit("r-3")).reason == "CREDENTIAL_INVALID"


def test_a_change_of_the_file_that_meets_a_full_disk_runs_when_there_is_room(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        agent = Agent(daemon)
        daemon.limit_file_size(1)
        assert refused(lambda: [agent.admit(f"r-{number}") for number in range(10_000)]).reason == "STORE_UNAVAILABLE"
        daemon.config.write_text(CONFIG.replace("usd: 1000", "usd: 2000"))
        line = daemon.wait_log("a change waits: it is tried again until it can be decided")
        assert line["reason"] == "STORE_UNAVAILABLE"
        daemon.limit_file_size(None)
        daemon.wait_log("configuration applied")
        kinds = [record.kind for record in events(daemon)]
        assert kinds.count(audit_record_pb2.EVENT_KIND_CONFIG_APPLIED) == 2


def test_a_data_directory_without_room_is_a_clear_refusal(tmp_path: Path) -> None:
    import resource

    daemon = Daemon(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))
    try:
        daemon.spawn()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert daemon.wait() == 3
    assert str(daemon.data) in daemon.log_text()
