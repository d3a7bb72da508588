from fairlead.internal.v1 import workflow_pb2 as _workflow_pb2
from fairlead.v1 import model_service_pb2 as _model_service_pb2
from fairlead.v1 import tool_pb2 as _tool_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ProviderKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PROVIDER_KIND_UNSPECIFIED: _ClassVar[ProviderKind]
    PROVIDER_KIND_OPENAI: _ClassVar[ProviderKind]
    PROVIDER_KIND_OLLAMA: _ClassVar[ProviderKind]
    PROVIDER_KIND_OPENAI_COMPATIBLE: _ClassVar[ProviderKind]
    PROVIDER_KIND_ANTHROPIC: _ClassVar[ProviderKind]
    PROVIDER_KIND_AZURE_OPENAI: _ClassVar[ProviderKind]

class Selection(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SELECTION_UNSPECIFIED: _ClassVar[Selection]
    SELECTION_CHEAPEST: _ClassVar[Selection]
    SELECTION_FASTEST: _ClassVar[Selection]
    SELECTION_BEST: _ClassVar[Selection]

class WindowKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WINDOW_KIND_UNSPECIFIED: _ClassVar[WindowKind]
    WINDOW_KIND_LIFETIME: _ClassVar[WindowKind]
    WINDOW_KIND_HOUR: _ClassVar[WindowKind]
    WINDOW_KIND_DAY: _ClassVar[WindowKind]
    WINDOW_KIND_WEEK: _ClassVar[WindowKind]
    WINDOW_KIND_MONTH: _ClassVar[WindowKind]
    WINDOW_KIND_ROLLING: _ClassVar[WindowKind]

class OnExceed(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ON_EXCEED_UNSPECIFIED: _ClassVar[OnExceed]
    ON_EXCEED_DENY: _ClassVar[OnExceed]
    ON_EXCEED_DOWNGRADE: _ClassVar[OnExceed]
    ON_EXCEED_ALERT: _ClassVar[OnExceed]
    ON_EXCEED_REQUIRE_APPROVAL: _ClassVar[OnExceed]

class Effect(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EFFECT_UNSPECIFIED: _ClassVar[Effect]
    EFFECT_ALLOW: _ClassVar[Effect]
    EFFECT_DENY: _ClassVar[Effect]
    EFFECT_CONSTRAIN: _ClassVar[Effect]
    EFFECT_REQUIRE_APPROVAL: _ClassVar[Effect]
    EFFECT_REDACT: _ClassVar[Effect]
    EFFECT_REJECT: _ClassVar[Effect]
    EFFECT_FLAG: _ClassVar[Effect]
PROVIDER_KIND_UNSPECIFIED: ProviderKind
PROVIDER_KIND_OPENAI: ProviderKind
PROVIDER_KIND_OLLAMA: ProviderKind
PROVIDER_KIND_OPENAI_COMPATIBLE: ProviderKind
PROVIDER_KIND_ANTHROPIC: ProviderKind
PROVIDER_KIND_AZURE_OPENAI: ProviderKind
SELECTION_UNSPECIFIED: Selection
SELECTION_CHEAPEST: Selection
SELECTION_FASTEST: Selection
SELECTION_BEST: Selection
WINDOW_KIND_UNSPECIFIED: WindowKind
WINDOW_KIND_LIFETIME: WindowKind
WINDOW_KIND_HOUR: WindowKind
WINDOW_KIND_DAY: WindowKind
WINDOW_KIND_WEEK: WindowKind
WINDOW_KIND_MONTH: WindowKind
WINDOW_KIND_ROLLING: WindowKind
ON_EXCEED_UNSPECIFIED: OnExceed
ON_EXCEED_DENY: OnExceed
ON_EXCEED_DOWNGRADE: OnExceed
ON_EXCEED_ALERT: OnExceed
ON_EXCEED_REQUIRE_APPROVAL: OnExceed
EFFECT_UNSPECIFIED: Effect
EFFECT_ALLOW: Effect
EFFECT_DENY: Effect
EFFECT_CONSTRAIN: Effect
EFFECT_REQUIRE_APPROVAL: Effect
EFFECT_REDACT: Effect
EFFECT_REJECT: Effect
EFFECT_FLAG: Effect

class EngineConfig(_message.Message):
    __slots__ = ("version", "tenants", "providers", "models", "routes", "budgets", "rate_limits", "policies", "defaults", "limits", "reservations", "audit_content", "durability", "tools", "approval_tiers", "operators", "workflows")
    class DefaultsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class DurabilityEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    VERSION_FIELD_NUMBER: _ClassVar[int]
    TENANTS_FIELD_NUMBER: _ClassVar[int]
    PROVIDERS_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    ROUTES_FIELD_NUMBER: _ClassVar[int]
    BUDGETS_FIELD_NUMBER: _ClassVar[int]
    RATE_LIMITS_FIELD_NUMBER: _ClassVar[int]
    POLICIES_FIELD_NUMBER: _ClassVar[int]
    DEFAULTS_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    RESERVATIONS_FIELD_NUMBER: _ClassVar[int]
    AUDIT_CONTENT_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    TOOLS_FIELD_NUMBER: _ClassVar[int]
    APPROVAL_TIERS_FIELD_NUMBER: _ClassVar[int]
    OPERATORS_FIELD_NUMBER: _ClassVar[int]
    WORKFLOWS_FIELD_NUMBER: _ClassVar[int]
    version: str
    tenants: _containers.RepeatedCompositeFieldContainer[Tenant]
    providers: _containers.RepeatedCompositeFieldContainer[Provider]
    models: _containers.RepeatedCompositeFieldContainer[Model]
    routes: _containers.RepeatedCompositeFieldContainer[Route]
    budgets: _containers.RepeatedCompositeFieldContainer[Budget]
    rate_limits: _containers.RepeatedCompositeFieldContainer[RateLimit]
    policies: _containers.RepeatedCompositeFieldContainer[PolicyRule]
    defaults: _containers.ScalarMap[str, str]
    limits: Limits
    reservations: Reservations
    audit_content: str
    durability: _containers.ScalarMap[str, str]
    tools: _containers.RepeatedCompositeFieldContainer[Tool]
    approval_tiers: _containers.RepeatedCompositeFieldContainer[ApprovalTier]
    operators: _containers.RepeatedCompositeFieldContainer[Operator]
    workflows: _containers.RepeatedCompositeFieldContainer[_workflow_pb2.WorkflowDefinition]
    def __init__(self, version: _Optional[str] = ..., tenants: _Optional[_Iterable[_Union[Tenant, _Mapping]]] = ..., providers: _Optional[_Iterable[_Union[Provider, _Mapping]]] = ..., models: _Optional[_Iterable[_Union[Model, _Mapping]]] = ..., routes: _Optional[_Iterable[_Union[Route, _Mapping]]] = ..., budgets: _Optional[_Iterable[_Union[Budget, _Mapping]]] = ..., rate_limits: _Optional[_Iterable[_Union[RateLimit, _Mapping]]] = ..., policies: _Optional[_Iterable[_Union[PolicyRule, _Mapping]]] = ..., defaults: _Optional[_Mapping[str, str]] = ..., limits: _Optional[_Union[Limits, _Mapping]] = ..., reservations: _Optional[_Union[Reservations, _Mapping]] = ..., audit_content: _Optional[str] = ..., durability: _Optional[_Mapping[str, str]] = ..., tools: _Optional[_Iterable[_Union[Tool, _Mapping]]] = ..., approval_tiers: _Optional[_Iterable[_Union[ApprovalTier, _Mapping]]] = ..., operators: _Optional[_Iterable[_Union[Operator, _Mapping]]] = ..., workflows: _Optional[_Iterable[_Union[_workflow_pb2.WorkflowDefinition, _Mapping]]] = ...) -> None: ...

class Tenant(_message.Message):
    __slots__ = ("name", "agents")
    NAME_FIELD_NUMBER: _ClassVar[int]
    AGENTS_FIELD_NUMBER: _ClassVar[int]
    name: str
    agents: _containers.RepeatedCompositeFieldContainer[Agent]
    def __init__(self, name: _Optional[str] = ..., agents: _Optional[_Iterable[_Union[Agent, _Mapping]]] = ...) -> None: ...

class Agent(_message.Message):
    __slots__ = ("name", "labels", "queues")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    QUEUES_FIELD_NUMBER: _ClassVar[int]
    name: str
    labels: _containers.ScalarMap[str, str]
    queues: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., queues: _Optional[_Iterable[str]] = ...) -> None: ...

class Provider(_message.Message):
    __slots__ = ("name", "kind", "base_url", "failed_attempts_cost_input", "timeouts", "headers", "breaker", "max_idle_connections", "dialects", "api_version", "proxy", "ca_pem")
    class HeadersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    BASE_URL_FIELD_NUMBER: _ClassVar[int]
    FAILED_ATTEMPTS_COST_INPUT_FIELD_NUMBER: _ClassVar[int]
    TIMEOUTS_FIELD_NUMBER: _ClassVar[int]
    HEADERS_FIELD_NUMBER: _ClassVar[int]
    BREAKER_FIELD_NUMBER: _ClassVar[int]
    MAX_IDLE_CONNECTIONS_FIELD_NUMBER: _ClassVar[int]
    DIALECTS_FIELD_NUMBER: _ClassVar[int]
    API_VERSION_FIELD_NUMBER: _ClassVar[int]
    PROXY_FIELD_NUMBER: _ClassVar[int]
    CA_PEM_FIELD_NUMBER: _ClassVar[int]
    name: str
    kind: ProviderKind
    base_url: str
    failed_attempts_cost_input: bool
    timeouts: ProviderTimeouts
    headers: _containers.ScalarMap[str, str]
    breaker: Breaker
    max_idle_connections: int
    dialects: _containers.RepeatedScalarFieldContainer[_model_service_pb2.Dialect]
    api_version: str
    proxy: Proxy
    ca_pem: str
    def __init__(self, name: _Optional[str] = ..., kind: _Optional[_Union[ProviderKind, str]] = ..., base_url: _Optional[str] = ..., failed_attempts_cost_input: bool = ..., timeouts: _Optional[_Union[ProviderTimeouts, _Mapping]] = ..., headers: _Optional[_Mapping[str, str]] = ..., breaker: _Optional[_Union[Breaker, _Mapping]] = ..., max_idle_connections: _Optional[int] = ..., dialects: _Optional[_Iterable[_Union[_model_service_pb2.Dialect, str]]] = ..., api_version: _Optional[str] = ..., proxy: _Optional[_Union[Proxy, _Mapping]] = ..., ca_pem: _Optional[str] = ...) -> None: ...

class Proxy(_message.Message):
    __slots__ = ("url", "no_proxy")
    URL_FIELD_NUMBER: _ClassVar[int]
    NO_PROXY_FIELD_NUMBER: _ClassVar[int]
    url: str
    no_proxy: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, url: _Optional[str] = ..., no_proxy: _Optional[_Iterable[str]] = ...) -> None: ...

class ProviderTimeouts(_message.Message):
    __slots__ = ("connect_millis", "first_byte_millis", "idle_millis", "attempt_millis")
    CONNECT_MILLIS_FIELD_NUMBER: _ClassVar[int]
    FIRST_BYTE_MILLIS_FIELD_NUMBER: _ClassVar[int]
    IDLE_MILLIS_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_MILLIS_FIELD_NUMBER: _ClassVar[int]
    connect_millis: int
    first_byte_millis: int
    idle_millis: int
    attempt_millis: int
    def __init__(self, connect_millis: _Optional[int] = ..., first_byte_millis: _Optional[int] = ..., idle_millis: _Optional[int] = ..., attempt_millis: _Optional[int] = ...) -> None: ...

class Breaker(_message.Message):
    __slots__ = ("consecutive_failures", "failure_rate_per_mille", "minimum_calls", "window_millis", "open_millis", "max_open_millis", "ramp_millis")
    CONSECUTIVE_FAILURES_FIELD_NUMBER: _ClassVar[int]
    FAILURE_RATE_PER_MILLE_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_CALLS_FIELD_NUMBER: _ClassVar[int]
    WINDOW_MILLIS_FIELD_NUMBER: _ClassVar[int]
    OPEN_MILLIS_FIELD_NUMBER: _ClassVar[int]
    MAX_OPEN_MILLIS_FIELD_NUMBER: _ClassVar[int]
    RAMP_MILLIS_FIELD_NUMBER: _ClassVar[int]
    consecutive_failures: int
    failure_rate_per_mille: int
    minimum_calls: int
    window_millis: int
    open_millis: int
    max_open_millis: int
    ramp_millis: int
    def __init__(self, consecutive_failures: _Optional[int] = ..., failure_rate_per_mille: _Optional[int] = ..., minimum_calls: _Optional[int] = ..., window_millis: _Optional[int] = ..., open_millis: _Optional[int] = ..., max_open_millis: _Optional[int] = ..., ramp_millis: _Optional[int] = ...) -> None: ...

class Model(_message.Message):
    __slots__ = ("name", "provider", "upstream", "price", "context_tokens", "max_output_tokens", "capabilities", "quality_per_mille", "labels", "learned_input_bound")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    UPSTREAM_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    MAX_OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    QUALITY_PER_MILLE_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    LEARNED_INPUT_BOUND_FIELD_NUMBER: _ClassVar[int]
    name: str
    provider: str
    upstream: str
    price: Price
    context_tokens: int
    max_output_tokens: int
    capabilities: _containers.RepeatedScalarFieldContainer[str]
    quality_per_mille: int
    labels: _containers.ScalarMap[str, str]
    learned_input_bound: bool
    def __init__(self, name: _Optional[str] = ..., provider: _Optional[str] = ..., upstream: _Optional[str] = ..., price: _Optional[_Union[Price, _Mapping]] = ..., context_tokens: _Optional[int] = ..., max_output_tokens: _Optional[int] = ..., capabilities: _Optional[_Iterable[str]] = ..., quality_per_mille: _Optional[int] = ..., labels: _Optional[_Mapping[str, str]] = ..., learned_input_bound: bool = ...) -> None: ...

class Price(_message.Message):
    __slots__ = ("input_pico", "cached_input_pico", "cache_write_pico", "output_pico", "cache_write_1h_pico", "audio_input_pico", "audio_output_pico", "image_input_pico", "reasoning_pico")
    INPUT_PICO_FIELD_NUMBER: _ClassVar[int]
    CACHED_INPUT_PICO_FIELD_NUMBER: _ClassVar[int]
    CACHE_WRITE_PICO_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_PICO_FIELD_NUMBER: _ClassVar[int]
    CACHE_WRITE_1H_PICO_FIELD_NUMBER: _ClassVar[int]
    AUDIO_INPUT_PICO_FIELD_NUMBER: _ClassVar[int]
    AUDIO_OUTPUT_PICO_FIELD_NUMBER: _ClassVar[int]
    IMAGE_INPUT_PICO_FIELD_NUMBER: _ClassVar[int]
    REASONING_PICO_FIELD_NUMBER: _ClassVar[int]
    input_pico: int
    cached_input_pico: int
    cache_write_pico: int
    output_pico: int
    cache_write_1h_pico: int
    audio_input_pico: int
    audio_output_pico: int
    image_input_pico: int
    reasoning_pico: int
    def __init__(self, input_pico: _Optional[int] = ..., cached_input_pico: _Optional[int] = ..., cache_write_pico: _Optional[int] = ..., output_pico: _Optional[int] = ..., cache_write_1h_pico: _Optional[int] = ..., audio_input_pico: _Optional[int] = ..., audio_output_pico: _Optional[int] = ..., image_input_pico: _Optional[int] = ..., reasoning_pico: _Optional[int] = ...) -> None: ...

class Match(_message.Message):
    __slots__ = ("tenants", "agents", "models", "workloads", "labels", "tools")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    TENANTS_FIELD_NUMBER: _ClassVar[int]
    AGENTS_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    WORKLOADS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    TOOLS_FIELD_NUMBER: _ClassVar[int]
    tenants: _containers.RepeatedScalarFieldContainer[str]
    agents: _containers.RepeatedScalarFieldContainer[str]
    models: _containers.RepeatedScalarFieldContainer[str]
    workloads: _containers.RepeatedScalarFieldContainer[str]
    labels: _containers.ScalarMap[str, str]
    tools: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, tenants: _Optional[_Iterable[str]] = ..., agents: _Optional[_Iterable[str]] = ..., models: _Optional[_Iterable[str]] = ..., workloads: _Optional[_Iterable[str]] = ..., labels: _Optional[_Mapping[str, str]] = ..., tools: _Optional[_Iterable[str]] = ...) -> None: ...

