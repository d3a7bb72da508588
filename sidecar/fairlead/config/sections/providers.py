"""`providers`: upstream endpoints, how they are reached and when they count as unhealthy."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from fairlead.config.quantities import Duration, PositivePerMille
from fairlead.config.sections.base import Listed, Name, Section, no_repeats
from fairlead.config.sections.network import SECRET_HEADER, BaseUrl, HeaderName, HeaderValue, Proxy, Tls
from fairlead.config.sections.secret import SecretRef
from fairlead.config.violation import Path

Kind = Literal["openai", "anthropic", "azure-openai", "ollama", "openai-compatible"]
Dialect = Literal["openai-chat", "openai-responses", "anthropic-messages"]

# Products whose own dialect is not spoken; all of them have an endpoint that is.
_OTHER_DIALECTS = frozenset(("bedrock", "cohere", "gemini", "vertex", "vertex-ai"))
_DEFAULT_BASE_URLS = {
    "openai": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com/v1",
    "ollama": "http://localhost:11434/v1",
}
_DEFAULT_DIALECTS: Mapping[str, tuple[Dialect, ...]] = {
    "openai": ("openai-chat", "openai-responses"),
    "anthropic": ("anthropic-messages",),
    "azure-openai": ("openai-chat", "openai-responses"),
    "ollama": ("openai-chat",),
    "openai-compatible": ("openai-chat",),
}
# What a kind can be told to speak; the others take whatever the server behind them does.
_SPOKEN = {kind: _DEFAULT_DIALECTS[kind] for kind in ("openai", "anthropic", "azure-openai")}
# The header that carries the key of a kind, where it is not `Authorization`.
_KEY_HEADERS = {"anthropic": "x-api-key", "azure-openai": "api-key"}
_KEYED_HOST = re.compile(r"api\.openai\.com|api\.anthropic\.com|.+\.openai\.azure\.com")


def _known_kind(value: Any) -> Any:
    if isinstance(value, str) and value in _OTHER_DIALECTS:
        raise PydanticCustomError(
            "unavailable", "is not available: use openai-compatible with the base URL of its OpenAI-compatible endpoint"
        )
    return value


class Timeouts(Section):
    """Timeouts of one attempt."""

    connect: Annotated[int, Duration("1ms", "5m")] = Field(default=5_000, description="TCP and TLS")
    first_byte: Annotated[int, Duration("1ms", "1h")] = Field(
        default=60_000, description="from sending the request to the head of the answer"
    )
    idle: Annotated[int, Duration("1ms", "1h")] = Field(default=60_000, description="between two parts of an answer")
    attempt: Annotated[int, Duration("1ms", "24h")] = Field(default=600_000, description="one attempt as a whole")


class Breaker(Section):
    """When a model of this provider counts as unhealthy, and how it comes back."""

    consecutive_failures: int = Field(default=5, ge=1, le=10_000, description="failures in a row that open it")
    failure_rate: PositivePerMille = Field(default=500, description="share of failed calls in the window that opens it")
    minimum_calls: int = Field(default=20, ge=1, le=1_000_000, description="calls in the window before the rate counts")
    window: Annotated[int, Duration("1s", "1h")] = Field(default=30_000, description="window of the failure rate")
    open: Annotated[int, Duration("10ms", "1h")] = Field(
        default=10_000, description="how long it stays open at first; doubles up to maxOpen"
    )
    max_open: Annotated[int, Duration("10ms", "24h")] = Field(default=300_000, description="longest it stays open")
    ramp: Annotated[int, Duration("0s", "1h")] = Field(
        default=30_000, description="time from 10 % to 100 % of the calls after recovery"
    )

    def rules(self) -> Iterator[tuple[Path, str]]:
        """It cannot stay open for longer than the longest."""
        if self.open > self.max_open:
            yield ("open",), "must not be longer than maxOpen"


class Billing(Section):
    """What the provider bills for attempts that fail."""

    failed_attempts_cost_input: bool = Field(
        default=True, description="a failed attempt that reached the provider is billed its input"
    )


class Provider(Section):
    """A provider."""

    name: Name = Field(description="unique name")
    kind: Annotated[Kind, BeforeValidator(_known_kind)] = Field(
        description="what it is: openai, anthropic, azure-openai, ollama, openai-compatible"
    )
    base_url: BaseUrl = Field(
        description="URL up to and including the version, such as https://api.groq.com/openai/v1; "
        "of azure-openai https://NAME.openai.azure.com"
    )
    api_version: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]{0,63}$")] | None = Field(
        default=None, description="azure-openai: api-version of its older, dated API; absent means its v1 API"
    )
    dialects: Annotated[Listed[Dialect], AfterValidator(no_repeats)] = Field(
        min_length=1, description="dialects it speaks, the preferred one first; default: those of its kind"
    )
    api_key: SecretRef | None = Field(
        default=None, description="sent as the kind asks for it; without it no credential is sent"
    )
    headers: dict[HeaderName, HeaderValue] = Field(
        default={}, description="further request headers: text, or a secret reference"
    )
    proxy: Proxy | None = Field(default=None, description="HTTP proxy that connections go through; default: none")
    tls: Tls | None = Field(default=None, description="whose certificates are trusted; default: the system's")
    billing: Billing = Field(default=Billing(), description="billing of failed attempts")
    timeouts: Timeouts = Field(default=Timeouts(), description="timeouts of an attempt")
    breaker: Breaker = Field(default=Breaker(), description="health of its models")
    max_idle_connections: int = Field(default=64, ge=0, le=10_000, description="idle connections kept for reuse")

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_kind(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        kind = value.get("kind")
        if not isinstance(kind, str) or kind not in _DEFAULT_DIALECTS:
            # The kind is what is wrong; that nothing follows from it would only distract.
            return {"baseUrl": _DEFAULT_BASE_URLS["openai"], "dialects": ["openai-chat"], **value}
        dialects = ("openai-chat",) if "apiVersion" in value else _DEFAULT_DIALECTS[kind]
        given = {"dialects": list(dialects), **value}
        if "baseUrl" in value:
            given["baseUrl"] = _full_url(kind, value["baseUrl"], dated="apiVersion" in value)
        elif kind in _DEFAULT_BASE_URLS:
            given["baseUrl"] = _DEFAULT_BASE_URLS[kind]
        return given

    def rules(self) -> Iterator[tuple[Path, str]]:
        """What does not go together."""
        yield from self._azure_rules()
        spoken = _SPOKEN.get(self.kind, self.dialects)
        for index, dialect in enumerate(self.dialects):
            if dialect not in spoken:
                yield ("dialects", index), f"kind {self.kind} does not speak it: known are {', '.join(spoken)}"
        yield from self._credential_rules()
        if self.tls is not None and not self.base_url.startswith("https:"):
            yield ("tls",), "has no effect: baseUrl is not an https URL"

    def _azure_rules(self) -> Iterator[tuple[Path, str]]:
        if self.api_version is None:
            return
        if self.kind != "azure-openai":
            yield ("apiVersion",), "is for kind azure-openai only"
        elif self.dialects != ("openai-chat",):
            yield ("dialects",), "with apiVersion only openai-chat is served: leave apiVersion out for Azure's v1 API"
        if self.base_url.endswith(("/openai/v1", "/openai")):
            yield (
                ("baseUrl",),
                "must end before /openai when apiVersion is given: the rest of the path names the deployment",
            )

    def _credential_rules(self) -> Iterator[tuple[Path, str]]:
        """Credentials are never literal, and well-known providers take no call without one."""
        for name, value in self.headers.items():
            if name == _KEY_HEADERS.get(self.kind):
                yield ("headers", name), "is set by the sidecar: write apiKey"
            elif isinstance(value, str) and SECRET_HEADER.search(name):
                yield ("headers", name), "looks like a credential: write {fromEnv: NAME} or {fromFile: /PATH}"
        host = urlsplit(self.base_url).hostname or ""
        if self.api_key is None and _KEYED_HOST.fullmatch(host):
            yield (), f"has no apiKey, and {host} answers no call without one"


def _full_url(kind: str, url: Any, *, dated: bool) -> Any:
    """A base URL with the part of the path that a product's own documentation leaves out."""
    if not isinstance(url, str):
        return url
    root = url.rstrip("/")
    if kind == "ollama" and not root.endswith("/v1"):
        # What Ollama documents is its own API's root; the dialects are below /v1.
        return f"{root}/v1"
    if kind == "azure-openai" and not dated and root.endswith(".openai.azure.com"):
        # What Azure's portal shows as the endpoint; the API without dates is below /openai/v1.
        return f"{root}/openai/v1"
    return url
