import datetime

from fairlead.v1 import audit_record_pb2 as _audit_record_pb2
from fairlead.v1 import run_pb2 as _run_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AuditEvent(_message.Message):
    __slots__ = ("record", "record_hash", "prev_hash", "record_bytes", "values")
    RECORD_FIELD_NUMBER: _ClassVar[int]
    RECORD_HASH_FIELD_NUMBER: _ClassVar[int]
    PREV_HASH_FIELD_NUMBER: _ClassVar[int]
    RECORD_BYTES_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    record: _audit_record_pb2.AuditRecord
    record_hash: bytes
    prev_hash: bytes
    record_bytes: bytes
    values: _containers.RepeatedCompositeFieldContainer[ErasableValue]
    def __init__(self, record: _Optional[_Union[_audit_record_pb2.AuditRecord, _Mapping]] = ..., record_hash: _Optional[bytes] = ..., prev_hash: _Optional[bytes] = ..., record_bytes: _Optional[bytes] = ..., values: _Optional[_Iterable[_Union[ErasableValue, _Mapping]]] = ...) -> None: ...

class ErasableValue(_message.Message):
    __slots__ = ("digest", "salt", "value")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    SALT_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    digest: bytes
    salt: bytes
    value: str
    def __init__(self, digest: _Optional[bytes] = ..., salt: _Optional[bytes] = ..., value: _Optional[str] = ...) -> None: ...

class EraseValuesRequest(_message.Message):
    __slots__ = ("request_id", "sequence", "reason", "name")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    sequence: int
    reason: str
    name: str
    def __init__(self, request_id: _Optional[str] = ..., sequence: _Optional[int] = ..., reason: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class EraseValuesResponse(_message.Message):
    __slots__ = ("erased", "notes")
    ERASED_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    erased: int
    notes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, erased: _Optional[int] = ..., notes: _Optional[_Iterable[str]] = ...) -> None: ...

class EventFilter(_message.Message):
    __slots__ = ("tenant", "kinds", "invocation", "run")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    INVOCATION_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    kinds: _containers.RepeatedScalarFieldContainer[_audit_record_pb2.EventKind]
    invocation: str
    run: str
    def __init__(self, tenant: _Optional[str] = ..., kinds: _Optional[_Iterable[_Union[_audit_record_pb2.EventKind, str]]] = ..., invocation: _Optional[str] = ..., run: _Optional[str] = ...) -> None: ...

class WatchEventsRequest(_message.Message):
    __slots__ = ("resume_token", "subscriber", "from_start", "filter", "checkpoints", "max_events")
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIBER_FIELD_NUMBER: _ClassVar[int]
    FROM_START_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINTS_FIELD_NUMBER: _ClassVar[int]
    MAX_EVENTS_FIELD_NUMBER: _ClassVar[int]
    resume_token: str
    subscriber: str
    from_start: bool
    filter: EventFilter
    checkpoints: bool
    max_events: int
    def __init__(self, resume_token: _Optional[str] = ..., subscriber: _Optional[str] = ..., from_start: bool = ..., filter: _Optional[_Union[EventFilter, _Mapping]] = ..., checkpoints: bool = ..., max_events: _Optional[int] = ...) -> None: ...

class WatchEventsResponse(_message.Message):
    __slots__ = ("event", "resume_token", "checkpoint", "events")
    EVENT_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    event: AuditEvent
    resume_token: str
    checkpoint: SignedCheckpoint
    events: _containers.RepeatedCompositeFieldContainer[AuditEvent]
    def __init__(self, event: _Optional[_Union[AuditEvent, _Mapping]] = ..., resume_token: _Optional[str] = ..., checkpoint: _Optional[_Union[SignedCheckpoint, _Mapping]] = ..., events: _Optional[_Iterable[_Union[AuditEvent, _Mapping]]] = ...) -> None: ...

