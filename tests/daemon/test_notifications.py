"""Notifications of the real daemon: signed, in order, across crashes and receivers that are down."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from pathlib import Path
from typing import Any

import grpc
import pytest

from fairlead.v1 import notification_service_pb2, notification_service_pb2_grpc

from . import people, runs
from .harness import TIMEOUT_SECONDS, TOKEN, Daemon, bearer
from .people import client, command, pending, refund, vote
from .receiving import Received, Receiving, of

KEY, NEXT_KEY = b"canary-signing-key-0123456789", b"canary-next-signing-key-abcdefgh"
SECRET, NEXT_SECRET = (f"whsec_{base64.b64encode(key).decode()}" for key in (KEY, NEXT_KEY))
HEADER = "Bearer canary-receiver-header-4242"
ENVIRONMENT = {
    **people.ENVIRONMENT,
    "TEST_SIGNING": SECRET,
    "TEST_NEXT_SIGNING": NEXT_SECRET,
    "TEST_HEADER": HEADER,
}
PATIENT = "retry: {attempts: 100, initial: 10ms, max: 1s}"
NOT_TAKEN, GIVEN_UP = "a notification was not taken, it is tried again", "a notification was given up"


def receiver(url: str, name: str = "desk", facts: str = PATIENT) -> str:
    signed = "secret: {fromEnv: TEST_SIGNING}"
    return f"  - {{name: {name}, url: '{url}/{name}', {signed}, events: approval.*, {facts}}}\n"


def notifying(*receivers: str) -> str:
    return people.CONFIG + "notifications:\n" + "".join(receivers)


def daemon_with(directory: Path, config: str) -> Daemon:
    return Daemon(directory, config, environment=ENVIRONMENT)


def signed_by(received: Received, key: bytes) -> bool:
    """As docs/notifications.md says, with the standard library alone."""
    named = (received.id.encode(), received.headers["webhook-timestamp"].encode(), received.body)
    expected = base64.b64encode(hmac.new(key, b".".join(named), hashlib.sha256).digest()).decode()
    assert abs(time.time() - int(received.headers["webhook-timestamp"])) < 300
    return f"v1,{expected}" in received.headers["webhook-signature"].split(" ")


def listed(daemon: Daemon, *arguments: str) -> list[dict[str, Any]]:
    done = command(daemon, "notifications", "list", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_an_approval_is_told_of_signed_from_its_opening_to_its_end(tmp_path: Path) -> None:
    with Receiving() as desk, daemon_with(tmp_path, notifying(receiver(desk.url))) as daemon:
        with client(daemon) as agent:
            asked = pending(refund(agent, "refund/1", run="r-1", step="s-1"))
        (opened,) = desk.wait_for(of("approval.opened"))
        vote(daemon, "asha", "approve", asked.approval)
        vote(daemon, "ben", "reject", asked.approval, "not our customer")
        desk.wait_for(of("approval.ended", state="rejected"))
        assert [one.document["type"] for one in desk.received] == [
            "approval.opened", "approval.voted", "approval.voted", "approval.ended",
        ]  # fmt: skip
        assert all(signed_by(one, KEY) and not signed_by(one, NEXT_KEY) for one in desk.received)
        assert len({one.id for one in desk.received}) == 4
        data = opened.document["data"]
        assert (data["tenant"], data["agent"], data["tool"]) == ("acme", "bot", "payments.refund")
        assert (data["run"], data["step"], data["tier"], data["rule"]) == ("r-1", "s-1", "high", "ask-finance")
        approval = data["approval"]
        assert approval["name"] == asked.approval and len(approval["digest"]) == 64
        assert approval["require"] == [{"role": "finance", "count": 2}] and approval["expire_time"]
        # What people have to agree to is the sidecar's to show.
        assert not any(b"canary-card-4711" in one.body or b"1200" in one.body for one in desk.received)
        assert listed(daemon) == []


def test_a_run_that_fails_is_told_of_with_its_workflow(tmp_path: Path) -> None:
    with Receiving() as desk:
        wanted = "events: [step.failed, run.ended], match: {workflow: short, state: failed}"
        entry = f"  - {{name: desk, url: '{desk.url}', secret: {{fromEnv: TEST_SIGNING}}, {wanted}, {PATIENT}}}\n"
        for name, text in (("short", runs.SHORT), ("brief", runs.BRIEF)):
            (tmp_path / f"{name}.yaml").write_text(text)
        config = notifying(entry) + "workflows: [{file: short.yaml}, {file: brief.yaml}]\n"
        with daemon_with(tmp_path, config) as daemon:
            agent = runs.Agent(daemon)
            names = [agent.start(workflow, request_id=workflow) for workflow in ("brief", "short")]
            for lease in (*agent.lease("parser"), *agent.lease("parser")):
                agent.fail(lease, "BAD_INPUT", final=True)
            desk.wait_for(of("run.ended"))
            told = [received.document for received in desk.received]
            assert [(one["type"], one["data"]["workflow"], one["data"]["run"]) for one in told] == [
                ("step.failed", "short", names[1].removeprefix("runs/")),
                ("run.ended", "short", names[1].removeprefix("runs/")),
            ]
            assert told[1]["data"]["summary"].endswith("state failed; failure BAD_INPUT)")


def test_a_receiver_that_was_down_gets_everything_in_order_also_after_a_crash(tmp_path: Path) -> None:
    with Receiving() as desk, daemon_with(tmp_path, notifying(receiver(desk.url))) as daemon:
        desk.down()
        with client(daemon) as agent:
            first = pending(refund(agent, "refund/1"))
            daemon.wait_log(NOT_TAKEN)
            second = pending(refund(agent, "refund/2"))
        vote(daemon, "asha", "reject", first.approval, "not ours")
        waiting = listed(daemon)
        daemon.kill()
        daemon.start()
        desk.up()
        desk.wait_for(of("approval.ended"))
        told = [(one.document["type"], one.document["data"]["approval"]["name"]) for one in desk.received]
        assert told == [
            ("approval.opened", first.approval), ("approval.opened", second.approval),
            ("approval.voted", first.approval), ("approval.ended", first.approval),
        ]  # fmt: skip
        assert waiting and [one["id"] for one in waiting] == [one.id for one in desk.received][: len(waiting)]
        assert all(signed_by(one, KEY) for one in desk.received)


def test_what_was_sent_and_not_acknowledged_comes_again_with_the_same_id(tmp_path: Path) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def slow(received: Received) -> tuple[int, dict[str, str]]:
        asked.set()
        go_on.wait(TIMEOUT_SECONDS)
        return 204, {}

    with Receiving() as desk, daemon_with(tmp_path, notifying(receiver(desk.url))) as daemon:
        desk.answer = slow
        with client(daemon) as agent:
            pending(refund(agent, "refund/1"))
        assert asked.wait(TIMEOUT_SECONDS)
        daemon.kill()
        go_on.set()
        daemon.start()
        first, again = desk.wait_for(of("approval.opened"), 2)[:2]
        assert (again.id, again.body) == (first.id, first.body)


def test_what_was_given_up_waits_for_an_operator(tmp_path: Path) -> None:
    with Receiving() as desk:
        config = notifying(receiver(desk.url, facts="retry: {attempts: 2, initial: 10ms, max: 10ms}"))
        with daemon_with(tmp_path, config) as daemon:
            desk.answer = lambda received: (500, {})
            with client(daemon) as agent:
                asked = pending(refund(agent, "refund/1"))
            gone = daemon.wait_log(GIVEN_UP)
            assert (gone["receiver"], gone["attempts"], gone["problem"]) == ("desk", 2, "status 500")
            (dead,) = listed(daemon, "--state", "dead")
            assert (dead["approval"], dead["attempts"], dead["problem"]) == (asked.approval, 2, "status 500")
            assert dead["id"] == desk.received[0].id and listed(daemon, "--state", "pending") == []
            daemon.kill()
            daemon.start()
            assert listed(daemon) == [dead]
            desk.answer = lambda received: (200, {})
            retried = command(daemon, "notifications", "retry", "--receiver", "desk", token=people.ASHA_TOKEN)
            assert retried.stdout == "1 will be tried again now\n", retried.stderr
            desk.wait_for(lambda received: received.id == dead["id"], 3)
            records = command(daemon, "audit", "export").stdout
            assert '"subject":"notification.dead"' in records and '"operator":"asha"' in records
            assert command(daemon, "audit", "verify").returncode == 0


def test_a_receiver_that_is_gone_gets_no_second_attempt_and_one_can_be_dropped(tmp_path: Path) -> None:
    with Receiving() as desk, daemon_with(tmp_path, notifying(receiver(desk.url))) as daemon:
        desk.answer = lambda received: (410, {})
        with client(daemon) as agent:
            pending(refund(agent, "refund/1"))
        assert daemon.wait_log(GIVEN_UP)["attempts"] == 1
        (dead,) = listed(daemon)
        dropped = command(daemon, "notifications", "drop", dead["name"])
        assert dropped.stdout == f"dropped {dead['name']} (approval.opened)\n", dropped.stderr
        assert listed(daemon) == [] and len(desk.received) == 1
        again = command(daemon, "notifications", "drop", dead["name"])
        assert again.returncode == 1 and "is not there" in again.stderr


def test_a_receiver_that_is_down_fills_its_share_and_the_log_keeps_the_rest(tmp_path: Path) -> None:
    with Receiving() as desk, Receiving() as other:
        config = notifying(receiver(desk.url), receiver(other.url, "other")) + "limits: {notifications: 4}\n"
        with daemon_with(tmp_path, config) as daemon:
            desk.down()
            with client(daemon) as agent:
                approvals = [pending(refund(agent, f"refund/{number}")).approval for number in range(8)]
            full = daemon.wait_log("limits.notifications is reached: later ones wait in the audit log")
            assert (full["receiver"], full["pending"]) == ("desk", 2)
            # Nobody else waits for it.
            other.wait_for(of("approval.opened"), 8)
            assert len(listed(daemon, "--receiver", "desk")) == 2
            desk.up()
            desk.wait_for(of("approval.opened"), 8)
            assert [one.document["data"]["approval"]["name"] for one in desk.received] == approvals
            daemon.wait_log("notifications are taken from the audit log again")
            daemon.wait_log("the receiver takes notifications again")


def test_a_receiver_that_is_configured_no_more_gets_nothing_and_the_log_says_so(tmp_path: Path) -> None:
    with Receiving() as desk, Receiving() as other, daemon_with(tmp_path, notifying(receiver(desk.url))) as daemon:
        desk.down()
        with client(daemon) as agent:
            pending(refund(agent, "refund/1"))
            daemon.wait_log(NOT_TAKEN)
            daemon.config.write_text(notifying(receiver(other.url, "other")))
            assert command(daemon, "config", "apply", str(daemon.config)).returncode == 0
            pending(refund(agent, "refund/2"))
        line = daemon.wait_log("a receiver is configured no more: what waited for it is dropped")
        assert (line["receiver"], line["pending"]) == ("desk", 1)
        # What was there before it was configured is not for the new one.
        (told,) = other.wait_for(of("approval.opened"))
        assert len(other.received) == 1 and signed_by(told, KEY)
        assert listed(daemon) == []
        records = command(daemon, "audit", "export").stdout
        assert '"subject":"notification.receiver.removed"' in records


def test_secrets_sign_together_while_one_is_replaced_and_are_in_no_line_of_the_log(tmp_path: Path) -> None:
    with Receiving() as desk:
        url_file = tmp_path / "url"
        url_file.write_text(f"{desk.url}/canary-path-9999\n")
        entry = (
            f"  - {{name: desk, url: {{fromFile: {url_file}}}, events: approval.*, {PATIENT}, "
            "headers: {authorization: {fromEnv: TEST_HEADER}}, "
            "secret: [{fromEnv: TEST_SIGNING}, {fromEnv: TEST_NEXT_SIGNING}]}\n"
        )
        with Daemon(tmp_path, notifying(entry), "--log-level", "debug", environment=ENVIRONMENT) as daemon:
            desk.answer = lambda received: (503, {"Retry-After": "0"})
            with client(daemon) as agent:
                pending(refund(agent, "refund/1"))
            daemon.wait_log(NOT_TAKEN)
            desk.answer = lambda received: (200, {})
            one = desk.wait_for(of("approval.opened"), 2)[-1]
            assert signed_by(one, KEY) and signed_by(one, NEXT_KEY)
            assert (one.path, one.headers["authorization"]) == ("/canary-path-9999", HEADER)
            tested = command(daemon, "notifications", "test", "desk")
            assert tested.returncode == 0 and "took it (status 200)" in tested.stdout
            assert signed_by(desk.wait_for(lambda received: b"notification.test" in received.body)[0], NEXT_KEY)
            desk.answer = lambda received: (302, {"Location": f"{desk.url}/elsewhere"})
            refused = command(daemon, "notifications", "test", "desk")
            assert refused.returncode == 1 and "redirects are not followed" in refused.stdout
            assert {received.path for received in desk.received} == {"/canary-path-9999"}
            # The file is watched: from now on it is sent elsewhere.
            url_file.write_text(f"{desk.url}/canary-moved-8888\n")
            daemon.wait_log("secrets read anew")
            desk.answer = lambda received: (200, {})
            command(daemon, "notifications", "test", "desk")
            assert desk.received[-1].path == "/canary-moved-8888"
            exported = command(daemon, "audit", "export").stdout
            assert daemon.terminate() == 0
            for text in (daemon.log_text(), exported, tested.stdout, refused.stdout):
                for canary in (
                    SECRET,
                    SECRET[6:],
                    NEXT_SECRET[6:],
                    "canary-receiver-header",
                    "canary-path",
                    "canary-moved",
                ):
                    assert canary not in text


def test_a_receiver_that_hangs_does_not_hold_up_the_stop(tmp_path: Path) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def hang(received: Received) -> tuple[int, dict[str, str]]:
        asked.set()
        go_on.wait(TIMEOUT_SECONDS)
        return 204, {}

    with Receiving() as desk, daemon_with(tmp_path, notifying(receiver(desk.url))) as daemon:
        desk.answer = hang
        with client(daemon) as agent:
            pending(refund(agent, "refund/1"))
        assert asked.wait(TIMEOUT_SECONDS)
        assert daemon.terminate() == 0
        go_on.set()


def test_agents_reach_nothing_of_it(tmp_path: Path) -> None:
    with Receiving() as desk, daemon_with(tmp_path, notifying(receiver(desk.url))) as daemon:
        stub: Any = notification_service_pb2_grpc.NotificationServiceStub(daemon.agent())
        for call, request in (
            (stub.ListDeliveries, notification_service_pb2.ListDeliveriesRequest()),
            (stub.TestReceiver, notification_service_pb2.TestReceiverRequest(receiver="desk")),
        ):
            with pytest.raises(grpc.RpcError) as refused:
                call(request, metadata=bearer(TOKEN), timeout=10)
            assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
