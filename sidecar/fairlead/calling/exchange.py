"""The connection of one call: request out, answer or events in. Standard library only, plain HTTP to a sidecar in the
same pod."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

# Larger than any answer a person would read.
ANSWER_MAX_BYTES = 64 << 20
_PART_BYTES = 64 << 10
_BROKEN_OFF = "the connection ended in the middle of the answer"


class Unreachable(Exception):
    """No sidecar answers, or the connection ended before the answer did."""


class Answer:
    """An answer: its status, its headers in lower case, and a body that is read once."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}

    @property
    def streams(self) -> bool:
        """Whether the body is events."""
        return self.headers.get("content-type", "").startswith("text/event-stream")

    def whole(self) -> bytes:
        """The body; raises `Unreachable` when it breaks off."""
        body = bytearray()
        for part in self._parts():
            body += part
            if len(body) > ANSWER_MAX_BYTES:
                raise Unreachable(f"the answer is larger than {ANSWER_MAX_BYTES} bytes")
        return bytes(body)

    def events(self) -> Iterator[Any]:
        """The data of every event, as JSON; raises `Unreachable` when the stream breaks off."""
        data: list[str] = []
        for line in self._lines():
            if line.startswith("data:"):
                data.append(line.removeprefix("data:").removeprefix(" "))
            elif not line and data:
                joined, data = "\n".join(data), []
                if joined != "[DONE]":
                    yield parsed(joined)

    def _lines(self) -> Iterator[str]:
        left = b""
        for part in self._parts():
            *lines, left = (left + part).split(b"\n")
            yield from (line.decode("utf-8", "replace").removesuffix("\r") for line in lines)
            if len(left) > ANSWER_MAX_BYTES:
                raise Unreachable(f"an event is larger than {ANSWER_MAX_BYTES} bytes")

    def _parts(self) -> Iterator[bytes]:
        """The body as it comes. Of all ways to read, this one alone tells an early end from a proper one."""
        try:
            while part := self._response.read1(_PART_BYTES):
                yield part
        except (OSError, http.client.HTTPException):
            raise Unreachable(_BROKEN_OFF) from None
        if self._response.length:
            raise Unreachable(_BROKEN_OFF)


@contextmanager
def call(address: str, path: str, body: bytes, headers: Mapping[str, str], timeout: float) -> Iterator[Answer]:
    """Posts a body; raises `Unreachable`. `timeout` is in seconds, for each wait."""
    host, _, port = address.removeprefix("http://").rpartition(":")
    try:
        connection = http.client.HTTPConnection(host, int(port), timeout=timeout)
    except (ValueError, http.client.HTTPException):
        raise Unreachable(f"{address} is not an address: write HOST:PORT") from None
    try:
        try:
            connection.request("POST", path, body, {"content-type": "application/json", **headers})
            response = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            reason = "it did not answer in time" if isinstance(error, TimeoutError) else "no sidecar listens there"
            raise Unreachable(f"{address}: {reason}") from None
        yield Answer(response)
    finally:
        connection.close()


def parsed(text: str | bytes) -> Any:
    """The value of JSON text; None for anything else."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
