from fairlead.v1 import amount_pb2 as _amount_pb2
from fairlead.v1 import approval_service_pb2 as _approval_service_pb2
from fairlead.v1 import decision_pb2 as _decision_pb2
from fairlead.v1 import gate_service_pb2 as _gate_service_pb2
from fairlead.v1 import run_pb2 as _run_pb2
from fairlead.v1 import tool_pb2 as _tool_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class InvocationState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INVOCATION_STATE_UNSPECIFIED: _ClassVar[InvocationState]
    INVOCATION_STATE_OPEN: _ClassVar[InvocationState]
    INVOCATION_STATE_SETTLED: _ClassVar[InvocationState]
    INVOCATION_STATE_RELEASED: _ClassVar[InvocationState]
    INVOCATION_STATE_EXPIRED: _ClassVar[InvocationState]
    INVOCATION_STATE_REJECTED: _ClassVar[InvocationState]
    INVOCATION_STATE_PENDING: _ClassVar[InvocationState]

class EventKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EVENT_KIND_UNSPECIFIED: _ClassVar[EventKind]
    EVENT_KIND_SIDECAR_STARTED: _ClassVar[EventKind]
    EVENT_KIND_CONFIG_APPLIED: _ClassVar[EventKind]
    EVENT_KIND_INVOCATION_ADMITTED: _ClassVar[EventKind]
    EVENT_KIND_INVOCATION_REJECTED: _ClassVar[EventKind]
    EVENT_KIND_INVOCATION_SETTLED: _ClassVar[EventKind]
    EVENT_KIND_INVOCATION_RELEASED: _ClassVar[EventKind]
    EVENT_KIND_INVOCATION_EXPIRED: _ClassVar[EventKind]
    EVENT_KIND_BUDGET_OVERDRAFT: _ClassVar[EventKind]
    EVENT_KIND_BUDGET_ALERT: _ClassVar[EventKind]
    EVENT_KIND_BUDGET_ADJUSTED: _ClassVar[EventKind]
    EVENT_KIND_CONTROL_CHANGED: _ClassVar[EventKind]
    EVENT_KIND_CONFIG_REJECTED: _ClassVar[EventKind]
    EVENT_KIND_TOOL_AUTHORIZED: _ClassVar[EventKind]
    EVENT_KIND_TOOL_REJECTED: _ClassVar[EventKind]
    EVENT_KIND_TOOL_PENDING: _ClassVar[EventKind]
    EVENT_KIND_TOOL_REPLAYED: _ClassVar[EventKind]
    EVENT_KIND_TOOL_COMPLETED: _ClassVar[EventKind]
    EVENT_KIND_APPROVAL_VOTED: _ClassVar[EventKind]
    EVENT_KIND_APPROVAL_ENDED: _ClassVar[EventKind]
    EVENT_KIND_APPROVAL_OPENED: _ClassVar[EventKind]
    EVENT_KIND_APPROVAL_EDITED: _ClassVar[EventKind]
    EVENT_KIND_APPROVAL_ESCALATED: _ClassVar[EventKind]
    EVENT_KIND_INVOCATION_PENDING: _ClassVar[EventKind]
    EVENT_KIND_RUN_STARTED: _ClassVar[EventKind]
    EVENT_KIND_RUN_PAUSED: _ClassVar[EventKind]
    EVENT_KIND_RUN_RESUMED: _ClassVar[EventKind]
    EVENT_KIND_RUN_CANCELLING: _ClassVar[EventKind]
    EVENT_KIND_RUN_ENDED: _ClassVar[EventKind]
    EVENT_KIND_RUN_SIGNALLED: _ClassVar[EventKind]
    EVENT_KIND_RUN_REPAIRED: _ClassVar[EventKind]
    EVENT_KIND_STEP_LEASED: _ClassVar[EventKind]
    EVENT_KIND_STEP_SUCCEEDED: _ClassVar[EventKind]
    EVENT_KIND_STEP_RETRIED: _ClassVar[EventKind]
    EVENT_KIND_STEP_FAILED: _ClassVar[EventKind]
    EVENT_KIND_STEP_UNKNOWN: _ClassVar[EventKind]
    EVENT_KIND_STEP_RESOLVED: _ClassVar[EventKind]
    EVENT_KIND_STEP_SKIPPED: _ClassVar[EventKind]
    EVENT_KIND_STEP_WAITING: _ClassVar[EventKind]
    EVENT_KIND_STEP_COMPENSATED: _ClassVar[EventKind]
    EVENT_KIND_STEP_REPLAYED: _ClassVar[EventKind]

class BreakerState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BREAKER_STATE_UNSPECIFIED: _ClassVar[BreakerState]
    BREAKER_STATE_CLOSED: _ClassVar[BreakerState]
    BREAKER_STATE_OPEN: _ClassVar[BreakerState]
    BREAKER_STATE_HALF_OPEN: _ClassVar[BreakerState]
    BREAKER_STATE_RAMPING: _ClassVar[BreakerState]

class ToolCallState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TOOL_CALL_STATE_UNSPECIFIED: _ClassVar[ToolCallState]
    TOOL_CALL_STATE_PENDING: _ClassVar[ToolCallState]
    TOOL_CALL_STATE_OPEN: _ClassVar[ToolCallState]
    TOOL_CALL_STATE_SUCCEEDED: _ClassVar[ToolCallState]
    TOOL_CALL_STATE_FAILED: _ClassVar[ToolCallState]
    TOOL_CALL_STATE_UNKNOWN: _ClassVar[ToolCallState]
    TOOL_CALL_STATE_REJECTED: _ClassVar[ToolCallState]
    TOOL_CALL_STATE_EXPIRED: _ClassVar[ToolCallState]
