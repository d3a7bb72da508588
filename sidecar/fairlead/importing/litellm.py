"""LiteLLM's proxy configuration → a draft.

Deployments (`model_list`) become models, and what they share becomes providers; a group of deployments with one
`model_name` becomes a route. `litellm_routing` and `litellm_limits` do the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from fairlead.importing import litellm_limits, litellm_prices, litellm_routing
from fairlead.importing.draft import Draft, references, seconds, variable
from fairlead.importing.source import count, listed, mapping, number
from fairlead.importing.vendors import VENDORS, of_model

TENANT = "imported"
_CAPABILITIES = {
    "supports_function_calling": "tools",
    "supports_response_schema": "json",
    "supports_vision": "vision",
    "supports_audio_input": "audio",
}
# What `litellm_params` has an equivalent for, or what says nothing here. Prices are read by `litellm_prices`.
_KNOWN_PARAMS = frozenset(
    [
        "model",
        "api_base",
        "base_url",
        "api_key",
        "api_version",
        "custom_llm_provider",
        "extra_headers",
        "headers",
        "organization",
        "timeout",
        "stream_timeout",
        "max_retries",
        "num_retries",
        "rpm",
        "tpm",
        "weight",
        "max_parallel_requests",
        "drop_params",
    ]
)
# What `model_info` has an equivalent for, or what says nothing here. Prices are read by `litellm_prices`.
_KNOWN_INFO = frozenset(
    [
        *_CAPABILITIES,
        "mode",
        "max_tokens",
        "max_input_tokens",
        "max_output_tokens",
        "id",
        "base_model",
        "db_model",
        "litellm_provider",
        "description",
    ]
)
_OF_A_BUDGET = "a deployment has no budget of its own: write one that matches its models"
# Why a parameter of a deployment has no equivalent, where it is not one that a request would have.
_WHY_NOT = {
    "max_budget": _OF_A_BUDGET,
    "budget_duration": _OF_A_BUDGET,
    "max_tokens": "write a rule that constrains maxOutputTokens",
    "max_completion_tokens": "write a rule that constrains maxOutputTokens",
    "cooldown_time": "the breaker is that of the provider",
    "tags": "write a route that matches labels",
    "ssl_verify": "certificates are always checked: see providers[].tls.caFile",
    "mock_response": "answers come from models",
}
_OF_A_REQUEST = "parameters of a request are the caller's"
_SECTIONS = frozenset(("model_list", "router_settings", "litellm_settings", "general_settings"))
# As long as a pattern of a match may be.
NAME_MAX = 256
_RATE_MAX = 1_000_000_000
_MODES = frozenset(("chat", "completion", "responses"))


@dataclass
class Deployment:
    """One entry of `model_list` that has an equivalent."""

    group: str
    model: str
    vendor: str
    # Where it stands in the file.
    path: str
    weight: Decimal | None
    requests_per_minute: int | None
    tokens_per_minute: int | None
    concurrent: int | None
    retries: int | None


@dataclass
class Imported:
    """What the parts of the import share."""

    draft: Draft
    router: dict[str, Any]
    module: dict[str, Any]
    general: dict[str, Any]
    deployments: list[Deployment] = field(default_factory=list)

    @property
    def groups(self) -> dict[str, list[Deployment]]:
        """The deployments by their `model_name`, in the order of the file."""
        groups: dict[str, list[Deployment]] = {}
        for deployment in self.deployments:
            groups.setdefault(deployment.group, []).append(deployment)
        return groups


def convert(document: dict[str, Any]) -> Draft:
    """A draft of the whole file."""
    imported = Imported(
        Draft(),
        router=mapping(document.get("router_settings")),
        module=mapping(document.get("litellm_settings")),
        general=mapping(document.get("general_settings")),
    )
    draft = imported.draft
    draft.reserve(references(document))
    draft.reserve(_from_the_environment(document))
    _callers(imported)
    for index, entry in enumerate(listed(document.get("model_list"))):
        _deployment(imported, mapping(entry), f"model_list[{index}]")
    if not imported.deployments:
        draft.lose("model_list", "has no model that can be called from here")
    litellm_routing.convert(imported)
    litellm_limits.convert(imported)
    for section in document.keys() - _SECTIONS:
        if section == "environment_variables":
            draft.decide("environment_variables are not taken over: set them where the sidecar starts")
        else:
            draft.lose(section, "this section is not known here")
    draft.lost.sort()
    return draft


def _callers(imported: Imported) -> None:
    """The one credential that the file knows."""
    draft, key = imported.draft, imported.general.get("master_key")
    token = draft.secret(key, "general_settings.master_key", "FAIRLEAD_AGENT_TOKEN")
    agent = {"name": "agent", "token": token}
    draft.add("tenants", {"name": TENANT, "agents": [agent]})
    draft.decide(
        f"the tenant {TENANT} has one agent, whose token is in {token['fromEnv']}: virtual keys, users and teams "
        "are in the database and not in this file; give each caller an agent of its own"
    )


def _from_the_environment(document: dict[str, Any]) -> Iterator[str]:
    """Variables that deployments without a key take it from."""
    for entry in map(mapping, listed(document.get("model_list"))):
        params = mapping(entry.get("litellm_params"))
        if params.get("api_key") is None and isinstance(params.get("model"), str):
            vendor = VENDORS.get(_vendor(params, params["model"])[0])
            if vendor is not None and vendor.key:
                yield vendor.key


def _deployment(imported: Imported, entry: dict[str, Any], path: str) -> None:
    draft, params, info = imported.draft, mapping(entry.get("litellm_params")), mapping(entry.get("model_info"))
    group, called = entry.get("model_name"), params.get("model")
    if not isinstance(group, str) or not isinstance(called, str) or not group or not called:
        draft.lose(path, "has no model_name or no litellm_params.model")
        return
    if len(group) > NAME_MAX:
        draft.lose(path, f"its model_name has more than {NAME_MAX} characters")
        return
    if "*" in group or "*" in called:
        draft.lose(path, "a wildcard: every model is named and priced here")
        return
    if str(info.get("mode", "chat")) not in _MODES:
        draft.lose(path, "its mode: only models that answer with text are called through the sidecar")
        return
    named, upstream = _vendor(params, called)
    if named not in VENDORS:
        draft.lose(path, f"provider {named or 'unknown'} speaks no dialect that is known here")
        return
    provider = _provider(draft, named, params, path)
    if provider is None:
        return
    wanted = group if not any(one.group == group for one in imported.deployments) else f"{group}-{upstream}"
    model = draft.name("models", wanted, model=True)
    listed_costs = litellm_prices.costs(info, params)
    price = litellm_prices.price(draft, model, provider, upstream, listed_costs, path)
    context, output = (
        count(info.get("max_input_tokens"), 1_000_000_000),
        count(info.get("max_output_tokens"), 100_000_000),
    )
    draft.add(
        "models",
        {
            "name": model,
            "provider": provider["name"],
            "upstream": upstream if upstream != model else None,
            "price": price,
            "contextTokens": context,
            "maxOutputTokens": min(output, context) if output and context else output,
            "capabilities": [word for key, word in _CAPABILITIES.items() if info.get(key) is True],
        },
    )
    for key in params.keys() - _KNOWN_PARAMS:
        if not litellm_prices.is_cost(key):
            draft.lose(f"{path}.litellm_params.{key}", _WHY_NOT.get(key, _OF_A_REQUEST))
    for key in info.keys() - _KNOWN_INFO:
        # What a model cannot do is said by what is not among its capabilities.
        if not litellm_prices.is_cost(key) and not (key.startswith("supports_") and info[key] is not True):
            draft.lose(f"{path}.model_info.{key}", "is not known here")
    imported.deployments.append(
        Deployment(
            group=group,
            model=model,
            vendor=named,
            path=path,
            weight=number(params.get("weight")),
            requests_per_minute=count(params.get("rpm", entry.get("rpm")), _RATE_MAX),
            tokens_per_minute=count(params.get("tpm", entry.get("tpm")), _RATE_MAX),
            concurrent=count(params.get("max_parallel_requests")),
            retries=count(params.get("max_retries", params.get("num_retries"))),
        )
    )


def _vendor(params: dict[str, Any], called: str) -> tuple[str, str]:
    """Who is called, and the model's name there."""
    told, (first, _, rest) = params.get("custom_llm_provider"), called.partition("/")
    if isinstance(told, str) and told:
        return told, called.removeprefix(f"{told}/")
    if rest and (first in VENDORS or "api_base" not in params):
        return first, rest
    return of_model(called) or ("openai" if not rest else "openai_like"), called


