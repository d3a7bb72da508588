"""`notifications`: what is refused, what receivers are made of, and that no secret of theirs is anywhere else."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from fairlead.config import ConfigError, Loader, SecretUnavailable, canonical_json, resolve_secrets, to_engine_bytes
from fairlead.config.secrets import secret_files
from fairlead.notification.model import Retry
from fairlead.notification.receivers import receivers_of
from fairlead.v1 import audit_record_pb2
from tests.unit.config.samples import ENVIRONMENT, VALID, load, write

KEYS = [b"first-signing-key-0123456789", b"second-signing-key-0123456789"]
SIGNING = {f"SIGNING_{index}": f"whsec_{base64.b64encode(key).decode()}" for index, key in enumerate(KEYS)}
ALL = {
    **ENVIRONMENT,
    **SIGNING,
    "HEADER": "Bearer canary-header",
    "URL": "https://desk.example/canary-path",
    "BAD": "x",
}
SIGNED = "secret: {fromEnv: SIGNING_0}"


def notifying(*entries: str, more: str = "") -> str:
    return VALID + more + "notifications:\n" + "".join(f"  - {{{entry}}}\n" for entry in entries)


def entry(
    more: str = "", url: str = "https://desk.example/hook", events: str = "approval.opened", signed: str = SIGNED
) -> str:
    return ", ".join(filter(None, ["name: desk", f"url: {url!r}", f"events: {events}", signed, more]))


def refused(text: str) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        Loader(None, ALL).load_text(text)
    return {violation.path: violation.message for violation in caught.value.violations}


@pytest.mark.parametrize(
    ("written", "path", "message"),
    [
        (entry(events="approval.open"), "events[0]", "is not an event of this version: known are approval."),
        (entry(events="[]"), "events", "must not be empty"),
        (entry(events="[approval.*, approval.*]"), "events", "names something twice"),
        (entry(signed=""), "secret", "the receiver could not know who sends"),
        (entry(signed="secret: whsec_abc"), "secret", "a secret is never written into the configuration"),
        (entry(signed="secret: {fromEnv: BAD}"), "secret", "must be whsec_ and base64 of 24 to 64 random bytes"),
        (entry(signed="secret: [{fromEnv: SIGNING_0}, {fromEnv: BAD}]"), "secret[1]", "must be whsec_"),
        (entry(signed="secret: {fromEnv: MISSING}"), "secret", "environment variable MISSING is not set"),
        (entry(url="http://desk.example/hook"), "url", "is http to another machine"),
        (entry(url="http://10.1.2.3/"), "url", "is http to another machine"),
        (entry(url="http://localhost.example/"), "url", "is http to another machine"),
        (entry(url="ftp://desk.example"), "url", "is not a URL"),
        (entry(url="https://user:canary-word@desk.example"), "url", "must not contain credentials"),
        (entry(url="https://desk.example/#x"), "url", "must not have a fragment"),
        (entry(url="https://desk.example/a b"), "url", "is not a URL"),
        (entry("headers: {authorization: canary-word}"), "headers.authorization", "looks like a credential"),
        (entry("headers: {webhook-id: x}"), "headers.webhook-id", "is set by the sidecar"),
        (entry("headers: {Content-Type: x}"), "headers.Content-Type", "is set by the sidecar"),
        (entry("link: 'https://desk.example/{arguments}'"), "link", "names something unknown in braces"),
        (entry("link: 'javascript:{approval}'"), "link", "is not a URL"),
        (entry("retry: {initial: 1m, max: 1s}"), "retry.initial", "must not be longer than max"),
        (entry("retry: {attempts: 0}"), "retry.attempts", "must be at least 1"),
        (entry("timeout: 2m"), "timeout", "must be between 100ms and 1m"),
        (entry("format: slack"), "format", "must be 'fairlead' or 'chat'"),
        (entry("match: {tenant: acne}"), "match.tenant", "unknown tenant 'acne': did you mean 'acme'?"),
        (entry("match: {tier: high}"), "match.tier", "unknown approval tier 'high'"),
        (entry("match: {tool: 'a*b'}"), "match.tool[0]", "may have a * at its end only"),
        (entry("match: {agent: bot}"), "match.agent", "unknown key"),
        (entry("includeArgument: true"), "includeArgument", "did you mean includeArguments?"),
    ],
)
def test_what_is_refused(written: str, path: str, message: str) -> None:
    violations = refused(notifying(written))
    found = {
        name: text
        for name, text in violations.items()
        if name.removesuffix("[0]") == f"notifications[0].{path}".removesuffix("[0]")
    }
    assert found and message in next(iter(found.values())), violations
    assert "canary" not in str(violations)


def test_names_are_unique_and_urls_from_secrets_are_checked_as_well() -> None:
    violations = refused(notifying(entry(), entry()))
    assert "the receiver 'desk' is defined twice" in violations["notifications[1].name"]
    referred = entry().replace("'https://desk.example/hook'", "{fromEnv: PLAIN}")
    environment = {**ALL, "PLAIN": "http://desk.example/canary-path"}
    with pytest.raises(ConfigError, match="is http to another machine") as caught:
        Loader(None, environment).load_text(notifying(referred))
    assert "canary" not in str(caught.value)
    config = Loader(None, environment).load_text(notifying(referred + ", insecure: true")).config
    assert resolve_secrets(config, environment).receivers["desk"].url == "http://desk.example/canary-path"
    with pytest.raises(SecretUnavailable, match="notifications/desk/url: is http to another machine") as unavailable:
        resolve_secrets(load(notifying(referred)), environment)
    assert "canary" not in str(unavailable.value)


@pytest.mark.parametrize(
    "url", ["http://localhost:8080/x", "http://127.0.0.1/x", "http://127.8.9.1/", "http://[::1]:1/"]
)
def test_plain_http_stays_on_this_machine(url: str) -> None:
    Loader(None, ALL).load_text(notifying(entry(url=url)))


def test_what_a_receiver_is_made_of() -> None:
    whole = (
        "name: desk, url: {fromEnv: URL}, events: [approval.*, budget.alert], format: chat, timeout: 2s, "
        "secret: [{fromEnv: SIGNING_0}, {fromEnv: SIGNING_1}], "
        "match: {tenant: acme, tool: [payments.*], state: rejected}, "
        "retry: {attempts: 3, initial: 2s, max: 10s}, headers: {X-Team: blue, Authorization: {fromEnv: HEADER}}, "
        "link: 'https://desk.example/{approval}', includeArguments: true"
    )
    config = Loader(None, ALL).load_text(notifying(whole, more="limits: {notifications: 7}\n")).config
    assert config.limits.notifications == 7
    (made,) = receivers_of(config, resolve_secrets(config, ALL))
    assert (made.name, made.url, made.keys) == ("desk", ALL["URL"], tuple(KEYS))
    assert made.headers == {"x-team": "blue", "authorization": ALL["HEADER"]}
    assert (made.chat, made.timeout_seconds, made.retry) == (True, 2.0, Retry(3, 2_000, 10_000))
    assert made.include_arguments and made.link == "https://desk.example/{approval}"
    assert audit_record_pb2.EVENT_KIND_BUDGET_ALERT in made.selection.kinds
    assert made.selection.match == {
        "tenant": ("acme",), "tool": ("payments.*",), "tier": (), "workflow": (), "state": ("rejected",),
    }  # fmt: skip


def test_defaults() -> None:
    config = Loader(None, ALL).load_text(notifying(entry())).config
    (made,) = receivers_of(config, resolve_secrets(config, ALL))
    assert (made.timeout_seconds, made.retry, made.chat, made.link) == (10.0, Retry(20, 1_000, 300_000), False, None)
    assert not made.include_arguments and config.limits.notifications == 10_000
    # A chat tool knows its sender by the URL.
    chat = Loader(None, ALL).load_text(notifying(entry("format: chat", signed=""))).config
    assert receivers_of(chat, resolve_secrets(chat, ALL))[0].keys == ()


def test_secrets_are_hidden_and_the_core_gets_none(tmp_path: Path) -> None:
    file = write(tmp_path / "signing", SIGNING["SIGNING_1"] + "\n")
    headers = "headers: {authorization: {fromEnv: HEADER}}"
    whole = f"name: desk, url: {{fromEnv: URL}}, events: '*', secret: {{fromFile: {file}}}, {headers}"
    config = Loader(None, ALL).load_text(notifying(whole)).config
    resolved = resolve_secrets(config, ALL)
    assert file in secret_files(config)
    hidden = resolved.to_hide()
    for secret in (ALL["URL"], SIGNING["SIGNING_1"], SIGNING["SIGNING_1"][6:], ALL["HEADER"], "canary-header"):
        assert secret in hidden
    shown = (repr(config), canonical_json(config), repr(resolved), repr(receivers_of(config, resolved)))
    for text in (*shown, str(resolved.to_proto()), to_engine_bytes(config).decode("utf-8", "replace")):
        for canary in ("canary", SIGNING["SIGNING_1"][6:], str(KEYS[1])):
            assert canary not in text


def test_a_stored_text_from_before_there_were_receivers_has_none() -> None:
    assert load(VALID).notifications == ()