INVOCATION_STATE_UNSPECIFIED: InvocationState
INVOCATION_STATE_OPEN: InvocationState
INVOCATION_STATE_SETTLED: InvocationState
INVOCATION_STATE_RELEASED: InvocationState
INVOCATION_STATE_EXPIRED: InvocationState
INVOCATION_STATE_REJECTED: InvocationState
INVOCATION_STATE_PENDING: InvocationState
EVENT_KIND_UNSPECIFIED: EventKind
EVENT_KIND_SIDECAR_STARTED: EventKind
EVENT_KIND_CONFIG_APPLIED: EventKind
EVENT_KIND_INVOCATION_ADMITTED: EventKind
EVENT_KIND_INVOCATION_REJECTED: EventKind
EVENT_KIND_INVOCATION_SETTLED: EventKind
EVENT_KIND_INVOCATION_RELEASED: EventKind
EVENT_KIND_INVOCATION_EXPIRED: EventKind
EVENT_KIND_BUDGET_OVERDRAFT: EventKind
EVENT_KIND_BUDGET_ALERT: EventKind
EVENT_KIND_BUDGET_ADJUSTED: EventKind
EVENT_KIND_CONTROL_CHANGED: EventKind
EVENT_KIND_CONFIG_REJECTED: EventKind
EVENT_KIND_TOOL_AUTHORIZED: EventKind
EVENT_KIND_TOOL_REJECTED: EventKind
EVENT_KIND_TOOL_PENDING: EventKind
EVENT_KIND_TOOL_REPLAYED: EventKind
EVENT_KIND_TOOL_COMPLETED: EventKind
EVENT_KIND_APPROVAL_VOTED: EventKind
EVENT_KIND_APPROVAL_ENDED: EventKind
EVENT_KIND_APPROVAL_OPENED: EventKind
EVENT_KIND_APPROVAL_EDITED: EventKind
EVENT_KIND_APPROVAL_ESCALATED: EventKind
EVENT_KIND_INVOCATION_PENDING: EventKind
EVENT_KIND_RUN_STARTED: EventKind
EVENT_KIND_RUN_PAUSED: EventKind
EVENT_KIND_RUN_RESUMED: EventKind
EVENT_KIND_RUN_CANCELLING: EventKind
EVENT_KIND_RUN_ENDED: EventKind
EVENT_KIND_RUN_SIGNALLED: EventKind
EVENT_KIND_RUN_REPAIRED: EventKind
EVENT_KIND_STEP_LEASED: EventKind
EVENT_KIND_STEP_SUCCEEDED: EventKind
EVENT_KIND_STEP_RETRIED: EventKind
EVENT_KIND_STEP_FAILED: EventKind
EVENT_KIND_STEP_UNKNOWN: EventKind
EVENT_KIND_STEP_RESOLVED: EventKind
EVENT_KIND_STEP_SKIPPED: EventKind
EVENT_KIND_STEP_WAITING: EventKind
EVENT_KIND_STEP_COMPENSATED: EventKind
EVENT_KIND_STEP_REPLAYED: EventKind
BREAKER_STATE_UNSPECIFIED: BreakerState
BREAKER_STATE_CLOSED: BreakerState
BREAKER_STATE_OPEN: BreakerState
BREAKER_STATE_HALF_OPEN: BreakerState
BREAKER_STATE_RAMPING: BreakerState
TOOL_CALL_STATE_UNSPECIFIED: ToolCallState
TOOL_CALL_STATE_PENDING: ToolCallState
TOOL_CALL_STATE_OPEN: ToolCallState
TOOL_CALL_STATE_SUCCEEDED: ToolCallState
TOOL_CALL_STATE_FAILED: ToolCallState
TOOL_CALL_STATE_UNKNOWN: ToolCallState
TOOL_CALL_STATE_REJECTED: ToolCallState
TOOL_CALL_STATE_EXPIRED: ToolCallState

