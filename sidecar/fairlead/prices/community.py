"""The community's JSON price file (`model_prices_and_context_window.json` of LiteLLM) → entries of a price book.

Its prices are USD per token, written as JSON numbers; they are read digit by digit and never pass through a float. What
a book cannot say is resolved to the dearer side and noted: a price that depends on the length of the prompt becomes the
dearest of its tiers, of a model that is there twice every price is the dearer one, and what is finer than a pico-USD is
rounded up. Prices that are not read, such as those of searches and of other service tiers, are named.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Context, Decimal
from typing import Any

from pydantic import ValidationError

from fairlead.config import messages
from fairlead.config.quantities import PICO_PER_TOKEN_PER_USD_PER_MILLION as MILLION
from fairlead.config.sections.models import Price
from fairlead.config.violation import render
from fairlead.prices.model import Entry

FILE_MAX_BYTES = 32 << 20
# Field of a price → the names that the file has used for it; the first that is there counts.
_PRICES: Mapping[str, tuple[str, ...]] = {
    "input": ("input_cost_per_token",),
    "cachedInput": ("cache_read_input_token_cost", "input_cost_per_token_cache_hit"),
    "cacheWrite": ("cache_creation_input_token_cost",),
    "cacheWrite1h": ("cache_creation_input_token_cost_above_1hr",),
    "audioInput": ("input_cost_per_audio_token",),
    "imageInput": ("input_cost_per_image_token",),
    "output": ("output_cost_per_token",),
    "audioOutput": ("output_cost_per_audio_token",),
    "reasoning": ("output_cost_per_reasoning_token",),
}
_CAPABILITIES: Mapping[str, str] = {
    "supports_function_calling": "tools",
    "supports_response_schema": "json",
    "supports_vision": "vision",
    "supports_audio_input": "audio",
}
# What the file calls a provider → what it is called here, where the two differ.
_PROVIDERS: Mapping[str, str] = {"azure": "azure-openai", "text-completion-openai": "openai"}
# Modes of models that answer with text.
_MODES = frozenset(("chat", "completion", "responses"))
_TIER = re.compile(r"(?:_above_(\d{1,9})([km]?)_tokens)?(_priority)?")
_MULTIPLES = {"": 1, "k": 1_000, "m": 1_000_000}
# What a price that is not given is, as `models[].price` has it.
_DEFAULTS: Mapping[str, str] = {
    "cachedInput": "input",
    "cacheWrite": "input",
    "cacheWrite1h": "cacheWrite",
    "audioInput": "input",
    "imageInput": "input",
    "audioOutput": "output",
    "reasoning": "output",
}
_UNREAD_SHOWN = 6
_SAMPLE = "sample_spec"
# More digits than any price has: a longer number is a mistake, or an attack.
_DIGITS_MAX = 60
_EXACT = Context(prec=2 * _DIGITS_MAX)
_PICO = Decimal("1e-6")


class NotAPriceFile(ValueError):
    """The file cannot be used; `problems` has every reason."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(slots=True)
class Imported:
    """The entries, what was decided about them, and how many models were left out, by reason."""

    entries: list[Entry] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Read:
    """The prices of one model, USD per million tokens by the names of `models[].price`. `problems` are why they cannot
    be used, `notes` what was decided, `tiers` that it costs more for long prompts."""

    price: dict[str, Decimal] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    tiers: str = ""

    def plain(self) -> dict[str, str]:
        """The prices as a configuration has them."""
        return {key: _plain(value) for key, value in self.price.items()}