class SignedCheckpoint(_message.Message):
    __slots__ = ("note", "origin", "size", "root_hash", "chain_head", "sign_time")
    NOTE_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    ROOT_HASH_FIELD_NUMBER: _ClassVar[int]
    CHAIN_HEAD_FIELD_NUMBER: _ClassVar[int]
    SIGN_TIME_FIELD_NUMBER: _ClassVar[int]
    note: str
    origin: str
    size: int
    root_hash: bytes
    chain_head: bytes
    sign_time: _timestamp_pb2.Timestamp
    def __init__(self, note: _Optional[str] = ..., origin: _Optional[str] = ..., size: _Optional[int] = ..., root_hash: _Optional[bytes] = ..., chain_head: _Optional[bytes] = ..., sign_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class GetAuditLogRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetAuditLogResponse(_message.Message):
    __slots__ = ("origin", "public_key", "former_public_keys", "head_sequence", "checkpoint", "first_sequence", "beginning", "beginning_frontier")
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    FORMER_PUBLIC_KEYS_FIELD_NUMBER: _ClassVar[int]
    HEAD_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    FIRST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    BEGINNING_FIELD_NUMBER: _ClassVar[int]
    BEGINNING_FRONTIER_FIELD_NUMBER: _ClassVar[int]
    origin: str
    public_key: str
    former_public_keys: _containers.RepeatedScalarFieldContainer[str]
    head_sequence: int
    checkpoint: SignedCheckpoint
    first_sequence: int
    beginning: SignedCheckpoint
    beginning_frontier: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, origin: _Optional[str] = ..., public_key: _Optional[str] = ..., former_public_keys: _Optional[_Iterable[str]] = ..., head_sequence: _Optional[int] = ..., checkpoint: _Optional[_Union[SignedCheckpoint, _Mapping]] = ..., first_sequence: _Optional[int] = ..., beginning: _Optional[_Union[SignedCheckpoint, _Mapping]] = ..., beginning_frontier: _Optional[_Iterable[bytes]] = ...) -> None: ...

class GetLogCheckpointRequest(_message.Message):
    __slots__ = ("min_size", "fresh")
    MIN_SIZE_FIELD_NUMBER: _ClassVar[int]
    FRESH_FIELD_NUMBER: _ClassVar[int]
    min_size: int
    fresh: bool
    def __init__(self, min_size: _Optional[int] = ..., fresh: bool = ...) -> None: ...

class GetLogCheckpointResponse(_message.Message):
    __slots__ = ("checkpoint",)
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    checkpoint: SignedCheckpoint
    def __init__(self, checkpoint: _Optional[_Union[SignedCheckpoint, _Mapping]] = ...) -> None: ...

class ListLogCheckpointsRequest(_message.Message):
    __slots__ = ("after_size", "page_size")
    AFTER_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    after_size: int
    page_size: int
    def __init__(self, after_size: _Optional[int] = ..., page_size: _Optional[int] = ...) -> None: ...

class ListLogCheckpointsResponse(_message.Message):
    __slots__ = ("ranges",)
    RANGES_FIELD_NUMBER: _ClassVar[int]
    ranges: _containers.RepeatedCompositeFieldContainer[SealedRange]
    def __init__(self, ranges: _Optional[_Iterable[_Union[SealedRange, _Mapping]]] = ...) -> None: ...

class SealedRange(_message.Message):
    __slots__ = ("checkpoint", "leaf_hashes")
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    LEAF_HASHES_FIELD_NUMBER: _ClassVar[int]
    checkpoint: SignedCheckpoint
    leaf_hashes: bytes
    def __init__(self, checkpoint: _Optional[_Union[SignedCheckpoint, _Mapping]] = ..., leaf_hashes: _Optional[bytes] = ...) -> None: ...

class ProveEventsRequest(_message.Message):
    __slots__ = ("sequences", "size")
    SEQUENCES_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    sequences: _containers.RepeatedScalarFieldContainer[int]
    size: int
    def __init__(self, sequences: _Optional[_Iterable[int]] = ..., size: _Optional[int] = ...) -> None: ...