class AuditRecord(_message.Message):
    __slots__ = ("sequence", "time_unix_nanos", "kind", "tenant", "agent", "operator", "invocation", "config_version", "traceparent", "sidecar_started", "config_applied", "decision", "settlement", "hold_ended", "budget", "control_changed", "config_rejected", "tool", "tool_completed", "approval", "run", "step")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    TIME_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    AGENT_FIELD_NUMBER: _ClassVar[int]
    OPERATOR_FIELD_NUMBER: _ClassVar[int]
    INVOCATION_FIELD_NUMBER: _ClassVar[int]
    CONFIG_VERSION_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    SIDECAR_STARTED_FIELD_NUMBER: _ClassVar[int]
    CONFIG_APPLIED_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    SETTLEMENT_FIELD_NUMBER: _ClassVar[int]
    HOLD_ENDED_FIELD_NUMBER: _ClassVar[int]
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    CONTROL_CHANGED_FIELD_NUMBER: _ClassVar[int]
    CONFIG_REJECTED_FIELD_NUMBER: _ClassVar[int]
    TOOL_FIELD_NUMBER: _ClassVar[int]
    TOOL_COMPLETED_FIELD_NUMBER: _ClassVar[int]
    APPROVAL_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    time_unix_nanos: int
    kind: EventKind
    tenant: str
    agent: str
    operator: str
    invocation: str
    config_version: str
    traceparent: str
    sidecar_started: SidecarStarted
    config_applied: ConfigApplied
    decision: DecisionRecord
    settlement: SettlementRecord
    hold_ended: HoldEnded
    budget: BudgetEvent
    control_changed: ControlChanged
    config_rejected: ConfigRejected
    tool: ToolDecisionRecord
    tool_completed: ToolCompletionRecord
    approval: ApprovalEvent
    run: RunEvent
    step: StepEvent
    def __init__(self, sequence: _Optional[int] = ..., time_unix_nanos: _Optional[int] = ..., kind: _Optional[_Union[EventKind, str]] = ..., tenant: _Optional[str] = ..., agent: _Optional[str] = ..., operator: _Optional[str] = ..., invocation: _Optional[str] = ..., config_version: _Optional[str] = ..., traceparent: _Optional[str] = ..., sidecar_started: _Optional[_Union[SidecarStarted, _Mapping]] = ..., config_applied: _Optional[_Union[ConfigApplied, _Mapping]] = ..., decision: _Optional[_Union[DecisionRecord, _Mapping]] = ..., settlement: _Optional[_Union[SettlementRecord, _Mapping]] = ..., hold_ended: _Optional[_Union[HoldEnded, _Mapping]] = ..., budget: _Optional[_Union[BudgetEvent, _Mapping]] = ..., control_changed: _Optional[_Union[ControlChanged, _Mapping]] = ..., config_rejected: _Optional[_Union[ConfigRejected, _Mapping]] = ..., tool: _Optional[_Union[ToolDecisionRecord, _Mapping]] = ..., tool_completed: _Optional[_Union[ToolCompletionRecord, _Mapping]] = ..., approval: _Optional[_Union[ApprovalEvent, _Mapping]] = ..., run: _Optional[_Union[RunEvent, _Mapping]] = ..., step: _Optional[_Union[StepEvent, _Mapping]] = ...) -> None: ...

class SidecarStarted(_message.Message):
    __slots__ = ("program_version", "open_reservations", "budget_instances")
    PROGRAM_VERSION_FIELD_NUMBER: _ClassVar[int]
    OPEN_RESERVATIONS_FIELD_NUMBER: _ClassVar[int]
    BUDGET_INSTANCES_FIELD_NUMBER: _ClassVar[int]
    program_version: str
    open_reservations: int
    budget_instances: int
    def __init__(self, program_version: _Optional[str] = ..., open_reservations: _Optional[int] = ..., budget_instances: _Optional[int] = ...) -> None: ...

class ConfigApplied(_message.Message):
    __slots__ = ("previous_version", "source")
    PREVIOUS_VERSION_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    previous_version: str
    source: str
    def __init__(self, previous_version: _Optional[str] = ..., source: _Optional[str] = ...) -> None: ...

class ConfigRejected(_message.Message):
    __slots__ = ("source", "violations", "first_violation")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    VIOLATIONS_FIELD_NUMBER: _ClassVar[int]
    FIRST_VIOLATION_FIELD_NUMBER: _ClassVar[int]
    source: str
    violations: int
    first_violation: str
    def __init__(self, source: _Optional[str] = ..., violations: _Optional[int] = ..., first_violation: _Optional[str] = ...) -> None: ...