def load(
    text: bytes, wanted: Callable[[str, str], bool] = lambda provider, model: True, *, priority: bool = False
) -> Imported:
    """Reads a file; `wanted` is asked for each model by provider and name. With `priority` the prices of
    `service_tier: priority` count as one more tier. Raises `NotAPriceFile`."""
    imported = Imported()
    problems: list[str] = []
    found: dict[str, Entry] = {}
    for key, listed in _models(text).items():
        if key == _SAMPLE:
            continue
        if not isinstance(listed, dict):
            # Copies of the file have members of their own, such as the day of the copy.
            imported.left_out["not a model"] += 1
            continue
        provider, name = _named(key, listed)
        if not wanted(provider, name):
            imported.left_out["not asked for"] += 1
            continue
        reason = _unusable(listed)
        if reason:
            imported.left_out[reason] += 1
            continue
        wrong: list[str] = []
        entry = _entry(provider, name, listed, imported.notes, wrong, priority=priority)
        problems.extend(f"{key}: {problem}" for problem in wrong)
        if entry is None:
            continue
        other = found.get(entry.key)
        found[entry.key] = entry if other is None else _dearer(other, entry)
        if other is not None and other.price != entry.price:
            imported.notes.append(f"{entry.key}: is in the file more than once, the dearer of each price is used")
    if problems:
        raise NotAPriceFile(problems)
    imported.entries = [found[key] for key in sorted(found)]
    return imported


def _models(text: bytes) -> dict[str, Any]:
    if len(text) > FILE_MAX_BYTES:
        raise NotAPriceFile([f"is larger than {FILE_MAX_BYTES} bytes"])
    try:
        models = json.loads(text, parse_float=_number, parse_int=_number, parse_constant=_not_a_number)
    except json.JSONDecodeError as error:
        raise NotAPriceFile([f"line {error.lineno}: is not JSON: {error.msg}"]) from None
    except (UnicodeDecodeError, RecursionError, ValueError) as error:
        reason = str(error) if isinstance(error, _Unusual) else "is not JSON text that can be read"
        raise NotAPriceFile([reason]) from None
    if not isinstance(models, dict):
        raise NotAPriceFile(["must be an object with one member for each model"])
    return models


class _Unusual(ValueError):
    pass


def _number(text: str) -> Decimal:
    if len(text) > _DIGITS_MAX or abs(Decimal(text).adjusted()) > _DIGITS_MAX:
        raise _Unusual(f"has a number with more than {_DIGITS_MAX} digits")
    return Decimal(text)


def _not_a_number(text: str) -> Decimal:
    raise _Unusual(f"has {text} where a number belongs")


def _named(key: str, listed: Mapping[str, Any]) -> tuple[str, str]:
    """Provider and name there. The file puts the provider in front of most names."""
    theirs = listed.get("litellm_provider")
    provider = theirs if isinstance(theirs, str) and theirs else key.partition("/")[0]
    return _PROVIDERS.get(provider, provider), key.removeprefix(f"{provider}/")


def _unusable(listed: Mapping[str, Any]) -> str:
    mode = listed.get("mode", "chat")
    if mode not in _MODES:
        return f"mode {mode}" if isinstance(mode, str) else "no mode"
    missing = [name for name in ("input_cost_per_token", "output_cost_per_token") if listed.get(name) is None]
    return f"no {missing[0]}" if missing else ""


def _entry(
    provider: str, name: str, listed: Mapping[str, Any], notes: list[str], problems: list[str], *, priority: bool
) -> Entry | None:
    found = read(listed, priority=priority)
    notes.extend(f"{provider}/{name}: {note}" for note in found.notes)
    problems.extend(found.problems)
    if found.problems:
        return None
    capabilities = [word for key, word in _CAPABILITIES.items() if listed.get(key) is True]
    document = {
        "provider": provider,
        "model": name,
        "price": found.plain(),
        **{key: value for key, value in _sizes(listed).items() if value is not None},
        "capabilities": capabilities,
        "note": found.tiers,
    }
    try:
        return Entry.model_validate(document)
    except ValidationError as error:
        problems.extend(f"{render(path)}: {message}" for path, message in messages.translate(error, document, Entry))
        return None


