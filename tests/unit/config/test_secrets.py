"""Secrets are read from their places, and appear nowhere else."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest
from pydantic import ValidationError

from fairlead.config import (
    Config,
    ConfigError,
    Loader,
    SecretUnavailable,
    canonical_json,
    resolve_secrets,
    to_engine_bytes,
)
from fairlead.config.secrets import secret_files
from tests.unit.config.samples import (
    COMPLETE,
    COMPLETE_ENVIRONMENT,
    ENVIRONMENT,
    SIGNING_KEY,
    VALID,
    load,
    write,
)

SECRET = "sk-very-secret-4711"


def test_every_secret_has_its_name() -> None:
    resolved = resolve_secrets(load(COMPLETE), COMPLETE_ENVIRONMENT)
    assert dict(resolved.to_proto().values) == {
        "tenants/acme/agents/bot": "agent-token",
        "providers/openai": "provider-key",
        "providers/openai/headers/x-gateway-key": "header-value",
    }
    assert resolved.operators == {"asha": "operator-token"}


def test_values_are_read_anew_every_time_without_the_line_end(tmp_path: Path) -> None:
    file = write(tmp_path / "token", f"{SECRET}\n")
    config = load(VALID.replace("fromEnv: TOKEN", f"fromFile: {file}"))
    assert resolve_secrets(config, {}).values["tenants/acme/agents/bot"] == SECRET
    write(file, "rotated\r\n")
    assert resolve_secrets(config, {}).values["tenants/acme/agents/bot"] == "rotated"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"two\nlines", "cannot be sent in a header"),
        ("sk-ä".encode(), "cannot be sent in a header"),
        (b"x" * 70_000, "is larger than"),
    ],
)
def test_a_file_that_holds_no_credential_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    text = VALID.replace("fromEnv: TOKEN", f"fromFile: {file}")
    with pytest.raises(ConfigError, match=message):
        Loader(None, {}).load_text(text)
    with pytest.raises(SecretUnavailable, match=message):
        resolve_secrets(load(text), {})


def test_a_signing_key_is_read_whole_and_hidden(tmp_path: Path) -> None:
    file = write(tmp_path / "key.pem", SIGNING_KEY)
    text = f"{VALID}audit: {{signingKey: {{fromFile: {file}}}}}\n"
    config = Loader(None, ENVIRONMENT).load_text(text).config
    resolved = resolve_secrets(config, ENVIRONMENT)
    assert resolved.signing_key == SIGNING_KEY.strip() and file in secret_files(config)
    assert SIGNING_KEY.splitlines()[1] in resolved.to_hide() and "MC4C" not in repr(resolved)
    for wrong in ("nonsense", SIGNING_KEY.replace("MC4C", "MC5C"), PUBLIC_KEY):
        file.write_text(wrong)
        with pytest.raises(ConfigError, match=r"audit\.signingKey: is not a private key in PEM"):
            Loader(None, ENVIRONMENT).load_text(text)
        with pytest.raises(SecretUnavailable, match="audit/signingKey: is not a private key in PEM"):
            resolve_secrets(config, ENVIRONMENT)


PUBLIC_KEY = """\
-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
-----END PUBLIC KEY-----
"""


def test_all_secrets_that_are_missing_are_named() -> None:
    with pytest.raises(SecretUnavailable) as caught:
        resolve_secrets(load(COMPLETE), {})
    for name in ("tenants/acme/agents/bot", "providers/openai:", "headers/x-gateway-key", "operators/asha"):
        assert name in str(caught.value)


def test_the_configuration_holds_references_only() -> None:
    config = load(COMPLETE)
    environment = {name: f"{SECRET}-{name}" for name in COMPLETE_ENVIRONMENT}
    environment |= {"URL": f"https://desk.example/{SECRET}"}
    environment |= {name: COMPLETE_ENVIRONMENT[name] for name in ("SIGNING", "AUDIT_KEY")}
    resolved = resolve_secrets(config, environment)
    assert f"{SECRET}-TOKEN" in resolved.to_proto().values.values()
    for shown in (repr(config), str(config), canonical_json(config), repr(resolved), str(resolved), f"{resolved}"):
        assert SECRET not in shown and "MC4C" not in shown
    assert SECRET.encode() not in to_engine_bytes(config)


# Where a secret may be written by mistake.
MISPLACED = [
    VALID.replace("{fromEnv: TOKEN}", SECRET),
    VALID.replace("{fromEnv: TOKEN}", f"[{SECRET}]"),
    VALID.replace("{fromEnv: TOKEN}", f"{{value: {SECRET}}}"),
    VALID.replace("fromEnv: TOKEN", f"fromEnv: '{SECRET}'"),
    VALID.replace("fromEnv: TOKEN", f"fromFile: {SECRET}"),
    VALID.replace("kind: ollama", f"kind: ollama, apiKey: {SECRET}"),
    VALID.replace("kind: ollama", f"kind: {SECRET}"),
    VALID.replace("kind: ollama", f"kind: ollama, headers: {{X-Api-Key: {SECRET}}}"),
    VALID.replace("kind: ollama", f"kind: ollama, headers: {{X-Some: [{SECRET}]}}"),
    VALID.replace("kind: ollama", f"kind: ollama, baseUrl: 'https://u:{SECRET}@host/v1'"),
    VALID.replace("kind: ollama", f"kind: ollama, baseUrl: '{SECRET}'"),
    VALID.replace("input: 2.50", f"input: {SECRET}"),
    VALID + f"limits: {SECRET}\n",
    VALID + f"budgets: [{{name: b, limit: {{usd: {SECRET}}}, window: {SECRET}}}]\n",
    VALID + f"a: [{SECRET}\n",
]


@pytest.mark.parametrize("text", MISPLACED, ids=range(len(MISPLACED)))
def test_a_secret_in_the_wrong_place_is_not_repeated_by_the_error(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Loader(None, {"TOKEN": "x"}).load_text(text)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert SECRET not in repr(caught.value.violations)


def test_the_models_own_errors_do_not_show_their_input() -> None:
    with pytest.raises(ValidationError) as caught:
        Config.model_validate({"apiVersion": "fairlead/v1", "tenants": [{"name": "a", "agents": [{"token": SECRET}]}]})
    assert SECRET not in str(caught.value)
