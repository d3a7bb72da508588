from fairlead.v1 import amount_pb2 as _amount_pb2
from fairlead.v1 import decision_pb2 as _decision_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Dialect(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DIALECT_UNSPECIFIED: _ClassVar[Dialect]
    DIALECT_OPENAI_CHAT: _ClassVar[Dialect]
    DIALECT_OPENAI_RESPONSES: _ClassVar[Dialect]
    DIALECT_ANTHROPIC_MESSAGES: _ClassVar[Dialect]
DIALECT_UNSPECIFIED: Dialect
DIALECT_OPENAI_CHAT: Dialect
DIALECT_OPENAI_RESPONSES: Dialect
DIALECT_ANTHROPIC_MESSAGES: Dialect

class CallContext(_message.Message):
    __slots__ = ("workload", "session", "run", "step", "labels", "attributes", "min_output_tokens", "min_quality")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    MIN_OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    MIN_QUALITY_FIELD_NUMBER: _ClassVar[int]
    workload: str
    session: str
    run: str
    step: str
    labels: _containers.ScalarMap[str, str]
    attributes: _struct_pb2.Struct
    min_output_tokens: int
    min_quality: float
    def __init__(self, workload: _Optional[str] = ..., session: _Optional[str] = ..., run: _Optional[str] = ..., step: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., attributes: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., min_output_tokens: _Optional[int] = ..., min_quality: _Optional[float] = ...) -> None: ...

class GenerateRequest(_message.Message):
    __slots__ = ("request_id", "dialect", "body", "context", "ticket")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    DIALECT_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    TICKET_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    dialect: Dialect
    body: bytes
    context: CallContext
    ticket: str
    def __init__(self, request_id: _Optional[str] = ..., dialect: _Optional[_Union[Dialect, str]] = ..., body: _Optional[bytes] = ..., context: _Optional[_Union[CallContext, _Mapping]] = ..., ticket: _Optional[str] = ...) -> None: ...

class GenerateResponse(_message.Message):
    __slots__ = ("invocation", "decision", "body", "model", "attempts", "charged", "cached")
    INVOCATION_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    CHARGED_FIELD_NUMBER: _ClassVar[int]
    CACHED_FIELD_NUMBER: _ClassVar[int]
    invocation: str
    decision: _decision_pb2.Decision
    body: bytes
    model: str
    attempts: _containers.RepeatedCompositeFieldContainer[_decision_pb2.Attempt]
    charged: _amount_pb2.Amount
    cached: bool
    def __init__(self, invocation: _Optional[str] = ..., decision: _Optional[_Union[_decision_pb2.Decision, _Mapping]] = ..., body: _Optional[bytes] = ..., model: _Optional[str] = ..., attempts: _Optional[_Iterable[_Union[_decision_pb2.Attempt, _Mapping]]] = ..., charged: _Optional[_Union[_amount_pb2.Amount, _Mapping]] = ..., cached: bool = ...) -> None: ...

class StreamGenerateRequest(_message.Message):
    __slots__ = ("request_id", "dialect", "body", "context", "ticket")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    DIALECT_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    TICKET_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    dialect: Dialect
    body: bytes
    context: CallContext
    ticket: str
    def __init__(self, request_id: _Optional[str] = ..., dialect: _Optional[_Union[Dialect, str]] = ..., body: _Optional[bytes] = ..., context: _Optional[_Union[CallContext, _Mapping]] = ..., ticket: _Optional[str] = ...) -> None: ...

class StreamGenerateResponse(_message.Message):
    __slots__ = ("start", "event", "end")
    START_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    start: StreamStart
    event: bytes
    end: StreamEnd
    def __init__(self, start: _Optional[_Union[StreamStart, _Mapping]] = ..., event: _Optional[bytes] = ..., end: _Optional[_Union[StreamEnd, _Mapping]] = ...) -> None: ...

class StreamStart(_message.Message):
    __slots__ = ("invocation", "decision", "model", "cached")
    INVOCATION_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    CACHED_FIELD_NUMBER: _ClassVar[int]
    invocation: str
    decision: _decision_pb2.Decision
    model: str
    cached: bool
    def __init__(self, invocation: _Optional[str] = ..., decision: _Optional[_Union[_decision_pb2.Decision, _Mapping]] = ..., model: _Optional[str] = ..., cached: bool = ...) -> None: ...

class StreamEnd(_message.Message):
    __slots__ = ("attempts", "charged")
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    CHARGED_FIELD_NUMBER: _ClassVar[int]
    attempts: _containers.RepeatedCompositeFieldContainer[_decision_pb2.Attempt]
    charged: _amount_pb2.Amount
    def __init__(self, attempts: _Optional[_Iterable[_Union[_decision_pb2.Attempt, _Mapping]]] = ..., charged: _Optional[_Union[_amount_pb2.Amount, _Mapping]] = ...) -> None: ...