class ProveEventsResponse(_message.Message):
    __slots__ = ("checkpoint", "events")
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    checkpoint: SignedCheckpoint
    events: _containers.RepeatedCompositeFieldContainer[ProvenEvent]
    def __init__(self, checkpoint: _Optional[_Union[SignedCheckpoint, _Mapping]] = ..., events: _Optional[_Iterable[_Union[ProvenEvent, _Mapping]]] = ...) -> None: ...

class ProvenEvent(_message.Message):
    __slots__ = ("event", "proof")
    EVENT_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    event: AuditEvent
    proof: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, event: _Optional[_Union[AuditEvent, _Mapping]] = ..., proof: _Optional[_Iterable[bytes]] = ...) -> None: ...

class ProveConsistencyRequest(_message.Message):
    __slots__ = ("old_size", "new_size")
    OLD_SIZE_FIELD_NUMBER: _ClassVar[int]
    NEW_SIZE_FIELD_NUMBER: _ClassVar[int]
    old_size: int
    new_size: int
    def __init__(self, old_size: _Optional[int] = ..., new_size: _Optional[int] = ...) -> None: ...

class ProveConsistencyResponse(_message.Message):
    __slots__ = ("old", "new", "proof")
    OLD_FIELD_NUMBER: _ClassVar[int]
    NEW_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    old: SignedCheckpoint
    new: SignedCheckpoint
    proof: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, old: _Optional[_Union[SignedCheckpoint, _Mapping]] = ..., new: _Optional[_Union[SignedCheckpoint, _Mapping]] = ..., proof: _Optional[_Iterable[bytes]] = ...) -> None: ...

class AcknowledgeEventsRequest(_message.Message):
    __slots__ = ("request_id", "subscriber", "resume_token")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIBER_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    subscriber: str
    resume_token: str
    def __init__(self, request_id: _Optional[str] = ..., subscriber: _Optional[str] = ..., resume_token: _Optional[str] = ...) -> None: ...

class AcknowledgeEventsResponse(_message.Message):
    __slots__ = ("resume_token",)
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    resume_token: str
    def __init__(self, resume_token: _Optional[str] = ...) -> None: ...

class AuditConsumer(_message.Message):
    __slots__ = ("name", "resume_token", "sequence", "lag_records", "acknowledge_time", "create_time", "streams", "left_behind", "missed_records")
    NAME_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    LAG_RECORDS_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGE_TIME_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    STREAMS_FIELD_NUMBER: _ClassVar[int]
    LEFT_BEHIND_FIELD_NUMBER: _ClassVar[int]
    MISSED_RECORDS_FIELD_NUMBER: _ClassVar[int]
    name: str
    resume_token: str
    sequence: int
    lag_records: int
    acknowledge_time: _timestamp_pb2.Timestamp
    create_time: _timestamp_pb2.Timestamp
    streams: int
    left_behind: bool
    missed_records: int
    def __init__(self, name: _Optional[str] = ..., resume_token: _Optional[str] = ..., sequence: _Optional[int] = ..., lag_records: _Optional[int] = ..., acknowledge_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., streams: _Optional[int] = ..., left_behind: bool = ..., missed_records: _Optional[int] = ...) -> None: ...

class ListConsumersRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListConsumersResponse(_message.Message):
    __slots__ = ("consumers",)
    CONSUMERS_FIELD_NUMBER: _ClassVar[int]
    consumers: _containers.RepeatedCompositeFieldContainer[AuditConsumer]
    def __init__(self, consumers: _Optional[_Iterable[_Union[AuditConsumer, _Mapping]]] = ...) -> None: ...

