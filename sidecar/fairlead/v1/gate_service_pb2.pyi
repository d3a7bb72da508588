import datetime

from fairlead.v1 import amount_pb2 as _amount_pb2
from fairlead.v1 import decision_pb2 as _decision_pb2
from fairlead.v1 import tool_pb2 as _tool_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ToolOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TOOL_OUTCOME_UNSPECIFIED: _ClassVar[ToolOutcome]
    TOOL_OUTCOME_SUCCEEDED: _ClassVar[ToolOutcome]
    TOOL_OUTCOME_FAILED: _ClassVar[ToolOutcome]
    TOOL_OUTCOME_UNKNOWN: _ClassVar[ToolOutcome]
TOOL_OUTCOME_UNSPECIFIED: ToolOutcome
TOOL_OUTCOME_SUCCEEDED: ToolOutcome
TOOL_OUTCOME_FAILED: ToolOutcome
TOOL_OUTCOME_UNKNOWN: ToolOutcome

class AdmitRequest(_message.Message):
    __slots__ = ("request_id", "model", "workload", "session", "run", "step", "labels", "input_tokens", "input_bytes", "max_output_tokens", "attributes", "min_output_tokens", "min_quality", "capabilities", "stream", "ticket")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    INPUT_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    MIN_OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    MIN_QUALITY_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    TICKET_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    model: str
    workload: str
    session: str
    run: str
    step: str
    labels: _containers.ScalarMap[str, str]
    input_tokens: int
    input_bytes: int
    max_output_tokens: int
    attributes: _struct_pb2.Struct
    min_output_tokens: int
    min_quality: float
    capabilities: _containers.RepeatedScalarFieldContainer[str]
    stream: bool
    ticket: str
    def __init__(self, request_id: _Optional[str] = ..., model: _Optional[str] = ..., workload: _Optional[str] = ..., session: _Optional[str] = ..., run: _Optional[str] = ..., step: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., input_tokens: _Optional[int] = ..., input_bytes: _Optional[int] = ..., max_output_tokens: _Optional[int] = ..., attributes: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., min_output_tokens: _Optional[int] = ..., min_quality: _Optional[float] = ..., capabilities: _Optional[_Iterable[str]] = ..., stream: bool = ..., ticket: _Optional[str] = ...) -> None: ...

