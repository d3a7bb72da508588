"""Names: unique where they are given, known where they are used."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from fairlead.config.paths import select
from fairlead.config.violation import Path, render

# What is named, and where. Agents are unique inside their tenant only.
UNIQUE = {
    "operator": "operators[*].name",
    "tenant": "tenants[*].name",
    "provider": "providers[*].name",
    "model": "models[*].name",
    "route": "routes[*].name",
    "budget": "budgets[*].name",
    "rate limit": "rateLimits[*].name",
    "policy": "policies[*].name",
    "tool": "tools[*].name",
    "approval tier": "approvals.tiers[*].name",
    "receiver": "notifications[*].name",
    "exporter": "audit.exporters[*].name",
    "workflow": "workflows[*].name",
}
# Where a name is used → what it names.
REFERENCES = {
    "models[*].provider": "provider",
    "routes[*].targets[*].model": "model",
    "routes[*].candidates[*]": "model",
    "routes[*].fallback.chain[*]": "model",
    "budgets[*].onExceed.downgradeTo": "model",
    "policies[*].effect.constrain.allowedModels[*]": "model",
    "policies[*].effect.requireApproval": "approval tier",
    "budgets[*].onExceed.requireApproval": "approval tier",
    "approvals.tiers[*].onExpire.escalateTo": "approval tier",
    "workflows[*].tenants[*]": "tenant",
    "workflows[*].unknownTier": "approval tier",
    "workflows[*].steps[*].approval.tier": "approval tier",
    "workflows[*].steps[*].onUnknown.ask": "approval tier",
    "workflows[*].steps[*].workflow": "workflow",
    "workflows[*].steps[*].model.route": "route or model",
}
# Sections with a `match`: its literal tenants and agents have to exist, or the rule would silently never fit.
_MATCHING = ("routes", "budgets", "rateLimits", "policies", "notifications")


def check(document: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    """Every name that is given twice or not known, as (path, message)."""
    yield from _repeated(document)
    names = {kind: _strings(document, pattern) for kind, pattern in UNIQUE.items()}
    names["route or model"] = _askable(document, names)
    for pattern, kind in REFERENCES.items():
        for path, name in select(document, pattern):
            if isinstance(name, str) and name not in names[kind] and not _fits(name, names[kind]):
                yield path, _unknown(kind, name, names[kind])
    names["agent"] = _strings(document, "tenants[*].agents[*].name")
    for section in _MATCHING:
        for kind in ("tenant", "agent"):
            for path, value in select(document, f"{section}[*].match.{kind}"):
                yield from _literals(kind, path, value, names[kind])
    for path, value in select(document, "notifications[*].match.tier"):
        yield from _literals("approval tier", path, value, names["approval tier"])


def _repeated(document: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    for kind, pattern in UNIQUE.items():
        yield from _twice(kind, select(document, pattern))
    for path, agents in select(document, "tenants[*].agents"):
        yield from _twice("agent", ((path + below, name) for below, name in select(agents, "[*].name")))


def _twice(kind: str, named: Iterator[tuple[Path, Any]]) -> Iterator[tuple[Path, str]]:
    first: dict[str, Path] = {}
    for path, name in named:
        if not isinstance(name, str):
            continue
        if name in first:
            yield path, f"the {kind} {name!r} is defined twice: first as {render(first[name][:-1])}"
        else:
            first[name] = path


def _askable(document: dict[str, Any], names: dict[str, set[str]]) -> set[str]:
    """What a call may ask for: a model, a route's name, what a route is for; anything where a route takes any call."""
    asked: set[str] = set()
    for _, route in select(document, "routes[*]"):
        match = route.get("match", {}) if isinstance(route, dict) else None
        if not isinstance(match, dict):
            continue
        value = match.get("model", () if match.get("workload") else "*")
        asked.update(name for name in (value if isinstance(value, list) else [value]) if isinstance(name, str))
    return names["route"] | names["model"] | asked


def _fits(name: str, known: set[str]) -> bool:
    """Whether a pattern among the names stands for this one, as `gpt-*` in what a route is for."""
    return any(other.endswith("*") and name.startswith(other[:-1]) for other in known)


def _literals(kind: str, path: Path, value: Any, known: set[str]) -> Iterator[tuple[Path, str]]:
    listed = (
        [((*path, index), item) for index, item in enumerate(value)] if isinstance(value, list) else [(path, value)]
    )
    for here, name in listed:
        if isinstance(name, str) and not name.endswith("*") and name not in known:
            yield here, _unknown(kind, name, known)


def _strings(document: dict[str, Any], pattern: str) -> set[str]:
    return {name for _, name in select(document, pattern) if isinstance(name, str)}


def _unknown(kind: str, name: str, known: set[str]) -> str:
    close = get_close_matches(name, sorted(known), n=1)
    hint = f": did you mean {close[0]!r}?" if close else f": no {kind} has this name"
    return f"unknown {kind} {name!r}{hint}"
