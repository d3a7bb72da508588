"""Kinds of providers, what follows from each, and how they are reached: proxies and certificates."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

import pytest
import trustme

from fairlead.config import ConfigError, Loader, canonical_json, from_canonical, resolve_secrets, to_engine
from fairlead.config.secrets import files, secret_files
from fairlead.config.service import SOURCE_CERTIFICATES, ConfigurationService
from fairlead.control.errors import Refusal
from fairlead.internal.v1 import engine_config_pb2 as pb
from fairlead.v1 import model_service_pb2
from tests.unit.config.fakes import FakeCore, FakeStore
from tests.unit.config.samples import load, write

CHAT = model_service_pb2.DIALECT_OPENAI_CHAT
RESPONSES = model_service_pb2.DIALECT_OPENAI_RESPONSES
MESSAGES = model_service_pb2.DIALECT_ANTHROPIC_MESSAGES
KEY = "apiKey: {fromEnv: KEY}"


def text(provider: str) -> str:
    return f"apiVersion: fairlead/v1\nproviders:\n  - {{name: p, {provider}}}\n"


def engine(provider: str) -> pb.Provider:
    (found,) = to_engine(load(text(provider))).providers
    return found


@pytest.mark.parametrize(
    ("provider", "kind", "url", "dialects"),
    [
        (f"kind: openai, {KEY}", pb.PROVIDER_KIND_OPENAI, "https://api.openai.com/v1", [CHAT, RESPONSES]),
        (f"kind: anthropic, {KEY}", pb.PROVIDER_KIND_ANTHROPIC, "https://api.anthropic.com/v1", [MESSAGES]),
        ("kind: ollama", pb.PROVIDER_KIND_OLLAMA, "http://localhost:11434/v1", [CHAT]),
        ("kind: openai-compatible, baseUrl: 'http://h/x'", pb.PROVIDER_KIND_OPENAI_COMPATIBLE, "http://h/x", [CHAT]),
        (
            f"kind: azure-openai, baseUrl: 'https://n.openai.azure.com/', {KEY}",
            pb.PROVIDER_KIND_AZURE_OPENAI,
            "https://n.openai.azure.com/openai/v1",
            [CHAT, RESPONSES],
        ),
        (
            f"kind: azure-openai, baseUrl: 'https://n.openai.azure.com', apiVersion: 2024-10-21, {KEY}",
            pb.PROVIDER_KIND_AZURE_OPENAI,
            "https://n.openai.azure.com",
            [CHAT],
        ),
        (
            "kind: ollama, dialects: [anthropic-messages, openai-chat]",
            pb.PROVIDER_KIND_OLLAMA,
            "http://localhost:11434/v1",
            [MESSAGES, CHAT],
        ),
    ],
)
def test_url_and_dialects_follow_from_the_kind(
    provider: str, kind: pb.ProviderKind, url: str, dialects: list[model_service_pb2.Dialect]
) -> None:
    found = engine(provider)
    assert (found.kind, found.base_url, list(found.dialects)) == (kind, url, dialects)


def test_the_version_of_azures_dated_api_reaches_the_core() -> None:
    azure = f"kind: azure-openai, baseUrl: 'https://n.openai.azure.com', {KEY}"
    assert engine(f"{azure}, apiVersion: 2024-10-21").api_version == "2024-10-21"
    assert engine(azure).api_version == ""


@pytest.mark.parametrize(
    ("provider", "path", "message"),
    [
        ("kind: anthropic", "", "has no apiKey, and api.anthropic.com answers no call without one"),
        ("kind: azure-openai, baseUrl: 'https://n.openai.azure.com'", "", "has no apiKey, and n.openai.azure.com"),
        (f"kind: anthropic, dialects: [openai-chat], {KEY}", ".dialects[0]", "kind anthropic does not speak it"),
        (f"kind: openai, dialects: [anthropic-messages], {KEY}", ".dialects[0]", "known are openai-chat, openai-resp"),
        ("kind: ollama, dialects: []", ".dialects", "must not be empty"),
        ("kind: ollama, dialects: [openai-chat, openai-chat]", ".dialects", "names something twice"),
        ("kind: ollama, dialects: [grpc]", ".dialects[0]", "must be 'openai-chat', 'openai-responses' or"),
        ("kind: ollama, apiVersion: 2024-10-21", ".apiVersion", "is for kind azure-openai only"),
        (
            "kind: azure-openai, baseUrl: 'https://h/openai/v1', apiVersion: 2024-10-21",
            ".baseUrl",
            "must end before /openai when apiVersion is given",
        ),
        (
            "kind: azure-openai, baseUrl: 'https://h', apiVersion: 2024-10-21, dialects: [openai-responses]",
            ".dialects",
            "with apiVersion only openai-chat is served",
        ),
        ("kind: azure-openai, baseUrl: 'https://h', apiVersion: 'a b'", ".apiVersion", "must be a date such as"),
        (
            f"kind: anthropic, {KEY}, headers: {{X-Api-Key: {{fromEnv: KEY}}}}",
            ".headers.x-api-key",
            "is set by the sidecar: write apiKey",
        ),
        ("kind: ollama, proxy: {}", ".proxy.url", "is missing in 'p': http://HOST:PORT"),
        ("kind: ollama, proxy: {url: 'socks5://h:1'}", ".proxy.url", "is not the URL of an HTTP proxy"),
        ("kind: ollama, proxy: {url: 'http://h'}", ".proxy.url", "write http://HOST:PORT"),
        ("kind: ollama, proxy: {url: 'http://u:hunter2@h:1'}", ".proxy.url", "must not contain credentials"),
        ("kind: ollama, proxy: {url: 'http://h:1', username: me}", ".proxy", "both username and password"),
        ("kind: ollama, proxy: {url: 'http://h:1', username: 'a:b'}", ".proxy.username", "without a colon"),
        ("kind: ollama, proxy: {url: 'http://h:1', password: hunter2}", ".proxy.password", "must be {fromEnv: NAME}"),
        (
            "kind: ollama, proxy: {url: 'http://h:1', username: me, password: {fromEnv: KEY}, "
            "authorization: {fromEnv: KEY}}",
            ".proxy.authorization",
            "cannot be given beside username and password",
        ),
        ("kind: ollama, proxy: {url: 'http://h:1', noProxy: ['a*']}", ".proxy.noProxy[0]", "is not a host"),
        ("kind: ollama, tls: {caFile: ca.pem}", ".tls.caFile", "must be an absolute path"),
        ("kind: ollama, tls: {caFile: /nowhere/ca.pem}", ".tls", "has no effect: baseUrl is not an https URL"),
    ],
)
def test_what_does_not_go_together_is_a_violation(provider: str, path: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Loader(None, None).load_text(text(provider))
    assert f"providers[0]{path}" in [found.path for found in caught.value.violations], caught.value
    assert message in str(caught.value)
    assert "hunter2" not in str(caught.value)


# Proxies -------------------------------------------------------------------------------------------------------------


def test_a_proxys_user_and_password_become_the_header_it_asks_for() -> None:
    proxy = "proxy: {url: 'http://proxy.corp:3128/', username: me, password: {fromEnv: P}, noProxy: [.Internal, '*']}"
    config = load(text(f"kind: ollama, {proxy}"))
    found = to_engine(config).providers[0].proxy
    assert (found.url, list(found.no_proxy)) == ("http://proxy.corp:3128", [".internal", "*"])
    header = "Basic " + base64.b64encode(b"me:hunter2").decode()
    assert resolve_secrets(config, {"P": "hunter2"}).values == {"providers/p/proxy/authorization": header}


def test_a_proxys_password_may_be_any_text_and_is_hidden_as_it_is_and_as_it_is_sent(tmp_path: Path) -> None:
    proxied = text("kind: ollama, proxy: {url: 'http://h:1', username: me, password: {fromEnv: P}}")
    for password in ("correct horse battery", " led by a space", "пароль-日本"):
        environ = {"P": password}
        config = Loader(None, environ).load_text(proxied).config
        resolved = resolve_secrets(config, environ)
        header = "Basic " + base64.b64encode(f"me:{password}".encode()).decode()
        assert resolved.values == {"providers/p/proxy/authorization": header}
        assert set(resolved.to_hide()) == {header, password}
        assert password not in repr(resolved)
    file = tmp_path / "password"
    file.write_text("zwei Wörter\r\n")
    from_file = load(proxied.replace("fromEnv: P", f"fromFile: {file}"))
    assert resolve_secrets(from_file, {}).passwords == ("zwei Wörter",)
    for bad in ("two\nlines", "a\x00b", ""):
        with pytest.raises(ConfigError) as caught:
            Loader(None, {"P": bad}).load_text(proxied)
        assert [found.path for found in caught.value.violations] == ["providers[0].proxy.password"]


def test_a_whole_proxy_header_may_have_a_space_and_nothing_else_may() -> None:
    both = text("kind: ollama, apiKey: {fromEnv: K}, proxy: {url: 'http://h:1', authorization: {fromEnv: P}}")
    resolved = resolve_secrets(load(both), {"K": "key", "P": "Bearer abc"})
    assert resolved.values["providers/p/proxy/authorization"] == "Bearer abc"
    with pytest.raises(ConfigError) as caught:
        Loader(None, {"K": "a key", "P": "Bearer abc"}).load_text(both)
    assert [found.path for found in caught.value.violations] == ["providers[0].apiKey"]


# Certificates --------------------------------------------------------------------------------------------------------


def pem(name: str) -> str:
    return trustme.CA(organization_name=name).cert_pem.bytes().decode()


def trusting(file: Path) -> str:
    return text(f"kind: openai-compatible, baseUrl: 'https://h/v1', tls: {{caFile: {file}}}")


def test_certificates_reach_the_core_and_are_no_part_of_the_configuration(tmp_path: Path) -> None:
    file = write(tmp_path / "ca.pem", pem("one"))
    loaded = Loader(None, {}).load_text(trusting(file))
    trusted = resolve_secrets(loaded.config, {}).trusted
    assert to_engine(loaded.config, trusted=trusted).providers[0].ca_pem == file.read_text()
    assert "BEGIN" not in canonical_json(loaded.config)
    assert from_canonical(canonical_json(loaded.config)) == loaded.config
    assert secret_files(loaded.config) == {file}
    assert files({"providers": [{"tls": {"caFile": str(file)}}, {"tls": {"caFile": 7}}, {"tls": None}]}) == {file}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds no PEM certificates"),
        ("-----BEGIN CERTIFICATE-----\nbm90IG9uZQ==\n-----END CERTIFICATE-----\n", "holds no PEM certificates"),
        ("-----BEGIN PRIVATE KEY-----\nhunter2\n", "holds a private key"),
        ("x" * (1 << 20) + "y", "is larger than"),
        (None, "cannot be read: No such file"),
    ],
)
def test_a_file_without_certificates_is_a_violation(tmp_path: Path, content: str | None, message: str) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError, match=message) as caught:
        Loader(None, {}).load_text(trusting(file))
    assert [found.path for found in caught.value.violations] == ["providers[0].tls.caFile"]
    assert "hunter2" not in str(caught.value)
    Loader(None, None).load_text(trusting(file))


def test_other_certificates_are_applied_and_recorded_and_broken_ones_change_nothing(tmp_path: Path) -> None:
    file = write(tmp_path / "ca.pem", pem("one"))
    store, loader = FakeStore(), Loader(None, {})
    core, loaded = FakeCore(store), loader.load_text(trusting(file))
    trusted = loader.resolve_secrets(loaded.config).trusted
    service = ConfigurationService(core, store, loader, loaded, lambda: 1, trusted=trusted)
    asyncio.run(service.begin("fairlead.yaml"))

    def rotate() -> None:
        asyncio.run(service.reload_secrets())

    rotate()
    assert [load.secrets_only for load in core.loads] == [False, True]
    second = write(file, pem("two")).read_text()
    rotate()
    rotate()
    assert [(load.secrets_only, load.source) for load in core.loads[2:]] == [(False, SOURCE_CERTIFICATES), (True, "")]
    assert [load.config.providers[0].ca_pem for load in core.loads[2:]] == [second, second]
    assert {load.config.version for load in core.loads} == {loaded.version}
    write(file, "broken")
    with pytest.raises(Refusal, match=r"providers/p/tls/caFile: file .* holds no PEM certificates"):
        rotate()
    assert len(core.loads) == 4
