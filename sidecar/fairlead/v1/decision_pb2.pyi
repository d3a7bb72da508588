import datetime

from fairlead.v1 import amount_pb2 as _amount_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DropReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DROP_REASON_UNSPECIFIED: _ClassVar[DropReason]
    DROP_REASON_POLICY: _ClassVar[DropReason]
    DROP_REASON_CAPABILITY: _ClassVar[DropReason]
    DROP_REASON_CONTEXT: _ClassVar[DropReason]
    DROP_REASON_QUALITY: _ClassVar[DropReason]
    DROP_REASON_UNHEALTHY: _ClassVar[DropReason]
    DROP_REASON_LATENCY: _ClassVar[DropReason]
    DROP_REASON_BUDGET: _ClassVar[DropReason]
    DROP_REASON_NOT_SELECTED: _ClassVar[DropReason]
    DROP_REASON_RESIDENCY: _ClassVar[DropReason]
    DROP_REASON_UNTRANSLATABLE: _ClassVar[DropReason]

class AttemptOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ATTEMPT_OUTCOME_UNSPECIFIED: _ClassVar[AttemptOutcome]
    ATTEMPT_OUTCOME_SUCCEEDED: _ClassVar[AttemptOutcome]
    ATTEMPT_OUTCOME_FAILED: _ClassVar[AttemptOutcome]
    ATTEMPT_OUTCOME_CONNECT_FAILED: _ClassVar[AttemptOutcome]
    ATTEMPT_OUTCOME_TIMED_OUT: _ClassVar[AttemptOutcome]
    ATTEMPT_OUTCOME_CUT: _ClassVar[AttemptOutcome]
    ATTEMPT_OUTCOME_CANCELLED: _ClassVar[AttemptOutcome]
    ATTEMPT_OUTCOME_GARBLED: _ClassVar[AttemptOutcome]
    ATTEMPT_OUTCOME_REJECTED: _ClassVar[AttemptOutcome]

class FindingAction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FINDING_ACTION_UNSPECIFIED: _ClassVar[FindingAction]
    FINDING_ACTION_FLAGGED: _ClassVar[FindingAction]
    FINDING_ACTION_REDACTED: _ClassVar[FindingAction]
    FINDING_ACTION_REJECTED: _ClassVar[FindingAction]
DROP_REASON_UNSPECIFIED: DropReason
DROP_REASON_POLICY: DropReason
DROP_REASON_CAPABILITY: DropReason
DROP_REASON_CONTEXT: DropReason
DROP_REASON_QUALITY: DropReason
DROP_REASON_UNHEALTHY: DropReason
DROP_REASON_LATENCY: DropReason
DROP_REASON_BUDGET: DropReason
DROP_REASON_NOT_SELECTED: DropReason
DROP_REASON_RESIDENCY: DropReason
DROP_REASON_UNTRANSLATABLE: DropReason
ATTEMPT_OUTCOME_UNSPECIFIED: AttemptOutcome
ATTEMPT_OUTCOME_SUCCEEDED: AttemptOutcome
ATTEMPT_OUTCOME_FAILED: AttemptOutcome
ATTEMPT_OUTCOME_CONNECT_FAILED: AttemptOutcome
ATTEMPT_OUTCOME_TIMED_OUT: AttemptOutcome
ATTEMPT_OUTCOME_CUT: AttemptOutcome
ATTEMPT_OUTCOME_CANCELLED: AttemptOutcome
ATTEMPT_OUTCOME_GARBLED: AttemptOutcome
ATTEMPT_OUTCOME_REJECTED: AttemptOutcome
FINDING_ACTION_UNSPECIFIED: FindingAction
FINDING_ACTION_FLAGGED: FindingAction
FINDING_ACTION_REDACTED: FindingAction
FINDING_ACTION_REJECTED: FindingAction

class Decision(_message.Message):
    __slots__ = ("config_version", "route", "rules", "deciding_rule", "reason", "output_rules")
    CONFIG_VERSION_FIELD_NUMBER: _ClassVar[int]
    ROUTE_FIELD_NUMBER: _ClassVar[int]
    RULES_FIELD_NUMBER: _ClassVar[int]
    DECIDING_RULE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_RULES_FIELD_NUMBER: _ClassVar[int]
    config_version: str
    route: str
    rules: _containers.RepeatedScalarFieldContainer[str]
    deciding_rule: str
    reason: str
    output_rules: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, config_version: _Optional[str] = ..., route: _Optional[str] = ..., rules: _Optional[_Iterable[str]] = ..., deciding_rule: _Optional[str] = ..., reason: _Optional[str] = ..., output_rules: _Optional[_Iterable[str]] = ...) -> None: ...

class PlannedTarget(_message.Message):
    __slots__ = ("model", "provider", "upstream_model", "timeout", "max_output_tokens")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    UPSTREAM_MODEL_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    MAX_OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    model: str
    provider: str
    upstream_model: str
    timeout: _duration_pb2.Duration
    max_output_tokens: int
    def __init__(self, model: _Optional[str] = ..., provider: _Optional[str] = ..., upstream_model: _Optional[str] = ..., timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., max_output_tokens: _Optional[int] = ...) -> None: ...

class DroppedCandidate(_message.Message):
    __slots__ = ("model", "reason", "detail")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    model: str
    reason: DropReason
    detail: str
    def __init__(self, model: _Optional[str] = ..., reason: _Optional[_Union[DropReason, str]] = ..., detail: _Optional[str] = ...) -> None: ...

class Reservation(_message.Message):
    __slots__ = ("amount", "expires_at")
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    amount: _amount_pb2.Amount
    expires_at: _timestamp_pb2.Timestamp
    def __init__(self, amount: _Optional[_Union[_amount_pb2.Amount, _Mapping]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class OutputFinding(_message.Message):
    __slots__ = ("rule", "detector", "count", "action")
    RULE_FIELD_NUMBER: _ClassVar[int]
    DETECTOR_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    rule: str
    detector: str
    count: int
    action: FindingAction
    def __init__(self, rule: _Optional[str] = ..., detector: _Optional[str] = ..., count: _Optional[int] = ..., action: _Optional[_Union[FindingAction, str]] = ...) -> None: ...

class Attempt(_message.Message):
    __slots__ = ("model", "outcome", "status_code", "retry_after", "latency", "usage", "detail", "dropped_fields", "findings", "delay")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    STATUS_CODE_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_FIELD_NUMBER: _ClassVar[int]
    LATENCY_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELDS_FIELD_NUMBER: _ClassVar[int]
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    DELAY_FIELD_NUMBER: _ClassVar[int]
    model: str
    outcome: AttemptOutcome
    status_code: int
    retry_after: _duration_pb2.Duration
    latency: _duration_pb2.Duration
    usage: _amount_pb2.Usage
    detail: str
    dropped_fields: _containers.RepeatedScalarFieldContainer[str]
    findings: _containers.RepeatedCompositeFieldContainer[OutputFinding]
    delay: _duration_pb2.Duration
    def __init__(self, model: _Optional[str] = ..., outcome: _Optional[_Union[AttemptOutcome, str]] = ..., status_code: _Optional[int] = ..., retry_after: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., latency: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., usage: _Optional[_Union[_amount_pb2.Usage, _Mapping]] = ..., detail: _Optional[str] = ..., dropped_fields: _Optional[_Iterable[str]] = ..., findings: _Optional[_Iterable[_Union[OutputFinding, _Mapping]]] = ..., delay: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...
