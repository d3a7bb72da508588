"""Checkpoints of the asyncio client: the same as those of the blocking one."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from fairlead.client._checkpoints import (
    MESSAGE_MAX_BYTES,
    TRIES,
    AncestorWalk,
    Put,
    batches,
    changing,
    fill,
    get_request,
    in_pieces,
    pieces_of,
    separate,
)
from fairlead.client._errors import NotFound
from fairlead.v1 import checkpoint_service_pb2 as pb


class AsyncCheckpointCalls:
    """What an `AsyncClient` can do with checkpoints. Each of these is safe to repeat."""

    _checkpoints: Any

    @abstractmethod
    async def _call(self, method: Callable[..., Any], request: Any, timeout: float | None) -> Any:
        """One call, with the client's retries."""

    async def put_checkpoint(self, checkpoint: pb.Checkpoint, *, timeout: float | None = None) -> Sequence[str]:
        """Stores a checkpoint. Returns the channels for which it was not, because the parent does not have what they
        left out; put it again with them."""
        request = pb.PutCheckpointRequest(checkpoint=checkpoint)
        missing: Sequence[str] = (await self._put(self._checkpoints.PutCheckpoint, request, timeout)).missing_channels
        return missing

    async def put_writes(self, request: pb.PutWritesRequest, *, timeout: float | None = None) -> None:
        """Stores writes on a checkpoint, which may not be there yet."""
        await self._put(self._checkpoints.PutWrites, request, timeout)

    async def get_checkpoint(
        self, thread: str, namespace: str = "", checkpoint: str = "", *, timeout: float | None = None
    ) -> pb.Checkpoint:
        """One checkpoint with all its bytes, by default the latest. Raises NotFound."""
        request = get_request(thread, namespace, checkpoint)
        for _ in range(TRIES):
            found: pb.Checkpoint = (await self._call(self._checkpoints.GetCheckpoint, request, timeout)).checkpoint
            if await self._completed(found, timeout):
                return found
        raise changing()

    async def list_checkpoints(
        self, request: pb.ListCheckpointsRequest, *, timeout: float | None = None
    ) -> AsyncIterator[pb.Checkpoint]:
        """Checkpoints with all their bytes, the newest of a thread first. Reads on, a page at a time, as they are
        taken."""
        asked = pb.ListCheckpointsRequest()
        asked.CopyFrom(request)
        while True:
            page = await self._call(self._checkpoints.ListCheckpoints, asked, timeout)
            for found in page.checkpoints:
                if await self._completed(found, timeout):
                    yield found
                    continue
                try:
                    again = await self.get_checkpoint(found.thread, found.namespace, found.checkpoint, timeout=timeout)
                except NotFound:
                    continue  # deleted since the page was made
                yield again
            if not page.next_page_token:
                return
            asked.page_token = page.next_page_token

    async def list_ancestors(
        self,
        thread: str,
        namespace: str,
        checkpoint: str,
        channels: Sequence[str],
        *,
        timeout: float | None = None,
    ) -> AsyncIterator[pb.Checkpoint]:
        """What accumulating channels of a checkpoint are added up from, with all bytes: its ancestors, the nearest
        first, each with those of the channels that no nearer one has a value for, and the writes to them."""
        walk = AncestorWalk(thread, namespace, checkpoint, channels)
        while True:
            page = await self._call(self._checkpoints.ListAncestors, walk.request, timeout)
            for found in page.checkpoints:
                if not await self._completed(found, timeout):
                    raise changing()
                yield found
            if not walk.passed(page):
                return

    async def delete_thread(self, thread: str, *, timeout: float | None = None) -> int:
        """Deletes a thread; returns how many checkpoints it had."""
        gone = await self._call(self._checkpoints.DeleteThread, pb.DeleteThreadRequest(thread=thread), timeout)
        return int(gone.checkpoints)

    async def delete_for_runs(self, runs: Sequence[str], *, timeout: float | None = None) -> int:
        """Deletes the checkpoints that runs have made; returns how many."""
        requests = [pb.DeleteForRunsRequest(runs=some) for some in batches(runs)]
        gone = [await self._call(self._checkpoints.DeleteForRuns, one, timeout) for one in requests]
        return sum(one.checkpoints for one in gone)

    async def copy_thread(self, source: str, target: str, *, timeout: float | None = None) -> int:
        """Copies a thread to one that is not there; returns how many checkpoints it has. Raises NotFound and
        InvalidState."""
        request = pb.CopyThreadRequest(source=source, target=target)
        return int((await self._call(self._checkpoints.CopyThread, request, timeout)).checkpoints)

    async def prune_threads(
        self, threads: Sequence[str], strategy: pb.PruneStrategy, *, timeout: float | None = None
    ) -> int:
        """Deletes what is old of threads; returns how many checkpoints."""
        requests = [pb.PruneThreadsRequest(threads=some, strategy=strategy) for some in batches(threads)]
        gone = [await self._call(self._checkpoints.PruneThreads, one, timeout) for one in requests]
        return sum(one.checkpoints for one in gone)

    async def _put(self, method: Callable[..., Any], request: Put, timeout: float | None) -> Any:
        if request.ByteSize() <= MESSAGE_MAX_BYTES:
            return await self._call(method, request, timeout)
        large = self._checkpoints.PutLarge
        return await self._call(lambda whole, **call: large(in_pieces(whole), **call), request, timeout)

    async def _completed(self, checkpoint: pb.Checkpoint, timeout: float | None) -> bool:
        """Reads what did not come with a checkpoint; false when it was deleted or replaced in the middle."""
        for payload in separate(checkpoint):
            try:
                pieces = [
                    (await self._call(self._checkpoints.ReadPayload, one, timeout)).data for one in pieces_of(payload)
                ]
            except NotFound:
                return False
            fill(payload, pieces)
        return True
