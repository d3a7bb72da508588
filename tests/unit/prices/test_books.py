"""Price books are read whole or not at all; a model without a price takes it from the first book that has one."""

from __future__ import annotations

import asyncio
from datetime import date
from pathlib import Path

import pytest

from fairlead.config import ConfigError, Loader, canonical_json, from_canonical
from fairlead.config.reload import Reloader
from fairlead.config.watch import Changed
from fairlead.prices import books
from fairlead.prices.lookup import vendor
from fairlead.prices.model import Shelved
from tests.unit.config.samples import VALID, write
from tests.unit.config.test_service import World

BOOK = """\
apiVersion: fairlead/prices/v1
date: "2026-11-21"
version: test-1
source: made up
prices:
  - {provider: ollama, model: "*", price: {input: 0, output: 0}}
  - {provider: ollama, model: "llama*", price: {input: 1, output: 2}}
  - {provider: ollama, model: large, price: {input: "2.5", cachedInput: "0.25", output: 10}, contextTokens: 8192}
  - {provider: groq, model: fast, price: {input: 3, output: 4}}
"""
UNPRICED = VALID.replace(", price: {input: 2.50, output: 10}", "")
FROM_BOOK = UNPRICED.replace("models:\n", "prices: {files: [book.yaml]}\nmodels:\n")


def written(tmp_path: Path, text: str = FROM_BOOK, book: str = BOOK) -> Path:
    write(tmp_path / "book.yaml", book)
    return write(tmp_path / "fairlead.yaml", text)


# Books ---------------------------------------------------------------------------------------------------------------


def test_a_book_survives_being_written() -> None:
    book = books.parse(BOOK)
    assert books.parse(books.write(book, ("a comment",))) == book


def test_the_most_exact_entry_counts() -> None:
    shelved = Shelved("b", books.parse(BOOK))
    found = [shelved.find("ollama", name) for name in ("large", "llama3", "other")]
    assert [entry.model if entry else None for entry in found] == ["large", "llama*", "*"]
    assert shelved.find("openai", "large") is None


@pytest.mark.parametrize(
    ("old", "new", "violation"),
    [
        ("fairlead/prices/v1", "fairlead/v1", "b.yaml:1: apiVersion: must be 'fairlead/prices/v1'"),
        ('"2026-11-21"', '"21.11.2026"', 'b.yaml:2: date: is not a day: write it in quotes, such as "2026-11-21"'),
        ('"2026-11-21"', '"2026-02-30"', "b.yaml:2: date: is not a day"),
        ("source: made up\n", "", "b.yaml:1: source: is missing: where they come from"),
        ("model: fast", "modle: fast", "b.yaml:9: prices[3].modle: unknown key: did you mean model?"),
        ("output: 4", "output: -4", "b.yaml:9: prices[3].price.output: is not a price in USD per million tokens"),
        ("output: 4", "output: 4.0000001", "b.yaml:9: prices[3].price.output: has more than 6 digits"),
        ("model: fast", "model: 'f*st'", "b.yaml:9: prices[3].model: may have a * at its end only"),
        ("provider: groq, model: fast", "provider: ollama, model: large", "b.yaml:9: prices[3]: is priced twice"),
        ("prices:\n", "prices: [\n", "b.yaml:6: is not YAML: did not find"),
        ("source: made up\n", "source: made up\n---\nx: 1\n", "must be the only document"),
    ],
    ids=range(11),
)
def test_a_broken_book_is_named_with_line_path_and_reason(old: str, new: str, violation: str) -> None:
    assert old in BOOK
    with pytest.raises(ConfigError) as caught:
        books.parse(BOOK.replace(old, new, 1), "b.yaml")
    assert violation in str(caught.value)


def test_in_the_starter_book_a_write_for_an_hour_costs_twice_what_input_does() -> None:
    """As Anthropic has it, the only one that sells them apart."""
    sold = [entry for entry in books.starter().book.prices if entry.price.cache_write_1h is not None]
    assert sold
    assert {entry.key: entry.price.cache_write_1h for entry in sold} == {
        entry.key: 2 * entry.price.input for entry in sold
    }


