"""The configuration that is measured: policy, routing, three budgets, a rate limit and the durable audit log are on."""

from __future__ import annotations

import json

TOKEN = "benchmark-token"
TOKEN_VARIABLE = "FAIRLEAD_BENCH_TOKEN"
RULES = 100


def text(upstream: str, slow: str, note: str = "") -> str:
    """The YAML of a sidecar in front of the providers at `upstream` and `slow` (host:port). `note` makes versions
    differ.
    """
    rules = [
        {
            "name": f"rule-{number:03}",
            "on": "model.call",
            "match": {"workload": f"workload-{number}"},
            "when": f'has(labels.tier) && labels.tier == "tier-{number}" && request.maxOutputTokens > 100',
            "effect": "deny",
        }
        for number in range(RULES - 2)
    ]
    rules += [
        {
            "name": "anyone-free",
            "on": "model.call",
            "when": 'has(labels.tier) && labels.tier == "free" && request.inputTokens > 4000',
            "effect": "deny",
        },
        {"name": "cap", "on": "model.call", "effect": {"constrain": {"maxOutputTokens": 4096}}},
    ]
    price = {"input": 0.15, "cachedInput": 0.075, "output": 0.60}
    config = {
        "apiVersion": "fairlead/v1",
        "tenants": [
            {
                "name": "acme",
                "agents": [{"name": "bench", "token": {"fromEnv": TOKEN_VARIABLE}, "labels": {"note": note}}],
            }
        ],
        "providers": [
            {"name": "local", "kind": "openai-compatible", "baseUrl": f"http://{upstream}/v1"},
            {"name": "other", "kind": "anthropic", "baseUrl": f"http://{upstream}/v1"},
            {"name": "late", "kind": "openai-compatible", "baseUrl": f"http://{slow}/v1"},
        ],
        "models": [
            {"name": name, "provider": provider, "price": price, "maxOutputTokens": 4096, "quality": 0.8}
            for name, provider in (
                ("dev-large", "local"),
                ("dev-small", "local"),
                ("translated", "other"),
                ("slow", "late"),
            )
        ],
        "routes": [
            {
                "name": "chat",
                "match": {"model": "chat"},
                "targets": [{"model": "dev-large", "weight": 1}],
                "fallback": {"chain": ["dev-small"], "on": [429, "5xx", "timeout", "connect"]},
            }
        ],
        "budgets": [
            {"name": "tenant-month", "scope": ["tenant"], "limit": {"usd": 1000000}, "window": "month"},
            {"name": "agent-day", "scope": ["agent"], "limit": {"usd": 1000000}, "window": "day"},
            {"name": "session", "scope": ["session"], "limit": {"tokens": 1000000000000}, "window": {"rolling": "1h"}},
        ],
        "rateLimits": [{"name": "per-agent", "scope": ["agent"], "requestsPerMinute": 1000000000}],
        "policies": rules,
        "limits": {"openReservations": 4000000, "queueDepth": 65536, "requestIds": 4000000},
    }
    return json.dumps(config, indent=1)
