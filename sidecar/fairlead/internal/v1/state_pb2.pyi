from fairlead.v1 import amount_pb2 as _amount_pb2
from fairlead.v1 import approval_service_pb2 as _approval_service_pb2
from fairlead.v1 import audit_record_pb2 as _audit_record_pb2
from fairlead.v1 import gate_service_pb2 as _gate_service_pb2
from fairlead.v1 import tool_pb2 as _tool_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class InvocationRecord(_message.Message):
    __slots__ = ("invocation", "tenant", "agent", "state", "create_time_unix_nanos", "expires_at_unix_nanos", "sequences", "charges", "admitted", "prices", "request_key", "end_request_id", "end_request_digest", "settled", "released", "rate_holds", "input_tokens_bound", "config_version", "settled_by_sidecar", "keeps_by", "approval", "run", "step")
    INVOCATION_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    AGENT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    SEQUENCES_FIELD_NUMBER: _ClassVar[int]
    CHARGES_FIELD_NUMBER: _ClassVar[int]
    ADMITTED_FIELD_NUMBER: _ClassVar[int]
    PRICES_FIELD_NUMBER: _ClassVar[int]
    REQUEST_KEY_FIELD_NUMBER: _ClassVar[int]
    END_REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    END_REQUEST_DIGEST_FIELD_NUMBER: _ClassVar[int]
    SETTLED_FIELD_NUMBER: _ClassVar[int]
    RELEASED_FIELD_NUMBER: _ClassVar[int]
    RATE_HOLDS_FIELD_NUMBER: _ClassVar[int]
    INPUT_TOKENS_BOUND_FIELD_NUMBER: _ClassVar[int]
    CONFIG_VERSION_FIELD_NUMBER: _ClassVar[int]
    SETTLED_BY_SIDECAR_FIELD_NUMBER: _ClassVar[int]
    KEEPS_BY_FIELD_NUMBER: _ClassVar[int]
    APPROVAL_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    invocation: str
    tenant: str
    agent: str
    state: _audit_record_pb2.InvocationState
    create_time_unix_nanos: int
    expires_at_unix_nanos: int
    sequences: _containers.RepeatedScalarFieldContainer[int]
    charges: _containers.RepeatedCompositeFieldContainer[_audit_record_pb2.BudgetCharge]
    admitted: _gate_service_pb2.AdmitResponse
    prices: _containers.RepeatedCompositeFieldContainer[PlannedPrice]
    request_key: bytes
    end_request_id: str
    end_request_digest: bytes
    settled: _gate_service_pb2.SettleResponse
    released: _gate_service_pb2.ReleaseResponse
    rate_holds: _containers.RepeatedCompositeFieldContainer[RateHold]
    input_tokens_bound: int
    config_version: str
    settled_by_sidecar: bool
    keeps_by: str
    approval: str
    run: str
    step: str
    def __init__(self, invocation: _Optional[str] = ..., tenant: _Optional[str] = ..., agent: _Optional[str] = ..., state: _Optional[_Union[_audit_record_pb2.InvocationState, str]] = ..., create_time_unix_nanos: _Optional[int] = ..., expires_at_unix_nanos: _Optional[int] = ..., sequences: _Optional[_Iterable[int]] = ..., charges: _Optional[_Iterable[_Union[_audit_record_pb2.BudgetCharge, _Mapping]]] = ..., admitted: _Optional[_Union[_gate_service_pb2.AdmitResponse, _Mapping]] = ..., prices: _Optional[_Iterable[_Union[PlannedPrice, _Mapping]]] = ..., request_key: _Optional[bytes] = ..., end_request_id: _Optional[str] = ..., end_request_digest: _Optional[bytes] = ..., settled: _Optional[_Union[_gate_service_pb2.SettleResponse, _Mapping]] = ..., released: _Optional[_Union[_gate_service_pb2.ReleaseResponse, _Mapping]] = ..., rate_holds: _Optional[_Iterable[_Union[RateHold, _Mapping]]] = ..., input_tokens_bound: _Optional[int] = ..., config_version: _Optional[str] = ..., settled_by_sidecar: bool = ..., keeps_by: _Optional[str] = ..., approval: _Optional[str] = ..., run: _Optional[str] = ..., step: _Optional[str] = ...) -> None: ...

