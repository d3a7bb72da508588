"""The daemon on data directories that other versions wrote."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rocksdict import Options, Rdict

from fairlead.client import InvalidState, Replayed
from fairlead.v1 import audit_record_pb2

from . import people
from .calls import Agent, budgets, events, explained
from .harness import ROOT, Daemon
from .people import command

ARCHIVES = sorted((ROOT / "tests/golden/store").glob("*.tar.gz"))


@pytest.fixture(params=ARCHIVES, ids=lambda path: path.name)
def upgraded(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Daemon, dict[str, Any]]]:
    """A daemon, not started, on the data directory of an earlier version, and what is in it."""
    with tarfile.open(request.param) as archive:
        archive.extractall(tmp_path, filter="data")
    daemon = Daemon(tmp_path, tmp_path / "fairlead.yaml", environment=people.ENVIRONMENT)
    yield daemon, json.loads((tmp_path / "contents.json").read_text())
    daemon.close()


def refund(daemon: Daemon, key: str) -> Any:
    with people.client(daemon) as agent:
        return agent.authorize_tool("payments.refund", {"amount": 10}, idempotency_key=key, session="s-2")


def test_a_daemon_goes_on_where_an_earlier_version_stopped(upgraded: tuple[Daemon, dict[str, Any]]) -> None:
    daemon, contents = upgraded
    with daemon:
        # Of the time before: told, and safe from a repetition.
        settled = explained(daemon, contents["invocations"]["settled"])
        assert settled.state == audit_record_pb2.INVOCATION_STATE_SETTLED
        assert isinstance(refund(daemon, "succeeded"), Replayed)
        with pytest.raises(InvalidState):
            refund(daemon, "unknown")
        # Nobody completed it while no daemon ran.
        told = command(daemon, "explain", contents["calls"]["granted"])
        assert told.returncode == 0 and "UNKNOWN" in told.stdout.splitlines()[0]
        for name, state in (("consumed", "consumed"), ("rejected", "rejected"), ("pending", "expired")):
            shown = command(daemon, "approvals", "show", contents["approvals"][name], "--json")
            assert shown.returncode == 0 and state.upper() in shown.stdout, shown.stdout + shown.stderr
        # The open hold has ended with its worst case, and the rest was spent before.
        assert budgets(daemon)["life/-"].spent.nano_usd > contents["spent_nano_usd"]
        assert events(daemon, audit_record_pb2.EVENT_KIND_INVOCATION_EXPIRED)
        # Its configuration is a version of the history, in its own words.
        shown = command(daemon, "config", "show", contents["config_version"])
        assert shown.returncode == 0 and "payments.refund" in shown.stdout, shown.stderr
        back = command(daemon, "config", "rollback", contents["config_version"])
        assert back.returncode == 0 and contents["config_version"] in back.stdout, back.stderr
        agent = Agent(daemon)
        agent.settle("new-end", agent.admit("new").invocation)
        verified = command(daemon, "audit", "verify")
        assert verified.returncode == 0, verified.stdout
        daemon.kill()
        daemon.start()
        assert isinstance(refund(daemon, "succeeded"), Replayed)


def test_a_directory_of_a_newer_version_is_refused_and_left_alone(upgraded: tuple[Daemon, dict[str, Any]]) -> None:
    daemon, _ = upgraded
    path = str(daemon.data / "db")
    names = {name: Options(raw_mode=True) for name in Rdict.list_cf(path) if name != "default"}
    database = Rdict(path, Options(raw_mode=True), column_families=names)
    database.create_column_family("from_tomorrow", Options(raw_mode=True)).close()
    database.close()
    before = sorted(Rdict.list_cf(path))
    assert daemon.run_to_the_end() == 3
    assert "column families that this program does not know: 'from_tomorrow'" in daemon.log_text()
    assert sorted(Rdict.list_cf(path)) == before
    said = command(daemon, "audit", "verify", "--offline")
    assert said.returncode == 1 and "'from_tomorrow'" in said.stderr
