"""Requests that are larger than a message: the request first, then the bytes of its payloads in pieces.

They are put together in memory, as much at a time as `limits.checkpointPutBytes` for each of a tenant's uploads: what
they announce is checked before any of it is kept.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence

from fairlead.checkpoint import checks
from fairlead.checkpoint.model import PIECE_BYTES, CheckpointSettings
from fairlead.control.errors import invalid_argument
from fairlead.v1 import checkpoint_service_pb2 as pb

# A tenant that begins uploads and does not end them is in its own way only.
AT_ONCE_OF_A_TENANT = 2
Large = pb.PutCheckpointRequest | pb.PutWritesRequest


class Uploads:
    """Puts large requests together."""

    def __init__(self) -> None:
        self._places: dict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(AT_ONCE_OF_A_TENANT))

    def place(self, tenant: str) -> asyncio.Semaphore:
        """To be held while an upload of the tenant is in memory."""
        return self._places[tenant]


async def whole(parts: AsyncIterator[pb.PutLargeRequest], settings: CheckpointSettings) -> Large:
    """The request with all its bytes; raises `Refusal` when it is too large, or when parts do not fit."""
    first = await anext(parts, pb.PutLargeRequest())
    payloads: Sequence[pb.CheckpointPayload]
    request: Large
    match first.WhichOneof("part"):
        case "checkpoint":
            request = first.checkpoint
            payloads = list(checks.checkpoint_payloads(request.checkpoint))
        case "writes":
            request = first.writes
            payloads = list(checks.write_payloads(request.writes))
        case _:
            raise invalid_argument(("part", "must be a checkpoint or writes first"))
    if any(payload.data for payload in payloads):
        raise invalid_argument(("part", "has data in a payload: the bytes follow in parts of their own"))
    checks.check_payloads(checks.sized(payloads), settings)
    await _fill(payloads, parts)
    return request


async def _fill(payloads: Iterable[pb.CheckpointPayload], parts: AsyncIterator[pb.PutLargeRequest]) -> None:
    """Gives the payloads their bytes, in order."""
    left = memoryview(b"")
    for payload in payloads:
        bytes_of_it = bytearray()
        while len(bytes_of_it) < payload.size_bytes:
            if not left:
                left = memoryview(await _next(parts))
            taken = payload.size_bytes - len(bytes_of_it)
            bytes_of_it += left[:taken]
            left = left[taken:]
        payload.data = bytes(bytes_of_it)
        payload.ClearField("size_bytes")
    if left or await anext(parts, None) is not None:
        raise invalid_argument(("data", "is more than the payloads have announced"))


async def _next(parts: AsyncIterator[pb.PutLargeRequest]) -> bytes:
    part = await anext(parts, None)
    if part is None:
        raise invalid_argument(("data", "is less than the payloads have announced"))
    if not 0 < len(part.data) <= PIECE_BYTES:
        raise invalid_argument(("data", f"must have 1 to {PIECE_BYTES} bytes in each part"))
    return part.data
