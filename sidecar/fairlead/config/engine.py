"""Configuration → what the native core takes: names resolved to defaults, money and time as integers.

Lists keep their order and indexes, so that the core can name a value by its path in the configuration.
"""

from __future__ import annotations

from collections.abc import Mapping

from fairlead.config.canonical import config_version
from fairlead.config.engine_rules import match, policy, tier, tool
from fairlead.config.engine_workflows import workflow
from fairlead.config.schema import Config
from fairlead.config.sections.budgets import Budget, Rolling
from fairlead.config.sections.models import Model
from fairlead.config.sections.providers import Provider
from fairlead.config.sections.rate_limits import RateLimit
from fairlead.config.sections.routes import Route
from fairlead.config.sections.tenants import Tenant
from fairlead.internal.v1 import engine_config_pb2 as pb
from fairlead.v1 import model_service_pb2

_KINDS: Mapping[str, pb.ProviderKind] = {
    "openai": pb.PROVIDER_KIND_OPENAI,
    "ollama": pb.PROVIDER_KIND_OLLAMA,
    "openai-compatible": pb.PROVIDER_KIND_OPENAI_COMPATIBLE,
    "anthropic": pb.PROVIDER_KIND_ANTHROPIC,
    "azure-openai": pb.PROVIDER_KIND_AZURE_OPENAI,
}
_DIALECTS: Mapping[str, model_service_pb2.Dialect] = {
    "openai-chat": model_service_pb2.DIALECT_OPENAI_CHAT,
    "openai-responses": model_service_pb2.DIALECT_OPENAI_RESPONSES,
    "anthropic-messages": model_service_pb2.DIALECT_ANTHROPIC_MESSAGES,
}
_SELECTIONS: Mapping[str | None, pb.Selection] = {
    None: pb.SELECTION_UNSPECIFIED,
    "cheapest": pb.SELECTION_CHEAPEST,
    "fastest": pb.SELECTION_FASTEST,
    "best": pb.SELECTION_BEST,
}
_WINDOWS: Mapping[str, pb.WindowKind] = {
    "lifetime": pb.WINDOW_KIND_LIFETIME,
    "hour": pb.WINDOW_KIND_HOUR,
    "day": pb.WINDOW_KIND_DAY,
    "week": pb.WINDOW_KIND_WEEK,
    "month": pb.WINDOW_KIND_MONTH,
}
_ON_EXCEED: Mapping[str, pb.OnExceed] = {"deny": pb.ON_EXCEED_DENY, "alert": pb.ON_EXCEED_ALERT}


_NOBODY: Mapping[str, str] = {}


def to_engine(config: Config, version: str | None = None, trusted: Mapping[str, str] = _NOBODY) -> pb.EngineConfig:
    """The native core's form.

    `version` is given for a stored text, whose version is the hash of that text; `trusted` has the certificates of the
    providers that have a `tls.caFile`, PEM, by the providers' names.
    """
    return pb.EngineConfig(
        version=config_version(config) if version is None else version,
        tenants=[_tenant(tenant) for tenant in config.tenants],
        providers=[_provider(provider, trusted) for provider in config.providers],
        models=[_model(model) for model in config.models],
        routes=[_route(route) for route in config.routes],
        budgets=[_budget(budget) for budget in config.budgets],
        rate_limits=[_rate_limit(limit) for limit in config.rate_limits],
        policies=[policy(rule) for rule in config.policies],
        defaults={"model.call": config.defaults.model_call, "tool.call": config.defaults.tool_call},
        limits=pb.Limits(
            request_bytes=config.limits.request_bytes,
            queue_depth=config.limits.queue_depth,
            budget_instances=config.limits.budget_instances,
            streams=config.limits.streams,
            open_reservations=config.limits.open_reservations,
            request_ids=config.limits.request_ids,
            waiting_calls=config.limits.waiting_calls,
            kept_answer_bytes=config.limits.kept_answer_bytes,
            clock_skew_millis=config.limits.clock_skew,
            cache_bytes=config.limits.cache_bytes,
            sessions=config.limits.sessions,
            tool_result_bytes=config.limits.tool_result_bytes,
            open_tool_calls=config.limits.open_tool_calls,
            open_approvals=config.limits.open_approvals,
            open_runs=config.limits.open_runs,
            run_bytes=config.limits.run_bytes,
            payload_bytes=config.limits.payload_bytes,
            for_each_items=config.limits.for_each_items,
            run_depth=config.limits.run_depth,
        ),
        reservations=pb.Reservations(
            ttl_millis=config.reservations.ttl,
            charge_on_expiry=config.reservations.on_expiry == "charge",
            tool_ttl_millis=config.reservations.tool_ttl,
            session_ttl_millis=config.reservations.session_ttl,
        ),
        audit_content=config.audit.content,
        durability={
            "model.call": config.durability.model_call,
            "tool.call": config.durability.tool_call,
            "workflow.step": config.durability.workflow_step,
        },
        tools=[tool(entry) for entry in config.tools],
        approval_tiers=[tier(entry) for entry in config.approvals.tiers],
        operators=[pb.Operator(name=operator.name, roles=operator.roles) for operator in config.operators],
        workflows=[workflow(entry) for entry in config.workflows],
    )


def to_engine_bytes(config: Config, version: str | None = None, trusted: Mapping[str, str] = _NOBODY) -> bytes:
    """The native core's form, serialised; equal configurations give equal bytes."""
    return to_engine(config, version, trusted).SerializeToString(deterministic=True)