class RateHold(_message.Message):
    __slots__ = ("limit", "instance", "tokens")
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    limit: str
    instance: str
    tokens: int
    def __init__(self, limit: _Optional[str] = ..., instance: _Optional[str] = ..., tokens: _Optional[int] = ...) -> None: ...

class PlannedPrice(_message.Message):
    __slots__ = ("model", "input_pico", "cached_input_pico", "cache_write_pico", "output_pico", "failed_attempts_cost_input", "input_tokens_bound", "output_tokens_bound", "cache_write_1h_pico", "audio_input_pico", "audio_output_pico", "image_input_pico", "reasoning_pico")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    INPUT_PICO_FIELD_NUMBER: _ClassVar[int]
    CACHED_INPUT_PICO_FIELD_NUMBER: _ClassVar[int]
    CACHE_WRITE_PICO_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_PICO_FIELD_NUMBER: _ClassVar[int]
    FAILED_ATTEMPTS_COST_INPUT_FIELD_NUMBER: _ClassVar[int]
    INPUT_TOKENS_BOUND_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_TOKENS_BOUND_FIELD_NUMBER: _ClassVar[int]
    CACHE_WRITE_1H_PICO_FIELD_NUMBER: _ClassVar[int]
    AUDIO_INPUT_PICO_FIELD_NUMBER: _ClassVar[int]
    AUDIO_OUTPUT_PICO_FIELD_NUMBER: _ClassVar[int]
    IMAGE_INPUT_PICO_FIELD_NUMBER: _ClassVar[int]
    REASONING_PICO_FIELD_NUMBER: _ClassVar[int]
    model: str
    input_pico: int
    cached_input_pico: int
    cache_write_pico: int
    output_pico: int
    failed_attempts_cost_input: bool
    input_tokens_bound: int
    output_tokens_bound: int
    cache_write_1h_pico: int
    audio_input_pico: int
    audio_output_pico: int
    image_input_pico: int
    reasoning_pico: int
    def __init__(self, model: _Optional[str] = ..., input_pico: _Optional[int] = ..., cached_input_pico: _Optional[int] = ..., cache_write_pico: _Optional[int] = ..., output_pico: _Optional[int] = ..., failed_attempts_cost_input: bool = ..., input_tokens_bound: _Optional[int] = ..., output_tokens_bound: _Optional[int] = ..., cache_write_1h_pico: _Optional[int] = ..., audio_input_pico: _Optional[int] = ..., audio_output_pico: _Optional[int] = ..., image_input_pico: _Optional[int] = ..., reasoning_pico: _Optional[int] = ...) -> None: ...

class RequestRecord(_message.Message):
    __slots__ = ("tenant", "digest", "invocation", "answer", "time_unix_nanos")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    INVOCATION_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    TIME_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    digest: bytes
    invocation: str
    answer: bytes
    time_unix_nanos: int
    def __init__(self, tenant: _Optional[str] = ..., digest: _Optional[bytes] = ..., invocation: _Optional[str] = ..., answer: _Optional[bytes] = ..., time_unix_nanos: _Optional[int] = ...) -> None: ...

class BudgetRecord(_message.Message):
    __slots__ = ("budget", "tenant", "instance", "buckets", "fired", "used_at_unix_nanos", "window_millis")
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    BUCKETS_FIELD_NUMBER: _ClassVar[int]
    FIRED_FIELD_NUMBER: _ClassVar[int]
    USED_AT_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    WINDOW_MILLIS_FIELD_NUMBER: _ClassVar[int]
    budget: str
    tenant: str
    instance: str
    buckets: _containers.RepeatedCompositeFieldContainer[BudgetBucket]
    fired: _containers.RepeatedCompositeFieldContainer[FiredAlert]
    used_at_unix_nanos: int
    window_millis: int
    def __init__(self, budget: _Optional[str] = ..., tenant: _Optional[str] = ..., instance: _Optional[str] = ..., buckets: _Optional[_Iterable[_Union[BudgetBucket, _Mapping]]] = ..., fired: _Optional[_Iterable[_Union[FiredAlert, _Mapping]]] = ..., used_at_unix_nanos: _Optional[int] = ..., window_millis: _Optional[int] = ...) -> None: ...

