"""OrchVynt's `budgets` and `hitl` → budgets, approval tiers and rules on tool calls."""

from __future__ import annotations

from typing import Any

from fairlead.config.sections.base import INT64_MAX
from fairlead.importing.draft import Draft, seconds, usd
from fairlead.importing.orchvynt_models import LABEL_MAX, LABELS, known, model, values
from fairlead.importing.source import count, listed, mapping, number

_YEAR_SECONDS = 366 * 86_400
_DIMENSIONS = {"workflow": "run", "session": "session", "user_tier": "label:tier"}
_ON_BREACH = {"reject": "deny", "alert": "alert", "alert_only": "alert"}
_SCOPE_KEYS = frozenset(
    ("name", "scope", "user_tier", "max_usd", "max_tokens", "on_breach", "downgrade_target", "description")
)
_GATE_KEYS = frozenset(("id", "trigger", "notify", "timeout", "audit", "quorum", "description"))
# More reviewers than anybody asks for.
_QUORUM_MAX = 16


def budgets(draft: Draft, section: dict[str, Any]) -> None:
    """Each scope becomes a budget, for each tier that it names one."""
    known(draft, section, {"scopes", "telemetry"}, "budgets")
    for index, scope in enumerate(map(mapping, listed(section.get("scopes")))):
        _budget(draft, scope, f"budgets.scopes[{index}]")
    if section.get("telemetry") is False:
        draft.lose("budgets.telemetry", "what happened is always in the audit log")


def _budget(draft: Draft, scope: dict[str, Any], path: str) -> None:
    kind = str(scope.get("scope"))
    if kind not in _DIMENSIONS:
        why = (
            "a limit for every single call: the hold of a call is its worst case; bound it with a rule that "
            "constrains maxOutputTokens"
            if kind == "invocation"
            else "this scope is not known here"
        )
        draft.lose(path, why)
        return
    limit: dict[str, Any] = {"usd": usd(scope.get("max_usd")), "tokens": count(scope.get("max_tokens"), INT64_MAX)}
    for unit, key in (("usd", "max_usd"), ("tokens", "max_tokens")):
        if limit[unit] is None and scope.get(key) is not None:
            draft.lose(f"{path}.{key}", "is not an amount above 0")
    limit = {key: value for key, value in limit.items() if value is not None}
    if not limit:
        draft.lose(path, "has no max_usd and no max_tokens above 0")
        return
    tiers: list[str] | None = [""]
    if scope.get("user_tier") is not None:
        tiers = values(scope["user_tier"], LABEL_MAX)
        draft.decide(LABELS)
    if tiers is None:
        draft.lose(path, "its user_tier is neither a tier nor a list of tiers")
        return
    known(draft, scope, _SCOPE_KEYS, path, "is not known here: the budget is without it, for the whole lifetime")
    if kind == "workflow":
        draft.decide(
            "a workflow's budget is that of each run: calls carry x-fairlead-run; those without are not counted"
        )
    if len(tiers) > 1:
        draft.decide(f"{path}: each tier has a budget of its own, of the same size")
    on_exceed = _on_breach(draft, scope, path)
    for tier in tiers:
        draft.add(
            "budgets",
            {
                "name": draft.name("budgets", str(scope.get("name", kind))),
                "match": {"labels": {"tier": tier}} if tier else None,
                "scope": [_DIMENSIONS[kind]],
                "limit": limit,
                "window": "lifetime",
                "onExceed": on_exceed,
            },
        )


def _on_breach(draft: Draft, scope: dict[str, Any], path: str) -> Any:
    wanted = str(scope.get("on_breach", "reject"))
    if wanted == "downgrade_model":
        target = scope.get("downgrade_target")
        found = model(draft, {"model": target}, f"{path}.downgrade_target")
        return {"downgradeTo": found} if found is not None else "deny"
    if wanted not in _ON_BREACH:
        draft.lose(f"{path}.on_breach", f"{wanted}: calls are refused instead")
    return _ON_BREACH.get(wanted, "deny")


