"""What LiteLLM's file says a deployment costs → a model's price."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from fairlead.importing.draft import UNKNOWN_PRICE, Draft
from fairlead.importing.source import number
from fairlead.prices import books, community
from fairlead.prices.lookup import vendor as vendor_in_books

# More than this, for a token and for a million, is a mistake of the file; a price cannot say it.
_MOST_PER_TOKEN = 1
_MOST = Decimal(1_000_000)


def costs(info: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """Everything about what a deployment costs; `litellm_params` has the last word."""
    return {key: value for key, value in {**info, **params}.items() if is_cost(key)}


def is_cost(key: str) -> bool:
    """Whether a key is about prices."""
    return "cost" in key or "pricing" in key


def price(
    draft: Draft, model: str, provider: Mapping[str, Any], upstream: str, listed: Mapping[str, Any], path: str
) -> dict[str, Any] | None:
    """What the file says, the dearest of its tiers; what it leaves open is the starter book's, else so dear that no
    budget is passed. None when the book has all of it."""
    found = community.read(_numbers(draft, listed, path))
    for note in found.notes:
        draft.decide(f"the price of {model}: {note}")
    found.price = {key: min(value, _MOST) for key, value in found.price.items()}
    given: dict[str, Any] = found.plain()
    if "input" in given and "output" in given:
        return given
    name = vendor_in_books(provider["kind"], provider.get("baseUrl", ""))
    known = books.starter().find(name, upstream)
    if known is not None and not given:
        draft.config.setdefault("prices", {"files": [books.STARTER]})
        draft.decide("models without a price are priced by the starter book: check what you rely on")
        return None
    if known is not None:
        draft.decide(f"the price of {model} is not complete: the rest is from the starter book, check it")
        return {**known.price.model_dump(mode="json", by_alias=True, exclude_none=True), **given}
    draft.decide(
        f"the price of {model} is unknown: 1000 USD per million tokens lets no budget be passed, write the true one"
    )
    return {**UNKNOWN_PRICE, **given}


def _numbers(draft: Draft, listed: Mapping[str, Any], path: str) -> dict[str, Any]:
    """The costs that a price can be made of; the others are lost."""
    kept: dict[str, Any] = {}
    for key, value in listed.items():
        amount = number(value)
        if value is None or isinstance(value, dict | list):
            kept[key] = value
        elif amount is None or not 0 <= amount <= _MOST_PER_TOKEN:
            draft.lose(f"{path}.{key}", "is not a price of a token in USD")
        else:
            kept[key] = amount
    return kept
