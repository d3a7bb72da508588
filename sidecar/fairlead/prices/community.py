"""The community's JSON price file (`model_prices_and_context_window.json` of LiteLLM) → entries of a price book.

Its prices are USD per token, written as JSON numbers; they are read digit by digit and never pass through a float. What
a book cannot say is resolved to the dearer side and noted: a price that depends on the length of the prompt becomes the
dearest of its tiers, and what is finer than a pico-USD is rounded up.
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
_TIER = re.compile(r"_above_(\d+k)_tokens")
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


def load(text: bytes, wanted: Callable[[str, str], bool] = lambda provider, model: True) -> Imported:
    """Reads a file; `wanted` is asked for each model by provider and name. Raises `NotAPriceFile`."""
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
        entry = _entry(provider, name, listed, imported.notes, wrong)
        problems.extend(f"{key}: {problem}" for problem in wrong)
        if entry is None:
            continue
        other = found.get(entry.key)
        if other is None or _dearness(other) < _dearness(entry):
            found[entry.key] = entry
        if other is not None and other.price != entry.price:
            imported.notes.append(f"{entry.key}: is in the file more than once, the dearer price is used")
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


def _entry(provider: str, name: str, listed: Mapping[str, Any], notes: list[str], problems: list[str]) -> Entry | None:
    price: dict[str, Decimal] = {}
    tiers: set[str] = set()
    for key, names in _PRICES.items():
        source = next((one for one in names if listed.get(one) is not None), None)
        if source is None:
            continue
        costs = dict(_costs(source, listed, problems))
        if problems:
            continue
        dearest = max(costs.values())
        tiers |= {tier for tier in costs if costs[tier] > costs[""]}
        per_million = _EXACT.multiply(dearest, Decimal(MILLION))
        rounded = per_million.quantize(_PICO, ROUND_CEILING, _EXACT)
        if rounded != per_million:
            notes.append(f"{provider}/{name}: {source} is finer than a pico-USD and is rounded up to {rounded:f}")
        price[key] = rounded
    note = ""
    if tiers:
        limits = " and ".join(sorted(tiers, key=lambda tier: int(tier[:-1])))
        note = f"costs more above {limits} tokens: the dearest price is used for every call"
        notes.append(f"{provider}/{name}: {note}")
    if problems:
        return None
    _correct_writes(price)
    capabilities = [word for key, word in _CAPABILITIES.items() if listed.get(key) is True]
    document = {
        "provider": provider,
        "model": name,
        "price": {key: _plain(value) for key, value in price.items()},
        **{key: value for key, value in _sizes(listed).items() if value is not None},
        "capabilities": capabilities,
        "note": note,
    }
    try:
        return Entry.model_validate(document)
    except ValidationError as error:
        problems.extend(f"{render(path)}: {message}" for path, message in messages.translate(error, document, Entry))
        return None


def _correct_writes(price: dict[str, Decimal]) -> None:
    """The file has zeros for writes to a cache that are not billed apart, and one-hour writes without their tiers."""
    if price.get("cacheWrite") == 0 and price["input"] > 0:
        del price["cacheWrite"]
    if "cacheWrite1h" in price:
        price["cacheWrite1h"] = max(price["cacheWrite1h"], price.get("cacheWrite", price["input"]))


def _costs(source: str, listed: Mapping[str, Any], problems: list[str]) -> Iterator[tuple[str, Decimal]]:
    """The cost by tier; the tier of short prompts is called nothing."""
    for key, value in listed.items():
        tier = _TIER.fullmatch(key.removeprefix(source)) if key.startswith(source) else None
        if key != source and tier is None:
            continue
        if not isinstance(value, Decimal):
            problems.append(f"{key}: must be a number")
        elif value < 0:
            problems.append(f"{key}: must not be negative")
        else:
            yield tier[1] if tier else "", value


def _sizes(listed: Mapping[str, Any]) -> dict[str, int | None]:
    """Sizes are for people to read: one that is no size is left out."""

    def size(name: str) -> int | None:
        value = listed.get(name)
        return int(value) if isinstance(value, Decimal) and value == value.to_integral_value() and value > 0 else None

    return {"contextTokens": size("max_input_tokens"), "maxOutputTokens": size("max_output_tokens")}


def _plain(value: Decimal) -> str:
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _dearness(entry: Entry) -> tuple[int, int]:
    return entry.price.output, entry.price.input
