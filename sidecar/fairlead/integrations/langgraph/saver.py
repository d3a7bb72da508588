"""`FairleadSaver`: LangGraph's checkpointer over `CheckpointService`."""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
    get_checkpoint_id,
)
from langgraph.checkpoint.serde.base import SerializerProtocol

from fairlead.client import AsyncClient, Client, NotFound
from fairlead.client._retry import RetryPolicy
from fairlead.integrations.langgraph import encoding
from fairlead.v1 import checkpoint_service_pb2 as pb

_STRATEGIES = {
    "keep_latest": pb.PRUNE_STRATEGY_KEEP_LATEST,
    "delete": pb.PRUNE_STRATEGY_DELETE,
}


class FairleadSaver(BaseCheckpointSaver[str]):
    """Stores the checkpoints of a graph through the sidecar, for the tenant of the token.

    Sync and async methods in one; it may be shared by threads and by event loops. Close it with `close` or `aclose`, or
    use it with `with` or `async with`. A put returns when the checkpoint survives a power cut. Values that do not
    change in a step are neither sent nor stored again.

    `target` is the agent endpoint, by default FAIRLEAD_ENDPOINT or 127.0.0.1:7400, `token` the agent's, by default
    FAIRLEAD_TOKEN. `timeout` bounds every call, retries included, in seconds. Calls raise a FairleadError:
    PayloadTooLarge beyond `limits.checkpointBytes`, QueueFull when the tenant has stored as much as it may.
    """

    def __init__(
        self,
        target: str | None = None,
        *,
        token: str | None = None,
        serde: SerializerProtocol | None = None,
        timeout: float = 60.0,
        retry: RetryPolicy | None = None,
    ) -> None:
        super().__init__(serde=serde)
        self._connections = _Connections(target, token, timeout, retry)

    @property
    def client(self) -> Client:
        """The blocking client that this uses, made when it is asked for first."""
        return self._connections.blocking()

    @property
    def aio_client(self) -> AsyncClient:
        """The asyncio client of the running loop."""
        return self._connections.of_this_loop()

    def close(self) -> None:
        """Closes the connection of the sync methods."""
        self._connections.close()

    async def aclose(self) -> None:
        """Closes the connections of this loop and of the sync methods."""
        await self._connections.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    # Sync ------------------------------------------------------------------------------------------------------------

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Stores a checkpoint; its parent is the one that the config names."""
        message = encoding.checkpoint_message(self.serde, config, checkpoint, metadata, new_versions)
        while missing := self.client.put_checkpoint(message):
            encoding.give_missing(self.serde, message, checkpoint, missing)
        return encoding.config_of(message.thread, message.namespace, message.checkpoint)

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Stores writes of a task on the checkpoint that the config names."""
        self.client.put_writes(encoding.writes_message(self.serde, config, writes, task_id, task_path))

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """The checkpoint that the config names, by default the latest; None when it is not there."""
        try:
            return encoding.checkpoint_tuple(self.serde, self.client.get_checkpoint(*_place(config)))
        except NotFound:
            return None

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """Checkpoints, the newest of a thread first; without a config those of all threads of the tenant."""
        left = _Left(limit)
        if left.nothing:
            return
        for message in self.client.list_checkpoints(encoding.list_request(config, filter, before, limit)):
            found = encoding.checkpoint_tuple(self.serde, message)
            if encoding.matches(found, filter):
                yield found
                if left.was_last():
                    return

    def get_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """What `DeltaChannel`s of the checkpoint that the config names are added up from."""
        history = encoding.DeltaHistory(self.serde, channels)
        if channels:
            for ancestor in self.client.list_ancestors(*_place(config), channels):
                history.add(ancestor)
        return history.found()

    def delete_thread(self, thread_id: str) -> None:
        """Deletes a thread with everything in it."""
        self.client.delete_thread(str(thread_id))

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Deletes the checkpoints that runs have made. Raises InvalidState when a `DeltaChannel` of a later checkpoint
        is added up from one of them."""
        self.client.delete_for_runs([str(run) for run in run_ids])

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copies a thread to one that is not there. Raises NotFound, and InvalidState when the target has
        checkpoints."""
        self.client.copy_thread(str(source_thread_id), str(target_thread_id))

    def prune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Deletes old checkpoints (`keep_latest`, but for what a `DeltaChannel` still needs) or threads (`delete`)."""
        self.client.prune_threads([str(thread) for thread in thread_ids], _strategy(strategy))

    # Async -----------------------------------------------------------------------------------------------------------

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """As `put`."""
        message = encoding.checkpoint_message(self.serde, config, checkpoint, metadata, new_versions)
        while missing := await self.aio_client.put_checkpoint(message):
            encoding.give_missing(self.serde, message, checkpoint, missing)
        return encoding.config_of(message.thread, message.namespace, message.checkpoint)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """As `put_writes`."""
        await self.aio_client.put_writes(encoding.writes_message(self.serde, config, writes, task_id, task_path))

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """As `get_tuple`."""
        try:
            return encoding.checkpoint_tuple(self.serde, await self.aio_client.get_checkpoint(*_place(config)))
        except NotFound:
            return None

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """As `list`."""
        left = _Left(limit)
        if left.nothing:
            return
        async for message in self.aio_client.list_checkpoints(encoding.list_request(config, filter, before, limit)):
            found = encoding.checkpoint_tuple(self.serde, message)
            if encoding.matches(found, filter):
                yield found
                if left.was_last():
                    return

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """As `get_delta_channel_history`."""
        history = encoding.DeltaHistory(self.serde, channels)
        if channels:
            async for ancestor in self.aio_client.list_ancestors(*_place(config), channels):
                history.add(ancestor)
        return history.found()

    async def adelete_thread(self, thread_id: str) -> None:
        """As `delete_thread`."""
        await self.aio_client.delete_thread(str(thread_id))

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """As `delete_for_runs`."""
        await self.aio_client.delete_for_runs([str(run) for run in run_ids])

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """As `copy_thread`."""
        await self.aio_client.copy_thread(str(source_thread_id), str(target_thread_id))

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """As `prune`."""
        await self.aio_client.prune_threads([str(thread) for thread in thread_ids], _strategy(strategy))

    def get_next_version(self, current: str | int | float | None, channel: None) -> str:
        """A version that is greater as text, and another one in every fork: a number with a random end."""
        number = 0 if current is None else int(str(current).partition(".")[0])
        return f"{number + 1:012d}.{secrets.token_hex(4)}"


class _Connections:
    """The clients of a saver and of its clones: one for the sync methods, and one for every event loop that is used."""

    def __init__(self, target: str | None, token: str | None, timeout: float, retry: RetryPolicy | None) -> None:
        self._arguments: dict[str, Any] = {"target": target, "token": token, "timeout": timeout, "retry": retry}
        self._lock = threading.Lock()
        self._blocking: Client | None = None
        self._of_loops: dict[asyncio.AbstractEventLoop, AsyncClient] = {}

    def blocking(self) -> Client:
        with self._lock:
            if self._blocking is None:
                self._blocking = Client(**self._arguments)
            return self._blocking

    def of_this_loop(self) -> AsyncClient:
        loop = asyncio.get_running_loop()
        with self._lock:
            client = self._of_loops.get(loop)
            if client is None:
                # Of a loop that is closed nothing can be closed any more.
                self._of_loops = {one: its for one, its in self._of_loops.items() if not one.is_closed()}
                client = self._of_loops[loop] = AsyncClient(**self._arguments)
            return client

    def close(self) -> None:
        with self._lock:
            client, self._blocking = self._blocking, None
        if client is not None:
            client.close()

    async def aclose(self) -> None:
        with self._lock:
            client = self._of_loops.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.close()
        self.close()


class _Left:
    """How many more a list may give."""

    def __init__(self, limit: int | None) -> None:
        self._left = limit
        self.nothing = limit is not None and limit <= 0

    def was_last(self) -> bool:
        """Counts one; true when it was the last."""
        if self._left is None:
            return False
        self._left -= 1
        return self._left <= 0


def _place(config: RunnableConfig) -> tuple[str, str, str]:
    """Thread, namespace and checkpoint; the latest when the config names none."""
    return encoding.thread_of(config), encoding.namespace_of(config), get_checkpoint_id(config) or ""


def _strategy(name: str) -> pb.PruneStrategy:
    try:
        return _STRATEGIES[name]
    except KeyError:
        raise ValueError(f"strategy {name!r} is not one of {', '.join(_STRATEGIES)}") from None
