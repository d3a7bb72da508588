"""Use cases of agents: put, get and list checkpoints, delete, copy and prune threads of their own tenant.

The work is done by threads that may block; what is kept here is the order. Changes of one thread come one after the
other, each committed before the next one looks; threads do not wait for each other. A change goes on to its end when
its caller goes away.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, TypeVar

from fairlead.checkpoint import checks, reading
from fairlead.checkpoint.changes import Ledger
from fairlead.checkpoint.copying import copy_thread
from fairlead.checkpoint.model import CheckpointSettings
from fairlead.checkpoint.putting import put_checkpoint, put_writes
from fairlead.checkpoint.removing import delete_made_by, delete_thread, prune, sweep
from fairlead.checkpoint.store import INCARNATION_BYTES, Reader
from fairlead.checkpoint.uploads import Uploads, whole
from fairlead.control.commands import Core, to_the_end
from fairlead.control.errors import Refusal, invalid_argument
from fairlead.control.identity import Identity
from fairlead.control.turns import Turns
from fairlead.store import StoreUnavailable
from fairlead.v1 import checkpoint_service_pb2 as pb

# Deleting, copying and pruning read whole threads: so many at a time leave the others their workers.
LONG_AT_ONCE = 4
_Result = TypeVar("_Result")

_log = logging.getLogger(__name__)


def _random_incarnation() -> bytes:
    """No two of a tenant are ever the same: 96 bits."""
    return secrets.token_bytes(INCARNATION_BYTES)


class CheckpointService:
    """Checkpoints as agents see them: of their own tenant. Belongs to one event loop."""

    def __init__(
        self,
        core: Core,
        reader: Reader,
        settings: Callable[[], CheckpointSettings],
        *,
        new_incarnation: Callable[[], bytes] = _random_incarnation,
    ) -> None:
        """`settings` gives those of the configuration in force."""
        self._ledger = Ledger(core, reader, settings, new_incarnation)
        self._reader = reader
        self._settings = settings
        self._uploads = Uploads()
        # By tenant and thread.
        self._turns = Turns()
        self._long = asyncio.Semaphore(LONG_AT_ONCE)
        # Copies look like garbage until they are done.
        self._copies: set[bytes] = set()

    async def put(self, request: pb.PutCheckpointRequest, caller: Identity) -> pb.PutCheckpointResponse:
        """Stores a checkpoint."""
        checkpoint = request.checkpoint
        checks.check_checkpoint(checkpoint, self._settings())
        put = _blocking(put_checkpoint, self._ledger, caller, checkpoint)
        return pb.PutCheckpointResponse(missing_channels=await self._in_turn(put, caller, checkpoint.thread))

    async def put_writes(self, request: pb.PutWritesRequest, caller: Identity) -> pb.PutWritesResponse:
        """Stores writes."""
        checks.check_writes(request, self._settings())
        await self._in_turn(_blocking(put_writes, self._ledger, caller, request), caller, request.thread)
        return pb.PutWritesResponse()

    async def put_large(self, parts: AsyncIterator[pb.PutLargeRequest], caller: Identity) -> pb.PutLargeResponse:
        """Stores a checkpoint or writes that come in parts."""
        async with self._uploads.place(caller.tenant):
            request = await whole(parts, self._settings())
            if isinstance(request, pb.PutWritesRequest):
                await self.put_writes(request, caller)
                return pb.PutLargeResponse()
            return pb.PutLargeResponse(missing_channels=(await self.put(request, caller)).missing_channels)

    async def get(self, request: pb.GetCheckpointRequest, caller: Identity) -> pb.GetCheckpointResponse:
        """One checkpoint."""
        checks.check_place(request.thread, request.namespace, request.checkpoint)
        found = await _blocking(reading.get_checkpoint, self._reader, caller.tenant, request)
        return pb.GetCheckpointResponse(checkpoint=found)

    async def page(self, request: pb.ListCheckpointsRequest, caller: Identity) -> pb.ListCheckpointsResponse:
        """One page of checkpoints."""
        checks.check_place(request.thread, request.namespace, request.checkpoint or request.before, any_thread=True)
        return await _blocking(reading.list_checkpoints, self._reader, caller.tenant, request)

    async def ancestors(self, request: pb.ListAncestorsRequest, caller: Identity) -> pb.ListAncestorsResponse:
        """One page of what channels are added up from."""
        checks.check_place(request.thread, request.namespace, request.checkpoint)
        if not request.channels:
            raise invalid_argument(("channels", "is required: the channels that are added up"))
        return await _blocking(reading.list_ancestors, self._reader, caller.tenant, request)

    async def piece(self, request: pb.ReadPayloadRequest, caller: Identity) -> pb.ReadPayloadResponse:
        """A piece of a payload."""
        data = await _blocking(reading.read_piece, self._reader, caller.tenant, request)
        return pb.ReadPayloadResponse(data=data)

    async def delete(self, request: pb.DeleteThreadRequest, caller: Identity) -> pb.DeleteThreadResponse:
        """Deletes a thread."""
        checks.check_thread("thread", request.thread)
        steps = delete_thread(self._ledger, caller, request.thread)
        return pb.DeleteThreadResponse(checkpoints=await self._long_turn(steps, caller, request.thread))

    async def delete_for_runs(self, request: pb.DeleteForRunsRequest, caller: Identity) -> pb.DeleteForRunsResponse:
        """Deletes what runs made."""
        checks.check_named("runs", request.runs)
        gone = 0
        made = await _blocking(self._made_by, request.runs, caller.tenant)
        for (thread, incarnation, namespace), checkpoints in made.items():
            steps = delete_made_by(self._ledger, caller, thread, incarnation, namespace, checkpoints)
            gone += await self._long_turn(steps, caller, thread)
        return pb.DeleteForRunsResponse(checkpoints=gone)

    async def copy(self, request: pb.CopyThreadRequest, caller: Identity) -> pb.CopyThreadResponse:
        """Copies a thread."""
        source, target = request.source, request.target
        checks.check_thread("source", source)
        checks.check_thread("target", target)
        if source == target:
            raise invalid_argument(("target", "is the source"))
        incarnation = self._ledger.new_incarnation()
        steps = copy_thread(self._ledger, caller, source, target, incarnation)
        self._copies.add(incarnation)
        try:
            return pb.CopyThreadResponse(checkpoints=await self._long_turn(steps, caller, source, target))
        finally:
            self._copies.discard(incarnation)

    async def prune(self, request: pb.PruneThreadsRequest, caller: Identity) -> pb.PruneThreadsResponse:
        """Deletes what is old of threads."""
        checks.check_named("threads", request.threads)
        match request.strategy:
            case pb.PRUNE_STRATEGY_KEEP_LATEST:
                prune_one = prune
            case pb.PRUNE_STRATEGY_DELETE:
                prune_one = delete_thread
            case _:
                raise invalid_argument(("strategy", "must be KEEP_LATEST or DELETE"))
        gone = 0
        for thread in request.threads:
            gone += await self._long_turn(prune_one(self._ledger, caller, thread), caller, thread)
        return pb.PruneThreadsResponse(checkpoints=gone)

    async def sweep(self) -> None:
        """Deletes what a stop in the middle has left; for the start. What fails is left for the next one."""
        try:
            for tenant, incarnation in await _blocking(self._garbage):
                await _steps(sweep(self._ledger, Identity(tenant=tenant), incarnation))
        except Refusal as refusal:
            _log.warning("deleted checkpoints were not swept up", extra={"reason": refusal.reason})

    def _garbage(self) -> list[tuple[str, bytes]]:
        """Without the copies that are being made."""
        copies = set(self._copies)
        return [(tenant, one) for tenant, one in self._ledger.threads.garbage() if one not in copies]

    def _made_by(self, runs: Sequence[str], tenant: str) -> dict[tuple[str, bytes, str], list[str]]:
        """Checkpoints by thread, incarnation and namespace."""
        made: dict[tuple[str, bytes, str], list[str]] = defaultdict(list)
        for run in dict.fromkeys(runs):
            for one in self._ledger.threads.made_by(tenant, run):
                made[one.thread, one.incarnation, one.namespace].append(one.checkpoint)
        return made

    async def _long_turn(self, steps: Iterator[int], caller: Identity, *threads: str) -> int:
        """Takes all steps of a change that takes long; returns the sum of what they yield."""
        return await self._in_turn(_steps(steps), caller, *threads, place=self._long)

    async def _in_turn(
        self,
        change: Coroutine[Any, Any, _Result],
        caller: Identity,
        *threads: str,
        place: AbstractAsyncContextManager[Any] | None = None,
    ) -> _Result:
        """Makes a change when it is its turn at the threads. Who goes away before has changed nothing; from then on the
        change goes on to its end."""
        turn = AsyncExitStack()
        try:
            if place is not None:
                await turn.enter_async_context(place)
            # In one order, so that two who want the same ones do not wait for each other.
            for thread in sorted(threads):
                await turn.enter_async_context(self._turns.of(caller.tenant, thread))
        except BaseException:
            change.close()
            await turn.aclose()
            raise

        async def with_its_turn() -> _Result:
            async with turn:
                return await change

        return await to_the_end(with_its_turn())


async def _steps(steps: Iterator[int]) -> int:
    """One step after the other, with room for others in between; the sum of what they yield."""
    total = 0
    while (step := await _blocking(next, steps, None)) is not None:
        total += step
    return total


async def _blocking(work: Callable[..., _Result], *arguments: Any) -> _Result:
    """Does work in a thread; a store that cannot be read is an expected no."""
    try:
        return await asyncio.to_thread(work, *arguments)
    except StoreUnavailable as error:
        raise Refusal("STORE_UNAVAILABLE", str(error)) from error
