"""`providers`: upstream endpoints, how they are reached and when they count as unhealthy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, StringConstraints, Tag, model_validator
from pydantic_core import PydanticCustomError

from fairlead.config.quantities import Duration, PositivePerMille
from fairlead.config.sections.base import Name, Section, word_or_mapping
from fairlead.config.sections.secret import SecretRef
from fairlead.config.violation import Path

Kind = Literal["openai", "ollama", "openai-compatible"]

_OTHER_DIALECTS = frozenset(("anthropic", "azure-openai", "bedrock", "vertex"))
_DEFAULT_BASE_URLS = {"openai": "https://api.openai.com/v1", "ollama": "http://localhost:11434/v1"}
_HEADER = re.compile(r"[a-z0-9][a-z0-9-]{0,63}", re.ASCII)
# Set by the sidecar or by the connection itself.
_RESERVED_HEADERS = frozenset(
    [
        "accept",
        "accept-encoding",
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ]
)
_SECRET_HEADER = re.compile(r"auth|key|token|secret|cookie|password|credential")


def _known_kind(value: Any) -> Any:
    if isinstance(value, str) and value in _OTHER_DIALECTS:
        raise PydanticCustomError(
            "unavailable",
            "is not available in this version, which speaks the OpenAI dialect only: "
            "use openai, ollama or openai-compatible",
        )
    return value


def _base_url(value: str) -> str:
    """Checks a base URL; the messages never quote it, because it may carry a password."""
    try:
        parts = urlsplit(value)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        parts, port_is_fine = urlsplit(""), False
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_fine:
        raise PydanticCustomError("base_url", "is not a URL: write http://HOST[:PORT]/PATH or https://HOST[:PORT]/PATH")
    if parts.username is not None or parts.password is not None:
        raise PydanticCustomError("base_url", "must not contain credentials: use apiKey or headers")
    if parts.query or parts.fragment or re.search(r"\s", value):
        raise PydanticCustomError("base_url", "must not have a query, a fragment or spaces")
    return value.rstrip("/")


def _header_name(value: str) -> str:
    name = value.lower()
    if _HEADER.fullmatch(name) is None:
        raise PydanticCustomError("header", "is not the name of a header")
    if name in _RESERVED_HEADERS or name.startswith("x-fairlead-"):
        raise PydanticCustomError("header", "is set by the sidecar and cannot be configured")
    return name


BaseUrl = Annotated[str, StringConstraints(max_length=2048), AfterValidator(_base_url)]
HeaderName = Annotated[str, AfterValidator(_header_name)]
# Visible ASCII and inner spaces.
HeaderText = Annotated[str, StringConstraints(pattern=r"^[!-~]([ -~]{0,1022}[!-~])?$")]
HeaderValue = Annotated[
    Annotated[HeaderText, Tag("<word>")] | Annotated[SecretRef, Tag("<mapping>")], Discriminator(word_or_mapping)
]


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
        description="what it is: openai, ollama, openai-compatible"
    )
    base_url: BaseUrl = Field(description="URL up to and including the version, such as https://api.openai.com/v1")
    api_key: SecretRef | None = Field(
        default=None, description="sent as bearer token; without it no Authorization header is sent"
    )
    headers: dict[HeaderName, HeaderValue] = Field(
        default={}, description="further request headers: text, or a secret reference"
    )
    billing: Billing = Field(default=Billing(), description="billing of failed attempts")
    timeouts: Timeouts = Field(default=Timeouts(), description="timeouts of an attempt")
    breaker: Breaker = Field(default=Breaker(), description="health of its models")
    max_idle_connections: int = Field(default=64, ge=0, le=10_000, description="idle connections kept for reuse")

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_kind(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        kind, url = value.get("kind"), value.get("baseUrl")
        if kind not in get_args(Kind):
            # The kind is what is wrong; that its URL has no default would only distract.
            return {"baseUrl": _DEFAULT_BASE_URLS["openai"], **value}
        if "baseUrl" not in value and kind in _DEFAULT_BASE_URLS:
            return {**value, "baseUrl": _DEFAULT_BASE_URLS[kind]}
        if kind == "ollama" and isinstance(url, str) and not url.rstrip("/").endswith("/v1"):
            # What Ollama documents is its own API's root; its OpenAI dialect is below /v1.
            return {**value, "baseUrl": f"{url.rstrip('/')}/v1"}
        return value

    def rules(self) -> Iterator[tuple[Path, str]]:
        """Credentials are never literal, and OpenAI itself takes no call without one."""
        for name, value in self.headers.items():
            if isinstance(value, str) and _SECRET_HEADER.search(name):
                yield ("headers", name), "looks like a credential: write {fromEnv: NAME} or {fromFile: /PATH}"
        if self.api_key is None and urlsplit(self.base_url).hostname == "api.openai.com":
            yield (), "has no apiKey, and api.openai.com answers no call without one"