class DecisionInputs(_message.Message):
    __slots__ = ("request_digest", "content_digest", "content_bytes", "model", "workload", "session", "run", "step", "labels", "attributes", "input_tokens", "input_bytes", "max_output_tokens", "min_output_tokens", "min_quality", "capabilities", "stream", "split_key", "estimates", "budgets", "health", "rates", "choices", "settled_by_sidecar", "dialect", "untranslatable", "pinned_model", "session_labels", "cached_model", "cached_invocation", "stored_input", "agreed", "root_run", "run_budgets")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    REQUEST_DIGEST_FIELD_NUMBER: _ClassVar[int]
    CONTENT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    CONTENT_BYTES_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    INPUT_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    MIN_OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    MIN_QUALITY_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    SPLIT_KEY_FIELD_NUMBER: _ClassVar[int]
    ESTIMATES_FIELD_NUMBER: _ClassVar[int]
    BUDGETS_FIELD_NUMBER: _ClassVar[int]
    HEALTH_FIELD_NUMBER: _ClassVar[int]
    RATES_FIELD_NUMBER: _ClassVar[int]
    CHOICES_FIELD_NUMBER: _ClassVar[int]
    SETTLED_BY_SIDECAR_FIELD_NUMBER: _ClassVar[int]
    DIALECT_FIELD_NUMBER: _ClassVar[int]
    UNTRANSLATABLE_FIELD_NUMBER: _ClassVar[int]
    PINNED_MODEL_FIELD_NUMBER: _ClassVar[int]
    SESSION_LABELS_FIELD_NUMBER: _ClassVar[int]
    CACHED_MODEL_FIELD_NUMBER: _ClassVar[int]
    CACHED_INVOCATION_FIELD_NUMBER: _ClassVar[int]
    STORED_INPUT_FIELD_NUMBER: _ClassVar[int]
    AGREED_FIELD_NUMBER: _ClassVar[int]
    ROOT_RUN_FIELD_NUMBER: _ClassVar[int]
    RUN_BUDGETS_FIELD_NUMBER: _ClassVar[int]
    request_digest: bytes
    content_digest: bytes
    content_bytes: int
    model: str
    workload: str
    session: str
    run: str
    step: str
    labels: _containers.ScalarMap[str, str]
    attributes: _struct_pb2.Struct
    input_tokens: int
    input_bytes: int
    max_output_tokens: int
    min_output_tokens: int
    min_quality: float
    capabilities: _containers.RepeatedScalarFieldContainer[str]
    stream: bool
    split_key: str
    estimates: _containers.RepeatedCompositeFieldContainer[InputEstimate]
    budgets: _containers.RepeatedCompositeFieldContainer[BudgetSnapshot]
    health: _containers.RepeatedCompositeFieldContainer[HealthSnapshot]
    rates: _containers.RepeatedCompositeFieldContainer[RateSnapshot]
    choices: int
    settled_by_sidecar: bool
    dialect: str
    untranslatable: _containers.RepeatedCompositeFieldContainer[Untranslatable]
    pinned_model: str
    session_labels: _containers.RepeatedScalarFieldContainer[str]
    cached_model: str
    cached_invocation: str
    stored_input: bool
    agreed: AgreedCall
    root_run: str
    run_budgets: _containers.RepeatedCompositeFieldContainer[RunBudget]
    def __init__(self, request_digest: _Optional[bytes] = ..., content_digest: _Optional[bytes] = ..., content_bytes: _Optional[int] = ..., model: _Optional[str] = ..., workload: _Optional[str] = ..., session: _Optional[str] = ..., run: _Optional[str] = ..., step: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., attributes: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., input_tokens: _Optional[int] = ..., input_bytes: _Optional[int] = ..., max_output_tokens: _Optional[int] = ..., min_output_tokens: _Optional[int] = ..., min_quality: _Optional[float] = ..., capabilities: _Optional[_Iterable[str]] = ..., stream: bool = ..., split_key: _Optional[str] = ..., estimates: _Optional[_Iterable[_Union[InputEstimate, _Mapping]]] = ..., budgets: _Optional[_Iterable[_Union[BudgetSnapshot, _Mapping]]] = ..., health: _Optional[_Iterable[_Union[HealthSnapshot, _Mapping]]] = ..., rates: _Optional[_Iterable[_Union[RateSnapshot, _Mapping]]] = ..., choices: _Optional[int] = ..., settled_by_sidecar: bool = ..., dialect: _Optional[str] = ..., untranslatable: _Optional[_Iterable[_Union[Untranslatable, _Mapping]]] = ..., pinned_model: _Optional[str] = ..., session_labels: _Optional[_Iterable[str]] = ..., cached_model: _Optional[str] = ..., cached_invocation: _Optional[str] = ..., stored_input: bool = ..., agreed: _Optional[_Union[AgreedCall, _Mapping]] = ..., root_run: _Optional[str] = ..., run_budgets: _Optional[_Iterable[_Union[RunBudget, _Mapping]]] = ...) -> None: ...

class AgreedCall(_message.Message):
    __slots__ = ("approval", "state", "votes", "escalated_to", "escalated_from", "models", "max_output_tokens", "price", "budgets")
    APPROVAL_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    VOTES_FIELD_NUMBER: _ClassVar[int]
    ESCALATED_TO_FIELD_NUMBER: _ClassVar[int]
    ESCALATED_FROM_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    MAX_OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    BUDGETS_FIELD_NUMBER: _ClassVar[int]
    approval: str
    state: _approval_service_pb2.ApprovalState
    votes: _containers.RepeatedCompositeFieldContainer[_approval_service_pb2.ApprovalVote]
    escalated_to: str
    escalated_from: _containers.RepeatedScalarFieldContainer[str]
    models: _containers.RepeatedScalarFieldContainer[str]
    max_output_tokens: int
    price: _amount_pb2.Amount
    budgets: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, approval: _Optional[str] = ..., state: _Optional[_Union[_approval_service_pb2.ApprovalState, str]] = ..., votes: _Optional[_Iterable[_Union[_approval_service_pb2.ApprovalVote, _Mapping]]] = ..., escalated_to: _Optional[str] = ..., escalated_from: _Optional[_Iterable[str]] = ..., models: _Optional[_Iterable[str]] = ..., max_output_tokens: _Optional[int] = ..., price: _Optional[_Union[_amount_pb2.Amount, _Mapping]] = ..., budgets: _Optional[_Iterable[str]] = ...) -> None: ...

class RunBudget(_message.Message):
    __slots__ = ("budget", "instance", "limit")
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    budget: str
    instance: str
    limit: _amount_pb2.Amount
    def __init__(self, budget: _Optional[str] = ..., instance: _Optional[str] = ..., limit: _Optional[_Union[_amount_pb2.Amount, _Mapping]] = ...) -> None: ...

class Untranslatable(_message.Message):
    __slots__ = ("dialect", "field", "essential")
    DIALECT_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    ESSENTIAL_FIELD_NUMBER: _ClassVar[int]
    dialect: str
    field: str
    essential: bool
    def __init__(self, dialect: _Optional[str] = ..., field: _Optional[str] = ..., essential: bool = ...) -> None: ...

class SessionSwitch(_message.Message):
    __slots__ = ("from_model", "reason", "detail")
    FROM_MODEL_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    from_model: str
    reason: _decision_pb2.DropReason
    detail: str
    def __init__(self, from_model: _Optional[str] = ..., reason: _Optional[_Union[_decision_pb2.DropReason, str]] = ..., detail: _Optional[str] = ...) -> None: ...

class InputEstimate(_message.Message):
    __slots__ = ("model", "tokens")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    model: str
    tokens: int
    def __init__(self, model: _Optional[str] = ..., tokens: _Optional[int] = ...) -> None: ...

