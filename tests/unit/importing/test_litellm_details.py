"""What a configuration of LiteLLM says in passing: it is kept, or it is said that it is not."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from fairlead.config import Config, Loader
from fairlead.importing import litellm, source, writing


def converted(*deployments: dict[str, Any], **sections: Any) -> tuple[Config, list[str], list[str], str]:
    """The configuration, what was lost, what was decided, and the text."""
    document = {"model_list": list(deployments), **sections}
    draft = litellm.convert(source.read(yaml.safe_dump(document).encode()))
    text = writing.write(draft, "test")
    return Loader(None, None).load_text(text).config, draft.lost, draft.decided, text


def deployment(group: str = "g", model: str = "openai/gpt-4o", info: Any = None, **params: Any) -> dict[str, Any]:
    return {
        "model_name": group,
        "litellm_params": {"model": model, "api_key": f"os.environ/{group.upper()}", **params},
        **({"model_info": info} if info else {}),
    }


# Secrets -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["X-Team", "X-Signature", "X-Tenant", "cf-access-client-id", "x-portkey-config", "User-Agent", "X-Pass"]
)
@pytest.mark.parametrize("value", ["hunter2", "CANARY", "a b", 12345, True])
def test_a_header_may_hold_a_secret_whatever_its_name_is(name: str, value: Any) -> None:
    config, _, decided, text = converted(deployment(extra_headers={name: value}))
    (reference,) = config.providers[0].headers.values()
    assert not isinstance(reference, str)
    assert reference.from_env and reference.from_env.startswith("OPENAI_")
    assert str(value) not in text.partition("apiVersion")[2].replace("true", "")
    assert any(f"headers.{name} is a literal secret" in note for note in decided)


def test_a_header_that_holds_a_version_is_kept() -> None:
    headers = {"anthropic-version": "2023-06-01", "Anthropic-Beta": "a-2024-07-31,b-1", "OpenAI-Beta": "assistants=v2"}
    config, *_ = converted(deployment(headers=headers))
    assert sorted(config.providers[0].headers.values(), key=str) == sorted(headers.values())


def test_different_secrets_are_different_variables() -> None:
    config, _, decided, _ = converted(
        deployment("a", api_key="sk-1"),
        deployment("b", api_key="sk-2"),
        deployment("c", api_key="sk-1"),
        deployment("d", api_key="os.environ/OPENAI_API_KEY_2"),
        deployment("e", api_key=None),
    )
    keys = {model.name: provider.api_key for model in config.models for provider in config.providers
            if provider.name == model.provider}  # fmt: skip
    variables = {name: key.from_env for name, key in keys.items() if key is not None}
    # What the environment has under a name stays its own: `d` says so, and `e` by saying nothing.
    assert (variables["d"], variables["e"]) == ("OPENAI_API_KEY_2", "OPENAI_API_KEY")
    assert variables["a"] == variables["c"]
    assert len(set(variables.values())) == 4
    note = "model_list[1].litellm_params.api_key is a literal secret: it is not repeated here, put it into the variable"
    assert f"{note} {variables['b']}" in decided


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("vllm.corp.example/v1", "https://vllm.corp.example/v1"),
        ("localhost:8000/v1", "http://localhost:8000/v1"),
        ("127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("//h.example/v1", "https://h.example/v1"),
        ("unix:///run/vllm", "https://address-is-not-a-url.invalid/v1"),
        ("http://", "https://address-is-not-a-url.invalid/v1"),
    ],
)
def test_an_address_without_a_scheme_gets_one_and_what_is_none_a_placeholder(base: str, url: str) -> None:
    config, _, decided, _ = converted(deployment(model="hosted_vllm/m", api_base=base))
    assert config.providers[0].base_url == url
    assert any("api_base" in note for note in decided)


# Limits --------------------------------------------------------------------------------------------------------------


def test_a_limit_that_the_group_as_a_whole_has_not_is_said() -> None:
    config, lost, decided, _ = converted(
        deployment(rpm=100, tpm=1000), deployment(model="azure/x", api_base="https://a.example", tpm=500)
    )
    (limit,) = config.rate_limits
    assert (limit.requests_per_minute, limit.tokens_per_minute) == (None, 1500)
    why = "another deployment of g has none, so that the group has no limit either"
    assert f"model_list[0].litellm_params.rpm: {why}" in lost
    assert "calls of g are spread by rpm; a deployment without one counts 1" in decided


def test_limits_hold_under_every_name_that_can_be_asked_for() -> None:
    other = deployment(model="azure/x", api_base="https://a.example", rpm=50)
    config, lost, *_ = converted(
        deployment(rpm=100), other, deployment("h"),
        router_settings={
            "model_group_alias": {"nick": "g", "*": "g", "hidden": {"model": "g", "hidden": True}},
            "provider_budget_config": {"openai": {"budget_limit": 1, "time_period": "1d"}},
            "fallbacks": [{"h": ["g"]}],
        },
    )  # fmt: skip
    (limit,) = config.rate_limits
    assert limit.match.model == ("g", "hidden", "nick", "g-x")
    assert config.budgets[0].match.model == ("h",)
    assert (
        "model_list: the rate limits of g: they count what is asked of it, and not calls that come to it as a fallback "
        "of h"
    ) in lost
    assert "router_settings.model_group_alias.*: is not a name that a call can ask for" in lost


@pytest.mark.parametrize(
    ("shares", "weights"),
    [
        ([0.7, 0.3], [70, 30]),
        ([0.125, 0.875], [125, 875]),
        ([3, 1], [3, 1]),
        ([1, None], [1, 1]),
        ([4_000_000, 1_000_000], [1_000_000, 250_000]),
        ([0, 0], [1, 1]),
        ([1, 0.0000001], [1_000_000, 1]),
    ],
)
def test_shares_keep_their_ratio(shares: list[Any], weights: list[int]) -> None:
    first, second = shares
    config, *_ = converted(deployment(weight=first), deployment(model="groq/l", weight=second))
    assert [target.weight for target in config.routes[0].targets or ()] == weights


def test_a_share_of_zero_is_called_only_when_the_others_fail() -> None:
    config, *_ = converted(deployment(weight=1), deployment(model="groq/l", weight=0))
    (route,) = config.routes
    assert [target.model for target in route.targets or ()] == ["g"]
    assert route.fallback and "g-l" in route.fallback.chain


@pytest.mark.parametrize(
    ("params", "ttl", "said"),
    [
        ({"mode": "default_off", "ttl": 60}, None, "litellm_settings.cache_params.mode: calls cannot ask"),
        ({"mode": "default_on", "ttl": 60}, 60_000, None),
        ({"ttl": 60, "namespace": "n", "host": "h"}, 60_000, "litellm_settings.cache_params.namespace: is not known"),
    ],
)
def test_a_cache_is_there_for_all_calls_or_not_at_all(params: dict[str, Any], ttl: int | None, said: str) -> None:
    config, lost, *_ = converted(deployment(), litellm_settings={"cache": True, "cache_params": params})
    cache = config.routes[0].cache
    assert (cache.ttl if cache else None) == ttl
    found = [note for note in lost if "cache_params" in note]
    assert (said is None and not found) or (len(found) == 1 and found[0].startswith(said))


# Prices and what is known about models -------------------------------------------------------------------------------


def prices(config: Config) -> dict[str, Any]:
    return config.models[0].price.model_dump(mode="json", by_alias=True, exclude_none=True)


def test_every_price_of_the_file_counts_and_the_dearest_of_its_tiers() -> None:
    info = {
        "input_cost_per_token": 3e-06, "input_cost_per_token_above_200k_tokens": 6e-06,
        "output_cost_per_token": 1.5e-05,
        "cache_creation_input_token_cost_above_1hr": 6e-06, "output_cost_per_reasoning_token": 2e-05,
        "input_cost_per_audio_token": 1e-05,
    }  # fmt: skip
    config, _, decided, _ = converted(deployment(info=info, output_cost_per_token=2e-05))
    assert prices(config) == {
        "input": "6", "cacheWrite1h": "12", "audioInput": "10", "output": "20", "reasoning": "20"
    }  # fmt: skip
    assert "the price of g: costs more above 200k tokens: the dearest price is used for every call" in decided


def test_a_price_that_the_file_has_in_part_is_kept_in_part() -> None:
    known, _, decided, _ = converted(deployment(input_cost_per_token=5e-06))
    assert (prices(known)["input"], prices(known)["output"]) == ("5", "10")
    assert "the price of g is not complete: the rest is from the starter book, check it" in decided
    unknown, *_ = converted(deployment(model="openai/ft:x", input_cost_per_token=5e-06))
    assert prices(unknown) == {"input": "5", "output": "1000"}


def test_a_price_that_is_none_is_said() -> None:
    config, lost, *_ = converted(deployment(input_cost_per_token=-1, output_cost_per_token="dear"))
    assert config.prices.files == ("starter",)
    assert {note.partition(": ")[0] for note in lost} == {
        "model_list[0].input_cost_per_token", "model_list[0].output_cost_per_token"
    }  # fmt: skip


def test_what_is_not_known_about_a_model_is_said_with_the_right_reason() -> None:
    info = {"supports_vision": True, "supports_tool_choice": False, "supports_pdf_input": True, "access_groups": ["x"]}
    _, lost, *_ = converted(deployment(info=info, max_budget=1, temperature=0.1, tags=["x"]))
    assert lost == [
        "model_list[0].litellm_params.max_budget: a deployment has no budget of its own: write one that matches its "
        "models",
        "model_list[0].litellm_params.tags: write a route that matches labels",
        "model_list[0].litellm_params.temperature: parameters of a request are the caller's",
        "model_list[0].model_info.access_groups: is not known here",
        "model_list[0].model_info.supports_pdf_input: is not known here",
    ]