class AdmitResponse(_message.Message):
    __slots__ = ("invocation", "decision", "plan", "reservation", "max_output_tokens", "dropped", "clamped", "admitted_at")
    INVOCATION_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    RESERVATION_FIELD_NUMBER: _ClassVar[int]
    MAX_OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    CLAMPED_FIELD_NUMBER: _ClassVar[int]
    ADMITTED_AT_FIELD_NUMBER: _ClassVar[int]
    invocation: str
    decision: _decision_pb2.Decision
    plan: _containers.RepeatedCompositeFieldContainer[_decision_pb2.PlannedTarget]
    reservation: _decision_pb2.Reservation
    max_output_tokens: int
    dropped: _containers.RepeatedCompositeFieldContainer[_decision_pb2.DroppedCandidate]
    clamped: bool
    admitted_at: _timestamp_pb2.Timestamp
    def __init__(self, invocation: _Optional[str] = ..., decision: _Optional[_Union[_decision_pb2.Decision, _Mapping]] = ..., plan: _Optional[_Iterable[_Union[_decision_pb2.PlannedTarget, _Mapping]]] = ..., reservation: _Optional[_Union[_decision_pb2.Reservation, _Mapping]] = ..., max_output_tokens: _Optional[int] = ..., dropped: _Optional[_Iterable[_Union[_decision_pb2.DroppedCandidate, _Mapping]]] = ..., clamped: bool = ..., admitted_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class SettleRequest(_message.Message):
    __slots__ = ("request_id", "invocation", "attempts")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    INVOCATION_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    invocation: str
    attempts: _containers.RepeatedCompositeFieldContainer[_decision_pb2.Attempt]
    def __init__(self, request_id: _Optional[str] = ..., invocation: _Optional[str] = ..., attempts: _Optional[_Iterable[_Union[_decision_pb2.Attempt, _Mapping]]] = ...) -> None: ...

class SettleResponse(_message.Message):
    __slots__ = ("charged", "released", "late", "overdraft")
    CHARGED_FIELD_NUMBER: _ClassVar[int]
    RELEASED_FIELD_NUMBER: _ClassVar[int]
    LATE_FIELD_NUMBER: _ClassVar[int]
    OVERDRAFT_FIELD_NUMBER: _ClassVar[int]
    charged: _amount_pb2.Amount
    released: _amount_pb2.Amount
    late: bool
    overdraft: bool
    def __init__(self, charged: _Optional[_Union[_amount_pb2.Amount, _Mapping]] = ..., released: _Optional[_Union[_amount_pb2.Amount, _Mapping]] = ..., late: bool = ..., overdraft: bool = ...) -> None: ...

class ReleaseRequest(_message.Message):
    __slots__ = ("request_id", "invocation", "reason")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    INVOCATION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    invocation: str
    reason: str
    def __init__(self, request_id: _Optional[str] = ..., invocation: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class ReleaseResponse(_message.Message):
    __slots__ = ("released",)
    RELEASED_FIELD_NUMBER: _ClassVar[int]
    released: _amount_pb2.Amount
    def __init__(self, released: _Optional[_Union[_amount_pb2.Amount, _Mapping]] = ...) -> None: ...

class AuthorizeToolRequest(_message.Message):
    __slots__ = ("request_id", "tool", "arguments", "effect", "idempotency_key", "run", "step", "labels", "ticket", "session")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    TOOL_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_FIELD_NUMBER: _ClassVar[int]
    EFFECT_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    TICKET_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    tool: str
    arguments: bytes
    effect: _tool_pb2.ToolEffect
    idempotency_key: str
    run: str
    step: str
    labels: _containers.ScalarMap[str, str]
    ticket: str
    session: str
    def __init__(self, request_id: _Optional[str] = ..., tool: _Optional[str] = ..., arguments: _Optional[bytes] = ..., effect: _Optional[_Union[_tool_pb2.ToolEffect, str]] = ..., idempotency_key: _Optional[str] = ..., run: _Optional[str] = ..., step: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., ticket: _Optional[str] = ..., session: _Optional[str] = ...) -> None: ...

class AuthorizeToolResponse(_message.Message):
    __slots__ = ("granted", "pending", "replayed", "decision")
    GRANTED_FIELD_NUMBER: _ClassVar[int]
    PENDING_FIELD_NUMBER: _ClassVar[int]
    REPLAYED_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    granted: ToolGranted
    pending: ToolPending
    replayed: ToolReplayed
    decision: _decision_pb2.Decision
    def __init__(self, granted: _Optional[_Union[ToolGranted, _Mapping]] = ..., pending: _Optional[_Union[ToolPending, _Mapping]] = ..., replayed: _Optional[_Union[ToolReplayed, _Mapping]] = ..., decision: _Optional[_Union[_decision_pb2.Decision, _Mapping]] = ...) -> None: ...

class ToolGranted(_message.Message):
    __slots__ = ("grant", "idempotency_key", "constraints", "expires_at", "arguments")
    GRANT_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    CONSTRAINTS_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_FIELD_NUMBER: _ClassVar[int]
    grant: str
    idempotency_key: str
    constraints: ToolConstraints
    expires_at: _timestamp_pb2.Timestamp
    arguments: bytes
    def __init__(self, grant: _Optional[str] = ..., idempotency_key: _Optional[str] = ..., constraints: _Optional[_Union[ToolConstraints, _Mapping]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., arguments: _Optional[bytes] = ...) -> None: ...

class ToolConstraints(_message.Message):
    __slots__ = ("arguments", "changed")
    ARGUMENTS_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    arguments: bytes
    changed: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, arguments: _Optional[bytes] = ..., changed: _Optional[_Iterable[str]] = ...) -> None: ...

class ToolPending(_message.Message):
    __slots__ = ("ticket", "approval", "expires_at", "poll_after")
    TICKET_FIELD_NUMBER: _ClassVar[int]
    APPROVAL_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    POLL_AFTER_FIELD_NUMBER: _ClassVar[int]
    ticket: str
    approval: str
    expires_at: _timestamp_pb2.Timestamp
    poll_after: _duration_pb2.Duration
    def __init__(self, ticket: _Optional[str] = ..., approval: _Optional[str] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., poll_after: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class ToolReplayed(_message.Message):
    __slots__ = ("result", "grant")
    RESULT_FIELD_NUMBER: _ClassVar[int]
    GRANT_FIELD_NUMBER: _ClassVar[int]
    result: bytes
    grant: str
    def __init__(self, result: _Optional[bytes] = ..., grant: _Optional[str] = ...) -> None: ...

class CompleteToolRequest(_message.Message):
    __slots__ = ("request_id", "grant", "outcome", "result")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    GRANT_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    grant: str
    outcome: ToolOutcome
    result: bytes
    def __init__(self, request_id: _Optional[str] = ..., grant: _Optional[str] = ..., outcome: _Optional[_Union[ToolOutcome, str]] = ..., result: _Optional[bytes] = ...) -> None: ...

class CompleteToolResponse(_message.Message):
    __slots__ = ("session_labels",)
    SESSION_LABELS_FIELD_NUMBER: _ClassVar[int]
    session_labels: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, session_labels: _Optional[_Iterable[str]] = ...) -> None: ...