class Route(_message.Message):
    __slots__ = ("name", "match", "when", "targets", "select", "candidates", "sticky_by", "fallback", "retry", "max_p99_millis", "min_output_tokens", "require_labels", "timeout_millis", "drop_untranslatable", "cache_ttl_millis")
    class RequireLabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    MATCH_FIELD_NUMBER: _ClassVar[int]
    WHEN_FIELD_NUMBER: _ClassVar[int]
    TARGETS_FIELD_NUMBER: _ClassVar[int]
    SELECT_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    STICKY_BY_FIELD_NUMBER: _ClassVar[int]
    FALLBACK_FIELD_NUMBER: _ClassVar[int]
    RETRY_FIELD_NUMBER: _ClassVar[int]
    MAX_P99_MILLIS_FIELD_NUMBER: _ClassVar[int]
    MIN_OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    REQUIRE_LABELS_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_MILLIS_FIELD_NUMBER: _ClassVar[int]
    DROP_UNTRANSLATABLE_FIELD_NUMBER: _ClassVar[int]
    CACHE_TTL_MILLIS_FIELD_NUMBER: _ClassVar[int]
    name: str
    match: Match
    when: str
    targets: _containers.RepeatedCompositeFieldContainer[Target]
    select: Selection
    candidates: _containers.RepeatedScalarFieldContainer[str]
    sticky_by: str
    fallback: Fallback
    retry: Retry
    max_p99_millis: int
    min_output_tokens: int
    require_labels: _containers.ScalarMap[str, str]
    timeout_millis: int
    drop_untranslatable: bool
    cache_ttl_millis: int
    def __init__(self, name: _Optional[str] = ..., match: _Optional[_Union[Match, _Mapping]] = ..., when: _Optional[str] = ..., targets: _Optional[_Iterable[_Union[Target, _Mapping]]] = ..., select: _Optional[_Union[Selection, str]] = ..., candidates: _Optional[_Iterable[str]] = ..., sticky_by: _Optional[str] = ..., fallback: _Optional[_Union[Fallback, _Mapping]] = ..., retry: _Optional[_Union[Retry, _Mapping]] = ..., max_p99_millis: _Optional[int] = ..., min_output_tokens: _Optional[int] = ..., require_labels: _Optional[_Mapping[str, str]] = ..., timeout_millis: _Optional[int] = ..., drop_untranslatable: bool = ..., cache_ttl_millis: _Optional[int] = ...) -> None: ...

