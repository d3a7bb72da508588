"""`--dev`: a configuration that needs nothing: one tenant `dev` with the agent token `dev`.

The token is a reference like any other; what it refers to is only there in development mode.
"""

from __future__ import annotations

DEV_TOKEN_VARIABLE = "FAIRLEAD_DEV_TOKEN"
DEV_ENVIRONMENT = {DEV_TOKEN_VARIABLE: "dev"}
DEV_FILE = "--dev"

# Added to a configuration that is given with --dev.
DEV_TENANT = f"""\
apiVersion: fairlead/v1
tenants:
  - name: dev
    agents:
      - {{name: dev, token: {{fromEnv: {DEV_TOKEN_VARIABLE}}}}}
"""

# Added when there is none: a local provider, such as `fairlead dev-provider --port 7411`, and its two models.
DEV_UPSTREAM = """\
apiVersion: fairlead/v1
providers:
  - {name: local, kind: openai-compatible, baseUrl: "http://127.0.0.1:7411/v1"}
models:
  - {name: dev-large, provider: local, price: {input: 0, output: 0}, capabilities: [tools, json], quality: 0.9}
  - {name: dev-small, provider: local, price: {input: 0, output: 0}, capabilities: [tools, json], quality: 0.6}
routes:
  - {name: large, match: {model: dev-large}, targets: [{model: dev-large}]}
  - {name: everything-else, targets: [{model: dev-small}]}
"""
