import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CreateBackupRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class CreateBackupResponse(_message.Message):
    __slots__ = ("started", "file", "data", "file_end", "end")
    STARTED_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    FILE_END_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    started: BackupStarted
    file: BackupFile
    data: bytes
    file_end: BackupFileEnd
    end: BackupEnd
    def __init__(self, started: _Optional[_Union[BackupStarted, _Mapping]] = ..., file: _Optional[_Union[BackupFile, _Mapping]] = ..., data: _Optional[bytes] = ..., file_end: _Optional[_Union[BackupFileEnd, _Mapping]] = ..., end: _Optional[_Union[BackupEnd, _Mapping]] = ...) -> None: ...

class BackupStarted(_message.Message):
    __slots__ = ("create_time", "program_version", "store_format", "audit_sequence", "audit_head", "files", "bytes")
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    PROGRAM_VERSION_FIELD_NUMBER: _ClassVar[int]
    STORE_FORMAT_FIELD_NUMBER: _ClassVar[int]
    AUDIT_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    AUDIT_HEAD_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    create_time: _timestamp_pb2.Timestamp
    program_version: str
    store_format: str
    audit_sequence: int
    audit_head: bytes
    files: int
    bytes: int
    def __init__(self, create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., program_version: _Optional[str] = ..., store_format: _Optional[str] = ..., audit_sequence: _Optional[int] = ..., audit_head: _Optional[bytes] = ..., files: _Optional[int] = ..., bytes: _Optional[int] = ...) -> None: ...

class BackupFile(_message.Message):
    __slots__ = ("name", "bytes")
    NAME_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    name: str
    bytes: int
    def __init__(self, name: _Optional[str] = ..., bytes: _Optional[int] = ...) -> None: ...

class BackupFileEnd(_message.Message):
    __slots__ = ("sha256",)
    SHA256_FIELD_NUMBER: _ClassVar[int]
    sha256: bytes
    def __init__(self, sha256: _Optional[bytes] = ...) -> None: ...

class BackupEnd(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
