"""Start, stop, refusal to start, a full disk, and a configuration that changes under a running daemon."""

from __future__ import annotations

import json
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from fairlead.store import Family, keys, open_store
from fairlead.v1 import (
    audit_record_pb2,
    audit_service_pb2,
    audit_service_pb2_grpc,
    config_service_pb2,
    config_service_pb2_grpc,
    gate_service_pb2,
    gate_service_pb2_grpc,
)

from .harness import ASHA_TOKEN, CONFIG, MODELS, PROVIDER_KEY, TOKEN, Daemon, bearer

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with Daemon(tmp_path) as daemon:
        yield daemon


def admit(channel: grpc.Channel, request_id: str, token: str = TOKEN) -> gate_service_pb2.AdmitResponse:
    request = gate_service_pb2.AdmitRequest(
        request_id=request_id, model="small", input_tokens=10, max_output_tokens=100
    )
    stub: Any = gate_service_pb2_grpc.GateServiceStub(channel)
    response: gate_service_pb2.AdmitResponse = stub.Admit(request, metadata=bearer(token), timeout=10)
    return response


def reason_of(error: grpc.RpcError) -> str:
    status = rpc_status.from_call(error)
    assert status is not None, error
    info = error_details_pb2.ErrorInfo()
    (detail,) = (detail for detail in status.details if detail.Is(info.DESCRIPTOR))
    assert detail.Unpack(info)
    assert info.domain == "fairlead"
    return str(info.reason)


def events(daemon: Daemon) -> list[audit_record_pb2.AuditRecord]:
    stub: Any = audit_service_pb2_grpc.AuditServiceStub(daemon.operator())
    request = audit_service_pb2.ListEventsRequest(page_size=1000)
    return [event.record for event in stub.ListEvents(request, timeout=10).events]


def verified(daemon: Daemon) -> int:
    """Number of records of a chain that is whole."""
    stub: Any = audit_service_pb2_grpc.AuditServiceStub(daemon.operator())
    answer = stub.VerifyChain(audit_service_pb2.VerifyChainRequest(), timeout=30)
    assert answer.valid, answer.problem
    return int(answer.checked)


def config_version(daemon: Daemon) -> str:
    stub: Any = config_service_pb2_grpc.ConfigServiceStub(daemon.operator())
    return str(stub.GetConfig(config_service_pb2.GetConfigRequest(), timeout=10).version.version)


# Start ---------------------------------------------------------------------------------------------------------------


def test_the_first_line_and_the_file_name_the_bound_ports(daemon: Daemon) -> None:
    line, endpoints = daemon.lines[0], daemon.endpoints()
    assert line["message"] == "serving"
    assert {key: line[key] for key in ("agent", "health", "operator")} == {
        key: endpoints[key] for key in ("agent", "health", "operator")
    }
    assert endpoints["operator"] == f"unix:{daemon.data}/admin.sock"
    assert endpoints["pid"] == daemon.pid
    for name in ("agent", "health"):
        host, _, port = endpoints[name].rpartition(":")
        assert host == "127.0.0.1"
        socket.create_connection((host, int(port)), 5).close()


