"""Prices of every kind of token, pinned sessions, translation, response cache: what the native core gets of them."""

from __future__ import annotations

import pytest

from fairlead.config import ConfigError, Loader
from fairlead.config.engine import to_engine
from fairlead.internal.v1 import engine_config_pb2 as pb
from tests.unit.config.samples import ENVIRONMENT, VALID, load

ROUTE = "{name: all, targets: [{model: small}]}"
PRICE = "price: {input: 0.15, output: 0.60}"
FINER = ("cache_write_1h_pico", "audio_input_pico", "audio_output_pico", "image_input_pico", "reasoning_pico")


def route(text: str) -> pb.Route:
    return to_engine(load(VALID.replace(ROUTE, text))).routes[0]


def test_what_is_priced_apart_reaches_the_core_and_what_is_not_is_left_to_it() -> None:
    more = "cacheWrite1h: 3, audioInput: 4, audioOutput: 5, imageInput: 6, reasoning: 0"
    apart = f"price: {{input: 0.15, output: 0.60, {more}}}"
    small, large = to_engine(load(VALID.replace(PRICE, apart))).models
    assert [getattr(small.price, name) for name in FINER] == [3_000_000, 4_000_000, 5_000_000, 6_000_000, 0]
    assert small.price.HasField("reasoning_pico"), "free is not the same as not said"
    assert not any(large.price.HasField(name) for name in FINER)


def test_a_route_refuses_what_cannot_be_translated_and_caches_nothing_unless_it_says_so() -> None:
    silent = route(ROUTE)
    assert (silent.drop_untranslatable, silent.cache_ttl_millis) == (False, 0)
    said = route("{name: all, targets: [{model: small}], onUntranslatable: drop, cache: {ttl: 10m}}")
    assert (said.drop_untranslatable, said.cache_ttl_millis) == (True, 600_000)


def test_the_response_cache_is_bounded_as_a_whole() -> None:
    assert to_engine(load(VALID)).limits.cache_bytes == 64 << 20
    assert to_engine(load(VALID + "limits: {cacheBytes: 1MiB}\n")).limits.cache_bytes == 1 << 20


def test_a_selection_keeps_the_model_of_a_session_or_a_run() -> None:
    for sticky in ("session", "run"):
        assert route(f"{{name: all, select: best, candidates: [small], stickyBy: {sticky}}}").sticky_by == sticky
    with pytest.raises(ConfigError) as caught:
        text = VALID.replace(ROUTE, "{name: all, select: best, candidates: [small], stickyBy: tenant}")
        Loader(None, ENVIRONMENT).load_text(text)
    assert [violation.path for violation in caught.value.violations] == ["routes[0].stickyBy"]