class BudgetSnapshot(_message.Message):
    __slots__ = ("budget", "instance", "spent", "reserved", "window_start_unix_nanos", "resets_at_unix_nanos")
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    SPENT_FIELD_NUMBER: _ClassVar[int]
    RESERVED_FIELD_NUMBER: _ClassVar[int]
    WINDOW_START_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    RESETS_AT_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    budget: str
    instance: str
    spent: _amount_pb2.Amount
    reserved: _amount_pb2.Amount
    window_start_unix_nanos: int
    resets_at_unix_nanos: int
    def __init__(self, budget: _Optional[str] = ..., instance: _Optional[str] = ..., spent: _Optional[_Union[_amount_pb2.Amount, _Mapping]] = ..., reserved: _Optional[_Union[_amount_pb2.Amount, _Mapping]] = ..., window_start_unix_nanos: _Optional[int] = ..., resets_at_unix_nanos: _Optional[int] = ...) -> None: ...

class HealthSnapshot(_message.Message):
    __slots__ = ("model", "breaker", "open_until_unix_nanos", "admitted_per_mille", "p50_millis", "p99_millis")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    BREAKER_FIELD_NUMBER: _ClassVar[int]
    OPEN_UNTIL_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    ADMITTED_PER_MILLE_FIELD_NUMBER: _ClassVar[int]
    P50_MILLIS_FIELD_NUMBER: _ClassVar[int]
    P99_MILLIS_FIELD_NUMBER: _ClassVar[int]
    model: str
    breaker: BreakerState
    open_until_unix_nanos: int
    admitted_per_mille: int
    p50_millis: int
    p99_millis: int
    def __init__(self, model: _Optional[str] = ..., breaker: _Optional[_Union[BreakerState, str]] = ..., open_until_unix_nanos: _Optional[int] = ..., admitted_per_mille: _Optional[int] = ..., p50_millis: _Optional[int] = ..., p99_millis: _Optional[int] = ...) -> None: ...

class RateSnapshot(_message.Message):
    __slots__ = ("limit", "instance", "requests_tat_unix_nanos", "tokens_tat_unix_nanos", "in_flight")
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_TAT_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    TOKENS_TAT_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    limit: str
    instance: str
    requests_tat_unix_nanos: int
    tokens_tat_unix_nanos: int
    in_flight: int
    def __init__(self, limit: _Optional[str] = ..., instance: _Optional[str] = ..., requests_tat_unix_nanos: _Optional[int] = ..., tokens_tat_unix_nanos: _Optional[int] = ..., in_flight: _Optional[int] = ...) -> None: ...

class DecisionRecord(_message.Message):
    __slots__ = ("inputs", "decision", "plan", "dropped", "reserved", "expires_at_unix_nanos", "max_output_tokens", "clamped", "charges", "rejection", "rejection_metadata", "downgraded_to", "session_switch", "cached", "approval", "tier", "over_budgets")
    class RejectionMetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    RESERVED_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    MAX_OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    CLAMPED_FIELD_NUMBER: _ClassVar[int]
    CHARGES_FIELD_NUMBER: _ClassVar[int]
    REJECTION_FIELD_NUMBER: _ClassVar[int]
    REJECTION_METADATA_FIELD_NUMBER: _ClassVar[int]
    DOWNGRADED_TO_FIELD_NUMBER: _ClassVar[int]
    SESSION_SWITCH_FIELD_NUMBER: _ClassVar[int]
    CACHED_FIELD_NUMBER: _ClassVar[int]
    APPROVAL_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    OVER_BUDGETS_FIELD_NUMBER: _ClassVar[int]
    inputs: DecisionInputs
    decision: _decision_pb2.Decision
    plan: _containers.RepeatedCompositeFieldContainer[_decision_pb2.PlannedTarget]
    dropped: _containers.RepeatedCompositeFieldContainer[_decision_pb2.DroppedCandidate]
    reserved: _amount_pb2.Amount
    expires_at_unix_nanos: int
    max_output_tokens: int
    clamped: bool
    charges: _containers.RepeatedCompositeFieldContainer[BudgetCharge]
    rejection: str
    rejection_metadata: _containers.ScalarMap[str, str]
    downgraded_to: str
    session_switch: SessionSwitch
    cached: bool
    approval: str
    tier: str
    over_budgets: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, inputs: _Optional[_Union[DecisionInputs, _Mapping]] = ..., decision: _Optional[_Union[_decision_pb2.Decision, _Mapping]] = ..., plan: _Optional[_Iterable[_Union[_decision_pb2.PlannedTarget, _Mapping]]] = ..., dropped: _Optional[_Iterable[_Union[_decision_pb2.DroppedCandidate, _Mapping]]] = ..., reserved: _Optional[_Union[_amount_pb2.Amount, _Mapping]] = ..., expires_at_unix_nanos: _Optional[int] = ..., max_output_tokens: _Optional[int] = ..., clamped: bool = ..., charges: _Optional[_Iterable[_Union[BudgetCharge, _Mapping]]] = ..., rejection: _Optional[str] = ..., rejection_metadata: _Optional[_Mapping[str, str]] = ..., downgraded_to: _Optional[str] = ..., session_switch: _Optional[_Union[SessionSwitch, _Mapping]] = ..., cached: bool = ..., approval: _Optional[str] = ..., tier: _Optional[str] = ..., over_budgets: _Optional[_Iterable[str]] = ...) -> None: ...

