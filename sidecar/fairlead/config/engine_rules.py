"""Rules, tools and approval tiers as the native core takes them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fairlead.config.sections.approvals import OnExpireMapping, Tier
from fairlead.config.sections.arguments import ArgumentConstraint
from fairlead.config.sections.matching import Match, PolicyMatch
from fairlead.config.sections.output import OutputCheck
from fairlead.config.sections.policies import EffectMapping, Policy
from fairlead.config.sections.tools import Tool
from fairlead.internal.v1 import engine_config_pb2 as pb
from fairlead.v1 import tool_pb2

_EFFECTS: Mapping[str, pb.Effect] = {
    "allow": pb.EFFECT_ALLOW,
    "deny": pb.EFFECT_DENY,
    "redact": pb.EFFECT_REDACT,
    "reject": pb.EFFECT_REJECT,
    "flag": pb.EFFECT_FLAG,
}
_TOOL_EFFECTS: Mapping[str, tool_pb2.ToolEffect] = {
    "read": tool_pb2.TOOL_EFFECT_READ,
    "write": tool_pb2.TOOL_EFFECT_WRITE,
    "side_effect": tool_pb2.TOOL_EFFECT_SIDE_EFFECT,
}
_TOOL_RISKS: Mapping[str, tool_pb2.ToolRisk] = {
    "low": tool_pb2.TOOL_RISK_LOW,
    "medium": tool_pb2.TOOL_RISK_MEDIUM,
    "high": tool_pb2.TOOL_RISK_HIGH,
    "destructive": tool_pb2.TOOL_RISK_DESTRUCTIVE,
}


def match(literals: Match) -> pb.Match:
    """Literal conditions of a rule, route, budget or rate limit."""
    return pb.Match(
        tenants=literals.tenant,
        agents=literals.agent,
        models=literals.model,
        workloads=literals.workload,
        labels=literals.labels,
        tools=literals.tool if isinstance(literals, PolicyMatch) else (),
    )


def policy(rule: Policy) -> pb.PolicyRule:
    """A policy rule."""
    compiled = pb.PolicyRule(
        name=rule.name,
        on=rule.on,
        match=match(rule.match),
        when=rule.when or "",
        invariant=rule.invariant,
    )
    if rule.check is not None:
        compiled.output.CopyFrom(_output(rule.check))
    if not isinstance(rule.effect, EffectMapping):
        compiled.effect = _EFFECTS[rule.effect]
    elif rule.effect.require_approval is not None:
        compiled.effect = pb.EFFECT_REQUIRE_APPROVAL
        compiled.tier = rule.effect.require_approval
    else:
        compiled.effect = pb.EFFECT_CONSTRAIN
        if rule.effect.constrain is not None:
            compiled.max_output_tokens = rule.effect.constrain.max_output_tokens or 0
            compiled.allowed_models.extend(rule.effect.constrain.allowed_models or ())
            compiled.arguments.extend(_argument(argument) for argument in rule.effect.constrain.arguments or ())
    return compiled


def _output(check: OutputCheck) -> pb.OutputCheck:
    return pb.OutputCheck(
        json_schema=_json(check.schema_),
        patterns=check.patterns,
        detectors=check.detect,
        max_bytes=check.max_bytes or 0,
        window_bytes=check.window,
    )


def _json(schema: Mapping[str, Any] | None) -> str:
    return "" if schema is None else json.dumps(schema, sort_keys=True, separators=(",", ":"))


def _argument(argument: ArgumentConstraint) -> pb.ArgumentConstraint:
    constraint = pb.ArgumentConstraint(pointer=argument.pointer)
    if argument.maximum is not None:
        constraint.maximum = argument.maximum
    elif argument.minimum is not None:
        constraint.minimum = argument.minimum
    elif argument.redact:
        constraint.redact = True
    else:
        constraint.remove = True
    return constraint


def tool(entry: Tool) -> pb.Tool:
    """An entry of the tool catalogue."""
    schema = entry.arguments.schema_ if entry.arguments else None
    return pb.Tool(
        name=entry.name,
        effect=_TOOL_EFFECTS[entry.effect],
        risk=_TOOL_RISKS[entry.risk],
        argument_schema=_json(schema),
        session_labels=entry.labels,
    )


def tier(entry: Tier) -> pb.ApprovalTier:
    """Who must agree."""
    return pb.ApprovalTier(
        name=entry.name,
        require=[pb.Quorum(role=quorum.role, count=quorum.count) for quorum in entry.require],
        expires_after_millis=entry.expires_after,
        escalate_to=entry.on_expire.escalate_to if isinstance(entry.on_expire, OnExpireMapping) else "",
    )