class Target(_message.Message):
    __slots__ = ("model", "weight")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    model: str
    weight: int
    def __init__(self, model: _Optional[str] = ..., weight: _Optional[int] = ...) -> None: ...

class Fallback(_message.Message):
    __slots__ = ("chain", "on")
    CHAIN_FIELD_NUMBER: _ClassVar[int]
    ON_FIELD_NUMBER: _ClassVar[int]
    chain: _containers.RepeatedScalarFieldContainer[str]
    on: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, chain: _Optional[_Iterable[str]] = ..., on: _Optional[_Iterable[str]] = ...) -> None: ...

class Retry(_message.Message):
    __slots__ = ("attempts", "initial_millis", "max_millis", "wait_for_retry_after_up_to_millis")
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    INITIAL_MILLIS_FIELD_NUMBER: _ClassVar[int]
    MAX_MILLIS_FIELD_NUMBER: _ClassVar[int]
    WAIT_FOR_RETRY_AFTER_UP_TO_MILLIS_FIELD_NUMBER: _ClassVar[int]
    attempts: int
    initial_millis: int
    max_millis: int
    wait_for_retry_after_up_to_millis: int
    def __init__(self, attempts: _Optional[int] = ..., initial_millis: _Optional[int] = ..., max_millis: _Optional[int] = ..., wait_for_retry_after_up_to_millis: _Optional[int] = ...) -> None: ...