class BudgetCharge(_message.Message):
    __slots__ = ("budget", "instance", "window_start_unix_nanos", "amount", "window_millis")
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    WINDOW_START_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    WINDOW_MILLIS_FIELD_NUMBER: _ClassVar[int]
    budget: str
    instance: str
    window_start_unix_nanos: int
    amount: _amount_pb2.Amount
    window_millis: int
    def __init__(self, budget: _Optional[str] = ..., instance: _Optional[str] = ..., window_start_unix_nanos: _Optional[int] = ..., amount: _Optional[_Union[_amount_pb2.Amount, _Mapping]] = ..., window_millis: _Optional[int] = ...) -> None: ...

class SettlementRecord(_message.Message):
    __slots__ = ("attempts", "charged", "released", "charges", "late", "overdraft", "model", "content_digest", "content_bytes")
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    CHARGED_FIELD_NUMBER: _ClassVar[int]
    RELEASED_FIELD_NUMBER: _ClassVar[int]
    CHARGES_FIELD_NUMBER: _ClassVar[int]
    LATE_FIELD_NUMBER: _ClassVar[int]
    OVERDRAFT_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    CONTENT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    CONTENT_BYTES_FIELD_NUMBER: _ClassVar[int]
    attempts: _containers.RepeatedCompositeFieldContainer[_decision_pb2.Attempt]
    charged: _amount_pb2.Amount
    released: _amount_pb2.Amount
    charges: _containers.RepeatedCompositeFieldContainer[BudgetCharge]
    late: bool
    overdraft: bool
    model: str
    content_digest: bytes
    content_bytes: int
    def __init__(self, attempts: _Optional[_Iterable[_Union[_decision_pb2.Attempt, _Mapping]]] = ..., charged: _Optional[_Union[_amount_pb2.Amount, _Mapping]] = ..., released: _Optional[_Union[_amount_pb2.Amount, _Mapping]] = ..., charges: _Optional[_Iterable[_Union[BudgetCharge, _Mapping]]] = ..., late: bool = ..., overdraft: bool = ..., model: _Optional[str] = ..., content_digest: _Optional[bytes] = ..., content_bytes: _Optional[int] = ...) -> None: ...

class HoldEnded(_message.Message):
    __slots__ = ("held", "charged", "charges", "reason")
    HELD_FIELD_NUMBER: _ClassVar[int]
    CHARGED_FIELD_NUMBER: _ClassVar[int]
    CHARGES_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    held: _amount_pb2.Amount
    charged: _amount_pb2.Amount
    charges: _containers.RepeatedCompositeFieldContainer[BudgetCharge]
    reason: str
    def __init__(self, held: _Optional[_Union[_amount_pb2.Amount, _Mapping]] = ..., charged: _Optional[_Union[_amount_pb2.Amount, _Mapping]] = ..., charges: _Optional[_Iterable[_Union[BudgetCharge, _Mapping]]] = ..., reason: _Optional[str] = ...) -> None: ...

class BudgetEvent(_message.Message):
    __slots__ = ("budget", "instance", "limit", "spent", "reserved", "threshold_percent", "amount", "reason", "window_start_unix_nanos")
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    SPENT_FIELD_NUMBER: _ClassVar[int]
    RESERVED_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_PERCENT_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    WINDOW_START_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    budget: str
    instance: str
    limit: _amount_pb2.Amount
    spent: _amount_pb2.Amount
    reserved: _amount_pb2.Amount
    threshold_percent: int
    amount: _amount_pb2.Amount
    reason: str
    window_start_unix_nanos: int
    def __init__(self, budget: _Optional[str] = ..., instance: _Optional[str] = ..., limit: _Optional[_Union[_amount_pb2.Amount, _Mapping]] = ..., spent: _Optional[_Union[_amount_pb2.Amount, _Mapping]] = ..., reserved: _Optional[_Union[_amount_pb2.Amount, _Mapping]] = ..., threshold_percent: _Optional[int] = ..., amount: _Optional[_Union[_amount_pb2.Amount, _Mapping]] = ..., reason: _Optional[str] = ..., window_start_unix_nanos: _Optional[int] = ...) -> None: ...