class BudgetBucket(_message.Message):
    __slots__ = ("start_unix_nanos", "spent")
    START_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    SPENT_FIELD_NUMBER: _ClassVar[int]
    start_unix_nanos: int
    spent: _amount_pb2.Amount
    def __init__(self, start_unix_nanos: _Optional[int] = ..., spent: _Optional[_Union[_amount_pb2.Amount, _Mapping]] = ...) -> None: ...

class FiredAlert(_message.Message):
    __slots__ = ("threshold_percent", "window_start_unix_nanos")
    THRESHOLD_PERCENT_FIELD_NUMBER: _ClassVar[int]
    WINDOW_START_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    threshold_percent: int
    window_start_unix_nanos: int
    def __init__(self, threshold_percent: _Optional[int] = ..., window_start_unix_nanos: _Optional[int] = ...) -> None: ...

class ToolCallRecord(_message.Message):
    __slots__ = ("call", "tenant", "agent", "state", "tool", "arguments_digest", "idempotency_key", "effect", "risk", "session", "run", "step", "create_time_unix_nanos", "grant_time_unix_nanos", "expires_at_unix_nanos", "end_time_unix_nanos", "approval", "sequences", "config_version", "result", "result_digest", "result_bytes", "end_request_id", "end_request_digest", "completed", "superseded_by")
    CALL_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    AGENT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    TOOL_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_DIGEST_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    EFFECT_FIELD_NUMBER: _ClassVar[int]
    RISK_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    GRANT_TIME_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    END_TIME_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    APPROVAL_FIELD_NUMBER: _ClassVar[int]
    SEQUENCES_FIELD_NUMBER: _ClassVar[int]
    CONFIG_VERSION_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    RESULT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    RESULT_BYTES_FIELD_NUMBER: _ClassVar[int]
    END_REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    END_REQUEST_DIGEST_FIELD_NUMBER: _ClassVar[int]
    COMPLETED_FIELD_NUMBER: _ClassVar[int]
    SUPERSEDED_BY_FIELD_NUMBER: _ClassVar[int]
    call: str
    tenant: str
    agent: str
    state: _audit_record_pb2.ToolCallState
    tool: str
    arguments_digest: bytes
    idempotency_key: str
    effect: _tool_pb2.ToolEffect
    risk: _tool_pb2.ToolRisk
    session: str
    run: str
    step: str
    create_time_unix_nanos: int
    grant_time_unix_nanos: int
    expires_at_unix_nanos: int
    end_time_unix_nanos: int
    approval: str
    sequences: _containers.RepeatedScalarFieldContainer[int]
    config_version: str
    result: bytes
    result_digest: bytes
    result_bytes: int
    end_request_id: str
    end_request_digest: bytes
    completed: _gate_service_pb2.CompleteToolResponse
    superseded_by: str
    def __init__(self, call: _Optional[str] = ..., tenant: _Optional[str] = ..., agent: _Optional[str] = ..., state: _Optional[_Union[_audit_record_pb2.ToolCallState, str]] = ..., tool: _Optional[str] = ..., arguments_digest: _Optional[bytes] = ..., idempotency_key: _Optional[str] = ..., effect: _Optional[_Union[_tool_pb2.ToolEffect, str]] = ..., risk: _Optional[_Union[_tool_pb2.ToolRisk, str]] = ..., session: _Optional[str] = ..., run: _Optional[str] = ..., step: _Optional[str] = ..., create_time_unix_nanos: _Optional[int] = ..., grant_time_unix_nanos: _Optional[int] = ..., expires_at_unix_nanos: _Optional[int] = ..., end_time_unix_nanos: _Optional[int] = ..., approval: _Optional[str] = ..., sequences: _Optional[_Iterable[int]] = ..., config_version: _Optional[str] = ..., result: _Optional[bytes] = ..., result_digest: _Optional[bytes] = ..., result_bytes: _Optional[int] = ..., end_request_id: _Optional[str] = ..., end_request_digest: _Optional[bytes] = ..., completed: _Optional[_Union[_gate_service_pb2.CompleteToolResponse, _Mapping]] = ..., superseded_by: _Optional[str] = ...) -> None: ...

