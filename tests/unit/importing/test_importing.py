"""What is printed is a configuration that our own loader takes and that means the same; no secret is in it."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from fairlead.cli.main import main
from fairlead.config import Config, Loader
from fairlead.config.sections.budgets import Rolling
from fairlead.importing import litellm, orchvynt, source, writing

SAMPLES = Path(__file__).parent / "samples"
# Each line has the one before it nine times.
DOUBLING = "".join(f"c{n}: &c{n} [{', '.join([f'*c{n - 1}' if n else '*b'] * 9)}]\n" for n in range(9))
ORCHVYNT = [SAMPLES / name for name in ("routing.yaml", "fallback.yaml", "budgets.yaml", "hitl.yaml")]


def loaded(text: str) -> Config:
    return Loader(None, None).load_text(text).config


def from_litellm(text: str) -> tuple[Config, list[str], list[str]]:
    draft = litellm.convert(source.read(text.encode()))
    return loaded(writing.write(draft, "test")), draft.lost, draft.decided


def from_orchvynt(*texts: str) -> tuple[Config, list[str], list[str]]:
    draft = orchvynt.convert([source.read(text.encode()) for text in texts])
    return loaded(writing.write(draft, "test")), draft.lost, draft.decided


# LiteLLM -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def proxy() -> tuple[Config, list[str], list[str]]:
    return from_litellm((SAMPLES / "litellm.yaml").read_text())


def test_deployments_become_models_of_providers(proxy: tuple[Config, list[str], list[str]]) -> None:
    config = proxy[0]
    providers = {provider.name: provider for provider in config.providers}
    assert {name: provider.kind for name, provider in providers.items()} == {
        "openai": "openai", "azure": "azure-openai", "anthropic": "anthropic", "groq": "openai-compatible",
        "hosted_vllm": "openai-compatible", "ollama_chat": "ollama",
    }  # fmt: skip
    azure, house = providers["azure"], providers["hosted_vllm"]
    assert (azure.base_url, azure.api_version) == ("https://contoso.openai.azure.com", "2024-10-21")
    assert azure.timeouts.attempt == 90_000
    assert house.base_url == "https://vllm.corp.example:8443/v1"
    assert set(house.headers) == {"x-team", "x-gateway-key"}
    assert {provider.breaker.consecutive_failures for provider in config.providers} == {4}
    assert {provider.breaker.open for provider in config.providers} == {30_000}
    assert [(model.name, model.provider, model.upstream) for model in config.models] == [
        ("gpt-4o", "openai", None),
        ("gpt-4o-gpt-4o-eu", "azure", "gpt-4o-eu"),
        ("claude", "anthropic", "claude-sonnet-4-5"),
        ("fast", "groq", "llama-3.3-70b-versatile"),
        ("house-model", "hosted_vllm", "qwen3-coder"),
        ("local", "ollama_chat", "llama3.1:8b"),
    ]


def test_prices_are_those_of_the_file_or_of_the_starter_book_and_never_nothing(
    proxy: tuple[Config, list[str], list[str]],
) -> None:
    config, _, decided = proxy
    prices = {model.name: (model.price.input, model.price.output) for model in config.models}
    assert prices["gpt-4o-gpt-4o-eu"] == (2_750_000, 11_000_000)
    assert prices["gpt-4o"] == (2_500_000, 10_000_000)
    assert prices["local"] == (0, 0)
    assert prices["house-model"] == (1_000_000_000, 1_000_000_000)
    assert any(note.startswith("the price of house-model is unknown") for note in decided)


def test_groups_become_routes_with_their_fallbacks_and_retries(proxy: tuple[Config, list[str], list[str]]) -> None:
    routes = {route.name: route for route in proxy[0].routes}
    assert list(routes) == ["gpt-4o", "claude", "fast", "house-model", "local", "gpt-4"]
    group, alias = routes["gpt-4o"], routes["gpt-4"]
    assert [(target.model, target.weight) for target in group.targets or ()] == [
        ("gpt-4o", 480),
        ("gpt-4o-gpt-4o-eu", 120),
    ]
    assert alias.match.model == ("gpt-4",) and alias.targets == group.targets
    # The other deployment, what `fallbacks` says, then what has a larger context.
    assert group.fallback and group.fallback.chain == ("gpt-4o", "gpt-4o-gpt-4o-eu", "claude", "local", "fast")
    assert routes["fast"].fallback and routes["fast"].fallback.chain == ("local",)
    assert (group.retry.attempts, routes["claude"].retry.attempts) == (3, 2)
    assert (group.retry.backoff.initial, group.timeout, group.on_untranslatable) == (1_000, 120_000, "drop")
    assert group.cache and group.cache.ttl == 600_000


def test_budgets_and_rates_are_taken_over(proxy: tuple[Config, list[str], list[str]]) -> None:
    config = proxy[0]
    budgets = {budget.name: budget for budget in config.budgets}
    assert list(budgets) == ["all", "provider-anthropic", "tag-product-chat-bot"]
    assert (budgets["all"].limit.usd, budgets["all"].window) == (1_000_250_000_000, "month")
    assert budgets["provider-anthropic"].match.model == ("claude",)
    assert budgets["provider-anthropic"].window == Rolling(rolling="30d")  # type: ignore[arg-type]
    assert budgets["tag-product-chat-bot"].match.labels == {"tag": "product:chat-bot"}
    group, everything = config.rate_limits
    assert (group.requests_per_minute, group.tokens_per_minute) == (600, 300_000)
    assert everything.concurrent == 200


def test_what_has_no_equivalent_is_listed_with_its_path(proxy: tuple[Config, list[str], list[str]]) -> None:
    lost = {note.partition(": ")[0] for note in proxy[1]}
    assert lost == {
        "defaults",
        "general_settings.alerting",
        "general_settings.database_url",
        "guardrails",
        "litellm_settings.success_callback",
        "model_list",
        "model_list[2].litellm_params.max_tokens",
        "model_list[4].litellm_params.headers.Authorization",
        "model_list[6]",
        "model_list[7]",
        "model_list[8]",
        "router_settings.content_policy_fallbacks",
        "router_settings.model_group_alias.nobody",
        "router_settings.provider_budget_config.openai",
    }


def test_secrets_are_references_to_where_they_belong(proxy: tuple[Config, list[str], list[str]]) -> None:
    config, _, decided = proxy
    keys = {provider.name: provider.api_key for provider in config.providers}
    assert {name: key.from_env if key else None for name, key in keys.items()} == {
        "openai": "OPENAI_API_KEY", "azure": "AZURE_API_KEY", "anthropic": "ANTHROPIC_API_KEY",
        "groq": "GROQ_API_KEY", "hosted_vllm": "HOSTED_VLLM_API_KEY", "ollama_chat": None,
    }  # fmt: skip
    assert config.tenants[0].agents[0].token.from_env == "FAIRLEAD_AGENT_TOKEN"
    note = "model_list[1].litellm_params.api_key is a literal secret: it is not repeated here, put it into the variable"
    assert f"{note} AZURE_API_KEY" in decided


@pytest.mark.parametrize(
    ("router", "select"),
    [
        ("routing_strategy: latency-based-routing", "fastest"),
        ("routing_strategy: cost-based-routing", "cheapest"),
        ("routing_strategy: least-busy", None),
        ("routing_strategy: made-up", None),
    ],
)
def test_strategies_become_selections_where_there_is_one(router: str, select: str | None) -> None:
    deployment = "  - {model_name: g, litellm_params: {model: openai/gpt-4o, api_key: os.environ/K%d}}\n"
    config, lost, _ = from_litellm(f"model_list:\n{deployment % 1}{deployment % 2}router_settings: {{{router}}}\n")
    (route,) = config.routes
    assert route.select == select
    assert bool(route.candidates) is (select is not None)
    assert any("routing_strategy" in note for note in lost) is (select is None)


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "model_list: [1, null, {}, {model_name: x}, {model_name: [], litellm_params: {model: 7}}]",
        "model_list: {a: b}\nrouter_settings: []\nlitellm_settings: x\ngeneral_settings: 3\n",
        "model_list: [{model_name: a, litellm_params: {model: azure/x}}]",
        "model_list: [{model_name: 'ä ö', litellm_params: {model: openai/gpt-4o, rpm: -1, timeout: .inf, weight: x}}]",
        "litellm_settings: {max_budget: -1, budget_duration: forever}",
        "litellm_settings: {max_budget: 0.0000000001}",
        "router_settings: {fallbacks: [{a: [b]}, 7], provider_budget_config: {x: 1}}",
        "model_list: [{model_name: a, litellm_params: {model: openai/m, api_base: 'http://[::1'}}]",
        "model_list: [{model_name: a, litellm_params: {model: openai/m, api_base: os.environ/B, api_key: sk}}]",
        "model_list: [{model_name: a, litellm_params: {model: x/y, api_base: 'http://h/v1', input_cost_per_token: 1}}]",
    ],
    ids=range(11),
)
def test_odd_files_become_valid_configurations_as_well(text: str) -> None:
    from_litellm(text)


# OrchVynt ------------------------------------------------------------------------------------------------------------


def test_the_shapes_of_its_pages_become_one_configuration() -> None:
    config, lost, decided = from_orchvynt(*(path.read_text() for path in ORCHVYNT))
    evaluation, rest = config.routes
    assert [(target.model, target.weight) for target in evaluation.targets or ()] == [
        ("gpt-4o", 30),
        ("claude-sonnet-4-5", 70),
    ]
    assert (evaluation.match.workload, evaluation.max_p99) == (("synthesis",), 8_000)
    assert rest.match.workload == () and rest.fallback
    assert rest.fallback.chain == ("claude-sonnet-4-5", "mistral-7b")
    assert rest.fallback.on == ("429", "500", "503", "timeout", "connect", "cut", "garbled")
    assert rest.max_p99 == 9_000
    assert {provider.name: provider.base_url for provider in config.providers} == {
        "openai": "https://api.openai.com/v1",
        "anthropic": "https://api.anthropic.com/v1",
        "ollama": "http://local-gpu:11434/v1",
    }
    run, session = config.budgets
    assert (run.scope, run.limit.usd, run.on_exceed) == (("run",), 2_500_000_000, "deny")
    assert (session.scope, session.limit.tokens, session.match.labels) == (("session",), 10_000, {"tier": "free"})
    assert not isinstance(session.on_exceed, str) and session.on_exceed.downgrade_to == "gpt-4o-mini"
    (tier,), (policy,) = config.approvals.tiers, config.policies
    assert (tier.name, tier.expires_after, tier.on_expire) == ("financial-decision-review", 3_600_000, "deny")
    assert (policy.on, policy.match.labels) == ("tool.call", {"flag": "financial-action"})
    assert {note.partition(": ")[0] for note in lost} == {
        "budgets.scopes[2]",
        "fallback.triggers.on_status_code",
        "hitl.gates[0].notify.slack_channel",
        "hitl.gates[0].notify.webhook",
        "hitl.gates[0].trigger.confidence_below",
        # Who would take its calls whatever their sensitivity is no equivalent.
        "routing.policies[1]",
        "routing.policies[1].content_sensitivity",
    }
    assert any("tool calls that no rule allows are denied" in note for note in decided)


def test_what_nobody_decided_does_not_happen_whatever_the_gate_said() -> None:
    gate = "hitl: {gates: [{id: g, trigger: {flags: [x]}, timeout: {duration_minutes: 0.5, on_timeout: auto_approve}}]}"
    config, lost, _ = from_orchvynt(gate)
    assert config.approvals.tiers[0].on_expire == "deny"
    assert any(note.startswith("hitl.gates[0].timeout.on_timeout: auto_approve") for note in lost)


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "fallback: {chain: [{provider: cohere, model: x}, {model: y}, 3], triggers: {on_status_code: 429}}",
        "budgets: {scopes: [{scope: session}, {scope: user_tier, max_usd: 1}, {scope: galaxy, max_usd: 1}, null]}",
        "budgets: {scopes: [{scope: session, max_usd: 1, on_breach: downgrade_model, downgrade_target: nobody}]}",
        "hitl: {gates: [{}, {trigger: {flags: [a, b]}}]}",
        "routing: {policies: [{workload: x}, {models: [gpt-4o]}], strategy: y}\nother: 1\n",
    ],
    ids=range(6),
)
def test_odd_policies_become_valid_configurations_as_well(text: str) -> None:
    from_orchvynt(text)


# The command ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("product", ["litellm", "orchvynt"])
def test_no_secret_of_the_input_is_ever_printed(
    product: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [SAMPLES / "litellm.yaml"] if product == "litellm" else ORCHVYNT
    output = tmp_path / "fairlead.yaml"
    assert main(["import", product, *map(str, files)]) == 0
    assert main(["import", product, *map(str, files), "--output", str(output)]) == 0
    printed = capsys.readouterr()
    assert "CANARY" in "".join(path.read_text() for path in files)
    for text in (printed.out, printed.err, output.read_text()):
        assert "CANARY" not in text
    assert printed.out == output.read_text()


def test_what_has_no_equivalent_is_on_stderr_and_at_the_top_of_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "litellm", str(SAMPLES / "litellm.yaml")]) == 0
    printed = capsys.readouterr()
    assert "no equivalent: general_settings.database_url: no database is needed\n" in printed.err
    head, _, _ = printed.out.partition("apiVersion:")
    assert head.startswith("# Made by `fairlead import` from litellm.yaml. Read it before you use it.\n")
    assert "#   - general_settings.database_url: no database is needed\n" in head


def test_a_note_cannot_leave_its_comment(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    text = b'"x\\napiVersion: evil": 1\nrouter_settings: {"y\\nlisten: {}": 2}\n'
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))
    assert main(["import", "litellm", "-"]) == 0
    loaded(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "cannot be read: No such file"),
        ("a: [", "f.yaml: line 1: is not YAML"),
        ("a: !!python/object/apply:os.system [id]", "f.yaml: line 1: is not YAML: could not determine a constructor"),
        ("[1]", "f.yaml: must be a mapping of sections"),
        (f"a: &b [x, x]\n{DOUBLING}", "aliases are written"),
        ("x" * ((1 << 20) + 1), "f.yaml: is larger than"),
    ],
    ids=range(6),
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_said_and_never_quoted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, said: str
) -> None:
    file = tmp_path / "f.yaml"
    if text is not None:
        file.write_text(text)
    assert main(["import", "litellm", str(file)]) == 2
    printed = capsys.readouterr()
    assert said in printed.err and printed.out == ""