class ControlChanged(_message.Message):
    __slots__ = ("subject", "detail")
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    subject: str
    detail: _struct_pb2.Struct
    def __init__(self, subject: _Optional[str] = ..., detail: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class ToolInputs(_message.Message):
    __slots__ = ("request_digest", "tool", "arguments_digest", "arguments_bytes", "arguments", "claimed_effect", "effect", "risk", "idempotency_key", "session", "session_labels", "run", "step", "labels", "earlier_call", "earlier_state", "earlier_effect", "approval", "approval_state", "votes", "earlier_is_own", "agreed_digest", "agreed_arguments", "edited", "escalated_to", "escalated_from")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    REQUEST_DIGEST_FIELD_NUMBER: _ClassVar[int]
    TOOL_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_DIGEST_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_BYTES_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_FIELD_NUMBER: _ClassVar[int]
    CLAIMED_EFFECT_FIELD_NUMBER: _ClassVar[int]
    EFFECT_FIELD_NUMBER: _ClassVar[int]
    RISK_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    SESSION_LABELS_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    EARLIER_CALL_FIELD_NUMBER: _ClassVar[int]
    EARLIER_STATE_FIELD_NUMBER: _ClassVar[int]
    EARLIER_EFFECT_FIELD_NUMBER: _ClassVar[int]
    APPROVAL_FIELD_NUMBER: _ClassVar[int]
    APPROVAL_STATE_FIELD_NUMBER: _ClassVar[int]
    VOTES_FIELD_NUMBER: _ClassVar[int]
    EARLIER_IS_OWN_FIELD_NUMBER: _ClassVar[int]
    AGREED_DIGEST_FIELD_NUMBER: _ClassVar[int]
    AGREED_ARGUMENTS_FIELD_NUMBER: _ClassVar[int]
    EDITED_FIELD_NUMBER: _ClassVar[int]
    ESCALATED_TO_FIELD_NUMBER: _ClassVar[int]
    ESCALATED_FROM_FIELD_NUMBER: _ClassVar[int]
    request_digest: bytes
    tool: str
    arguments_digest: bytes
    arguments_bytes: int
    arguments: bytes
    claimed_effect: _tool_pb2.ToolEffect
    effect: _tool_pb2.ToolEffect
    risk: _tool_pb2.ToolRisk
    idempotency_key: str
    session: str
    session_labels: _containers.RepeatedScalarFieldContainer[str]
    run: str
    step: str
    labels: _containers.ScalarMap[str, str]
    earlier_call: str
    earlier_state: ToolCallState
    earlier_effect: _tool_pb2.ToolEffect
    approval: str
    approval_state: _approval_service_pb2.ApprovalState
    votes: _containers.RepeatedCompositeFieldContainer[_approval_service_pb2.ApprovalVote]
    earlier_is_own: bool
    agreed_digest: bytes
    agreed_arguments: bytes
    edited: bool
    escalated_to: str
    escalated_from: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, request_digest: _Optional[bytes] = ..., tool: _Optional[str] = ..., arguments_digest: _Optional[bytes] = ..., arguments_bytes: _Optional[int] = ..., arguments: _Optional[bytes] = ..., claimed_effect: _Optional[_Union[_tool_pb2.ToolEffect, str]] = ..., effect: _Optional[_Union[_tool_pb2.ToolEffect, str]] = ..., risk: _Optional[_Union[_tool_pb2.ToolRisk, str]] = ..., idempotency_key: _Optional[str] = ..., session: _Optional[str] = ..., session_labels: _Optional[_Iterable[str]] = ..., run: _Optional[str] = ..., step: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., earlier_call: _Optional[str] = ..., earlier_state: _Optional[_Union[ToolCallState, str]] = ..., earlier_effect: _Optional[_Union[_tool_pb2.ToolEffect, str]] = ..., approval: _Optional[str] = ..., approval_state: _Optional[_Union[_approval_service_pb2.ApprovalState, str]] = ..., votes: _Optional[_Iterable[_Union[_approval_service_pb2.ApprovalVote, _Mapping]]] = ..., earlier_is_own: bool = ..., agreed_digest: _Optional[bytes] = ..., agreed_arguments: _Optional[bytes] = ..., edited: bool = ..., escalated_to: _Optional[str] = ..., escalated_from: _Optional[_Iterable[str]] = ...) -> None: ...

class ToolDecisionRecord(_message.Message):
    __slots__ = ("inputs", "decision", "changed", "granted_digest", "expires_at_unix_nanos", "added_labels", "approval", "tier", "rejection", "rejection_metadata")
    class RejectionMetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    GRANTED_DIGEST_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    ADDED_LABELS_FIELD_NUMBER: _ClassVar[int]
    APPROVAL_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    REJECTION_FIELD_NUMBER: _ClassVar[int]
    REJECTION_METADATA_FIELD_NUMBER: _ClassVar[int]
    inputs: ToolInputs
    decision: _decision_pb2.Decision
    changed: _containers.RepeatedScalarFieldContainer[str]
    granted_digest: bytes
    expires_at_unix_nanos: int
    added_labels: _containers.RepeatedScalarFieldContainer[str]
    approval: str
    tier: str
    rejection: str
    rejection_metadata: _containers.ScalarMap[str, str]
    def __init__(self, inputs: _Optional[_Union[ToolInputs, _Mapping]] = ..., decision: _Optional[_Union[_decision_pb2.Decision, _Mapping]] = ..., changed: _Optional[_Iterable[str]] = ..., granted_digest: _Optional[bytes] = ..., expires_at_unix_nanos: _Optional[int] = ..., added_labels: _Optional[_Iterable[str]] = ..., approval: _Optional[str] = ..., tier: _Optional[str] = ..., rejection: _Optional[str] = ..., rejection_metadata: _Optional[_Mapping[str, str]] = ...) -> None: ...

class ToolCompletionRecord(_message.Message):
    __slots__ = ("tool", "idempotency_key", "outcome", "before", "result_digest", "result_bytes", "result_kept", "reason")
    TOOL_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    RESULT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    RESULT_BYTES_FIELD_NUMBER: _ClassVar[int]
    RESULT_KEPT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    tool: str
    idempotency_key: str
    outcome: _gate_service_pb2.ToolOutcome
    before: ToolCallState
    result_digest: bytes
    result_bytes: int
    result_kept: bool
    reason: str
    def __init__(self, tool: _Optional[str] = ..., idempotency_key: _Optional[str] = ..., outcome: _Optional[_Union[_gate_service_pb2.ToolOutcome, str]] = ..., before: _Optional[_Union[ToolCallState, str]] = ..., result_digest: _Optional[bytes] = ..., result_bytes: _Optional[int] = ..., result_kept: bool = ..., reason: _Optional[str] = ...) -> None: ...

