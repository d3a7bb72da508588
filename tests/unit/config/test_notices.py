"""What has no effect is said: nobody relies on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead.cli.main import main
from fairlead.config import ConfigError, Loader
from fairlead.config.notices import NOTICES_MAX, notices
from tests.unit.config.samples import ENVIRONMENT, VALID, load

ROUTE = "  - {name: all, targets: [{model: small}]}\n"


def route(settings: str, more: str = "") -> str:
    return VALID.replace(ROUTE, f"  - {{name: all, {settings}}}\n") + more


REDACT = "policies: [{name: p, on: model.output, check: {detect: [email]}, effect: redact}]\n"
REJECT = REDACT.replace("redact", "reject")
ASK = "policies: [{name: p, on: tool.call, effect: {requireApproval: high}}]\n"
TIER = """\
operators: [{name: asha, token: {fromEnv: ASHA}, roles: [finance]}]
approvals: {tiers: [{name: high, require: [{role: finance}]}]}
"""
ESCALATING = TIER.replace(
    "finance}]}]", "finance}], onExpire: {escalateTo: last}}, {name: last, require: [{role: finance}]}]"
)
FLAG = "policies: [{name: p, on: model.output, check: {detect: [email], window: 1KiB}, effect: flag}]\n"
TARGET = "targets: [{model: small}]"
TWO = "targets: [{model: small, weight: 2}, {model: large}]"
PROXIED = VALID.replace("kind: ollama}", "kind: ollama, proxy: {url: 'http://h:1', noProxy: [%s]}}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (VALID, None),
        (route(f"{TARGET}, cache: {{ttl: 1m}}"), None),
        (route(f"{TARGET}, cache: {{ttl: 1m}}", "limits: {cacheBytes: 0B}\n"), "route all: cache has no effect"),
        (route(f"{TARGET}, cache: {{ttl: 1m}}", FLAG.replace(", window: 1KiB", "")), "route all: cache has no effect"),
        (route(f"{TARGET}, stickyBy: tenant"), "route all: stickyBy: tenant has no effect"),
        (route(f"{TARGET}, stickyBy: session"), None),
        (route(f"{TWO}, stickyBy: tenant"), None),
        (route("targets: [{model: small, weight: 2}]"), "route all: weight has no effect"),
        (route(f"{TARGET}, fallback: {{chain: [small]}}"), "route all: fallback has no effect"),
        (route(f"{TARGET}, fallback: {{chain: [small, large]}}"), None),
        (route(f"{TWO}, fallback: {{chain: [small]}}"), None),
        (route(f"{TARGET}, fallback: {{chain: [large], on: [5xx, rejected]}}"), "route all: fallback.on: rejected has"),
        (route(f"{TARGET}, fallback: {{chain: [large], on: [rejected]}}", REDACT), "route all: fallback.on: rejected"),
        (route(f"{TARGET}, fallback: {{chain: [large], on: [rejected]}}", REJECT), None),
        (route(f"{TARGET}, fallback: {{chain: [large]}}"), None),
        (VALID + TIER, "approval tier high: nobody is asked"),
        (VALID + TIER + ASK, None),
        (VALID + ESCALATING + ASK, None),
        (VALID + TIER + "budgets: [{name: b, limit: {tokens: 1}, onExceed: {requireApproval: high}}]\n", None),
        (PROXIED % "'*'", "provider local: its proxy has no effect"),
        (PROXIED % ".internal", None),
        (VALID + FLAG, "policy p: check.window has no effect"),
        (VALID + FLAG.replace("flag", "redact"), None),
        (VALID + FLAG.replace(", window: 1KiB", ""), None),
        (VALID + "retention: {audit: {size: 4GiB}}\n", None),
        (VALID + "retention: {audit: {size: 1GiB}}\n", "retention.audit.size does not bound the log"),
        (VALID + "retention: {audit: {size: 1GiB}}\nlimits: {consumerLag: 500000}\n", None),
    ],
    ids=range(27),
)  # fmt: skip
def test_what_has_no_effect_is_said_and_nothing_else(text: str, said: str | None) -> None:
    found = notices(load(text))
    assert len(found) == (said is not None)
    assert said is None or found[0].startswith(said)


def test_what_the_running_configuration_said_is_not_said_again() -> None:
    old = load(route(f"{TARGET}, stickyBy: tenant"))
    new = load(route(f"{TARGET}, stickyBy: tenant, fallback: {{chain: [small]}}", 'listen: {agent: "127.0.0.1:1"}\n'))
    assert [notice.partition(":")[0] for notice in notices(new, old)] == [
        "changes of `listen` take effect at the next start", "route all"
    ]  # fmt: skip
    assert "fallback" in notices(new, old)[1]


def test_there_are_never_more_than_somebody_reads() -> None:
    routes = "".join(
        ROUTE.replace("name: all", f"name: r{number}").replace("}]}", "}], stickyBy: agent}") for number in range(99)
    )
    assert len(notices(load(VALID.replace(ROUTE, routes)))) == NOTICES_MAX


def test_books_that_no_price_comes_from_are_said_by_validate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "f.yaml"
    for model, said in (("", "note: prices.files has no effect: every model has a price of its own\n"),
                        ("  - {name: free, provider: local}\n", "")):  # fmt: skip
        file.write_text(VALID.replace("routes:\n", f"{model}routes:\n") + "prices: {files: [starter]}\n")
        assert main(["config", "validate", "--no-secrets", str(file)]) == 0
        assert capsys.readouterr().err == said


@pytest.mark.parametrize(
    ("names", "wrong"),
    [
        (["payments.refund", "payments.*", "*"], []),
        (["payments.*", "payments.refund"], [1]),
        (["*", "a", "b*"], [1, 2]),
        (["a*", "ab*", "abc", "b"], [1, 2]),
        (["a*", "a"], [1]),
        (["ab*", "a*", "a"], [2]),
    ],
)
def test_a_tool_that_an_earlier_pattern_hides_is_refused(names: list[str], wrong: list[int]) -> None:
    """Its author means another risk than the one that a call would have."""
    entries = ", ".join(f'{{name: "{name}", effect: read, risk: low}}' for name in names)
    loader = Loader(None, ENVIRONMENT)
    if not wrong:
        loader.load_text(f"{VALID}tools: [{entries}]\n")
        return
    with pytest.raises(ConfigError) as caught:
        loader.load_text(f"{VALID}tools: [{entries}]\n")
    assert [violation.path for violation in caught.value.violations] == [f"tools[{index}].name" for index in wrong]
    assert "never counts" in caught.value.violations[0].message