def test_it_serves_and_stops_with_nothing_left_behind(daemon: Daemon) -> None:
    for channel in (daemon.agent(), daemon.health(), daemon.operator()):
        stub: Any = health_pb2_grpc.HealthStub(channel)
        assert stub.Check(health_pb2.HealthCheckRequest(), timeout=5).status == SERVING
    assert admit(daemon.agent(), "r-1").invocation.startswith("inv_")
    assert daemon.terminate() == 0
    assert not (daemon.data / "endpoints.json").exists()
    assert not (daemon.data / "admin.sock").exists()
    assert not (daemon.data / "run" / "control.sock").exists()
    # Nothing failed, so nothing sounds as if.
    said = [line["message"] for line in daemon.lines]
    assert said[said.index("stopping") :] == ["stopping", "stopped"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_both_signals_are_a_clean_stop(daemon: Daemon, number: signal.Signals) -> None:
    daemon.send_signal(number)
    assert daemon.wait() == 0


def test_private_files_are_private(daemon: Daemon) -> None:
    assert (daemon.data / "admin.sock").stat().st_mode & 0o777 == 0o600
    assert (daemon.data / "run").stat().st_mode & 0o777 == 0o700
    assert (daemon.data / "run" / "control.sock").stat().st_mode & 0o777 == 0o600


def test_dev_needs_no_configuration(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, tmp_path / "none.yaml", "--dev")
    with daemon:
        daemon.wait_log("DEVELOPMENT MODE: anyone who can reach the agent endpoint is tenant dev with token dev")
        assert admit(daemon.agent(), "r-1", token="dev").decision.route == "everything-else"


def test_a_second_daemon_on_the_directory_is_refused(daemon: Daemon, tmp_path: Path) -> None:
    second = Daemon(tmp_path)
    assert second.run_to_the_end() == 3
    line = second.wait_log(f"another fairlead daemon is using {daemon.data} (process {daemon.pid})")
    assert line["level"] == "error"
    # And the first one never noticed.
    assert admit(daemon.agent(), "r-1").invocation


def test_a_bad_configuration_ends_with_every_violation(tmp_path: Path) -> None:
    text = CONFIG + "colour: red\nrateLimits:\n  - {name: r, scope: [planet], requestsPerMinute: -1}\n"
    daemon = Daemon(tmp_path, text)
    assert daemon.run_to_the_end() == 2
    violations = {line["path"]: line for line in daemon.lines if "path" in line}
    assert {"colour", "rateLimits[0].requestsPerMinute"} <= set(violations)
    assert any(path.startswith("rateLimits[0].scope") for path in violations)
    for line in violations.values():
        assert line["file"] == str(daemon.config)
        assert text.splitlines()[line["line"] - 1].strip()
    assert violations["colour"]["line"] == text.splitlines().index("colour: red") + 1
    assert not daemon.data.exists()


def test_no_configuration_is_a_usage_error(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, tmp_path / "missing.yaml")
    assert daemon.run_to_the_end() == 2
    assert "missing.yaml" in daemon.log_text()


def test_a_data_directory_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file is in the way")
    daemon = Daemon(tmp_path)
    assert daemon.run_to_the_end() == 3
    assert str(daemon.data) in daemon.log_text()


def test_a_data_directory_that_is_not_writable(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    daemon.data = Path("/proc/fairlead")  # nobody can make a directory there, the superuser neither
    assert daemon.run_to_the_end() == 3
    assert "/proc/fairlead" in daemon.log_text()


def test_an_unknown_format_is_named(tmp_path: Path) -> None:
    with open_store(tmp_path / "data") as store:
        store.write([(Family.STATE, keys.FORMAT, b"99")])
    daemon = Daemon(tmp_path)
    assert daemon.run_to_the_end() == 3
    assert "format version '99'" in daemon.log_text()


def test_an_address_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        daemon = Daemon(tmp_path, CONFIG, "--agent-listen", address)
        assert daemon.run_to_the_end() == 4
        assert address in daemon.log_text()


def test_stale_files_of_a_killed_daemon_are_replaced(daemon: Daemon) -> None:
    before = admit(daemon.agent(), "r-1").invocation
    daemon.kill()
    assert (daemon.data / "admin.sock").exists()
    daemon.start()
    # The same request finds its first answer.
    assert admit(daemon.agent(), "r-1").invocation == before
    kinds = [record.kind for record in events(daemon)]
    assert kinds.count(audit_record_pb2.EVENT_KIND_SIDECAR_STARTED) == 2
    assert kinds.count(audit_record_pb2.EVENT_KIND_INVOCATION_ADMITTED) == 1
    assert verified(daemon) == len(kinds)


# Stop ----------------------------------------------------------------------------------------------------------------


def test_a_stop_under_load_loses_nothing_that_was_acknowledged(daemon: Daemon) -> None:
    acknowledged: list[str] = []
    refused: list[str] = []
    first = threading.Event()

    def agent(number: int, channel: grpc.Channel) -> None:
        for count in range(10_000):
            try:
                acknowledged.append(admit(channel, f"r-{number}-{count}").invocation)
            except grpc.RpcError as error:
                refused.append(error.code().name)  # type: ignore[attr-defined]
                return
            first.set()

    agents = [threading.Thread(target=agent, args=(number, daemon.agent())) for number in range(8)]
    for thread in agents:
        thread.start()
    assert first.wait(10)
    daemon.send_signal(signal.SIGTERM)
    for thread in agents:
        thread.join(30)
    assert daemon.wait() == 0
    assert set(refused) <= {"UNAVAILABLE"}, refused
    with open_store(daemon.data, read_only=True) as store:
        stored = {keys.open_invocation("acme", keys.invocation_id_bytes(name) or b"") for name in acknowledged}
        open_holds = {key for key, _ in store.scan(Family.STATE, prefix=keys.text("acme") + b"o")}
        assert stored <= open_holds
    daemon.start()
    assert verified(daemon) >= len(acknowledged)


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    with Daemon(tmp_path, CONFIG, "--grace", "10m") as daemon:
        # A call that never ends by itself keeps the drain waiting.
        host, _, port = daemon.endpoints()["agent"].rpartition(":")
        with socket.create_connection((host, int(port)), 5) as connection:
            head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n"
            head += "content-type: application/json\r\ncontent-length: 100\r\nexpect: 100-continue\r\n\r\n"
            connection.sendall(head.encode())
            # From here on the call is one that the stop waits for.
            assert connection.recv(1 << 10).startswith(b"HTTP/1.1 100 ")
            daemon.send_signal(signal.SIGTERM)
            daemon.wait_log("stopping")
            daemon.send_signal(signal.SIGTERM)
            assert daemon.wait() == 128 + signal.SIGTERM


def test_health_says_not_serving_while_it_drains(tmp_path: Path) -> None:
    with Daemon(tmp_path, CONFIG, "--grace", "10m") as daemon:
        stub: Any = health_pb2_grpc.HealthStub(daemon.health())
        states = stub.Watch(health_pb2.HealthCheckRequest(), timeout=30)
        assert next(states).status == SERVING
        host, _, port = daemon.endpoints()["agent"].rpartition(":")
        with socket.create_connection((host, int(port)), 5) as connection:
            head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n"
            head += "content-type: application/json\r\ncontent-length: 100\r\nexpect: 100-continue\r\n\r\n"
            connection.sendall(head.encode())
            # From here on the call is one that the stop waits for.
            assert connection.recv(1 << 10).startswith(b"HTTP/1.1 100 ")
            daemon.send_signal(signal.SIGTERM)
            assert next(states).status == NOT_SERVING
        # The call has gone: the stop goes on.
        assert daemon.wait() == 0


# Store ---------------------------------------------------------------------------------------------------------------


def test_a_full_disk_refuses_and_recovers_and_loses_nothing(daemon: Daemon) -> None:
    channel = daemon.agent()
    acknowledged = [admit(channel, f"before-{number}").invocation for number in range(20)]
    daemon.limit_file_size(1)
    with pytest.raises(grpc.RpcError) as refused:
        for number in range(10_000):
            acknowledged.append(admit(channel, f"full-{number}").invocation)
    assert reason_of(refused.value) == "STORE_UNAVAILABLE"
    daemon.wait_log("store failed")
    health: Any = health_pb2_grpc.HealthStub(daemon.health())
    states = health.Watch(health_pb2.HealthCheckRequest(), timeout=30)
    assert next(states).status == NOT_SERVING
    # Reads go on.
    assert len(events(daemon)) >= len(acknowledged)
    daemon.limit_file_size(None)
    assert next(states).status == SERVING
    daemon.wait_log("store recovered")
    acknowledged.append(admit(channel, "after").invocation)
    admitted = {record.invocation for record in events(daemon) if record.invocation}
    assert set(acknowledged) <= admitted
    assert verified(daemon) == len(events(daemon))
    # A repeated request finds its answer from before.
    assert admit(channel, "before-0").invocation == acknowledged[0]
    daemon.kill()
    daemon.start()
    assert set(acknowledged) <= {record.invocation for record in events(daemon) if record.invocation}


# Configuration -------------------------------------------------------------------------------------------------------


def test_an_edited_file_is_seen_and_runs(daemon: Daemon) -> None:
    before = config_version(daemon)
    daemon.config.write_text(CONFIG.replace("usd: 1000", "usd: 2000"))
    daemon.wait_log("configuration applied", lambda line: line["config_version"] != before)
    after = config_version(daemon)
    assert after != before
    assert admit(daemon.agent(), "r-1").decision.config_version == after
    applied = [record for record in events(daemon) if record.kind == audit_record_pb2.EVENT_KIND_CONFIG_APPLIED]
    assert [record.config_applied.previous_version for record in applied] == ["", before]


def test_a_broken_file_changes_nothing_and_is_recorded(daemon: Daemon) -> None:
    before = config_version(daemon)
    text = CONFIG + "colour: red\n"
    daemon.config.write_text(text)
    line = daemon.wait_log("configuration refused, the running one stays")
    assert line["violation"].startswith(f"{daemon.config}:{len(text.splitlines())}: colour: ")
    assert config_version(daemon) == before
    assert admit(daemon.agent(), "r-1").decision.config_version == before
    rejected = [record for record in events(daemon) if record.kind == audit_record_pb2.EVENT_KIND_CONFIG_REJECTED]
    assert len(rejected) == 1
    assert rejected[0].config_rejected.source == str(daemon.config)
    # And the way back.
    daemon.config.write_text(CONFIG.replace("usd: 1000", "usd: 3000"))
    daemon.wait_log("configuration applied")
    assert config_version(daemon) != before


def test_a_config_map_swap_is_seen(tmp_path: Path) -> None:
    volume = tmp_path / "volume"

    def publish(version: str, text: str) -> None:
        """As the kubelet does it: a new directory, and one symbolic link that changes atomically."""
        (volume / version).mkdir(parents=True)
        (volume / version / "fairlead.yaml").write_text(text)
        link = volume / "..data_tmp"
        link.symlink_to(version)
        link.rename(volume / "..data")

    publish("..2026_1", CONFIG)
    (volume / "fairlead.yaml").symlink_to("..data/fairlead.yaml")
    with Daemon(tmp_path, volume / "fairlead.yaml") as daemon:
        before = config_version(daemon)
        publish("..2026_2", CONFIG.replace("usd: 1000", "usd: 2000"))
        daemon.wait_log("configuration applied", lambda line: line["config_version"] != before)
        assert config_version(daemon) != before


def test_a_rotated_secret_is_read_again_and_makes_no_new_version(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("first-token-0001\n")
    text = f"""\
apiVersion: fairlead/v1
tenants:
  - name: acme
    agents: [{{name: bot, token: {{fromFile: {token}}}}}]
{MODELS}"""
    with Daemon(tmp_path, text) as daemon:
        before = config_version(daemon)
        channel = daemon.agent()
        assert admit(channel, "r-1", token="first-token-0001").invocation
        rotated = tmp_path / "rotated"
        rotated.write_text("second-token-0001\n")
        rotated.rename(token)
        daemon.wait_log("secrets read anew")
        assert admit(channel, "r-2", token="second-token-0001").invocation
        with pytest.raises(grpc.RpcError) as refused:
            admit(channel, "r-3", token="first-token-0001")
        assert reason_of(refused.value) == "CREDENTIAL_INVALID"
        assert config_version(daemon) == before
        daemon.terminate()
        for secret in ("first-token-0001", "second-token-0001"):
            assert secret not in daemon.log_text()


def test_no_secret_is_ever_logged_or_stored(daemon: Daemon) -> None:
    admit(daemon.agent(), "r-1")
    with pytest.raises(grpc.RpcError):
        admit(daemon.agent(), "r-2", token="wrong-token-0001")
    daemon.config.write_text(CONFIG + f"colour: {PROVIDER_KEY}\n")
    daemon.wait_log("configuration refused, the running one stays")
    assert daemon.terminate() == 0
    secrets = (TOKEN, ASHA_TOKEN, PROVIDER_KEY, "wrong-token-0001")
    for secret in secrets:
        assert secret not in daemon.log_text()
    for path in daemon.data.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not any(secret.encode() in content for secret in secrets), path


def test_every_line_of_the_log_is_an_object_with_the_same_fields(daemon: Daemon) -> None:
    admit(daemon.agent(), "r-1")
    assert daemon.terminate() == 0
    for text in daemon.output:
        line = json.loads(text)
        assert {"time", "level", "target", "message"} <= set(line)
        assert line["level"] in ("debug", "info", "warn", "error")
