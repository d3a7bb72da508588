"""The real daemon forgets what ended long ago, on a directory that was written long ago."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from fairlead.client import InvalidState
from fairlead.v1 import audit_record_pb2

from . import people
from .calls import Agent, events, explained, refused
from .harness import ROOT, Daemon
from .people import command, granted

ARCHIVE = ROOT / "tests/golden/store/format-1.tar.gz"


@pytest.fixture
def old(tmp_path: Path) -> Daemon:
    """A daemon, not started, on the data directory of a year and more ago."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    return Daemon(tmp_path, tmp_path / "fairlead.yaml", environment=people.ENVIRONMENT)


def test_a_configured_daemon_forgets_and_says_so(old: Daemon) -> None:
    contents = json.loads((old.directory / "contents.json").read_text())
    with old:
        assert explained(old, contents["calls"]["succeeded"]).events
        # As hot as everything else, but seen by the next sweep only.
        old.config.write_text(old.config.read_text() + "retention: {invocations: 7d, toolCalls: 30d}\n")
        old.wait_log("configuration applied")
        assert explained(old, contents["calls"]["succeeded"]).events
        assert old.terminate() == 0
        old.start()
        for what in ("invocations", "tool_calls"):
            old.wait_log("old records removed", lambda line, what=what: line["what"] == what)  # type: ignore[misc]
        for gone in (contents["invocations"]["settled"], contents["calls"]["succeeded"], contents["calls"]["failed"]):
            assert refused(lambda gone=gone: explained(old, gone)).reason == "NOT_FOUND"  # type: ignore[misc]
            told = command(old, "explain", gone)
            assert told.returncode == 1 and "is not known" in told.stderr
        with people.client(old) as agent:
            refund = {"amount": 10}
            granted(agent.authorize_tool("payments.refund", refund, idempotency_key="succeeded", session="s-2"))
            with pytest.raises(InvalidState):
                agent.authorize_tool("payments.refund", refund, idempotency_key="unknown", session="s-2")
        swept = [
            set(record.control_changed.detail.fields)
            for record in events(old, audit_record_pb2.EVENT_KIND_CONTROL_CHANGED)
            if record.control_changed.subject == "retention.swept"
        ]
        assert swept == [{"invocations_before"}, {"tool_calls_before"}]
        # What is new stays, and the log holds with everything that ever happened.
        assert explained(old, Agent(old).admit("new").invocation).events
        verified = command(old, "audit", "verify")
        assert verified.returncode == 0, verified.stdout
        assert explained(old, contents["calls"]["unknown"]).events
