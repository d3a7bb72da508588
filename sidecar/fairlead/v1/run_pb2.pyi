import datetime

from fairlead.v1 import amount_pb2 as _amount_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RunState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RUN_STATE_UNSPECIFIED: _ClassVar[RunState]
    RUN_STATE_PENDING: _ClassVar[RunState]
    RUN_STATE_RUNNING: _ClassVar[RunState]
    RUN_STATE_WAITING: _ClassVar[RunState]
    RUN_STATE_PAUSED: _ClassVar[RunState]
    RUN_STATE_CANCELLING: _ClassVar[RunState]
    RUN_STATE_SUCCEEDED: _ClassVar[RunState]
    RUN_STATE_FAILED: _ClassVar[RunState]
    RUN_STATE_CANCELLED: _ClassVar[RunState]
    RUN_STATE_COMPENSATED: _ClassVar[RunState]

class StepState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STEP_STATE_UNSPECIFIED: _ClassVar[StepState]
    STEP_STATE_BLOCKED: _ClassVar[StepState]
    STEP_STATE_READY: _ClassVar[StepState]
    STEP_STATE_LEASED: _ClassVar[StepState]
    STEP_STATE_WAITING_APPROVAL: _ClassVar[StepState]
    STEP_STATE_WAITING: _ClassVar[StepState]
    STEP_STATE_RETRY_WAIT: _ClassVar[StepState]
    STEP_STATE_UNKNOWN: _ClassVar[StepState]
    STEP_STATE_SUCCEEDED: _ClassVar[StepState]
    STEP_STATE_FAILED: _ClassVar[StepState]
    STEP_STATE_SKIPPED: _ClassVar[StepState]
    STEP_STATE_CANCELLED: _ClassVar[StepState]
    STEP_STATE_COMPENSATED: _ClassVar[StepState]

