from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CheckpointThreadRecord(_message.Message):
    __slots__ = ("incarnation", "revision", "size_bytes", "checkpoints", "copied_from")
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINTS_FIELD_NUMBER: _ClassVar[int]
    COPIED_FROM_FIELD_NUMBER: _ClassVar[int]
    incarnation: bytes
    revision: int
    size_bytes: int
    checkpoints: int
    copied_from: CopiedThread
    def __init__(self, incarnation: _Optional[bytes] = ..., revision: _Optional[int] = ..., size_bytes: _Optional[int] = ..., checkpoints: _Optional[int] = ..., copied_from: _Optional[_Union[CopiedThread, _Mapping]] = ...) -> None: ...

class CopiedThread(_message.Message):
    __slots__ = ("incarnation", "revision")
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    incarnation: bytes
    revision: int
    def __init__(self, incarnation: _Optional[bytes] = ..., revision: _Optional[int] = ...) -> None: ...

class CheckpointRecord(_message.Message):
    __slots__ = ("parent", "run", "attributes", "body", "metadata", "channels", "accumulating_channels")
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    PARENT_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    ACCUMULATING_CHANNELS_FIELD_NUMBER: _ClassVar[int]
    parent: str
    run: str
    attributes: _containers.ScalarMap[str, str]
    body: StoredPayload
    metadata: StoredPayload
    channels: _containers.RepeatedCompositeFieldContainer[StoredChannel]
    accumulating_channels: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, parent: _Optional[str] = ..., run: _Optional[str] = ..., attributes: _Optional[_Mapping[str, str]] = ..., body: _Optional[_Union[StoredPayload, _Mapping]] = ..., metadata: _Optional[_Union[StoredPayload, _Mapping]] = ..., channels: _Optional[_Iterable[_Union[StoredChannel, _Mapping]]] = ..., accumulating_channels: _Optional[_Iterable[str]] = ...) -> None: ...

class StoredChannel(_message.Message):
    __slots__ = ("name", "version", "digest")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    digest: bytes
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., digest: _Optional[bytes] = ...) -> None: ...

class StoredPayload(_message.Message):
    __slots__ = ("type", "data", "size_bytes")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    type: str
    data: bytes
    size_bytes: int
    def __init__(self, type: _Optional[str] = ..., data: _Optional[bytes] = ..., size_bytes: _Optional[int] = ...) -> None: ...

class CheckpointWriteRecord(_message.Message):
    __slots__ = ("channel", "task_path", "value")
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    TASK_PATH_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    channel: str
    task_path: str
    value: StoredPayload
    def __init__(self, channel: _Optional[str] = ..., task_path: _Optional[str] = ..., value: _Optional[_Union[StoredPayload, _Mapping]] = ...) -> None: ...
