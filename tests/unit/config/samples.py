"""Configurations that tests start from."""

from __future__ import annotations

from pathlib import Path

from fairlead.config import Config, Loader

# The first one of RFC 8032.
SIGNING_KEY = """\
-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
"""
ENVIRONMENT = {"TOKEN": "agent-token", "KEY": "provider-key"}

VALID = """\
apiVersion: fairlead/v1
tenants:
  - name: acme
    agents:
      - {name: bot, token: {fromEnv: TOKEN}}
providers:
  - {name: local, kind: ollama}
models:
  - {name: small, provider: local, price: {input: 0.15, output: 0.60}}
  - {name: large, provider: local, price: {input: 2.50, output: 10}}
routes:
  - {name: all, targets: [{model: small}]}
"""

# Uses every key of the format once.
COMPLETE = """\
apiVersion: fairlead/v1
listen: {agent: "127.0.0.1:0", health: "[::1]:0", operator: {unix: sock}}
operators:
  - {name: asha, token: {fromEnv: OPERATOR}, roles: [finance, legal]}
tenants:
  - name: acme
    agents:
      - {name: bot, token: {fromEnv: TOKEN}, labels: {team: support}, queues: [mailer, "doc-*"]}
providers:
  - name: openai
    kind: openai
    apiKey: {fromEnv: KEY}
    headers: {X-Team: blue, X-Gateway-Key: {fromEnv: HEADER}}
    billing: {failedAttemptsCostInput: false}
    timeouts: {connect: 1s, firstByte: 2s, idle: 3s, attempt: 4s}
    breaker: {consecutiveFailures: 3, failureRate: 0.25, minimumCalls: 7, window: 1m, open: 2s, maxOpen: 3m, ramp: 4s}
    maxIdleConnections: 8
  - {name: local, kind: ollama, baseUrl: "http://localhost:11434"}
models:
  - name: large
    provider: openai
    upstream: gpt-large
    price: {input: 2.50, cachedInput: 1.25, cacheWrite: 3, output: 10.000001}
    contextTokens: 128000
    maxOutputTokens: 16384
    capabilities: [tools]
    quality: 0.86
    labels: {residency: eu}
    learnedInputBound: true
  - {name: small, provider: local, price: {input: 0, output: 0}}
routes:
  - name: split
    match: {tenant: acme, agent: [bot], model: "gpt-*", workload: chat, labels: {tier: free}}
    when: request.stream
    targets: [{model: large, weight: 70}, {model: small, weight: 30}]
    stickyBy: session
    fallback: {chain: [small], on: [429, 5xx, 503, timeout]}
    retry: {attempts: 2, backoff: {initial: 200ms, max: 5s}, waitForRetryAfterUpTo: 3s}
    timeout: 90s
    maxP99: 2s
    minOutputTokens: 32
    requireLabels: {residency: eu}
  - {name: rest, select: best, candidates: [large, small]}
budgets:
  - {name: month, scope: [tenant], limit: {usd: 500}, window: month, alertAt: [80, 50], countCached: false}
  - name: run
    match: {agent: bot}
    scope: [run, "label:team"]
    limit: {usd: 0.000000001, tokens: 5, requests: 6}
    onExceed: alert
  - {name: rolling, limit: {tokens: 10}, window: {rolling: 60m}, onExceed: {downgradeTo: small}}
rateLimits:
  - name: fast
    scope: [agent]
    requestsPerMinute: 60
    tokensPerMinute: 100
    concurrent: 3
    burstRequests: 5
    maxWait: 2s
tools:
  - name: payments.refund
    effect: side_effect
    risk: high
    arguments: {schema: {type: object, properties: {amount: {type: number, maximum: 0.5}}, required: [amount]}}
    labels: [can_egress]
  - {name: "db.*", effect: read, risk: low}
policies:
  - name: ask
    on: tool.call
    match: {tool: "payments.*"}
    when: args.amount > 100.0
    effect: {requireApproval: high}
  - name: cap
    on: tool.call
    effect:
      constrain:
        arguments:
          - {pointer: /amount, maximum: 100}
          - {pointer: /items/*/price, minimum: 0.5}
          - {pointer: /card, redact: true}
          - {pointer: /note, remove: true}
  - {name: no, on: model.call, match: {labels: {data: secret}}, effect: deny, invariant: true}
  - {name: less, on: model.call, when: "true", effect: {constrain: {maxOutputTokens: 10, allowedModels: [small]}}}
  - {name: yes, on: model.call, effect: allow}
defaults: {model.call: deny, tool.call: allow}
approvals:
  tiers:
    - {name: high, require: [{role: finance, count: 1}], expiresAfter: 72h, onExpire: {escalateTo: last}}
    - {name: last, require: [{role: finance}], onExpire: deny}
workflows:
  - name: loan
    tenants: [acme]
    input: {schema: {type: object, required: [id]}}
    output: {value: {offer: "${steps.offer.output}"}, schema: {type: object}}
    budget: {usd: 0.50, tokens: 40000, requests: 9}
    timeout: 30d
    keepFor: 90d
    onFailure: compensate
    unknownTier: high
    steps:
      - id: parse
        agent: doc-parser
        effect: read
        input: {documents: "${input.documents}", limit: 1.50}
        inputSchema: {type: object}
        output: {schema: {type: object, required: [income]}}
        retry: {attempts: 4, backoff: {initial: 1s, max: 60s}, nonRetryable: [BAD_INPUT]}
        timeouts: {queue: 1h, lease: 15s, attempt: 5m, total: 30m}
      - id: risk
        needs: [parse]
        model:
          {route: gpt-risk, prompt: "Of ${steps.parse.output.income}.", system: Judge., output: json,
           maxOutputTokens: 500, temperature: 0.20, workload: risk}
      - id: talk
        needs: [parse]
        model:
          route: small
          messages: [{role: user, content: "${input.question}"}, {role: user, content: [{type: text, text: hi}]}]
      - id: scores
        needs: [parse]
        forEach: {in: "${input.documents}", maxParallel: 8, quorum: 3}
        agent: scorer
        input: "${item}"
        onUnknown: fail
      - {id: due, wait: {until: "${input.due}"}}
      - {id: pause, wait: {for: 120m}}
      - {id: signed, wait: {signal: signed, timeout: 1d, onTimeout: continue}}
      - id: review
        needs: [risk, scores]
        when: "${ steps.risk.output.score > 0.3 }"
        approval:
          {tier: high, title: "Loan of ${input.amount}", show: {a: "${steps.risk.output.score}"}, onReject: continue}
      - {id: child, workflow: loan, input: {id: "${input.id}"}, timeouts: {total: 2d}}
      - id: offer
        needs: [review]
        agent: mailer
        idempotencyKey: "offer/${input.id}"
        onUnknown: {ask: high}
        compensate: retract-offer
notifications:
  - name: desk
    url: {fromEnv: URL}
    secret: [{fromEnv: SIGNING}]
    events: [approval.*, budget.alert]
    match: {tenant: acme, tool: ["payments.*"], tier: high, workflow: loan, state: [rejected, failed]}
    format: chat
    timeout: 2s
    retry: {attempts: 3, initial: 2s, max: 10s}
    headers: {X-Team: blue, Authorization: {fromEnv: HEADER}}
    insecure: true
    link: "https://desk.example/{approval}"
    includeArguments: true
audit:
  content: digest
  signingKey: {fromEnv: AUDIT_KEY}
  exporters:
    - {name: disk, kind: file, path: /var/log/audit.jsonl, rotate: {size: 1MiB, age: 2h, files: 3}}
    - {name: out, kind: stdout, start: next, batch: {records: 5, size: 6KiB}, retry: {initial: 7s, max: 8s}}
    - name: hook
      kind: cloudevents
      url: {fromEnv: URL}
      secret: {fromEnv: SIGNING}
      headers: {X-Team: blue, Authorization: {fromEnv: HEADER}}
      timeout: 9s
    - name: collector
      kind: otlp
      url: "http://collector.example:4317"
      insecure: true
      protocol: http
      compression: none
      includeRecord: true
    - {name: spans, kind: otlp-traces, url: "http://localhost:4317", sample: 0.25}
durability: {model.call: power, tool.call: process, workflow.step: process, checkpoint: process}
limits:
  requestBytes: 1MiB
  queueDepth: 1
  budgetInstances: 2
  streams: 3
  openReservations: 4
  requestIds: 5000
  waitingCalls: 6
  keptAnswerBytes: 7KiB
  clockSkew: 8s
  sessions: 9
  toolResultBytes: 10KiB
  openToolCalls: 11
  openRuns: 12
  runBytes: 13MiB
  payloadBytes: 14KiB
  forEachItems: 15
  runDepth: 16
  openApprovals: 12
  checkpointBytes: 12KiB
  checkpointPutBytes: 13KiB
  checkpointThreads: 14
  checkpointTenantBytes: 15MiB
  consumers: 16
  consumerLag: 17
  consumerStall: 18s
  notifications: 16
reservations: {ttl: 1m, onExpiry: release, toolTtl: 2m, sessionTtl: 3d}
retention: {invocations: 8d, toolCalls: 31d, audit: {age: 200d, size: 2GiB}}
"""
COMPLETE_ENVIRONMENT = {
    **ENVIRONMENT,
    "OPERATOR": "operator-token",
    "AUDIT_KEY": SIGNING_KEY,
    "HEADER": "header-value",
    "URL": "https://desk.example/hook",
    "SIGNING": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
}


def load(text: str) -> Config:
    """The configuration of a text, secrets and expressions unchecked."""
    return Loader(None, None).load_text(text).config


def write(path: Path, text: str) -> Path:
    """Writes a file and returns its path."""
    path.write_text(text, encoding="utf-8")
    return path