class Budget(_message.Message):
    __slots__ = ("name", "match", "scope", "limit_nano_usd", "limit_tokens", "limit_requests", "window", "rolling_millis", "on_exceed", "downgrade_to", "alert_at", "count_cached", "tier")
    NAME_FIELD_NUMBER: _ClassVar[int]
    MATCH_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    LIMIT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    LIMIT_REQUESTS_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    ROLLING_MILLIS_FIELD_NUMBER: _ClassVar[int]
    ON_EXCEED_FIELD_NUMBER: _ClassVar[int]
    DOWNGRADE_TO_FIELD_NUMBER: _ClassVar[int]
    ALERT_AT_FIELD_NUMBER: _ClassVar[int]
    COUNT_CACHED_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    name: str
    match: Match
    scope: _containers.RepeatedScalarFieldContainer[str]
    limit_nano_usd: int
    limit_tokens: int
    limit_requests: int
    window: WindowKind
    rolling_millis: int
    on_exceed: OnExceed
    downgrade_to: str
    alert_at: _containers.RepeatedScalarFieldContainer[int]
    count_cached: bool
    tier: str
    def __init__(self, name: _Optional[str] = ..., match: _Optional[_Union[Match, _Mapping]] = ..., scope: _Optional[_Iterable[str]] = ..., limit_nano_usd: _Optional[int] = ..., limit_tokens: _Optional[int] = ..., limit_requests: _Optional[int] = ..., window: _Optional[_Union[WindowKind, str]] = ..., rolling_millis: _Optional[int] = ..., on_exceed: _Optional[_Union[OnExceed, str]] = ..., downgrade_to: _Optional[str] = ..., alert_at: _Optional[_Iterable[int]] = ..., count_cached: bool = ..., tier: _Optional[str] = ...) -> None: ...

