"""OrchVynt's `routing`, `fallback`, `budgets` and `hitl`, in one file or several → a draft.

`fallback`, `budgets` and `hitl` are read as its pages show them. `routing` is described there and not shown: a list
under `policies` (or `rules`) of `{name, workload, user_tier, models: [{provider, model, weight}], latency_p99_ms}` is
read.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from fairlead.importing import orchvynt_limits
from fairlead.importing.draft import Draft, unique, weights
from fairlead.importing.orchvynt_models import LABEL_MAX, LABELS, known, model, values
from fairlead.importing.source import count, listed, mapping, number

TENANT = "imported"
_SECTIONS = frozenset(("routing", "fallback", "budgets", "hitl"))
# What a policy may say; whatever else it says may be a condition.
_POLICY_KEYS = frozenset(
    ("name", "description", "workload", "user_tier", "region", "models", "model", "provider", "latency_p99_ms")
)
_PATTERN_MAX = 256
_LATENCY_MAX = 3_600_000
_CHAIN_MAX = 16
_TARGETS_MAX = 64
# Of one policy: a route for each pair of a tier and a region.
_ROUTES_MAX = 16


def convert(documents: list[dict[str, Any]]) -> Draft:
    """A draft of all files together."""
    draft = Draft()
    agent = {"name": "agent", "token": {"fromEnv": "FAIRLEAD_AGENT_TOKEN"}}
    draft.add("tenants", {"name": TENANT, "agents": [agent]})
    draft.decide(f"the tenant {TENANT} has one agent, whose token is in FAIRLEAD_AGENT_TOKEN")
    chain, triggers = _fallback(draft, documents)
    for document in documents:
        _routing(draft, mapping(document.get("routing")), chain, triggers)
    if chain:
        draft.add("routes", _route("everything-else", {}, [{"model": chain[0]}], chain[1:], triggers))
    for document in documents:
        orchvynt_limits.budgets(draft, mapping(document.get("budgets")))
        orchvynt_limits.gates(draft, mapping(document.get("hitl")))
        for section, content in document.items():
            if section not in _SECTIONS:
                draft.lose(section, "this section is not known here")
            elif not isinstance(content, dict):
                draft.lose(section, "is not a mapping")
    draft.lost.sort()
    return draft


def _fallback(draft: Draft, documents: list[dict[str, Any]]) -> tuple[list[str], dict[str, Any]]:
    """The models of the chain, and what makes it go on."""
    models: list[str] = []
    on: list[str] = []
    p99 = None
    for document in documents:
        fallback = mapping(document.get("fallback"))
        known(draft, fallback, {"chain", "triggers", "emit_telemetry"}, "fallback")
        for index, tier in enumerate(map(mapping, listed(fallback.get("chain")))):
            found = model(draft, tier, f"fallback.chain[{index}]")
            if found is not None:
                models.append(found)
        triggers = mapping(fallback.get("triggers"))
        for status in listed(triggers.get("on_status_code")):
            code = count(status)
            if code is not None and (code in (408, 429) or 500 <= code <= 599):
                on.append(str(code))
            else:
                draft.lose("fallback.triggers.on_status_code", f"{status}: it would fail at the next model as well")
        p99 = p99 or _latency(draft, triggers.get("on_latency_p99_ms"), "fallback.triggers.on_latency_p99_ms")
        known(draft, triggers, {"on_status_code", "on_latency_p99_ms"}, "fallback.triggers")
        if fallback.get("emit_telemetry") is False:
            draft.lose("fallback.emit_telemetry", "what happened is always in the audit log")
    if on:
        draft.decide("a connection that fails, and an answer that does not come or breaks off, fall back as well")
    on = unique([*on, "timeout", "connect", "cut", "garbled"]) if on else []
    chain = unique(models)
    if len(chain) > _CHAIN_MAX + 1:
        draft.lose("fallback.chain", f"has more than {_CHAIN_MAX + 1} models: the others are left out")
    return chain[: _CHAIN_MAX + 1], {"on": on, "p99": p99}


def _routing(draft: Draft, routing: dict[str, Any], chain: list[str], triggers: dict[str, Any]) -> None:
    listing = "policies" if "policies" in routing else "rules"
    known(draft, routing, {listing}, "routing")
    for index, policy in enumerate(map(mapping, listed(routing.get(listing)))):
        _policy(draft, policy, f"routing.{listing}[{index}]", index, chain, triggers)


def _policy(
    draft: Draft, policy: dict[str, Any], path: str, index: int, chain: list[str], triggers: dict[str, Any]
) -> None:
    """A route, or one for each label it is about. With a condition that cannot be carried over there is none: it would
    take other calls as well."""
    all_known = known(draft, policy, _POLICY_KEYS, path, "is not known here and may be a condition")
    matches = _matches(draft, policy, path)
    if not all_known or matches is None:
        draft.lose(path, "is left out: without all of its conditions it would take other calls as well")
        return
    targets = _targets(draft, policy, path)
    if not targets:
        draft.lose(path, "has no model that can be called from here")
        return
    own = {target["model"] for target in targets}
    p99 = _latency(draft, policy.get("latency_p99_ms"), f"{path}.latency_p99_ms") or triggers["p99"]
    after = [one for one in chain if one not in own][:_CHAIN_MAX]
    wanted = policy.get("name", policy.get("workload"))
    for match in matches:
        name = draft.name("routes", wanted if isinstance(wanted, str) else f"policy-{index}")
        draft.add("routes", _route(name, match, targets, after, {**triggers, "p99": p99}))


def _matches(draft: Draft, policy: dict[str, Any], path: str) -> list[dict[str, Any]] | None:
    """The conditions of each route; None when one cannot be carried over, which is said."""
    matches: list[dict[str, Any]] = [{}]
    if policy.get("workload") is not None:
        workloads = values(policy["workload"], _PATTERN_MAX)
        if workloads is None or any("*" in workload[:-1] for workload in workloads):
            draft.lose(f"{path}.workload", "is neither a workload nor a list of them")
            return None
        matches = [{"workload": workloads[0] if len(workloads) == 1 else workloads}]
    for key, label in (("user_tier", "tier"), ("region", "region")):
        if policy.get(key) is None:
            continue
        wanted = values(policy[key], LABEL_MAX)
        if wanted is None or len(wanted) * len(matches) > _ROUTES_MAX:
            draft.lose(
                f"{path}.{key}", f"is neither a text nor a list of texts, or makes more than {_ROUTES_MAX} routes"
            )
            return None
        draft.decide(LABELS)
        matches = [
            {**match, "labels": {**match.get("labels", {}), label: value}} for match in matches for value in wanted
        ]
    return matches


def _targets(draft: Draft, policy: dict[str, Any], path: str) -> list[dict[str, Any]]:
    """The models that can be called, with whole weights in the same ratio."""
    shares: dict[str, Decimal] = {}
    for index, entry in enumerate(listed(policy.get("models", policy.get("model")))):
        place = f"{path}.models[{index}]"
        wanted = mapping(entry) or {"model": entry}
        if "provider" not in wanted and policy.get("provider") is not None:
            wanted["provider"] = policy["provider"]
        found = model(draft, wanted, place)
        share = number(wanted.get("weight"))
        if wanted.get("weight") is not None and (share is None or share < 0):
            draft.lose(f"{place}.weight", "is not a number: it counts 1")
            share = None
        if found is not None:
            shares[found] = shares.get(found, Decimal(0)) + (Decimal(1) if share is None else share)
    if len(shares) > _TARGETS_MAX:
        draft.lose(path, f"has more than {_TARGETS_MAX} models: the others are left out")
    kept = list(shares)[:_TARGETS_MAX]
    whole = weights([shares[name] for name in kept])
    return [{"model": name, "weight": share} for name, share in zip(kept, whole, strict=True) if share]


def _latency(draft: Draft, value: Any, path: str) -> int | None:
    found = count(value, _LATENCY_MAX)
    if found is None and value is not None:
        draft.lose(path, "is not a number of milliseconds")
    return found


def _route(
    name: str, match: dict[str, Any], targets: list[dict[str, Any]], after: list[str], triggers: dict[str, Any]
) -> dict[str, Any]:
    fallback = {"chain": after, **({"on": triggers["on"]} if triggers["on"] else {})}
    return {
        "name": name,
        "match": match,
        "targets": targets,
        "fallback": fallback if after else None,
        "maxP99": f"{triggers['p99']}ms" if triggers["p99"] else None,
    }
