"""The worst provider, which is also the worst proxy: what it says of a failure repeats all that it was sent."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

ANSWER = "canary-answer-3344"

_CHAT = {"choices": [{"index": 0, "message": {"role": "assistant", "content": ANSWER}, "finish_reason": "stop"}]}
_MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": [{"type": "text", "text": ANSWER}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 3, "output_tokens": 2},
}
_RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "status": "completed",
    "output": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": ANSWER}]}],
}
ANSWERS = {"/v1/chat/completions": _CHAT, "/v1/messages": _MESSAGE, "/v1/responses": _RESPONSE}


def _event(data: dict[str, Any]) -> str:
    name = f"event: {data['type']}\n" if "type" in data else ""
    return f"{name}data: {json.dumps(data)}\n\n"


def _piece(delta: dict[str, Any]) -> dict[str, Any]:
    return {"id": "c", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta}]}


_TEXT = {"item_id": "i", "output_index": 0, "content_index": 0}
BEGINNINGS = {
    "/v1/chat/completions": [_piece({"role": "assistant"}), _piece({"content": ANSWER})],
    "/v1/messages": [
        {"type": "message_start", "message": {**_MESSAGE, "content": [], "stop_reason": None}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": ANSWER}},
    ],
    "/v1/responses": [
        {"type": "response.created", "sequence_number": 0, "response": {**_RESPONSE, "output": []}},
        {"type": "response.output_text.delta", "sequence_number": 1, **_TEXT, "delta": ANSWER},
    ],
}


class _Echo(BaseHTTPRequestHandler):
    """Does what the body wishes for (`answer-please`, …); refuses with 401 when it wishes for nothing."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        # As the origin of a request, or as its proxy.
        path = "/v1/" + self.path.partition("/v1/")[2]
        repeated = f"bad {dict(self.headers)} {body}"
        error: dict[str, Any] = {
            "type": "error",
            "error": {"message": repeated, "type": "invalid", "code": self._key()},
        }
        refusal = json.dumps(error)
        if "slashes-please" in body:
            # As PHP writes JSON.
            refusal = refusal.replace("/", "\\/")
        if "answer-please" in body:
            self._reply(200, json.dumps(ANSWERS[path]))
        elif "cut-please" in body:
            self._reply(200, json.dumps(ANSWERS[path])[:-20])
        elif "overload-please" in body:
            self._reply(503, refusal)
        elif "late-please" in body:
            self._reply(200, "".join(map(_event, [*BEGINNINGS[path], error])), "text/event-stream")
        elif "early-please" in body:
            self._reply(200, _event(error), "text/event-stream")
        else:
            self._reply(401, refusal)

    def _key(self) -> str:
        """The credential alone, where others have a word."""
        return self.headers["x-api-key"] or self.headers["authorization"].removeprefix("Bearer ")

    def _reply(self, status: int, body: str, content_type: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


class EchoingProvider:
    """Runs in this process; ends with the block."""

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Echo)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()

    @property
    def url(self) -> str:
        """Where it is; dialects are below /v1."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"