class RateLimit(_message.Message):
    __slots__ = ("name", "match", "scope", "requests_per_minute", "tokens_per_minute", "concurrent", "max_wait_millis", "burst_requests")
    NAME_FIELD_NUMBER: _ClassVar[int]
    MATCH_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_PER_MINUTE_FIELD_NUMBER: _ClassVar[int]
    TOKENS_PER_MINUTE_FIELD_NUMBER: _ClassVar[int]
    CONCURRENT_FIELD_NUMBER: _ClassVar[int]
    MAX_WAIT_MILLIS_FIELD_NUMBER: _ClassVar[int]
    BURST_REQUESTS_FIELD_NUMBER: _ClassVar[int]
    name: str
    match: Match
    scope: _containers.RepeatedScalarFieldContainer[str]
    requests_per_minute: int
    tokens_per_minute: int
    concurrent: int
    max_wait_millis: int
    burst_requests: int
    def __init__(self, name: _Optional[str] = ..., match: _Optional[_Union[Match, _Mapping]] = ..., scope: _Optional[_Iterable[str]] = ..., requests_per_minute: _Optional[int] = ..., tokens_per_minute: _Optional[int] = ..., concurrent: _Optional[int] = ..., max_wait_millis: _Optional[int] = ..., burst_requests: _Optional[int] = ...) -> None: ...