def read(listed: Mapping[str, Any], *, priority: bool = False) -> Read:
    """The prices among the members of one model, as many as there are."""
    found = Read()
    tiers: set[int] = set()
    unread = {key for key, value in listed.items() if _is_cost(key, value)}
    # What input costs at most, and for short prompts.
    rise = (Decimal(1), Decimal(1))
    for key, names in _PRICES.items():
        source = next((one for one in names if listed.get(one) is not None), None)
        if source is None:
            continue
        costs = dict(_costs(source, listed, found.problems, priority=priority))
        unread -= {source, *(name for name, _ in costs)}
        base = next((cost for (name, _), cost in costs.items() if name == source), None)
        if base is None:
            continue
        dearest = max(costs.values())
        if key == "input" and base:
            rise = (dearest, base)
        elif key == "cacheWrite1h" and len(costs) == 1:
            # The file often has one-hour writes without their tiers: they rise as input does.
            dearest = _EXACT.divide(_EXACT.multiply(base, rise[0]), rise[1])
        tiers |= {above for (_, above), cost in costs.items() if cost > base}
        per_million = _EXACT.multiply(dearest, Decimal(MILLION))
        rounded = per_million.quantize(_PICO, ROUND_CEILING, _EXACT)
        if rounded != per_million:
            found.notes.append(f"{source} is finer than a pico-USD and is rounded up to {rounded:f}")
        found.price[key] = rounded
    if tiers - {0}:
        limits = " and ".join(_thousands(tier) for tier in sorted(tiers - {0}))
        found.tiers = f"costs more above {limits} tokens: the dearest price is used for every call"
        found.notes.append(found.tiers)
    if 0 in tiers:
        found.notes.append("costs more with service_tier priority: the dearest price is used for every call")
    if unread:
        names_shown = sorted(unread)[:_UNREAD_SHOWN]
        more = f" and {len(unread) - _UNREAD_SHOWN} more" if len(unread) > _UNREAD_SHOWN else ""
        found.notes.append(f"not part of the price: {', '.join(names_shown)}{more}")
    _correct_writes(found.price)
    return found


def _is_cost(key: str, value: Any) -> bool:
    """Whether a member says what something costs."""
    return ("cost" in key or "pricing" in key) and bool(value) and not isinstance(value, bool)


def _thousands(tokens: int) -> str:
    return f"{tokens // 1000}k" if tokens % 1000 == 0 else str(tokens)


def _correct_writes(price: dict[str, Decimal]) -> None:
    """The file has zeros for writes to a cache that are not billed apart; a longer one never costs less."""
    base = price.get("input")
    if price.get("cacheWrite") == 0 and base:
        del price["cacheWrite"]
    shorter = price.get("cacheWrite", base)
    if "cacheWrite1h" in price and shorter is not None:
        price["cacheWrite1h"] = max(price["cacheWrite1h"], shorter)


def _costs(
    source: str, listed: Mapping[str, Any], problems: list[str], *, priority: bool
) -> Iterator[tuple[tuple[str, int], Decimal]]:
    """The costs by member and by the length of the prompt above which they count; 0 is any length."""
    for key, value in listed.items():
        tier = _TIER.fullmatch(key.removeprefix(source)) if key.startswith(source) else None
        if tier is None or (tier[3] and not priority):
            continue
        if not isinstance(value, Decimal):
            problems.append(f"{key}: must be a number")
        elif value < 0:
            problems.append(f"{key}: must not be negative")
        else:
            yield (key, int(tier[1]) * _MULTIPLES[tier[2]] if tier[1] else 0), value


def _sizes(listed: Mapping[str, Any]) -> dict[str, int | None]:
    """Sizes are for people to read: one that is no size is left out."""

    def size(name: str) -> int | None:
        value = listed.get(name)
        return int(value) if isinstance(value, Decimal) and value == value.to_integral_value() and value > 0 else None

    return {"contextTokens": size("max_input_tokens"), "maxOutputTokens": size("max_output_tokens")}


def _plain(value: Decimal) -> str:
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _dearer(one: Entry, other: Entry) -> Entry:
    """The entry that costs more, with the dearer of each price."""
    first, second = (entry.price.model_dump(mode="json", by_alias=True, exclude_none=True) for entry in (one, other))
    dearest = {
        key: _plain(max(_effective(first, key), _effective(second, key)))
        for key in _PRICES
        if key in first or key in second
    }
    kept = one if (one.price.output, one.price.input) >= (other.price.output, other.price.input) else other
    return kept.model_copy(update={"price": Price.model_validate(dearest)})


def _effective(price: Mapping[str, str], key: str) -> Decimal:
    """What is paid: a price that is not given is another one."""
    while key not in price:
        key = _DEFAULTS[key]
    return Decimal(price[key])
