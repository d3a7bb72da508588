"""Tools, approval tiers and rules on tool calls: what a configuration may say, and what the native core gets of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fairlead.config import ConfigError, Loader, canonical_json, from_canonical
from fairlead.config.engine import to_engine
from fairlead.internal.v1 import engine_config_pb2 as pb
from fairlead.v1 import tool_pb2
from tests.unit.config.samples import ENVIRONMENT, VALID, load

OPERATORS = """\
operators:
  - {name: asha, token: {fromEnv: ASHA}, roles: [finance, legal]}
  - {name: ben, token: {fromEnv: BEN}, roles: [finance]}
"""
TIER = "approvals: {tiers: [{name: high, require: [{role: finance, count: 2}]}]}\n"
ENVIRON = {**ENVIRONMENT, "ASHA": "asha-token", "BEN": "ben-token"}


def engine(text: str) -> pb.EngineConfig:
    return to_engine(load(VALID + text))


def rule(effect: str, on: str = "tool.call", more: str = "") -> str:
    return f"policies: [{{name: p, on: {on}, {more}effect: {effect}}}]\n"


def violations(text: str) -> list[tuple[str, str]]:
    with pytest.raises(ConfigError) as caught:
        Loader(None, ENVIRON).load_text(VALID + text)
    return [(violation.path, violation.message) for violation in caught.value.violations]


def test_the_catalogue_reaches_the_core_in_its_order() -> None:
    tools = engine(
        """\
tools:
  - {name: payments.refund, effect: side_effect, risk: high, labels: [can_egress]}
  - {name: "payments.*", effect: write, risk: medium}
  - {name: "*", effect: read, risk: destructive, arguments: {schema: {type: object, maxProperties: 3}}}