class ApprovalEvent(_message.Message):
    __slots__ = ("approval", "tool", "digest", "rule", "tier", "vote", "state", "missing", "reason", "subject", "run", "step", "previous_digest", "resolution", "result_digest", "previous_tier")
    APPROVAL_FIELD_NUMBER: _ClassVar[int]
    TOOL_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    VOTE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_DIGEST_FIELD_NUMBER: _ClassVar[int]
    RESOLUTION_FIELD_NUMBER: _ClassVar[int]
    RESULT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_TIER_FIELD_NUMBER: _ClassVar[int]
    approval: str
    tool: str
    digest: str
    rule: str
    tier: str
    vote: _approval_service_pb2.ApprovalVote
    state: _approval_service_pb2.ApprovalState
    missing: _containers.RepeatedCompositeFieldContainer[_approval_service_pb2.ApprovalQuorum]
    reason: str
    subject: _approval_service_pb2.ApprovalSubject
    run: str
    step: str
    previous_digest: str
    resolution: _approval_service_pb2.ResolutionOutcome
    result_digest: bytes
    previous_tier: str
    def __init__(self, approval: _Optional[str] = ..., tool: _Optional[str] = ..., digest: _Optional[str] = ..., rule: _Optional[str] = ..., tier: _Optional[str] = ..., vote: _Optional[_Union[_approval_service_pb2.ApprovalVote, _Mapping]] = ..., state: _Optional[_Union[_approval_service_pb2.ApprovalState, str]] = ..., missing: _Optional[_Iterable[_Union[_approval_service_pb2.ApprovalQuorum, _Mapping]]] = ..., reason: _Optional[str] = ..., subject: _Optional[_Union[_approval_service_pb2.ApprovalSubject, str]] = ..., run: _Optional[str] = ..., step: _Optional[str] = ..., previous_digest: _Optional[str] = ..., resolution: _Optional[_Union[_approval_service_pb2.ResolutionOutcome, str]] = ..., result_digest: _Optional[bytes] = ..., previous_tier: _Optional[str] = ...) -> None: ...

class RunEvent(_message.Message):
    __slots__ = ("run", "workflow", "workflow_version", "state", "content_digest", "content_bytes", "failure", "parent", "parent_step", "rerun_of", "rerun_from", "spent", "cost_avoided", "signal", "reason")
    RUN_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_VERSION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    CONTENT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    CONTENT_BYTES_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    PARENT_FIELD_NUMBER: _ClassVar[int]
    PARENT_STEP_FIELD_NUMBER: _ClassVar[int]
    RERUN_OF_FIELD_NUMBER: _ClassVar[int]
    RERUN_FROM_FIELD_NUMBER: _ClassVar[int]
    SPENT_FIELD_NUMBER: _ClassVar[int]
    COST_AVOIDED_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    run: str
    workflow: str
    workflow_version: str
    state: _run_pb2.RunState
    content_digest: bytes
    content_bytes: int
    failure: _run_pb2.Failure
    parent: str
    parent_step: str
    rerun_of: str
    rerun_from: str
    spent: _amount_pb2.Amount
    cost_avoided: _amount_pb2.Amount
    signal: str
    reason: str
    def __init__(self, run: _Optional[str] = ..., workflow: _Optional[str] = ..., workflow_version: _Optional[str] = ..., state: _Optional[_Union[_run_pb2.RunState, str]] = ..., content_digest: _Optional[bytes] = ..., content_bytes: _Optional[int] = ..., failure: _Optional[_Union[_run_pb2.Failure, _Mapping]] = ..., parent: _Optional[str] = ..., parent_step: _Optional[str] = ..., rerun_of: _Optional[str] = ..., rerun_from: _Optional[str] = ..., spent: _Optional[_Union[_amount_pb2.Amount, _Mapping]] = ..., cost_avoided: _Optional[_Union[_amount_pb2.Amount, _Mapping]] = ..., signal: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class StepEvent(_message.Message):
    __slots__ = ("run", "step", "state", "epoch", "attempt", "queue", "worker", "worker_agent", "content_digest", "content_bytes", "failure", "idempotency_key", "waits_for", "due_at_unix_nanos", "spent", "compensation", "replayed_from", "resolution")
    RUN_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    WORKER_AGENT_FIELD_NUMBER: _ClassVar[int]
    CONTENT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    CONTENT_BYTES_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    WAITS_FOR_FIELD_NUMBER: _ClassVar[int]
    DUE_AT_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    SPENT_FIELD_NUMBER: _ClassVar[int]
    COMPENSATION_FIELD_NUMBER: _ClassVar[int]
    REPLAYED_FROM_FIELD_NUMBER: _ClassVar[int]
    RESOLUTION_FIELD_NUMBER: _ClassVar[int]
    run: str
    step: str
    state: _run_pb2.StepState
    epoch: int
    attempt: int
    queue: str
    worker: str
    worker_agent: str
    content_digest: bytes
    content_bytes: int
    failure: _run_pb2.Failure
    idempotency_key: str
    waits_for: str
    due_at_unix_nanos: int
    spent: _amount_pb2.Amount
    compensation: bool
    replayed_from: str
    resolution: str
    def __init__(self, run: _Optional[str] = ..., step: _Optional[str] = ..., state: _Optional[_Union[_run_pb2.StepState, str]] = ..., epoch: _Optional[int] = ..., attempt: _Optional[int] = ..., queue: _Optional[str] = ..., worker: _Optional[str] = ..., worker_agent: _Optional[str] = ..., content_digest: _Optional[bytes] = ..., content_bytes: _Optional[int] = ..., failure: _Optional[_Union[_run_pb2.Failure, _Mapping]] = ..., idempotency_key: _Optional[str] = ..., waits_for: _Optional[str] = ..., due_at_unix_nanos: _Optional[int] = ..., spent: _Optional[_Union[_amount_pb2.Amount, _Mapping]] = ..., compensation: bool = ..., replayed_from: _Optional[str] = ..., resolution: _Optional[str] = ...) -> None: ...
