"""A real Prometheus scrapes the sidecar, evaluates the rules without a fault, answers every panel, and alerts."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.daemon import people
from tests.daemon.harness import MODELS, Daemon
from tests.daemon.people import client, pending, refund
from tests.daemon.test_dashboard_and_alerts import VARIABLES, panels

from .receivers import RULES, asked, prometheus, until

# Nobody listens there, and one attempt is all: the notification is given up.
RECEIVER = """\
notifications:
  - {name: desk, url: "http://127.0.0.1:9", format: chat, events: approval.opened, retry: {attempts: 1}}
"""


def test_each_rule_fires_when_it_should_and_not_before() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.fail("promtool is missing: install it (Debian: apt-get install prometheus)")
    for command in (("check", "rules", str(RULES)), ("test", "rules", str(RULES.with_suffix(".test.yaml")))):
        done = subprocess.run([promtool, *command], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_it_scrapes_answers_every_panel_and_alerts(tmp_path: Path) -> None:
    with Daemon(tmp_path, people.CONFIG + MODELS + RECEIVER, environment=people.ENVIRONMENT) as daemon:
        with prometheus(tmp_path, daemon.endpoints()["health"]) as api:

            def rules() -> list[dict[str, Any]] | None:
                groups = asked(f"{api}/rules")["data"]["groups"]
                found = [rule for group in groups for rule in group["rules"]]
                return found if found and all(rule["health"] != "unknown" for rule in found) else None

            def firing(name: str) -> dict[str, Any] | None:
                alerts = asked(f"{api}/alerts")["data"]["alerts"]
                return next((a for a in alerts if (a["labels"]["alertname"], a["state"]) == (name, "firing")), None)

            def scraped() -> bool | None:
                up = asked(f"{api}/query", query='up{job="fairlead"} == 1')["data"]["result"]
                return bool(up) or None

            until(scraped)
            evaluated = until(rules)
            assert {rule["health"] for rule in evaluated} == {"ok"}, evaluated
            assert firing("FairleadNotificationsGivenUp") is None and firing("FairleadStoreUnavailable") is None
            for panel in panels():
                text = panel.text
                for name, value in VARIABLES.items():
                    text = text.replace(name, value)
                assert asked(f"{api}/query", query=text)["status"] == "success", panel.place

            with client(daemon) as agent:
                pending(refund(agent, "r-1"))
            given_up = until(lambda: firing("FairleadNotificationsGivenUp"))
            assert "desk" in given_up["annotations"]["summary"]

            # A full disk: the next write fails, and half a minute later it is an alert.
            daemon.limit_file_size(1)
            with client(daemon) as agent, pytest.raises(Exception, match="STORE_UNAVAILABLE"):
                refund(agent, "r-2")
            assert until(lambda: firing("FairleadStoreUnavailable"))["labels"]["severity"] == "critical"
            daemon.limit_file_size(None)

            def over() -> bool | None:
                return firing("FairleadStoreUnavailable") is None or None

            until(over)
