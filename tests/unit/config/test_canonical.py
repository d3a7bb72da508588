"""The version depends on what a configuration means, and on nothing else."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.config import (
    ConfigError,
    Loader,
    canonical_json,
    config_version,
    dev_config,
    from_canonical,
    to_engine,
    to_engine_bytes,
)
from fairlead.config.quantities import format_duration, format_size
from fairlead.internal.v1 import engine_config_pb2 as pb
from tests.unit.config.samples import COMPLETE, VALID, load


def version(text: str) -> str:
    return config_version(load(text))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("name: local, kind: ollama", "kind: ollama, name: local"),
        ("routes:\n", "# a comment\nroutes:\n"),
        ("kind: ollama", "kind: ollama, baseUrl: 'http://localhost:11434'"),
        ("kind: ollama", "kind: ollama, baseUrl: 'http://localhost:11434/v1/'"),
        ("kind: ollama", "kind: ollama, dialects: [openai-chat]"),
        ("kind: ollama", "kind: ollama, timeouts: {connect: 5000ms}"),
        ("input: 2.50, ", "input: 2.5, "),
        ("input: 2.50, ", "input: '2.500', "),
        ("output: 10}", "output: 10.0}"),
        ("{model: small}", "{model: small, weight: 1}"),
        ("targets: [{model: small}]", "match: {tenant: []}, targets: [{model: small}]"),
        ("routes:\n", "limits: {requestBytes: 8192KiB}\nroutes:\n"),
        ("routes:\n", "workflows: []\napprovals: {}\nroutes:\n"),
    ],
)
def test_spelling_order_comments_and_defaults_do_not_change_the_version(old: str, new: str) -> None:
    assert old in VALID
    assert version(VALID.replace(old, new, 1)) == version(VALID)


def test_one_value_is_as_good_as_a_list_of_one() -> None:
    single = VALID.replace("targets:", "match: {tenant: acme}, targets:")
    assert version(single) == version(single.replace("tenant: acme", "tenant: [acme]"))


@pytest.mark.parametrize(
    ("old", "new"),
    [("input: 2.50", "input: 2.51"), ("fromEnv: TOKEN", "fromEnv: OTHER"), ("{model: small}", "{model: large}")],
)
def test_another_meaning_is_another_version(old: str, new: str) -> None:
    assert version(VALID.replace(old, new, 1)) != version(VALID)


def test_the_order_of_routes_is_part_of_the_meaning() -> None:
    first, second = "  - {name: a, targets: [{model: small}]}\n", "  - {name: b, targets: [{model: large}]}\n"
    assert version(VALID + first + second) != version(VALID + second + first)


def test_the_version_is_the_hash_of_the_canonical_text_and_stays_what_it_is() -> None:
    # A change of this value makes every running configuration a new version: it must be deliberate.
    assert version(VALID) == "1e1c4a9d6005354e810d4631a0a7b1e04a7a0f48e0a05afc5767a467c98673d6"
    assert version(VALID) == hashlib.sha256(canonical_json(load(VALID)).encode()).hexdigest()


def test_everything_survives_the_way_to_canonical_and_back() -> None:
    for text in (VALID, COMPLETE):
        config = load(text)
        assert from_canonical(canonical_json(config)) == config
    assert from_canonical(canonical_json(dev_config())) == dev_config()


def test_the_canonical_text_is_a_valid_configuration_file() -> None:
    config = load(COMPLETE)
    assert load(canonical_json(config)) == config
    assert load(yaml.safe_dump(json.loads(canonical_json(config)))) == config


def test_an_older_canonical_text_gets_the_defaults_of_what_it_does_not_mention() -> None:
    older = json.loads(canonical_json(load(VALID)))
    del older["limits"], older["providers"][0]["breaker"]
    assert from_canonical(json.dumps(older)) == load(VALID)


NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)
NANO = st.integers(1, 10**18)


def _name(entry: Any) -> str:
    return str(entry["name"])


def _decimal(count: int, scale: int) -> str:
    return f"{count // scale}.{count % scale:0{len(str(scale)) - 1}d}"


PRICES = st.integers(0, 10**12).map(lambda pico: _decimal(pico, 10**6))
MODELS = st.fixed_dictionaries(
    {
        "name": NAMES,
        "provider": st.just("p"),
        "price": st.fixed_dictionaries({"input": PRICES, "output": PRICES}, optional={"cachedInput": PRICES}),
        "quality": st.integers(0, 1000).map(lambda n: _decimal(n, 1000)),
    },
    optional={
        "labels": st.dictionaries(NAMES, st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=9)),
        "capabilities": st.lists(NAMES, max_size=3),
        "learnedInputBound": st.booleans(),
        "contextTokens": st.integers(4096, 10**9),
    },
)
BUDGETS = st.fixed_dictionaries(
    {
        "name": NAMES,
        "limit": st.fixed_dictionaries({"usd": NANO.map(lambda n: _decimal(n, 10**9))}, optional={"tokens": NANO}),
        "window": st.one_of(
            st.sampled_from(["lifetime", "hour", "day", "week", "month"]),
            st.integers(1000, 10**10).map(lambda n: {"rolling": format_duration(n)}),
        ),
    },
    optional={
        "scope": st.lists(st.sampled_from(["tenant", "run", "label:x"]), min_size=1, unique=True),
        "alertAt": st.lists(st.integers(1, 1000), unique=True, max_size=16),
        "onExceed": st.sampled_from(["deny", "alert", {"downgradeTo": "m"}]),
        "match": st.fixed_dictionaries({}, optional={"workload": NAMES, "model": st.lists(NAMES, max_size=3)}),
    },
)
DOCUMENTS = st.fixed_dictionaries(
    {
        "apiVersion": st.just("fairlead/v1"),
        "models": st.lists(MODELS, max_size=4, unique_by=_name),
        "budgets": st.lists(BUDGETS, max_size=4, unique_by=_name),
        "limits": st.fixed_dictionaries({"requestBytes": st.integers(1024, 256 << 20).map(format_size)}),
        "reservations": st.fixed_dictionaries({"ttl": st.integers(1000, 86_400_000).map(format_duration)}),
    }
)


class Quoted(yaml.SafeDumper):
    """Quotes every string: `1e5` is a number in YAML 1.2, which Fairlead reads, but not in 1.1, which PyYAML writes."""


Quoted.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"'))


@settings(max_examples=100, deadline=None)
@given(DOCUMENTS)
def test_any_configuration_survives_yaml_canonical_and_back(document: dict[str, object]) -> None:
    document["providers"] = [{"name": "p", "kind": "ollama"}]
    try:
        config = load(yaml.dump(document, Dumper=Quoted, allow_unicode=True))
    except ConfigError as error:
        # Only the model that a budget downgrades to may be unknown.
        assert all("unknown model 'm'" in violation.message for violation in error.violations)
        return
    canonical = canonical_json(config)
    again = from_canonical(canonical)
    assert again == config
    assert canonical_json(again) == canonical
    assert to_engine_bytes(again) == to_engine_bytes(config)


def test_the_engine_gets_integers_and_resolved_defaults() -> None:
    config = load(COMPLETE)
    engine = to_engine(config)
    assert engine.version == config_version(config)
    assert to_engine(config, "stored").version == "stored"
    openai, ollama = engine.providers
    assert (openai.kind, ollama.kind) == (pb.PROVIDER_KIND_OPENAI, pb.PROVIDER_KIND_OLLAMA)
    assert (openai.base_url, ollama.base_url) == ("https://api.openai.com/v1", "http://localhost:11434/v1")
    assert (openai.failed_attempts_cost_input, ollama.failed_attempts_cost_input) == (False, True)
    assert (openai.breaker.failure_rate_per_mille, openai.breaker.max_open_millis) == (250, 180_000)
    assert openai.timeouts.first_byte_millis == 2_000
    # The header that is a secret is not here: bytes of a configuration are stored and shown.
    assert dict(openai.headers) == {"x-team": "blue"}
    large, small = engine.models
    assert (large.upstream, small.upstream) == ("gpt-large", "small")
    assert (large.price.input_pico, large.price.cached_input_pico) == (2_500_000, 1_250_000)
    assert (large.price.cache_write_pico, large.price.output_pico) == (3_000_000, 10_000_001)
    assert (large.quality_per_mille, large.context_tokens, small.context_tokens) == (860, 128_000, 0)
    split, rest = engine.routes
    assert [(target.model, target.weight) for target in split.targets] == [("large", 70), ("small", 30)]
    assert (list(split.fallback.on), split.retry.max_millis) == (["429", "5xx", "503", "timeout"], 5_000)
    assert (split.max_p99_millis, split.timeout_millis, split.min_output_tokens) == (2_000, 90_000, 32)
    assert (list(split.match.agents), list(split.match.models)) == (["bot"], ["gpt-*"])
    assert (rest.select, list(rest.candidates), rest.HasField("fallback")) == (
        pb.SELECTION_BEST, ["large", "small"], False
    )  # fmt: skip
    month, run, rolling = engine.budgets
    assert (month.limit_nano_usd, month.HasField("limit_tokens"), month.count_cached) == (500 * 10**9, False, False)
    assert list(month.alert_at) == [50, 80]
    assert (run.limit_nano_usd, run.limit_tokens, run.limit_requests, run.on_exceed) == (1, 5, 6, pb.ON_EXCEED_ALERT)
    assert (rolling.window, rolling.rolling_millis) == (pb.WINDOW_KIND_ROLLING, 3_600_000)
    assert (rolling.on_exceed, rolling.downgrade_to, list(rolling.scope)) == (
        pb.ON_EXCEED_DOWNGRADE, "small", ["tenant"]
    )  # fmt: skip
    (fast,) = engine.rate_limits
    assert (fast.requests_per_minute, fast.burst_requests, fast.max_wait_millis) == (60, 5, 2_000)
    _, _, no, less, yes = engine.policies
    assert (no.effect, no.invariant, dict(no.match.labels)) == (pb.EFFECT_DENY, True, {"data": "secret"})
    assert (less.effect, less.max_output_tokens, list(less.allowed_models)) == (pb.EFFECT_CONSTRAIN, 10, ["small"])
    assert yes.effect == pb.EFFECT_ALLOW
    assert dict(engine.defaults) == {"model.call": "deny", "tool.call": "allow"}
    assert dict(engine.durability) == {"model.call": "power", "tool.call": "process", "workflow.step": "process"}
    limits = engine.limits
    assert (limits.request_bytes, limits.kept_answer_bytes, limits.clock_skew_millis) == (1 << 20, 7 << 10, 8_000)
    assert (limits.open_runs, limits.run_bytes, limits.payload_bytes) == (12, 13 << 20, 14 << 10)
    assert (limits.for_each_items, limits.run_depth) == (15, 16)
    assert [list(agent.queues) for agent in engine.tenants[0].agents] == [["mailer", "doc-*"]]
    assert (engine.reservations.ttl_millis, engine.reservations.charge_on_expiry) == (60_000, False)
    assert engine.audit_content == "digest"


def test_the_development_configuration_is_valid_and_its_token_is_dev() -> None:
    loader = Loader(None, {}, dev=True)
    loaded = loader.load(None)
    assert loaded.config == dev_config()
    assert dict(loader.resolve_secrets(loaded.config).values) == {"tenants/dev/agents/dev": "dev"}


def test_development_mode_adds_its_tenant_to_a_configuration() -> None:
    loader = Loader(None, {"TOKEN": "x"}, dev=True)
    config = loader.load_text(VALID).config
    assert [tenant.name for tenant in config.tenants] == ["acme", "dev"]
    assert [model.name for model in config.models] == ["small", "large"]
    with pytest.raises(ConfigError, match="FAIRLEAD_DEV_TOKEN is not set"):
        Loader(None, {"TOKEN": "x"}).load_text(canonical_json(config))
