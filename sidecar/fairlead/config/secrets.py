"""Secrets: read from their places when needed, never part of the configuration, never shown.

In `internal.Secrets` they are called
- `tenants/{tenant}/agents/{agent}`: the token of an agent,
- `providers/{provider}`: the API key of a provider,
- `providers/{provider}/headers/{header}`: the value of a request header, its name in lower case,
- `providers/{provider}/proxy/authorization`: the value of the header `Proxy-Authorization`.
The core does not get those of operators, of receivers of notifications and of exporters.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path as FilePath
from typing import Any

from fairlead.audit.transparency.keys import KeyUnusable, private_key
from fairlead.config import trust
from fairlead.config.paths import fits, select
from fairlead.config.schema import Config
from fairlead.config.sections.exporters import Exporter
from fairlead.config.sections.notifications import EXPOSED, Notification, is_exposed, url_problem
from fairlead.config.sections.secret import SecretRef
from fairlead.config.violation import Path, render
from fairlead.internal.v1 import engine_config_pb2
from fairlead.notification.signature import PREFIX, InvalidSecret, key_of

SECRET_MAX_BYTES = 64 << 10
# Where a document may have references, whatever else is wrong with it.
PATTERNS = (
    "tenants[*].agents[*].token",
    "providers[*].apiKey",
    "providers[*].headers.*",
    "providers[*].proxy.password",
    "providers[*].proxy.authorization",
    "operators[*].token",
    "notifications[*].url",
    "notifications[*].secret",
    "notifications[*].secret[*]",
    "notifications[*].headers.*",
    "audit.signingKey",
    "audit.exporters[*].url",
    "audit.exporters[*].secret",
    "audit.exporters[*].secret[*]",
    "audit.exporters[*].headers.*",
)
_CREDENTIALS = ("tenants[*].agents[*].token", "operators[*].token")

# Values of headers with a scheme in front, such as `Basic …`.
_WITH_SCHEME = ("providers[*].proxy.authorization", "notifications[*].headers.*", "audit.exporters[*].headers.*")
# What is encoded before it is sent, and may hold any character.
_PASSWORD = "providers[*].proxy.password"
_URLS = ("notifications[*].url", "audit.exporters[*].url")
_SIGNING_KEY = "audit.signingKey"
_SIGNING = tuple(pattern for pattern in PATTERNS if pattern.removesuffix("[*]").endswith(".secret"))
_SAME = "is the same credential as {}: the caller would be ambiguous"


class Form(Enum):
    """What a secret may look like."""

    TOKEN = "visible ASCII"
    HEADER = "visible ASCII and spaces"
    TEXT = "any text of one line"
    LINES = "visible ASCII in several lines"


class SecretUnavailable(ValueError):
    """A secret cannot be read or used; the message names it and its place, never its value."""


@dataclass(frozen=True, slots=True)
class ReceiverSecrets:
    """How a receiver of notifications or an exporter's destination is reached: its URL, the secrets that sign, all
    headers, and the certificates that are trusted instead of the system's, if there are such."""

    url: str = field(repr=False)
    signing: tuple[str, ...] = field(default=(), repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    # What of all this came from a reference.
    hidden: tuple[str, ...] = field(default=(), repr=False)
    trusted: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class ResolvedSecrets:
    """Secret values by name, and the operators' tokens, which the core does not get. Printing it shows names only.

    `trusted` are the certificates of providers, by name: they come from files that change like those of secrets.
    """

    values: Mapping[str, str] = field(repr=False)
    # As they were read, of those whose value is another form of them.
    passwords: tuple[str, ...] = field(default=(), repr=False)
    operators: Mapping[str, str] = field(default_factory=dict, repr=False)
    trusted: Mapping[str, str] = field(default_factory=dict, repr=False)
    receivers: Mapping[str, ReceiverSecrets] = field(default_factory=dict, repr=False)
    # PEM; empty when the configuration names none.
    signing_key: str = field(default="", repr=False)
    exporters: Mapping[str, ReceiverSecrets] = field(default_factory=dict, repr=False)

    def to_hide(self) -> tuple[str, ...]:
        """Everything that no line of a log may hold."""
        reached = (*self.receivers.values(), *self.exporters.values())
        hidden = (value for one in reached for value in _forms_of(one.hidden))
        # Of a PEM text the lines that are the key.
        key = (line for line in self.signing_key.splitlines() if not line.startswith("-----"))
        return (*self.values.values(), *self.passwords, *self.operators.values(), *hidden, *key)

    def __repr__(self) -> str:
        names = (
            *self.values,
            *(f"operators/{name}" for name in self.operators),
            *(f"notifications/{name}" for name in self.receivers),
            *(f"exporters/{name}" for name in self.exporters),
        )
        return f"ResolvedSecrets({', '.join(sorted(names))})"

    def to_proto(self) -> engine_config_pb2.Secrets:
        """As the native core takes them. Printing the message shows the values: do not."""
        return engine_config_pb2.Secrets(values=dict(self.values))


def references(config: Config) -> Iterator[tuple[str, SecretRef]]:
    """Every secret the native core needs, by name."""
    for tenant in config.tenants:
        for agent in tenant.agents:
            yield f"tenants/{tenant.name}/agents/{agent.name}", agent.token
    for provider in config.providers:
        if provider.api_key is not None:
            yield f"providers/{provider.name}", provider.api_key
        for header, value in provider.headers.items():
            if isinstance(value, SecretRef):
                yield f"providers/{provider.name}/headers/{header}", value
        if provider.proxy is not None and provider.proxy.credential is not None:
            yield _proxy_name(provider.name), provider.proxy.credential


def _receiver_references(receiver: Notification | Exporter) -> Iterator[tuple[str, SecretRef, Form]]:
    """Every secret of a receiver of notifications or an exporter, by name."""
    if isinstance(receiver.url, SecretRef):
        yield "url", receiver.url, Form.TOKEN
    for index, reference in enumerate(receiver.secret):
        yield f"secret/{index}", reference, Form.TOKEN
    for header, value in receiver.headers.items():
        if isinstance(value, SecretRef):
            yield f"headers/{header}", value, Form.HEADER


def secret_files(config: Config) -> frozenset[FilePath]:
    """The files that a configuration's secrets and trusted certificates come from."""
    found = (
        *(reference for _, reference in references(config)),
        *(operator.token for operator in config.operators),
        *(
            reference
            for named in (
                *map(_receiver_references, config.notifications),
                *map(_receiver_references, config.audit.exporters),
            )
            for _, reference, _ in named
        ),
        *([config.audit.signing_key] if config.audit.signing_key is not None else []),
    )
    named = frozenset(FilePath(reference.from_file) for reference in found if reference.from_file is not None)
    trusted = (*trust.ca_files(config).values(), *trust.exporter_ca_files(config).values())
    return named | frozenset(map(FilePath, trusted))


def resolve_secrets(config: Config, environ: Mapping[str, str] | None = None) -> ResolvedSecrets:
    """Reads every secret anew; raises `SecretUnavailable` with all that cannot be read, or are the same credential."""
    source = os.environ if environ is None else environ
    wrong: list[str] = []

    def read_all(named: Iterable[tuple[str, SecretRef]], prefix: str = "") -> dict[str, str]:
        values: dict[str, str] = {}
        for name, reference in named:
            try:
                values[name] = read(reference, source, forms.get(name, Form.TOKEN))
            except SecretUnavailable as error:
                wrong.append(f"{prefix}{name}: {error}")
        return values

    proxies = {_proxy_name(provider.name): provider.proxy for provider in config.providers if provider.proxy}
    forms = {name: Form.TEXT if proxy.username is not None else Form.HEADER for name, proxy in proxies.items()}
    values = read_all(references(config))
    operators = read_all(((operator.name, operator.token) for operator in config.operators), "operators/")
    wrong.extend(_repeated(values, operators))
    passwords: list[str] = []
    for name, proxy in proxies.items():
        if proxy.username is not None and name in values:
            passwords.append(values[name])
            values[name] = _basic(proxy.username, values[name])
    trusted: dict[str, str] = {}
    for name, file in trust.ca_files(config).items():
        try:
            trusted[name] = trust.read(file)
        except trust.CertificatesUnavailable as error:
            wrong.append(f"providers/{name}/tls/caFile: {error}")
    receivers: dict[str, ReceiverSecrets] = {}
    for receiver in config.notifications:
        try:
            receivers[receiver.name] = _resolve_receiver(receiver, source)
        except SecretUnavailable as error:
            wrong.append(f"notifications/{receiver.name}/{error}")
    signing_key = ""
    if config.audit.signing_key is not None:
        try:
            signing_key = read(config.audit.signing_key, source, Form.LINES)
            if (problem := _pem_problem(signing_key)) is not None:
                wrong.append(f"audit/signingKey: {problem}")
        except SecretUnavailable as error:
            wrong.append(f"audit/signingKey: {error}")
    exporters: dict[str, ReceiverSecrets] = {}
    for exporter in config.audit.exporters:
        try:
            exporters[exporter.name] = _resolve_exporter(exporter, source)
        except SecretUnavailable as error:
            wrong.append(f"audit/exporters/{exporter.name}/{error}")
    if wrong:
        raise SecretUnavailable("; ".join(wrong))
    return ResolvedSecrets(values, tuple(passwords), operators, trusted, receivers, signing_key, exporters)


def _resolve_exporter(exporter: Exporter, environ: Mapping[str, str]) -> ReceiverSecrets:
    reached = _resolve_receiver(exporter, environ)
    if exporter.tls is None:
        return reached
    try:
        return replace(reached, trusted=trust.read(exporter.tls.ca_file))
    except trust.CertificatesUnavailable as error:
        raise SecretUnavailable(f"tls/caFile: {error}") from None


def _resolve_receiver(receiver: Notification | Exporter, environ: Mapping[str, str]) -> ReceiverSecrets:
    found: dict[str, str] = {}
    for name, reference, form in _receiver_references(receiver):
        try:
            found[name] = read(reference, environ, form)
        except SecretUnavailable as error:
            raise SecretUnavailable(f"{name}: {error}") from None
        problem = _signing_problem(found[name]) if name.startswith("secret/") else None
        if name == "url":
            problem = _receiver_url_problem(found[name], insecure=receiver.insecure)
        if problem is not None:
            raise SecretUnavailable(f"{name}: {problem}")
    return ReceiverSecrets(
        # Some exporters reach nobody.
        url=receiver.url if isinstance(receiver.url, str) else found.get("url", ""),
        signing=tuple(value for name, value in found.items() if name.startswith("secret/")),
        headers={
            name: value if isinstance(value, str) else found[f"headers/{name}"]
            for name, value in receiver.headers.items()
        },
        hidden=tuple(found.values()),
    )


def _signing_problem(value: str) -> str | None:
    try:
        key_of(value)
    except InvalidSecret as error:
        return str(error)
    return None


def _receiver_url_problem(value: str, *, insecure: bool) -> str | None:
    return url_problem(value) or (EXPOSED if not insecure and is_exposed(value) else None)


def _pem_problem(value: str) -> str | None:
    try:
        private_key(value)
    except KeyUnusable as error:
        return str(error)
    return None


def _forms_of(values: Iterable[str]) -> Iterator[str]:
    """The values, and what is secret of them without the word in front: `whsec_` or a scheme."""
    for value in values:
        yield value
        yield value.removeprefix(PREFIX).rpartition(" ")[2]


def _proxy_name(provider: str) -> str:
    return f"providers/{provider}/proxy/authorization"


def _basic(username: str, password: str) -> str:
    """RFC 7617, in UTF-8."""
    return f"Basic {base64.b64encode(f'{username}:{password}'.encode()).decode()}"


def _repeated(values: Mapping[str, str], operators: Mapping[str, str]) -> Iterator[str]:
    """Credentials that are another caller's as well."""
    owners: dict[str, str] = {}
    agents = ((name, value) for name, value in values.items() if name.startswith("tenants/"))
    for name, value in (*agents, *((f"operators/{name}", value) for name, value in operators.items())):
        if owners.setdefault(value, name) != name:
            yield f"{name}: {_SAME.format(owners[value])}"


def read(reference: SecretRef, environ: Mapping[str, str], form: Form) -> str:
    """One secret, without the line end a file may have; raises `SecretUnavailable`."""
    if reference.from_env is not None:
        value, place = environ.get(reference.from_env), f"environment variable {reference.from_env}"
        if value is None:
            raise SecretUnavailable(f"{place} is not set")
    else:
        value, place = _file_text(reference.from_file or ""), f"file {reference.from_file}"
    value = value.rstrip("\r\n") if form is Form.TEXT else value.strip()
    if not value:
        raise SecretUnavailable(f"{place} is empty")
    if form is Form.TEXT:
        if not value.isprintable():
            raise SecretUnavailable(f"{place} holds something that no password has: a control character or a line end")
    elif form is Form.LINES:
        if not all(" " <= character <= "~" or character in "\r\n" for character in value):
            raise SecretUnavailable(f"{place} holds something that is not a line of visible ASCII")
    elif not all(" " < character <= "~" or (form is Form.HEADER and character == " ") for character in value):
        raise SecretUnavailable(f"{place} holds something that cannot be sent in a header: only visible ASCII can")
    return value


def _form(path: Path) -> Form:
    if fits(path, _PASSWORD):
        return Form.TEXT
    if fits(path, _SIGNING_KEY):
        return Form.LINES
    return Form.HEADER if any(fits(path, pattern) for pattern in _WITH_SCHEME) else Form.TOKEN


def check(document: dict[str, Any], environ: Mapping[str, str]) -> Iterator[tuple[Path, str]]:
    """Every reference of a document that cannot be resolved, credentials that are not unique, and certificates that
    cannot be used."""
    yield from trust.check(document)
    owners: dict[str, Path] = {}
    for pattern in PATTERNS:
        for path, reference in _written(document, pattern):
            try:
                value = read(reference, environ, _form(path))
            except SecretUnavailable as error:
                yield path, str(error)
                continue
            if pattern in _SIGNING and (problem := _signing_problem(value)):
                yield path, problem
            if pattern == _SIGNING_KEY and (problem := _pem_problem(value)):
                yield path, problem
            if pattern in _URLS:
                owner = next(
                    owner for below, owner in select(document, pattern.removesuffix(".url")) if below == path[:-1]
                )
                insecure = owner.get("insecure") is True
                if problem := _receiver_url_problem(value, insecure=insecure):
                    yield path, problem
            if pattern in _CREDENTIALS:
                if value in owners:
                    yield path, _SAME.format(render(owners[value]))
                owners.setdefault(value, path)


def files(document: dict[str, Any]) -> frozenset[FilePath]:
    """The files that a document's references name, readable or not."""
    return trust.files(document) | frozenset(
        FilePath(reference.from_file)
        for pattern in PATTERNS
        for _, reference in _written(document, pattern)
        if reference.from_file is not None
    )


def _written(document: dict[str, Any], pattern: str) -> Iterator[tuple[Path, SecretRef]]:
    """The well-formed references at a pattern; the schema reports the others."""
    for path, value in select(document, pattern):
        if not isinstance(value, dict):
            continue
        try:
            reference = SecretRef.model_validate(value)
        except ValueError:
            continue
        if not list(reference.rules()):
            yield path, reference


def _file_text(path: str) -> str:
    try:
        with open(path, "rb") as file:
            content = file.read(SECRET_MAX_BYTES + 1)
    except OSError as error:
        raise SecretUnavailable(f"file {path} cannot be read: {error.strerror or 'unreadable'}") from None
    if len(content) > SECRET_MAX_BYTES:
        raise SecretUnavailable(f"file {path} is larger than {SECRET_MAX_BYTES} bytes")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise SecretUnavailable(f"file {path} holds something that is not UTF-8 text") from None
