from fairlead.v1 import amount_pb2 as _amount_pb2
from fairlead.v1 import run_pb2 as _run_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class OnUnknown(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ON_UNKNOWN_UNSPECIFIED: _ClassVar[OnUnknown]
    ON_UNKNOWN_ASK: _ClassVar[OnUnknown]
    ON_UNKNOWN_RETRY: _ClassVar[OnUnknown]
    ON_UNKNOWN_COMPENSATE: _ClassVar[OnUnknown]
    ON_UNKNOWN_FAIL: _ClassVar[OnUnknown]

class KeyState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    KEY_STATE_UNSPECIFIED: _ClassVar[KeyState]
    KEY_STATE_UNRESOLVED: _ClassVar[KeyState]
    KEY_STATE_HELD_BY_ANOTHER: _ClassVar[KeyState]
    KEY_STATE_CLAIMED: _ClassVar[KeyState]
ON_UNKNOWN_UNSPECIFIED: OnUnknown
ON_UNKNOWN_ASK: OnUnknown
ON_UNKNOWN_RETRY: OnUnknown
ON_UNKNOWN_COMPENSATE: OnUnknown
ON_UNKNOWN_FAIL: OnUnknown
KEY_STATE_UNSPECIFIED: KeyState
KEY_STATE_UNRESOLVED: KeyState
KEY_STATE_HELD_BY_ANOTHER: KeyState
KEY_STATE_CLAIMED: KeyState

class WorkflowDefinition(_message.Message):
    __slots__ = ("name", "version", "input_schema", "output", "output_schema", "budget", "steps", "unknown_tier", "keep_for_millis", "timeout_millis", "compensate_on_failure", "tenants", "canonical")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    INPUT_SCHEMA_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_SCHEMA_FIELD_NUMBER: _ClassVar[int]
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_TIER_FIELD_NUMBER: _ClassVar[int]
    KEEP_FOR_MILLIS_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_MILLIS_FIELD_NUMBER: _ClassVar[int]
    COMPENSATE_ON_FAILURE_FIELD_NUMBER: _ClassVar[int]
    TENANTS_FIELD_NUMBER: _ClassVar[int]
    CANONICAL_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    input_schema: str
    output: str
    output_schema: str
    budget: _amount_pb2.Amount
    steps: _containers.RepeatedCompositeFieldContainer[StepDefinition]
    unknown_tier: str
    keep_for_millis: int
    timeout_millis: int
    compensate_on_failure: bool
    tenants: _containers.RepeatedScalarFieldContainer[str]
    canonical: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., input_schema: _Optional[str] = ..., output: _Optional[str] = ..., output_schema: _Optional[str] = ..., budget: _Optional[_Union[_amount_pb2.Amount, _Mapping]] = ..., steps: _Optional[_Iterable[_Union[StepDefinition, _Mapping]]] = ..., unknown_tier: _Optional[str] = ..., keep_for_millis: _Optional[int] = ..., timeout_millis: _Optional[int] = ..., compensate_on_failure: bool = ..., tenants: _Optional[_Iterable[str]] = ..., canonical: _Optional[str] = ...) -> None: ...

class StepDefinition(_message.Message):
    __slots__ = ("id", "needs", "when", "task", "for_each", "compensate")
    ID_FIELD_NUMBER: _ClassVar[int]
    NEEDS_FIELD_NUMBER: _ClassVar[int]
    WHEN_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    FOR_EACH_FIELD_NUMBER: _ClassVar[int]
    COMPENSATE_FIELD_NUMBER: _ClassVar[int]
    id: str
    needs: _containers.RepeatedScalarFieldContainer[str]
    when: str
    task: StepTask
    for_each: ForEach
    compensate: str
    def __init__(self, id: _Optional[str] = ..., needs: _Optional[_Iterable[str]] = ..., when: _Optional[str] = ..., task: _Optional[_Union[StepTask, _Mapping]] = ..., for_each: _Optional[_Union[ForEach, _Mapping]] = ..., compensate: _Optional[str] = ...) -> None: ...

