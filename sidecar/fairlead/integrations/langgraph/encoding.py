"""LangGraph's checkpoints as messages of `CheckpointService`, and back. No I/O.

| LangGraph | message |
|---|---|
| `channel_values`, `channel_versions` | one channel each; a version as JSON, so that a number stays a number |
| the rest of the checkpoint | `body`, as the serializer has it |
| metadata | `metadata`, as the serializer has it; once more as `attributes`, to filter by |
| `counters_since_delta_snapshot` of the metadata | the channels that accumulate |
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
    PendingWrite,
    get_checkpoint_id,
    get_serializable_checkpoint_metadata,
)
from langgraph.checkpoint.serde.base import SerializerProtocol

from fairlead.v1 import checkpoint_service_pb2 as pb

SET = pb.CHECKPOINT_CHANNEL_STATE_SET
UNCHANGED = pb.CHECKPOINT_CHANNEL_STATE_UNCHANGED
EMPTY = pb.CHECKPOINT_CHANNEL_STATE_EMPTY
# A longer value is filtered by its digest, a longer name by the agent.
_ATTRIBUTE_MAX_BYTES = 256
_BESIDE_THE_BODY = ("channel_values", "channel_versions")


def config_of(thread: str, namespace: str, checkpoint: str) -> RunnableConfig:
    """How LangGraph names a checkpoint."""
    return {"configurable": {"thread_id": thread, "checkpoint_ns": namespace, "checkpoint_id": checkpoint}}


def thread_of(config: RunnableConfig) -> str:
    """The thread of a config. Raises ValueError when it has none."""
    thread = config.get("configurable", {}).get("thread_id")
    if thread is None or thread == "":
        raise ValueError('the config names no thread: pass {"configurable": {"thread_id": …}}')
    return str(thread)


def namespace_of(config: RunnableConfig) -> str:
    """The namespace of a config; empty for the graph itself."""
    return str(config["configurable"].get("checkpoint_ns") or "")


def checkpoint_message(
    serde: SerializerProtocol,
    config: RunnableConfig,
    checkpoint: Checkpoint,
    metadata: CheckpointMetadata,
    new_versions: ChannelVersions,
) -> pb.Checkpoint:
    """A checkpoint to put, with the values of the channels that have changed."""
    said: Mapping[str, Any] = get_serializable_checkpoint_metadata(config, metadata)
    versions, values = checkpoint["channel_versions"], checkpoint["channel_values"]
    message = pb.Checkpoint(
        thread=thread_of(config),
        namespace=namespace_of(config),
        checkpoint=checkpoint["id"],
        parent=get_checkpoint_id(config) or "",
        run=str(said.get("run_id") or ""),
        attributes=attributes(said),
        body=_payload(serde, {key: value for key, value in checkpoint.items() if key not in _BESIDE_THE_BODY}),
        metadata=_payload(serde, dict(said)),
        accumulating_channels=sorted(said.get("counters_since_delta_snapshot") or ()),
    )
    for name in sorted(versions.keys() | values.keys()):
        channel = message.channels.add(name=name, version=_version(versions, name), state=UNCHANGED)
        # A value without a version is nobody's but this checkpoint's.
        if name in new_versions or name not in versions:
            give_value(serde, channel, checkpoint)
    return message


def give_value(serde: SerializerProtocol, channel: pb.CheckpointChannel, checkpoint: Checkpoint) -> None:
    """Gives a channel of a message its value, or says that it has none."""
    values = checkpoint["channel_values"]
    channel.state = SET if channel.name in values else EMPTY
    if channel.name in values:
        channel.value.CopyFrom(_payload(serde, values[channel.name]))


def give_missing(
    serde: SerializerProtocol, message: pb.Checkpoint, checkpoint: Checkpoint, missing: Iterable[str]
) -> None:
    """Gives the channels their values whose parent the sidecar does not have, as of a fork."""
    wanted = set(missing)
    for channel in message.channels:
        if channel.name in wanted:
            give_value(serde, channel, checkpoint)


def writes_message(
    serde: SerializerProtocol, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task: str, task_path: str
) -> pb.PutWritesRequest:
    """Writes of a task to put."""
    message = pb.PutWritesRequest(
        thread=thread_of(config),
        namespace=namespace_of(config),
        checkpoint=str(config["configurable"]["checkpoint_id"]),
    )
    for position, (channel, value) in enumerate(writes):
        index = WRITES_IDX_MAP.get(channel, position)
        payload = _payload(serde, value)
        message.writes.add(task=task, index=index, channel=channel, task_path=task_path, value=payload)
    return message


def checkpoint_tuple(serde: SerializerProtocol, message: pb.Checkpoint) -> CheckpointTuple:
    """A checkpoint that was got."""
    versions = {channel.name: json.loads(channel.version) for channel in message.channels if channel.version}
    values = {channel.name: _value(serde, channel.value) for channel in message.channels if channel.state == SET}
    body: dict[str, Any] = _value(serde, message.body)
    return CheckpointTuple(
        config=config_of(message.thread, message.namespace, message.checkpoint),
        checkpoint=cast(Checkpoint, {**body, "channel_values": values, "channel_versions": versions}),
        metadata=_value(serde, message.metadata),
        parent_config=config_of(message.thread, message.namespace, message.parent) if message.parent else None,
        pending_writes=[(write.task, write.channel, _value(serde, write.value)) for write in message.writes],
    )


class DeltaHistory:
    """What delta channels are added up from, put together ancestor by ancestor, the nearest first."""

    def __init__(self, serde: SerializerProtocol, channels: Sequence[str]) -> None:
        self._serde = serde
        self._writes: dict[str, list[PendingWrite]] = {channel: [] for channel in channels}
        self._seeds: dict[str, Any] = {}

    def add(self, ancestor: pb.Checkpoint) -> None:
        """The value of an ancestor is the one before the writes on it."""
        for write in reversed(ancestor.writes):
            self._writes[write.channel].append((write.task, write.channel, _value(self._serde, write.value)))
        for channel in ancestor.channels:
            if channel.state == SET:
                self._seeds[channel.name] = _value(self._serde, channel.value)

    def found(self) -> dict[str, DeltaChannelHistory]:
        """By channel: the writes, the oldest first, and the value that they are added to, if there is one."""
        history: dict[str, DeltaChannelHistory] = {}
        for channel, writes in self._writes.items():
            history[channel] = {"writes": writes[::-1]}
            if channel in self._seeds:
                history[channel]["seed"] = self._seeds[channel]
        return history


def list_request(
    config: RunnableConfig | None,
    filter: Mapping[str, Any] | None,
    before: RunnableConfig | None,
    limit: int | None,
) -> pb.ListCheckpointsRequest:
    """What `list` asks for. Without a namespace in the config: all of them."""
    request = pb.ListCheckpointsRequest(attributes=attributes(filter or {}))
    if limit is not None:
        # A page has at most a hundred; more come in several.
        request.page_size = min(max(limit, 1), 100)
    if config is not None:
        request.thread = thread_of(config)
        namespace = config["configurable"].get("checkpoint_ns")
        if namespace is not None:
            request.namespace = namespace
        request.checkpoint = get_checkpoint_id(config) or ""
    if before is not None:
        request.before = get_checkpoint_id(before) or ""
    return request


def attributes(metadata: Mapping[str, Any]) -> dict[str, str]:
    """What can be filtered by: equal values as the same text. What cannot be said so is left to `matches`."""
    found = {}
    for name, value in metadata.items():
        # A filter for None finds what is not there, too.
        if value is None or len(name.encode()) > _ATTRIBUTE_MAX_BYTES:
            continue
        try:
            text = json.dumps(_plain(value), sort_keys=True, separators=(",", ":"))
        except (TypeError, ValueError):
            continue
        if len(text) > _ATTRIBUTE_MAX_BYTES:
            text = "sha256:" + hashlib.sha256(text.encode()).hexdigest()
        found[name] = text
    return found


def matches(found: CheckpointTuple, filter: Mapping[str, Any] | None) -> bool:
    """Whether the metadata is what is wanted, by Python's own equality."""
    metadata: Mapping[str, Any] = found.metadata
    return all(metadata.get(name) == value for name, value in (filter or {}).items())


def _plain(value: Any) -> Any:
    """Not less equal than the value: True and 1.0 are 1."""
    if isinstance(value, bool) or (isinstance(value, float) and value.is_integer()):
        return int(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value


def _version(versions: ChannelVersions, name: str) -> str:
    return json.dumps(versions[name]) if name in versions else ""


def _payload(serde: SerializerProtocol, value: Any) -> pb.CheckpointPayload:
    kind, data = serde.dumps_typed(value)
    return pb.CheckpointPayload(type=kind, data=data)


def _value(serde: SerializerProtocol, payload: pb.CheckpointPayload) -> Any:
    return serde.loads_typed((payload.type, payload.data))
