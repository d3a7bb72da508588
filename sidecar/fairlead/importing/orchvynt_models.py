"""OrchVynt's models → models and their providers; what its mappings have that nobody reads is lost by name."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

from fairlead.importing.draft import UNKNOWN_PRICE, Draft, variable
from fairlead.importing.vendors import VENDORS, of_model
from fairlead.prices import books
from fairlead.prices.lookup import vendor as vendor_in_books

LABELS = "user_tier and region are labels here: a call carries x-fairlead-labels: tier=NAME,region=NAME"
# A label's value is at most as long.
LABEL_MAX = 128
# Keys of a model; `tier` and `name` name its place in the chain, `weight` is read by who has a list of them.
MODEL_KEYS = frozenset(("model", "provider", "endpoint", "tier", "name", "weight"))
_UPSTREAM_MAX = 256


def known(draft: Draft, given: Mapping[str, Any], keys: Set[str], path: str, why: str = "is not known here") -> bool:
    """Loses every key that is not known; whether there was none."""
    others = sorted(given.keys() - keys)
    for key in others:
        draft.lose(f"{path}.{key}", why)
    return not others


def values(value: Any, longest: int) -> list[str] | None:
    """A condition's texts, of one or of a list; None when it is something else."""
    found = value if isinstance(value, list) else [value]
    fits = found and all(isinstance(one, str) and 0 < len(one) <= longest for one in found)
    return list(dict.fromkeys(found)) if fits else None


def model(draft: Draft, tier: dict[str, Any], path: str) -> str | None:
    """The name of a model; added with its provider when it is new."""
    known(draft, tier, MODEL_KEYS, path)
    upstream, endpoint = tier.get("model"), tier.get("endpoint")
    if not isinstance(upstream, str) or not 0 < len(upstream) <= _UPSTREAM_MAX:
        draft.lose(path, "names no model")
        return None
    named = tier.get("provider") if isinstance(tier.get("provider"), str) else of_model(upstream)
    vendor = VENDORS.get(str(named))
    if vendor is None:
        draft.lose(path, f"provider {named or 'unknown'} speaks no dialect that is known here")
        return None
    if endpoint is not None and not isinstance(endpoint, str):
        draft.lose(f"{path}.endpoint", "is not an address")
        return None
    url = draft.url(endpoint, f"{path}.endpoint") if isinstance(endpoint, str) else vendor.base_url
    if not url:
        draft.lose(path, f"provider {named} needs an endpoint")
        return None
    if vendor.kind in ("ollama", "anthropic") and not url.endswith("/v1"):
        url = f"{url}/v1"
    provider = {
        "kind": vendor.kind,
        "baseUrl": url if url != vendor.base_url or vendor.kind == "openai-compatible" else None,
        "apiKey": {"fromEnv": vendor.key or variable(str(named), "api_key")} if vendor.key else None,
    }
    kept = {key: value for key, value in provider.items() if value}
    there = next(
        (one for one in draft.config.get("providers", ()) if {**one, "name": ""} == {"name": "", **kept}), None
    )
    there = there or draft.add("providers", {"name": draft.name("providers", str(named)), **kept})
    for one in draft.config.get("models", ()):
        if (one["provider"], one.get("upstream", one["name"])) == (there["name"], upstream):
            return str(one["name"])
    name = draft.name("models", upstream, model=True)
    priced = books.starter().find(vendor_in_books(vendor.kind, url), upstream) is not None
    if priced:
        draft.config.setdefault("prices", {"files": [books.STARTER]})
        draft.decide("models are priced by the starter book: check what you rely on")
    else:
        draft.decide(
            f"the price of {name} is unknown: 1000 USD per million tokens lets no budget be passed, write the true one"
        )
    price = None if priced else dict(UNKNOWN_PRICE)
    renamed = upstream if upstream != name else None
    draft.add("models", {"name": name, "provider": there["name"], "upstream": renamed, "price": price})
    return name
