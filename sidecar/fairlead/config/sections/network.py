"""How a provider is reached: URLs, request headers, a proxy, and whose certificates are trusted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, Discriminator, Field, StringConstraints, Tag
from pydantic_core import PydanticCustomError

from fairlead.config.sections.base import Listed, Section, no_repeats, word_or_mapping
from fairlead.config.sections.secret import AbsolutePath, SecretRef
from fairlead.config.violation import Path

_HEADER = re.compile(r"[a-z0-9][a-z0-9-]{0,63}", re.ASCII)
# Set by the sidecar or by the connection itself.
RESERVED_HEADERS = frozenset(
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
# Literal values of such headers are refused: they are credentials, most likely.
SECRET_HEADER = re.compile(r"auth|key|token|secret|cookie|password|credential")
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})"
_DIRECT = re.compile(rf"\*|\.?{_LABEL}(?:\.{_LABEL})*|[0-9A-Fa-f]*:[0-9A-Fa-f:.]+", re.ASCII)


def _split(value: str) -> SplitResult | None:
    """The parts of a URL with a host; None for anything else."""
    try:
        parts = urlsplit(value)
        return parts if parts.hostname and (parts.port is None or parts.port > 0) else None
    except ValueError:
        return None


def _base_url(value: str) -> str:
    """Checks a base URL; the messages never quote it, because it may carry a password."""
    parts = _split(value)
    if parts is None or parts.scheme not in ("http", "https"):
        raise PydanticCustomError("base_url", "is not a URL: write http://HOST[:PORT]/PATH or https://HOST[:PORT]/PATH")
    if parts.username is not None or parts.password is not None:
        raise PydanticCustomError("base_url", "must not contain credentials: use apiKey or headers")
    if parts.query or parts.fragment or re.search(r"\s", value):
        raise PydanticCustomError("base_url", "must not have a query, a fragment or spaces")
    return value.rstrip("/")


def _proxy_url(value: str) -> str:
    """Checks the URL of a proxy; the messages never quote it, because it may carry a password."""
    parts = _split(value)
    if parts is not None and (parts.username is not None or parts.password is not None):
        raise PydanticCustomError("proxy_url", "must not contain credentials: use username and password")
    plain = parts is not None and not (parts.path.strip("/") or parts.query or parts.fragment)
    if parts is None or parts.scheme != "http" or parts.port is None or not plain or re.search(r"\s", value):
        raise PydanticCustomError("proxy_url", "is not the URL of an HTTP proxy: write http://HOST:PORT")
    return value.rstrip("/")


def header_name(value: str, reserved: frozenset[str] = RESERVED_HEADERS) -> str:
    """The name in lower case; raises PydanticCustomError when it is none or a reserved one."""
    name = value.lower()
    if _HEADER.fullmatch(name) is None:
        raise PydanticCustomError("header", "is not the name of a header")
    if name in reserved or name.startswith("x-fairlead-"):
        raise PydanticCustomError("header", "is set by the sidecar and cannot be configured")
    return name


def _direct(value: str) -> str:
    if _DIRECT.fullmatch(value) is None:
        raise PydanticCustomError("no_proxy", "is not a host: write a name, an address, .SUFFIX or *")
    return value.lower()


BaseUrl = Annotated[str, StringConstraints(max_length=2048), AfterValidator(_base_url)]
HeaderName = Annotated[str, AfterValidator(lambda value: header_name(value))]
# Visible ASCII and inner spaces.
HeaderText = Annotated[str, StringConstraints(pattern=r"^[!-~]([ -~]{0,1022}[!-~])?$")]
HeaderValue = Annotated[
    Annotated[HeaderText, Tag("<word>")] | Annotated[SecretRef, Tag("<mapping>")], Discriminator(word_or_mapping)
]
ProxyUrl = Annotated[str, StringConstraints(max_length=2048), AfterValidator(_proxy_url)]
# A colon would end the name inside `Proxy-Authorization`.
UserName = Annotated[str, StringConstraints(pattern=r"^[!-9;-~]{1,256}$")]
DirectHost = Annotated[str, StringConstraints(max_length=253), AfterValidator(_direct)]


class Proxy(Section):
    """An HTTP proxy: requests to https URLs go through a tunnel (CONNECT), those to http URLs are handed to it."""

    url: ProxyUrl = Field(description="http://HOST:PORT")
    username: UserName | None = Field(default=None, description="user at the proxy; needs password")
    password: SecretRef | None = Field(default=None, description="password of the user")
    authorization: SecretRef | None = Field(
        default=None, description="whole value of Proxy-Authorization, instead of username and password"
    )
    no_proxy: Annotated[Listed[DirectHost], AfterValidator(no_repeats)] = Field(
        default=(), max_length=64, description="hosts that are reached directly: names, .suffixes or *"
    )

    def rules(self) -> Iterator[tuple[Path, str]]:
        """A user and a password, or the whole header."""
        if (self.username is None) != (self.password is None):
            yield (), "must have both username and password, or neither"
        if self.authorization is not None and (self.username is not None or self.password is not None):
            yield ("authorization",), "cannot be given beside username and password: it is what they make"

    @property
    def credential(self) -> SecretRef | None:
        """Where the secret part of `Proxy-Authorization` is."""
        return self.authorization or self.password


class Tls(Section):
    """Whose certificates are trusted."""

    ca_file: AbsolutePath = Field(
        description="absolute path of PEM certificates that are trusted instead of the system's; read again on change"
    )