class StepEffect(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STEP_EFFECT_UNSPECIFIED: _ClassVar[StepEffect]
    STEP_EFFECT_PURE: _ClassVar[StepEffect]
    STEP_EFFECT_READ: _ClassVar[StepEffect]
    STEP_EFFECT_WRITE: _ClassVar[StepEffect]
    STEP_EFFECT_SIDE_EFFECT: _ClassVar[StepEffect]

class StepKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STEP_KIND_UNSPECIFIED: _ClassVar[StepKind]
    STEP_KIND_AGENT: _ClassVar[StepKind]
    STEP_KIND_MODEL: _ClassVar[StepKind]
    STEP_KIND_APPROVAL: _ClassVar[StepKind]
    STEP_KIND_WAIT: _ClassVar[StepKind]
    STEP_KIND_FOR_EACH: _ClassVar[StepKind]
    STEP_KIND_WORKFLOW: _ClassVar[StepKind]
RUN_STATE_UNSPECIFIED: RunState
RUN_STATE_PENDING: RunState
RUN_STATE_RUNNING: RunState
RUN_STATE_WAITING: RunState
RUN_STATE_PAUSED: RunState
RUN_STATE_CANCELLING: RunState
RUN_STATE_SUCCEEDED: RunState
RUN_STATE_FAILED: RunState
RUN_STATE_CANCELLED: RunState
RUN_STATE_COMPENSATED: RunState
STEP_STATE_UNSPECIFIED: StepState
STEP_STATE_BLOCKED: StepState
STEP_STATE_READY: StepState
STEP_STATE_LEASED: StepState
STEP_STATE_WAITING_APPROVAL: StepState
STEP_STATE_WAITING: StepState
STEP_STATE_RETRY_WAIT: StepState
STEP_STATE_UNKNOWN: StepState
STEP_STATE_SUCCEEDED: StepState
STEP_STATE_FAILED: StepState
STEP_STATE_SKIPPED: StepState
STEP_STATE_CANCELLED: StepState
STEP_STATE_COMPENSATED: StepState
STEP_EFFECT_UNSPECIFIED: StepEffect
STEP_EFFECT_PURE: StepEffect
STEP_EFFECT_READ: StepEffect
STEP_EFFECT_WRITE: StepEffect
STEP_EFFECT_SIDE_EFFECT: StepEffect
STEP_KIND_UNSPECIFIED: StepKind
STEP_KIND_AGENT: StepKind
STEP_KIND_MODEL: StepKind
STEP_KIND_APPROVAL: StepKind
STEP_KIND_WAIT: StepKind
STEP_KIND_FOR_EACH: StepKind
STEP_KIND_WORKFLOW: StepKind

class Failure(_message.Message):
    __slots__ = ("code", "message", "step")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    code: str
    message: str
    step: str
    def __init__(self, code: _Optional[str] = ..., message: _Optional[str] = ..., step: _Optional[str] = ...) -> None: ...

class Run(_message.Message):
    __slots__ = ("name", "tenant", "agent", "operator", "workflow", "workflow_version", "state", "labels", "priority", "input", "output", "failure", "steps", "spent", "cost_avoided", "parent", "parent_step", "rerun_of", "rerun_from", "create_time", "end_time", "start_time", "steps_ended", "steps_total", "revision")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
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
    STEPS_FIELD_NUMBER: _ClassVar[int]
    SPENT_FIELD_NUMBER: _ClassVar[int]
    COST_AVOIDED_FIELD_NUMBER: _ClassVar[int]
    PARENT_FIELD_NUMBER: _ClassVar[int]
    PARENT_STEP_FIELD_NUMBER: _ClassVar[int]
    RERUN_OF_FIELD_NUMBER: _ClassVar[int]
    RERUN_FROM_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    STEPS_ENDED_FIELD_NUMBER: _ClassVar[int]
    STEPS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    name: str
    tenant: str
    agent: str
    operator: str
    workflow: str
    workflow_version: str
    state: RunState
    labels: _containers.ScalarMap[str, str]
    priority: int
    input: bytes
    output: bytes
    failure: Failure
    steps: _containers.RepeatedCompositeFieldContainer[Step]
    spent: _amount_pb2.Amount
    cost_avoided: _amount_pb2.Amount
    parent: str
    parent_step: str
    rerun_of: str
    rerun_from: str
    create_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    start_time: _timestamp_pb2.Timestamp
    steps_ended: int
    steps_total: int
    revision: int
    def __init__(self, name: _Optional[str] = ..., tenant: _Optional[str] = ..., agent: _Optional[str] = ..., operator: _Optional[str] = ..., workflow: _Optional[str] = ..., workflow_version: _Optional[str] = ..., state: _Optional[_Union[RunState, str]] = ..., labels: _Optional[_Mapping[str, str]] = ..., priority: _Optional[int] = ..., input: _Optional[bytes] = ..., output: _Optional[bytes] = ..., failure: _Optional[_Union[Failure, _Mapping]] = ..., steps: _Optional[_Iterable[_Union[Step, _Mapping]]] = ..., spent: _Optional[_Union[_amount_pb2.Amount, _Mapping]] = ..., cost_avoided: _Optional[_Union[_amount_pb2.Amount, _Mapping]] = ..., parent: _Optional[str] = ..., parent_step: _Optional[str] = ..., rerun_of: _Optional[str] = ..., rerun_from: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., steps_ended: _Optional[int] = ..., steps_total: _Optional[int] = ..., revision: _Optional[int] = ...) -> None: ...

class Step(_message.Message):
    __slots__ = ("id", "kind", "state", "epoch", "attempts", "queue", "worker", "due_time", "input", "output", "failure", "approval", "child", "signal", "idempotency_key", "spent", "replayed", "start_time", "end_time", "effect", "needs", "invocations", "items_total", "items_succeeded", "items_failed")
    ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    DUE_TIME_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    APPROVAL_FIELD_NUMBER: _ClassVar[int]
    CHILD_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    SPENT_FIELD_NUMBER: _ClassVar[int]
    REPLAYED_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    EFFECT_FIELD_NUMBER: _ClassVar[int]
    NEEDS_FIELD_NUMBER: _ClassVar[int]
    INVOCATIONS_FIELD_NUMBER: _ClassVar[int]
    ITEMS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    ITEMS_SUCCEEDED_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FAILED_FIELD_NUMBER: _ClassVar[int]
    id: str
    kind: StepKind
    state: StepState
    epoch: int
    attempts: int
    queue: str
    worker: str
    due_time: _timestamp_pb2.Timestamp
    input: bytes
    output: bytes
    failure: Failure
    approval: str
    child: str
    signal: str
    idempotency_key: str
    spent: _amount_pb2.Amount
    replayed: bool
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    effect: StepEffect
    needs: _containers.RepeatedScalarFieldContainer[str]
    invocations: _containers.RepeatedScalarFieldContainer[str]
    items_total: int
    items_succeeded: int
    items_failed: int
    def __init__(self, id: _Optional[str] = ..., kind: _Optional[_Union[StepKind, str]] = ..., state: _Optional[_Union[StepState, str]] = ..., epoch: _Optional[int] = ..., attempts: _Optional[int] = ..., queue: _Optional[str] = ..., worker: _Optional[str] = ..., due_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., input: _Optional[bytes] = ..., output: _Optional[bytes] = ..., failure: _Optional[_Union[Failure, _Mapping]] = ..., approval: _Optional[str] = ..., child: _Optional[str] = ..., signal: _Optional[str] = ..., idempotency_key: _Optional[str] = ..., spent: _Optional[_Union[_amount_pb2.Amount, _Mapping]] = ..., replayed: bool = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., effect: _Optional[_Union[StepEffect, str]] = ..., needs: _Optional[_Iterable[str]] = ..., invocations: _Optional[_Iterable[str]] = ..., items_total: _Optional[int] = ..., items_succeeded: _Optional[int] = ..., items_failed: _Optional[int] = ...) -> None: ...
