from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CheckpointChannelState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CHECKPOINT_CHANNEL_STATE_UNSPECIFIED: _ClassVar[CheckpointChannelState]
    CHECKPOINT_CHANNEL_STATE_SET: _ClassVar[CheckpointChannelState]
    CHECKPOINT_CHANNEL_STATE_UNCHANGED: _ClassVar[CheckpointChannelState]
    CHECKPOINT_CHANNEL_STATE_EMPTY: _ClassVar[CheckpointChannelState]

class PruneStrategy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PRUNE_STRATEGY_UNSPECIFIED: _ClassVar[PruneStrategy]
    PRUNE_STRATEGY_KEEP_LATEST: _ClassVar[PruneStrategy]
    PRUNE_STRATEGY_DELETE: _ClassVar[PruneStrategy]
CHECKPOINT_CHANNEL_STATE_UNSPECIFIED: CheckpointChannelState
CHECKPOINT_CHANNEL_STATE_SET: CheckpointChannelState
CHECKPOINT_CHANNEL_STATE_UNCHANGED: CheckpointChannelState
CHECKPOINT_CHANNEL_STATE_EMPTY: CheckpointChannelState
PRUNE_STRATEGY_UNSPECIFIED: PruneStrategy
PRUNE_STRATEGY_KEEP_LATEST: PruneStrategy
PRUNE_STRATEGY_DELETE: PruneStrategy

class CheckpointPayload(_message.Message):
    __slots__ = ("type", "data", "size_bytes", "handle")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    HANDLE_FIELD_NUMBER: _ClassVar[int]
    type: str
    data: bytes
    size_bytes: int
    handle: str
    def __init__(self, type: _Optional[str] = ..., data: _Optional[bytes] = ..., size_bytes: _Optional[int] = ..., handle: _Optional[str] = ...) -> None: ...

class CheckpointChannel(_message.Message):
    __slots__ = ("name", "version", "state", "value")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    state: CheckpointChannelState
    value: CheckpointPayload
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., state: _Optional[_Union[CheckpointChannelState, str]] = ..., value: _Optional[_Union[CheckpointPayload, _Mapping]] = ...) -> None: ...

class CheckpointWrite(_message.Message):
    __slots__ = ("task", "index", "channel", "task_path", "value")
    TASK_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    TASK_PATH_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    task: str
    index: int
    channel: str
    task_path: str
    value: CheckpointPayload
    def __init__(self, task: _Optional[str] = ..., index: _Optional[int] = ..., channel: _Optional[str] = ..., task_path: _Optional[str] = ..., value: _Optional[_Union[CheckpointPayload, _Mapping]] = ...) -> None: ...

class Checkpoint(_message.Message):
    __slots__ = ("thread", "namespace", "checkpoint", "parent", "run", "attributes", "body", "metadata", "channels", "accumulating_channels", "writes")
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    THREAD_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    PARENT_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    ACCUMULATING_CHANNELS_FIELD_NUMBER: _ClassVar[int]
    WRITES_FIELD_NUMBER: _ClassVar[int]
    thread: str
    namespace: str
    checkpoint: str
    parent: str
    run: str
    attributes: _containers.ScalarMap[str, str]
    body: CheckpointPayload
    metadata: CheckpointPayload
    channels: _containers.RepeatedCompositeFieldContainer[CheckpointChannel]
    accumulating_channels: _containers.RepeatedScalarFieldContainer[str]
    writes: _containers.RepeatedCompositeFieldContainer[CheckpointWrite]
    def __init__(self, thread: _Optional[str] = ..., namespace: _Optional[str] = ..., checkpoint: _Optional[str] = ..., parent: _Optional[str] = ..., run: _Optional[str] = ..., attributes: _Optional[_Mapping[str, str]] = ..., body: _Optional[_Union[CheckpointPayload, _Mapping]] = ..., metadata: _Optional[_Union[CheckpointPayload, _Mapping]] = ..., channels: _Optional[_Iterable[_Union[CheckpointChannel, _Mapping]]] = ..., accumulating_channels: _Optional[_Iterable[str]] = ..., writes: _Optional[_Iterable[_Union[CheckpointWrite, _Mapping]]] = ...) -> None: ...

class PutCheckpointRequest(_message.Message):
    __slots__ = ("checkpoint",)
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    checkpoint: Checkpoint
    def __init__(self, checkpoint: _Optional[_Union[Checkpoint, _Mapping]] = ...) -> None: ...

class PutCheckpointResponse(_message.Message):
    __slots__ = ("missing_channels",)
    MISSING_CHANNELS_FIELD_NUMBER: _ClassVar[int]
    missing_channels: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, missing_channels: _Optional[_Iterable[str]] = ...) -> None: ...

class PutWritesRequest(_message.Message):
    __slots__ = ("thread", "namespace", "checkpoint", "writes")
    THREAD_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    WRITES_FIELD_NUMBER: _ClassVar[int]
    thread: str
    namespace: str
    checkpoint: str
    writes: _containers.RepeatedCompositeFieldContainer[CheckpointWrite]
    def __init__(self, thread: _Optional[str] = ..., namespace: _Optional[str] = ..., checkpoint: _Optional[str] = ..., writes: _Optional[_Iterable[_Union[CheckpointWrite, _Mapping]]] = ...) -> None: ...

class PutWritesResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class PutLargeRequest(_message.Message):
    __slots__ = ("checkpoint", "writes", "data")
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    WRITES_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    checkpoint: PutCheckpointRequest
    writes: PutWritesRequest
    data: bytes
    def __init__(self, checkpoint: _Optional[_Union[PutCheckpointRequest, _Mapping]] = ..., writes: _Optional[_Union[PutWritesRequest, _Mapping]] = ..., data: _Optional[bytes] = ...) -> None: ...

class PutLargeResponse(_message.Message):
    __slots__ = ("missing_channels",)
    MISSING_CHANNELS_FIELD_NUMBER: _ClassVar[int]
    missing_channels: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, missing_channels: _Optional[_Iterable[str]] = ...) -> None: ...

class GetCheckpointRequest(_message.Message):
    __slots__ = ("thread", "namespace", "checkpoint")
    THREAD_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    thread: str
    namespace: str
    checkpoint: str
    def __init__(self, thread: _Optional[str] = ..., namespace: _Optional[str] = ..., checkpoint: _Optional[str] = ...) -> None: ...

class GetCheckpointResponse(_message.Message):
    __slots__ = ("checkpoint",)
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    checkpoint: Checkpoint
    def __init__(self, checkpoint: _Optional[_Union[Checkpoint, _Mapping]] = ...) -> None: ...

class ListCheckpointsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "thread", "namespace", "checkpoint", "before", "attributes")
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    THREAD_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    thread: str
    namespace: str
    checkpoint: str
    before: str
    attributes: _containers.ScalarMap[str, str]
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., thread: _Optional[str] = ..., namespace: _Optional[str] = ..., checkpoint: _Optional[str] = ..., before: _Optional[str] = ..., attributes: _Optional[_Mapping[str, str]] = ...) -> None: ...

class ListCheckpointsResponse(_message.Message):
    __slots__ = ("checkpoints", "next_page_token")
    CHECKPOINTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    checkpoints: _containers.RepeatedCompositeFieldContainer[Checkpoint]
    next_page_token: str
    def __init__(self, checkpoints: _Optional[_Iterable[_Union[Checkpoint, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ListAncestorsRequest(_message.Message):
    __slots__ = ("thread", "namespace", "checkpoint", "channels")
    THREAD_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    thread: str
    namespace: str
    checkpoint: str
    channels: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, thread: _Optional[str] = ..., namespace: _Optional[str] = ..., checkpoint: _Optional[str] = ..., channels: _Optional[_Iterable[str]] = ...) -> None: ...

class ListAncestorsResponse(_message.Message):
    __slots__ = ("checkpoints", "more")
    CHECKPOINTS_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    checkpoints: _containers.RepeatedCompositeFieldContainer[Checkpoint]
    more: bool
    def __init__(self, checkpoints: _Optional[_Iterable[_Union[Checkpoint, _Mapping]]] = ..., more: bool = ...) -> None: ...

class ReadPayloadRequest(_message.Message):
    __slots__ = ("handle", "piece")
    HANDLE_FIELD_NUMBER: _ClassVar[int]
    PIECE_FIELD_NUMBER: _ClassVar[int]
    handle: str
    piece: int
    def __init__(self, handle: _Optional[str] = ..., piece: _Optional[int] = ...) -> None: ...

class ReadPayloadResponse(_message.Message):
    __slots__ = ("data",)
    DATA_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    def __init__(self, data: _Optional[bytes] = ...) -> None: ...

class DeleteThreadRequest(_message.Message):
    __slots__ = ("thread",)
    THREAD_FIELD_NUMBER: _ClassVar[int]
    thread: str
    def __init__(self, thread: _Optional[str] = ...) -> None: ...

class DeleteThreadResponse(_message.Message):
    __slots__ = ("checkpoints",)
    CHECKPOINTS_FIELD_NUMBER: _ClassVar[int]
    checkpoints: int
    def __init__(self, checkpoints: _Optional[int] = ...) -> None: ...

class DeleteForRunsRequest(_message.Message):
    __slots__ = ("runs",)
    RUNS_FIELD_NUMBER: _ClassVar[int]
    runs: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, runs: _Optional[_Iterable[str]] = ...) -> None: ...

class DeleteForRunsResponse(_message.Message):
    __slots__ = ("checkpoints",)
    CHECKPOINTS_FIELD_NUMBER: _ClassVar[int]
    checkpoints: int
    def __init__(self, checkpoints: _Optional[int] = ...) -> None: ...

class CopyThreadRequest(_message.Message):
    __slots__ = ("source", "target")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    source: str
    target: str
    def __init__(self, source: _Optional[str] = ..., target: _Optional[str] = ...) -> None: ...

class CopyThreadResponse(_message.Message):
    __slots__ = ("checkpoints",)
    CHECKPOINTS_FIELD_NUMBER: _ClassVar[int]
    checkpoints: int
    def __init__(self, checkpoints: _Optional[int] = ...) -> None: ...

class PruneThreadsRequest(_message.Message):
    __slots__ = ("threads", "strategy")
    THREADS_FIELD_NUMBER: _ClassVar[int]
    STRATEGY_FIELD_NUMBER: _ClassVar[int]
    threads: _containers.RepeatedScalarFieldContainer[str]
    strategy: PruneStrategy
    def __init__(self, threads: _Optional[_Iterable[str]] = ..., strategy: _Optional[_Union[PruneStrategy, str]] = ...) -> None: ...

class PruneThreadsResponse(_message.Message):
    __slots__ = ("checkpoints",)
    CHECKPOINTS_FIELD_NUMBER: _ClassVar[int]
    checkpoints: int
    def __init__(self, checkpoints: _Optional[int] = ...) -> None: ...
