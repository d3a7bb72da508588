"""Whatever stands in a foreign file: it becomes a valid configuration, and nothing of it is a fault of ours."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.config import Loader
from fairlead.importing import litellm, orchvynt, writing
from fairlead.importing.draft import Draft

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.decimals(-1000, 10**12, allow_nan=False).map(lambda value: Decimal(str(value))),
    st.text(max_size=12),
    st.sampled_from(
        ["os.environ/KEY", "sk-secret", "gpt-4o", "openai/gpt-4o", "azure/x", "ollama/l:8b", "claude-sonnet-4-5", "a/b",
         "https://h.example/v1", "http://u:p@h:1/x?y", "http://[", "1d", "1mo", "chat", "workflow", "session", "reject",
         "downgrade_model", "auto_approve", "latency-based-routing", "localhost:99999"]
    ),
)  # fmt: skip
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)),
    max_leaves=6,
)


def mostly(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A mapping with some of these keys, or something else altogether."""
    return st.one_of(st.fixed_dictionaries({}, optional={**fields, "other": ANYTHING}), ANYTHING)


NAMES = st.sampled_from(["a", "b", "gpt-4o", "*"])
FALLBACKS = st.lists(st.dictionaries(NAMES, st.lists(NAMES, max_size=3), max_size=2), max_size=3)
PARAMS = mostly(
    **dict.fromkeys(
        ["model", "api_base", "api_key", "api_version", "custom_llm_provider", "organization", "timeout", "rpm", "tpm",
         "stream_timeout", "weight", "max_retries", "max_parallel_requests", "input_cost_per_token",
         "output_cost_per_token"], SCALARS
    ),
    headers=st.dictionaries(st.sampled_from(["X-A", "Authorization", "", "ä"]), SCALARS, max_size=3),
)  # fmt: skip
COSTS = st.one_of(SCALARS, st.sampled_from([Decimal("1e-6"), Decimal("0.9"), Decimal("1e-30"), 1]))
INFO = mostly(
    mode=st.one_of(st.sampled_from(["chat", "embedding"]), ANYTHING), max_input_tokens=SCALARS,
    max_output_tokens=SCALARS,
    **dict.fromkeys(
        ["input_cost_per_token", "output_cost_per_token", "input_cost_per_token_above_200k_tokens",
         "cache_creation_input_token_cost", "cache_creation_input_token_cost_above_1hr", "cache_read_input_token_cost",
         "output_cost_per_reasoning_token", "search_context_cost_per_query"], COSTS
    ),
)  # fmt: skip
DEPLOYMENT = mostly(model_name=st.one_of(NAMES, SCALARS), litellm_params=PARAMS, model_info=INFO)
PROXY = st.fixed_dictionaries(
    {},
    optional={
        "model_list": st.lists(DEPLOYMENT, max_size=4),
        "router_settings": mostly(
            routing_strategy=SCALARS, fallbacks=FALLBACKS, default_fallbacks=st.lists(NAMES), num_retries=SCALARS,
            allowed_fails=SCALARS, cooldown_time=SCALARS, retry_after=SCALARS, timeout=SCALARS,
            model_group_alias=st.dictionaries(st.one_of(NAMES, st.text(max_size=3)), NAMES),
            context_window_fallbacks=FALLBACKS,
            provider_budget_config=st.dictionaries(
                st.sampled_from(["openai", "azure", "x"]), mostly(budget_limit=SCALARS, time_period=SCALARS)
            ),
        ),
        "litellm_settings": mostly(
            cache=st.booleans(), cache_params=mostly(ttl=SCALARS, type=SCALARS, mode=SCALARS), max_budget=SCALARS,
            budget_duration=SCALARS, drop_params=st.booleans(), request_timeout=SCALARS, fallbacks=FALLBACKS,
            tag_budget_config=st.dictionaries(
                st.text(max_size=200), mostly(max_budget=SCALARS, budget_duration=SCALARS), max_size=2
            ),
        ),
        "general_settings": mostly(master_key=SCALARS, max_parallel_requests=SCALARS),
        "unknown": ANYTHING,
    },
)  # fmt: skip
CONDITION = st.one_of(SCALARS, st.lists(SCALARS, max_size=3), st.lists(st.text(max_size=3), max_size=9))
TIER = mostly(provider=SCALARS, model=SCALARS, endpoint=SCALARS, weight=SCALARS)
POLICIES = st.fixed_dictionaries(
    {},
    optional={
        "fallback": mostly(
            chain=st.lists(TIER, max_size=4), triggers=mostly(on_status_code=ANYTHING, on_latency_p99_ms=SCALARS)
        ),
        "routing": mostly(
            policies=st.lists(
                mostly(
                    name=SCALARS, workload=CONDITION, user_tier=CONDITION, region=CONDITION,
                    models=st.lists(TIER, max_size=3), latency_p99_ms=SCALARS,
                ),
                max_size=3,
            )
        ),
        "budgets": mostly(
            scopes=st.lists(
                mostly(
                    name=SCALARS, scope=st.sampled_from(["workflow", "session", "user_tier"]), user_tier=CONDITION,
                    max_usd=SCALARS, max_tokens=SCALARS, on_breach=SCALARS, downgrade_target=SCALARS,
                ),
                max_size=3,
            )
        ),
        "hitl": mostly(
            gates=st.lists(
                mostly(
                    id=SCALARS, trigger=mostly(flags=st.lists(SCALARS, max_size=3)),
                    timeout=mostly(duration_minutes=SCALARS, on_timeout=SCALARS), quorum=SCALARS, audit=ANYTHING,
                ),
                max_size=3,
            )
        ),
    },
)  # fmt: skip


def is_valid(draft: Draft) -> None:
    Loader(None, None).load_text(writing.write(draft, "any file"))


@settings(max_examples=100, deadline=None)
@given(PROXY)
def test_any_proxy_configuration_becomes_a_valid_one(document: dict[str, Any]) -> None:
    is_valid(litellm.convert(document))


@settings(max_examples=100, deadline=None)
@given(st.lists(POLICIES, min_size=1, max_size=2))
def test_any_policies_become_a_valid_configuration(documents: list[dict[str, Any]]) -> None:
    is_valid(orchvynt.convert(documents))
