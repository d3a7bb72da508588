"""Exporters of the real daemon: across kill -9, destinations that stall or are away, reloads and stops."""

from __future__ import annotations

import base64
import json
import os
import threading
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc

from fairlead.audit.transparency.exported import ExportVerifier, verify_export
from fairlead.audit.transparency.note import VerifierKey
from fairlead.exporting.rotation import full_files
from fairlead.v1 import audit_service_pb2, audit_service_pb2_grpc
from tests.unit.exporting.collecting import attribute, log_records, sequence_of

from .calls import Agent
from .harness import CONFIG, TIMEOUT_SECONDS, Daemon
from .people import command
from .receiving import Received, Receiving
from .test_notifications import signed_by

KEY = b"canary-signing-key-0123456789"
ENVIRONMENT = {
    "TEST_SIGNING": f"whsec_{base64.b64encode(KEY).decode()}",
    "TEST_COLLECTOR_HEADER": "Bearer canary-collector-header",
}
QUICK = "retry: {initial: 10ms, max: 100ms}"
CHECKPOINT = "dev.fairlead.audit.checkpoint"
BEHIND = "a consumer of the audit log is too far behind: retention does not wait"
REFUSES = "an exporter's destination refuses a record: correct the destination, or pass over the record"
FAILS = "records were not taken by an exporter's destination, they are sent again"


