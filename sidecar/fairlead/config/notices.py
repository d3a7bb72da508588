"""What is valid in a configuration but has no effect, now or at all: said in the log and by `config validate`, so that
nobody relies on it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from fairlead.config.schema import Config
from fairlead.config.sections.approvals import OnExpireMapping
from fairlead.config.sections.budgets import OnExceedMapping
from fairlead.config.sections.policies import EffectMapping
from fairlead.config.sections.routes import Route
from fairlead.config.sections.step_tasks import AskTier
from fairlead.config.sections.workflows import Workflow

# A configuration may have thousands of routes: who has read these knows what is meant.
NOTICES_MAX = 50
# Of an audit record of an ordinary decision, as `retention.audit.size` counts it.
_RECORD_BYTES = 1600


def notices(config: Config, running: Config | None = None, *, idle_books: bool = False) -> list[str]:
    """About a configuration, at the start or in place of a running one, whose own notices are not said again. With
    `idle_books` it names price books and takes no price from them."""
    said = frozenset(_idle(running) if running is not None else ())
    now = [] if running is None else list(_of_the_next_start(config, running))
    if idle_books:
        now.append("prices.files has no effect: every model has a price of its own")
    return [*now, *itertools.islice((notice for notice in _idle(config) if notice not in said), NOTICES_MAX)]


def _of_the_next_start(config: Config, running: Config) -> Iterator[str]:
    if config.listen != running.listen:
        yield "changes of `listen` take effect at the next start"
    if config.limits.streams != running.limits.streams:
        yield "limits.streams bounds calls from now on, connections and calls of one connection at the next start"


def _idle(config: Config) -> Iterator[str]:
    """What has no effect whatever happens."""
    for provider in config.providers:
        if provider.proxy is not None and "*" in provider.proxy.no_proxy:
            yield f"provider {provider.name}: its proxy has no effect: noProxy has *, so every host is reached directly"
    kept, behind = config.retention.audit.size, config.limits.consumer_lag
    if kept is not None and behind * _RECORD_BYTES > kept:
        yield (
            f"retention.audit.size does not bound the log while a consumer is away: limits.consumerLag lets it keep "
            f"{behind} records for it, about {behind * _RECORD_BYTES >> 20} MiB"
        )
    outputs = {policy.effect for policy in config.policies if policy.on == "model.output"}
    if config.limits.cache_bytes == 0:
        uncached = "limits.cacheBytes is 0"
    else:
        uncached = "while there are rules on model.output no answer is kept" if outputs else ""
    for route in config.routes:
        for what in _of_a_route(route, uncached=uncached, rejects="reject" in outputs):
            yield f"route {route.name}: {what}"
    for policy in config.policies:
        if policy.effect == "flag" and policy.check is not None and "window" in policy.check.model_fields_set:
            yield f"policy {policy.name}: check.window has no effect: a rule that only flags holds no text back"
    asked_for = {
        policy.effect.require_approval for policy in config.policies if isinstance(policy.effect, EffectMapping)
    }
    asked_for |= {
        budget.on_exceed.require_approval for budget in config.budgets if isinstance(budget.on_exceed, OnExceedMapping)
    }
    asked_for |= {
        tier.on_expire.escalate_to for tier in config.approvals.tiers if isinstance(tier.on_expire, OnExpireMapping)
    }
    asked_for.update(tier for workflow in config.workflows for tier in _tiers(workflow))
    for tier in config.approvals.tiers:
        if tier.name not in asked_for:
            yield (
                f"approval tier {tier.name}: nobody is asked: no rule or budget has {{requireApproval: {tier.name}}} "
                "and no workflow has a step for it"
            )


def _tiers(workflow: Workflow) -> Iterator[str | None]:
    """The tiers that a run of it may ask."""
    yield workflow.unknown_tier
    for step in workflow.steps:
        yield step.approval.tier if step.approval is not None else None
        yield step.on_unknown.ask if isinstance(step.on_unknown, AskTier) else None


def _of_a_route(route: Route, *, uncached: str, rejects: bool) -> Iterator[str]:
    if route.cache is not None and uncached:
        yield f"cache has no effect: {uncached}"
    only = route.targets[0] if route.targets is not None and len(route.targets) == 1 else None
    if only is not None and route.sticky_by in ("agent", "tenant"):
        yield f"stickyBy: {route.sticky_by} has no effect: there is one target"
    if only is not None and "weight" in only.model_fields_set:
        yield "weight has no effect: there is one target"
    fallback = route.fallback
    if fallback is None:
        return
    if only is not None and set(fallback.chain) == {only.model}:
        yield "fallback has no effect: its chain has only the target itself"
    if "rejected" in fallback.on and "on" in fallback.model_fields_set and not rejects:
        yield "fallback.on: rejected has no effect: no rule on model.output rejects"