class PolicyRule(_message.Message):
    __slots__ = ("name", "on", "match", "when", "effect", "invariant", "max_output_tokens", "allowed_models", "tier", "arguments", "output")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ON_FIELD_NUMBER: _ClassVar[int]
    MATCH_FIELD_NUMBER: _ClassVar[int]
    WHEN_FIELD_NUMBER: _ClassVar[int]
    EFFECT_FIELD_NUMBER: _ClassVar[int]
    INVARIANT_FIELD_NUMBER: _ClassVar[int]
    MAX_OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_MODELS_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    name: str
    on: str
    match: Match
    when: str
    effect: Effect
    invariant: bool
    max_output_tokens: int
    allowed_models: _containers.RepeatedScalarFieldContainer[str]
    tier: str
    arguments: _containers.RepeatedCompositeFieldContainer[ArgumentConstraint]
    output: OutputCheck
    def __init__(self, name: _Optional[str] = ..., on: _Optional[str] = ..., match: _Optional[_Union[Match, _Mapping]] = ..., when: _Optional[str] = ..., effect: _Optional[_Union[Effect, str]] = ..., invariant: bool = ..., max_output_tokens: _Optional[int] = ..., allowed_models: _Optional[_Iterable[str]] = ..., tier: _Optional[str] = ..., arguments: _Optional[_Iterable[_Union[ArgumentConstraint, _Mapping]]] = ..., output: _Optional[_Union[OutputCheck, _Mapping]] = ...) -> None: ...

