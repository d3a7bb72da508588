"""Configurations of other gateways → an equivalent one of Fairlead, and what has no equivalent.

| module | idea |
|---|---|
| `source` | a foreign YAML file, read as its own product reads it |
| `draft` | the configuration that comes about: names, secrets as references, what was decided and what was lost |
| `vendors` | other products' names of model providers, and what they are here |
| `writing` | the draft as YAML with comments |
| `litellm`, `litellm_prices`, `litellm_routing`, `litellm_limits` | LiteLLM's proxy configuration |
| `orchvynt`, `orchvynt_models`, `orchvynt_limits` | OrchVynt's `routing`, `fallback`, `budgets` and `hitl` |
"""
