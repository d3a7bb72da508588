from fairlead.internal.v1 import engine_config_pb2 as _engine_config_pb2
from fairlead.internal.v1 import state_pb2 as _state_pb2
from fairlead.v1 import amount_pb2 as _amount_pb2
from fairlead.v1 import approval_service_pb2 as _approval_service_pb2
from fairlead.v1 import audit_record_pb2 as _audit_record_pb2
from fairlead.internal.v1 import workflow_pb2 as _workflow_pb2
from fairlead.v1 import gate_service_pb2 as _gate_service_pb2
from fairlead.v1 import run_pb2 as _run_pb2
from fairlead.v1 import worker_service_pb2 as _worker_service_pb2
from fairlead.v1 import workflow_service_pb2 as _workflow_service_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Command(_message.Message):
    __slots__ = ("caller", "admit", "settle", "release", "expire", "adjust_budget", "load_config", "control_write", "start", "config_rejected", "authorize_tool", "complete_tool", "decide_approval", "start_run", "cancel_run", "pause_run", "resume_run", "signal_run", "rerun_run", "lease_steps", "heartbeat_step", "complete_step", "fail_step", "resolve_step_key", "reconcile")
    CALLER_FIELD_NUMBER: _ClassVar[int]
    ADMIT_FIELD_NUMBER: _ClassVar[int]
    SETTLE_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_FIELD_NUMBER: _ClassVar[int]
    ADJUST_BUDGET_FIELD_NUMBER: _ClassVar[int]
    LOAD_CONFIG_FIELD_NUMBER: _ClassVar[int]
    CONTROL_WRITE_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    CONFIG_REJECTED_FIELD_NUMBER: _ClassVar[int]
    AUTHORIZE_TOOL_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_TOOL_FIELD_NUMBER: _ClassVar[int]
    DECIDE_APPROVAL_FIELD_NUMBER: _ClassVar[int]
    START_RUN_FIELD_NUMBER: _ClassVar[int]
    CANCEL_RUN_FIELD_NUMBER: _ClassVar[int]
    PAUSE_RUN_FIELD_NUMBER: _ClassVar[int]
    RESUME_RUN_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_RUN_FIELD_NUMBER: _ClassVar[int]
    RERUN_RUN_FIELD_NUMBER: _ClassVar[int]
    LEASE_STEPS_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_STEP_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_STEP_FIELD_NUMBER: _ClassVar[int]
    FAIL_STEP_FIELD_NUMBER: _ClassVar[int]
    RESOLVE_STEP_KEY_FIELD_NUMBER: _ClassVar[int]
    RECONCILE_FIELD_NUMBER: _ClassVar[int]
    caller: Caller
    admit: _gate_service_pb2.AdmitRequest
    settle: _gate_service_pb2.SettleRequest
    release: _gate_service_pb2.ReleaseRequest
    expire: Expire
    adjust_budget: AdjustBudget
    load_config: LoadConfig
    control_write: ControlWrite
    start: Start
    config_rejected: _audit_record_pb2.ConfigRejected
    authorize_tool: _gate_service_pb2.AuthorizeToolRequest
    complete_tool: _gate_service_pb2.CompleteToolRequest
    decide_approval: DecideApproval
    start_run: _workflow_service_pb2.StartRunRequest
    cancel_run: _workflow_service_pb2.CancelRunRequest
    pause_run: _workflow_service_pb2.PauseRunRequest
    resume_run: _workflow_service_pb2.ResumeRunRequest
    signal_run: _workflow_service_pb2.SignalRunRequest
    rerun_run: RerunRun
    lease_steps: _worker_service_pb2.LeaseStepsRequest
    heartbeat_step: _worker_service_pb2.HeartbeatStepRequest
    complete_step: _worker_service_pb2.CompleteStepRequest
    fail_step: _worker_service_pb2.FailStepRequest
    resolve_step_key: ResolveStepKey
    reconcile: Reconcile
    def __init__(self, caller: _Optional[_Union[Caller, _Mapping]] = ..., admit: _Optional[_Union[_gate_service_pb2.AdmitRequest, _Mapping]] = ..., settle: _Optional[_Union[_gate_service_pb2.SettleRequest, _Mapping]] = ..., release: _Optional[_Union[_gate_service_pb2.ReleaseRequest, _Mapping]] = ..., expire: _Optional[_Union[Expire, _Mapping]] = ..., adjust_budget: _Optional[_Union[AdjustBudget, _Mapping]] = ..., load_config: _Optional[_Union[LoadConfig, _Mapping]] = ..., control_write: _Optional[_Union[ControlWrite, _Mapping]] = ..., start: _Optional[_Union[Start, _Mapping]] = ..., config_rejected: _Optional[_Union[_audit_record_pb2.ConfigRejected, _Mapping]] = ..., authorize_tool: _Optional[_Union[_gate_service_pb2.AuthorizeToolRequest, _Mapping]] = ..., complete_tool: _Optional[_Union[_gate_service_pb2.CompleteToolRequest, _Mapping]] = ..., decide_approval: _Optional[_Union[DecideApproval, _Mapping]] = ..., start_run: _Optional[_Union[_workflow_service_pb2.StartRunRequest, _Mapping]] = ..., cancel_run: _Optional[_Union[_workflow_service_pb2.CancelRunRequest, _Mapping]] = ..., pause_run: _Optional[_Union[_workflow_service_pb2.PauseRunRequest, _Mapping]] = ..., resume_run: _Optional[_Union[_workflow_service_pb2.ResumeRunRequest, _Mapping]] = ..., signal_run: _Optional[_Union[_workflow_service_pb2.SignalRunRequest, _Mapping]] = ..., rerun_run: _Optional[_Union[RerunRun, _Mapping]] = ..., lease_steps: _Optional[_Union[_worker_service_pb2.LeaseStepsRequest, _Mapping]] = ..., heartbeat_step: _Optional[_Union[_worker_service_pb2.HeartbeatStepRequest, _Mapping]] = ..., complete_step: _Optional[_Union[_worker_service_pb2.CompleteStepRequest, _Mapping]] = ..., fail_step: _Optional[_Union[_worker_service_pb2.FailStepRequest, _Mapping]] = ..., resolve_step_key: _Optional[_Union[ResolveStepKey, _Mapping]] = ..., reconcile: _Optional[_Union[Reconcile, _Mapping]] = ...) -> None: ...

