"""The real daemon keeps its audit log as small as it is told to, and says whom that costs what."""

from __future__ import annotations

import json
import re
from pathlib import Path

import grpc

from fairlead.audit.transparency.exported import verify_export
from fairlead.v1 import audit_service_pb2, audit_service_pb2_grpc

from .calls import Agent, events, explained, refused
from .harness import Daemon
from .people import command
from .test_audit_proofs import verify
from .test_backup import backup, create
from .test_exporters import ENVIRONMENT, Collector, acknowledged, exporting, file_at, head, lines_of, metrics, otlp_to

SIZE, LAG = 1 << 20, 250
MORE = f"retention: {{audit: {{size: 1MiB}}}}\nlimits: {{consumerLag: {LAG}}}\n"
# An attribute makes a record of about 8 KiB: a hundred and some of them are the size.
LARGE = {"note": "x" * 7900}
ROUND = 60


def metric(page: str, name: str) -> int:
    found = re.search(rf"^{re.escape(name)} (\S+)$", page, re.MULTILINE)
    assert found, page
    return int(float(found[1]))


def test_a_destination_that_is_away_costs_a_bounded_disk_and_is_told_what_it_misses(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with Collector() as collector:
        collector.answers.clear()
        config = exporting(file_at(path, "rotate: {files: 1000}"), otlp_to(collector), more=MORE)
        with Daemon(tmp_path, config, environment=ENVIRONMENT) as daemon:
            waiting = Agent(daemon).admit("waits").invocation
            stub = audit_service_pb2_grpc.AuditServiceStub(daemon.operator())
            first = next(stub.WatchEvents(audit_service_pb2.WatchEventsRequest(from_start=True), timeout=30))
            key = command(daemon, "audit", "key").stdout
            calls, trims = 0, 0
            for life in range(2):
                # The first life ends before anybody is left behind: the log keeps what is waited for, and no more.
                for _ in range(3 if life == 0 else 6):
                    agent = Agent(daemon)
                    for _ in range(ROUND):
                        calls += 1
                        agent.admit(f"call-{calls}", attributes=LARGE)
                    while acknowledged(daemon, "export:disk") < head(daemon).record.sequence:
                        pass
                    page = metrics(daemon)
                    # What is waited for, what may be too much, and what came since the last checkpoint.
                    most = max(SIZE, LAG * 8300) + SIZE // 16 + 2 * ROUND * 8300
                    assert metric(page, "fairlead_audit_log_bytes") <= most
                if life == 0:
                    assert metric(page, "fairlead_audit_first_sequence") == 1
                    assert metric(page, 'fairlead_audit_consumer_missed_records{consumer="export:otlp"}') == 0
                else:
                    daemon.wait_log("trimmed records of the audit log removed")
                    page = metrics(daemon)
                    trims = metric(page, "fairlead_audit_trimmed_records_total")
                    assert metric(page, 'fairlead_audit_consumer_left_behind{consumer="export:otlp"}') == 1
                    assert metric(page, 'fairlead_audit_consumer_missed_records{consumer="export:otlp"}') > 0
                    assert metric(page, 'fairlead_audit_consumer_missed_records{consumer="export:disk"}') == 0
                daemon.kill()
                daemon.start()
            assert trims >= ROUND
            # What goes before the beginning was recorded before, with the checkpoint that the log begins at.
            details = [
                json.loads(json.dumps(dict(record.control_changed.detail)))
                for record in events(daemon)
                if record.control_changed.subject == "retention.audit_trimmed"
            ]
            assert details and details[-1]["why"] == "size" and "export:otlp" in details[-1]["not_waited_for"]
            assert str(details[-1]["checkpoint"]).startswith("fairlead.audit/")
            stub = audit_service_pb2_grpc.AuditServiceStub(daemon.operator())
            log = stub.GetAuditLog(audit_service_pb2.GetAuditLogRequest())
            assert 1 < log.first_sequence <= log.head_sequence and log.beginning.size == log.first_sequence - 1
            # Whoever comes back for what is gone is told where the log begins.
            back = audit_service_pb2.WatchEventsRequest(resume_token=first.resume_token, subscriber="siem")
            told = refused(lambda: next(stub.WatchEvents(back, timeout=30)))
            assert (told.code, told.reason) == (grpc.StatusCode.OUT_OF_RANGE, "EVENTS_TRIMMED")
            begins = int(told.metadata["first_sequence"])
            back.resume_token = told.metadata["resume_token"]
            assert next(stub.WatchEvents(back, timeout=30)).event.record.sequence == begins
            # A call that waited all the time goes on, and says what is not told any more.
            Agent(daemon).settle("late", waiting)
            story = explained(daemon, waiting)
            assert "1 earlier record was trimmed" in " ".join(story.narrative)
            assert len(story.events) == 1
            # The collector is there again: it gets everything from the beginning on, the record of its gap included.
            collector.answers.set()
            collector.wait_for(head(daemon).record.sequence)
            missed = [
                dict(record.control_changed.detail)
                for record in events(daemon)
                if record.control_changed.subject == "audit.records_missed"
            ]
            assert [one["consumer"] for one in missed] == ["export:otlp"]
            got = sorted(sequence for sequence in collector.hashes if sequence >= missed[0]["first_sequence"])
            assert got == [*range(int(missed[0]["first_sequence"]), got[-1] + 1)]
            while acknowledged(daemon, "export:disk") < head(daemon).record.sequence:
                pass
            # What is left proves itself, here and elsewhere, to who has nothing but the key.
            checked = command(daemon, "audit", "verify")
            assert checked.returncode == 0 and "it begins with record" in checked.stdout, checked.stdout
            (tmp_path / "key.pub").write_text(key)
            assert command(daemon, "audit", "checkpoint").returncode == 0
            made = command(daemon, "audit", "export", "--bundle", str(tmp_path / "bundle"))
            assert made.returncode == 0 and "the log begins with record" in made.stderr, made.stderr
            assert verify(tmp_path, "bundle")[0] == 0
            evidence = command(daemon, "audit", "evidence", waiting, "--to", str(tmp_path / "evidence"))
            assert evidence.returncode == 0 and "was trimmed and is not in it" in evidence.stderr, evidence.stderr
            assert verify(tmp_path, "evidence")[0] == 0
            assert "EVENTS_TRIMMED" in command(daemon, "audit", "prove", "1").stderr
            create(daemon, tmp_path / "backup")
            backup(daemon, "verify", "--from", tmp_path / "backup")
            assert daemon.terminate() == 0
            offline = command(daemon, "audit", "verify", "--offline")
            assert offline.returncode == 0 and "it begins with record" in offline.stdout, (
                offline.stdout + offline.stderr
            )
            early = command(daemon, "audit", "verify", "--offline", "--from", "1")
            assert early.returncode != 0 and "record 1 was trimmed" in early.stderr, early
    # The other destination was there all the time: it has everything, from the first record on.
    lines = [line for line in lines_of(path) if "sequence" in json.loads(line)]
    result = verify_export(lines)
    assert result.valid and json.loads(lines[0])["sequence"] == 1 and result.checked > 9 * ROUND