class Collector:
    """An OTLP collector over gRPC; its port stays the same while it is down."""

    def __init__(self) -> None:
        self.hashes: dict[int, set[str]] = {}
        self.metadata: dict[str, Any] = {}
        # Not set: it answers nobody.
        self.answers = threading.Event()
        self.answers.set()
        self.port = 0
        self._changed = threading.Condition()
        self._server: grpc.Server | None = None

    def __enter__(self) -> Self:
        self._server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
        generated: Any = logs_service_pb2_grpc
        generated.add_LogsServiceServicer_to_server(self, self._server)
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.answers.set()
        if self._server is not None:
            self._server.stop(None).wait(TIMEOUT_SECONDS)

    def Export(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.answers.wait(TIMEOUT_SECONDS)
        with self._changed:
            self.metadata = dict(context.invocation_metadata())
            for record in filter(sequence_of, log_records(request)):
                known = self.hashes.setdefault(sequence_of(record), set())
                known.add(attribute(record, "fairlead.audit.record_hash"))
            self._changed.notify_all()
        return logs_service_pb2.ExportLogsServiceResponse()

    def wait_for(self, sequence: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: sequence in self.hashes, TIMEOUT_SECONDS), sorted(self.hashes)


def exporting(*exporters: str, more: str = "") -> str:
    return CONFIG + "audit:\n  exporters:\n" + "".join(f"    - {{{one}, {QUICK}}}\n" for one in exporters) + more


def file_at(path: Path, more: str = "rotate: {size: 8KiB, files: 1000}") -> str:
    return f"name: disk, kind: file, path: {path}, batch: {{records: 3}}, {more}"


def otlp_to(collector: Collector) -> str:
    header = "headers: {authorization: {fromEnv: TEST_COLLECTOR_HEADER}}"
    url = f"http://127.0.0.1:{collector.port}"
    return f"name: otlp, kind: otlp, url: '{url}', timeout: 1s, batch: {{records: 3}}, {header}"


def hook_to(receiving: Receiving) -> str:
    signed = "secret: {fromEnv: TEST_SIGNING}"
    return f"name: siem, kind: cloudevents, url: '{receiving.url}/in', {signed}, batch: {{records: 3}}"


def head(daemon: Daemon) -> audit_service_pb2.AuditEvent:
    stub = audit_service_pb2_grpc.AuditServiceStub(daemon.operator())
    request = audit_service_pb2.ListEventsRequest(page_size=1, descending=True)
    event: audit_service_pb2.AuditEvent = stub.ListEvents(request).events[0]
    return event


def acknowledged(daemon: Daemon, name: str) -> int:
    stub = audit_service_pb2_grpc.AuditServiceStub(daemon.operator())
    consumers = stub.ListConsumers(audit_service_pb2.ListConsumersRequest()).consumers
    return next((one.sequence for one in consumers if one.name == name), 0)


def until(holds: Callable[[], bool]) -> None:
    """Asks again and again; what it asks takes its time."""
    for _ in range(20_000):
        if holds():
            return
    raise AssertionError("it never was so")


def lines_of(path: Path) -> list[str]:
    return [line for file in (*full_files(path), path) for line in file.read_text().splitlines()]


def metrics(daemon: Daemon) -> str:
    with urllib.request.urlopen(f"http://{daemon.endpoints()['health']}/metrics", timeout=30) as response:
        page: str = response.read().decode()
    return page


def test_nothing_is_missing_after_kill_9_in_the_middle_and_duplicates_are_recognisable(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with Receiving() as siem, Collector() as collector:
        config = exporting(file_at(path), otlp_to(collector), hook_to(siem))
        with Daemon(tmp_path, config, environment=ENVIRONMENT) as daemon:
            for life in range(3):
                agent = Agent(daemon)
                for n in range(15):
                    agent.admit(f"call-{life}-{n}")
                # Somewhere in the middle: some of it has gone out, and some of that was acknowledged.
                collector.wait_for(5 + 15 * life)
                daemon.kill()
                daemon.start()
            last = head(daemon)
            key = command(daemon, "audit", "key").stdout.strip()
            # Those that are waited for without asking come first: asking takes its time from the daemon.
            collector.wait_for(last.record.sequence)
            siem.wait_for(lambda received: int(received.document[-1].get("sequence", 0)) >= last.record.sequence)
            until(lambda: acknowledged(daemon, "export:disk") >= last.record.sequence)
            assert daemon.terminate() == 0
        wanted = list(range(1, last.record.sequence + 1))
        # Files have each record once, and are a proof by themselves.
        result = verify_export(lines_of(path), (last.record.sequence, last.record_hash))
        assert result.valid and result.checked == len(wanted), result
        assert len(full_files(path)) > 3
        # Receivers may get one again: the same sequence then has the same hash.
        assert sorted(collector.hashes) == wanted
        assert all(len(hashes) == 1 for hashes in collector.hashes.values())
        assert collector.metadata["authorization"] == ENVIRONMENT["TEST_COLLECTOR_HEADER"]
        documents = [event for received in siem.received for event in received.document]
        events = {event["id"]: event for event in documents if event["type"] != CHECKPOINT}
        assert sorted(int(event["sequence"]) for event in events.values()) == wanted
        assert all(signed_by(received, KEY) for received in siem.received)
        assert "canary-collector" not in daemon.log_text()
        # What the receiver has is a log that proves itself, checkpoints included.
        trusted = [VerifierKey.parse(key)]
        verifier = ExportVerifier(trusted)
        for event in documents:
            assert verifier.feed(event["data"])
        proven = verifier.finish()
        assert proven.valid and proven.checkpoints, proven.chain.problem


def test_calls_go_on_while_an_exporter_stalls_and_one_that_is_too_far_behind_is_on_record(tmp_path: Path) -> None:
    with Collector() as collector:
        collector.answers.clear()
        config = exporting(otlp_to(collector), more="limits: {consumerLag: 5}\n")
        with Daemon(tmp_path, config, environment=ENVIRONMENT) as daemon:
            agent = Agent(daemon)
            for n in range(20):
                agent.admit(f"call-{n}")
            daemon.wait_log(FAILS, lambda line: line["exporter"] == "otlp")
            daemon.wait_log(BEHIND, lambda line: line["consumer"] == "export:otlp")
            page = metrics(daemon)
            assert 'fairlead_audit_consumer_left_behind{consumer="export:otlp"} 1\n' in page
            assert 'fairlead_audit_export_failing{exporter="otlp"} 1\n' in page
            assert 'fairlead_audit_export_records_total{exporter="otlp"} 0\n' in page
            assert "audit.consumer_left_behind" in command(daemon, "audit", "tail", "--json").stdout
            # It stalls no more, and gets all of it.
            collector.answers.set()
            collector.wait_for(head(daemon).record.sequence)
            assert sorted(collector.hashes) == list(range(1, max(collector.hashes) + 1))


def test_one_record_that_a_receiver_refuses_is_named_and_passed_over_by_an_operator(tmp_path: Path) -> None:
    with Receiving() as siem:

        def answer(received: Received) -> tuple[int, dict[str, str]]:
            return (400, {}) if any(event.get("tenant") for event in received.document) else (204, {})

        siem.answer = answer
        with Daemon(tmp_path, exporting(hook_to(siem)), environment=ENVIRONMENT) as daemon:
            Agent(daemon).admit("call-1")
            told = daemon.wait_log(REFUSES, lambda line: line["exporter"] == "siem")
            sequence = told["first_sequence"]
            page = metrics(daemon)
            assert f'fairlead_audit_export_refused_sequence{{exporter="siem"}} {sequence}\n' in page
            assert acknowledged(daemon, "export:siem") == sequence - 1
            # The line says what to run.
            words = told["pass_over_with"].removesuffix(" TEXT").split()[1:]
            done = command(daemon, *words, "agreed with security")
            assert done.stdout == f"consumer export:siem passes over records {sequence} to {sequence}\n", done
            until(lambda: acknowledged(daemon, "export:siem") == head(daemon).record.sequence)
            tail = [json.loads(line) for line in command(daemon, "audit", "tail", "--json").stdout.splitlines()]
            (record,) = [
                one["record"]
                for one in tail
                if "audit.records_skipped" in one["record"].get("control_changed", {}).values()
            ]
            assert record["operator"] == "local"
            assert record["control_changed"]["detail"]["reason"] == "agreed with security"
            assert command(daemon, *words, "agreed with security").returncode == 2


def test_a_change_of_the_configuration_starts_moves_and_stops_exporters(tmp_path: Path) -> None:
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    with Daemon(tmp_path, exporting(file_at(first))) as daemon:
        agent = Agent(daemon)
        agent.admit("call-1")
        until(lambda: acknowledged(daemon, "export:disk") == head(daemon).record.sequence)
        moved_at = head(daemon).record.sequence
        # While it runs it is not forgotten.
        assert command(daemon, "audit", "consumers", "remove", "export:disk").returncode == 1
        daemon.config.write_text(exporting(file_at(second)))
        daemon.wait_log("configuration applied")
        agent.admit("call-2")
        until(lambda: acknowledged(daemon, "export:disk") == head(daemon).record.sequence)
        one, two = (
            [fields["sequence"] for fields in map(json.loads, lines_of(path)) if "sequence" in fields]
            for path in (first, second)
        )
        # The record of the change itself may have gone out the old way, the new way, or both.
        assert one == list(range(1, len(one) + 1)) and len(one) in (moved_at, moved_at + 1)
        assert two == list(range(two[0], head(daemon).record.sequence + 1)) and moved_at < two[0] <= len(one) + 1
        daemon.config.write_text(CONFIG)
        daemon.wait_log("an exporter is configured no more: its position is kept")
        before = second.read_bytes()
        agent.admit("call-3")
        assert "fairlead_audit_export" not in metrics(daemon)
        assert command(daemon, "audit", "consumers", "remove", "export:disk").returncode == 0
        assert second.read_bytes() == before


def test_a_stop_delivers_what_was_recorded_and_standard_output_has_lines_alone(tmp_path: Path) -> None:
    out = tmp_path / "stdout"
    with open(out, "w") as stdout:
        daemon = Daemon(tmp_path, exporting("name: out, kind: stdout"))
        daemon.stdout = stdout
        with daemon:
            agent = Agent(daemon)
            for n in range(30):
                agent.admit(f"call-{n}")
            last = head(daemon)
            (tmp_path / "key.pub").write_text(command(daemon, "audit", "key").stdout)
            assert daemon.terminate() == 0
    result = verify_export(out.read_text().splitlines(), (last.record.sequence, last.record_hash))
    assert result.valid and result.checked == last.record.sequence
    # Its last line is the checkpoint of all of it.
    verified = command(daemon, "audit", "verify", "--file", str(out), "--public-key", str(tmp_path / "key.pub"))
    assert f"signed up to record {last.record.sequence} " in verified.stdout, verified


def test_a_pipe_that_nobody_reads_holds_up_neither_calls_nor_the_stop(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    daemon = Daemon(tmp_path, exporting("name: out, kind: stdout"))
    daemon.stdout = writing
    try:
        with daemon:
            agent = Agent(daemon)
            for n in range(100):
                agent.admit(f"call-{n}")
            assert daemon.terminate() == 0
    finally:
        os.close(reading)
        os.close(writing)