class StepTask(_message.Message):
    __slots__ = ("agent", "model", "approval", "wait", "workflow", "input", "input_schema", "output_schema", "effect", "idempotency_key", "on_unknown", "unknown_tier", "retry", "timeouts")
    AGENT_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    APPROVAL_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    INPUT_SCHEMA_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_SCHEMA_FIELD_NUMBER: _ClassVar[int]
    EFFECT_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    ON_UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_TIER_FIELD_NUMBER: _ClassVar[int]
    RETRY_FIELD_NUMBER: _ClassVar[int]
    TIMEOUTS_FIELD_NUMBER: _ClassVar[int]
    agent: AgentTask
    model: ModelTask
    approval: ApprovalTask
    wait: WaitTask
    workflow: ChildTask
    input: str
    input_schema: str
    output_schema: str
    effect: _run_pb2.StepEffect
    idempotency_key: str
    on_unknown: OnUnknown
    unknown_tier: str
    retry: StepRetry
    timeouts: StepTimeouts
    def __init__(self, agent: _Optional[_Union[AgentTask, _Mapping]] = ..., model: _Optional[_Union[ModelTask, _Mapping]] = ..., approval: _Optional[_Union[ApprovalTask, _Mapping]] = ..., wait: _Optional[_Union[WaitTask, _Mapping]] = ..., workflow: _Optional[_Union[ChildTask, _Mapping]] = ..., input: _Optional[str] = ..., input_schema: _Optional[str] = ..., output_schema: _Optional[str] = ..., effect: _Optional[_Union[_run_pb2.StepEffect, str]] = ..., idempotency_key: _Optional[str] = ..., on_unknown: _Optional[_Union[OnUnknown, str]] = ..., unknown_tier: _Optional[str] = ..., retry: _Optional[_Union[StepRetry, _Mapping]] = ..., timeouts: _Optional[_Union[StepTimeouts, _Mapping]] = ...) -> None: ...

class AgentTask(_message.Message):
    __slots__ = ("queue",)
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    queue: str
    def __init__(self, queue: _Optional[str] = ...) -> None: ...

class ModelTask(_message.Message):
    __slots__ = ("model", "prompt", "messages", "system", "json_output", "max_output_tokens", "temperature", "workload")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    SYSTEM_FIELD_NUMBER: _ClassVar[int]
    JSON_OUTPUT_FIELD_NUMBER: _ClassVar[int]
    MAX_OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    model: str
    prompt: str
    messages: str
    system: str
    json_output: bool
    max_output_tokens: int
    temperature: str
    workload: str
    def __init__(self, model: _Optional[str] = ..., prompt: _Optional[str] = ..., messages: _Optional[str] = ..., system: _Optional[str] = ..., json_output: bool = ..., max_output_tokens: _Optional[int] = ..., temperature: _Optional[str] = ..., workload: _Optional[str] = ...) -> None: ...

class ApprovalTask(_message.Message):
    __slots__ = ("tier", "show", "continue_on_reject", "title")
    TIER_FIELD_NUMBER: _ClassVar[int]
    SHOW_FIELD_NUMBER: _ClassVar[int]
    CONTINUE_ON_REJECT_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    tier: str
    show: str
    continue_on_reject: bool
    title: str
    def __init__(self, tier: _Optional[str] = ..., show: _Optional[str] = ..., continue_on_reject: bool = ..., title: _Optional[str] = ...) -> None: ...

class WaitTask(_message.Message):
    __slots__ = ("for_millis", "until", "signal", "timeout_millis", "continue_on_timeout")
    FOR_MILLIS_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_MILLIS_FIELD_NUMBER: _ClassVar[int]
    CONTINUE_ON_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    for_millis: int
    until: str
    signal: str
    timeout_millis: int
    continue_on_timeout: bool
    def __init__(self, for_millis: _Optional[int] = ..., until: _Optional[str] = ..., signal: _Optional[str] = ..., timeout_millis: _Optional[int] = ..., continue_on_timeout: bool = ...) -> None: ...

