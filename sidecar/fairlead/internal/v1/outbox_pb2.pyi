from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class OutboxCursor(_message.Message):
    __slots__ = ("sequence",)
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    def __init__(self, sequence: _Optional[int] = ...) -> None: ...

class OutboxDelivery(_message.Message):
    __slots__ = ("receiver", "sequence", "id", "event", "tenant", "approval", "body", "create_time_unix_nanos", "attempts", "next_attempt_unix_nanos", "last_attempt_unix_nanos", "problem", "dead_time_unix_nanos", "receiver_rests")
    RECEIVER_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    APPROVAL_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_ATTEMPT_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    LAST_ATTEMPT_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    DEAD_TIME_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    RECEIVER_RESTS_FIELD_NUMBER: _ClassVar[int]
    receiver: str
    sequence: int
    id: str
    event: str
    tenant: str
    approval: str
    body: bytes
    create_time_unix_nanos: int
    attempts: int
    next_attempt_unix_nanos: int
    last_attempt_unix_nanos: int
    problem: str
    dead_time_unix_nanos: int
    receiver_rests: bool
    def __init__(self, receiver: _Optional[str] = ..., sequence: _Optional[int] = ..., id: _Optional[str] = ..., event: _Optional[str] = ..., tenant: _Optional[str] = ..., approval: _Optional[str] = ..., body: _Optional[bytes] = ..., create_time_unix_nanos: _Optional[int] = ..., attempts: _Optional[int] = ..., next_attempt_unix_nanos: _Optional[int] = ..., last_attempt_unix_nanos: _Optional[int] = ..., problem: _Optional[str] = ..., dead_time_unix_nanos: _Optional[int] = ..., receiver_rests: bool = ...) -> None: ...
