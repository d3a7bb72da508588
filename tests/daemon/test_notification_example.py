"""The example receiver: between the real daemon and a chat tool on loopback."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from .harness import ROOT, TIMEOUT_SECONDS
from .people import client, pending, refund, vote
from .receiving import Receiving
from .test_notifications import KEY, NEXT_KEY, NEXT_SECRET, PATIENT, SECRET, daemon_with, notifying

EXAMPLE = ROOT / "examples/notifications/receiver.py"


@contextmanager
def example(chat_url: str, secrets: str = SECRET) -> Iterator[int]:
    """The example as a process; its port."""
    environment = {**os.environ, "WEBHOOK_SECRET": secrets, "CHAT_WEBHOOK_URL": chat_url}
    process = subprocess.Popen(
        [sys.executable, str(EXAMPLE), "--port", "0"], env=environment, stdout=subprocess.PIPE, text=True
    )
    said: queue.Queue[str] = queue.Queue()
    assert process.stdout is not None
    stream = process.stdout
    reader = threading.Thread(target=lambda: [said.put(line) for line in stream], daemon=True)
    reader.start()
    try:
        yield int(said.get(timeout=TIMEOUT_SECONDS).rpartition(":")[2])
    finally:
        process.terminate()
        code = process.wait(TIMEOUT_SECONDS)
        reader.join(TIMEOUT_SECONDS)
        stream.close()
    assert code == 0


def post(port: int, key: bytes = KEY, age: int = 0, message_id: str = "ntf_1", **changes: Any) -> int:
    """A notification that is signed with the key; `changes` replace what is sent."""
    body = json.dumps({"type": "approval.opened", "data": {"summary": "<!channel> asks @here"}}).encode()
    timestamp = str(int(time.time()) - age)
    signed = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    headers = {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,AAAA v1,{base64.b64encode(signed).decode()}",
        **changes.get("headers", {}),
    }
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    connection.request("POST", "/fairlead", changes.get("body", body), {k: v for k, v in headers.items() if v})
    status = connection.getresponse().status
    connection.close()
    return status


def test_what_happens_to_an_approval_is_read_in_the_chat_tool(tmp_path: Path) -> None:
    with Receiving() as chat, example(f"{chat.url}/services/canary") as port:
        entry = (
            f"  - {{name: desk, url: 'http://127.0.0.1:{port}/fairlead', secret: {{fromEnv: TEST_SIGNING}}, "
            f"events: approval.*, link: 'https://desk.example/{{approval}}', {PATIENT}}}\n"
        )
        # The chat tool is down at first: what it did not take comes again.
        chat.down()
        with daemon_with(tmp_path, notifying(entry)) as daemon:
            with client(daemon) as agent:
                asked = pending(refund(agent, "refund/1"))
            daemon.wait_log("a notification was not taken, it is tried again")
            chat.up()
            vote(daemon, "asha", "reject", asked.approval, "not our customer")
            chat.wait_for(lambda received: b"rejected (not our customer)" in received.body)
        texts = [one.document["text"] for one in chat.received]
        assert texts[0].splitlines()[1:] == [
            f"fairlead approvals show {asked.approval}",
            f"https://desk.example/{asked.approval.removeprefix('approvals/')}",
        ]
        assert texts[0].startswith("acme/bot asks for approval of payments.refund (tier high; 2 of finance")
        assert len(texts) == 3 and {one.path for one in chat.received} == {"/services/canary"}


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, 204),
        ({"key": NEXT_KEY}, 401),
        ({"age": 299}, 204),
        ({"age": 302}, 401),
        ({"age": -302}, 401),
        ({"body": b'{"type":"approval.opened","data":{"summary":"changed"}}'}, 401),
        ({"headers": {"webhook-id": "ntf_2"}}, 401),
        ({"headers": {"webhook-signature": ""}}, 401),
        ({"headers": {"webhook-timestamp": "soon"}}, 401),
        ({"headers": {"content-length": "999999"}}, 413),
    ],
)
def test_only_what_is_genuine_and_fresh_gets_through(changes: dict[str, Any], status: int) -> None:
    with Receiving() as chat, example(chat.url) as port:
        assert post(port, **changes) == status
        assert len(chat.received) == (1 if status == 204 else 0)


def test_what_comes_twice_is_posted_once_and_nobody_is_mentioned() -> None:
    with Receiving() as chat, example(chat.url, f"{SECRET} {NEXT_SECRET}") as port:
        assert [post(port), post(port), post(port, NEXT_KEY, message_id="ntf_2")] == [204, 204, 204]
        texts = [one.document["text"] for one in chat.received]
        assert texts == ["&lt;!channel&gt; asks @\u200bhere"] * 2
        chat.answer = lambda received: (500, {})
        assert [post(port, message_id="ntf_3"), post(port, message_id="ntf_3")] == [502, 502]
        chat.answer = lambda received: (200, {})
        assert post(port, message_id="ntf_3") == 204
