"""Collectors of the real daemon: they go on after kill -9, and the metrics and commands tell how far they are."""

from __future__ import annotations

import http.client
import uuid
from pathlib import Path

from fairlead.v1 import audit_service_pb2, audit_service_pb2_grpc

from .calls import Agent
from .harness import Daemon
from .people import command


def test_a_collector_goes_on_after_a_kill_without_a_gap(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        seen: list[int] = []
        for life in range(2):
            stub = audit_service_pb2_grpc.AuditServiceStub(daemon.operator())
            # One record in a response first, then batches.
            watch = audit_service_pb2.WatchEventsRequest(
                subscriber="siem", from_start=life == 0, max_events=1000 * life
            )
            stream = stub.WatchEvents(watch, timeout=60)
            stream.initial_metadata()
            for n in range(3):
                Agent(daemon).admit(f"call-{life}-{n}")
            newest = stub.ListEvents(audit_service_pb2.ListEventsRequest(page_size=1, descending=True)).events[0]
            for response in stream:
                events = response.events or [response.event]
                seen += [event.record.sequence for event in events]
                stub.AcknowledgeEvents(
                    audit_service_pb2.AcknowledgeEventsRequest(
                        request_id=str(uuid.uuid4()), subscriber="siem", resume_token=response.resume_token
                    )
                )
                if seen[-1] >= newest.record.sequence:
                    break
            stream.cancel()
            if life == 0:
                daemon.kill()
                daemon.start()
        assert seen == list(range(1, seen[-1] + 1))
        connection = http.client.HTTPConnection(daemon.endpoints()["health"], timeout=30)
        connection.request("GET", "/metrics")
        assert b'fairlead_audit_consumer_lag_records{consumer="siem"} 0\n' in connection.getresponse().read()
        connection.close()
        listed = command(daemon, "audit", "consumers", "list")
        assert listed.returncode == 0 and listed.stdout.splitlines()[1].split()[:3] == ["siem", str(seen[-1]), "0"]
        assert command(daemon, "audit", "consumers", "remove", "siem").returncode == 0
        assert command(daemon, "audit", "consumers", "remove", "siem").returncode == 1
        assert "audit.consumer_removed" in command(daemon, "audit", "tail", "--json").stdout
