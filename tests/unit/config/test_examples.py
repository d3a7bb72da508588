"""The examples and the design's own sample are what this version takes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fairlead.config import Loader
from fairlead.config.notices import notices

ROOT = Path(__file__).parents[3]
QUICKSTART = ROOT / "examples/quickstart/fairlead.yaml"


def test_the_quickstart_is_valid_and_says_what_it_promises() -> None:
    environment = {"ACME_SUPPORT_TOKEN": "a", "ACME_BATCH_TOKEN": "b"}
    config = Loader(None, environment).load(QUICKSTART).config
    assert [tenant.name for tenant in config.tenants] == ["acme"]
    assert {provider.base_url for provider in config.providers} == {
        "http://127.0.0.1:7411/v1",
        "http://127.0.0.1:7412/v1",
        "http://127.0.0.1:7413/v1",
    }
    assert [provider.kind for provider in config.providers] == ["openai", "anthropic", "ollama"]
    routes = {route.name: route for route in config.routes}
    assert [target.weight for target in routes["classification"].targets or ()] == [70, 30]
    assert routes["chat"].fallback is not None and routes["chat"].fallback.chain == ("dev-small", "dev-local")
    assert [name for name, route in routes.items() if route.cache] == ["faq"]
    assert [budget.name for budget in config.budgets] == ["tenant-month", "run"]
    assert any(policy.effect == "deny" and policy.match.labels == {"data": "secret"} for policy in config.policies)


def test_the_notifications_are_valid() -> None:
    environment = {name: name for name in ("ACME_SUPPORT_TOKEN", "ASHA_TOKEN", "BEN_TOKEN")}
    environment["DESK_SECRET"] = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    config = Loader(None, environment).load(ROOT / "examples/notifications/fairlead.yaml").config
    assert [receiver.name for receiver in config.notifications] == ["desk"]
    assert notices(config) == []


def test_the_quickstart_s_directory_adds_tools_and_people() -> None:
    environment = {name: name for name in ("ACME_SUPPORT_TOKEN", "ACME_BATCH_TOKEN", "ASHA_TOKEN", "BEN_TOKEN")}
    config = Loader(None, environment).load(QUICKSTART.parent).config
    assert [operator.name for operator in config.operators] == ["asha", "ben"]
    assert "payments.refund" in [tool.name for tool in config.tools]
    assert {policy.on for policy in config.policies} == {"model.call", "tool.call"}


def test_the_chain_goes_from_openai_over_anthropic_to_the_machine_itself() -> None:
    environment = {"OPENAI_API_KEY": "a", "ANTHROPIC_API_KEY": "b", "AGENT_TOKEN": "c"}
    config = Loader(None, environment).load(ROOT / "examples/chain/fairlead.yaml").config
    providers = {provider.name: provider for provider in config.providers}
    kinds = {model.name: providers[model.provider].kind for model in config.models}
    confidential, chain = config.routes
    assert chain.targets is not None and chain.fallback is not None
    models = [*(target.model for target in chain.targets), *chain.fallback.chain]
    assert [kinds[model] for model in models] == ["openai", "anthropic", "ollama"]
    assert {provider.base_url for provider in config.providers} == {
        "https://api.openai.com/v1",
        "https://api.anthropic.com/v1",
        "http://localhost:11434/v1",
    }
    # What is confidential stays at home.
    assert confidential.fallback is None
    assert [kinds[target.model] for target in confidential.targets or ()] == ["ollama"]


PEOPLE = ("ASHA_TOKEN", "BEN_TOKEN", "CLEO_TOKEN")
EXAMPLES = {
    "loan": ("loan-approval", ("LOAN_DESK_TOKEN", "DOC_PARSER_TOKEN", "ELIGIBILITY_TOKEN", "MAILER_TOKEN")),
    "refund": ("refund", ("SUPPORT_DESK_TOKEN", "REFUND_DECIDER_TOKEN", "REFUND_PAYER_TOKEN", "MAILER_TOKEN")),
}


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_workflows_have_agents_for_every_queue_and_people_for_every_tier(example: str) -> None:
    name, agents = EXAMPLES[example]
    loader = Loader(None, {variable: variable for variable in (*agents, *PEOPLE)})
    loaded = loader.load(ROOT / "examples" / example / "fairlead.yaml")
    # The directory is the same configuration: the workflow's file is no part of it by itself.
    assert loader.load(ROOT / "examples" / example).version == loaded.version
    assert notices(loaded.config) == []
    (workflow,) = loaded.config.workflows
    assert workflow.name == name
    (tenant,) = loaded.config.tenants
    assert workflow.tenants == (tenant.name,)
    leased = {queue for agent in tenant.agents for queue in agent.queues or ()}
    needed = {step.agent for step in workflow.steps if step.agent} | {
        step.compensate for step in workflow.steps if step.compensate
    }
    assert needed <= leased
    # One of the agents starts runs and can do no step; no two agents can do the same.
    assert [agent.queues for agent in tenant.agents if agent.queues and not needed & set(agent.queues)] == [
        (tenant.agents[0].name,)
    ]
    assert sum(len(agent.queues or ()) for agent in tenant.agents) == len(leased)


def test_the_loan_has_five_steps_and_two_of_them_side_by_side() -> None:
    loaded = Loader(None, None).load(ROOT / "examples/loan/fairlead.yaml")
    steps = {step.id: (step.kind, step.needs) for step in loaded.config.workflows[0].steps}
    assert steps == {
        "parse": ("agent", ()),
        "eligibility": ("agent", ("parse",)),
        "risk": ("model", ("parse",)),
        "review": ("approval", ("eligibility", "risk")),
        "offer": ("agent", ("review",)),
    }


def test_money_moves_behind_the_gate_and_under_the_order_s_key() -> None:
    loaded = Loader(None, None).load(ROOT / "examples/refund/fairlead.yaml")
    steps = {step.id: step for step in loaded.config.workflows[0].steps}
    assert [step.effect for step in steps.values()] == ["read", None, "side_effect", "side_effect"]
    assert steps["refund"].needs == ("gate",)
    assert steps["refund"].idempotency_key == "refund/${input.order_id}"
    assert steps["email"].idempotency_key == "refund-email/${input.order_id}"
    # The step's gate is not the only one: the tool has rules of its own.
    assert {policy.match.tool for policy in loaded.config.policies} == {("payments.refund",)}


@pytest.mark.parametrize("document", ["docs/exporters.md", "docs/models.md", "docs/prices.md", "docs/tools.md"])
def test_the_configurations_that_documents_show_are_valid(document: str) -> None:
    shown = re.findall(r"^```yaml\n(.*?)^```$", (ROOT / document).read_text(), re.MULTILINE | re.DOTALL)
    whole = [text for text in shown if text.startswith("apiVersion: fairlead/v1\n")]
    assert whole
    for text in whole:
        Loader(None, None).load_text(text)


def test_the_rules_that_are_shown_as_a_part_of_a_configuration_are_valid() -> None:
    text = (ROOT / "docs/output-rules.md").read_text()
    shown = re.findall(r"^```yaml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert shown
    for part in shown:
        config = Loader(None, None).load_text(f"apiVersion: fairlead/v1\n{part}").config
        assert config.policies and not notices(config)
