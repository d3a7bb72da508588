"""A development provider in this process, and the configuration that routes to it."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from fairlead.devprovider.faults import Fault
from fairlead.devprovider.http import Received
from fairlead.devprovider.server import DevProvider, Latency, Stats

TIMEOUT_SECONDS = 30.0


class _WatchedStats(Stats):
    """Tells whoever waits when a number changes."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        super().__init__()

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        with self.changed:
            self.changed.notify_all()


class _Watched(DevProvider):
    """Its numbers can be waited for."""

    def __init__(self, latency: Latency | None) -> None:
        super().__init__(latency)
        self.stats = self.watched = _WatchedStats()


class Provider:
    """Runs on its own event loop; ends with the block."""

    def __init__(self, latency: Latency | None = None, tls: ssl.SSLContext | None = None) -> None:
        self._provider = _Watched(latency)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._tls = tls
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self.port = asyncio.run_coroutine_threadsafe(self._provider.start(tls=self._tls), self._loop).result(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._provider.close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    @property
    def url(self) -> str:
        """Base URL of the dialect."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def stats(self) -> Stats:
        """What it has seen."""
        return self._provider.stats

    @property
    def body(self) -> bytes:
        """The body of the last call, as it came."""
        return self._provider.received.body if self._provider.received else b""

    @property
    def received(self) -> Received:
        """The last call as it came."""
        assert self._provider.received is not None, "it was not called"
        return self._provider.received

    def wait_for(self, reached: Callable[[Stats], bool]) -> None:
        """Returns when what it has seen is so."""
        stats = self._provider.watched
        with stats.changed:
            assert stats.changed.wait_for(lambda: reached(stats), TIMEOUT_SECONDS), stats

    def say(self, text: str | None) -> None:
        """The text of its answers from now on; a stream sends it word by word."""
        self._provider.say = text

    def fail(self, fault: str, times: int | None = 1) -> None:
        """The next requests fail like this."""
        self._provider.faults.arm(Fault.parse(fault), times)


def routed(first: str, second: str, more: str = "", timeouts: str = "") -> str:
    """Two tenants; model `chat` goes to `first`, then to `second`; `more` is appended to the file."""
    limits = f", timeouts: {{{timeouts}}}" if timeouts else ""
    return f"""\
apiVersion: fairlead/v1
tenants:
  - name: acme
    agents: [{{name: bot, token: {{fromEnv: TEST_BOT_TOKEN}}}}]
  - name: other
    agents: [{{name: bot, token: {{fromEnv: TEST_OTHER_TOKEN}}}}]
providers:
  - {{name: primary, kind: openai-compatible, baseUrl: "{first}", apiKey: {{fromEnv: TEST_PROVIDER_KEY}}{limits}}}
  - {{name: secondary, kind: openai-compatible, baseUrl: "{second}"{limits}}}
models:
  - {{name: large, provider: primary, upstream: dev-large, price: {{input: 10, output: 20}}, maxOutputTokens: 1000}}
  - {{name: small, provider: secondary, upstream: dev-small, price: {{input: 1, output: 2}}, maxOutputTokens: 1000}}
routes:
  - name: chat
    match: {{model: chat}}
    targets: [{{model: large, weight: 1}}]
    fallback: {{chain: [small], on: [429, 5xx, timeout, connect, cut, garbled]}}
    retry: {{attempts: 1}}
{more}"""