class ChildTask(_message.Message):
    __slots__ = ("workflow",)
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    workflow: str
    def __init__(self, workflow: _Optional[str] = ...) -> None: ...

class ForEach(_message.Message):
    __slots__ = ("items", "max_parallel", "quorum")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    MAX_PARALLEL_FIELD_NUMBER: _ClassVar[int]
    QUORUM_FIELD_NUMBER: _ClassVar[int]
    items: str
    max_parallel: int
    quorum: int
    def __init__(self, items: _Optional[str] = ..., max_parallel: _Optional[int] = ..., quorum: _Optional[int] = ...) -> None: ...

class StepRetry(_message.Message):
    __slots__ = ("attempts", "initial_millis", "max_millis", "non_retryable")
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    INITIAL_MILLIS_FIELD_NUMBER: _ClassVar[int]
    MAX_MILLIS_FIELD_NUMBER: _ClassVar[int]
    NON_RETRYABLE_FIELD_NUMBER: _ClassVar[int]
    attempts: int
    initial_millis: int
    max_millis: int
    non_retryable: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, attempts: _Optional[int] = ..., initial_millis: _Optional[int] = ..., max_millis: _Optional[int] = ..., non_retryable: _Optional[_Iterable[str]] = ...) -> None: ...

class StepTimeouts(_message.Message):
    __slots__ = ("queue_millis", "lease_millis", "attempt_millis", "total_millis")
    QUEUE_MILLIS_FIELD_NUMBER: _ClassVar[int]
    LEASE_MILLIS_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_MILLIS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_MILLIS_FIELD_NUMBER: _ClassVar[int]
    queue_millis: int
    lease_millis: int
    attempt_millis: int
    total_millis: int
    def __init__(self, queue_millis: _Optional[int] = ..., lease_millis: _Optional[int] = ..., attempt_millis: _Optional[int] = ..., total_millis: _Optional[int] = ...) -> None: ...

class PayloadRecord(_message.Message):
    __slots__ = ("json", "digest", "size_bytes", "run")
    JSON_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    json: bytes
    digest: bytes
    size_bytes: int
    run: str
    def __init__(self, json: _Optional[bytes] = ..., digest: _Optional[bytes] = ..., size_bytes: _Optional[int] = ..., run: _Optional[str] = ...) -> None: ...

