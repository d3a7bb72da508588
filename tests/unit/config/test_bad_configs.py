"""What is wrong with a configuration is said with file, line, path and a reason; all of it at once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fairlead.config import ConfigError, Loader, Violation
from tests.unit.config.samples import ENVIRONMENT, VALID, write

# (name, what replaces what in VALID, line, path, fragment of the message)
CASES: list[tuple[str, str, str, int, str, str]] = [
    ("version missing", "apiVersion: fairlead/v1\n", "", 1, "apiVersion", "is missing"),
    ("version unknown", "fairlead/v1", "fairlead/v9", 1, "apiVersion", "must be 'fairlead/v1'"),
    ("unknown section", "routes:", "route:", 11, "route", "unknown key: did you mean routes?"),
    (
        "unknown key",
        "provider: local, price: {input: 0.15",
        "provider: local, pricing: {input: 0.15",
        9,
        "models[0].pricing",
        "unknown key: did you mean price?",
    ),
    (
        "snake case",
        "name: local, kind: ollama",
        "name: local, kind: ollama, base_url: x",
        7,
        "providers[0].base_url",
        "did you mean baseUrl?",
    ),
    ("price missing", ", price: {input: 2.50, output: 10}", "", 10, "models[1].price", "model 'large' has no price"),
    (
        "price incomplete",
        "{input: 2.50, output: 10}",
        "{input: 2.50}",
        10,
        "models[1].price.output",
        "is missing in 'large'",
    ),
    ("price negative", "input: 2.50", "input: -2.50", 10, "models[1].price.input", "is not a price in USD per million"),
    ("price too exact", "input: 2.50", "input: 2.5000001", 10, "models[1].price.input", "more than 6 digits"),
    ("price too high", "input: 2.50", "input: 1000001", 10, "models[1].price.input", "between 0 and 1,000,000"),
    ("price not a number", "input: 2.50", "input: .nan", 10, "models[1].price.input", "is not a price"),
    (
        "provider of another dialect",
        "kind: ollama",
        "kind: gemini",
        7,
        "providers[0].kind",
        "is not available: use openai-compatible",
    ),
    ("azure without URL", "kind: ollama", "kind: azure-openai", 7, "providers[0].baseUrl", "is missing in 'local'"),
    ("kind unknown", "kind: ollama", "kind: oracle", 7, "providers[0].kind", "must be 'openai', 'anthropic', 'azure"),
    ("URL missing", "kind: ollama", "kind: openai-compatible", 7, "providers[0].baseUrl", "is missing in 'local'"),
    ("URL not one", "kind: ollama", "kind: ollama, baseUrl: localhost", 7, "providers[0].baseUrl", "is not a URL"),
    (
        "URL with password",
        "kind: ollama",
        "kind: ollama, baseUrl: 'http://u:hunter2@h/v1'",
        7,
        "providers[0].baseUrl",
        "must not contain credentials",
    ),
    ("key of OpenAI missing", "kind: ollama", "kind: openai", 7, "providers[0]", "has no apiKey"),
    (
        "reserved header",
        "kind: ollama",
        "kind: ollama, headers: {Host: x}",
        7,
        "providers[0].headers.Host",
        "is set by the sidecar",
    ),
    (
        "literal credential",
        "kind: ollama",
        "kind: ollama, headers: {X-Api-Key: abc}",
        7,
        "providers[0].headers.x-api-key",
        "looks like a credential",
    ),
    ("token literal", "{fromEnv: TOKEN}", "sk-live-4711", 5, "tenants[0].agents[0].token", "must be {fromEnv: NAME}"),
    (
        "token twice",
        "{fromEnv: TOKEN}",
        "{fromEnv: TOKEN, fromFile: /x}",
        5,
        "tenants[0].agents[0].token",
        "exactly one of fromEnv or fromFile",
    ),
    ("token of nowhere", "{fromEnv: TOKEN}", "{}", 5, "tenants[0].agents[0].token", "exactly one of"),
    (
        "variable not set",
        "fromEnv: TOKEN",
        "fromEnv: NOT_SET",
        5,
        "tenants[0].agents[0].token",
        "environment variable NOT_SET is not set",
    ),
    ("variable empty", "fromEnv: TOKEN", "fromEnv: EMPTY", 5, "tenants[0].agents[0].token", "EMPTY is empty"),
    (
        "file missing",
        "fromEnv: TOKEN",
        "fromFile: /nowhere/token",
        5,
        "tenants[0].agents[0].token",
        "file /nowhere/token cannot be read: No such file",
    ),
    ("file relative", "fromEnv: TOKEN", "fromFile: token", 5, "tenants[0].agents[0].token.fromFile", "absolute path"),
    (
        "same token twice",
        "- {name: bot, token: {fromEnv: TOKEN}}",
        "- {name: bot, token: {fromEnv: TOKEN}}\n      - {name: b2, token: {fromEnv: TOKEN}}",
        6,
        "tenants[0].agents[1].token",
        "is the same credential as tenants[0].agents[0].token",
    ),
    (
        "unknown provider",
        "provider: local, price: {input: 2.50",
        "provider: lokal, price: {input: 2.50",
        10,
        "models[1].provider",
        "unknown provider 'lokal': did you mean 'local'?",
    ),
    ("unknown target", "model: small", "model: tiny", 12, "routes[0].targets[0].model", "unknown model 'tiny'"),
    (
        "unknown fallback",
        "targets: [{model: small}]",
        "targets: [{model: small}], fallback: {chain: [x]}",
        12,
        "routes[0].fallback.chain[0]",
        "unknown model 'x'",
    ),
    (
        "unknown candidate",
        "targets: [{model: small}]",
        "select: best, candidates: [small, y]",
        12,
        "routes[0].candidates[1]",
        "unknown model 'y'",
    ),
    (
        "unknown tenant",
        "targets: [{model: small}]",
        "match: {tenant: acne}, targets: [{model: small}]",
        12,
        "routes[0].match.tenant",
        "unknown tenant 'acne': did you mean 'acme'?",
    ),
    (
        "unknown agent in list",
        "targets: [{model: small}]",
        "match: {agent: [bot, bat]}, targets: [{model: small}]",
        12,
        "routes[0].match.agent[1]",
        "unknown agent 'bat'",
    ),
    ("name twice", "name: large", "name: small", 10, "models[1].name", "defined twice: first as models[0]"),
    ("weight zero", "{model: small}", "{model: small, weight: 0}", 12, "routes[0].targets[0].weight", "at least 1"),
    (
        "weight fraction",
        "{model: small}",
        "{model: small, weight: 0.5}",
        12,
        "routes[0].targets[0].weight",
        "must be a whole number",
    ),
    (
        "weight of text",
        "{model: small}",
        "{model: small, weight: '7'}",
        12,
        "routes[0].targets[0].weight",
        "must be a whole number",
    ),
    ("targets empty", "[{model: small}]", "[]", 12, "routes[0].targets", "must not be empty"),
    (
        "targets repeated",
        "[{model: small}]",
        "[{model: small}, {model: small}]",
        12,
        "routes[0].targets",
        "names a model twice",
    ),
    ("route to nowhere", ", targets: [{model: small}]", "", 12, "routes[0]", "leads nowhere"),
    (
        "route both ways",
        "targets: [{model: small}]",
        "targets: [{model: small}], select: best, candidates: [small]",
        12,
        "routes[0]",
        "has both targets and a selection",
    ),
    (
        "select missing",
        "targets: [{model: small}]",
        "candidates: [small]",
        12,
        "routes[0]",
        "has candidates and no select",
    ),
    (
        "trigger unknown",
        "targets: [{model: small}]",
        "targets: [{model: small}], fallback: {chain: [large], on: [429, 404]}",
        12,
        "routes[0].fallback.on[1]",
        "is not a reason to fall back",
    ),
    (
        "duration without unit",
        "targets: [{model: small}]",
        "targets: [{model: small}], timeout: 30",
        12,
        "routes[0].timeout",
        "is not a duration",
    ),
    (
        "duration out of bounds",
        "targets: [{model: small}]",
        "targets: [{model: small}], timeout: 3d",
        12,
        "routes[0].timeout",
        "between 1ms and 24h",
    ),
    (
        "backoff upside down",
        "targets: [{model: small}]",
        "targets: [{model: small}], retry: {backoff: {initial: 9s, max: 1s}}",
        12,
        "routes[0].retry.backoff.initial",
        "must not be longer than max",
    ),
    (
        "answer larger than context",
        "name: large, ",
        "name: large, contextTokens: 100, maxOutputTokens: 101, ",
        10,
        "models[1].maxOutputTokens",
        "must not be more than contextTokens",
    ),
    (
        "label not a string",
        "name: large, ",
        "name: large, labels: {tier: 1}, ",
        10,
        "models[1].labels.tier",
        "must be a string: quote it",
    ),
    (
        "glob in the middle",
        "targets: [{model: small}]",
        "match: {model: 'a*b'}, targets: [{model: small}]",
        12,
        "routes[0].match.model",
        "may have a * at its end only",
    ),
    ("section without value", "routes:\n", "limits:\nroutes:\n", 11, "limits", "has no value"),
    ("section of a wrong kind", "routes:\n", "limits: [1]\nroutes:\n", 11, "limits", "must be a mapping"),
    ("duplicate key", "kind: ollama", "kind: ollama, kind: openai", 7, "providers[0].kind", "is given twice"),
    ("merge key", "kind: ollama", "kind: ollama, <<: {a: b}", 7, "providers[0]", "merge keys are not supported"),
    ("key not a string", "kind: ollama", "kind: ollama, 7: x", 7, "providers[0]", "not a string: quote it"),
]

ADDED: list[tuple[str, str, str, str]] = [
    ("budget without limit", "budgets: [{name: b, limit: {}}]", "budgets[0].limit", "limits nothing"),
    ("budget too exact", "budgets: [{name: b, limit: {usd: 0.0000000001}}]", "budgets[0].limit.usd", "than 9 digits"),
    ("budget zero", "budgets: [{name: b, limit: {usd: 0}}]", "budgets[0].limit.usd", "more than 0"),
    ("budget in words", "budgets: [{name: b, limit: {usd: five}}]", "budgets[0].limit.usd", "is not an amount of USD"),
    ("scope", "budgets: [{name: b, scope: [planet], limit: {tokens: 1}}]", "budgets[0].scope[0]", "is not a dimension"),
    ("window", "budgets: [{name: b, limit: {tokens: 1}, window: year}]", "budgets[0].window", "must be 'lifetime'"),
    ("rolling", "budgets: [{name: b, limit: {tokens: 1}, window: {rolling: 1}}]", "budgets[0].window.rolling",
     "is not a duration"),
    ("downgrade to nothing", "budgets: [{name: b, limit: {tokens: 1}, onExceed: {downgradeTo: x}}]",
     "budgets[0].onExceed.downgradeTo", "unknown model 'x'"),
    ("approval", "budgets: [{name: b, limit: {tokens: 1}, onExceed: {requireApproval: high}}]",
     "budgets[0].onExceed.requireApproval", "unknown approval tier 'high'"),
    ("alert", "budgets: [{name: b, limit: {tokens: 1}, alertAt: [0]}]", "budgets[0].alertAt[0]", "at least 1"),
    ("rate without limit", "rateLimits: [{name: r}]", "rateLimits[0]", "limits nothing"),
    ("burst alone", "rateLimits: [{name: r, concurrent: 1, burstRequests: 2}]", "rateLimits[0].burstRequests",
     "needs requestsPerMinute"),
    ("throttle", "policies: [{name: p, on: model.call, effect: throttle}]", "policies[0].effect",
     "throttle is not available in this version"),
    ("approval in short", "policies: [{name: p, on: model.call, effect: requireApproval}]", "policies[0].effect",
     "requireApproval needs a tier"),
    ("no effect", "policies: [{name: p, on: model.call}]", "policies[0].effect", "is missing in 'p'"),
    ("invariant", "policies: [{name: p, on: model.call, effect: allow, invariant: true}]", "policies[0].invariant",
     "is for effect: deny only"),
    ("empty constraint", "policies: [{name: p, on: model.call, effect: {constrain: {}}}]",
     "policies[0].effect.constrain", "constrains nothing"),
    ("workflow of nowhere", "workflows: [{file: loan.yaml}]", "workflows[0].file", "loan.yaml cannot be read: No such"),
    ("tools by default", "defaults: {tool.call: ask}", "defaults.tool.call", "must be 'allow' or 'deny'"),
    ("content", "audit: {content: full}", "audit.content", "is not available in this version"),
    ("size", "limits: {requestBytes: 8MB}", "limits.requestBytes", "is not a size"),
    ("bound", "limits: {queueDepth: 0}", "limits.queueDepth", "at least 1"),
    ("address", "listen: {agent: localhost}", "listen.agent", "is not an address"),
    ("operator TCP without operators", "listen: {operator: {tcp: {address: 'h:1', tls: {certFile: /c, keyFile: /k}}}}",
     "listen.operator.tcp", "needs at least one entry"),
]  # fmt: skip


def violations(text: str) -> tuple[Violation, ...]:
    with pytest.raises(ConfigError) as caught:
        Loader(None, {**ENVIRONMENT, "EMPTY": " "}).load_text(text, "fairlead.yaml")
    return caught.value.violations


@pytest.mark.parametrize(
    ("old", "new", "line", "path", "message"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_a_broken_value_is_named_with_line_path_and_reason(
    old: str, new: str, line: int, path: str, message: str
) -> None:
    assert old in VALID
    found = violations(VALID.replace(old, new, 1))
    assert [(v.file, v.line, v.path) for v in found if message in v.message] == [("fairlead.yaml", line, path)], found


@pytest.mark.parametrize(("added", "path", "message"), [case[1:] for case in ADDED], ids=[case[0] for case in ADDED])
def test_a_broken_section_is_named_with_line_path_and_reason(added: str, path: str, message: str) -> None:
    found = violations(VALID + added + "\n")
    assert [(v.line, v.path) for v in found] == [(13, path)], found
    assert message in found[0].message


def test_every_stage_reports_although_the_ones_before_it_found_something() -> None:
    def native(_: bytes) -> list[tuple[str, str]]:
        return [("routes[1].when", "no such field: request.modle")]

    text = VALID.replace("fromEnv: TOKEN", "fromEnv: NOT_SET").replace("input: 2.50", "input: free")
    text += """\
  - {name: broken, targets: []}
  - {name: typed, when: request.modle == 'x', targets: [{model: tiny}]}
  - {name: upside-down, targets: [{model: large}], retry: {backoff: {initial: 9s, max: 1s}}}
