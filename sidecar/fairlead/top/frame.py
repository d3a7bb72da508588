"""Two looks at a sidecar → what is shown. Pure: no clock, no I/O."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from fairlead.top.metrics import Page

BUDGETS_SHOWN = 20
_CACHE = "fairlead_response_cache_"
# States of a breaker, the one that matters most first.
_STATES = ("open", "half_open", "ramping", "closed")


@dataclass(frozen=True, slots=True)
class Look:
    """What a sidecar said at one moment. Seconds of a clock that only goes forward."""

    seconds: float
    page: Page


@dataclass(frozen=True, slots=True)
class Refusals:
    """Refusals for one reason."""

    reason: str
    total: int
    per_second: float | None


@dataclass(frozen=True, slots=True)
class Model:
    """One model. Latencies are seconds; None where nothing was measured."""

    name: str
    calls: int
    errors: int
    per_second: float | None
    p50: float | None
    p99: float | None
    breaker: str


@dataclass(frozen=True, slots=True)
class Budget:
    """One budget of a tenant: how full its fullest instance is, and the sums of all."""

    tenant: str
    name: str
    fullest: float
    instances: int
    unit: str
    spent: float
    held: float
    limit: float


@dataclass(frozen=True, slots=True)
class Runs:
    """Runs of workflows that are open, and their steps that may be leased or are."""

    open: int
    ready_steps: int
    leased_steps: int


@dataclass(frozen=True, slots=True)
class Frame:
    """What is shown. Rates are None until there were two looks at the same run of the sidecar."""

    healthy: bool
    store_available: bool
    config: str
    calls_per_second: float | None
    admitted: int
    in_flight: int
    waiting: int
    refusals: list[Refusals]
    models: list[Model]
    budgets: list[Budget]
    # Approvals that are pending, or approved and not used yet.
    open_approvals: int
    # None where the sidecar does not say.
    runs: Runs | None = None
    cache: dict[str, float] = field(default_factory=dict)
    memory_bytes: int = 0

    def as_json(self) -> dict[str, Any]:
        """Everything, as plain values."""
        return asdict(self)


def frame(now: Look, before: Look | None = None) -> Frame:
    """What is shown after a look, and the one before it. Counters that went back are those of another run: its rates
    are not known yet."""
    page = now.page
    last = before if before is not None and not _restarted(before.page, page) else None
    admitted = int(page.total("fairlead_decisions_total", outcome="admitted"))
    decided = page.total("fairlead_decisions_total")
    decided_before = last.page.total("fairlead_decisions_total") if last else 0.0
    refused = page.by("reason", "fairlead_refusals_total")
    refused_before = last.page.by("reason", "fairlead_refusals_total") if last else {}
    return Frame(
        healthy=page.total("fairlead_healthy") == 1,
        store_available=page.total("fairlead_store_available") == 1,
        config=next((labels.get("version", "") for labels, value in page.of("fairlead_config_info") if value), ""),
        calls_per_second=_rate(now, last, decided, decided_before),
        admitted=admitted,
        in_flight=int(page.total("fairlead_calls_in_flight")),
        waiting=int(page.total("fairlead_queue_depth", queue="rate_limits")),
        refusals=[
            Refusals(reason, int(total), _rate(now, last, total, refused_before.get(reason, 0.0)))
            for reason, total in sorted(refused.items(), key=lambda item: -item[1])
            if total
        ],
        models=_models(now, last),
        budgets=_budgets(page),
        open_approvals=int(page.total("fairlead_open_approvals")),
        runs=_runs(page),
        cache={name.removeprefix(_CACHE): page.total(name) for name in sorted(page.samples) if name.startswith(_CACHE)},
        memory_bytes=int(page.total("process_resident_memory_bytes")),
    )


def _restarted(before: Page, now: Page) -> bool:
    counters = ("fairlead_decisions_total", "fairlead_refusals_total", "fairlead_attempts_total")
    return any(now.total(name) < before.total(name) for name in counters)


def _rate(now: Look, last: Look | None, value: float, before: float) -> float | None:
    if last is None or now.seconds <= last.seconds:
        return None
    return max(0.0, value - before) / (now.seconds - last.seconds)


def _runs(page: Page) -> Runs | None:
    if "fairlead_open_runs" not in page.samples:
        return None
    names = ("fairlead_open_runs", "fairlead_ready_steps", "fairlead_leased_steps")
    return Runs(*(int(page.total(name)) for name in names))


def _models(now: Look, last: Look | None) -> list[Model]:
    page = now.page
    calls, good = (
        page.by("model", "fairlead_attempts_total"),
        page.by("model", "fairlead_attempts_total", outcome="succeeded"),
    )
    cancelled = page.by("model", "fairlead_attempts_total", outcome="cancelled")
    before = last.page.by("model", "fairlead_attempts_total") if last else {}
    named = {*calls, *page.by("model", "fairlead_breaker_state"), *page.by("model", "fairlead_model_latency_seconds")}
    return [
        Model(
            name=name,
            calls=int(calls.get(name, 0)),
            # A call that its client gave up says nothing about the model.
            errors=int(calls.get(name, 0) - good.get(name, 0) - cancelled.get(name, 0)),
            per_second=_rate(now, last, calls.get(name, 0.0), before.get(name, 0.0)),
            p50=_latency(page, name, "0.5"),
            p99=_latency(page, name, "0.99"),
            breaker=_breaker(page, name),
        )
        for name in sorted(named)
    ]


def _latency(page: Page, model: str, quantile: str) -> float | None:
    found = [value for _, value in page.of("fairlead_model_latency_seconds", model=model, quantile=quantile)]
    # 0 says that too few calls have been made to know.
    return found[0] if found and math.isfinite(found[0]) and found[0] > 0 else None


def _breaker(page: Page, model: str) -> str:
    states = {labels.get("state") for labels, value in page.of("fairlead_breaker_state", model=model) if value}
    return next((state for state in _STATES if state in states), "-")


def _budgets(page: Page) -> list[Budget]:
    """Those nearest to their limit."""
    budgets = []
    for labels, fullest in page.of("fairlead_budget_fullest_ratio"):
        named = {"tenant": labels.get("tenant", ""), "budget": labels.get("budget", "")}
        limits = {labels.get("unit", ""): limit for labels, limit in page.of("fairlead_budget_limit", **named) if limit}
        unit = next((unit for unit in ("usd", "tokens", "requests") if unit in limits), "")
        budgets.append(
            Budget(
                tenant=named["tenant"],
                name=named["budget"],
                fullest=fullest if math.isfinite(fullest) else 0.0,
                instances=int(page.total("fairlead_budget_instances", **named)),
                unit=unit,
                spent=page.total("fairlead_budget_spent", **named, unit=unit),
                held=page.total("fairlead_budget_reserved", **named, unit=unit),
                limit=limits.get(unit, 0.0),
            )
        )
    return sorted(budgets, key=lambda one: (-one.fullest, one.tenant, one.name))[:BUDGETS_SHOWN]
