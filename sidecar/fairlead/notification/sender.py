"""One notification → one HTTP request, and what came of it.

Redirects are not followed, the environment's proxies are not asked, and of an answer only the status and `Retry-After`
count. The time of an attempt is bounded as a whole, from the look-up of the name to the end of the answer's head.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Callable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

import httpcore2

from fairlead.notification import signature
from fairlead.notification.lookup import LookingUp, Lookups, NameUnresolved
from fairlead.notification.model import Answer, answer_of, unreachable
from fairlead.notification.receivers import Receiver

_NANOS = 1_000_000_000
# An idle connection is kept for the next notification of a burst, not for the next day.
IDLE_SECONDS = 5.0
# What is read of an answer behind its head.
ANSWER_MAX_BYTES = 64 << 10
ANSWER_SECONDS = 1.0

# It says at debug what it sends, headers included.
logging.getLogger("httpcore2").setLevel(logging.WARNING)


class HttpSender:
    """Sends over HTTP/1.1. Belongs to one event loop."""

    def __init__(
        self,
        clock: Callable[[], int],
        program_version: str,
        trust: ssl.SSLContext | None = None,
        lookups: Lookups | None = None,
    ) -> None:
        """`clock` gives Unix nanoseconds; `trust` is whose certificates are trusted, by default the system's."""
        self._clock = clock
        self._user_agent = f"fairlead/{program_version}"
        # Loading the system's certificates takes a while: not before something is sent.
        self._trust = trust
        self._lookups = lookups or Lookups()
        self._pool: httpcore2.AsyncConnectionPool | None = None

    async def send(self, receiver: Receiver, message_id: str, body: bytes) -> Answer:
        """Makes one attempt; raises nothing but cancellation."""
        headers = {
            "content-type": "application/json",
            **receiver.headers,
            **signature.headers(receiver.keys, message_id, self._clock() // _NANOS, body),
        }
        answer, _ = await self.exchange(receiver.url, headers, body, receiver.timeout_seconds)
        return answer

    async def exchange(
        self, url: str, headers: Mapping[str, str], body: bytes, timeout_seconds: float
    ) -> tuple[Answer, bytes]:
        """Makes one POST; what the answer says, and its body: empty when it did not come, cut when it is long. Raises
        nothing but cancellation."""
        answer: Answer | None = None
        found = bytearray()
        sent = [("user-agent", self._user_agent), *headers.items()]
        try:
            async with asyncio.timeout(timeout_seconds):
                async with (await self._connected()).stream("POST", url, headers=sent, content=body) as response:
                    # From here on it is decided: what goes wrong with the rest is no failure of the attempt.
                    answer = answer_of(response.status, self._retry_after(dict(response.headers)))
                    await _read(response, found)
        except TimeoutError:
            answer = answer or unreachable(f"no answer within {timeout_seconds:g} s")
        except (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.TimeoutException, OSError) as error:
            answer = answer or unreachable(problem_of(error))
        return answer, bytes(found)

    async def close(self) -> None:
        """Ends idle connections."""
        pool, self._pool = self._pool, None
        if pool is not None:
            with contextlib.suppress(httpcore2.NetworkError, OSError):
                await pool.aclose()

    async def _connected(self) -> httpcore2.AsyncConnectionPool:
        if self._pool is None:
            trust = self._trust or await asyncio.to_thread(httpcore2.default_ssl_context)
            self._pool = self._pool or httpcore2.AsyncConnectionPool(
                ssl_context=trust,
                max_connections=None,
                max_keepalive_connections=8,
                keepalive_expiry=IDLE_SECONDS,
                network_backend=LookingUp(self._lookups),
            )
        return self._pool

    def _retry_after(self, headers: dict[bytes, bytes]) -> int:
        """Milliseconds that the receiver asks to wait; 0 when it does not, or not in a way that can be read."""
        value = next((value for name, value in headers.items() if name.lower() == b"retry-after"), b"")
        text = value.decode("ascii", "replace").strip()
        if text.isascii() and text.isdigit() and len(text) <= 9:
            return int(text) * 1000
        try:
            at = parsedate_to_datetime(text)
            return max(0, int(at.replace(tzinfo=at.tzinfo or UTC).timestamp() * 1000) - self._clock() // 1_000_000)
        except (ValueError, OverflowError):
            return 0


async def _read(response: httpcore2.Response, found: bytearray) -> None:
    """Reads an answer to its end, so that the connection can be used again; not one that is long or slow."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(ANSWER_SECONDS):
            async for chunk in response.aiter_stream():
                if len(found) + len(chunk) > ANSWER_MAX_BYTES:
                    return
                found += chunk


def problem_of(error: BaseException) -> str:
    """In words that are the same for the same cause, and hold nothing of the URL's path or of the headers."""
    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in causes:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    for found in causes:
        if isinstance(found, ssl.SSLCertVerificationError):
            return f"the certificate is not trusted: {found.verify_message}"
        if isinstance(found, ssl.SSLError):
            return "TLS cannot be agreed on"
        if isinstance(found, ConnectionRefusedError):
            return "the connection is refused"
        if isinstance(found, NameUnresolved):
            return "the name of the host cannot be resolved"
    if isinstance(error, httpcore2.ProtocolError):
        return "the answer is not HTTP, or the connection ended before it"
    if isinstance(error, httpcore2.ReadError | httpcore2.WriteError):
        return "the connection broke"
    return "no connection can be made"
