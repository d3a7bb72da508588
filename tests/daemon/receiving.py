"""A receiver of notifications on loopback: keeps what it gets, answers as it is told, can be down and come back."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from .harness import TIMEOUT_SECONDS


@dataclass(frozen=True)
class Received:
    """One request: its headers by lower-case name, and exactly its body."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def document(self) -> Any:
        return json.loads(self.body)


class _Server(ThreadingHTTPServer):
    # What is closed is closed: connections to a receiver that is down are refused.
    allow_reuse_address = True
    daemon_threads = True


class Receiving:
    """The receiver. Its port stays the same while it is down."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.answer: Callable[[Received], tuple[int, dict[str, str]]] = lambda received: (204, {})
        self._changed = threading.Condition()
        self._server: _Server | None = None
        self.port = 0

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def up(self) -> None:
        """Listens, on the same port as before."""
        receiving = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                received = Received(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
                status, headers = receiving.answer(received)
                with receiving._changed:
                    receiving.received.append(received)
                    receiving._changed.notify_all()
                self.send_response(status)
                for name, value in {**headers, "content-length": "0"}.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Not on stderr."""

        self._server = _Server(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def down(self) -> None:
        """Listens no more."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()

    def wait_for(self, wanted: Callable[[Received], bool], count: int = 1) -> list[Received]:
        """The requests that are wanted, as soon as there are so many."""

        def found() -> list[Received]:
            return [one for one in self.received if wanted(one)]

        with self._changed:
            self._changed.wait_for(lambda: len(found()) >= count, TIMEOUT_SECONDS)
            requests = found()
        assert len(requests) >= count, [one.body for one in self.received]
        return requests


def of(event: str, **facts: str) -> Callable[[Received], bool]:
    """Tells whether a request is about an event with these facts."""

    def fits(received: Received) -> bool:
        document = received.document
        return document["type"] == event and all(document["data"].get(name) == fact for name, fact in facts.items())

    return fits