class ToolKeyRecord(_message.Message):
    __slots__ = ("call", "idempotency_key")
    CALL_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    call: str
    idempotency_key: str
    def __init__(self, call: _Optional[str] = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class ApprovalRecord(_message.Message):
    __slots__ = ("approval", "call", "arguments_digest", "sequences", "superseded_by", "edited", "labels", "model_call")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    APPROVAL_FIELD_NUMBER: _ClassVar[int]
    CALL_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_DIGEST_FIELD_NUMBER: _ClassVar[int]
    SEQUENCES_FIELD_NUMBER: _ClassVar[int]
    SUPERSEDED_BY_FIELD_NUMBER: _ClassVar[int]
    EDITED_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    MODEL_CALL_FIELD_NUMBER: _ClassVar[int]
    approval: _approval_service_pb2.Approval
    call: str
    arguments_digest: bytes
    sequences: _containers.RepeatedScalarFieldContainer[int]
    superseded_by: str
    edited: bool
    labels: _containers.ScalarMap[str, str]
    model_call: AskedCall
    def __init__(self, approval: _Optional[_Union[_approval_service_pb2.Approval, _Mapping]] = ..., call: _Optional[str] = ..., arguments_digest: _Optional[bytes] = ..., sequences: _Optional[_Iterable[int]] = ..., superseded_by: _Optional[str] = ..., edited: bool = ..., labels: _Optional[_Mapping[str, str]] = ..., model_call: _Optional[_Union[AskedCall, _Mapping]] = ...) -> None: ...

class AskedCall(_message.Message):
    __slots__ = ("key", "split_key", "models", "max_output_tokens", "budgets")
    KEY_FIELD_NUMBER: _ClassVar[int]
    SPLIT_KEY_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    MAX_OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    BUDGETS_FIELD_NUMBER: _ClassVar[int]
    key: bytes
    split_key: str
    models: _containers.RepeatedScalarFieldContainer[str]
    max_output_tokens: int
    budgets: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, key: _Optional[bytes] = ..., split_key: _Optional[str] = ..., models: _Optional[_Iterable[str]] = ..., max_output_tokens: _Optional[int] = ..., budgets: _Optional[_Iterable[str]] = ...) -> None: ...

class SessionRecord(_message.Message):
    __slots__ = ("tenant", "session", "labels", "pins", "used_at_unix_nanos")
    class PinsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    TENANT_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    PINS_FIELD_NUMBER: _ClassVar[int]
    USED_AT_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    session: str
    labels: _containers.RepeatedScalarFieldContainer[str]
    pins: _containers.ScalarMap[str, str]
    used_at_unix_nanos: int
    def __init__(self, tenant: _Optional[str] = ..., session: _Optional[str] = ..., labels: _Optional[_Iterable[str]] = ..., pins: _Optional[_Mapping[str, str]] = ..., used_at_unix_nanos: _Optional[int] = ...) -> None: ...

class RestoreRecord(_message.Message):
    __slots__ = ("restore_time_unix_nanos", "backup_time_unix_nanos", "program_version", "audit_sequence", "audit_head")
    RESTORE_TIME_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    BACKUP_TIME_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    PROGRAM_VERSION_FIELD_NUMBER: _ClassVar[int]
    AUDIT_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    AUDIT_HEAD_FIELD_NUMBER: _ClassVar[int]
    restore_time_unix_nanos: int
    backup_time_unix_nanos: int
    program_version: str
    audit_sequence: int
    audit_head: bytes
    def __init__(self, restore_time_unix_nanos: _Optional[int] = ..., backup_time_unix_nanos: _Optional[int] = ..., program_version: _Optional[str] = ..., audit_sequence: _Optional[int] = ..., audit_head: _Optional[bytes] = ...) -> None: ...