def test_the_starter_book_is_valid_dated_and_prices_what_people_use() -> None:
    starter = books.starter()
    assert date.fromisoformat(starter.book.date) <= date(2026, 11, 30)
    for provider, model in (
        ("openai", "gpt-4o"), ("anthropic", "claude-sonnet-4-5"), ("mistral", "mistral-large-2512"),
        ("groq", "llama-3.3-70b-versatile"), ("deepseek", "deepseek-chat"), ("gemini", "gemini-2.5-pro"),
    ):  # fmt: skip
        entry = starter.find(provider, model)
        assert entry is not None and 0 < entry.price.input < entry.price.output, (provider, model)
    local = starter.find("ollama", "anything:8b")
    assert local is not None and (local.price.input, local.price.output) == (0, 0)


# Configurations ------------------------------------------------------------------------------------------------------


def test_a_model_without_a_price_takes_it_from_the_book_and_only_the_price_is_part_of_the_version(
    tmp_path: Path,
) -> None:
    loaded = Loader(None, None).load(written(tmp_path))
    large = loaded.config.models[1]
    assert (large.price.input, large.price.cached_input, large.price.output) == (2_500_000, 250_000, 10_000_000)
    assert large.context_tokens is None
    same = VALID.replace("input: 2.50, output: 10", "input: 2.5, cachedInput: 0.25, output: 10")
    assert loaded.version == Loader(None, None).load_text(same).version
    assert from_canonical(canonical_json(loaded.config)).models == loaded.config.models


def test_a_models_own_price_wins_and_the_first_book_before_the_second(tmp_path: Path) -> None:
    write(tmp_path / "second.yaml", BOOK.replace('"2.5"', '"9"'))
    text = FROM_BOOK.replace("[book.yaml]", "[second.yaml, book.yaml, starter]")
    small, large = Loader(None, None).load(written(tmp_path, text)).config.models
    assert (small.price.input, large.price.input) == (150_000, 9_000_000)


def test_the_same_model_has_the_price_of_who_answers() -> None:
    assert vendor("openai-compatible", "https://api.groq.com/openai/v1") == "groq"
    assert vendor("openai-compatible", "https://generativelanguage.googleapis.com/v1beta/openai") == "gemini"
    assert vendor("openai-compatible", "http://vllm:8000/v1") == "openai-compatible"
    assert vendor("anthropic", "https://proxy.corp/v1") == "anthropic"
    groq = 'kind: openai-compatible, baseUrl: "https://api.groq.com/openai/v1"'
    text = UNPRICED.replace("kind: ollama", groq).replace("provider: local}", "provider: local, upstream: gpt-x}")
    with pytest.raises(ConfigError) as caught:
        Loader(None, None).load_text(text.replace("models:\n", "prices: {files: [starter]}\nmodels:\n"))
    assert "model 'large' has no price, and no book in prices.files has groq/gpt-x: a model without" in str(
        caught.value
    )


def test_a_book_that_cannot_be_used_is_a_violation_at_its_name(tmp_path: Path) -> None:
    file = written(tmp_path, FROM_BOOK.replace("[book.yaml]", "[book.yaml, gone.yaml]"), BOOK.replace("v1", "v2"))
    with pytest.raises(ConfigError) as caught:
        Loader(None, None).load(file)
    book, gone, price = caught.value.violations
    assert (book.line, book.path) == (8, "prices.files[0]")
    assert f"is not a price book that can be used: {tmp_path}/book.yaml:1: apiVersion: must be" in book.message
    assert gone.path == "prices.files[1]" and f"{tmp_path}/gone.yaml: cannot be read: No such file" in gone.message
    assert price.path == "models[1].price"


def test_text_without_a_directory_needs_absolute_paths(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        Loader(None, None).load_text(FROM_BOOK)
    assert caught.value.violations[0].message == "must be an absolute path: this text is in no directory"
    written(tmp_path)
    Loader(None, None).load_text(FROM_BOOK.replace("book.yaml", str(tmp_path / "book.yaml")))


def test_a_changed_book_is_a_changed_configuration(tmp_path: Path) -> None:
    world, file = World(), written(tmp_path)
    reloader = Reloader(file, world.loader, world.service)
    assert reloader.beside() == frozenset()
    asyncio.run(reloader.on_change(frozenset({Changed.CONFIG})))
    assert reloader.beside() == {tmp_path / "book.yaml"}
    first = world.running
    write(tmp_path / "book.yaml", BOOK.replace('"2.5"', '"2.6"'))
    asyncio.run(reloader.on_change(frozenset({Changed.CONFIG})))
    assert world.running != first
    assert world.service.running.config.models[1].price.input == 2_600_000
