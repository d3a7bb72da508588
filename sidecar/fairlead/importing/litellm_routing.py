"""LiteLLM's groups, fallbacks and retries → routes and breakers."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from fairlead.importing.draft import seconds, unique, weights
from fairlead.importing.source import count, listed, mapping, number

if TYPE_CHECKING:
    from fairlead.importing.litellm import Deployment, Imported

_ATTEMPTS_MAX = 10
_CHAIN_MAX = 16
# As long as a pattern of a match may be.
_NAME_MAX = 256
_SELECTIONS = {
    "latency-based-routing": "fastest",
    "cost-based-routing": "cheapest",
    "lowest-cost": "cheapest",
    "lowest-latency": "fastest",
}
_BY_LOAD = frozenset(("least-busy", "usage-based-routing", "usage-based-routing-v2"))
_KNOWN_CACHE = frozenset(("type", "ttl", "mode"))
# Where the answers are kept there; here the sidecar keeps them.
_CACHE_SERVER = frozenset(
    ("host", "port", "password", "username", "url", "db", "ssl", "redis_startup_nodes", "sentinel_nodes",
     "service_name", "max_connections", "disk_cache_dir")
)  # fmt: skip
_KNOWN_ROUTER = frozenset(
    [
        "routing_strategy",
        "fallbacks",
        "default_fallbacks",
        "context_window_fallbacks",
        "content_policy_fallbacks",
        "num_retries",
        "max_retries",
        "cooldown_time",
        "allowed_fails",
        "retry_after",
        "timeout",
        "model_group_alias",
        "enable_pre_call_checks",
        "provider_budget_config",
        "redis_host",
        "redis_port",
        "redis_password",
        "redis_url",
        "redis_db",
        "set_verbose",
        "debug_level",
    ]
)


def convert(imported: Imported) -> None:
    """One route for each group, and for each alias of one."""
    draft, router = imported.draft, imported.router
    for key in router.keys() - _KNOWN_ROUTER:
        draft.lose(f"router_settings.{key}", "is not known here")
    if any(key.startswith("redis_") for key in router):
        draft.decide("router_settings.redis_… is not needed: the sidecar keeps its state itself, one for each pod")
    _breakers(imported)
    for group, deployments in imported.groups.items():
        _route(imported, group, deployments)
    for alias, target in mapping(router.get("model_group_alias")).items():
        name = mapping(target).get("model") if isinstance(target, dict) else target
        aliased = imported.groups.get(str(name))
        if not aliased:
            draft.lose(f"router_settings.model_group_alias.{alias}", "leads to no group of model_list")
        elif not alias or "*" in alias or len(alias) > _NAME_MAX:
            draft.lose(f"router_settings.model_group_alias.{alias}", "is not a name that a call can ask for")
        else:
            _route(imported, alias, aliased)


def names(imported: Imported, group: str) -> list[str]:
    """What a call may ask for to be served by a group: its name, its aliases, and its deployments by their own."""
    aliases = [
        alias
        for alias, target in mapping(imported.router.get("model_group_alias")).items()
        if (mapping(target).get("model") if isinstance(target, dict) else target) == group
        and 0 < len(alias) <= _NAME_MAX
        and "*" not in alias
    ]
    return unique([group, *aliases, *(deployment.model for deployment in imported.groups.get(group, ()))])


def leading_to(imported: Imported, group: str) -> list[str]:
    """The groups whose calls may come to a group as a fallback."""
    own = {deployment.model for deployment in imported.groups.get(group, ())}
    return [other for other in imported.groups if other != group and own & set(chain(imported, other))]


def chain(imported: Imported, group: str) -> list[str]:
    """The models that come after those of a group."""
    found: list[str] = []
    own = {deployment.model for deployment in imported.groups.get(group, ())}
    for source, settings in (("router_settings", imported.router), ("litellm_settings", imported.module)):
        general = _named(settings.get("fallbacks"), group)
        if not general:
            general = [str(name) for name in listed(settings.get("default_fallbacks"))]
        larger = _named(settings.get("context_window_fallbacks"), group)
        if larger:
            imported.draft.decide(
                f"{source}.context_window_fallbacks come last in the chain: give models contextTokens, and one that "
                "is too small for a call is left out before it is made"
            )
        if _named(settings.get("content_policy_fallbacks"), group):
            imported.draft.lose(
                f"{source}.content_policy_fallbacks", "a refusal by a provider is an answer; see rules on model.output"
            )
        for name in (*general, *larger):
            targets = imported.groups.get(name)
            if targets is None:
                imported.draft.lose(f"{source}.fallbacks", f"from {group} to {name}, which is not in model_list")
            else:
                found += [deployment.model for deployment in targets]
    return [model for model in unique(found) if model not in own][:_CHAIN_MAX]


def _named(value: Any, group: str) -> list[str]:
    """The names that a list of `{group: [names]}` has for a group; `*` is for all."""
    for wanted in (group, "*"):
        for item in listed(value):
            names = mapping(item).get(wanted)
            if names is not None:
                return [str(name) for name in listed(names) if isinstance(name, str)]
    return []


def _route(imported: Imported, called: str, deployments: list[Deployment]) -> None:
    draft, router, module = imported.draft, imported.router, imported.module
    group = deployments[0].group
    strategy = str(router.get("routing_strategy", "simple-shuffle"))
    selection = _SELECTIONS.get(strategy) if len(deployments) > 1 else None
    models = [deployment.model for deployment in deployments]
    if strategy in _BY_LOAD:
        draft.lose("router_settings.routing_strategy", f"{strategy}: calls are spread by weight instead")
    elif strategy not in (*_SELECTIONS, "simple-shuffle"):
        draft.lose("router_settings.routing_strategy", "this strategy is not known here: calls are spread by weight")
    shares = _shares(imported, deployments) if selection is None else [1] * len(models)
    retries = next((one.retries for one in deployments if one.retries), None) or count(
        router.get("num_retries", router.get("max_retries", module.get("num_retries")))
    )
    # LiteLLM goes on with another deployment of the group before it leaves the group.
    after = unique([*(models if len(models) > 1 else ()), *chain(imported, group)])[:_CHAIN_MAX]
    drops = module.get("drop_params") is True
    draft.add(
        "routes",
        {
            "name": draft.name("routes", called),
            "match": {"model": called},
            "targets": None
            if selection
            else [
                {"model": model, "weight": share} if len(models) > 1 else {"model": model}
                for model, share in zip(models, shares, strict=True)
                if share
            ],
            "select": selection,
            "candidates": models if selection else None,
            "fallback": {"chain": after} if after else None,
            "retry": _retry(retries, router.get("retry_after")),
            "timeout": seconds(router.get("timeout", module.get("request_timeout")), 1, 86_400),
            "onUntranslatable": "drop" if drops else None,
            "cache": _cache(imported),
        },
    )


def _retry(retries: int | None, retry_after: Any) -> dict[str, Any] | None:
    wait = seconds(retry_after, 1, 300)
    retry: dict[str, Any] = {"attempts": min(retries + 1, _ATTEMPTS_MAX)} if retries else {}
    if wait:
        # Ours grows up to five seconds unless the first wait is longer.
        longer = (number(retry_after) or 0) > 5
        retry["backoff"] = {"initial": wait, "max": wait if longer else "5s"}
    return retry or None


def _shares(imported: Imported, deployments: list[Deployment]) -> list[int]:
    """How the calls of a group are spread: by the first of `weight`, `rpm` and `tpm` that one of them has."""
    group = deployments[0].group
    for key, given in (
        ("weight", [one.weight for one in deployments]),
        ("rpm", [_decimal(one.requests_per_minute) for one in deployments]),
        ("tpm", [_decimal(one.tokens_per_minute) for one in deployments]),
    ):
        if any(share is not None for share in given):
            if len(deployments) > 1:
                imported.draft.decide(f"calls of {group} are spread by {key}; a deployment without one counts 1")
            return weights(given)
    return [1] * len(deployments)


def _decimal(value: int | None) -> Decimal | None:
    return None if value is None else Decimal(value)


def _cache(imported: Imported) -> dict[str, Any] | None:
    module, draft = imported.module, imported.draft
    if module.get("cache") is not True:
        return None
    path, params = "litellm_settings.cache_params", mapping(module.get("cache_params"))
    for key in params.keys() - _KNOWN_CACHE - _CACHE_SERVER:
        draft.lose(f"{path}.{key}", "is not known here")
    if params.get("mode", "default_on") != "default_on":
        draft.lose(f"{path}.mode", "calls cannot ask for the cache one by one: there is none, give a route `cache`")
        return None
    if params.get("type", "local") not in ("local", None) or params.keys() & _CACHE_SERVER:
        draft.decide(f"{path}: answers are kept by the sidecar itself, same request only")
    ttl = seconds(params.get("ttl"), 1_000, 30 * 86_400)
    if ttl is None:
        draft.decide("litellm_settings.cache has no ttl: answers are given again for ten minutes")
    return {"ttl": ttl or "10m"}


def _breakers(imported: Imported) -> None:
    """`allowed_fails` and `cooldown_time` are the breaker of every provider."""
    fails, cooldown = (
        count(imported.router.get("allowed_fails"), 9_999),
        seconds(imported.router.get("cooldown_time"), 10, 3_600),
    )
    breaker = {"consecutiveFailures": fails + 1 if fails else None, "open": cooldown}
    kept = {key: value for key, value in breaker.items() if value is not None}
    if cooldown and int(cooldown.rstrip("ms")) > 300 and not cooldown.endswith("ms"):
        kept["maxOpen"] = cooldown
    if kept:
        for provider in imported.draft.config.get("providers", ()):
            provider["breaker"] = dict(kept)