"""
    ).tools
    assert [(tool.name, tool.effect, tool.risk, list(tool.session_labels)) for tool in tools] == [
        ("payments.refund", tool_pb2.TOOL_EFFECT_SIDE_EFFECT, tool_pb2.TOOL_RISK_HIGH, ["can_egress"]),
        ("payments.*", tool_pb2.TOOL_EFFECT_WRITE, tool_pb2.TOOL_RISK_MEDIUM, []),
        ("*", tool_pb2.TOOL_EFFECT_READ, tool_pb2.TOOL_RISK_DESTRUCTIVE, []),
    ]
    assert [tool.argument_schema for tool in tools] == ["", "", '{"maxProperties":3,"type":"object"}']


def test_a_schema_is_the_same_json_however_its_numbers_are_written() -> None:
    config = load(
        VALID + "tools: [{name: t, effect: read, risk: low, arguments: {schema: {minimum: 0.10, enum: [1, x, true]}}}]"
    )
    (tool,) = to_engine(config).tools
    assert json.loads(tool.argument_schema) == {"minimum": 0.1, "enum": [1, "x", True]}
    assert to_engine(from_canonical(canonical_json(config))).tools[0] == tool


def test_argument_constraints_reach_the_core() -> None:
    (compiled,) = engine(
        rule(
            "{constrain: {arguments: [{pointer: /amount, maximum: 100}, {pointer: /items/*/price, minimum: -0.5}, "
            "{pointer: /a~1b, redact: true}, {pointer: /note, remove: true}]}}"
        )
    ).policies
    assert compiled.effect == pb.EFFECT_CONSTRAIN
    assert [(a.pointer, a.WhichOneof("change"), _change(a)) for a in compiled.arguments] == [
        ("/amount", "maximum", 100.0),
        ("/items/*/price", "minimum", -0.5),
        ("/a~1b", "redact", True),
        ("/note", "remove", True),
    ]


def _change(argument: pb.ArgumentConstraint) -> Any:
    return getattr(argument, argument.WhichOneof("change") or "pointer")


def test_a_rule_that_asks_people_names_its_tier_and_the_core_knows_who_they_are() -> None:
    config = engine(OPERATORS + TIER + rule("{requireApproval: high}", more='match: {tool: ["a.*", b]}, '))
    (compiled,) = config.policies
    assert (compiled.effect, compiled.tier, list(compiled.match.tools)) == (
        pb.EFFECT_REQUIRE_APPROVAL,
        "high",
        ["a.*", "b"],
    )
    (tier,) = config.approval_tiers
    assert (tier.expires_after_millis, [(q.role, q.count) for q in tier.require]) == (72 * 3_600_000, [("finance", 2)])
    assert [(o.name, list(o.roles)) for o in config.operators] == [("asha", ["finance", "legal"]), ("ben", ["finance"])]


def test_people_may_be_asked_about_model_calls_and_budgets() -> None:
    config = engine(
        OPERATORS
        + TIER
        + rule("{requireApproval: high}", "model.call")
        + "\nbudgets: [{name: b, limit: {tokens: 1}, onExceed: {requireApproval: high}}]\n"
    )
    (compiled,), (budget,) = config.policies, config.budgets
    assert (compiled.on, compiled.effect, compiled.tier) == ("model.call", pb.EFFECT_REQUIRE_APPROVAL, "high")
    assert (budget.on_exceed, budget.tier, budget.downgrade_to) == (pb.ON_EXCEED_REQUIRE_APPROVAL, "high", "")


def test_a_tier_passes_on_what_it_does_not_decide() -> None:
    tiers = TIER.replace("high,", "high, onExpire: {escalateTo: last},").replace(
        "]}\n", ", {name: last, require: [{role: finance}]}]}\n"
    )
    first, last = engine(OPERATORS + tiers + rule("{requireApproval: high}")).approval_tiers
    assert (first.escalate_to, last.escalate_to) == ("last", "")


def test_bounds_and_times_reach_the_core() -> None:
    config = engine(
        "limits: {toolResultBytes: 2KiB, openToolCalls: 3, sessions: 4}\nreservations: {toolTtl: 5s, sessionTtl: 6s}\n"
        "defaults: {tool.call: allow}\ndurability: {tool.call: process}\n"
    )
    assert (config.limits.tool_result_bytes, config.limits.open_tool_calls, config.limits.sessions) == (2048, 3, 4)
    assert (config.reservations.tool_ttl_millis, config.reservations.session_ttl_millis) == (5_000, 6_000)
    assert (config.defaults["tool.call"], config.durability["tool.call"]) == ("allow", "process")
    assert engine("").defaults["tool.call"] == "deny"


BAD: list[tuple[str, str, str, str]] = [
    ("effect", "tools: [{name: t, effect: pure, risk: low}]", "tools[0].effect", "must be 'read', 'write' or"),
    ("no risk", "tools: [{name: t, effect: read}]", "tools[0].risk", "is missing in 't'"),
    ("glob", "tools: [{name: 'a*b', effect: read, risk: low}]", "tools[0].name", "a * may stand at its end"),
    ("twice", "tools: [{name: t, effect: read, risk: low}, {name: t, effect: read, risk: low}]", "tools[1].name",
     "the tool 't' is defined twice"),
    ("schema", "tools: [{name: t, effect: read, risk: low, arguments: {schema: 7}}]", "tools[0].arguments.schema",
     "must be a mapping"),
    ("infinite", "tools: [{name: t, effect: read, risk: low, arguments: {schema: {maximum: 1e999}}}]",
     "tools[0].arguments.schema", "larger than JSON can say"),
    ("labels", "tools: [{name: t, effect: read, risk: low, labels: [a, a]}]", "tools[0].labels", "names something"),
    ("tool of a model call", rule("deny", "model.call", "match: {tool: x}, "), "policies[0].match.tool",
     "is for on: tool.call only"),
    ("model of a tool call", rule("deny", more="match: {model: x}, "), "policies[0].match.model",
     "is for on: model.call only"),
    ("workload of a tool call", rule("deny", more="match: {workload: x}, "), "policies[0].match.workload",
     "is for on: model.call only"),
    ("tool of a route", "rateLimits: [{name: r, concurrent: 1, match: {tool: x}}]", "rateLimits[0].match.tool",
     "unknown key"),
    ("tokens of a tool call", rule("{constrain: {maxOutputTokens: 1}}"), "policies[0].effect.constrain.maxOutputTokens",
     "is for on: model.call only"),
    ("arguments of a model call", rule("{constrain: {arguments: [{pointer: /a, remove: true}]}}", "model.call"),
     "policies[0].effect.constrain.arguments", "is for on: tool.call only"),
    ("two changes", rule("{constrain: {arguments: [{pointer: /a, maximum: 1, minimum: 0}]}}"),
     "policies[0].effect.constrain.arguments[0]", "exactly one of maximum or minimum or redact or remove"),
    ("no change", rule("{constrain: {arguments: [{pointer: /a}]}}"), "policies[0].effect.constrain.arguments[0]",
     "exactly one of"),
    ("not removed", rule("{constrain: {arguments: [{pointer: /a, remove: false}]}}"),
     "policies[0].effect.constrain.arguments[0].remove", "must be true"),
    ("pointer", rule("{constrain: {arguments: [{pointer: amount, maximum: 1}]}}"),
     "policies[0].effect.constrain.arguments[0].pointer", "is not a JSON pointer"),
    ("number", rule("{constrain: {arguments: [{pointer: /a, maximum: many}]}}"),
     "policies[0].effect.constrain.arguments[0].maximum", "must be a number"),
    ("huge", rule(f"{{constrain: {{arguments: [{{pointer: /a, maximum: 1{'0' * 25}}}]}}}}"),
     "policies[0].effect.constrain.arguments[0].maximum", "must be between"),
    ("both effects",
     OPERATORS + TIER + rule("{requireApproval: high, constrain: {arguments: [{pointer: /a, remove: true}]}}"),
     "policies[0].effect", "must have exactly one of"),
    ("unknown tier", OPERATORS + TIER + rule("{requireApproval: hihg}"), "policies[0].effect.requireApproval",
     "unknown approval tier 'hihg': did you mean 'high'?"),
    ("approve on expiry", OPERATORS + TIER.replace("high,", "high, onExpire: approve,"), "approvals.tiers[0].onExpire",
     "what nobody agreed to does not happen"),
    ("escalation to nobody", OPERATORS + TIER.replace("high,", "high, onExpire: {escalateTo: hihg},"),
     "approvals.tiers[0].onExpire.escalateTo", "unknown approval tier 'hihg': did you mean 'high'?"),
    ("escalation in short", OPERATORS + TIER.replace("high,", "high, onExpire: escalateTo,"),
     "approvals.tiers[0].onExpire", "escalateTo needs a tier"),
    ("role twice", OPERATORS + TIER.replace("count: 2}", "count: 1}, {role: finance}"),
     "approvals.tiers[0].require[1].role", "is asked for twice"),
    ("too few people", OPERATORS + TIER.replace("count: 2", "count: 3"), "approvals.tiers[0].require[0]",
     "'high' can never be approved: it needs that 3 operators have the role 'finance', and 2 have"),
    ("local", "operators: [{name: local, token: {fromEnv: ASHA}}]", "operators[0].name", "without a token"),
    ("one person for two roles", OPERATORS + TIER.replace("count: 2}", "count: 2}, {role: legal}"),
     "approvals.tiers[0].require", "needs 3 different people, and the operators' roles give 2"),
    ("nobody", TIER.replace("count: 2", "count: 1"), "approvals.tiers[0].require[0]",
     "'high' can never be approved: it needs that an operator has the role 'finance', and none has"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "path", "message"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_what_makes_no_sense_is_refused(text: str, path: str, message: str) -> None:
    found = violations(text + "\n")
    assert [at for at, _ in found] == [path], found
    assert message in found[0][1]


def test_a_schema_is_bounded() -> None:
    text = f"tools: [{{name: t, effect: read, risk: low, arguments: {{schema: {{title: {'x' * (64 << 10)}}}}}}}]\n"
    assert violations(text) == [("tools[0].arguments.schema", "is larger than 64KiB")]


def test_people_are_counted_even_where_other_parts_of_the_document_are_broken() -> None:
    broken = OPERATORS.replace("name: ben", "name: 'b e n'") + TIER
    assert [path for path, _ in violations(broken)] == ["operators[1].name"]


def test_who_has_two_roles_takes_the_place_that_helps() -> None:
    tier = "approvals: {tiers: [{name: both, require: [{role: finance}, {role: legal}]}]}\n"
    Loader(None, ENVIRON).load_text(VALID + OPERATORS + tier)


def test_a_tier_cannot_ask_for_a_crowd() -> None:
    crowd = TIER.replace("count: 2}", "count: 40}, {role: legal, count: 25}")
    assert ("approvals.tiers[0].require", "asks for more than 64 people") in violations(crowd)