class ArgumentConstraint(_message.Message):
    __slots__ = ("pointer", "maximum", "minimum", "redact", "remove")
    POINTER_FIELD_NUMBER: _ClassVar[int]
    MAXIMUM_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_FIELD_NUMBER: _ClassVar[int]
    REDACT_FIELD_NUMBER: _ClassVar[int]
    REMOVE_FIELD_NUMBER: _ClassVar[int]
    pointer: str
    maximum: float
    minimum: float
    redact: bool
    remove: bool
    def __init__(self, pointer: _Optional[str] = ..., maximum: _Optional[float] = ..., minimum: _Optional[float] = ..., redact: bool = ..., remove: bool = ...) -> None: ...

class OutputCheck(_message.Message):
    __slots__ = ("json_schema", "patterns", "detectors", "max_bytes", "window_bytes")
    JSON_SCHEMA_FIELD_NUMBER: _ClassVar[int]
    PATTERNS_FIELD_NUMBER: _ClassVar[int]
    DETECTORS_FIELD_NUMBER: _ClassVar[int]
    MAX_BYTES_FIELD_NUMBER: _ClassVar[int]
    WINDOW_BYTES_FIELD_NUMBER: _ClassVar[int]
    json_schema: str
    patterns: _containers.RepeatedScalarFieldContainer[str]
    detectors: _containers.RepeatedScalarFieldContainer[str]
    max_bytes: int
    window_bytes: int
    def __init__(self, json_schema: _Optional[str] = ..., patterns: _Optional[_Iterable[str]] = ..., detectors: _Optional[_Iterable[str]] = ..., max_bytes: _Optional[int] = ..., window_bytes: _Optional[int] = ...) -> None: ...

class Tool(_message.Message):
    __slots__ = ("name", "effect", "risk", "argument_schema", "session_labels")
    NAME_FIELD_NUMBER: _ClassVar[int]
    EFFECT_FIELD_NUMBER: _ClassVar[int]
    RISK_FIELD_NUMBER: _ClassVar[int]
    ARGUMENT_SCHEMA_FIELD_NUMBER: _ClassVar[int]
    SESSION_LABELS_FIELD_NUMBER: _ClassVar[int]
    name: str
    effect: _tool_pb2.ToolEffect
    risk: _tool_pb2.ToolRisk
    argument_schema: str
    session_labels: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., effect: _Optional[_Union[_tool_pb2.ToolEffect, str]] = ..., risk: _Optional[_Union[_tool_pb2.ToolRisk, str]] = ..., argument_schema: _Optional[str] = ..., session_labels: _Optional[_Iterable[str]] = ...) -> None: ...

class ApprovalTier(_message.Message):
    __slots__ = ("name", "require", "expires_after_millis", "escalate_to")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REQUIRE_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AFTER_MILLIS_FIELD_NUMBER: _ClassVar[int]
    ESCALATE_TO_FIELD_NUMBER: _ClassVar[int]
    name: str
    require: _containers.RepeatedCompositeFieldContainer[Quorum]
    expires_after_millis: int
    escalate_to: str
    def __init__(self, name: _Optional[str] = ..., require: _Optional[_Iterable[_Union[Quorum, _Mapping]]] = ..., expires_after_millis: _Optional[int] = ..., escalate_to: _Optional[str] = ...) -> None: ...

class Quorum(_message.Message):
    __slots__ = ("role", "count")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    role: str
    count: int
    def __init__(self, role: _Optional[str] = ..., count: _Optional[int] = ...) -> None: ...

class Operator(_message.Message):
    __slots__ = ("name", "roles")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    name: str
    roles: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., roles: _Optional[_Iterable[str]] = ...) -> None: ...