class RemoveConsumerRequest(_message.Message):
    __slots__ = ("request_id", "name")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    name: str
    def __init__(self, request_id: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class RemoveConsumerResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SkipEventsRequest(_message.Message):
    __slots__ = ("request_id", "name", "to_sequence", "reason")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    TO_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    name: str
    to_sequence: int
    reason: str
    def __init__(self, request_id: _Optional[str] = ..., name: _Optional[str] = ..., to_sequence: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class SkipEventsResponse(_message.Message):
    __slots__ = ("first_sequence", "resume_token")
    FIRST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    first_sequence: int
    resume_token: str
    def __init__(self, first_sequence: _Optional[int] = ..., resume_token: _Optional[str] = ...) -> None: ...

class ListEventsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "filter", "descending")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    DESCENDING_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    filter: EventFilter
    descending: bool
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., filter: _Optional[_Union[EventFilter, _Mapping]] = ..., descending: bool = ...) -> None: ...

class ListEventsResponse(_message.Message):
    __slots__ = ("events", "next_page_token")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[AuditEvent]
    next_page_token: str
    def __init__(self, events: _Optional[_Iterable[_Union[AuditEvent, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ExplainInvocationRequest(_message.Message):
    __slots__ = ("invocation",)
    INVOCATION_FIELD_NUMBER: _ClassVar[int]
    invocation: str
    def __init__(self, invocation: _Optional[str] = ...) -> None: ...

class ExplainInvocationResponse(_message.Message):
    __slots__ = ("invocation", "state", "events", "narrative", "create_time", "tool_call_state")
    INVOCATION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    NARRATIVE_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    TOOL_CALL_STATE_FIELD_NUMBER: _ClassVar[int]
    invocation: str
    state: _audit_record_pb2.InvocationState
    events: _containers.RepeatedCompositeFieldContainer[AuditEvent]
    narrative: _containers.RepeatedScalarFieldContainer[str]
    create_time: _timestamp_pb2.Timestamp
    tool_call_state: _audit_record_pb2.ToolCallState
    def __init__(self, invocation: _Optional[str] = ..., state: _Optional[_Union[_audit_record_pb2.InvocationState, str]] = ..., events: _Optional[_Iterable[_Union[AuditEvent, _Mapping]]] = ..., narrative: _Optional[_Iterable[str]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., tool_call_state: _Optional[_Union[_audit_record_pb2.ToolCallState, str]] = ...) -> None: ...

class ExplainRunRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ExplainRunResponse(_message.Message):
    __slots__ = ("name", "state", "events", "narrative", "create_time")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    NARRATIVE_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    name: str
    state: _run_pb2.RunState
    events: _containers.RepeatedCompositeFieldContainer[AuditEvent]
    narrative: _containers.RepeatedScalarFieldContainer[str]
    create_time: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., state: _Optional[_Union[_run_pb2.RunState, str]] = ..., events: _Optional[_Iterable[_Union[AuditEvent, _Mapping]]] = ..., narrative: _Optional[_Iterable[str]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class VerifyChainRequest(_message.Message):
    __slots__ = ("from_sequence", "to_sequence")
    FROM_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    TO_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    from_sequence: int
    to_sequence: int
    def __init__(self, from_sequence: _Optional[int] = ..., to_sequence: _Optional[int] = ...) -> None: ...

class VerifyChainResponse(_message.Message):
    __slots__ = ("valid", "checked", "first_invalid_sequence", "problem", "head_hash", "head_sequence", "first_sequence")
    VALID_FIELD_NUMBER: _ClassVar[int]
    CHECKED_FIELD_NUMBER: _ClassVar[int]
    FIRST_INVALID_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    HEAD_HASH_FIELD_NUMBER: _ClassVar[int]
    HEAD_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    FIRST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    valid: bool
    checked: int
    first_invalid_sequence: int
    problem: str
    head_hash: bytes
    head_sequence: int
    first_sequence: int
    def __init__(self, valid: bool = ..., checked: _Optional[int] = ..., first_invalid_sequence: _Optional[int] = ..., problem: _Optional[str] = ..., head_hash: _Optional[bytes] = ..., head_sequence: _Optional[int] = ..., first_sequence: _Optional[int] = ...) -> None: ...
