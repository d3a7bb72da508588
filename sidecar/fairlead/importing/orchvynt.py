"""OrchVynt's `routing`, `fallback`, `budgets` and `hitl`, in one file or several → a draft.

`fallback`, `budgets` and `hitl` are read as its pages show them. `routing` is described there and not shown: a list
under `policies` (or `rules`) of `{name, workload, user_tier, models: [{provider, model, weight}], latency_p99_ms}` is
read.
"""

from __future__ import annotations

from typing import Any

from fairlead.config.sections.base import INT64_MAX
from fairlead.importing.draft import UNKNOWN_PRICE, Draft, seconds, unique, usd, variable
from fairlead.importing.source import count, listed, mapping, number
from fairlead.importing.vendors import VENDORS, of_model
from fairlead.prices import books
from fairlead.prices.lookup import vendor as vendor_in_books

TENANT = "imported"
_YEAR_SECONDS = 366 * 86_400
_SECTIONS = frozenset(("routing", "fallback", "budgets", "hitl"))
_DIMENSIONS = {"workflow": "run", "session": "session", "user_tier": "label:tier"}
_ON_BREACH = {"reject": "deny", "alert": "alert", "alert_only": "alert"}


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
        _budgets(draft, mapping(document.get("budgets")))
        _gates(draft, mapping(document.get("hitl")))
        for section in document.keys() - _SECTIONS:
            draft.lose(section, "this section is not known here")
    draft.lost.sort()
    return draft


def _fallback(draft: Draft, documents: list[dict[str, Any]]) -> tuple[list[str], dict[str, Any]]:
    """The models of the chain, and what makes it go on."""
    models: list[str] = []
    on: list[str] = []
    p99 = None
    for document in documents:
        fallback = mapping(document.get("fallback"))
        for index, tier in enumerate(map(mapping, listed(fallback.get("chain")))):
            model = _model(draft, tier, f"fallback.chain[{index}]")
            if model is not None:
                models.append(model)
        triggers = mapping(fallback.get("triggers"))
        for status in listed(triggers.get("on_status_code")):
            code = count(status)
            if code is not None and (code in (408, 429) or 500 <= code <= 599):
                on.append(str(code))
            else:
                draft.lose("fallback.triggers.on_status_code", f"{status}: it would fail at the next model as well")
        p99 = p99 or count(triggers.get("on_latency_p99_ms"), 3_600_000)
        for key in triggers.keys() - {"on_status_code", "on_latency_p99_ms"}:
            draft.lose(f"fallback.triggers.{key}", "is not known here")
        if fallback.get("emit_telemetry") is False:
            draft.lose("fallback.emit_telemetry", "what happened is always in the audit log")
    if on:
        draft.decide("a connection that fails, and an answer that does not come or breaks off, fall back as well")
    on = unique([*on, "timeout", "connect", "cut", "garbled"]) if on else []
    return unique(models), {"on": on, "p99": p99}


def _routing(draft: Draft, routing: dict[str, Any], chain: list[str], triggers: dict[str, Any]) -> None:
    policies = listed(routing.get("policies", routing.get("rules")))
    for key in routing.keys() - {"policies", "rules"}:
        draft.lose(f"routing.{key}", "is not known here")
    for index, policy in enumerate(map(mapping, policies)):
        path = f"routing.policies[{index}]"
        targets = []
        for number_of_model, entry in enumerate(listed(policy.get("models", policy.get("model")))):
            wanted = mapping(entry) or {"model": entry, "provider": policy.get("provider")}
            model = _model(draft, wanted, f"{path}.models[{number_of_model}]")
            if model is not None:
                targets.append({"model": model, "weight": count(wanted.get("weight")) or 1})
        if not targets:
            draft.lose(path, "has no model that can be called from here")
            continue
        match: dict[str, Any] = {}
        if isinstance(policy.get("workload"), str):
            match["workload"] = policy["workload"]
        labels = {name: policy[key] for key, name in (("user_tier", "tier"), ("region", "region")) if key in policy}
        labels = {name: value for name, value in labels.items() if isinstance(value, str)}
        if labels:
            match["labels"] = labels
            draft.decide(
                "user_tier and region are labels here: a call carries x-fairlead-labels: tier=NAME,region=NAME"
            )
        known = {"name", "workload", "user_tier", "region", "models", "model", "provider", "latency_p99_ms"}
        for key in policy.keys() - known:
            draft.lose(f"{path}.{key}", "is not known here")
        own = {target["model"] for target in targets}
        name = draft.name("routes", str(policy.get("name", policy.get("workload", f"policy-{index}"))))
        p99 = count(policy.get("latency_p99_ms"), 3_600_000) or triggers["p99"]
        after = [model for model in chain if model not in own]
        draft.add("routes", _route(name, match, targets, after, {**triggers, "p99": p99}))


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


