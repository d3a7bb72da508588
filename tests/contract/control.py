"""A control service on a real grpc.aio server, on a unix socket, with the identities of the real doors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import grpc
from google.rpc import error_details_pb2, status_pb2

from fairlead.control.access import AGENT, FRONT_KEY, TENANT, FrontDoor, OperatorDoor, Operators

KEY = "the-front-key"
# A second server on the same socket gets a connection of its own, not the one that was left of the first.
_OPTIONS = (("grpc.default_authority", "localhost"), ("grpc.use_local_subchannel_pool", 1))
AS_NOBODY = ((FRONT_KEY, KEY),)
AS_AGENT = ((FRONT_KEY, KEY), (TENANT, "acme"), (AGENT, "support-bot"))


@asynccontextmanager
async def served(
    directory: Path, register: Callable[[grpc.aio.Server], None], *, agents: bool = False
) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to a server with what `register` adds; its callers are operators, or agents through the front."""
    door = FrontDoor(KEY) if agents else OperatorDoor(Operators(), token_required=False)
    server = grpc.aio.server(interceptors=(door,))
    register(server)
    address = f"unix:{directory}/{'agents' if agents else 'operators'}.sock"
    server.add_insecure_port(address)
    await server.start()
    try:
        async with grpc.aio.insecure_channel(address, options=_OPTIONS) as channel:
            yield channel
    finally:
        await server.stop(None)


async def refused(call: Any) -> tuple[grpc.StatusCode, str, dict[str, str], list[str]]:
    """Code, reason, metadata and bad fields of a call that has to be refused."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        trailers: dict[str, Any] = dict(cast(Any, error.trailing_metadata()) or ())
        details = trailers.get("grpc-status-details-bin", b"")
        assert isinstance(details, bytes) and len(details) <= 4096
        info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        for detail in status_pb2.Status.FromString(details).details:
            for kind in (info, bad):
                if detail.Is(kind.DESCRIPTOR):
                    detail.Unpack(kind)
        return error.code(), info.reason, dict(info.metadata), [violation.field for violation in bad.field_violations]
    raise AssertionError("the call was not refused")
