"""A proxy before a provider that keeps what it was asked, byte for byte.

The third party's mock keeps requests in its own words, without `cache_control`, and reports no cached tokens; what
depends on these is asked of the dev provider, through this.
"""

from __future__ import annotations

import http.client
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


class Recorder:
    """Forwards to `url`; `bodies` are the requests so far, the oldest first."""

    def __init__(self, url: str) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self._address = urlsplit(url).netloc
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                recorder.bodies.append(json.loads(body))
                recorder.headers.append({name.lower(): value for name, value in self.headers.items()})
                provider = http.client.HTTPConnection(recorder._address, timeout=30)
                provider.request("POST", self.path, body, dict(self.headers.items()))
                answer = provider.getresponse()
                whole = answer.read()
                provider.close()
                self.send_response(answer.status)
                self.send_header("content-type", answer.headers["content-type"])
                self.send_header("content-length", str(len(whole)))
                self.end_headers()
                self.wfile.write(whole)

            def log_message(self, format: str, *arguments: object) -> None:
                """Says nothing."""

        return Handler