class RunRecord(_message.Message):
    __slots__ = ("run", "tenant", "agent", "operator", "workflow", "workflow_version", "state", "labels", "priority", "input", "output", "failure", "spent", "cost_avoided", "parent", "parent_step", "parent_epoch", "root", "depth", "rerun_of", "rerun_from", "create_time_unix_nanos", "start_time_unix_nanos", "end_time_unix_nanos", "deadline_unix_nanos", "signals", "ends_as", "steps_ended", "steps_total", "revision", "delete_time_unix_nanos", "session", "next_finish", "children", "signal_requests", "traceparent")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    RUN_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    AGENT_FIELD_NUMBER: _ClassVar[int]
    OPERATOR_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_VERSION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    SPENT_FIELD_NUMBER: _ClassVar[int]
    COST_AVOIDED_FIELD_NUMBER: _ClassVar[int]
    PARENT_FIELD_NUMBER: _ClassVar[int]
    PARENT_STEP_FIELD_NUMBER: _ClassVar[int]
    PARENT_EPOCH_FIELD_NUMBER: _ClassVar[int]
    ROOT_FIELD_NUMBER: _ClassVar[int]
    DEPTH_FIELD_NUMBER: _ClassVar[int]
    RERUN_OF_FIELD_NUMBER: _ClassVar[int]
    RERUN_FROM_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    START_TIME_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    END_TIME_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    SIGNALS_FIELD_NUMBER: _ClassVar[int]
    ENDS_AS_FIELD_NUMBER: _ClassVar[int]
    STEPS_ENDED_FIELD_NUMBER: _ClassVar[int]
    STEPS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    DELETE_TIME_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    NEXT_FINISH_FIELD_NUMBER: _ClassVar[int]
    CHILDREN_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_REQUESTS_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    run: str
    tenant: str
    agent: str
    operator: str
    workflow: str
    workflow_version: str
    state: _run_pb2.RunState
    labels: _containers.ScalarMap[str, str]
    priority: int
    input: PayloadRecord
    output: PayloadRecord
    failure: _run_pb2.Failure
    spent: _amount_pb2.Amount
    cost_avoided: _amount_pb2.Amount
    parent: str
    parent_step: str
    parent_epoch: int
    root: str
    depth: int
    rerun_of: str
    rerun_from: str
    create_time_unix_nanos: int
    start_time_unix_nanos: int
    end_time_unix_nanos: int
    deadline_unix_nanos: int
    signals: _containers.RepeatedCompositeFieldContainer[SignalRecord]
    ends_as: _run_pb2.RunState
    steps_ended: int
    steps_total: int
    revision: int
    delete_time_unix_nanos: int
    session: str
    next_finish: int
    children: _containers.RepeatedScalarFieldContainer[str]
    signal_requests: _containers.RepeatedScalarFieldContainer[str]
    traceparent: str
    def __init__(self, run: _Optional[str] = ..., tenant: _Optional[str] = ..., agent: _Optional[str] = ..., operator: _Optional[str] = ..., workflow: _Optional[str] = ..., workflow_version: _Optional[str] = ..., state: _Optional[_Union[_run_pb2.RunState, str]] = ..., labels: _Optional[_Mapping[str, str]] = ..., priority: _Optional[int] = ..., input: _Optional[_Union[PayloadRecord, _Mapping]] = ..., output: _Optional[_Union[PayloadRecord, _Mapping]] = ..., failure: _Optional[_Union[_run_pb2.Failure, _Mapping]] = ..., spent: _Optional[_Union[_amount_pb2.Amount, _Mapping]] = ..., cost_avoided: _Optional[_Union[_amount_pb2.Amount, _Mapping]] = ..., parent: _Optional[str] = ..., parent_step: _Optional[str] = ..., parent_epoch: _Optional[int] = ..., root: _Optional[str] = ..., depth: _Optional[int] = ..., rerun_of: _Optional[str] = ..., rerun_from: _Optional[str] = ..., create_time_unix_nanos: _Optional[int] = ..., start_time_unix_nanos: _Optional[int] = ..., end_time_unix_nanos: _Optional[int] = ..., deadline_unix_nanos: _Optional[int] = ..., signals: _Optional[_Iterable[_Union[SignalRecord, _Mapping]]] = ..., ends_as: _Optional[_Union[_run_pb2.RunState, str]] = ..., steps_ended: _Optional[int] = ..., steps_total: _Optional[int] = ..., revision: _Optional[int] = ..., delete_time_unix_nanos: _Optional[int] = ..., session: _Optional[str] = ..., next_finish: _Optional[int] = ..., children: _Optional[_Iterable[str]] = ..., signal_requests: _Optional[_Iterable[str]] = ..., traceparent: _Optional[str] = ...) -> None: ...

class SignalRecord(_message.Message):
    __slots__ = ("signal", "payload")
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    signal: str
    payload: PayloadRecord
    def __init__(self, signal: _Optional[str] = ..., payload: _Optional[_Union[PayloadRecord, _Mapping]] = ...) -> None: ...