"""
    with pytest.raises(ConfigError) as caught:
        Loader(native, ENVIRONMENT).load_text(text)
    # Index 1 of what the core saw is index 2 of the file: `broken` was left out. `large` was left out as well, but it
    # is written there, so it is not reported as unknown.
    assert [(v.line, v.path) for v in caught.value.violations] == [
        (5, "tenants[0].agents[0].token"),
        (10, "models[1].price.input"),
        (13, "routes[1].targets"),
        (14, "routes[2].targets[0].model"),
        (14, "routes[2].when"),
        (15, "routes[3].retry.backoff.initial"),
    ]


def test_the_native_cores_findings_have_file_and_line_and_are_not_repeated() -> None:
    def native(_: bytes) -> list[tuple[str, str]]:
        return [("routes[0].targets[0].weight", "core: must be positive"), ("routes[0]", "core: unreachable")]

    with pytest.raises(ConfigError) as caught:
        Loader(native, ENVIRONMENT).load_text(VALID, "f.yaml")
    assert [str(v) for v in caught.value.violations] == [
        "f.yaml:12: routes[0]: core: unreachable",
        "f.yaml:12: routes[0].targets[0].weight: core: must be positive",
    ]
    assert [v.message for v in violations(VALID.replace("{model: small}", "{model: small, weight: 0}"))] == [
        "must be at least 1"
    ]


def test_a_directory_is_one_configuration(tmp_path: Path) -> None:
    head, models, rest = VALID.partition("models:\n")
    write(tmp_path / "10-base.yaml", head)
    write(tmp_path / "20-models.yaml", models + rest)
    write(tmp_path / "30-more.yaml", "models:\n  - {name: third, provider: nobody, price: {input: 0, output: 0}}\n")
    write(tmp_path / "notes.txt", "not: [yaml")
    (tmp_path / "..data").mkdir()
    with pytest.raises(ConfigError) as caught:
        Loader(None, ENVIRONMENT).load(tmp_path)
    assert [str(v) for v in caught.value.violations] == [
        f"{tmp_path}/30-more.yaml:2: models[2].provider: unknown provider 'nobody': no provider has this name"
    ]
    write(tmp_path / "30-more.yaml", "apiVersion: fairlead/v2\nlimits: {streams: 1}\n")
    write(tmp_path / "40-again.yaml", "limits: {streams: 2}\nmodels: {}\n")
    with pytest.raises(ConfigError) as caught:
        Loader(None, ENVIRONMENT).load(tmp_path)
    assert [str(v) for v in caught.value.violations] == [
        f"{tmp_path}/30-more.yaml:1: apiVersion: contradicts {tmp_path}/10-base.yaml:1",
        f"{tmp_path}/40-again.yaml:1: limits.streams: contradicts {tmp_path}/30-more.yaml:2",
        f"{tmp_path}/40-again.yaml:2: models: contradicts {tmp_path}/20-models.yaml:1",
    ]


def test_the_same_split_into_files_or_documents_is_the_same_version(tmp_path: Path) -> None:
    head, models, rest = VALID.partition("models:\n")
    write(tmp_path / "a.yaml", head)
    write(tmp_path / "b.yaml", models + rest)
    loader = Loader(None, ENVIRONMENT)
    whole = loader.load_text(VALID)
    assert loader.load(tmp_path).version == whole.version
    assert loader.load_text(f"---\n{head}---\n{models}{rest}").version == whole.version


def test_an_unreadable_file_of_several_is_the_only_thing_reported(tmp_path: Path) -> None:
    head, models, rest = VALID.partition("providers:\n")
    write(tmp_path / "a.yaml", head + "x: [\n")
    write(tmp_path / "b.yaml", models + rest)
    with pytest.raises(ConfigError) as caught:
        Loader(None, ENVIRONMENT).load(tmp_path)
    assert [(Path(v.file).name, v.path) for v in caught.value.violations] == [("a.yaml", "")]


def test_a_missing_file_and_an_empty_directory_are_violations(tmp_path: Path) -> None:
    for path, message in ((tmp_path / "none.yaml", "cannot be read: No such file"), (tmp_path, "has no *.yaml files")):
        with pytest.raises(ConfigError, match=re.escape(message)) as caught:
            Loader(None).load(path)
        assert len(caught.value.violations) == 1