class ConsumerRecord(_message.Message):
    __slots__ = ("sequence", "fingerprint", "acknowledged_at_unix_nanos", "registered_at_unix_nanos", "left_behind", "missed_records")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGED_AT_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    REGISTERED_AT_UNIX_NANOS_FIELD_NUMBER: _ClassVar[int]
    LEFT_BEHIND_FIELD_NUMBER: _ClassVar[int]
    MISSED_RECORDS_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    fingerprint: bytes
    acknowledged_at_unix_nanos: int
    registered_at_unix_nanos: int
    left_behind: bool
    missed_records: int
    def __init__(self, sequence: _Optional[int] = ..., fingerprint: _Optional[bytes] = ..., acknowledged_at_unix_nanos: _Optional[int] = ..., registered_at_unix_nanos: _Optional[int] = ..., left_behind: bool = ..., missed_records: _Optional[int] = ...) -> None: ...

class AuditSealRecord(_message.Message):
    __slots__ = ("log_id", "size", "frontier", "public_key", "former_public_keys", "record_bytes")
    LOG_ID_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    FRONTIER_FIELD_NUMBER: _ClassVar[int]
    PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    FORMER_PUBLIC_KEYS_FIELD_NUMBER: _ClassVar[int]
    RECORD_BYTES_FIELD_NUMBER: _ClassVar[int]
    log_id: bytes
    size: int
    frontier: _containers.RepeatedScalarFieldContainer[bytes]
    public_key: str
    former_public_keys: _containers.RepeatedScalarFieldContainer[str]
    record_bytes: int
    def __init__(self, log_id: _Optional[bytes] = ..., size: _Optional[int] = ..., frontier: _Optional[_Iterable[bytes]] = ..., public_key: _Optional[str] = ..., former_public_keys: _Optional[_Iterable[str]] = ..., record_bytes: _Optional[int] = ...) -> None: ...

class AuditCheckpointRecord(_message.Message):
    __slots__ = ("note", "leaf_hashes", "record_bytes")
    NOTE_FIELD_NUMBER: _ClassVar[int]
    LEAF_HASHES_FIELD_NUMBER: _ClassVar[int]
    RECORD_BYTES_FIELD_NUMBER: _ClassVar[int]
    note: str
    leaf_hashes: bytes
    record_bytes: int
    def __init__(self, note: _Optional[str] = ..., leaf_hashes: _Optional[bytes] = ..., record_bytes: _Optional[int] = ...) -> None: ...

class AuditBeginningRecord(_message.Message):
    __slots__ = ("first_sequence", "prev_hash", "note", "frontier", "log_hash", "record_bytes")
    FIRST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    PREV_HASH_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    FRONTIER_FIELD_NUMBER: _ClassVar[int]
    LOG_HASH_FIELD_NUMBER: _ClassVar[int]
    RECORD_BYTES_FIELD_NUMBER: _ClassVar[int]
    first_sequence: int
    prev_hash: bytes
    note: str
    frontier: _containers.RepeatedScalarFieldContainer[bytes]
    log_hash: bytes
    record_bytes: int
    def __init__(self, first_sequence: _Optional[int] = ..., prev_hash: _Optional[bytes] = ..., note: _Optional[str] = ..., frontier: _Optional[_Iterable[bytes]] = ..., log_hash: _Optional[bytes] = ..., record_bytes: _Optional[int] = ...) -> None: ...

class TrimmedValueRecord(_message.Message):
    __slots__ = ("subjects", "last_sequence")
    SUBJECTS_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    subjects: _containers.RepeatedScalarFieldContainer[bytes]
    last_sequence: int
    def __init__(self, subjects: _Optional[_Iterable[bytes]] = ..., last_sequence: _Optional[int] = ...) -> None: ...

class ErasableValueRecord(_message.Message):
    __slots__ = ("salt", "value")
    SALT_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    salt: bytes
    value: str
    def __init__(self, salt: _Optional[bytes] = ..., value: _Optional[str] = ...) -> None: ...