def _tenant(tenant: Tenant) -> pb.Tenant:
    return pb.Tenant(
        name=tenant.name,
        agents=[pb.Agent(name=agent.name, labels=agent.labels, queues=agent.queues or ()) for agent in tenant.agents],
    )


def _provider(provider: Provider, trusted: Mapping[str, str]) -> pb.Provider:
    breaker, timeouts, proxy = provider.breaker, provider.timeouts, provider.proxy
    return pb.Provider(
        name=provider.name,
        kind=_KINDS[provider.kind],
        base_url=provider.base_url,
        failed_attempts_cost_input=provider.billing.failed_attempts_cost_input,
        timeouts=pb.ProviderTimeouts(
            connect_millis=timeouts.connect,
            first_byte_millis=timeouts.first_byte,
            idle_millis=timeouts.idle,
            attempt_millis=timeouts.attempt,
        ),
        # Headers that are references reach the core with the secrets.
        headers={name: value for name, value in provider.headers.items() if isinstance(value, str)},
        breaker=pb.Breaker(
            consecutive_failures=breaker.consecutive_failures,
            failure_rate_per_mille=breaker.failure_rate,
            minimum_calls=breaker.minimum_calls,
            window_millis=breaker.window,
            open_millis=breaker.open,
            max_open_millis=breaker.max_open,
            ramp_millis=breaker.ramp,
        ),
        max_idle_connections=provider.max_idle_connections,
        dialects=[_DIALECTS[dialect] for dialect in provider.dialects],
        api_version=provider.api_version or "",
        proxy=pb.Proxy(url=proxy.url, no_proxy=proxy.no_proxy) if proxy is not None else None,
        ca_pem=trusted.get(provider.name, ""),
    )


def _model(model: Model) -> pb.Model:
    price = model.price
    return pb.Model(
        name=model.name,
        provider=model.provider,
        upstream=model.upstream or model.name,
        price=pb.Price(
            input_pico=price.input,
            cached_input_pico=price.input if price.cached_input is None else price.cached_input,
            cache_write_pico=price.input if price.cache_write is None else price.cache_write,
            output_pico=price.output,
            # What is not given costs as much as what it is a part of; the core knows of what.
            cache_write_1h_pico=price.cache_write_1h,
            audio_input_pico=price.audio_input,
            audio_output_pico=price.audio_output,
            image_input_pico=price.image_input,
            reasoning_pico=price.reasoning,
        ),
        context_tokens=model.context_tokens or 0,
        max_output_tokens=model.max_output_tokens,
        capabilities=model.capabilities,
        quality_per_mille=model.quality,
        labels=model.labels,
        learned_input_bound=model.learned_input_bound,
    )


def _route(route: Route) -> pb.Route:
    retry = route.retry
    return pb.Route(
        name=route.name,
        match=match(route.match),
        when=route.when or "",
        targets=[pb.Target(model=target.model, weight=target.weight) for target in route.targets or ()],
        select=_SELECTIONS[route.select],
        candidates=route.candidates or (),
        sticky_by=route.sticky_by or "",
        fallback=pb.Fallback(chain=route.fallback.chain, on=route.fallback.on) if route.fallback else None,
        retry=pb.Retry(
            attempts=retry.attempts,
            initial_millis=retry.backoff.initial,
            max_millis=retry.backoff.max,
            wait_for_retry_after_up_to_millis=retry.wait_for_retry_after_up_to,
        ),
        max_p99_millis=route.max_p99 or 0,
        min_output_tokens=route.min_output_tokens,
        require_labels=route.require_labels,
        timeout_millis=route.timeout or 0,
        drop_untranslatable=route.on_untranslatable == "drop",
        cache_ttl_millis=route.cache.ttl if route.cache is not None else 0,
    )


def _budget(budget: Budget) -> pb.Budget:
    on_exceed, downgrade_to, tier = _on_exceed(budget)
    return pb.Budget(
        name=budget.name,
        match=match(budget.match),
        scope=budget.scope,
        limit_nano_usd=budget.limit.usd,
        limit_tokens=budget.limit.tokens,
        limit_requests=budget.limit.requests,
        window=_WINDOWS[budget.window] if isinstance(budget.window, str) else pb.WINDOW_KIND_ROLLING,
        rolling_millis=budget.window.rolling if isinstance(budget.window, Rolling) else 0,
        on_exceed=on_exceed,
        downgrade_to=downgrade_to,
        tier=tier,
        alert_at=budget.alert_at,
        count_cached=budget.count_cached,
    )


def _on_exceed(budget: Budget) -> tuple[pb.OnExceed, str, str]:
    """What happens at the limit, with its model or its tier."""
    if isinstance(budget.on_exceed, str):
        return _ON_EXCEED[budget.on_exceed], "", ""
    if budget.on_exceed.require_approval is not None:
        return pb.ON_EXCEED_REQUIRE_APPROVAL, "", budget.on_exceed.require_approval
    return pb.ON_EXCEED_DOWNGRADE, budget.on_exceed.downgrade_to or "", ""


def _rate_limit(limit: RateLimit) -> pb.RateLimit:
    return pb.RateLimit(
        name=limit.name,
        match=match(limit.match),
        scope=limit.scope,
        requests_per_minute=limit.requests_per_minute or 0,
        tokens_per_minute=limit.tokens_per_minute or 0,
        concurrent=limit.concurrent or 0,
        max_wait_millis=limit.max_wait,
        burst_requests=limit.burst_requests or 0,
    )