class Limits(_message.Message):
    __slots__ = ("request_bytes", "queue_depth", "budget_instances", "streams", "open_reservations", "request_ids", "waiting_calls", "kept_answer_bytes", "clock_skew_millis", "cache_bytes", "sessions", "tool_result_bytes", "open_tool_calls", "open_approvals", "open_runs", "run_bytes", "payload_bytes", "for_each_items", "run_depth")
    REQUEST_BYTES_FIELD_NUMBER: _ClassVar[int]
    QUEUE_DEPTH_FIELD_NUMBER: _ClassVar[int]
    BUDGET_INSTANCES_FIELD_NUMBER: _ClassVar[int]
    STREAMS_FIELD_NUMBER: _ClassVar[int]
    OPEN_RESERVATIONS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_IDS_FIELD_NUMBER: _ClassVar[int]
    WAITING_CALLS_FIELD_NUMBER: _ClassVar[int]
    KEPT_ANSWER_BYTES_FIELD_NUMBER: _ClassVar[int]
    CLOCK_SKEW_MILLIS_FIELD_NUMBER: _ClassVar[int]
    CACHE_BYTES_FIELD_NUMBER: _ClassVar[int]
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    TOOL_RESULT_BYTES_FIELD_NUMBER: _ClassVar[int]
    OPEN_TOOL_CALLS_FIELD_NUMBER: _ClassVar[int]
    OPEN_APPROVALS_FIELD_NUMBER: _ClassVar[int]
    OPEN_RUNS_FIELD_NUMBER: _ClassVar[int]
    RUN_BYTES_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_BYTES_FIELD_NUMBER: _ClassVar[int]
    FOR_EACH_ITEMS_FIELD_NUMBER: _ClassVar[int]
    RUN_DEPTH_FIELD_NUMBER: _ClassVar[int]
    request_bytes: int
    queue_depth: int
    budget_instances: int
    streams: int
    open_reservations: int
    request_ids: int
    waiting_calls: int
    kept_answer_bytes: int
    clock_skew_millis: int
    cache_bytes: int
    sessions: int
    tool_result_bytes: int
    open_tool_calls: int
    open_approvals: int
    open_runs: int
    run_bytes: int
    payload_bytes: int
    for_each_items: int
    run_depth: int
    def __init__(self, request_bytes: _Optional[int] = ..., queue_depth: _Optional[int] = ..., budget_instances: _Optional[int] = ..., streams: _Optional[int] = ..., open_reservations: _Optional[int] = ..., request_ids: _Optional[int] = ..., waiting_calls: _Optional[int] = ..., kept_answer_bytes: _Optional[int] = ..., clock_skew_millis: _Optional[int] = ..., cache_bytes: _Optional[int] = ..., sessions: _Optional[int] = ..., tool_result_bytes: _Optional[int] = ..., open_tool_calls: _Optional[int] = ..., open_approvals: _Optional[int] = ..., open_runs: _Optional[int] = ..., run_bytes: _Optional[int] = ..., payload_bytes: _Optional[int] = ..., for_each_items: _Optional[int] = ..., run_depth: _Optional[int] = ...) -> None: ...

class Reservations(_message.Message):
    __slots__ = ("ttl_millis", "charge_on_expiry", "tool_ttl_millis", "session_ttl_millis")
    TTL_MILLIS_FIELD_NUMBER: _ClassVar[int]
    CHARGE_ON_EXPIRY_FIELD_NUMBER: _ClassVar[int]
    TOOL_TTL_MILLIS_FIELD_NUMBER: _ClassVar[int]
    SESSION_TTL_MILLIS_FIELD_NUMBER: _ClassVar[int]
    ttl_millis: int
    charge_on_expiry: bool
    tool_ttl_millis: int
    session_ttl_millis: int
    def __init__(self, ttl_millis: _Optional[int] = ..., charge_on_expiry: bool = ..., tool_ttl_millis: _Optional[int] = ..., session_ttl_millis: _Optional[int] = ...) -> None: ...

class Secrets(_message.Message):
    __slots__ = ("values",)
    class ValuesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.ScalarMap[str, str]
    def __init__(self, values: _Optional[_Mapping[str, str]] = ...) -> None: ...
