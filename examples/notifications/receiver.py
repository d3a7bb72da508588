"""A receiver of Fairlead's notifications: checks the signature and posts what happened to a chat tool.

Standard library only; copy it and change what it does with a notification. It needs

- `WEBHOOK_SECRET`: the signing secret, `whsec_…`; while it is replaced, the old and the new one with a space between;
- `CHAT_WEBHOOK_URL`: the incoming webhook of the chat tool; without it the text is printed.

It answers 2xx only when the chat tool has taken the text, so that Fairlead tries again otherwise, and remembers what it
has posted, because a notification may come twice.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import json
import os
import signal
import sys
import time
import urllib.error
import urllib.request
from collections import OrderedDict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from typing import Any

TOLERANCE_SECONDS = 300
BODY_MAX_BYTES = 256 << 10
REMEMBERED_IDS = 10_000
CHAT_TIMEOUT_SECONDS = 5.0


class Forged(Exception):
    """Not from Fairlead, or too old to tell."""


def verify(secrets: list[str], headers: Any, body: bytes, now: float) -> str:
    """The id of a notification that is genuine; raises `Forged`."""
    message_id, timestamp = headers.get("webhook-id") or "", headers.get("webhook-timestamp") or ""
    if not message_id or not timestamp.isascii() or not timestamp.isdigit():
        raise Forged("webhook-id or webhook-timestamp is missing")
    if abs(now - int(timestamp)) > TOLERANCE_SECONDS:
        raise Forged("webhook-timestamp is more than five minutes away")
    signed = f"{message_id}.{timestamp}.".encode() + body
    given = (headers.get("webhook-signature") or "").split(" ")
    for secret in secrets:
        key = base64.b64decode(secret.removeprefix("whsec_"))
        expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        # In constant time: how long it takes must not tell how much of a guess is right.
        if any(hmac.compare_digest(expected.encode(), one.encode()) for one in given):
            return message_id
    raise Forged("no signature fits")


def chat_text(document: Any) -> str:
    """The text for the chat tool. What agents wrote must not mention anybody or make links of its own."""
    data = document["data"]
    text = str(data["summary"]).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = text.replace("](", "] (").replace("@", "@\u200b")
    approval = data.get("approval", {}).get("name")
    if approval:
        text += f"\nfairlead approvals show {approval}"
    return f"{text}\n{data['link']}" if "link" in data else text


class Receiver(ThreadingHTTPServer):
    """Takes notifications."""

    daemon_threads = True

    def __init__(self, port: int, secrets: list[str], chat_url: str) -> None:
        self.secrets, self.chat_url = secrets, chat_url
        self._posted: OrderedDict[str, None] = OrderedDict()
        self._posting = Lock()
        super().__init__(("127.0.0.1", port), Handler)

    def take(self, message_id: str, document: Any) -> None:
        """Posts a notification, once; raises OSError when the chat tool does not take it."""
        with self._posting:
            if message_id in self._posted:
                return
            self._post(chat_text(document))
            self._posted[message_id] = None
            if len(self._posted) > REMEMBERED_IDS:
                self._posted.popitem(last=False)

    def _post(self, text: str) -> None:
        if not self.chat_url:
            print(text, flush=True)
            return
        request = urllib.request.Request(
            self.chat_url, json.dumps({"text": text}).encode(), {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=CHAT_TIMEOUT_SECONDS):
            pass


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    timeout = 30
    server: Receiver

    def do_POST(self) -> None:
        """One notification."""
        length = self.headers.get("content-length") or ""
        if not length.isdigit() or int(length) > BODY_MAX_BYTES:
            self._answer(413)
            return
        body = self.rfile.read(int(length))
        try:
            message_id = verify(self.server.secrets, self.headers, body, time.time())
            self.server.take(message_id, json.loads(body))
        except Forged as forged:
            print(f"refused: {forged}", file=sys.stderr, flush=True)
            self._answer(401)
        except OSError as error:
            # Not its text: the URL of a chat tool's webhook is a secret.
            print(f"the chat tool did not take it: {type(error).__name__}", file=sys.stderr, flush=True)
            self._answer(502)
        except (ValueError, KeyError, TypeError):
            self._answer(400)
        else:
            self._answer(204)

    def _answer(self, status: int) -> None:
        # What was not read of a request must not be taken for the next one.
        self.close_connection = status != 204
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing for every request."""


def main() -> int:
    """Serves until it is told to stop."""
    parser = argparse.ArgumentParser(description="Receives notifications of Fairlead and posts them to a chat tool.")
    parser.add_argument("--port", type=int, default=7420, metavar="N", help="port on loopback (default: 7420)")
    arguments = parser.parse_args()
    secrets = os.environ.get("WEBHOOK_SECRET", "").split()
    if not secrets:
        print("set WEBHOOK_SECRET to the receiver's signing secret, whsec_…", file=sys.stderr)
        return 2

    def stop(*_: object) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, stop)
    with Receiver(arguments.port, secrets, os.environ.get("CHAT_WEBHOOK_URL", "")) as server:
        print(f"listening on 127.0.0.1:{server.server_address[1]}", flush=True)
        server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
