"""The clients that all steps of a worker share, made when the first step asks for one."""

from __future__ import annotations

import threading

from fairlead.client import AsyncClient, Client
from fairlead.client._retry import RetryPolicy

# As long as a provider may take by default; calls can say less.
CALL_SECONDS = 600.0
# A step outlives a restart of the sidecar: requests carry ids, so repeating them is safe.
RETRY = RetryPolicy(attempts=30)


class Clients:
    """`blocking` may be called from any thread, the rest from the one of the event loop."""

    def __init__(self, target: str | None, token: str | None) -> None:
        self._target, self._token = target, token
        self._lock = threading.Lock()
        self._blocking: Client | None = None
        self._on_loop: AsyncClient | None = None

    def blocking(self) -> Client:
        """For functions that block."""
        with self._lock:
            if self._blocking is None:
                self._blocking = Client(self._target, token=self._token, timeout=CALL_SECONDS, retry=RETRY)
            return self._blocking

    def on_loop(self) -> AsyncClient:
        """For functions on the loop."""
        if self._on_loop is None:
            self._on_loop = AsyncClient(self._target, token=self._token, timeout=CALL_SECONDS, retry=RETRY)
        return self._on_loop

    async def close(self) -> None:
        """Closes what was opened."""
        if self._on_loop is not None:
            await self._on_loop.close()
        if self._blocking is not None:
            self._blocking.close()