def gates(draft: Draft, section: dict[str, Any]) -> None:
    """A gate becomes a tier of people and a rule on tool calls with the gate's flag."""
    known(draft, section, {"gates"}, "hitl")
    for index, gate in enumerate(map(mapping, listed(section.get("gates")))):
        _gate(draft, gate, index, f"hitl.gates[{index}]")


def _gate(draft: Draft, gate: dict[str, Any], index: int, path: str) -> None:
    trigger, timeout = mapping(gate.get("trigger")), mapping(gate.get("timeout"))
    known(draft, gate, _GATE_KEYS, path, "is not known here: whoever has the role reviewer may decide")
    known(draft, trigger, {"flags", "confidence_below"}, f"{path}.trigger", "is not known here: only flags trigger")
    known(draft, timeout, {"duration_minutes", "on_timeout"}, f"{path}.timeout")
    _of_the_record(draft, mapping(gate.get("audit")), f"{path}.audit")
    if trigger.get("confidence_below") is not None:
        draft.lose(f"{path}.trigger.confidence_below", "no provider reports how sure an answer is")
    for channel in mapping(gate.get("notify")):
        draft.lose(f"{path}.notify.{channel}", "nobody is notified: follow fairlead approvals")
    on_timeout = timeout.get("on_timeout", "auto_reject")
    if on_timeout != "auto_reject":
        draft.lose(f"{path}.timeout.on_timeout", f"{on_timeout}: what nobody agreed to does not happen")
    flags = [flag for flag in listed(trigger.get("flags")) if isinstance(flag, str) and 0 < len(flag) <= LABEL_MAX]
    if len(flags) < len(listed(trigger.get("flags"))):
        draft.lose(f"{path}.trigger.flags", f"has one that is no text of up to {LABEL_MAX} characters")
    if not flags:
        draft.lose(path, "has no flag that a call could carry")
        return
    quorum = count(gate.get("quorum", 1), _QUORUM_MAX + 1)
    if quorum is None or quorum > _QUORUM_MAX:
        draft.lose(path, f"its quorum is not a number of people up to {_QUORUM_MAX}")
        return
    tier = draft.name("tiers", str(gate.get("id", f"gate-{index}")))
    minutes = number(timeout.get("duration_minutes"))
    expires = seconds(minutes * 60, 1_000, _YEAR_SECONDS) if minutes is not None else None
    if expires is None and timeout.get("duration_minutes") is not None:
        draft.lose(f"{path}.timeout.duration_minutes", "is not a time above 0: there are three days to decide")
    entry: dict[str, Any] = {"name": tier, "require": [{"role": "reviewer"}]}
    if quorum > 1:
        entry["require"][0]["count"] = quorum
    if expires:
        entry["expiresAfter"] = expires
    draft.config.setdefault("approvals", {"tiers": []})["tiers"].append(entry)
    for flag in dict.fromkeys(flags):
        draft.add(
            "policies",
            {
                "name": draft.name("policies", f"{tier}-{flag}" if len(flags) > 1 else tier),
                "on": "tool.call",
                "match": {"labels": {"flag": flag}},
                "effect": {"requireApproval": tier},
            },
        )
    _reviewers(draft, quorum)


def _of_the_record(draft: Draft, audit: dict[str, Any], path: str) -> None:
    known(draft, audit, {"log", "require_reason"}, path)
    if audit.get("log", True) is not True:
        draft.lose(f"{path}.log", "every vote is in the audit log")
    if audit.get("require_reason", True) is not True:
        draft.lose(f"{path}.require_reason", "every vote has a reason")


def _reviewers(draft: Draft, wanted: int) -> None:
    """As many people as the largest quorum needs."""
    for index in range(len(draft.config.get("operators", ())), wanted):
        following = f"_{index + 1}" if index else ""
        token = {"fromEnv": f"FAIRLEAD_REVIEWER_TOKEN{following}"}
        draft.add("operators", {"name": draft.name("operators", "reviewer"), "token": token, "roles": ["reviewer"]})
    draft.decide(
        "gates are about tool calls here, before anything is done: a call with x-fairlead-labels: flag=NAME "
        "waits for a reviewer, whose token is in FAIRLEAD_REVIEWER_TOKEN; tool calls that no rule allows are denied"
    )
