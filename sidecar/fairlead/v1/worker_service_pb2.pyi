import datetime

from fairlead.v1 import run_pb2 as _run_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class LeaseWish(_message.Message):
    __slots__ = ("worker", "queues", "max_steps")
    WORKER_FIELD_NUMBER: _ClassVar[int]
    QUEUES_FIELD_NUMBER: _ClassVar[int]
    MAX_STEPS_FIELD_NUMBER: _ClassVar[int]
    worker: str
    queues: _containers.RepeatedScalarFieldContainer[str]
    max_steps: int
    def __init__(self, worker: _Optional[str] = ..., queues: _Optional[_Iterable[str]] = ..., max_steps: _Optional[int] = ...) -> None: ...

class LeaseStepsRequest(_message.Message):
    __slots__ = ("wish", "timeout")
    WISH_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    wish: LeaseWish
    timeout: _duration_pb2.Duration
    def __init__(self, wish: _Optional[_Union[LeaseWish, _Mapping]] = ..., timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class LeaseStepsResponse(_message.Message):
    __slots__ = ("leases",)
    LEASES_FIELD_NUMBER: _ClassVar[int]
    leases: _containers.RepeatedCompositeFieldContainer[StepLease]
    def __init__(self, leases: _Optional[_Iterable[_Union[StepLease, _Mapping]]] = ...) -> None: ...

class StepLease(_message.Message):
    __slots__ = ("run", "step", "epoch", "lease", "queue", "input", "idempotency_key", "effect", "expire_time", "extension", "attempt_expire_time", "attempt", "workflow", "labels", "compensation", "compensates", "session", "traceparent")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    RUN_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    EFFECT_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    EXTENSION_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    COMPENSATION_FIELD_NUMBER: _ClassVar[int]
    COMPENSATES_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    run: str
    step: str
    epoch: int
    lease: str
    queue: str
    input: bytes
    idempotency_key: str
    effect: _run_pb2.StepEffect
    expire_time: _timestamp_pb2.Timestamp
    extension: _duration_pb2.Duration
    attempt_expire_time: _timestamp_pb2.Timestamp
    attempt: int
    workflow: str
    labels: _containers.ScalarMap[str, str]
    compensation: bool
    compensates: bytes
    session: str
    traceparent: str
    def __init__(self, run: _Optional[str] = ..., step: _Optional[str] = ..., epoch: _Optional[int] = ..., lease: _Optional[str] = ..., queue: _Optional[str] = ..., input: _Optional[bytes] = ..., idempotency_key: _Optional[str] = ..., effect: _Optional[_Union[_run_pb2.StepEffect, str]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., extension: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., attempt_expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., attempt: _Optional[int] = ..., workflow: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., compensation: bool = ..., compensates: _Optional[bytes] = ..., session: _Optional[str] = ..., traceparent: _Optional[str] = ...) -> None: ...

class AttemptRef(_message.Message):
    __slots__ = ("run", "step", "epoch", "lease")
    RUN_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    run: str
    step: str
    epoch: int
    lease: str
    def __init__(self, run: _Optional[str] = ..., step: _Optional[str] = ..., epoch: _Optional[int] = ..., lease: _Optional[str] = ...) -> None: ...

class HeartbeatStepRequest(_message.Message):
    __slots__ = ("attempt", "progress")
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    attempt: AttemptRef
    progress: str
    def __init__(self, attempt: _Optional[_Union[AttemptRef, _Mapping]] = ..., progress: _Optional[str] = ...) -> None: ...

class HeartbeatStepResponse(_message.Message):
    __slots__ = ("expire_time", "cancel_requested")
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    CANCEL_REQUESTED_FIELD_NUMBER: _ClassVar[int]
    expire_time: _timestamp_pb2.Timestamp
    cancel_requested: bool
    def __init__(self, expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., cancel_requested: bool = ...) -> None: ...

class CompleteStepRequest(_message.Message):
    __slots__ = ("attempt", "output", "next")
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    NEXT_FIELD_NUMBER: _ClassVar[int]
    attempt: AttemptRef
    output: bytes
    next: LeaseWish
    def __init__(self, attempt: _Optional[_Union[AttemptRef, _Mapping]] = ..., output: _Optional[bytes] = ..., next: _Optional[_Union[LeaseWish, _Mapping]] = ...) -> None: ...

class CompleteStepResponse(_message.Message):
    __slots__ = ("leases", "run_state")
    LEASES_FIELD_NUMBER: _ClassVar[int]
    RUN_STATE_FIELD_NUMBER: _ClassVar[int]
    leases: _containers.RepeatedCompositeFieldContainer[StepLease]
    run_state: _run_pb2.RunState
    def __init__(self, leases: _Optional[_Iterable[_Union[StepLease, _Mapping]]] = ..., run_state: _Optional[_Union[_run_pb2.RunState, str]] = ...) -> None: ...

class CompleteStepsRequest(_message.Message):
    __slots__ = ("completions", "next")
    COMPLETIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_FIELD_NUMBER: _ClassVar[int]
    completions: _containers.RepeatedCompositeFieldContainer[StepCompletion]
    next: LeaseWish
    def __init__(self, completions: _Optional[_Iterable[_Union[StepCompletion, _Mapping]]] = ..., next: _Optional[_Union[LeaseWish, _Mapping]] = ...) -> None: ...

class StepCompletion(_message.Message):
    __slots__ = ("attempt", "output")
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    attempt: AttemptRef
    output: bytes
    def __init__(self, attempt: _Optional[_Union[AttemptRef, _Mapping]] = ..., output: _Optional[bytes] = ...) -> None: ...

class CompleteStepsResponse(_message.Message):
    __slots__ = ("outcomes", "leases")
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    LEASES_FIELD_NUMBER: _ClassVar[int]
    outcomes: _containers.RepeatedCompositeFieldContainer[CompletionOutcome]
    leases: _containers.RepeatedCompositeFieldContainer[StepLease]
    def __init__(self, outcomes: _Optional[_Iterable[_Union[CompletionOutcome, _Mapping]]] = ..., leases: _Optional[_Iterable[_Union[StepLease, _Mapping]]] = ...) -> None: ...

class CompletionOutcome(_message.Message):
    __slots__ = ("run_state", "reason", "message", "metadata")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    RUN_STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    run_state: _run_pb2.RunState
    reason: str
    message: str
    metadata: _containers.ScalarMap[str, str]
    def __init__(self, run_state: _Optional[_Union[_run_pb2.RunState, str]] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., metadata: _Optional[_Mapping[str, str]] = ...) -> None: ...

class FailStepRequest(_message.Message):
    __slots__ = ("attempt", "code", "message", "non_retryable", "outcome_unknown", "retry_after", "returned")
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    NON_RETRYABLE_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_FIELD_NUMBER: _ClassVar[int]
    RETURNED_FIELD_NUMBER: _ClassVar[int]
    attempt: AttemptRef
    code: str
    message: str
    non_retryable: bool
    outcome_unknown: bool
    retry_after: _duration_pb2.Duration
    returned: bool
    def __init__(self, attempt: _Optional[_Union[AttemptRef, _Mapping]] = ..., code: _Optional[str] = ..., message: _Optional[str] = ..., non_retryable: bool = ..., outcome_unknown: bool = ..., retry_after: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., returned: bool = ...) -> None: ...

class FailStepResponse(_message.Message):
    __slots__ = ("step_state", "run_state")
    STEP_STATE_FIELD_NUMBER: _ClassVar[int]
    RUN_STATE_FIELD_NUMBER: _ClassVar[int]
    step_state: _run_pb2.StepState
    run_state: _run_pb2.RunState
    def __init__(self, step_state: _Optional[_Union[_run_pb2.StepState, str]] = ..., run_state: _Optional[_Union[_run_pb2.RunState, str]] = ...) -> None: ...
