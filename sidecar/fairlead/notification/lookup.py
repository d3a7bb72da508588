"""Names of hosts → addresses, on threads of their own.

The system's resolver blocks, for half a minute when no name server answers, and cannot be told to stop. On the event
loop's threads it would hold up control calls, which the hot path may wait for, and the end of the process. Here a few
threads may hang, nobody waits for them, and who comes while all of them do is refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from typing import Any

import httpcore2

MAX_LOOKUPS = 4

_Resolve = Callable[[str, int], list[Any]]


def _resolve(host: str, port: int) -> list[Any]:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


class NameUnresolved(OSError):
    """The name has no address, or nobody could be asked."""


class Lookups:
    """Looks up names; at most `most` at a time. Belongs to one event loop."""

    def __init__(self, most: int = MAX_LOOKUPS, resolve: _Resolve = _resolve) -> None:
        self._resolve = resolve
        self._most = most
        self._running = 0

    async def addresses(self, host: str, port: int) -> list[str]:
        """The addresses of a host, which may be one itself; raises `NameUnresolved`."""
        with contextlib.suppress(ValueError):
            return [str(ipaddress.ip_address(host))]
        if self._running >= self._most:
            raise NameUnresolved("names cannot be looked up: the name servers do not answer")
        loop = asyncio.get_running_loop()
        found: asyncio.Future[list[str]] = loop.create_future()
        self._running += 1
        threading.Thread(
            target=self._look_up, args=(loop, found, host, port), name="fairlead-lookup", daemon=True
        ).start()
        return await found

    def _look_up(self, loop: asyncio.AbstractEventLoop, found: asyncio.Future[list[str]], host: str, port: int) -> None:
        result: list[str] | NameUnresolved
        try:
            result = list(dict.fromkeys(str(entry[4][0]) for entry in self._resolve(host, port)))
        except (OSError, UnicodeError) as error:
            result = NameUnresolved(f"name cannot be resolved: {error}")
        # A closed loop has nobody left to tell.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(self._tell, found, result)

    def _tell(self, found: asyncio.Future[list[str]], result: list[str] | NameUnresolved) -> None:
        self._running -= 1
        if found.done():
            return
        if isinstance(result, NameUnresolved):
            found.set_exception(result)
        else:
            found.set_result(result)


class _Connection(httpcore2.AsyncNetworkStream):
    """A connection that is closed when its TLS handshake is cut off; the library's own would stay open then."""

    def __init__(self, connected: httpcore2.AsyncNetworkStream) -> None:
        self._connected = connected

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return await self._connected.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._connected.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._connected.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.AsyncNetworkStream:
        try:
            return await self._connected.start_tls(ssl_context, server_hostname, timeout)
        except BaseException:
            await self._connected.aclose()
            raise

    def get_extra_info(self, info: str) -> Any:
        return self._connected.get_extra_info(info)


class LookingUp(httpcore2.AsyncNetworkBackend):
    """Connects to the addresses of a name, one after the other, until one answers."""

    def __init__(self, lookups: Lookups) -> None:
        self._lookups = lookups
        self._network = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """A connection; raises `httpcore2.ConnectError` or `httpcore2.ConnectTimeout`."""
        try:
            addresses = await self._lookups.addresses(host, port)
        except NameUnresolved as error:
            raise httpcore2.ConnectError(error) from error
        for index, address in enumerate(addresses):
            try:
                connected = await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
                return _Connection(connected)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                if index == len(addresses) - 1:
                    raise
        raise httpcore2.ConnectError("the name has no address")

    async def sleep(self, seconds: float) -> None:
        """Waits."""
        await self._network.sleep(seconds)
