"""The community's price file becomes a book without losing a digit, and what cannot be kept is said."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.config.sections.models import Price
from fairlead.prices import community
from fairlead.prices.community import Imported, NotAPriceFile, load

# As LiteLLM publishes it: the first entry explains the others.
FILE = """
{
  "sample_spec": {"mode": "one of: chat, embedding, …", "input_cost_per_token": 0.0, "max_input_tokens": "if known"},
  "gpt-4o": {
    "litellm_provider": "openai", "mode": "chat", "max_tokens": 16384, "max_input_tokens": 128000,
    "max_output_tokens": 16384, "input_cost_per_token": 2.5e-06, "output_cost_per_token": 1e-05,
    "cache_read_input_token_cost": 1.25e-06, "input_cost_per_token_batches": 1.25e-06,
    "supports_function_calling": true, "supports_vision": true, "supports_response_schema": true,
    "supports_parallel_function_calling": true
  },
  "claude-sonnet-4-5": {
    "litellm_provider": "anthropic", "mode": "chat", "max_input_tokens": 200000, "max_output_tokens": 64000,
    "input_cost_per_token": 3e-06, "input_cost_per_token_above_200k_tokens": 6e-06,
    "output_cost_per_token": 1.5e-05, "output_cost_per_token_above_200k_tokens": 2.25e-05,
    "cache_read_input_token_cost": 3e-07, "cache_read_input_token_cost_above_200k_tokens": 6e-07,
    "cache_creation_input_token_cost": 3.75e-06, "cache_creation_input_token_cost_above_200k_tokens": 7.5e-06,
    "cache_creation_input_token_cost_above_1hr": 6e-06
  },
  "gemini/gemini-2.5-flash": {
    "litellm_provider": "gemini", "mode": "chat", "input_cost_per_token": 3e-07, "output_cost_per_token": 2.5e-06,
    "input_cost_per_audio_token": 1e-06, "output_cost_per_reasoning_token": 2.5e-06, "supports_audio_input": true
  },
  "azure/gpt-4o": {
    "litellm_provider": "azure", "mode": "chat", "input_cost_per_token": 2.75e-06, "output_cost_per_token": 1.1e-05
  },
  "deepseek/deepseek-chat": {
    "litellm_provider": "deepseek", "mode": "chat", "input_cost_per_token": 2.8e-07, "output_cost_per_token": 4.2e-07,
    "input_cost_per_token_cache_hit": 2.8e-08, "cache_creation_input_token_cost": 0.0
  },
  "text-embedding-3-small": {
    "litellm_provider": "openai", "mode": "embedding", "input_cost_per_token": 2e-08, "output_cost_per_token": 0.0
  },
  "openai/free-of-mention": {"litellm_provider": "openai", "mode": "chat"},
  "last_updated": "2026-07-24"
}
"""


def imported(text: str = FILE, **changes: Any) -> Imported:
    document = json.loads(text) if changes else None
    return load((json.dumps({**document, **changes}) if document else text).encode())


def prices(found: Imported) -> dict[str, dict[str, str]]:
    return {entry.key: entry.price.model_dump(mode="json", by_alias=True, exclude_none=True) for entry in found.entries}


def test_prices_are_usd_per_million_tokens_to_the_digit() -> None:
    assert prices(imported()) == {
        "openai/gpt-4o": {"input": "2.5", "cachedInput": "1.25", "output": "10"},
        "anthropic/claude-sonnet-4-5": {
            "input": "6", "cachedInput": "0.6", "cacheWrite": "7.5", "cacheWrite1h": "12", "output": "22.5"
        },
        "gemini/gemini-2.5-flash": {"input": "0.3", "audioInput": "1", "output": "2.5", "reasoning": "2.5"},
        "azure-openai/gpt-4o": {"input": "2.75", "output": "11"},
        # A write that costs nothing is one that is not billed apart: it costs what input costs.
        "deepseek/deepseek-chat": {"input": "0.28", "cachedInput": "0.028", "output": "0.42"},
    }  # fmt: skip


def test_what_is_known_besides_is_kept() -> None:
    entry = next(entry for entry in imported().entries if entry.key == "openai/gpt-4o")
    assert (entry.context_tokens, entry.max_output_tokens) == (128_000, 16_384)
    assert entry.capabilities == ("tools", "json", "vision")
    assert next(e for e in imported().entries if e.provider == "gemini").capabilities == ("audio",)


def test_a_price_that_depends_on_the_length_becomes_the_dearest_and_that_is_said() -> None:
    found = imported()
    note = "costs more above 200k tokens: the dearest price is used for every call"
    assert f"anthropic/claude-sonnet-4-5: {note}" in found.notes
    assert next(entry for entry in found.entries if entry.provider == "anthropic").note == note


def test_what_has_no_price_by_the_token_is_left_out_and_counted() -> None:
    assert dict(imported().left_out) == {"mode embedding": 1, "no input_cost_per_token": 1, "not a model": 1}


def test_what_is_finer_than_a_pico_usd_is_rounded_up_and_that_is_said() -> None:
    listed = (
        '{"m": {"litellm_provider": "x", "input_cost_per_token": 2.99999000000000001e-06, "output_cost_per_token": 0}}'
    )
    found = load(listed.encode())
    assert prices(found) == {"x/m": {"input": "2.999991", "output": "0"}}
    assert found.notes == ["x/m: input_cost_per_token is finer than a pico-USD and is rounded up to 2.999991"]


@given(st.integers(0, 10**12), st.integers(0, 10**12))
def test_no_price_passes_through_a_float(first: int, second: int) -> None:
    costs = [f"{pico}e-12" for pico in (first, second)]
    text = (
        f'{{"m": {{"litellm_provider": "x", "input_cost_per_token": {costs[0]}, "output_cost_per_token": {costs[1]}}}}}'
    )
    (entry,) = load(text.encode()).entries
    assert entry.price == Price(input=_read(first), output=_read(second))


def _read(pico: int) -> Any:
    return Decimal(pico) / 1_000_000


def test_only_what_is_wanted_is_looked_at() -> None:
    broken = {"openai/broken": {"litellm_provider": "openai", "input_cost_per_token": "x", "output_cost_per_token": 1}}
    text = json.dumps({**json.loads(FILE), **broken}).encode()
    found = load(text, lambda provider, model: (provider, model) == ("openai", "gpt-4o"))
    assert list(prices(found)) == ["openai/gpt-4o"]
    assert found.left_out["not asked for"] == 7


def one(**costs: float) -> Imported:
    listed = {"litellm_provider": "x", "input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06, **costs}
    return load(json.dumps({"m": listed}).encode())


@pytest.mark.parametrize(
    ("above", "said"), [("200k", "200k"), ("1m", "1000k"), ("128000", "128k"), ("128001", "128001")]
)
def test_tiers_are_read_however_their_length_is_written(above: str, said: str) -> None:
    found = one(**{f"input_cost_per_token_above_{above}_tokens": 3e-06})
    assert prices(found)["x/m"]["input"] == "3"
    assert found.notes == [f"x/m: costs more above {said} tokens: the dearest price is used for every call"]


def test_a_write_for_an_hour_rises_with_long_prompts_as_input_does_unless_the_file_says_how() -> None:
    dearer = {"input_cost_per_token_above_200k_tokens": 3e-06, "cache_creation_input_token_cost_above_1hr": 2e-06}
    assert prices(one(**dearer))["x/m"]["cacheWrite1h"] == "6"
    own = {"cache_creation_input_token_cost_above_1hr_above_200k_tokens": 5e-06}
    assert prices(one(**dearer, **own))["x/m"]["cacheWrite1h"] == "5"


def test_what_costs_something_and_is_not_part_of_the_price_is_named() -> None:
    found = one(search_context_cost_per_query={"low": 0.03}, input_cost_per_token_batches=5e-07, file_search_cost=0)
    assert found.notes == ["x/m: not part of the price: input_cost_per_token_batches, search_context_cost_per_query"]


def test_another_service_tier_is_part_of_the_price_when_that_is_asked_for() -> None:
    costs = {"input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06, "output_cost_per_token_priority": 3e-06}
    text = json.dumps({"m": {"litellm_provider": "x", **costs}}).encode()
    standard, dearest = load(text), load(text, priority=True)
    assert prices(standard)["x/m"]["output"] == "2"
    assert standard.notes == ["x/m: not part of the price: output_cost_per_token_priority"]
    assert prices(dearest)["x/m"]["output"] == "3"
    assert dearest.notes == ["x/m: costs more with service_tier priority: the dearest price is used for every call"]


def test_of_a_model_that_is_there_twice_each_price_is_the_dearer_one() -> None:
    other = {
        "litellm_provider": "openai", "input_cost_per_token": 3e-06, "output_cost_per_token": 1e-06,
        "output_cost_per_reasoning_token": 2e-06,
    }  # fmt: skip
    found = imported(**{"openai/gpt-4o": other})
    # What the other one does not say costs what it says about input and output.
    assert prices(found)["openai/gpt-4o"] == {"input": "3", "cachedInput": "3", "output": "10", "reasoning": "10"}
    assert "openai/gpt-4o: is in the file more than once, the dearer of each price is used" in found.notes


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[]", "must be an object with one member for each model"),
        ("{\n  x}", "line 2: is not JSON: Expecting property name"),
        ("\xff", "is not JSON"),
        ('{"m": {"input_cost_per_token": NaN}}', "has NaN where a number belongs"),
        ('{"m": {"input_cost_per_token": 1e999999999}}', "has a number with more than 60 digits"),
        ('{"m": {"input_cost_per_token": ' + "1" * 70 + "}}", "has a number with more than 60 digits"),
        ("[" * 100_000, "is not JSON"),
        (" " * (community.FILE_MAX_BYTES + 1), "is larger than"),
        (
            '{"m": {"litellm_provider": "x", "input_cost_per_token": "1", "output_cost_per_token": 1}}',
            "m: input_cost_per_token: must be a number",
        ),
        (
            '{"m": {"litellm_provider": "x", "input_cost_per_token": -1, "output_cost_per_token": 1}}',
            "m: input_cost_per_token: must not be negative",
        ),
        (
            '{"m": {"litellm_provider": "x", "input_cost_per_token": 2, "output_cost_per_token": 1}}',
            "m: price.input: must be between 0 and 1,000,000 USD per million tokens",
        ),
        (
            '{"m": {"litellm_provider": "a b", "input_cost_per_token": 0, "output_cost_per_token": 0}}',
            "m: provider: must start with a letter or digit",
        ),
    ],
    ids=range(12),
)
def test_a_file_that_cannot_be_used_says_which_field_is_wrong(text: str, problem: str) -> None:
    with pytest.raises(NotAPriceFile) as caught:
        load(text.encode("latin-1"))
    assert problem in caught.value.problems[0]


def test_every_problem_is_said_at_once() -> None:
    broken = {"litellm_provider": "x", "input_cost_per_token": -1, "output_cost_per_token": "?"}
    with pytest.raises(NotAPriceFile) as caught:
        imported(**{"one": broken, "two": broken})
    assert [problem.partition(":")[0] for problem in caught.value.problems] == ["one", "one", "two", "two"]
