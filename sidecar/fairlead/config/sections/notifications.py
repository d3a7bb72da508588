"""`notifications`: receivers outside that are told of what happens, with signed webhooks."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Discriminator, Field, StringConstraints, Tag
from pydantic_core import PydanticCustomError

from fairlead.config.quantities import Duration
from fairlead.config.sections.base import Name, OneOrMany, Section, no_repeats, word_or_mapping
from fairlead.config.sections.matching import Patterns
from fairlead.config.sections.network import RESERVED_HEADERS, SECRET_HEADER, HeaderValue, header_name
from fairlead.config.sections.secret import SecretRef
from fairlead.config.violation import Path
from fairlead.notification.events import KINDS, LINK_PLACEHOLDERS, kinds_of

# Current, next, and two more while many places are changed one after the other.
SECRETS_MAX = 4
URL_MAX_CHARACTERS = 2048
# A receiver may ask for a credential of its own.
_RESERVED = (RESERVED_HEADERS - {"authorization"}) | {"user-agent"}
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


def url_problem(value: str) -> str | None:
    """What is wrong with a receiver's URL; never quotes it, because it may be a secret."""
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable or not value.isascii() or re.search(r"[\s\x00-\x1f\x7f]", value) or len(value) > URL_MAX_CHARACTERS:
        return "is not a URL: write https://HOST[:PORT]/PATH"
    if parts.username is not None or parts.password is not None:
        return "must not contain credentials: use headers, or {fromFile: /PATH} for a URL that is a secret"
    return "must not have a fragment" if parts.fragment else None


def is_exposed(url: str) -> bool:
    """True when what is sent there could be read on the way: plain HTTP to another machine."""
    parts = urlsplit(url)
    if parts.scheme == "https" or parts.hostname == "localhost":
        return False
    try:
        return not ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return True


EXPOSED = "is http to another machine, where everybody on the way can read it: write https, or insecure: true"


def _url(value: str) -> str:
    if problem := url_problem(value):
        raise PydanticCustomError("receiver_url", "{problem}", {"problem": problem})
    return value


def _event(value: str) -> str:
    if not kinds_of(value):
        raise PydanticCustomError("event", "is not an event of this version: known are {known}", {"known": _KNOWN})
    return value


def _header(value: str) -> str:
    name = header_name(value, _RESERVED)
    if name.startswith("webhook-"):
        raise PydanticCustomError("header", "is set by the sidecar and cannot be configured")
    return name


def _link(value: str) -> str:
    unknown = sorted(set(_PLACEHOLDER.findall(value)) - set(LINK_PLACEHOLDERS))
    if unknown:
        known = ", ".join(f"{{{name}}}" for name in LINK_PLACEHOLDERS)
        raise PydanticCustomError("link", "names something unknown in braces: known are {known}", {"known": known})
    if url_problem(_PLACEHOLDER.sub("x", value)) or re.search(r"[<>|\"]", value):
        raise PydanticCustomError("link", "is not a URL: write https://HOST/PATH/{{approval}}")
    return value


_KNOWN = ", ".join(KINDS)
_Url = Annotated[str, StringConstraints(max_length=URL_MAX_CHARACTERS), AfterValidator(_url)]
Url = Annotated[Annotated[_Url, Tag("<word>")] | Annotated[SecretRef, Tag("<mapping>")], Discriminator(word_or_mapping)]
Event = Annotated[str, StringConstraints(max_length=64), AfterValidator(_event)]
ReceiverHeader = Annotated[str, AfterValidator(_header)]
Link = Annotated[str, StringConstraints(max_length=URL_MAX_CHARACTERS), AfterValidator(_link)]


class NotificationMatch(Section):
    """All given keys must fit the event; a list fits when one of its values does. A value may end in `*`."""

    tenant: Patterns = Field(default=(), description="tenants")
    tool: Patterns = Field(default=(), description="tools")
    tier: Patterns = Field(default=(), description="approval tiers")
    workflow: Patterns = Field(default=(), description="workflows")
    state: Patterns = Field(default=(), description="states after the event, such as rejected or failed")


class NotificationRetry(Section):
    """When an attempt is repeated."""

    attempts: int = Field(default=20, ge=1, le=100, description="attempts before it is given up")
    initial: Annotated[int, Duration("10ms", "1h")] = Field(default=1_000, description="first wait; doubles up to max")
    max: Annotated[int, Duration("10ms", "24h")] = Field(default=300_000, description="longest wait between attempts")

    def rules(self) -> Iterator[tuple[Path, str]]:
        """It cannot begin with more than the longest."""
        if self.initial > self.max:
            yield ("initial",), "must not be longer than max"


class Notification(Section):
    """A receiver."""

    name: Name = Field(description="unique name; what waits for the receiver waits under it")
    url: Url = Field(description="where to POST: a URL, or a secret reference when the URL itself is a secret")
    secret: Annotated[OneOrMany[SecretRef], AfterValidator(no_repeats)] = Field(
        default=(),
        max_length=SECRETS_MAX,
        description="signing secret, whsec_ and base64; while one is replaced, the old and the new one",
    )
    events: Annotated[OneOrMany[Event], AfterValidator(no_repeats)] = Field(
        min_length=1,
        max_length=64,
        description="events, such as approval.opened, or approval.* for all of them",
    )
    match: NotificationMatch = Field(default=NotificationMatch(), description="of these events only those that fit")
    format: Literal["fairlead", "chat"] = Field(
        default="fairlead", description="fairlead: the whole document; chat: text for a chat tool's incoming webhook"
    )
    timeout: Annotated[int, Duration("100ms", "1m")] = Field(default=10_000, description="one attempt as a whole")
    retry: NotificationRetry = Field(default=NotificationRetry(), description="repeated attempts")
    headers: dict[ReceiverHeader, HeaderValue] = Field(
        default={}, description="further request headers: text, or a secret reference"
    )
    insecure: bool = Field(default=False, description="true allows http to other machines")
    link: Link | None = Field(default=None, description="URL for people, such as https://HOST/approvals/{approval}")
    include_arguments: bool = Field(
        default=False, description="true sends the arguments that people have to agree to along"
    )

    def rules(self) -> Iterator[tuple[Path, str]]:
        """Receivers can tell who sends, nobody reads along, and credentials are never literal."""
        if self.format == "fairlead" and not self.secret:
            yield (
                ("secret",),
                "is missing: the receiver could not know who sends; only format: chat needs none",
            )
        if isinstance(self.url, str) and not self.insecure and is_exposed(self.url):
            yield ("url",), EXPOSED
        for name, value in self.headers.items():
            if isinstance(value, str) and SECRET_HEADER.search(name):
                yield ("headers", name), "looks like a credential: write {fromEnv: NAME} or {fromFile: /PATH}"