def _provider(draft: Draft, named: str, params: dict[str, Any], path: str) -> dict[str, Any] | None:
    """The provider of a deployment: one that is there already when nothing differs."""
    vendor, base = VENDORS[named], params.get("api_base", params.get("base_url"))
    place = f"{path}.litellm_params"
    url = vendor.base_url
    kind = vendor.kind
    if isinstance(base, str) and base.startswith("os.environ/"):
        url = url or "https://set-this-address.invalid/v1"
        draft.decide(f"{place}.api_base is in the environment: an address is part of the configuration here, write it")
    elif isinstance(base, str) and base:
        url = draft.url(base, f"{place}.api_base")
        if kind == "openai" and url != vendor.base_url:
            kind = "openai-compatible"
        if kind == "anthropic" and not url.endswith("/v1"):
            url = f"{url}/v1"
    if not url:
        draft.lose(path, f"provider {named} needs an api_base")
        return None
    version = params.get("api_version") if kind == "azure-openai" else None
    if kind == "azure-openai":
        url = url.split("/openai")[0] if version else url
        if not version and not url.endswith("/v1"):
            url = f"{url}/openai/v1"
    if isinstance(version, str) and version.startswith("os.environ/"):
        draft.decide(f"{place}.api_version is in the environment: it is part of the configuration here, write it")
        version = "2024-10-21"
    needs_key = bool(vendor.key) or params.get("api_key") is not None
    keyed = vendor.key or variable(named, "api_key")
    headers = {
        str(name): draft.header(str(name), value, f"{place}.headers.{name}", variable(named, str(name)))
        for name, value in {**mapping(params.get("headers")), **mapping(params.get("extra_headers"))}.items()
        if _settable(draft, str(name), place)
    }
    if params.get("organization") is not None:
        headers["OpenAI-Organization"] = draft.secret(
            params["organization"], f"{place}.organization", "OPENAI_ORGANIZATION"
        )
    timeouts = {
        "firstByte": seconds(params.get("stream_timeout"), 1, 3_600),
        "attempt": seconds(params.get("timeout"), 1, 86_400),
    }
    wanted = {
        "kind": kind,
        "baseUrl": url if url != vendor.base_url or kind == "openai-compatible" else None,
        "apiVersion": str(version) if version else None,
        "apiKey": draft.secret(params.get("api_key"), f"{place}.api_key", keyed) if needs_key else None,
        "headers": headers,
        "timeouts": {key: value for key, value in timeouts.items() if value},
    }
    kept = {key: value for key, value in wanted.items() if value}
    for provider in draft.config.get("providers", ()):
        if {key: value for key, value in provider.items() if key != "name"} == kept:
            return dict(provider)
    return draft.add("providers", {"name": draft.name("providers", named), **kept})


def _settable(draft: Draft, name: str, place: str) -> bool:
    from pydantic import TypeAdapter, ValidationError

    from fairlead.config.sections.network import HeaderName

    try:
        TypeAdapter(HeaderName).validate_python(name)
    except ValidationError:
        draft.lose(f"{place}.headers.{name}", "is set by the sidecar")
        return False
    return True
