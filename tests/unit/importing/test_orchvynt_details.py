"""What OrchVynt's files say in passing: conditions are kept or their route is not, and every key that is not read is
named."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from fairlead.config import Config, Loader
from fairlead.importing import orchvynt, source, writing


def converted(**sections: Any) -> tuple[Config, list[str], list[str]]:
    draft = orchvynt.convert([source.read(yaml.safe_dump(sections, sort_keys=False).encode())])
    return Loader(None, None).load_text(writing.write(draft, "test")).config, draft.lost, draft.decided


def routing(**policy: Any) -> tuple[Config, list[str], list[str]]:
    return converted(routing={"policies": [{"model": "gpt-4o", **policy}]})


def paths(lost: list[str]) -> set[str]:
    return {note.partition(": ")[0] for note in lost}


# Routes --------------------------------------------------------------------------------------------------------------


def test_lists_of_conditions_are_kept() -> None:
    config, lost, _ = routing(workload=["a", "b"], user_tier=["free", "trial"], region="eu")
    assert lost == []
    assert [(route.match.workload, route.match.labels) for route in config.routes] == [
        (("a", "b"), {"tier": "free", "region": "eu"}),
        (("a", "b"), {"tier": "trial", "region": "eu"}),
    ]


@pytest.mark.parametrize(
    "condition",
    [
        {"user_tier": {"in": ["free"]}}, {"user_tier": []}, {"user_tier": [1, 2]}, {"user_tier": "x" * 129},
        {"workload": {"not": "x"}}, {"workload": []}, {"workload": "a*b"}, {"workload": True}, {"region": 7},
        {"region": [f"r{number}" for number in range(17)]}, {"match": {"team": "x"}}, {"when": "x > 1"},
        {"content_sensitivity": "low"}, {"enabled": False},
    ],
    ids=str,
)  # fmt: skip
def test_a_route_never_takes_calls_that_its_policy_does_not(condition: dict[str, Any]) -> None:
    config, lost, _ = routing(**condition)
    assert config.routes == ()
    assert paths(lost) == {"routing.policies[0]", f"routing.policies[0].{next(iter(condition))}"}


def test_shares_keep_their_ratio() -> None:
    models = [{"model": "gpt-4o", "weight": 0.7}, {"model": "claude-sonnet-4-5", "weight": 0.3}]
    config, lost, _ = converted(routing={"rules": [{"workload": "w", "models": models}]})
    assert [target.weight for target in config.routes[0].targets or ()] == [70, 30]
    assert lost == []


def test_a_share_that_is_no_number_is_said_and_the_same_model_twice_is_one_target() -> None:
    models: list[Any] = [{"model": "gpt-4o", "weight": "most"}, {"model": "gpt-4o", "weight": 2}, "claude-sonnet-4-5"]
    config, lost, _ = routing(models=models)
    assert [(target.model, target.weight) for target in config.routes[0].targets or ()] == [
        ("gpt-4o", 3), ("claude-sonnet-4-5", 1),
    ]  # fmt: skip
    assert paths(lost) == {"routing.policies[0].models[0].weight"}


def test_a_chain_is_as_long_as_ours_may_be() -> None:
    chain = [{"model": f"gpt-{number}"} for number in range(20)]
    config, lost, _ = converted(fallback={"chain": chain})
    assert config.routes[0].fallback and len(config.routes[0].fallback.chain) == 16
    assert paths(lost) == {"fallback.chain"}


def test_keys_that_are_not_read_are_named_at_every_level() -> None:
    _, lost, _ = converted(
        routing={"policies": [{"model": {"model": "gpt-4o", "temperature": 0}, "latency_p99_ms": "fast"}], "mode": "x"},
        fallback={"chain": [{"model": "gpt-4o", "max_retries": 2}], "triggers": {"on_timeout": 1}, "cooldown": 3},
        budgets={"scopes": [], "currency": "EUR"},
        hitl={"gates": [], "reviewers": ["a"]},
    )
    assert paths(lost) == {
        "routing.mode", "routing.policies[0].models[0].temperature", "routing.policies[0].latency_p99_ms",
        "fallback.cooldown", "fallback.chain[0].max_retries", "fallback.triggers.on_timeout", "budgets.currency",
        "hitl.reviewers",
    }  # fmt: skip
    _, lost, _ = converted(hitl=["x"], budgets="none")
    assert paths(lost) == {"hitl", "budgets"}


# Budgets -------------------------------------------------------------------------------------------------------------


def test_what_a_budget_says_and_nobody_reads_is_named() -> None:
    scope = {"scope": "session", "max_usd": 1, "max_tokens": "many", "period": "daily", "alert_at": 0.8,
             "workflow_id": "w"}  # fmt: skip
    config, lost, _ = converted(budgets={"scopes": [scope]})
    assert (config.budgets[0].limit.usd, config.budgets[0].limit.tokens) == (1_000_000_000, None)
    assert paths(lost) == {f"budgets.scopes[0].{key}" for key in ("max_tokens", "period", "alert_at", "workflow_id")}


def test_each_tier_of_a_list_has_its_budget() -> None:
    config, lost, decided = converted(
        budgets={"scopes": [{"name": "b", "scope": "session", "user_tier": ["free", "trial"], "max_usd": 1}]}
    )
    assert [(budget.name, budget.match.labels) for budget in config.budgets] == [
        ("b", {"tier": "free"}), ("b-2", {"tier": "trial"})
    ]  # fmt: skip
    assert lost == []
    assert "budgets.scopes[0]: each tier has a budget of its own, of the same size" in decided


def test_a_budget_of_tiers_that_cannot_be_told_is_left_out() -> None:
    config, lost, _ = converted(budgets={"scopes": [{"scope": "session", "user_tier": {"not": "x"}, "max_usd": 1}]})
    assert config.budgets == ()
    assert paths(lost) == {"budgets.scopes[0]"}


# Gates ---------------------------------------------------------------------------------------------------------------


def gate(**settings: Any) -> tuple[Config, list[str], list[str]]:
    return converted(hitl={"gates": [{"id": "g", "trigger": {"flags": ["x"]}, **settings}]})


def test_a_quorum_is_a_number_of_reviewers() -> None:
    config, lost, _ = gate(quorum=2)
    (quorum,) = config.approvals.tiers[0].require
    assert (quorum.role, quorum.count) == ("reviewer", 2)
    assert [operator.token.from_env for operator in config.operators] == [
        "FAIRLEAD_REVIEWER_TOKEN", "FAIRLEAD_REVIEWER_TOKEN_2"
    ]  # fmt: skip
    assert lost == []


@pytest.mark.parametrize("quorum", [0, -1, 1.5, "all", {"finance": 2}, 17])
def test_a_quorum_that_cannot_be_told_leaves_the_call_denied(quorum: Any) -> None:
    config, lost, _ = gate(quorum=quorum)
    assert config.policies == () and config.approvals.tiers == ()
    assert paths(lost) == {"hitl.gates[0]"}


def test_what_a_gate_says_and_nobody_reads_is_named() -> None:
    _, lost, _ = gate(
        approvers=["a"], on_reject="retry", trigger={"flags": ["x", 7], "rule": "amount > 1"},
        audit={"require_reason": False, "log": False, "sink": "s3"},
        timeout={"duration_minutes": "long", "on_timeout": "escalate", "escalate_to": "cto"},
    )  # fmt: skip
    assert paths(lost) == {
        f"hitl.gates[0].{key}"
        for key in (
            "approvers", "on_reject", "trigger.flags", "trigger.rule", "audit.require_reason", "audit.log",
            "audit.sink", "timeout.duration_minutes", "timeout.on_timeout", "timeout.escalate_to",
        )
    }  # fmt: skip
