import datetime

from fairlead.v1 import amount_pb2 as _amount_pb2
from fairlead.v1 import tool_pb2 as _tool_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ApprovalState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    APPROVAL_STATE_UNSPECIFIED: _ClassVar[ApprovalState]
    APPROVAL_STATE_PENDING: _ClassVar[ApprovalState]
    APPROVAL_STATE_APPROVED: _ClassVar[ApprovalState]
    APPROVAL_STATE_REJECTED: _ClassVar[ApprovalState]
    APPROVAL_STATE_EXPIRED: _ClassVar[ApprovalState]
    APPROVAL_STATE_CONSUMED: _ClassVar[ApprovalState]
    APPROVAL_STATE_WITHDRAWN: _ClassVar[ApprovalState]

class ApprovalSubject(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    APPROVAL_SUBJECT_UNSPECIFIED: _ClassVar[ApprovalSubject]
    APPROVAL_SUBJECT_TOOL_CALL: _ClassVar[ApprovalSubject]
    APPROVAL_SUBJECT_MODEL_CALL: _ClassVar[ApprovalSubject]
    APPROVAL_SUBJECT_STEP: _ClassVar[ApprovalSubject]
    APPROVAL_SUBJECT_UNKNOWN_STEP: _ClassVar[ApprovalSubject]

class ApprovalDecision(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    APPROVAL_DECISION_UNSPECIFIED: _ClassVar[ApprovalDecision]
    APPROVAL_DECISION_APPROVE: _ClassVar[ApprovalDecision]
    APPROVAL_DECISION_REJECT: _ClassVar[ApprovalDecision]
    APPROVAL_DECISION_EDIT: _ClassVar[ApprovalDecision]

class ResolutionOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RESOLUTION_OUTCOME_UNSPECIFIED: _ClassVar[ResolutionOutcome]
    RESOLUTION_OUTCOME_HAPPENED: _ClassVar[ResolutionOutcome]
    RESOLUTION_OUTCOME_DID_NOT_HAPPEN: _ClassVar[ResolutionOutcome]
APPROVAL_STATE_UNSPECIFIED: ApprovalState
APPROVAL_STATE_PENDING: ApprovalState
APPROVAL_STATE_APPROVED: ApprovalState
APPROVAL_STATE_REJECTED: ApprovalState
APPROVAL_STATE_EXPIRED: ApprovalState
APPROVAL_STATE_CONSUMED: ApprovalState
APPROVAL_STATE_WITHDRAWN: ApprovalState
APPROVAL_SUBJECT_UNSPECIFIED: ApprovalSubject
APPROVAL_SUBJECT_TOOL_CALL: ApprovalSubject
APPROVAL_SUBJECT_MODEL_CALL: ApprovalSubject
APPROVAL_SUBJECT_STEP: ApprovalSubject
APPROVAL_SUBJECT_UNKNOWN_STEP: ApprovalSubject
APPROVAL_DECISION_UNSPECIFIED: ApprovalDecision
APPROVAL_DECISION_APPROVE: ApprovalDecision
APPROVAL_DECISION_REJECT: ApprovalDecision
APPROVAL_DECISION_EDIT: ApprovalDecision
RESOLUTION_OUTCOME_UNSPECIFIED: ResolutionOutcome
RESOLUTION_OUTCOME_HAPPENED: ResolutionOutcome
RESOLUTION_OUTCOME_DID_NOT_HAPPEN: ResolutionOutcome

class Resolution(_message.Message):
    __slots__ = ("outcome", "result")
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    outcome: ResolutionOutcome
    result: bytes
    def __init__(self, outcome: _Optional[_Union[ResolutionOutcome, str]] = ..., result: _Optional[bytes] = ...) -> None: ...

class ApprovalVote(_message.Message):
    __slots__ = ("operator", "roles", "decision", "reason", "vote_time", "digest")
    OPERATOR_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    VOTE_TIME_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    operator: str
    roles: _containers.RepeatedScalarFieldContainer[str]
    decision: ApprovalDecision
    reason: str
    vote_time: _timestamp_pb2.Timestamp
    digest: str
    def __init__(self, operator: _Optional[str] = ..., roles: _Optional[_Iterable[str]] = ..., decision: _Optional[_Union[ApprovalDecision, str]] = ..., reason: _Optional[str] = ..., vote_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., digest: _Optional[str] = ...) -> None: ...

class ApprovalQuorum(_message.Message):
    __slots__ = ("role", "count")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    role: str
    count: int
    def __init__(self, role: _Optional[str] = ..., count: _Optional[int] = ...) -> None: ...

class Approval(_message.Message):
    __slots__ = ("name", "tenant", "agent", "session", "run", "step", "tool", "arguments", "digest", "effect", "risk", "config_version", "rule", "tier", "require", "missing", "state", "votes", "create_time", "expire_time", "end_time", "idempotency_key", "subject", "price", "requested_by_operator", "requested_arguments", "changed", "resolution", "escalates_to", "escalated_from", "traceparent")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    AGENT_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    TOOL_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    EFFECT_FIELD_NUMBER: _ClassVar[int]
    RISK_FIELD_NUMBER: _ClassVar[int]
    CONFIG_VERSION_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    REQUIRE_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    VOTES_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_BY_OPERATOR_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_ARGUMENTS_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    RESOLUTION_FIELD_NUMBER: _ClassVar[int]
    ESCALATES_TO_FIELD_NUMBER: _ClassVar[int]
    ESCALATED_FROM_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    name: str
    tenant: str
    agent: str
    session: str
    run: str
    step: str
    tool: str
    arguments: bytes
    digest: str
    effect: _tool_pb2.ToolEffect
    risk: _tool_pb2.ToolRisk
    config_version: str
    rule: str
    tier: str
    require: _containers.RepeatedCompositeFieldContainer[ApprovalQuorum]
    missing: _containers.RepeatedCompositeFieldContainer[ApprovalQuorum]
    state: ApprovalState
    votes: _containers.RepeatedCompositeFieldContainer[ApprovalVote]
    create_time: _timestamp_pb2.Timestamp
    expire_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    idempotency_key: str
    subject: ApprovalSubject
    price: _amount_pb2.Amount
    requested_by_operator: str
    requested_arguments: bytes
    changed: _containers.RepeatedScalarFieldContainer[str]
    resolution: Resolution
    escalates_to: str
    escalated_from: _containers.RepeatedScalarFieldContainer[str]
    traceparent: str
    def __init__(self, name: _Optional[str] = ..., tenant: _Optional[str] = ..., agent: _Optional[str] = ..., session: _Optional[str] = ..., run: _Optional[str] = ..., step: _Optional[str] = ..., tool: _Optional[str] = ..., arguments: _Optional[bytes] = ..., digest: _Optional[str] = ..., effect: _Optional[_Union[_tool_pb2.ToolEffect, str]] = ..., risk: _Optional[_Union[_tool_pb2.ToolRisk, str]] = ..., config_version: _Optional[str] = ..., rule: _Optional[str] = ..., tier: _Optional[str] = ..., require: _Optional[_Iterable[_Union[ApprovalQuorum, _Mapping]]] = ..., missing: _Optional[_Iterable[_Union[ApprovalQuorum, _Mapping]]] = ..., state: _Optional[_Union[ApprovalState, str]] = ..., votes: _Optional[_Iterable[_Union[ApprovalVote, _Mapping]]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., idempotency_key: _Optional[str] = ..., subject: _Optional[_Union[ApprovalSubject, str]] = ..., price: _Optional[_Union[_amount_pb2.Amount, _Mapping]] = ..., requested_by_operator: _Optional[str] = ..., requested_arguments: _Optional[bytes] = ..., changed: _Optional[_Iterable[str]] = ..., resolution: _Optional[_Union[Resolution, _Mapping]] = ..., escalates_to: _Optional[str] = ..., escalated_from: _Optional[_Iterable[str]] = ..., traceparent: _Optional[str] = ...) -> None: ...

class ListApprovalsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "tenant", "state")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    tenant: str
    state: ApprovalState
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., tenant: _Optional[str] = ..., state: _Optional[_Union[ApprovalState, str]] = ...) -> None: ...

class ListApprovalsResponse(_message.Message):
    __slots__ = ("approvals", "next_page_token")
    APPROVALS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    approvals: _containers.RepeatedCompositeFieldContainer[Approval]
    next_page_token: str
    def __init__(self, approvals: _Optional[_Iterable[_Union[Approval, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetApprovalRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetApprovalResponse(_message.Message):
    __slots__ = ("approval",)
    APPROVAL_FIELD_NUMBER: _ClassVar[int]
    approval: Approval
    def __init__(self, approval: _Optional[_Union[Approval, _Mapping]] = ...) -> None: ...

class DecideApprovalRequest(_message.Message):
    __slots__ = ("request_id", "name", "decision", "reason", "digest", "edited_arguments", "resolution")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    EDITED_ARGUMENTS_FIELD_NUMBER: _ClassVar[int]
    RESOLUTION_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    name: str
    decision: ApprovalDecision
    reason: str
    digest: str
    edited_arguments: bytes
    resolution: Resolution
    def __init__(self, request_id: _Optional[str] = ..., name: _Optional[str] = ..., decision: _Optional[_Union[ApprovalDecision, str]] = ..., reason: _Optional[str] = ..., digest: _Optional[str] = ..., edited_arguments: _Optional[bytes] = ..., resolution: _Optional[_Union[Resolution, _Mapping]] = ...) -> None: ...

class DecideApprovalResponse(_message.Message):
    __slots__ = ("approval",)
    APPROVAL_FIELD_NUMBER: _ClassVar[int]
    approval: Approval
    def __init__(self, approval: _Optional[_Union[Approval, _Mapping]] = ...) -> None: ...

class WatchApprovalsRequest(_message.Message):
    __slots__ = ("resume_token", "tenant")
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    resume_token: str
    tenant: str
    def __init__(self, resume_token: _Optional[str] = ..., tenant: _Optional[str] = ...) -> None: ...

class WatchApprovalsResponse(_message.Message):
    __slots__ = ("approval", "resume_token", "initial")
    APPROVAL_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    INITIAL_FIELD_NUMBER: _ClassVar[int]
    approval: Approval
    resume_token: str
    initial: bool
    def __init__(self, approval: _Optional[_Union[Approval, _Mapping]] = ..., resume_token: _Optional[str] = ..., initial: bool = ...) -> None: ...

class Ticket(_message.Message):
    __slots__ = ("ticket", "approval", "state", "reason", "expire_time")
    TICKET_FIELD_NUMBER: _ClassVar[int]
    APPROVAL_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    ticket: str
    approval: str
    state: ApprovalState
    reason: str
    expire_time: _timestamp_pb2.Timestamp
    def __init__(self, ticket: _Optional[str] = ..., approval: _Optional[str] = ..., state: _Optional[_Union[ApprovalState, str]] = ..., reason: _Optional[str] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class GetTicketRequest(_message.Message):
    __slots__ = ("ticket",)
    TICKET_FIELD_NUMBER: _ClassVar[int]
    ticket: str
    def __init__(self, ticket: _Optional[str] = ...) -> None: ...

class GetTicketResponse(_message.Message):
    __slots__ = ("ticket",)
    TICKET_FIELD_NUMBER: _ClassVar[int]
    ticket: Ticket
    def __init__(self, ticket: _Optional[_Union[Ticket, _Mapping]] = ...) -> None: ...

class WaitTicketRequest(_message.Message):
    __slots__ = ("ticket", "timeout")
    TICKET_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    ticket: str
    timeout: _duration_pb2.Duration
    def __init__(self, ticket: _Optional[str] = ..., timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class WaitTicketResponse(_message.Message):
    __slots__ = ("ticket",)
    TICKET_FIELD_NUMBER: _ClassVar[int]
    ticket: Ticket
    def __init__(self, ticket: _Optional[_Union[Ticket, _Mapping]] = ...) -> None: ...