def _model(draft: Draft, tier: dict[str, Any], path: str) -> str | None:
    """The name of a model; added with its provider when it is new."""
    upstream, endpoint = tier.get("model"), tier.get("endpoint")
    if not isinstance(upstream, str) or not upstream:
        draft.lose(path, "names no model")
        return None
    named = tier.get("provider") if isinstance(tier.get("provider"), str) else of_model(upstream)
    vendor = VENDORS.get(str(named))
    if vendor is None:
        draft.lose(path, f"provider {named or 'unknown'} speaks no dialect that is known here")
        return None
    url = draft.url(endpoint, f"{path}.endpoint") if isinstance(endpoint, str) else vendor.base_url
    if not url:
        draft.lose(path, f"provider {named} needs an endpoint")
        return None
    if vendor.kind in ("ollama", "anthropic") and not url.endswith("/v1"):
        url = f"{url}/v1"
    provider = {
        "kind": vendor.kind,
        "baseUrl": url if url != vendor.base_url or vendor.kind == "openai-compatible" else None,
        "apiKey": {"fromEnv": vendor.key or variable(str(named), "api_key")} if vendor.key else None,
    }
    kept = {key: value for key, value in provider.items() if value}
    there = next(
        (one for one in draft.config.get("providers", ()) if {**one, "name": ""} == {"name": "", **kept}), None
    )
    there = there or draft.add("providers", {"name": draft.name("providers", str(named)), **kept})
    for model in draft.config.get("models", ()):
        if (model["provider"], model.get("upstream", model["name"])) == (there["name"], upstream):
            return str(model["name"])
    name = draft.name("models", upstream, model=True)
    known = books.starter().find(vendor_in_books(vendor.kind, url), upstream) is not None
    if known:
        draft.config.setdefault("prices", {"files": [books.STARTER]})
        draft.decide("models are priced by the starter book: check what you rely on")
    else:
        draft.decide(
            f"the price of {name} is unknown: 1000 USD per million tokens lets no budget be passed, write the true one"
        )
    price = None if known else dict(UNKNOWN_PRICE)
    renamed = upstream if upstream != name else None
    draft.add("models", {"name": name, "provider": there["name"], "upstream": renamed, "price": price})
    return name


def _budgets(draft: Draft, budgets: dict[str, Any]) -> None:
    for index, scope in enumerate(map(mapping, listed(budgets.get("scopes")))):
        path, kind = f"budgets.scopes[{index}]", str(scope.get("scope"))
        if kind not in _DIMENSIONS:
            why = (
                "a limit for every single call: the hold of a call is its worst case; bound it with a rule that "
                "constrains maxOutputTokens"
                if kind == "invocation"
                else "this scope is not known here"
            )
            draft.lose(path, why)
            continue
        limit: dict[str, Any] = {"usd": usd(scope.get("max_usd")), "tokens": count(scope.get("max_tokens"), INT64_MAX)}
        limit = {key: value for key, value in limit.items() if value is not None}
        if not limit:
            draft.lose(path, "has no max_usd and no max_tokens above 0")
            continue
        if kind == "workflow":
            draft.decide(
                "a workflow's budget is that of each run: calls carry x-fairlead-run; those without are not counted"
            )
        tier = scope.get("user_tier")
        match = {"labels": {"tier": tier}} if isinstance(tier, str) else None
        if match:
            draft.decide(
                "user_tier and region are labels here: a call carries x-fairlead-labels: tier=NAME,region=NAME"
            )
        draft.add(
            "budgets",
            {
                "name": draft.name("budgets", str(scope.get("name", kind))),
                "match": match,
                "scope": [_DIMENSIONS[kind]],
                "limit": limit,
                "window": "lifetime",
                "onExceed": _on_breach(draft, scope, path),
            },
        )
    if budgets.get("telemetry") is False:
        draft.lose("budgets.telemetry", "what happened is always in the audit log")


def _on_breach(draft: Draft, scope: dict[str, Any], path: str) -> Any:
    wanted = str(scope.get("on_breach", "reject"))
    if wanted == "downgrade_model":
        target = scope.get("downgrade_target")
        model = _model(draft, {"model": target}, f"{path}.downgrade_target")
        return {"downgradeTo": model} if model is not None else "deny"
    if wanted not in _ON_BREACH:
        draft.lose(f"{path}.on_breach", f"{wanted}: calls are refused instead")
    return _ON_BREACH.get(wanted, "deny")


def _gates(draft: Draft, hitl: dict[str, Any]) -> None:
    """A gate becomes a tier of people and a rule on tool calls with the gate's flag."""
    for index, gate in enumerate(map(mapping, listed(hitl.get("gates")))):
        path, trigger = f"hitl.gates[{index}]", mapping(gate.get("trigger"))
        timeout, notify = mapping(gate.get("timeout")), mapping(gate.get("notify"))
        flags = [flag for flag in listed(trigger.get("flags")) if isinstance(flag, str)]
        if trigger.get("confidence_below") is not None:
            draft.lose(f"{path}.trigger.confidence_below", "no provider reports how sure an answer is")
        for channel in notify:
            draft.lose(f"{path}.notify.{channel}", "nobody is notified: follow fairlead approvals")
        if timeout.get("on_timeout") == "auto_approve":
            draft.lose(f"{path}.timeout.on_timeout", "auto_approve: what nobody agreed to does not happen")
        if not flags:
            draft.lose(path, "has no flag that a call could carry")
            continue
        tier = draft.name("tiers", str(gate.get("id", f"gate-{index}")))
        minutes = number(timeout.get("duration_minutes"))
        expires = seconds(minutes * 60, 1_000, _YEAR_SECONDS) if minutes is not None else None
        entry = {"name": tier, "require": [{"role": "reviewer"}], **({"expiresAfter": expires} if expires else {})}
        draft.config.setdefault("approvals", {"tiers": []})["tiers"].append(entry)
        for flag in flags:
            draft.add(
                "policies",
                {
                    "name": draft.name("policies", f"{tier}-{flag}" if len(flags) > 1 else tier),
                    "on": "tool.call",
                    "match": {"labels": {"flag": flag[:128]}},
                    "effect": {"requireApproval": tier},
                },
            )
        if not draft.config.get("operators"):
            reviewer = {"name": "reviewer", "token": {"fromEnv": "FAIRLEAD_REVIEWER_TOKEN"}, "roles": ["reviewer"]}
            draft.add("operators", reviewer)
        draft.decide(
            "gates are about tool calls here, before anything is done: a call with x-fairlead-labels: flag=NAME "
            "waits for a reviewer, whose token is in FAIRLEAD_REVIEWER_TOKEN; tool calls that no rule allows are denied"
        )
