"""LiteLLM's budgets and rate limits → budgets and rate limits, and what of the other settings has no equivalent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fairlead.importing import litellm_routing
from fairlead.importing.draft import unique, usd, window
from fairlead.importing.source import count, mapping
from fairlead.importing.vendors import VENDORS

if TYPE_CHECKING:
    from fairlead.importing.litellm import Deployment, Imported

_KNOWN_MODULE = frozenset(
    [
        "fallbacks",
        "default_fallbacks",
        "context_window_fallbacks",
        "content_policy_fallbacks",
        "num_retries",
        "request_timeout",
        "drop_params",
        "cache",
        "cache_params",
        "max_budget",
        "budget_duration",
        "tag_budget_config",
        "set_verbose",
        "json_logs",
        "telemetry",
        "turn_off_message_logging",
    ]
)
_KNOWN_GENERAL = frozenset(("master_key", "max_parallel_requests", "global_max_parallel_requests"))

# Limits here, where each stands in a deployment, and in the file.
_RATES = {"requestsPerMinute": "rpm", "tokensPerMinute": "tpm", "concurrent": "max_parallel_requests"}
_FIELDS = {
    "requestsPerMinute": "requests_per_minute",
    "tokensPerMinute": "tokens_per_minute",
    "concurrent": "concurrent",
}

_CALLBACKS = frozenset(("callbacks", "success_callback", "failure_callback", "service_callbacks"))
_DATABASE = frozenset(("database_url", "store_model_in_db", "database_connection_pool_limit", "salt_key"))


def convert(imported: Imported) -> None:
    """Everything that limits."""
    _module_budget(imported)
    _provider_budgets(imported)
    _tag_budgets(imported)
    _rates(imported)
    draft = imported.draft
    for key in imported.module.keys() - _KNOWN_MODULE:
        why = "see the metrics, the logs and the audit log" if key in _CALLBACKS else "is not known here"
        draft.lose(f"litellm_settings.{key}", why)
    for key in imported.general.keys() - _KNOWN_GENERAL:
        why = "no database is needed" if key in _DATABASE else "is not known here"
        draft.lose(f"general_settings.{key}", why)


def _module_budget(imported: Imported) -> None:
    _budget(
        imported,
        "all",
        imported.module.get("max_budget"),
        imported.module.get("budget_duration"),
        "litellm_settings.max_budget",
    )


def _provider_budgets(imported: Imported) -> None:
    """Budgets match what is asked for, not who answers: a provider's is that of the groups that only it serves."""
    for name, settings in mapping(imported.router.get("provider_budget_config")).items():
        path, config = f"router_settings.provider_budget_config.{name}", mapping(settings)
        groups = [
            group
            for group, deployments in imported.groups.items()
            if all(deployment.vendor == name for deployment in deployments)
        ]
        shared = [
            group
            for group, deployments in imported.groups.items()
            if group not in groups and any(deployment.vendor == name for deployment in deployments)
        ]
        if not groups or name not in VENDORS:
            imported.draft.lose(path, "no group of model_list is served by this provider alone")
            continue
        limit = config.get("budget_limit", config.get("max_budget"))
        period = config.get("time_period", config.get("budget_duration"))
        asked_for = unique(model for group in groups for model in litellm_routing.names(imported, group))
        _budget(imported, f"provider-{name}", limit, period, path, match={"model": asked_for})
        imported.draft.decide(
            f"{path} counts what is asked of {', '.join(groups)}, fallbacks to other providers included, and not what "
            "comes to it as a fallback of another group"
            + (f"; not {', '.join(shared)}, which others serve as well" if shared else "")
        )


def _tag_budgets(imported: Imported) -> None:
    for tag, settings in mapping(imported.module.get("tag_budget_config")).items():
        config, path = mapping(settings), f"litellm_settings.tag_budget_config.{tag}"
        limit, period = config.get("max_budget"), config.get("budget_duration")
        _budget(imported, f"tag-{tag}", limit, period, path, match={"labels": {"tag": tag[:128]}})
        imported.draft.decide("tags are labels here: a call carries x-fairlead-labels: tag=NAME")


def _budget(
    imported: Imported, name: str, limit: Any, period: Any, path: str, match: dict[str, Any] | None = None
) -> None:
    if limit is None:
        return
    amount, length = usd(limit), window(period)
    if amount is None or length is None:
        imported.draft.lose(path, "needs an amount above 0 and a period such as 1d, 30d or 1mo, at most 366 days")
        return
    imported.draft.add(
        "budgets",
        {
            "name": imported.draft.name("budgets", name),
            "match": match,
            "scope": ["tenant"],
            "limit": {"usd": amount},
            "window": length,
        },
    )


def _rates(imported: Imported) -> None:
    """`rpm` and `tpm` of a group are those of its deployments together."""
    draft = imported.draft
    for group, deployments in imported.groups.items():
        rates = {name: _sum(imported, deployments, name, key) for name, key in _RATES.items()}
        if any(rates.values()):
            _rate(imported, group, rates)
            if len(deployments) > 1:
                draft.decide(f"the rate limits of {group} are the sums of those of its deployments")
    for key in ("global_max_parallel_requests", "max_parallel_requests"):
        concurrent = count(imported.general.get(key))
        if concurrent:
            scope = ["tenant"] if key.startswith("global") else ["agent"]
            entry = {"name": draft.name("rateLimits", key), "scope": scope, "concurrent": concurrent}
            draft.add("rateLimits", entry)


def _rate(imported: Imported, group: str, rates: dict[str, int | None]) -> None:
    """Limits match what is asked for, under each of its names, and not who answers in the end."""
    draft = imported.draft
    asked_for = litellm_routing.names(imported, group)
    match = {"model": asked_for[0] if len(asked_for) == 1 else asked_for}
    draft.add("rateLimits", {"name": draft.name("rateLimits", group), "match": match, "scope": ["tenant"], **rates})
    sources = litellm_routing.leading_to(imported, group)
    if sources:
        draft.lose(
            f"model_list: the rate limits of {group}",
            f"they count what is asked of it, and not calls that come to it as a fallback of {', '.join(sources)}",
        )


def _sum(imported: Imported, deployments: list[Deployment], name: str, key: str) -> int | None:
    """The sum, if every deployment has a limit: together with one that has none they have none either."""
    limits: list[int | None] = [getattr(deployment, _FIELDS[name]) for deployment in deployments]
    if all(limits):
        return sum(limit or 0 for limit in limits)
    for deployment, limit in zip(deployments, limits, strict=True):
        if limit:
            why = f"another deployment of {deployment.group} has none, so that the group has no limit either"
            imported.draft.lose(f"{deployment.path}.litellm_params.{key}", why)
    return None