class Caller(_message.Message):
    __slots__ = ("tenant", "agent", "operator", "traceparent")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    AGENT_FIELD_NUMBER: _ClassVar[int]
    OPERATOR_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    agent: str
    operator: str
    traceparent: str
    def __init__(self, tenant: _Optional[str] = ..., agent: _Optional[str] = ..., operator: _Optional[str] = ..., traceparent: _Optional[str] = ...) -> None: ...

class Expire(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Start(_message.Message):
    __slots__ = ("program_version",)
    PROGRAM_VERSION_FIELD_NUMBER: _ClassVar[int]
    program_version: str
    def __init__(self, program_version: _Optional[str] = ...) -> None: ...

class AdjustBudget(_message.Message):
    __slots__ = ("budget", "tenant", "instance", "credit", "reason", "writes")
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    CREDIT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    WRITES_FIELD_NUMBER: _ClassVar[int]
    budget: str
    tenant: str
    instance: str
    credit: _amount_pb2.Amount
    reason: str
    writes: _containers.RepeatedCompositeFieldContainer[Write]
    def __init__(self, budget: _Optional[str] = ..., tenant: _Optional[str] = ..., instance: _Optional[str] = ..., credit: _Optional[_Union[_amount_pb2.Amount, _Mapping]] = ..., reason: _Optional[str] = ..., writes: _Optional[_Iterable[_Union[Write, _Mapping]]] = ...) -> None: ...

class DecideApproval(_message.Message):
    __slots__ = ("approval", "decision", "reason", "digest", "request_key", "request_digest", "edited_arguments", "resolution")
    APPROVAL_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    REQUEST_KEY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_DIGEST_FIELD_NUMBER: _ClassVar[int]
    EDITED_ARGUMENTS_FIELD_NUMBER: _ClassVar[int]
    RESOLUTION_FIELD_NUMBER: _ClassVar[int]
    approval: str
    decision: _approval_service_pb2.ApprovalDecision
    reason: str
    digest: str
    request_key: bytes
    request_digest: bytes
    edited_arguments: bytes
    resolution: _approval_service_pb2.Resolution
    def __init__(self, approval: _Optional[str] = ..., decision: _Optional[_Union[_approval_service_pb2.ApprovalDecision, str]] = ..., reason: _Optional[str] = ..., digest: _Optional[str] = ..., request_key: _Optional[bytes] = ..., request_digest: _Optional[bytes] = ..., edited_arguments: _Optional[bytes] = ..., resolution: _Optional[_Union[_approval_service_pb2.Resolution, _Mapping]] = ...) -> None: ...

class RerunRun(_message.Message):
    __slots__ = ("request", "run", "steps", "definition", "request_key", "request_digest")
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    DEFINITION_FIELD_NUMBER: _ClassVar[int]
    REQUEST_KEY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_DIGEST_FIELD_NUMBER: _ClassVar[int]
    request: _workflow_service_pb2.RerunRunRequest
    run: _workflow_pb2.RunRecord
    steps: _containers.RepeatedCompositeFieldContainer[_workflow_pb2.StepRecord]
    definition: _workflow_pb2.WorkflowDefinition
    request_key: bytes
    request_digest: bytes
    def __init__(self, request: _Optional[_Union[_workflow_service_pb2.RerunRunRequest, _Mapping]] = ..., run: _Optional[_Union[_workflow_pb2.RunRecord, _Mapping]] = ..., steps: _Optional[_Iterable[_Union[_workflow_pb2.StepRecord, _Mapping]]] = ..., definition: _Optional[_Union[_workflow_pb2.WorkflowDefinition, _Mapping]] = ..., request_key: _Optional[bytes] = ..., request_digest: _Optional[bytes] = ...) -> None: ...

class ResolveStepKey(_message.Message):
    __slots__ = ("tenant", "run", "step")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    run: str
    step: str
    def __init__(self, tenant: _Optional[str] = ..., run: _Optional[str] = ..., step: _Optional[str] = ...) -> None: ...

class Reconcile(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class LoadConfig(_message.Message):
    __slots__ = ("config", "secrets", "source", "writes", "validate_only", "secrets_only")
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    SECRETS_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    WRITES_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    SECRETS_ONLY_FIELD_NUMBER: _ClassVar[int]
    config: _engine_config_pb2.EngineConfig
    secrets: _engine_config_pb2.Secrets
    source: str
    writes: _containers.RepeatedCompositeFieldContainer[Write]
    validate_only: bool
    secrets_only: bool
    def __init__(self, config: _Optional[_Union[_engine_config_pb2.EngineConfig, _Mapping]] = ..., secrets: _Optional[_Union[_engine_config_pb2.Secrets, _Mapping]] = ..., source: _Optional[str] = ..., writes: _Optional[_Iterable[_Union[Write, _Mapping]]] = ..., validate_only: bool = ..., secrets_only: bool = ...) -> None: ...

class ControlWrite(_message.Message):
    __slots__ = ("writes", "record", "power")
    WRITES_FIELD_NUMBER: _ClassVar[int]
    RECORD_FIELD_NUMBER: _ClassVar[int]
    POWER_FIELD_NUMBER: _ClassVar[int]
    writes: _containers.RepeatedCompositeFieldContainer[Write]
    record: _audit_record_pb2.ControlChanged
    power: bool
    def __init__(self, writes: _Optional[_Iterable[_Union[Write, _Mapping]]] = ..., record: _Optional[_Union[_audit_record_pb2.ControlChanged, _Mapping]] = ..., power: bool = ...) -> None: ...

class Write(_message.Message):
    __slots__ = ("family", "key", "value")
    FAMILY_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    family: int
    key: bytes
    value: bytes
    def __init__(self, family: _Optional[int] = ..., key: _Optional[bytes] = ..., value: _Optional[bytes] = ...) -> None: ...

class CommandResult(_message.Message):
    __slots__ = ("admitted", "settled", "released", "expired", "budget", "done", "rejection", "needs_record", "tool_authorized", "tool_completed", "approval", "run", "leased", "heartbeat", "step_completed", "step_failed", "repaired", "sequence")
    ADMITTED_FIELD_NUMBER: _ClassVar[int]
    SETTLED_FIELD_NUMBER: _ClassVar[int]
    RELEASED_FIELD_NUMBER: _ClassVar[int]
    EXPIRED_FIELD_NUMBER: _ClassVar[int]
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    REJECTION_FIELD_NUMBER: _ClassVar[int]
    NEEDS_RECORD_FIELD_NUMBER: _ClassVar[int]
    TOOL_AUTHORIZED_FIELD_NUMBER: _ClassVar[int]
    TOOL_COMPLETED_FIELD_NUMBER: _ClassVar[int]
    APPROVAL_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    LEASED_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    STEP_COMPLETED_FIELD_NUMBER: _ClassVar[int]
    STEP_FAILED_FIELD_NUMBER: _ClassVar[int]
    REPAIRED_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    admitted: _gate_service_pb2.AdmitResponse
    settled: _gate_service_pb2.SettleResponse
    released: _gate_service_pb2.ReleaseResponse
    expired: int
    budget: BudgetView
    done: Done
    rejection: Rejection
    needs_record: NeedsRecord
    tool_authorized: _gate_service_pb2.AuthorizeToolResponse
    tool_completed: _gate_service_pb2.CompleteToolResponse
    approval: _approval_service_pb2.Approval
    run: _run_pb2.Run
    leased: _worker_service_pb2.LeaseStepsResponse
    heartbeat: _worker_service_pb2.HeartbeatStepResponse
    step_completed: _worker_service_pb2.CompleteStepResponse
    step_failed: _worker_service_pb2.FailStepResponse
    repaired: int
    sequence: int
    def __init__(self, admitted: _Optional[_Union[_gate_service_pb2.AdmitResponse, _Mapping]] = ..., settled: _Optional[_Union[_gate_service_pb2.SettleResponse, _Mapping]] = ..., released: _Optional[_Union[_gate_service_pb2.ReleaseResponse, _Mapping]] = ..., expired: _Optional[int] = ..., budget: _Optional[_Union[BudgetView, _Mapping]] = ..., done: _Optional[_Union[Done, _Mapping]] = ..., rejection: _Optional[_Union[Rejection, _Mapping]] = ..., needs_record: _Optional[_Union[NeedsRecord, _Mapping]] = ..., tool_authorized: _Optional[_Union[_gate_service_pb2.AuthorizeToolResponse, _Mapping]] = ..., tool_completed: _Optional[_Union[_gate_service_pb2.CompleteToolResponse, _Mapping]] = ..., approval: _Optional[_Union[_approval_service_pb2.Approval, _Mapping]] = ..., run: _Optional[_Union[_run_pb2.Run, _Mapping]] = ..., leased: _Optional[_Union[_worker_service_pb2.LeaseStepsResponse, _Mapping]] = ..., heartbeat: _Optional[_Union[_worker_service_pb2.HeartbeatStepResponse, _Mapping]] = ..., step_completed: _Optional[_Union[_worker_service_pb2.CompleteStepResponse, _Mapping]] = ..., step_failed: _Optional[_Union[_worker_service_pb2.FailStepResponse, _Mapping]] = ..., repaired: _Optional[int] = ..., sequence: _Optional[int] = ...) -> None: ...

class Done(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Rejection(_message.Message):
    __slots__ = ("reason", "message", "metadata", "retry_after_millis", "violations")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_MILLIS_FIELD_NUMBER: _ClassVar[int]
    VIOLATIONS_FIELD_NUMBER: _ClassVar[int]
    reason: str
    message: str
    metadata: _containers.ScalarMap[str, str]
    retry_after_millis: int
    violations: _containers.RepeatedCompositeFieldContainer[FieldViolation]
    def __init__(self, reason: _Optional[str] = ..., message: _Optional[str] = ..., metadata: _Optional[_Mapping[str, str]] = ..., retry_after_millis: _Optional[int] = ..., violations: _Optional[_Iterable[_Union[FieldViolation, _Mapping]]] = ...) -> None: ...

class FieldViolation(_message.Message):
    __slots__ = ("field", "description")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    field: str
    description: str
    def __init__(self, field: _Optional[str] = ..., description: _Optional[str] = ...) -> None: ...

class NeedsRecord(_message.Message):
    __slots__ = ("request_keys", "invocation_key", "tool_key", "call_key", "approval_key", "step_key")
    REQUEST_KEYS_FIELD_NUMBER: _ClassVar[int]
    INVOCATION_KEY_FIELD_NUMBER: _ClassVar[int]
    TOOL_KEY_FIELD_NUMBER: _ClassVar[int]
    CALL_KEY_FIELD_NUMBER: _ClassVar[int]
    APPROVAL_KEY_FIELD_NUMBER: _ClassVar[int]
    STEP_KEY_FIELD_NUMBER: _ClassVar[int]
    request_keys: _containers.RepeatedScalarFieldContainer[bytes]
    invocation_key: bytes
    tool_key: bytes
    call_key: bytes
    approval_key: bytes
    step_key: bytes
    def __init__(self, request_keys: _Optional[_Iterable[bytes]] = ..., invocation_key: _Optional[bytes] = ..., tool_key: _Optional[bytes] = ..., call_key: _Optional[bytes] = ..., approval_key: _Optional[bytes] = ..., step_key: _Optional[bytes] = ...) -> None: ...

class Known(_message.Message):
    __slots__ = ("request", "request_found", "invocation", "invocation_found", "answer", "tool_key", "tool_key_found", "call", "call_found", "approval", "approval_found", "step_key", "step_key_found", "texts")
    class TextsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FOUND_FIELD_NUMBER: _ClassVar[int]
    INVOCATION_FIELD_NUMBER: _ClassVar[int]
    INVOCATION_FOUND_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    TOOL_KEY_FIELD_NUMBER: _ClassVar[int]
    TOOL_KEY_FOUND_FIELD_NUMBER: _ClassVar[int]
    CALL_FIELD_NUMBER: _ClassVar[int]
    CALL_FOUND_FIELD_NUMBER: _ClassVar[int]
    APPROVAL_FIELD_NUMBER: _ClassVar[int]
    APPROVAL_FOUND_FIELD_NUMBER: _ClassVar[int]
    STEP_KEY_FIELD_NUMBER: _ClassVar[int]
    STEP_KEY_FOUND_FIELD_NUMBER: _ClassVar[int]
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    request: _state_pb2.RequestRecord
    request_found: bool
    invocation: _state_pb2.InvocationRecord
    invocation_found: bool
    answer: bytes
    tool_key: _state_pb2.ToolKeyRecord
    tool_key_found: bool
    call: _state_pb2.ToolCallRecord
    call_found: bool
    approval: _state_pb2.ApprovalRecord
    approval_found: bool
    step_key: _workflow_pb2.StepKeyRecord
    step_key_found: bool
    texts: _containers.ScalarMap[str, str]
    def __init__(self, request: _Optional[_Union[_state_pb2.RequestRecord, _Mapping]] = ..., request_found: bool = ..., invocation: _Optional[_Union[_state_pb2.InvocationRecord, _Mapping]] = ..., invocation_found: bool = ..., answer: _Optional[bytes] = ..., tool_key: _Optional[_Union[_state_pb2.ToolKeyRecord, _Mapping]] = ..., tool_key_found: bool = ..., call: _Optional[_Union[_state_pb2.ToolCallRecord, _Mapping]] = ..., call_found: bool = ..., approval: _Optional[_Union[_state_pb2.ApprovalRecord, _Mapping]] = ..., approval_found: bool = ..., step_key: _Optional[_Union[_workflow_pb2.StepKeyRecord, _Mapping]] = ..., step_key_found: bool = ..., texts: _Optional[_Mapping[str, str]] = ...) -> None: ...

class SnapshotQuery(_message.Message):
    __slots__ = ("limit", "tenant", "budget", "instance", "after")
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    limit: int
    tenant: str
    budget: str
    instance: str
    after: BudgetKey
    def __init__(self, limit: _Optional[int] = ..., tenant: _Optional[str] = ..., budget: _Optional[str] = ..., instance: _Optional[str] = ..., after: _Optional[_Union[BudgetKey, _Mapping]] = ...) -> None: ...

class BudgetKey(_message.Message):
    __slots__ = ("tenant", "budget", "instance")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    budget: str
    instance: str
    def __init__(self, tenant: _Optional[str] = ..., budget: _Optional[str] = ..., instance: _Optional[str] = ...) -> None: ...

class Snapshot(_message.Message):
    __slots__ = ("budgets", "health", "sequence", "open_reservations", "config_version", "store_available", "next", "open_tool_calls", "open_approvals", "sessions", "open_runs", "ready_steps", "leased_steps")
    BUDGETS_FIELD_NUMBER: _ClassVar[int]
    HEALTH_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    OPEN_RESERVATIONS_FIELD_NUMBER: _ClassVar[int]
    CONFIG_VERSION_FIELD_NUMBER: _ClassVar[int]
    STORE_AVAILABLE_FIELD_NUMBER: _ClassVar[int]
    NEXT_FIELD_NUMBER: _ClassVar[int]
    OPEN_TOOL_CALLS_FIELD_NUMBER: _ClassVar[int]
    OPEN_APPROVALS_FIELD_NUMBER: _ClassVar[int]
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    OPEN_RUNS_FIELD_NUMBER: _ClassVar[int]
    READY_STEPS_FIELD_NUMBER: _ClassVar[int]
    LEASED_STEPS_FIELD_NUMBER: _ClassVar[int]
    budgets: _containers.RepeatedCompositeFieldContainer[BudgetView]
    health: _containers.RepeatedCompositeFieldContainer[_audit_record_pb2.HealthSnapshot]
    sequence: int
    open_reservations: int
    config_version: str
    store_available: bool
    next: BudgetKey
    open_tool_calls: int
    open_approvals: int
    sessions: int
    open_runs: int
    ready_steps: int
    leased_steps: int
    def __init__(self, budgets: _Optional[_Iterable[_Union[BudgetView, _Mapping]]] = ..., health: _Optional[_Iterable[_Union[_audit_record_pb2.HealthSnapshot, _Mapping]]] = ..., sequence: _Optional[int] = ..., open_reservations: _Optional[int] = ..., config_version: _Optional[str] = ..., store_available: bool = ..., next: _Optional[_Union[BudgetKey, _Mapping]] = ..., open_tool_calls: _Optional[int] = ..., open_approvals: _Optional[int] = ..., sessions: _Optional[int] = ..., open_runs: _Optional[int] = ..., ready_steps: _Optional[int] = ..., leased_steps: _Optional[int] = ...) -> None: ...

class BudgetView(_message.Message):
    __slots__ = ("budget", "tenant", "instance", "scope", "limit", "spent", "reserved", "window_start_unix_nanos", "resets_at_unix_nanos", "hard")
    class ScopeEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    SPENT_FIELD_NUMBER: _ClassVar[int]
    RESERVED_FIELD_NUMBER: _ClassVar[int]
    WINDOW_START_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    RESETS_AT_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    HARD_FIELD_NUMBER: _ClassVar[int]
    budget: str
    tenant: str
    instance: str
    scope: _containers.ScalarMap[str, str]
    limit: _amount_pb2.Amount
    spent: _amount_pb2.Amount
    reserved: _amount_pb2.Amount
    window_start_unix_nanos: int
    resets_at_unix_nanos: int
    hard: bool
    def __init__(self, budget: _Optional[str] = ..., tenant: _Optional[str] = ..., instance: _Optional[str] = ..., scope: _Optional[_Mapping[str, str]] = ..., limit: _Optional[_Union[_amount_pb2.Amount, _Mapping]] = ..., spent: _Optional[_Union[_amount_pb2.Amount, _Mapping]] = ..., reserved: _Optional[_Union[_amount_pb2.Amount, _Mapping]] = ..., window_start_unix_nanos: _Optional[int] = ..., resets_at_unix_nanos: _Optional[int] = ..., hard: bool = ...) -> None: ...