class StepRecord(_message.Message):
    __slots__ = ("step", "item", "state", "epoch", "attempts", "lease", "worker", "lease_expires_at_unix_nanos", "attempt_expires_at_unix_nanos", "due_at_unix_nanos", "total_expires_at_unix_nanos", "input", "output", "failure", "approval", "child", "idempotency_key", "key_state", "spent", "replayed", "start_time_unix_nanos", "end_time_unix_nanos", "finish", "items_begun", "items_succeeded", "items_failed", "items_total", "compensating", "invocations", "completed_lease")
    STEP_FIELD_NUMBER: _ClassVar[int]
    ITEM_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    LEASE_EXPIRES_AT_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_EXPIRES_AT_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    DUE_AT_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_EXPIRES_AT_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    APPROVAL_FIELD_NUMBER: _ClassVar[int]
    CHILD_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    KEY_STATE_FIELD_NUMBER: _ClassVar[int]
    SPENT_FIELD_NUMBER: _ClassVar[int]
    REPLAYED_FIELD_NUMBER: _ClassVar[int]
    START_TIME_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    END_TIME_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    FINISH_FIELD_NUMBER: _ClassVar[int]
    ITEMS_BEGUN_FIELD_NUMBER: _ClassVar[int]
    ITEMS_SUCCEEDED_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FAILED_FIELD_NUMBER: _ClassVar[int]
    ITEMS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    COMPENSATING_FIELD_NUMBER: _ClassVar[int]
    INVOCATIONS_FIELD_NUMBER: _ClassVar[int]
    COMPLETED_LEASE_FIELD_NUMBER: _ClassVar[int]
    step: int
    item: int
    state: _run_pb2.StepState
    epoch: int
    attempts: int
    lease: str
    worker: str
    lease_expires_at_unix_nanos: int
    attempt_expires_at_unix_nanos: int
    due_at_unix_nanos: int
    total_expires_at_unix_nanos: int
    input: PayloadRecord
    output: PayloadRecord
    failure: _run_pb2.Failure
    approval: str
    child: str
    idempotency_key: str
    key_state: KeyState
    spent: _amount_pb2.Amount
    replayed: bool
    start_time_unix_nanos: int
    end_time_unix_nanos: int
    finish: int
    items_begun: int
    items_succeeded: int
    items_failed: int
    items_total: int
    compensating: bool
    invocations: _containers.RepeatedScalarFieldContainer[str]
    completed_lease: bytes
    def __init__(self, step: _Optional[int] = ..., item: _Optional[int] = ..., state: _Optional[_Union[_run_pb2.StepState, str]] = ..., epoch: _Optional[int] = ..., attempts: _Optional[int] = ..., lease: _Optional[str] = ..., worker: _Optional[str] = ..., lease_expires_at_unix_nanos: _Optional[int] = ..., attempt_expires_at_unix_nanos: _Optional[int] = ..., due_at_unix_nanos: _Optional[int] = ..., total_expires_at_unix_nanos: _Optional[int] = ..., input: _Optional[_Union[PayloadRecord, _Mapping]] = ..., output: _Optional[_Union[PayloadRecord, _Mapping]] = ..., failure: _Optional[_Union[_run_pb2.Failure, _Mapping]] = ..., approval: _Optional[str] = ..., child: _Optional[str] = ..., idempotency_key: _Optional[str] = ..., key_state: _Optional[_Union[KeyState, str]] = ..., spent: _Optional[_Union[_amount_pb2.Amount, _Mapping]] = ..., replayed: bool = ..., start_time_unix_nanos: _Optional[int] = ..., end_time_unix_nanos: _Optional[int] = ..., finish: _Optional[int] = ..., items_begun: _Optional[int] = ..., items_succeeded: _Optional[int] = ..., items_failed: _Optional[int] = ..., items_total: _Optional[int] = ..., compensating: bool = ..., invocations: _Optional[_Iterable[str]] = ..., completed_lease: _Optional[bytes] = ...) -> None: ...

class StepKeyRecord(_message.Message):
    __slots__ = ("tenant", "idempotency_key", "run", "step", "output", "time_unix_nanos", "input_digest", "outcome_unknown")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    TIME_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    INPUT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    idempotency_key: str
    run: str
    step: str
    output: bytes
    time_unix_nanos: int
    input_digest: bytes
    outcome_unknown: bool
    def __init__(self, tenant: _Optional[str] = ..., idempotency_key: _Optional[str] = ..., run: _Optional[str] = ..., step: _Optional[str] = ..., output: _Optional[bytes] = ..., time_unix_nanos: _Optional[int] = ..., input_digest: _Optional[bytes] = ..., outcome_unknown: bool = ...) -> None: ...
