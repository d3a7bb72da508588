"""Rules on `model.output`: what a configuration may say, and what the native core gets of it."""

from __future__ import annotations

import pytest

from fairlead.config import ConfigError, Loader, canonical_json, from_canonical
from fairlead.config.engine import to_engine
from fairlead.internal.v1 import engine_config_pb2 as pb
from tests.unit.config.samples import ENVIRONMENT, VALID, load


def text(effect: str, check: str, more: str = "") -> str:
    return f"{VALID}policies: [{{name: p, on: model.output, {more}check: {check}, effect: {effect}}}]\n"


def violations(source: str) -> list[tuple[str, str]]:
    with pytest.raises(ConfigError) as caught:
        Loader(None, ENVIRONMENT).load_text(source)
    return [(violation.path, violation.message) for violation in caught.value.violations]


def test_a_rule_reaches_the_core_whole() -> None:
    check = "{schema: {type: object}, patterns: ['a+', b], detect: [secrets, email], maxBytes: 4KiB, window: 1KiB}"
    (rule,) = to_engine(load(text("reject", check, "match: {model: 'gpt*'}, when: 'true', "))).policies
    assert (rule.on, rule.effect, list(rule.match.models), rule.when) == (
        "model.output",
        pb.EFFECT_REJECT,
        ["gpt*"],
        "true",
    )
    assert rule.output == pb.OutputCheck(
        json_schema='{"type":"object"}',
        patterns=["a+", "b"],
        detectors=["secrets", "email"],
        max_bytes=4096,
        window_bytes=1024,
    )


@pytest.mark.parametrize(
    ("effect", "expected"),
    [("redact", pb.EFFECT_REDACT), ("reject", pb.EFFECT_REJECT), ("flag", pb.EFFECT_FLAG)],
)
def test_every_effect_of_an_output_rule(effect: str, expected: pb.Effect) -> None:
    (rule,) = to_engine(load(text(effect, "{detect: [pii]}"))).policies
    assert rule.effect == expected
    assert rule.output.window_bytes == 256


def test_rules_on_calls_have_no_check() -> None:
    (rule,) = to_engine(load(f"{VALID}policies: [{{name: p, on: model.call, effect: deny}}]\n")).policies
    assert not rule.HasField("output")


def test_the_canonical_form_reads_back() -> None:
    config = load(text("flag", "{schema: {minimum: 0.5}, patterns: ['x\\d'], window: 64B}"))
    assert canonical_json(from_canonical(canonical_json(config))) == canonical_json(config)


@pytest.mark.parametrize(
    ("source", "path", "message"),
    [
        (text("deny", "{detect: [pii]}"), "policies[0].effect", "write redact, reject or flag"),
        (text("redact", "{}"), "policies[0].check", "looks for nothing"),
        (text("redact", "{schema: {type: object}}"), "policies[0].check.schema", "no part can be redacted"),
        (text("redact", "{maxBytes: 1KiB}"), "policies[0].check.maxBytes", "no part can be redacted"),
        (text("flag", "{detect: [E-Mail]}"), "policies[0].check.detect[0]", "must start with"),
        (text("flag", "{detect: [pii], window: 1MiB}"), "policies[0].check.window", "between 64B and 64KiB"),
        (text("flag", "{detect: [pii]}", "match: {tool: x}, "), "policies[0].match.tool", "tool.call only"),
        (
            f"{VALID}policies: [{{name: p, on: model.output, effect: flag}}]\n",
            "policies[0].check",
            "is missing",
        ),
        (
            f"{VALID}policies: [{{name: p, on: model.call, effect: redact}}]\n",
            "policies[0].effect",
            "is for on: model.output only",
        ),
        (
            f"{VALID}policies: [{{name: p, on: model.call, check: {{detect: [pii]}}, effect: deny}}]\n",
            "policies[0].check",
            "is for on: model.output only",
        ),
    ],
)
def test_what_makes_no_sense_is_named(source: str, path: str, message: str) -> None:
    found = violations(source)
    assert any(where == path and message in what for where, what in found), found
